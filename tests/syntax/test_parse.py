"""Parsing: places, recovery, and that no text whatever gets the better of it."""

import re
import time
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ruleengine.diagnostics.messages import fields, messages
from ruleengine.diagnostics.render import render_json, render_text
from ruleengine.source import Source
from ruleengine.syntax import nodes
from ruleengine.syntax.format import format_file
from ruleengine.syntax.language import build
from ruleengine.syntax.parse import Parsed, parse
from tests.syntax.pages import WELL_WRITTEN

TERMINALS = {terminal.name for terminal in build().terminals} | {"$END", "BROKEN"}

PIECES = [
    *("tag", "when", "unless", "tier", "class", "and", "or", "not", "(", ")", '"', "“", "during", "last", "days", "if"),
    *(
        "then",
        "else",
        "default",
        "has",
        "is",
        "in",
        "between",
        "=",
        "==",
        ">",
        "<=",
        "+",
        "-",
        "*",
        "/",
        ",",
        ".",
        "\n",
    ),
    *(
        "12,500",
        "2026-02-30",
        "90days",
        "0.5",
        "20%",
        "#",
        "\r\n",
        "\r",
        "\0",
        "\u200b",
        "é",
        "金",
        "《",
        "'",
        "{",
        ";",
    ),
    *("metric", "let", "draft", "entity", "events", "from", "key", "for", "at", "most", "check", "example", "until"),
    *("tga", "wen", "TAG", "sample", "top", "keep", "owner", "review", "by", "otherwise", "where", "\ud800", "\ufeff"),
]


def read(text: str) -> Parsed:
    return parse(Source("a.rules", text))


def codes_of(text: str) -> list[str]:
    return [problem.code.name for problem in read(text).problems]


def names(parsed: Parsed) -> list[str]:
    found = [getattr(statement, "name", None) for statement in parsed.file.statements]
    return [name.value if isinstance(name, nodes.Text) else name.text for name in found if name is not None]


def examine(text: str) -> None:
    """Nothing is raised; every problem can be said, in words, at a place that there is."""
    parsed = read(text)
    for problem in parsed.problems:
        message = messages().of_code[problem.code.name]
        assert fields(message.message) <= problem.facts.keys()
        assert problem.span
        assert 0 <= problem.span.start <= problem.span.end <= len(text)
    render_text(parsed.problems, colour=True)
    for shown in render_json(parsed.problems):
        said = re.sub(r"U\+[0-9A-F]+ [A-Z0-9 -]+", "", " ".join([shown["message"], *shown["hints"]]))
        words = set(re.findall(r"\$?\b[A-Z_]+\b", said))
        assert not words & TERMINALS - set(re.findall(r"\w+", text)), shown


@settings(max_examples=150, deadline=None)
@given(st.text())
@example("\ud800")
@example("\r")
def test_any_text_is_read(text: str) -> None:
    examine(text)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25), st.sampled_from([" ", ""]))
def test_any_words_are_read(pieces: list[str], gap: str) -> None:
    examine(gap.join(pieces))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(WELL_WRITTEN),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(["", *PIECES])), min_size=1, max_size=4),
)
def test_any_edit_of_a_file_is_read(text: str, edits: list[tuple[float, int, str]]) -> None:
    for where, length, piece in edits:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + length :]
    examine(text)


@pytest.mark.parametrize("text", WELL_WRITTEN)
def test_places_are_those_of_the_text(text: str) -> None:
    for statement in read(text).file.statements:
        again = read(statement.span.text)

        assert again.file.statements == (statement,)
        assert not again.has_errors


