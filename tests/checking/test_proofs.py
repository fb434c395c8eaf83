"""What is said never to happen does not happen, and what is plain to see is said."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruleengine.checking.check import check
from ruleengine.checking.proofs import prove
from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics.problem import Problem, Problems
from ruleengine.diagnostics.render import render_text
from ruleengine.interpreter import Facts, evaluate
from ruleengine.interpreter.evaluation import Evaluation
from ruleengine.source import Source
from ruleengine.verbs.check import check as check_folder
from tests.test_corpus import Page

MODEL = """
entity customer from customers key customer_id integer (country text, birthday date, vip boolean, credit decimal(9,2))
events orders from orders key order_id integer for customer_id at ordered_at
    (amount decimal(9,2), status text, channel text)
let floor = 10 then 12 from 2026-07-01
let near = "DE", "FR"
metric spend = sum(orders.amount where status = "paid")
metric frequency = count(orders where status = "paid")
metric latest_day = latest(orders where status = "paid")
metric recency = days since latest_day
metric age = days since first(orders where status = "paid")
metric basket = spend / frequency
metric large = count(orders where amount > 10)
metric larger = count(orders where amount > 20)
metric paid_large = count(orders where status = "paid" and amount > 10)
metric share = large / count(orders)
metric most = max(orders.amount where status = "paid")
metric least_paid = min(orders.amount where status = "paid")
metric channels = count(distinct orders.channel where status = "paid")
metric days_there = active_days(orders where status = "paid")
metric gap = longest_gap_days(orders where status = "paid")
metric last_gap = latest_gap_days(orders where status = "paid")
metric usual_gap = average_gap_days(orders where status = "paid")
metric last_channel = latest(orders.channel where status = "paid")
score points
    add 10 when frequency_30d >= 1
    add 5 when spend > 10
    add -3 when country is missing
