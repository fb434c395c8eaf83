"""From what the grammar recognised to the nodes of the syntax tree."""

import unicodedata
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, cast

from lark import Transformer

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Fix, Place, Word
from ruleengine.source import Span
from ruleengine.syntax import nodes
from ruleengine.syntax.phrases import clip, default_beside, mixed_junction, nearest, several_comparisons
from ruleengine.syntax.token import Token
from ruleengine.types import COLUMN_TYPES, MAX_DIGITS, MAX_SCALE, ColumnType

Parts = list[Any]

_KIN = {
    "text": ("string", "str", "varchar", "char", "nvarchar", "uuid"),
    "integer": ("int", "bigint", "smallint", "whole", "long", "serial"),
    "decimal": ("number", "numeric", "float", "double", "real", "money", "num", "dec"),
    "boolean": ("bool", "bit", "flag", "logical"),
    "timestamp": ("datetime", "timestamptz", "time"),
    "date": ("day",),
}
OPERATORS: dict[str, Any] = {
    "PLUS": "+",
    "MINUS": "-",
    "TIMES": "*",
    "OVER": "/",
    "EQUAL": "=",
    "UNEQUAL": "!=",
    "LESS": "<",
    "LESS_OR_EQUAL": "<=",
    "MORE": ">",
    "MORE_OR_EQUAL": ">=",
    "IS": "is",
}
MOST_DAYS = 36_600
"""The longest window, about a hundred years."""
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 366}


@dataclass(frozen=True, slots=True)
class Clause:
    """One part of a statement, by its first word."""

    word: Token
    values: Parts
    span: Span


def _span(parts: Parts) -> Span:
    first, last = parts[0].span, parts[-1].span
    return Span(first.source, first.start, last.end)


def _name(token: Token) -> nodes.Name:
    text = token.text
    return nodes.Name(token.span, text if text.isascii() else unicodedata.normalize("NFC", text))


def _has(parts: Parts, *terminals: str) -> bool:
    return any(isinstance(part, Token) and part.type in terminals for part in parts)


def exact(text: str) -> Decimal:
    """The value of a number as written: `10_000`, `0.5`, `20%`."""
    sign, digits, exponent = Decimal(text.rstrip("%").replace("_", "")).as_tuple()
    return Decimal((sign, digits, cast(int, exponent) - (2 if text.endswith("%") else 0)))


def unquoted(text: str) -> str:
    inner = text[1:-1]
    return inner.replace('""', '"') if text[0] == '"' else inner


