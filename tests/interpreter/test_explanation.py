"""Why, and how far from it."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from ruleengine.interpreter import (
    Facts,
    Gap,
    LadderTrace,
    Overflow,
    TagTrace,
    Trace,
    explain,
    shortest_way,
)
from ruleengine.types import Value
from tests.interpreter.asking import TODAY, order, ruleset

VIP = """
metric spent = sum(orders.amount)
metric times = count(orders)
metric recency = days since latest(orders)
let floor = 1_250
tag "VIP" when spent > floor and (times >= 5 or country = "DE") unless recency > 60
"""


def tag(rules: str, name: str = "VIP", metrics: Mapping[str, Value] | None = None, **attributes: Any) -> TagTrace:
    facts = Facts(attributes=attributes, metrics=metrics or {})
    trace = explain(ruleset(rules), facts, TODAY, name)
    assert isinstance(trace, TagTrace)
    return trace


def condition(text: str, **attributes: Any) -> Trace:
    return tag(f'tag "VIP" when {text}', **attributes).when


def gaps(traces: Sequence[Trace]) -> list[tuple[str, Value, str]]:
    return [(trace.gap.side.span.text, trace.gap.amount, trace.gap.direction) for trace in traces if trace.gap]


def test_a_trace_carries_every_condition_with_its_values() -> None:
    trace = tag(VIP, metrics={"spent": 1000, "times": 3, "recency": 10}, country="DE")

    spent, either = trace.when.children
    assert trace.answer is False
    assert (trace.when.text, trace.when.answer) == ('spent > floor and (times >= 5 or country = "DE")', False)
    assert (spent.text, spent.answer, spent.operands) == ("spent > floor", False, (Decimal("1000.0000"), 1250))
    assert [(child.text, child.answer) for child in either.children] == [
        ("times >= 5", False),
        ('country = "DE"', True),
    ]
    assert trace.unless is not None
    assert (trace.unless.text, trace.unless.answer, trace.unless.operands) == ("recency > 60", False, (10, 60))


def test_given_values_need_no_events() -> None:
    given = {"spent": 2000, "times": 3, "recency": 10}

    assert tag(VIP, metrics=given, country="DE").answer is True
    assert tag(VIP, metrics=given).answer is None
    assert tag(VIP, metrics={**given, "recency": None}, country="DE").answer is None


@pytest.mark.parametrize(
    ("text", "side", "amount", "direction", "beyond"),
    [
        ("points >= 10", "points", 3, "more", False),
        ("points > 10", "points", 4, "more", False),
        ("points > 7", "points", 1, "more", False),
        ("points <= 5", "points", 2, "less", False),
        ("points < 7", "points", 1, "less", False),
        ("points = 10", "points", 3, "more", False),
        ("points = 5", "points", 2, "less", False),
        ("10 <= points", "points", 3, "more", False),
        ("10 < points", "points", 4, "more", False),
        ("5 >= points", "points", 2, "less", False),
        ("5 = points", "points", 2, "less", False),
        ("credit > 10", "credit", Decimal("7.5000"), "more", True),
        ("credit >= 10", "credit", Decimal("7.5000"), "more", False),
        ("points * 2 >= credit * 10", "points * 2", Decimal("11.0000"), "more", False),
        ("points / 2 > 4", "points / 2", 0.5, "more", True),
        ("not points > 5", "points", 2, "less", False),
        ("not points != 5", "points", 2, "less", False),
        ("not (credit > 1)", "credit", Decimal("1.5000"), "less", False),
    ],
)
def test_the_gap_of_numbers(text: str, side: str, amount: Value, direction: str, beyond: bool) -> None:
    (step,) = shortest_way(condition(text, points=7, credit=Decimal("2.5")))

    gap = step.gap
    assert gap is not None
    assert (gap.side.span.text, gap.amount, gap.direction) == (side, amount, direction)
    assert (gap.unit, gap.beyond) == ("number", beyond)


@pytest.mark.parametrize(
    ("text", "amount", "direction"),
    [
        ("birthday >= 2000-03-01", 1, "more"),
        ("birthday > 2000-03-01", 2, "more"),
        ("birthday < 2000-02-01", 29, "less"),
        ("2000-02-28 = birthday", 1, "less"),
    ],
)
def test_the_gap_of_dates_is_in_days(text: str, amount: int, direction: str) -> None:
    trace = condition(text, birthday=date(2000, 2, 29))

    assert trace.gap == Gap(
        side=trace.expression.right if text[0] == "2" else trace.expression.left,  # type: ignore[union-attr]
        amount=amount,
        unit="days",
        direction=direction,  # type: ignore[arg-type]
        beyond=False,
    )


@pytest.mark.parametrize(
    "text",
    [
        "points >= 7",  # true already
        "points != 7",
        'country = "FR"',
        "member = false",
        "credit > 1",  # unknown
        "birthday is known",
    ],
)
def test_there_is_not_always_a_gap(text: str) -> None:
    assert condition(text, points=7, country="DE", member=True).gap is None


def test_the_shortest_way_takes_the_nearest_alternative() -> None:
    nearest = "(credit > 5 and member) or birthday < 1990-01-01"
    text = f'points > 10 and ({nearest}) and country = "DE"'

    way = shortest_way(condition(text, points=7, credit=1, member=False, country="FR", birthday=date(2000, 1, 1)))

    assert [step.text for step in way] == ["points > 10", "birthday < 1990-01-01", 'country = "DE"']
    assert shortest_way(condition("points > 5", points=7)) == ()
    assert [step.text for step in shortest_way(condition("not (points > 5 and member)", points=7, member=True))] == [
        "points > 5"
    ]


def test_what_blocks_is_traced_towards_letting_go() -> None:
    trace = tag(VIP, metrics={"spent": 2000, "times": 6, "recency": 75})

    assert trace.answer is False
    assert trace.unless is not None
    assert gaps(shortest_way(trace.unless)) == [("recency", 15, "less")]


RULES = """
tag "A" when points > 5
tier loyalty "Gold" when points > 100 "Silver" when points > 10 otherwise "None"
class kind "Rich" when credit > 5 "Many" when points > 5
tag "B" when has tag "A" and tier loyalty is at least "Silver" and class kind is not "Rich"
    because "{points} points, {credit} of credit"