"""
TODAY = date(2026, 7, 10)


def ruleset(rules: str) -> Ruleset:
    checked = check([Source("test.rules", MODEL + rules + "\n")], "test", "Europe/Paris")
    assert checked.ruleset is not None, [problem for problem in checked.problems if problem.is_error]
    return checked.ruleset


def codes_of(problems: Sequence[Problem]) -> list[str]:
    return [problem.code.name for problem in problems]


# -- rules made up, and customers for whom what is claimed would not hold -------------------------------------

WHOLE = (
    *("frequency", "frequency_7d", "frequency_30d", "frequency_90d", "frequency_1m", "frequency_3m", "frequency_mtd"),
    *("(frequency during previous 30 days)", "(frequency during previous month)", "frequency_ytd", "frequency_12m"),
    *("recency", "recency_30d", "age", "large", "larger", "paid_large", "large_30d", "channels", "channels_30d"),
    *("days_there", "days_there_7d", "gap", "last_gap", "gap_30d", "points", "days until anniversary of birthday"),
    *("days since birthday", "days until birthday", "(frequency_30d + larger)", "(frequency - frequency_30d)"),
    *("(frequency * 2)", "(frequency * large)", "(recency default 0)", "least(recency, 30)", "floor(spend)"),
    *("count(orders where status in near and amount > 10)", "(if frequency > 3 then recency else 5)"),
)
EXACT = (
    "spend",
    "spend_7d",
    "spend_30d",
    "credit",
    "most",
    "most_30d",
    "least_paid",
    "abs(credit)",
    "round(credit, 1)",
)
DOUBLES = ("basket", "basket_30d", "share", "usual_gap", "(spend / 4)", "(2 * usual_gap)", "average(orders.amount)")
TEXTS = ("country", "last_channel")
BOUNDS = ("0", "1", "2", "3", "5", "6", "7", "29", "30", "31", "60", "90", "365", "366", "floor", "-1")
WORDS = ("DE", "FR", "web", "app", "")

Draw = Any


def atom(draw: Draw) -> str:
    sign = draw(st.sampled_from(["<", "<=", ">", ">=", "=", "!=", ">", "<"]))
    match draw(st.sampled_from(["whole"] * 6 + ["exact"] * 3 + ["double", "pair", "text", "other"])):
        case "whole":
            return f"{draw(st.sampled_from(WHOLE))} {sign} {draw(st.sampled_from(BOUNDS))}"
        case "exact":
            return f"{draw(st.sampled_from(EXACT))} {sign} {draw(st.sampled_from([*BOUNDS, '10.5', '9.99']))}"
        case "double":
            return f"{draw(st.sampled_from(DOUBLES))} {sign} {draw(st.sampled_from([*BOUNDS, '0.5', '33.3']))}"
        case "pair":
            numbers = st.sampled_from([*WHOLE, *EXACT, *DOUBLES])
            return f"{draw(numbers)} {sign} {draw(numbers)}"
        case "text":
            text = draw(st.sampled_from(TEXTS))
            test = draw(st.sampled_from(["=", "!=", "<", ">=", "starts with", "contains", "in near", "is missing"]))
            return f"{text} {test}" + ("" if test[:2] in ("in", "is") else f' "{draw(st.sampled_from(WORDS))}"')
        case _:
            others = ("vip", "vip = false", "recency is missing", "basket is known", "latest_day > 2026-06-20")
            return str(draw(st.sampled_from([*others, 'sample 30% "a"', 'has tag "First"', 'class step is "B"'])))


def condition(draw: Draw, depth: int = 2) -> str:
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return atom(draw)
    items = [condition(draw, depth - 1) for _ in range(draw(st.integers(2, 3)))]
    joined = f" {draw(st.sampled_from(['and', 'and', 'or']))} ".join(f"({item})" for item in items)
    return f"not ({joined})" if draw(st.integers(0, 4)) == 0 else joined


@st.composite
def rulesets(draw: Draw) -> str:
    lines = [f'tag "First" when {base(condition(draw, 1))}']
    steps = [f'    "{value}" when {base(condition(draw, 1))}' for value in "ABC"]
    lines += ["class step", *steps]
    for number in range(3):
        unless = f" unless {condition(draw, 1)}" if draw(st.booleans()) else ""
        lines.append(f'tag "T{number}" when {condition(draw)}{unless}')
    # One that is nearly the same, and often is.
    twin = lines[-1].replace('"T2"', '"Twin"')
    sign, other = draw(st.sampled_from([(" < ", " <= "), (" > ", " >= "), ("30d ", "1m "), (" 0", " 1"), ("x", "x")]))
    twin = twin.replace(sign, other, 1)
    lines.append(twin)
    lines += ["tier height", *(f'    "{value}" when {condition(draw, 1)}' for value in "KLM")]
    return "\n".join(lines)


def base(text: str) -> str:
    """A condition that refers to no rule, and reads no key, since examples have none."""
    return text.replace('has tag "First"', "vip").replace('class step is "B"', "vip").replace('sample 30% "a"', "vip")


@dataclass(frozen=True)
class Customer:
    facts: Facts
    day: date


@st.composite
def customers(draw: Draw) -> Customer:
    day = draw(st.sampled_from([TODAY, date(2026, 3, 31), date(2028, 2, 29), date(2026, 7, 1), date(2027, 1, 1)]))
    ago = st.sampled_from([0, 1, 2, 6, 7, 8, 28, 29, 30, 31, 59, 60, 61, 89, 90, 91, 182, 364, 365, 366, 400, 700])
    orders = [
        {
            "order_id": number,
            "ordered_at": datetime.combine(day - timedelta(draw(ago)), datetime.min.time()),
            "amount": draw(
                st.sampled_from([None, *(Decimal(n) for n in ("0", "5", "10", "10.01", "20.5", "99", "-4"))])
            ),
            "status": draw(st.sampled_from(["paid", "paid", "paid", "DE", None])),
            "channel": draw(st.sampled_from(["web", "app", None, "x"])),
        }
        for number in range(draw(st.integers(0, 6)))
    ]
    attributes: Mapping[str, Any] = {
        "customer_id": 1,
        "country": draw(st.sampled_from([None, "DE", "FR", "D", "web", "zz"])),
        "birthday": draw(st.sampled_from([None, day, date(2000, 2, 29), date(1990, 7, 11), day + timedelta(30)])),
        "vip": draw(st.sampled_from([None, True, False])),
        "credit": draw(st.sampled_from([None, Decimal("0"), Decimal("10.25"), Decimal("-1"), Decimal("9.99")])),
    }
    return Customer(Facts(attributes=attributes, events={"orders": orders}), day)


def contradictions(rules: Ruleset, problems: Sequence[Problem], customer: Customer) -> Iterator[object]:
    """The claims that a customer shows to be wrong."""
    evaluation = Evaluation(rules, customer.facts, customer.day)
    evaluation.run()
    conditions = {level.when.span: level.when for ladder in rules.ladders.values() for level in ladder.levels}
    for tag in rules.tags.values():
        conditions |= {part.span: part for part in (tag.when, tag.unless) if part is not None}
    lines = {level.span: (ladder, level) for ladder in rules.ladders.values() for level in ladder.levels}
    for problem in problems:
        span = problem.span
        match problem.code.name:
            case "never-true" | "never-together":
                assert span is not None
                whole = [
                    part for place, part in conditions.items() if place.start <= span.start and span.end <= place.end
                ]
                if any(evaluation.truth(part) for part in whole):
                    yield problem
            case "always-true":
                if span in conditions and evaluation.truth(conditions[span]) is not True:
                    yield problem
            case "never-given":
                if evaluation.tags[str(problem.facts["name"])] is True:
                    yield problem
            case "hidden-level":
                assert span is not None
                ladder, level = lines[span]
                if evaluation.ladders[ladder.name] == level.value:
                    yield problem
            case "equal-tags":
                one, other = (evaluation.tags[str(problem.facts[fact])] is True for fact in ("name", "other"))
                if one != other:
                    yield problem
            case "gap":
                given = example_of(str(problem.facts["example"]))
                if given is not None and answer(rules, given, str(problem.facts["ladder"])) is not None:
                    yield problem
            case _:
                raise AssertionError(problem)


def example_of(text: str) -> Mapping[str, Any] | None:
    """The values of an example, by name; None where some are of what has no name."""
    known: dict[str, Any] = {}
    for part in text.split(", "):
        name, _, value = part.partition(" = ")
        if name.startswith("days ") or value == "anything else" or (name.endswith(")") and "(" not in name):
            return None
        known[name] = value[1:-1] if value[0] == '"' else value == "true" if value[0] in "tf" else Decimal(value)
    return known


def answer(rules: Ruleset, given: Mapping[str, Any], ladder: str) -> str | None:
    """The value of a ladder for a customer of whom just that is given."""
    attributes = {name: value for name, value in given.items() if name not in rules.metrics}
    metrics = {name: value for name, value in given.items() if name in rules.metrics}
    outcome = evaluate(rules, Facts(attributes={"customer_id": 1, **attributes}, metrics=metrics), date(2026, 1, 1))
    assert ladder not in outcome.unknown_lines
    return outcome.ladders[ladder]


def no_sample(text: str) -> str:
    return text.replace('sample 30% "a"', "vip")


LOOK = settings(deadline=None, print_blob=True, max_examples=60, suppress_health_check=list(HealthCheck))


def agree(text: str, people: Sequence[Customer]) -> None:
    rules = ruleset(no_sample(text))
    problems = prove(rules)
    for customer in people:
        assert list(contradictions(rules, problems, customer)) == []


@LOOK
@given(rulesets(), st.lists(customers(), min_size=10, max_size=20))
def test_no_customer_contradicts_a_claim(text: str, people: list[Customer]) -> None:
    agree(text, people)


@pytest.mark.slow
@settings(LOOK, max_examples=500)
@given(rulesets(), st.lists(customers(), min_size=10, max_size=40))
def test_no_customer_contradicts_a_claim_at_length(text: str, people: list[Customer]) -> None:
    agree(text, people)


# -- rules by hand --------------------------------------------------------------------------------------------

NEVER = """
frequency < 0
frequency > 3 and frequency < 4
frequency_30d > frequency_90d
frequency_1m > frequency_31d
frequency_mtd > frequency_ytd
frequency_ytd > frequency_12m
(frequency during previous month) > frequency_2m
(frequency during previous 30 days) > frequency_60d
recency > 60 and frequency_60d > 0
recency >= 60 and frequency_60d > 0
recency < 60 and frequency_60d = 0
recency > 366 and frequency_12m > 0
recency < 365 and frequency_12m = 0
recency_30d >= 30
recency is missing and frequency > 0
recency > age
age < 30 and frequency_30d < frequency
spend != 0 and frequency = 0
paid_large > large
larger > large
channels > frequency
days_there > frequency
days_there_7d > 7
last_gap > gap
usual_gap > gap
usual_gap is known and frequency < 2
least_paid > most
most_30d > most
basket > 3 and frequency = 0
basket < 0 and spend > 0
share > 1
share < 0
points > 15
points < -3
points > 10 and frequency_30d = 0
last_channel is known and frequency = 0
latest_day > 2030-01-01 and latest_day < 2030-01-01
country = "DE" and country = "FR"
country = "DE" and not country in near
country < "DE" and country = "FR"
country starts with "D" and country = "FR"
vip and vip = false
credit > 5 and credit < 5.01
round(credit, 1) > 5 and credit < 5.05
floor(credit) >= 6 and credit < 6
abs(credit) < 0
least(recency, 30) > 30
(recency default 0) < 0
frequency > floor and frequency < 10
(if vip then 5 else 3) > 5
2 * frequency > 5 and frequency <= 2
not (frequency >= 0)
rank(spend) < 1
quintile(spend) > 5
percentile(spend) > 1
top 10 by spend and not top 20 by spend
top 10% by spend and not top 20% by spend
top 5 by spend among (frequency > 3) and frequency < 2
sample 10% "a" and not sample 20% "a"
"""

SOMETIMES = """
frequency_30d > frequency_1m
frequency_1m > frequency_30d
frequency_12m > frequency_365d
frequency_ytd > frequency_90d
(frequency during previous month) > frequency_1m
(frequency during previous 30 days) > frequency_30d
recency > 365 and frequency_12m = 0
recency > 58 and frequency_60d > 0
recency > 364 and frequency_12m > 0
recency < 366 and frequency_12m = 0
spend < 0
spend_30d > spend_90d
spend > 0 and frequency = 1
basket > 100 and frequency = 1
basket < 0
large > paid_large
larger > paid_large
frequency_90d > 0 and large_30d = 0
channels = 0 and frequency > 0
gap > 365
last_channel is missing and frequency > 0
country != "DE" and not country in near
country > "DE" and country < "FR"
country contains "E" and country = "DE"
credit > 5 and credit < 5.02
round(credit, 1) > 5 and credit <= 5.05
frequency > floor and frequency < 12
(frequency * large) < 0
usual_gap < 2 and gap > 30
not sample 10% "a" and sample 20% "a"
sample 10% "a" and not sample 20% "b"
top 10 by spend and not top 20 by frequency
rank(spend) > 5 and not top 5 by frequency
quintile(spend) = 5
recency is missing
"""


@pytest.mark.parametrize("condition", NEVER.strip().splitlines())
def test_never_so(condition: str) -> None:
    assert codes_of(prove(ruleset(f'tag "A" when {condition}'))) in (["never-true"], ["never-together"])


@pytest.mark.parametrize("condition", SOMETIMES.strip().splitlines())
def test_so_of_some(condition: str) -> None:
    assert codes_of(prove(ruleset(f'tag "A" when {condition}'))) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("recency < 30", "frequency_30d > 0", True),
        ("recency < 30", "frequency_1m > 0", False),
        ("frequency > 5 and spend > 3", "spend > 3 and frequency >= 6", True),
        ("frequency > 5", "not frequency <= 5", True),
        ("recency > 5", "not recency <= 5", True),
        ("recency > 5", "not (recency <= 5 or recency is missing)", True),
        ("(recency default 0) <= 5", "not recency > 5", False),
        ("country in near", 'country = "DE" or country = "FR"', True),
        ("country in near", 'country = "DE"', False),
        ("spend > 3", "spend >= 3", False),
        ("spend > 3", "spend >= 3.01", True),
        ("frequency_12m > 3", "frequency_365d > 3", False),
        ("frequency_12m > 3", "frequency_1y > 3", True),
    ],
)
def test_tags_that_are_the_same(one: str, other: str, same: bool) -> None:
    found = codes_of(prove(ruleset(f'tag "A" when {one}\ntag "B" when {other}')))

    assert found == (["equal-tags"] if same else [])


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("frequency = 0", "frequency > 1"), "frequency = 1"),
        (("recency < 30", "recency > 30"), "recency = 30"),
        (("credit < 5", "credit >= 5.01"), "credit = 5"),
        (("credit < 5", "credit >= 5"), None),
        (("spend = 0", "spend > 0"), None),  # of less than nothing no example is made
        (("spend_30d > spend_90d", "spend_30d <= spend_90d"), None),
        (("basket < 25", "basket > 25"), None),  # no quotient that is just 25 was made up
        (("(spend / 4) < 1", "frequency < 0"), None),
        (("vip", "country is missing"), "vip = false, country = anything else"),
        (("not vip", "vip"), None),
        (('country = "DE"', 'country != "DE"'), None),
        (("frequency > floor", "frequency <= 10"), None),  # would need a date
    ],
)
def test_gaps_of_a_class(lines: tuple[str, str], found: str | None) -> None:
    problems = prove(ruleset(f'class c\n    "A" when {lines[0]}\n    "B" when {lines[1]}'))

    assert [problem.facts["example"] for problem in problems if problem.code.name == "gap"] == (
        [found] if found else []
    )


@pytest.mark.parametrize(
    "clause",
    [
        "until recency > 60",
        "keep for 14 days",
        "if unknown keep",
        "limit 10 by spend",
    ],
)
def test_nothing_is_claimed_of_a_tag_that_more_than_its_conditions_decide(clause: str) -> None:
    rules = 'tag "A" when recency < 30\ntag "B" when frequency_30d > 0 {}\ntag "C" when has tag "B" and recency > 90'

    assert codes_of(prove(ruleset(rules.format("")))) == ["equal-tags", "never-together"]
    assert codes_of(prove(ruleset(rules.format(clause)))) == []


def test_check_proves_unless_asked_not_to(tmp_path: Path) -> None:
    (tmp_path / "ruleset.toml").write_text('[ruleset]\nname = "t"\ntimezone = "UTC"\n', "utf-8")
    (tmp_path / "a.rules").write_text(MODEL + 'tag "A" when frequency < 0\n', "utf-8")

    assert "never-true" in codes_of(check_folder(tmp_path).problems)
    assert "never-true" not in codes_of(check_folder(tmp_path, proofs=False).problems)


def test_the_same_rules_have_the_same_problems() -> None:
    text = "\n".join(f'tag "{number}" when {condition}' for number, condition in enumerate(NEVER.split("\n")[1:-1]))

    assert prove(ruleset(text)) == prove(ruleset(text))


def test_what_takes_too_long_is_not_claimed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ruleengine.checking.proofs.terms.EFFORT", 1)

    assert prove(ruleset('tag "A" when frequency_30d > frequency_90d and recency < 5')) == ()


# -- the page for readers -------------------------------------------------------------------------------------

PAGE = Page(Path(__file__).parents[2] / "docs" / "proofs.md")


def test_the_page_shows_what_is_found(request: pytest.FixtureRequest) -> None:
    model, *files = (block.read() for block in PAGE.blocks("rules"))
    found = []
    for file in files:
        assert isinstance(model, Source)
        assert isinstance(file, Source)
        checked = check([model, file], "page", "Europe/Paris")
        assert checked.ruleset is not None
        found.append(render_text(tuple(Problems(prove(checked.ruleset)))))
    if request.config.getoption("--update-corpus"):
        texts = iter(found)
        block = re.compile(r"^```problems\n.*?^```$", re.MULTILINE | re.DOTALL)
        PAGE.path.write_text(block.sub(lambda _: f"```problems\n{next(texts)}```", PAGE.text), "utf-8")

    assert [block.text for block in PAGE.blocks("problems")] == found