class Builder(Transformer[Any, Any]):
    """One method per rule of the grammar. It has no state: problems go to the reading that the tokens are of."""

    # -- literals and names

    def number(self, parts: Parts) -> nodes.Number:
        (token,) = parts
        return nodes.Number(token.span, exact(token.text), token.text)

    def text(self, parts: Parts) -> nodes.Text:
        (token,) = parts
        return nodes.Text(token.span, unquoted(token.text))

    def day(self, parts: Parts) -> nodes.Day:
        (token,) = parts
        return nodes.Day(token.span, date.fromisoformat(token.text))

    def truth(self, parts: Parts) -> nodes.Truth:
        (token,) = parts
        return nodes.Truth(token.span, token.type == "TRUE")

    def reference(self, parts: Parts) -> nodes.Reference:
        qualifier = _name(parts[0]) if len(parts) == 3 else None
        return nodes.Reference(_span(parts), qualifier, _name(parts[-1]))

    # -- expressions

    def group(self, parts: Parts) -> nodes.Group:
        return nodes.Group(_span(parts), parts[1])

    def minus(self, parts: Parts) -> nodes.Minus:
        default_beside(parts)
        return nodes.Minus(_span(parts), parts[1])

    def arithmetic(self, parts: Parts) -> nodes.Arithmetic:
        default_beside(parts)
        left, operator, right = parts
        return nodes.Arithmetic(_span(parts), OPERATORS[operator.type], left, right)

    def days(self, parts: Parts) -> nodes.Days:
        default_beside(parts)
        direction: Any = parts[1].type.lower() if len(parts) == 3 else "until anniversary of"
        return nodes.Days(_span(parts), direction, parts[-1])

    def during(self, parts: Parts) -> nodes.During:
        return nodes.During(_span(parts), parts[0], parts[2])

    def default(self, parts: Parts) -> nodes.Default:
        return nodes.Default(_span(parts), parts[0], parts[2])

    def relation(self, parts: Parts) -> Clause:
        return Clause(parts[0], parts, _span(parts))

    def comparison(self, parts: Parts) -> nodes.Comparison:
        default_beside(parts)
        if len(parts) > 3:
            several_comparisons(parts)
        left, relation, right = parts[:3]
        operator: Any = "is not" if len(relation.values) == 2 else OPERATORS[relation.word.type]
        return nodes.Comparison(_span(parts), operator, left, right)

    def presence(self, parts: Parts) -> nodes.Presence:
        default_beside(parts)
        return nodes.Presence(_span(parts), parts[0], _has(parts, "KNOWN") != _has(parts, "NOT"))

    def membership(self, parts: Parts) -> nodes.Membership:
        default_beside(parts)
        operand, *rest = parts
        negated = _has(rest, "NOT")
        if isinstance(rest[-1], Token) and rest[-1].type == "NAME":
            return nodes.Membership(_span(parts), operand, negated, _name(rest[-1]))
        choices = tuple(part for part in rest if not isinstance(part, Token))
        return nodes.Membership(_span(parts), operand, negated, choices)

    def between(self, parts: Parts) -> nodes.Between:
        default_beside(parts)
        return nodes.Between(_span(parts), parts[0], _has(parts, "NOT"), parts[-3], parts[-1])

    def text_test(self, parts: Parts) -> nodes.TextTest:
        default_beside(parts)
        operator: Any = "starts with" if _has(parts, "STARTS") else "ends with" if _has(parts, "ENDS") else "contains"
        return nodes.TextTest(_span(parts), operator, parts[0], _has(parts, "NOT"), parts[-1])

    def has_tag(self, parts: Parts) -> nodes.HasTag:
        return nodes.HasTag(_span(parts), parts[-1])

    def ladder_is(self, parts: Parts) -> nodes.LadderIs:
        kind: Any = parts[0].type.lower()
        return nodes.LadderIs(_span(parts), kind, _name(parts[1]), _has(parts, "NOT"), _has(parts, "LEAST"), parts[-1])

    def negation(self, parts: Parts) -> nodes.Not:
        return nodes.Not(_span(parts), parts[1])

    def junction(self, parts: Parts) -> nodes.Expression:
        if any(word.type != parts[1].type for word in parts[3::2]):
            return mixed_junction(parts)
        return nodes.Junction(_span(parts), parts[1].type.lower(), tuple(parts[::2]))

    def conditional(self, parts: Parts) -> nodes.Conditional:
        return nodes.Conditional(_span(parts), parts[1], parts[3], parts[5])

    def call(self, parts: Parts) -> nodes.Call:
        arguments = [part for part in parts if not isinstance(part, Token | nodes.Modifiers)]
        where = arguments.pop() if _has(parts, "WHERE") else None
        distinct = _has(parts, "DISTINCT")
        return nodes.Call(_span(parts), _name(parts[0]), distinct, tuple(arguments), where, _modifiers(parts))

    # -- the whole population

    def top(self, parts: Parts) -> nodes.Top:
        default_beside([part for part in parts if not isinstance(part, nodes.Modifiers)])
        return nodes.Top(_span(parts), parts[0].type == "BOTTOM", parts[1], parts[3], _modifiers(parts))

    def sample(self, parts: Parts) -> nodes.Sample:
        return nodes.Sample(_span(parts), parts[1], parts[2])

    def modifiers(self, parts: Parts) -> nodes.Modifiers:
        clauses = {part.word.type: part for part in parts}
        within, among = _value(clauses, "WITHIN"), _value(clauses, "AMONG")
        return nodes.Modifiers(_span(parts), "LOWEST" in clauses, within, "TIES" in clauses, among)

    top_modifiers = modifiers

    # -- windows

    def counted_window(self, parts: Parts) -> nodes.LastWindow:
        word, number, unit_word = parts
        unit: Any = unit_word.type.lower().removesuffix("s")
        count = exact(number.text)
        most = MOST_DAYS // _DAYS[unit]
        if count != int(count) or not 1 <= count <= most:
            unit_word.reading.problems.append(
                codes.window_length(number.span, written=number.text, unit=unit, most=f"{most:_}")
            )
            count = Decimal(1)
        return nodes.LastWindow(_span(parts), int(count), unit, word.type == "PREVIOUS")

    def calendar_window(self, parts: Parts) -> nodes.CalendarWindow:
        unit: Any = parts[1].type.lower()
        return nodes.CalendarWindow(_span(parts), unit, parts[0].type == "PREVIOUS")

    def range_window(self, parts: Parts) -> nodes.RangeWindow:
        return nodes.RangeWindow(_span(parts), parts[0].value, parts[2].value)

    # -- parts of statements

    def clause(self, parts: Parts) -> Clause:
        return Clause(parts[0], parts[1:], _span(parts))

    entity_source = entity_filter = events_clause = tag_clause = otherwise = clause
    lowest = within = split = among = clause

    def type(self, parts: Parts) -> Clause:
        name, *size = parts
        found = _column_type(name)
        if size:
            numbers = [exact(part.text) for part in size if part.type == "NUMBER"]
            if found.name != "decimal" or not _fits(numbers):
                name.reading.problems.append(
                    codes.type_size(_span(parts), type=found.name, digits=MAX_DIGITS, scale=MAX_SCALE)
                )
            else:
                found = ColumnType("decimal", int(numbers[0]), int(numbers[1]))
        return Clause(name, [found], _span(parts))

    def column(self, parts: Parts) -> nodes.Column:
        name, kind = parts
        return nodes.Column(_span(parts), _name(name), kind.values[0])

    def columns(self, parts: Parts) -> Clause:
        return Clause(parts[0], [part for part in parts if isinstance(part, nodes.Column)], _span(parts))

    def values(self, parts: Parts) -> Clause:
        return Clause(parts[0], parts[::2], _span(parts))

    def step(self, parts: Parts) -> nodes.ParameterStep:
        return nodes.ParameterStep(_span(parts), tuple(parts[1].values), parts[3])

    def level(self, parts: Parts) -> nodes.Level:
        return nodes.Level(_span(parts), parts[0], parts[2])

    def score_line(self, parts: Parts) -> nodes.ScoreLine:
        return nodes.ScoreLine(_span(parts), parts[1], parts[3])

    # -- statements; None where one lacks what it cannot do without, which is then among the problems

    def entity(self, parts: Parts) -> nodes.EntityStatement | None:
        clauses = _clauses(parts)
        if not _complete(parts, clauses, "FROM", "KEY"):
            return None
        source, (key, *key_type) = clauses["FROM"].values, clauses["KEY"].values
        return nodes.EntityStatement(
            _span(parts),
            name=_name(parts[1]),
            source=_name(source[-1]),
            distinct=len(source) == 2,
            key=_name(key),
            key_type=_key_type(key_type),
            columns=_columns(clauses),
            since=_name(clauses["SINCE"].values[0]) if "SINCE" in clauses else None,
            where=_value(clauses, "WHERE"),
        )

    def events(self, parts: Parts) -> nodes.EventsStatement | None:
        clauses = _clauses(parts)
        if not _complete(parts, clauses, "FROM", "FOR", "AT"):
            return None
        key, *key_type = clauses["KEY"].values if "KEY" in clauses else [None]
        return nodes.EventsStatement(
            _span(parts),
            name=_name(parts[1]),
            source=_name(clauses["FROM"].values[0]),
            key=_name(key) if key else None,
            key_type=_key_type(key_type),
            customer=_name(clauses["FOR"].values[0]),
            at=_name(clauses["AT"].values[0]),
            zone=_value(clauses, "ZONE"),
            columns=_columns(clauses),
        )

    def parameter(self, parts: Parts) -> nodes.LetStatement:
        first = next(part for part in parts if isinstance(part, Clause))
        later = [part for part in parts if isinstance(part, nodes.ParameterStep)]
        steps = (nodes.ParameterStep(first.span, tuple(first.values), None), *later)
        return nodes.LetStatement(_span(parts), _name(parts[1]), _label(parts), steps)

    def metric(self, parts: Parts) -> nodes.MetricStatement:
        return nodes.MetricStatement(_span(parts), _name(parts[1]), _label(parts), parts[-1])

    def score(self, parts: Parts) -> nodes.ScoreStatement | None:
        lines = tuple(part for part in parts if isinstance(part, nodes.ScoreLine))
        if not lines:
            parts[0].reading.problems.append(
                codes.missing_clause(
                    parts[0].span.to(parts[1].span),
                    statement=clip(f"{parts[0].text} {parts[1].text}", 60),
                    word="add",
                    example=Word("example-add"),
                )
            )
            return None
        return nodes.ScoreStatement(_span(parts), _name(parts[1]), _label(parts), lines)

    def tag(self, parts: Parts) -> nodes.TagStatement | None:
        name = next(part for part in parts if isinstance(part, nodes.Text))
        clauses = _clauses(parts)
        if not _complete(parts, clauses, "WHEN"):
            return None
        return nodes.TagStatement(
            _span(parts),
            name=name,
            draft=_has(parts, "DRAFT"),
            when=clauses["WHEN"].values[0],
            unless=_value(clauses, "UNLESS"),
            because=_value(clauses, "BECAUSE"),
            owner=_value(clauses, "OWNER"),
            review_by=_value(clauses, "REVIEW"),
        )

    def ladder(self, parts: Parts) -> nodes.LadderStatement | None:
        draft = _has(parts, "DRAFT")
        word, name = parts[draft : draft + 2]
        levels = tuple(part for part in parts if isinstance(part, nodes.Level))
        otherwise = _clauses(parts).get("OTHERWISE")
        for level in levels:
            if otherwise and level.span.start > otherwise.span.start:
                word.reading.problems.append(
                    codes.level_after_otherwise(
                        level.value.span, Place(otherwise.span, "otherwise"), level=level.value.value
                    )
                )
        if not levels:
            word.reading.problems.append(
                codes.no_levels(Span(word.reading.source, word.start, name.end), kind=word.text, name=name.text)
            )
            return None
        kind: Any = word.type.lower()
        default = otherwise.values[0] if otherwise else None
        return nodes.LadderStatement(_span(parts), kind, _name(name), draft, levels, default)


