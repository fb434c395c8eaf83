"""Expressions, tags, tiers and classes for one customer."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ruleengine.interpreter import Facts, Overflow, evaluate
from ruleengine.types import Value
from tests.interpreter.asking import TODAY, order, outcome, ruleset, worth

PEOPLE: dict[str, Any] = {
    "country": "DE",
    "birthday": date(2000, 2, 29),
    "points": 7,
    "credit": Decimal("2.5"),
    "member": True,
}


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("points - (points - (points - 1))", 6),
        ("points - points - 1", -1),
        ("points / (points / 2)", 2.0),
        ("100 / 10 / 5", 2.0),
        ("-(points + 1) * 2", -16),
        ("credit * credit", Decimal("6.25000000")),
        ("round(credit)", 3),
        ("round(-credit)", -3),
        ("round(credit, 2)", Decimal("2.50")),
        ("round(points, 2)", 7),
        ("round(points / 3, 2)", 2.33),
        ("abs(-credit)", Decimal("2.5000")),
        ("floor(-credit)", -3),
        ("ceil(credit)", 3),
        ("least(points, credit)", Decimal("2.5000")),
        ("greatest(points, credit)", Decimal("7.0000")),
        ("greatest(points / 2, credit)", 3.5),
        ("least(points, points / 0)", None),
        ("points / 0", None),
        ("credit / (points - 7)", None),
        ("(points / 0) default 0", 0.0),
        ("points default credit", Decimal("7.0000")),
        ("if member then points else credit", Decimal("7.0000")),
        ("if points / 0 > 1 then 1 else 2", 2),
        ("if not (points / 0 > 1) then 1 else 2", 2),
        ("days since birthday", 9527),
        ("days until birthday", -9527),
        ("days until anniversary of birthday", 334),
        ('country = "DE"', True),
        ('country = "de"', False),
        ('country in ("FR", "DE")', True),
        ('country not in ("FR", "DE")', False),
        ('country starts with "D"', True),
        ('country ends with ""', True),
        ('country contains "%"', False),
        ("points between 7 and 7", True),
        ("points not between 1 and 6.99", True),
        ("points = 7.00", True),
        ("member is true", True),
        ("member", True),
    ],
)
def test_what_an_expression_is_worth(expression: str, answer: Value) -> None:
    got = worth(expression, **PEOPLE)

    assert got == answer
    assert type(got) is type(answer)
    assert repr(got) == repr(answer)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("points + 1", None),
        ("-points", None),
        ("round(credit)", None),
        ("days since birthday", None),
        ("days until anniversary of birthday", None),
        ("points = 1", None),
        ("points != 1", None),
        ("not points = 1", None),
        ("not member", None),
        ("points = points", None),
        ('country contains ""', None),
        ('country in ("DE")', None),
        ('country not in ("DE")', None),
        ("points between 1 and 2", None),
        ("points = 1 or 1 = 1", True),
        ("points = 1 and 1 = 2", False),
        ("points = 1 or 1 = 2", None),
        ("points = 1 and 1 = 1", None),
        ("points is missing", True),
        ("points is known", False),
        ("(points > 1) is missing", True),
        ("points default 3", 3),
        ("least(points, 1)", None),
        ("if member then 1 else 2", 2),
    ],
)
def test_with_everything_missing(expression: str, answer: Value) -> None:
    assert worth(expression) == answer


@pytest.mark.parametrize(
    ("birthday", "as_of", "days"),
    [
        (date(1990, 3, 31), date(2026, 3, 31), 0),
        (date(1990, 3, 30), date(2026, 3, 31), 364),
        (date(1990, 1, 1), date(2026, 12, 31), 1),
        (date(2000, 2, 29), date(2026, 2, 28), 0),
        (date(2000, 2, 29), date(2026, 3, 1), 364),
        (date(2000, 2, 29), date(2027, 3, 1), 365),
        (date(2000, 2, 29), date(2028, 2, 28), 1),
        (date(2000, 2, 29), date(2028, 2, 29), 0),
        (date(2030, 5, 1), date(2026, 4, 30), 1),
    ],
)
def test_the_next_anniversary(birthday: date, as_of: date, days: int) -> None:
    assert worth("days until anniversary of birthday", as_of=as_of, birthday=birthday) == days


@pytest.mark.parametrize(
    ("as_of", "floor", "listed"),
    [
        (date(2026, 6, 30), 10_000, True),
        (date(2026, 7, 1), 12_000, True),
        (date(2027, 1, 1), 12_000, False),
    ],
)
def test_a_parameter_changes_on_its_day(as_of: date, floor: int, listed: bool) -> None:
    rules = """
    let vip_floor = 10_000 then 12_000 from 2026-07-01
    let cities = "Paris", "Rome" then "Rome", "Oslo" from 2027-01-01
    metric floor = vip_floor
    metric listed = country in cities
    """

    metrics = outcome(rules, as_of=as_of, country="Paris").metrics

    assert metrics == {"floor": floor, "listed": listed}


def test_a_parameter_can_be_set() -> None:
    rules = ruleset("""
    let least_points = 5
    let places = "a", "b"
    metric x = points > least_points
    metric y = country in places
    """)
    facts = Facts(attributes={"customer_id": 1, "points": 7, "country": "c"})

    overrides: dict[str, Any] = {"least_points": (7,), "places": ("c", "d")}
    assert evaluate(rules, facts, TODAY, overrides).metrics == {"x": False, "y": True}
    assert evaluate(rules, facts, TODAY).metrics == {"x": True, "y": False}


@pytest.mark.parametrize(
    ("points", "member", "answer"),
    [
        (7, False, True),
        (7, True, False),
        (7, None, None),
        (1, True, False),
        (1, None, False),
        (None, False, None),
    ],
)
def test_a_tag_is_given_when_and_not_unless(points: int | None, member: bool | None, answer: bool | None) -> None:
    rules = 'tag "A" when points > 5 unless member'

    assert outcome(rules, points=points, member=member).tags == {"A": answer}


LINES = """
    "Gold"   when points > 10
    "Silver" when credit > 5
    "Bronze" when member
