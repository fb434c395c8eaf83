"""Random syntax trees: whatever a rule file can say."""

import unicodedata
from datetime import date
from typing import Any

from hypothesis import strategies as st

from ruleengine.source import Source, Span
from ruleengine.syntax import nodes
from ruleengine.syntax.language import terminal_of_word
from ruleengine.syntax.mistakes import RESERVED
from ruleengine.syntax.parts import exact
from ruleengine.types import COLUMN_TYPES, ColumnType

SPAN = Span(Source("random.rules", ""), 0, 0)

_NOT_NAMES = set(terminal_of_word()) | RESERVED
_SEED_NAMES = ["orders", "amount", "monetary_90d", "Größe", "消费金额", "x1", "_", "status", "naïve", "клиент"]
_CHARACTERS = st.characters(exclude_categories=["C", "Z", "M"], exclude_characters="“”ᅟᅠㅤﾠ")


def opaque(strategy: Any) -> Any:
    """The same, but described in a word: descriptions of nested strategies grow beyond all bounds."""

    @st.composite
    def drawn(draw: Any) -> Any:
        return draw(strategy)

    return drawn()


def node(kind: Any, *parts: Any) -> Any:
    return st.builds(kind, st.just(SPAN), *parts)


_words = st.one_of(
    st.sampled_from(_SEED_NAMES), st.text("abcdefgxyz_ß金é0123", min_size=1, max_size=8).map(lambda t: f"n{t}")
).map(lambda word: unicodedata.normalize("NFC", word))
names = node(nodes.Name, _words.filter(lambda word: word not in _NOT_NAMES))
texts = node(nodes.Text, st.text(st.one_of(_CHARACTERS, st.sampled_from(" \"“”'#\\")), max_size=12))
days = node(nodes.Day, st.dates(date(1, 1, 1), date(9999, 12, 31)))
numbers = (
    st.from_regex(r"(0|[1-9][0-9]{0,5}(_[0-9]{3})?)(\.[0-9]{1,4})?%?", fullmatch=True)
    .filter(lambda text: text.isascii())
    .map(lambda text: nodes.Number(SPAN, exact(text), text))
)
truths = node(nodes.Truth, st.booleans())
references = node(nodes.Reference, st.none() | names, names)

windows = st.one_of(
    node(nodes.LastWindow, st.integers(1, 100), st.sampled_from(["day", "week", "month", "year"]), st.booleans()),
    node(nodes.CalendarWindow, st.sampled_from(["month", "quarter", "year"]), st.booleans()),
    node(nodes.RangeWindow, st.dates(), st.dates()),
)


def _modifiers(within: Any, among: Any) -> Any:
    some = node(nodes.Modifiers, st.booleans(), st.none() | within, st.booleans(), st.none() | among)
    return some.filter(lambda how: how.lowest or how.within or how.split or how.among)


def _atoms(expressions: Any) -> Any:
    calls = st.builds(
        nodes.Call,
        st.just(SPAN),
        names,
        st.booleans(),
        st.lists(expressions, min_size=1, max_size=3).map(tuple),
        st.none() | expressions,
    )
    ranked = st.builds(
        lambda name, first, last, how: nodes.Call(SPAN, name, False, (*first, last), None, how),
        names,
        st.lists(expressions, max_size=2),
        st.one_of(numbers, references, node(nodes.Group, expressions)),
        _modifiers(references, expressions),
    )
    groups = node(nodes.Group, expressions)
    return opaque(st.one_of(ranked, numbers, texts, days, truths, references, references, calls, groups))