def _clauses(parts: Parts) -> dict[str, Clause]:
    """The clauses by their first word; one that stands twice is a problem."""
    found: dict[str, Clause] = {}
    for part in parts:
        if isinstance(part, Clause):
            first = found.setdefault(part.word.type, part)
            if first is not part:
                part.word.reading.problems.append(
                    codes.repeated_clause(
                        part.span,
                        Place(first.span, "first-clause"),
                        word=part.word.text,
                        condition=part.word.text if part.word.type in ("WHEN", "UNLESS", "WHERE") else None,
                    )
                )
    return found


def _complete(parts: Parts, clauses: dict[str, Clause], *needed: str) -> bool:
    """Whether the statement has the clauses it cannot do without; the first that lacks is a problem."""
    for terminal in needed:
        if terminal not in clauses:
            words = [part for part in parts[:3] if isinstance(part, Token)]
            named = parts[0].span.to(parts[1].span if len(words) < 2 or words[0].type != "DRAFT" else parts[2].span)
            words[0].reading.problems.append(
                codes.missing_clause(
                    named,
                    statement=clip(named.text, 60),
                    word=terminal.lower(),
                    example=Word(f"example-{terminal.lower()}"),
                )
            )
            return False
    return True


def _key_type(written: Parts) -> ColumnType:
    return _column_type(written[0]) if written else COLUMN_TYPES["text"]