"""


def test_references_are_leaves_with_their_answer() -> None:
    trace = tag(RULES, "B", points=7, credit=Decimal(1))

    given, level, kind = trace.when.children
    assert (given.answer, given.children) == (True, ())
    assert (level.answer, level.operands, level.children) == (False, ("None",), ())
    assert (kind.answer, kind.children[0].operands) == (True, ("Many",))
    assert trace.because == (7, Decimal("1.0000"))


@pytest.mark.parametrize(
    ("name", "points", "credit", "answer", "lines", "decided_by"),
    [
        ("loyalty", 11, None, "Silver", [False, True], 1),
        ("loyalty", 1, None, "None", [False, False], None),
        ("loyalty", None, None, "None", [None, None], None),
        ("kind", 7, 6, "Rich", [True, True], 0),
        ("kind", 7, None, None, [None, True], 0),
        ("kind", 1, 1, None, [False, False], None),
    ],
)
def test_a_ladder_is_traced_line_by_line(
    name: str,
    points: int | None,
    credit: int | None,
    answer: str | None,
    lines: list[bool | None],
    decided_by: int | None,
) -> None:
    trace = explain(ruleset(RULES), Facts(attributes={"points": points, "credit": credit}), TODAY, name)

    assert isinstance(trace, LadderTrace)
    assert (trace.answer, trace.decided_by) == (answer, decided_by)
    assert [line.answer for line in trace.lines] == lines


def test_only_what_counted_is_traced() -> None:
    text = '(if member then points else credit) > 5 and (credit default points) > 5 and country in ("DE", "FR")'
    taken, filled, listed = condition(text, member=True, points=7, credit=None, country="IT").children

    assert [child.text for child in taken.children[0].children] == ["member", "points"]
    assert [child.text for child in filled.children[0].children] == ["credit", "points"]
    assert listed.operands == ("IT", "DE", "FR")
    present = condition("(credit default points) > 5", credit=6)
    assert [child.text for child in present.children[0].children] == ["credit"]


def test_a_list_is_shown_with_its_values() -> None:
    rules = 'let cities = "Paris", "Rome" tag "VIP" when country not in cities'

    (listed,) = tag(rules, country="Rome").when.children

    assert (listed.answer, listed.wanted, listed.operands) == (True, False, ("Rome", "Paris", "Rome"))


def test_a_rule_is_named_with_or_without_its_kind() -> None:
    rules, facts = ruleset('tag "same" when points > 1 class same "A" when points > 1'), Facts(attributes={})

    assert isinstance(explain(rules, facts, TODAY, "same"), TagTrace)
    assert isinstance(explain(rules, facts, TODAY, ("class", "same")), LadderTrace)
    for unknown in ("other", ("tier", "same")):
        with pytest.raises(KeyError):
            explain(rules, facts, TODAY, unknown)


def test_events_explain_as_well() -> None:
    facts = Facts(attributes={"country": "DE"}, events={"orders": [order("2026-03-01", amount=1000)]})
    trace = explain(ruleset(VIP), facts, TODAY, "VIP")

    assert isinstance(trace, TagTrace)
    assert gaps(shortest_way(trace.when)) == [("spent", Decimal("250.0000"), "more")]


def test_an_overflow_in_an_explanation_names_the_rule() -> None:
    rules = ruleset('class c "A" when points > 1 "B" when points * points > 1')

    with pytest.raises(Overflow, match="class c"):
        explain(rules, Facts(attributes={"points": 10**18}), TODAY, "c")