def _conditions(inner: Any) -> Any:
    """One more level of expressions, by the precedence of the grammar, around those that stand in parentheses."""
    atoms = _atoms(inner)
    windowed = opaque(atoms | node(nodes.During, atoms, windows))
    signed = st.one_of(
        windowed,
        windowed,
        node(nodes.Minus, windowed),
        node(nodes.Days, st.sampled_from(["since", "until", "until anniversary of"]), windowed),
    )
    products = st.one_of(signed, signed, node(nodes.Arithmetic, st.sampled_from("*/"), signed, signed))
    sums = opaque(st.one_of(products, products, node(nodes.Arithmetic, st.sampled_from("+-"), products, products)))
    comparisons = st.one_of(
        sums,
        node(nodes.Default, windowed, atoms | node(nodes.Minus, atoms)),
        node(nodes.Comparison, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "is", "is not"]), sums, sums),
        node(nodes.Membership, sums, st.booleans(), names | st.lists(sums, min_size=1, max_size=3).map(tuple)),
        node(nodes.Between, sums, st.booleans(), sums, sums),
        node(nodes.Presence, sums, st.booleans()),
        node(nodes.TextTest, st.sampled_from(["starts with", "ends with", "contains"]), sums, st.booleans(), sums),
        node(nodes.HasTag, texts),
        node(nodes.Top, st.booleans(), numbers, sums, st.none() | _modifiers(windowed, node(nodes.Group, inner))),
        node(nodes.Sample, numbers, texts),
        node(nodes.HadTag, texts, st.none() | st.integers(1, 400)),
        node(
            nodes.LadderWas,
            st.sampled_from(["tier", "class"]),
            names,
            st.booleans(),
            st.booleans(),
            texts,
            st.none() | st.integers(1, 400),
        ),
        node(nodes.LadderIs, st.sampled_from(["tier", "class"]), names, st.booleans(), st.booleans(), texts),
    )
    negations = opaque(st.one_of(comparisons, comparisons, node(nodes.Not, comparisons)))
    items = st.lists(negations, min_size=2, max_size=4).map(tuple)
    junctions = st.one_of(negations, node(nodes.Junction, st.sampled_from(["and", "or"]), items))
    return opaque(st.one_of(junctions, junctions, node(nodes.Conditional, junctions, junctions, junctions)))


def _sums(inner: Any) -> Any:
    """Calculations that need no parentheses beside a word."""
    atoms = _atoms(inner)
    return opaque(st.one_of(atoms, node(nodes.During, atoms, windows), node(nodes.Minus, atoms)))


expressions = st.recursive(st.one_of(numbers, texts, references), _conditions, max_leaves=12)

sums = _sums(expressions)

column_types = st.sampled_from(list(COLUMN_TYPES.values())) | st.builds(
    ColumnType, st.just("decimal"), st.integers(8, 37), st.integers(0, 8)
)
columns = st.lists(node(nodes.Column, names, column_types), max_size=6).map(tuple)
key_types = st.sampled_from([COLUMN_TYPES["text"], COLUMN_TYPES["integer"]])
literals = st.one_of(numbers, texts, days, truths, node(nodes.Minus, numbers))
values = st.lists(literals, min_size=1, max_size=6).map(tuple)

durations = node(nodes.Duration, st.integers(1, 100), st.sampled_from(["day", "week", "month", "year"]))
formerly = st.lists(texts, max_size=2).map(tuple)
reviews = node(nodes.Review, st.sampled_from(["day", "month", "quarter", "year"]), st.none()) | node(
    nodes.Review, st.just("anniversary"), names
)
tags = st.builds(nodes.RuleName, st.just(SPAN), st.just("tag"), texts)
ladders = st.builds(nodes.RuleName, st.just(SPAN), st.sampled_from(["tier", "class"]), names)
qualified = node(nodes.Reference, st.none() | names, names)
checks = st.one_of(
    node(nodes.ConditionCheck, expressions, st.none() | numbers),
    node(nodes.UniqueCheck, qualified),
    node(nodes.FreshCheck, names, durations),
    node(nodes.ExistsCheck, qualified, names, st.none() | numbers),
    node(nodes.CoversCheck, tags, st.none(), numbers, numbers),
    node(nodes.CoversCheck, ladders, st.none() | texts, numbers, numbers),
    node(nodes.ChangesCheck, tags | ladders, numbers),
    node(nodes.NeverMovesCheck, ladders, texts, texts),
)
given_values = node(nodes.GivenValue, qualified, st.none() | literals)
given_histories = node(nodes.GivenHistory, tags, st.none(), st.none() | days) | node(
    nodes.GivenHistory, ladders, texts, st.none() | days
)
cells = node(
    nodes.Text,
    st.one_of(
        st.sampled_from(["", "2026-03-01 10:00", "20000", "已付款", '"a | b"', '""', "# 1", 'x "y" z']),
        st.text(st.one_of(_CHARACTERS, st.just(" ")), max_size=8).map(
            lambda text: text.replace("|", "").replace("｜", "").replace('"', "").strip()
        ),
    ),
)