def _value(clauses: dict[str, Clause], terminal: str) -> Any:
    return clauses[terminal].values[-1] if terminal in clauses else None


def _columns(clauses: dict[str, Clause]) -> tuple[nodes.Column, ...]:
    return tuple(clauses["OPEN"].values) if "OPEN" in clauses else ()


def _label(parts: Parts) -> nodes.Text | None:
    return parts[2] if isinstance(parts[2], nodes.Text) else None


def _modifiers(parts: Parts) -> nodes.Modifiers | None:
    return next((part for part in parts if isinstance(part, nodes.Modifiers)), None)


def _fits(size: list[Decimal]) -> bool:
    whole = len(size) == 2 and all(number == int(number) for number in size)
    return whole and 1 <= size[0] <= MAX_DIGITS and size[1] <= MAX_SCALE and size[1] <= size[0]


def _column_type(token: Token) -> ColumnType:
    found = COLUMN_TYPES.get(token.text)
    if found is None:
        word = token.text.lower()
        known = {kin: kind for kind, kins in _KIN.items() for kin in (kind, *kins)}
        near = known.get(word) or known.get(nearest(word, known) or "")
        token.reading.problems.append(
            codes.unknown_type(
                token.span,
                fix=Fix(token.span, near) if near else None,
                name=token.text,
                near=near,
                known=", ".join(COLUMN_TYPES),
            )
        )
        return COLUMN_TYPES[near or "text"]
    return found
