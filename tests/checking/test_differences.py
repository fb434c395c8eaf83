"""Two sets of rules are compared by what they say, not by how it is written."""

import re
from pathlib import Path

import pytest

from ruleengine.checking.differences import Difference, compare
from ruleengine.source import Source
from ruleengine.syntax.format import format_file
from ruleengine.syntax.nodes import File
from ruleengine.syntax.parse import parse

GROCERY = sorted((Path(__file__).parents[2] / "rulesets" / "grocery").glob("*.rules"))
RULES = """\
entity customer from customers key customer_id integer (country text, birthday date)

events orders from orders for customer_id at ordered_at (amount decimal, status text)

let floor "下限" = 1_000 then 2_000 from 2026-07-01

metric monetary "消费金额" = sum(orders.amount where status = "paid")

metric frequency = count(orders)

metric basket = monetary / frequency

tag "VIP"
    when monetary_90d > floor and frequency >= 5
    because "{monetary_90d} spent"

tag "Whale" when has tag "VIP" and (basket > 100 or country is "DE")

tier loyalty
    "Gold" when monetary_12m >= 2_000
    "Silver" when monetary_12m >= 500
    otherwise "Member"

check tag "VIP" covers 1% to 10% else fail

example "rich" as of 2026-03-31
    given monetary_90d = 5_000, frequency = 5
    expect tag "VIP"
"""


def read(*texts: str) -> list[File]:
    parsed = [parse(Source(f"{number}.rules", text)) for number, text in enumerate(texts)]
    assert [problem.code.name for each in parsed for problem in each.problems if problem.is_error] == []
    return [each.file for each in parsed]


def differences(old: str, new: str) -> tuple[Difference, ...]:
    return compare(read(old), read(new))


def edited(old: str, new: str, text: str = RULES) -> tuple[Difference, ...]:
    """What differs where one piece of the rules is another."""
    assert text.count(old) == 1, old
    return differences(text, text.replace(old, new))


def told(found: tuple[Difference, ...]) -> list[tuple[str, str]]:
    return [(each.change, " ".join(each.new or each.old or ())) for each in found]


def parts(found: tuple[Difference, ...]) -> list[tuple[str, str | None, str | None]]:
    (one,) = found
    return [(part.clause, part.old, part.new) for part in one.parts]


# -- no difference ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("when monetary_90d > floor and frequency >= 5", "when\n\n  monetary_90d   > floor # much\n and frequency>=5"),
        ("when monetary_90d > floor and frequency >= 5", "when ((monetary_90d > (floor)) and frequency >= 5)"),
        ('country is "DE"', 'country = "DE"'),
        ("1_000 then", "1000 then"),
        ("monetary_90d > floor", "消费金额_90d > 下限"),
        ("monetary_90d > floor", "近90天消费金额 > floor"),
        ("monetary_90d > floor", "monetary_90d > 下限"),
        ('tag "Whale" when has tag', '标签 "Whale" 当 has tag'),
        ("check tag", "check  tag"),
    ],
)
def test_another_spelling_is_no_difference(old: str, new: str) -> None:
    assert edited(old, new) == ()


def test_order_and_files_are_no_difference() -> None:
    statements = re.split(r"\n\n(?=\w)", RULES)
    assert len(statements) == 11

    assert compare(read(RULES), read(*reversed(statements))) == ()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_formatter_changes_nothing(language: str) -> None:
    texts = [path.read_text("utf-8") for path in GROCERY]
    laid_out = [format_file(parse(Source("a.rules", text)), language) for text in texts]

    assert compare(read(*texts), read(*laid_out)) == ()


# -- differences --------------------------------------------------------------------------------------------------


def test_what_comes_and_goes() -> None:
    assert told(differences(RULES, RULES + '\ntag "New" when frequency = 1\n')) == [("added", "tag New")]
    assert told(differences(RULES + '\ntag "New" when frequency = 1\n', RULES)) == [("removed", "tag New")]


GOLD = '"Gold" when monetary_12m >= 2_000'
COUNT = 'count(orders where status = "paid")'


@pytest.mark.parametrize(
    ("old", "new", "what", "clause"),
    [
        ("frequency >= 5\n", "frequency >= 6\n", "tag VIP", "when"),
        ('because "{monetary_90d} spent"', 'because "much"', "tag VIP", "because"),
        ('\n    because "{monetary_90d} spent"', "", "tag VIP", "because"),
        (GOLD, GOLD.replace("000", "500"), "tier loyalty", '"Gold" when'),
        ('otherwise "Member"', 'otherwise "Guest"', "tier loyalty", "otherwise"),
        ('    "Silver" when monetary_12m >= 500\n', "", "tier loyalty", '"Silver"'),
        ("2_000 from 2026-07-01", "2_000 from 2026-08-01", "parameter floor", "="),
        ("count(orders)", COUNT, "metric frequency", "="),
        ("birthday date", "birthday text", "entity customer", "birthday type"),
        ("country text, ", "", "entity customer", "country"),
        ("basket > 100 or", "basket > 100 and", "tag Whale", "when"),
        ("frequency = 5\n", "frequency = 6\n", "example rich", "givens"),
        ("10% else fail", "10% else warn", 'check tag "VIP" covers 1% to 10%', "otherwise"),
    ],
)
def test_what_changes_is_named(old: str, new: str, what: str, clause: str) -> None:
    found = edited(old, new)

    assert told(found) == [("changed", what)]
    ((name, was, now),) = parts(found)
    assert name == clause
    assert was != now