def _table(name: Any, columns: Any, rows: Any) -> nodes.GivenTable:
    return nodes.GivenTable(SPAN, name, columns, tuple(row[: len(columns)] for row in rows))


tables = st.builds(
    _table,
    names,
    st.lists(names, min_size=1, max_size=4).map(tuple),
    st.lists(st.lists(cells, min_size=4, max_size=4).map(tuple), max_size=3),
)
expectations = st.one_of(
    node(nodes.Expectation, tags, st.sampled_from(["given", "no", "unknown"]), st.none()),
    node(nodes.Expectation, ladders, st.just("given"), texts),
    node(nodes.Expectation, ladders, st.just("no"), st.none()),
)


def _let(name: Any, label: Any, first: Any, later: Any) -> nodes.LetStatement:
    steps = (nodes.ParameterStep(SPAN, first, None), *(nodes.ParameterStep(SPAN, *step) for step in later))
    return nodes.LetStatement(SPAN, name, label, steps)


statements = st.one_of(
    node(
        nodes.EntityStatement,
        names,
        names,
        st.booleans(),
        names,
        key_types,
        columns,
        st.none() | names,
        st.none() | expressions,
    ),
    node(
        nodes.EventsStatement,
        names,
        names,
        st.just(None),
        key_types.filter(lambda kind: kind.name == "text"),
        names,
        names,
        st.none() | texts,
        columns,
    ),
    node(nodes.EventsStatement, names, names, names, key_types, names, names, st.none() | texts, columns),
    st.builds(_let, names, st.none() | texts, values, st.lists(st.tuples(values, days), max_size=3)),
    node(nodes.MetricStatement, names, st.none() | texts, expressions),
    node(
        nodes.ScoreStatement,
        names,
        st.none() | texts,
        st.lists(node(nodes.ScoreLine, numbers | node(nodes.Minus, numbers), expressions), min_size=1, max_size=4).map(
            tuple
        ),
    ),
    node(
        nodes.TagStatement,
        texts,
        st.booleans(),
        expressions,
        st.none() | expressions,
        st.none() | texts,
        st.none() | texts,
        st.none() | days,
        formerly,
        st.none() | expressions,
        st.none() | durations,
        st.booleans(),
        st.none() | node(nodes.Limit, st.integers(1, 9_999), st.booleans(), sums),
    ),
    node(nodes.ManualTagStatement, texts, formerly, st.none() | durations),
    node(nodes.ManualTierStatement, names, st.none() | durations),
    node(nodes.AtMostOneStatement, st.lists(texts, min_size=2, max_size=9).map(tuple)),
    node(
        nodes.LadderStatement,
        st.just("tier"),
        names,
        st.booleans(),
        st.lists(node(nodes.Level, texts, expressions, formerly, st.none() | expressions), min_size=1, max_size=4).map(
            tuple
        ),
        st.none() | texts,
        st.none() | durations,
        st.none() | durations,
        st.sampled_from([None, "to earned", "one level at a time", "never"]),
        st.none() | reviews,
    ),
    node(
        nodes.LadderStatement,
        st.just("class"),
        names,
        st.booleans(),
        st.lists(node(nodes.Level, texts, expressions, formerly), min_size=1, max_size=4).map(tuple),
        st.none() | texts,
    ),
    node(nodes.CheckStatement, checks, st.sampled_from(["fail", "warn"])),
    st.builds(
        nodes.ExampleStatement,
        st.just(SPAN),
        texts,
        st.none() | days,
        st.lists(st.one_of(given_values, given_histories, tables), max_size=4).map(tuple),
        st.lists(expectations, min_size=1, max_size=4).map(tuple),
    ),
    node(nodes.UseStatement, texts),
)

comments = st.text(st.one_of(_CHARACTERS, st.sampled_from(' "')), max_size=10).map(lambda text: f"#{text}".rstrip())