def test_what_stands_around_a_mistake_is_kept() -> None:
    parsed = read(
        'tag "A" when x > 1\n'
        'tag "B" wen x > 1\n    and y\n    owner "crm"\n'
        'score points\n    5 when tier loyalty is "Gold"\n'
        'tag "C"\n    when\n    tier loyalty is "Gold"\n'
        'tag D when x\ntag "E" when (x\ntag "F" when x tag "G" when y\n'
        'tier loyalty "Gold" when x\n'
    )

    assert names(parsed) == ["A", "C", "F", "G", "loyalty"]
    assert [problem.code.name for problem in parsed.problems] == [
        "unknown-word",
        "unexpected",
        "missing-quotes",
        "unclosed-parenthesis",
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10_000", "10000"),
        ("1.50", "1.50"),
        ("20%", "0.20"),
        ("12.5%", "0.125"),
        ("1234567890123456789012345678901234567%", "12345678901234567890123456789012345.67"),
        ("１００", "100"),
    ],
)
def test_numbers_are_exact(text: str, value: str) -> None:
    (statement,) = read(f"metric m = {text}").file.statements

    assert isinstance(statement, nodes.MetricStatement)
    assert isinstance(statement.expression, nodes.Number)
    assert statement.expression.value.as_tuple() == Decimal(value).as_tuple()


def test_a_doubled_quote_is_one_and_a_backslash_is_itself() -> None:
    (statement,) = read('tag "a ""b"" \\n" when x').file.statements

    assert isinstance(statement, nodes.TagStatement)
    assert statement.name.value == 'a "b" \\n'


def test_names_are_composed_and_texts_are_not() -> None:
    parsed = read('metric cafe\u0301 = "cafe\u0301"')
    (statement,) = parsed.file.statements

    assert isinstance(statement, nodes.MetricStatement)
    assert statement.name.text == "caf\u00e9"
    assert isinstance(statement.expression, nodes.Text)
    assert statement.expression.value == "cafe\u0301"
    assert [problem.code.name for problem in parsed.problems] == ["not-normalised"]


def test_words_of_the_language_are_names_where_they_cannot_be_words() -> None:
    parsed = read(
        "events events from from key key for for at at (tag text, class text, days integer)\n"
        "metric review = sum(events.days where tag = events.class)\n"
        'tag "A" when owner = "x" and last > 5 and distinct = key and sample > 5'
    )

    assert not parsed.problems
    assert names(parsed) == ["events", "review", "A"]


def test_emoji_are_text() -> None:
    assert not codes_of('tag "👩\u200d💻 team" when x')


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("(" * 49_000, "too-deep"),
        ("metric a = " + "-" * 49_000 + "1", "too-deep"),
        ("metric a = " + "if a then b else " * 9_000 + "c", "too-deep"),
        ('tag "A" when ' + "not " * 49_000 + "a", "too-deep"),
        ("metric a = " + "a + " * 20_000 + "a", "calculation-too-long"),
        ("metric a = " + "b during last 9 days * " * 5_000 + "b", "calculation-too-long"),
        ("a " * 50_001, "too-many-words"),
        ("金" * 333_334, "file-too-large"),
        ("\0" * 900_000, "control-character"),
        ('tag "A" when x\u202e', "invisible-character"),
        ("metric a = " + "9" * 900_000, "number-too-long"),
        ('"' * 900_001, "unclosed-quote"),
        ("foo\n" * 49_000, "unknown-statement"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_hostile_texts_have_one_problem_at_once(text: str, code: str) -> None:
    began = time.process_time()

    if code == "unclosed-quote":
        text = f'tag "A" when {text}'
    assert codes_of(text) == [code]
    assert time.process_time() - began < 5


def test_long_lists_are_no_deep_trees() -> None:
    parsed = read('tag "A" when ' + "a and " * 20_000 + "a")

    assert not parsed.problems
    assert isinstance(parsed.file.statements[0], nodes.TagStatement)
    assert len(parsed.file.statements[0].when.items) == 20_001  # type: ignore[union-attr]


def test_the_deepest_tree_that_is_read_bears_walking() -> None:
    sums = " + ".join(["a"] * 38)
    text = "metric m = " + "(" * 31 + sums + " + a)" * 31
    parsed = read(text)

    assert not parsed.problems
    assert parsed.file == read(text).file
    assert format_file(parsed)
    assert hash(parsed.file) is not None


def test_a_thousand_rules_are_quick() -> None:
    rule = 'tag "VIP {}" when monetary_90d > vip_floor and frequency >= 5 unless has tag "A" owner "crm"\n'
    text = "".join(rule.format(i) for i in range(1_000))
    began = time.process_time()

    assert len(read(text).file.statements) == 1_000
    assert time.process_time() - began < 3