"""


@pytest.mark.parametrize(
    ("points", "credit", "member", "tier", "klass", "unknown"),
    [
        (11, None, None, "Gold", "Gold", {}),
        (1, 6, None, "Silver", "Silver", {}),
        (None, 6, None, "Silver", None, {"c": 0}),
        (1, None, True, "Bronze", None, {"c": 1}),
        (1, 1, False, "Other", "Other", {}),
        (1, 1, None, "Other", None, {"c": 2}),
    ],
)
def test_unknown_lines_stop_a_class_but_not_a_tier(
    points: int | None,
    credit: int | None,
    member: bool | None,
    tier: str,
    klass: str | None,
    unknown: dict[str, int],
) -> None:
    rules = f'tier t {LINES} otherwise "Other" class c {LINES} otherwise "Other"'

    got = outcome(rules, points=points, credit=credit, member=member)

    assert got.ladders == {"t": tier, "c": klass}
    assert got.unknown_lines == unknown


def test_without_otherwise_there_may_be_no_value() -> None:
    got = outcome('tier t "A" when member class c "A" when member', member=False)

    assert got.ladders == {"t": None, "c": None}
    assert got.unknown_lines == {}


def test_references_see_the_same_run_and_are_never_unknown() -> None:
    rules = """
    tag "Second" when has tag "First" or tier level is at least "Silver" or class kind is "A"
    tag "Third" when not has tag "First" and tier level is not "Gold"
    tag "First" when points > 5
    tier level "Gold" when points > 100 "Silver" when points > 10 otherwise "None"
    class kind "A" when has tag "First"
    """

    assert outcome(rules, points=None).tags == {"Second": False, "Third": True, "First": None}
    assert outcome(rules, points=7).tags == {"Second": True, "Third": False, "First": True}
    assert outcome(rules, points=None, metrics={}).ladders == {"level": "None", "kind": None}


def test_drafts_are_answered_too() -> None:
    rules = 'draft tag "Rising" when points > 5 draft class c "A" when has tag "Rising"'

    got = outcome(rules, points=7)

    assert (got.tags, got.ladders) == ({"Rising": True}, {"c": "A"})


def test_a_given_metric_replaces_the_computed_one_everywhere() -> None:
    rules = """
    metric spent = sum(orders.amount)
    metric times = count(orders)
    metric basket = spent / times
    tag "A" when basket > 10 and spent_30d > 100
    """
    given: dict[str, Value] = {"spent": 50, "times": 2, "spent_30d": Decimal("100.01")}

    got = outcome(rules, [order("2026-03-01", amount=1)], metrics=given)

    assert got.metrics == {**given, "basket": 25.0}
    assert got.tags == {"A": True}
    assert outcome(rules, metrics={"basket": None, "spent_30d": 200}).tags == {"A": None}


def test_an_if_works_out_only_what_it_takes() -> None:
    rules = "metric x = if points < 1000 then points * points else 0"

    assert outcome(rules, points=10**18).metrics["x"] == 0


@pytest.mark.parametrize(
    ("rules", "kind", "name"),
    [
        ('tag "A" when points * points > 1', "tag", "A"),
        ('tier t "A" when points * points > 1', "tier", "t"),
        ('class c "A" when member or points * points > 1', "class", "c"),
    ],
)
def test_an_overflow_names_its_rule(rules: str, kind: str, name: str) -> None:
    with pytest.raises(Overflow) as caught:
        outcome(rules, points=10**18, member=True)

    assert (caught.value.kind, caught.value.name) == (kind, name)
