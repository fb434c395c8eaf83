"""Examples as the checker hands them on."""

from datetime import date, datetime
from pathlib import Path

import pytest

from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Example, Ruleset
from ruleengine.interpreter import Facts, evaluate
from ruleengine.source import Source
from ruleengine.types import Value
from ruleengine.verbs.test import answered

MODEL = """
entity customer from customers key customer_id integer (country text, signed_up date, credit decimal)
events orders from orders key order_id for customer_id at ordered_at (amount decimal, category text)
events visits from visits key visit_id integer for customer_id at seen_at zone "UTC" (page text)
let floor = 100 then 200 from 2026-07-01
let cities = "Paris", "Rome"
metric monetary "spend" = sum(orders.amount)
metric frequency = count(orders)
metric recency = days since latest(orders)
metric last_category = latest(orders.category)
metric last_page = latest(visits.page)
metric nights = count(visits where seen_at = 2026-03-02)
metric r = quintile(recency lowest best)
tag "Spender" when monetary_90d > floor and frequency >= 2
tag "Books" when last_category = "books"
tag "Home" when last_page = "home" and nights >= 1
tag "Local" when country in cities
tag "Old" when days since signed_up > 1_000
tag "Best" when r = 5
    because "{recency} days"
"""


def checked(text: str) -> Ruleset:
    found = check([Source("test.rules", MODEL + text)], "test", "Europe/Berlin")
    assert found.ruleset is not None, [problem for problem in found.problems if problem.is_error]
    return found.ruleset


def example(text: str) -> Example:
    (only,) = checked(text).examples
    return only


def codes(text: str) -> list[str]:
    found = check([Source("test.rules", MODEL + text)], "test", "Europe/Berlin")
    return [problem.code.name for problem in found.problems if problem.is_error]


def holds(text: str) -> list[bool]:
    return [result.passed for result in answered(checked(text), Path()).results]


def test_values_go_by_the_names_of_what_they_are() -> None:
    made = example(
        'example "all" as of 2026-03-31\n'
        '    given spend_90d = 120, frequency = 2, floor = 110, country is missing, cities = "Bonn"\n'
        '    expect tag "Spender", unknown tag "Local"\n'
    )

    assert made.name == "all"
    assert made.as_of == date(2026, 3, 31)
    assert made.metrics == {"monetary_90d": 120, "frequency": 2}
    assert made.parameters == {"floor": (110,), "cities": ("Bonn",)}
    assert made.attributes == {"country": None}
    assert [(each.kind, each.name, each.wanted) for each in made.expectations] == [
        ("tag", "Spender", "given"),
        ("tag", "Local", "unknown"),
    ]


def test_a_left_out_key_is_numbered_in_the_order_of_rows() -> None:
    rows = "".join("        | 2026-03-01 | x |\n" for _ in range(11))
    made = example(
        f'example "many" as of 2026-03-31\n    given orders\n        | ordered_at | category |\n{rows}'
        '        | 2026-03-01 | books |\n    expect tag "Books"\n'
    )

    assert [row["order_id"] for row in made.events["orders"]] == [f"{n:02}" for n in range(1, 13)]


def test_equal_times_are_in_the_order_of_rows() -> None:
    rows = "        | 2026-03-01 | x |\n" * 10 + "        | 2026-03-01 | books |\n"

    assert holds(
        f'example "many" as of 2026-03-31\n    given orders\n        | ordered_at | category |\n{rows}'
        '    expect tag "Books"\n'
    ) == [True]


def test_times_are_of_the_declared_zone() -> None:
    text = (
        'example "night" as of 2026-03-31\n    given visits\n        | seen_at | page |\n'
        '        | 2026-03-01 23:30 | home |\n    expect tag "Home"\n'
    )

    assert example(text).events["visits"] == ({"seen_at": datetime(2026, 3, 1, 23, 30), "page": "home", "visit_id": 1},)
    assert holds(text) == [True]


def test_what_a_reason_says_may_be_given_and_need_not_be() -> None:
    assert codes('example "a"\n    given r = 5, recency = 3\n    expect tag "Best"\n') == []
    assert codes('example "a"\n    given r = 5\n    expect tag "Best"\n') == []


def test_a_metric_of_no_rule_may_not_be_given() -> None:
    assert codes('example "a"\n    given monetary_30d = 5\n    expect no tag "Spender"\n') == [
        "example-needs-date",
        "unread-given",
    ]


def test_examples_use_nothing() -> None:
    """What only examples give is as unused as before."""
    found = check(
        [Source("test.rules", MODEL + 'let spare = 1\nexample "a"\n    expect no tag "Local"\n')], "test", "UTC"
    )

    assert [problem.facts["name"] for problem in found.problems if problem.code.name == "unused"] == ["spare"]


def test_mistakes_elsewhere_are_not_told_twice() -> None:
    """What rules read is not known while one of them has a problem."""
    assert codes('tag "A" when frequenc > 1\nexample "a"\n    given frequency = 1\n    expect tag "A"\n') == [
        "unknown-name"
    ]


DATELESS = """
example "nobody"
    given floor = 100
    expect no tag "Spender", unknown tag "Books", unknown tag "Old", unknown tag "Local"
example "values"
    given floor = 100, monetary_90d = 120, frequency = 2, last_category = "books", signed_up is missing
    expect tag "Spender", tag "Books", unknown tag "Old"
"""


@pytest.mark.parametrize("day", [date(1, 1, 1), date(2026, 7, 1), date(9999, 12, 31)])
def test_what_needs_no_date_is_the_same_on_every_day(day: date) -> None:
    ruleset = checked(DATELESS)

    for each in ruleset.examples:
        facts = Facts(attributes=each.attributes, events=each.events, metrics=each.metrics)
        outcome = evaluate(ruleset, facts, day, each.parameters)
        got: dict[str, Value] = {wanted.name: outcome.tags[wanted.name] for wanted in each.expectations}
        words = {True: "given", False: "no", None: "unknown"}
        assert each.as_of is None
        assert {name: words[answer] for name, answer in got.items() if isinstance(answer, bool | None)} == {
            wanted.name: wanted.wanted for wanted in each.expectations
        }


@pytest.mark.parametrize(
    "given",
    [
        "monetary_90d = 150, frequency = 2",
        "floor = 100, signed_up = 2020-01-01",
    ],
)
def test_what_has_another_answer_on_another_day_needs_a_date(given: str) -> None:
    text = f'    given {given}\n    expect no tag "Spender", no tag "Old"\n'

    assert "example-needs-date" in codes(f'example "a"\n{text}')
    assert "example-needs-date" not in codes(f'example "a" as of 2026-03-31\n{text}')
