"""Ranks among all customers, scores and samples, and what cannot be told of one customer alone."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ruleengine.interpreter import Facts, NeedsPopulation, Overflow, evaluate, evaluate_all, explain
from ruleengine.types import Value
from tests.interpreter.asking import TODAY, outcome, ruleset, worth


def among(expression: str, *people: Mapping[str, Any]) -> list[Value]:
    """What a metric is worth for each of several customers, with keys 1, 2, …"""
    customers = {key: Facts(attributes={"customer_id": key, **attributes}) for key, attributes in enumerate(people, 1)}
    outcomes = evaluate_all(ruleset(f"metric x = {expression}"), customers, TODAY)
    return [outcomes[key].metrics["x"] for key in customers]


def by_points(expression: str, *points: int | None) -> list[Value]:
    return among(expression, *({"points": each} for each in points))


@pytest.mark.parametrize(
    ("expression", "answers"),
    [
        ("rank(points)", [1, 2, 2, 4, None]),
        ("rank(points lowest best)", [4, 2, 2, 1, None]),
        ("rank(points ties split)", [1, 2, 3, 4, None]),
        ("rank(points lowest best ties split)", [4, 2, 3, 1, None]),
        ("quartile(points)", [4, 2, 2, 1, None]),
        ("ntile(points, 2)", [2, 1, 1, 1, None]),
        ("ntile(points, 3 ties split)", [3, 1, 2, 1, None]),
        ("ntile(points, 3 lowest best ties split)", [1, 1, 2, 3, None]),
        ("ntile(points, 100 ties split)", [4, 2, 3, 1, None]),
        ("percentile(points)", [1.0, 0.75, 0.75, 0.25, None]),
        ("cumulative_share(points)", [0.0, 0.5, 0.5, 0.9, None]),
        ("rank(points among points < 50)", [None, 1, 1, 3, None]),
        ("rank(points among points > 1000)", [None, None, None, None, None]),
        ("top 1 by points", [True, False, False, False, None]),
        ("top 2 by points", [True, True, True, False, None]),
        ("top 25% by points", [True, False, False, False, None]),
        ("top 26% by points", [True, True, True, False, None]),
        ("bottom 1 by points", [False, False, False, True, None]),
        ("top 100% by points", [True, True, True, True, None]),
    ],
)
def test_where_customers_stand(expression: str, answers: Sequence[Value]) -> None:
    assert by_points(expression, 50, 20, 20, 10, None) == answers


def test_who_holds_nothing_has_all_of_the_total_before_him() -> None:
    assert by_points("cumulative_share(points)", 30, 0, -5, 10) == [0.0, 1.0, 1.0, 0.75]
    assert by_points("cumulative_share(points)", 0, -5) == [1.0, 1.0]


def test_groups_are_ranked_apart_and_no_group_is_no_rank() -> None:
    people = [("DE", 1), ("FR", 5), ("DE", 2), (None, 9)]

    ranks = among(
        "rank(points within country)", *({"country": country, "points": points} for country, points in people)
    )

    assert ranks == [2, 1, 1, None]


def test_dates_and_quotients_can_be_ranked() -> None:
    births = [{"birthday": date(2000, 1, 1)}, {"birthday": date(1990, 1, 1)}]

    assert among("rank(birthday)", *births) == [1, 2]
    assert by_points("rank(points / 3)", 1, 2) == [2, 1]


def test_only_who_exists_is_ranked() -> None:
    model = """
    entity customer from customers key customer_id integer (points integer, joined date) since joined
    """
    customers = {
        key: Facts(attributes={"customer_id": key, "points": key, "joined": joined})
        for key, joined in ((1, TODAY), (2, date(2027, 1, 1)))
    }

    outcomes = evaluate_all(ruleset("metric x = rank(points)", model), customers, TODAY)

    assert {key: outcome.metrics["x"] for key, outcome in outcomes.items()} == {1: 1}


def test_metrics_and_rules_may_read_ranks() -> None:
    rules = """
    metric r = rank(points)
    metric rr = rank(r * 2 lowest best)
    tag "Best" when r = 1 or rr = 1
    """
    customers = {key: Facts(attributes={"customer_id": key, "points": key}) for key in (1, 2, 3)}

    outcomes = evaluate_all(ruleset(rules), customers, TODAY)

    assert [(outcome.metrics["rr"], outcome.tags["Best"]) for outcome in outcomes.values()] == [
        (3, False),
        (2, False),
        (1, True),
    ]


def test_an_overflow_beneath_a_rank_names_it() -> None:
    with pytest.raises(Overflow, match="metric x"):
        by_points("rank(points * points)", 1, 10**18)


RANKED = """
metric r = quintile(points)
tag "Best" when r = 5
tag "Not best" when not has tag "Best"
tier level "High" when r >= 4 otherwise "Low"
tag "Many" when points > 5
"""


def test_of_one_customer_alone_a_rank_has_to_be_given() -> None:
    alone = outcome(RANKED, points=7)

    assert alone.tags == {"Many": True}
    assert alone.ladders == {}
    assert alone.unanswered == {
        ("metric", "r"): "r",
        ("tag", "Best"): "r",
        ("tag", "Not best"): "r",
        ("tier", "level"): "r",
    }
    with pytest.raises(NeedsPopulation) as caught:
        explain(ruleset(RANKED), Facts(attributes={"points": 7}), TODAY, "Not best")
    assert caught.value.metric == "r"


def test_a_given_rank_is_taken() -> None:
    given = outcome(RANKED, metrics={"r": 5}, points=7)

    assert given.tags == {"Best": True, "Not best": False, "Many": True}
    assert given.ladders == {"level": "High"}
    assert given.unanswered == {}


def test_a_score_adds_the_lines_that_are_true() -> None:
    rules = """
    score engagement
        add 10 when points > 5
        add 0.5 when member
        add -20 when credit > 1
    """

    assert outcome(rules, points=7, member=True).metrics == {"engagement": Decimal("10.5")}
    assert outcome(rules, points=7, member=False, credit=2).metrics == {"engagement": Decimal("-10.0")}
    assert repr(outcome(rules).metrics["engagement"]) == "Decimal('0.0')"


def test_a_sample_is_always_the_same() -> None:
    rules = ruleset('tag "A" when sample 10% "spring-2027"')
    sampled = [key for key in range(100) if evaluate(rules, Facts(attributes={"customer_id": key}), TODAY).tags["A"]]

    assert sampled == [4, 7, 18, 22, 24, 26, 46, 87, 88, 90, 97]  # as sha256sum has it
    assert worth('sample 100% "x"') is True