def test_a_clause_is_shown_as_written_on_both_sides() -> None:
    assert parts(edited(GOLD, GOLD.replace("000", "500"))) == [
        ('"Gold" when', "monetary_12m >= 2_000", "monetary_12m >= 2_500")
    ]
    assert parts(edited('\n    because "{monetary_90d} spent"', "")) == [("because", '"{monetary_90d} spent"', None)]
    assert parts(edited("10% else fail", "10% else warn")) == [("otherwise", "fail", "warn")]


def test_the_order_of_levels_is_a_difference() -> None:
    gold, silver = '    "Gold" when monetary_12m >= 2_000\n', '    "Silver" when monetary_12m >= 500\n'

    assert parts(edited(gold + silver, silver + gold)) == [("order", '"Gold", "Silver"', '"Silver", "Gold"')]


def test_a_level_may_have_a_new_name_too() -> None:
    new = GOLD.replace('"Gold"', '"Best" formerly "Gold"').replace("000", "500")

    assert [clause for clause, _, _ in parts(edited(GOLD, new))] == ['"Best" value', '"Best" when', '"Best" formerly']


def test_another_check_is_one_that_comes_and_one_that_goes() -> None:
    assert told(edited("1% to 10%", "2% to 10%")) == [
        ("added", 'check tag "VIP" covers 2% to 10%'),
        ("removed", 'check tag "VIP" covers 1% to 10%'),
    ]


def test_parentheses_that_mean_something_are_a_difference() -> None:
    rules = 'metric x = 10 - 5 - 3\ntag "A" when x > 1\n'

    assert told(differences(rules, rules.replace("10 - 5 - 3", "10 - (5 - 3)"))) == [("changed", "metric x")]
    assert differences(rules, rules.replace("10 - 5 - 3", "(10 - 5) - 3")) == ()


# -- names --------------------------------------------------------------------------------------------------------


def renamed(pattern: str, new: str) -> tuple[Difference, ...]:
    return differences(RULES, re.sub(pattern, new, RULES))


@pytest.mark.parametrize(
    ("pattern", "new", "what"),
    [
        ('"VIP"', '"Best"', "tag Best"),
        ("loyalty", "club", "tier club"),
        (r"\bfrequency", "orders_made", "metric orders_made"),
        (r"floor", "threshold", "parameter threshold"),
        ('example "rich"', 'example "spends much"', "example spends much"),
    ],
)
def test_a_new_name_is_told_as_such_and_changes_nobody_who_says_it(pattern: str, new: str, what: str) -> None:
    (found,) = renamed(pattern, new)

    assert told((found,)) == [("renamed", what)]
    assert found.parts == ()
    assert found.old
    assert found.old[0] == what.split()[0]


def test_windows_and_reasons_follow_a_new_name() -> None:
    found = renamed("monetary", "spent")

    assert told(found) == [("renamed", "metric spent"), ("changed", "tag VIP")]
    assert [part.clause for part in found[1].parts] == ["because"]


def test_what_was_renamed_and_changed_is_told_by_formerly() -> None:
    found = edited(
        'tag "VIP"\n    when monetary_90d > floor', 'tag "Best" formerly "VIP"\n    when monetary_90d >= floor'
    )

    assert ("renamed", "tag Best") in told(found)
    (best,) = [each for each in found if each.new == ("tag", "Best")]
    assert best.old == ("tag", "VIP")
    assert [part.clause for part in best.parts] == ["when", "formerly"]


def test_two_of_the_same_body_are_paired_once() -> None:
    old = 'tag "A" when frequency = 1\ntag "B" when frequency = 1\n'
    new = 'tag "C" when frequency = 1\ntag "D" when frequency = 1\n'

    found = differences(old, new)

    assert [(each.change, each.old, each.new) for each in found] == [
        ("renamed", ("tag", "A"), ("tag", "C")),
        ("renamed", ("tag", "B"), ("tag", "D")),
    ]


# -- whatever is changed ------------------------------------------------------------------------------------------


def code(path: Path) -> str:
    """A rule file with other signs where its comments and quoted texts are."""
    return re.sub(r"#.*|\"[^\"]*\"", lambda found: "x" * len(found[0]), path.read_text("utf-8"))


NUMBERS = [
    (path.name, found.start())
    for path in GROCERY
    for found in re.finditer(r"(?<![\w.\"-])\d[\d_]*(?![\w.%-])", code(path))
]


def test_every_number_of_the_worked_ruleset_counts() -> None:
    assert len(NUMBERS) > 20
    texts = {path.name: path.read_text("utf-8") for path in GROCERY}
    old = read(*texts.values())
    for name, at in NUMBERS:
        changed = texts | {name: texts[name][:at] + "1" + texts[name][at:]}
        found = compare(old, read(*changed.values()))
        line = texts[name][:at].count("\n") + 1
        spans = [each.statement.span for each in found]
        places = [[span.source.position(end)[0] for end in (span.start, span.end)] for span in spans]
        assert any(first <= line <= last for first, last in places), (name, line, told(found))
