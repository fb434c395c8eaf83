"""From what the grammar recognised of statements to nodes."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Fix, Place
from ruleengine.syntax import nodes
from ruleengine.syntax.build_checks import ChecksAndExamples
from ruleengine.syntax.build_expressions import Expressions
from ruleengine.syntax.parts import (
    COLUMN_TYPES_IN_CHINESE,
    Clause,
    Parts,
    by_word,
    complete,
    exact,
    has,
    name_of,
    span_of,
    texts_of,
    value_of,
    whole,
)
from ruleengine.syntax.phrases import nearest
from ruleengine.syntax.token import Token
from ruleengine.types import COLUMN_TYPES, MAX_DIGITS, MAX_SCALE, ColumnType

_KIN = {
    "text": ("string", "str", "varchar", "char", "nvarchar", "uuid"),
    "integer": ("int", "bigint", "smallint", "whole", "long", "serial"),
    "decimal": ("number", "numeric", "float", "double", "real", "money", "num", "dec"),
    "boolean": ("bool", "bit", "flag", "logical"),
    "timestamp": ("datetime", "timestamptz", "time"),
    "date": ("day",),
}

_REVIEWS: dict[str, Any] = {"DAILY": "day", "MONTHLY": "month", "QUARTERLY": "quarter", "YEARLY": "year"}


class Builder(ChecksAndExamples, Expressions):
    """One method per rule of the grammar; None for a statement that lacks what it cannot do without."""

    # -- parts of statements

    def _clause(self, parts: Parts) -> Clause:
        return Clause(parts[0], parts[1:], span_of(parts))

    entity_source = entity_filter = events_clause = otherwise = manual_clause = level_clause = _clause

    def type(self, parts: Parts) -> Clause:
        name, *size = parts
        found = _column_type(name)
        if size:
            numbers = [exact(part.text) for part in size if part.type == "NUMBER"]
            if found.name != "decimal" or not _fits(numbers):
                name.reading.problems.append(
                    codes.type_size(span_of(parts), type=found.name, digits=MAX_DIGITS, scale=MAX_SCALE)
                )
            else:
                found = ColumnType("decimal", int(numbers[0]), int(numbers[1]))
        return Clause(name, [found], span_of(parts))

    def column(self, parts: Parts) -> nodes.Column:
        name, kind = parts
        return nodes.Column(span_of(parts), name_of(name), kind.values[0])

    def columns(self, parts: Parts) -> Clause:
        return Clause(parts[0], [part for part in parts if isinstance(part, nodes.Column)], span_of(parts))

    def values(self, parts: Parts) -> Clause:
        return Clause(parts[0], parts[::2], span_of(parts))

    def step(self, parts: Parts) -> nodes.ParameterStep:
        return nodes.ParameterStep(span_of(parts), tuple(parts[1].values), parts[3])

    def level(self, parts: Parts) -> nodes.Level | None:
        clauses = by_word(parts)
        value = parts[0]
        if not complete(parts[1].word.reading, value.span, clauses, "WHEN"):
            return None
        return nodes.Level(
            span_of(parts),
            value=value,
            when=clauses["WHEN"].values[0],
            formerly=texts_of(clauses, "FORMERLY"),
            keep_while=value_of(clauses, "KEEP"),
        )

    def tag_clause(self, parts: Parts) -> Clause:
        word, *values = parts
        if word.type == "LIMIT":
            number, _, *_, value = values
            values = [nodes.Limit(span_of(parts), whole(number), has(values, "LOWEST"), value)]
        return Clause(word, values, span_of(parts))

    def ladder_clause(self, parts: Parts) -> Clause:
        word, *values = parts
        span = span_of(parts)
        match word.type:
            case "NEVER":
                word, values = values[0], ["never"]
            case "FALL":
                values = ["one level at a time" if has(values, "ONE") else "to earned"]
            case "REVIEW":
                every = _REVIEWS.get(values[0].type)
                name = None if every else name_of(values[-1])
                values = [nodes.Review(span, every or "anniversary", name)]
            case _:
                pass
        return Clause(word, values, span)

    def score_line(self, parts: Parts) -> nodes.ScoreLine:
        return nodes.ScoreLine(span_of(parts), parts[1], parts[3])

    # -- statements

    def entity(self, parts: Parts) -> nodes.EntityStatement | None:
        clauses = by_word(parts)
        if not complete(parts[0].reading, span_of(parts[:2]), clauses, "FROM", "KEY"):
            return None
        source, (key, *key_type) = clauses["FROM"].values, clauses["KEY"].values
        return nodes.EntityStatement(
            span_of(parts),
            name=name_of(parts[1]),
            source=name_of(source[-1]),
            distinct=len(source) == 2,
            key=name_of(key),
            key_type=_key_type(key_type),
            columns=_columns(clauses),
            since=name_of(clauses["SINCE"].values[0]) if "SINCE" in clauses else None,
            where=value_of(clauses, "WHERE"),
        )

    def events(self, parts: Parts) -> nodes.EventsStatement | None:
        clauses = by_word(parts)
        if not complete(parts[0].reading, span_of(parts[:2]), clauses, "FROM", "FOR", "AT"):
            return None
        key, *key_type = clauses["KEY"].values if "KEY" in clauses else [None]
        return nodes.EventsStatement(
            span_of(parts),
            name=name_of(parts[1]),
            source=name_of(clauses["FROM"].values[0]),
            key=name_of(key) if key else None,
            key_type=_key_type(key_type),
            customer=name_of(clauses["FOR"].values[0]),
            at=name_of(clauses["AT"].values[0]),
            zone=value_of(clauses, "ZONE"),
            columns=_columns(clauses),
        )

    def parameter(self, parts: Parts) -> nodes.LetStatement:
        first = next(part for part in parts if isinstance(part, Clause))
        later = [part for part in parts if isinstance(part, nodes.ParameterStep)]
        steps = (nodes.ParameterStep(first.span, tuple(first.values), None), *later)
        return nodes.LetStatement(span_of(parts), name_of(parts[1]), _label(parts), steps)

    def metric(self, parts: Parts) -> nodes.MetricStatement:
        return nodes.MetricStatement(span_of(parts), name_of(parts[1]), _label(parts), parts[-1])

    def score(self, parts: Parts) -> nodes.ScoreStatement | None:
        lines = tuple(part for part in parts if isinstance(part, nodes.ScoreLine))
        if not complete(parts[0].reading, span_of(parts[:2]), {"ADD"} if lines else (), "ADD"):
            return None
        return nodes.ScoreStatement(span_of(parts), name_of(parts[1]), _label(parts), lines)

    def tag(self, parts: Parts) -> nodes.TagStatement | None:
        draft = has(parts[:1], "DRAFT")
        clauses = by_word(parts)
        if not complete(parts[0].reading, span_of(parts[: draft + 2]), clauses, "WHEN"):
            return None
        return nodes.TagStatement(
            span_of(parts),
            name=parts[draft + 1],
            draft=draft,
            when=clauses["WHEN"].values[0],
            unless=value_of(clauses, "UNLESS"),
            because=value_of(clauses, "BECAUSE"),
            owner=value_of(clauses, "OWNER"),
            review_by=value_of(clauses, "REVIEW"),
            formerly=texts_of(clauses, "FORMERLY"),
            until=value_of(clauses, "UNTIL"),
            keep_for=value_of(clauses, "KEEP"),
            if_unknown_keep="IF" in clauses,
            limit=value_of(clauses, "LIMIT"),
        )

    def manual_tag(self, parts: Parts) -> nodes.ManualTagStatement:
        clauses = by_word(parts)
        formerly, expires_after = texts_of(clauses, "FORMERLY"), value_of(clauses, "EXPIRES")
        return nodes.ManualTagStatement(span_of(parts), parts[2], formerly, expires_after)

    def manual_tier(self, parts: Parts) -> nodes.ManualTierStatement:
        expires_after = parts[-1] if has(parts, "EXPIRES") else None
        return nodes.ManualTierStatement(span_of(parts), name_of(parts[2]), expires_after)

    def at_most_one(self, parts: Parts) -> nodes.AtMostOneStatement:
        tags = tuple(part for part in parts if isinstance(part, nodes.Text))
        return nodes.AtMostOneStatement(span_of(parts), tags)

    def ladder(self, parts: Parts) -> nodes.LadderStatement | None:
        draft = has(parts[:1], "DRAFT")
        word, name, *rest = parts[draft:]
        kind: Any = word.type.lower()
        levels = tuple(part for part in rest if isinstance(part, nodes.Level))
        clauses = by_word(rest)
        otherwise = clauses.get("OTHERWISE")
        for level in levels:
            if otherwise and level.span.start > otherwise.span.start:
                word.reading.problems.append(
                    codes.level_after_otherwise(
                        level.value.span, Place(otherwise.span, "otherwise"), level=level.value.value
                    )
                )
        if kind == "class":
            _only_for_tiers(levels, clauses, word)
        if None in rest:
            return None
        if not levels:
            word.reading.problems.append(codes.no_levels(word.span.to(name.span), kind=word.text, name=name.text))
            return None
        return nodes.LadderStatement(
            span_of(parts),
            kind=kind,
            name=name_of(name),
            draft=draft,
            levels=levels,
            otherwise=value_of(clauses, "OTHERWISE"),
            hold=value_of(clauses, "HOLD"),
            grace=value_of(clauses, "GRACE"),
            fall=value_of(clauses, "FALL"),
            review=value_of(clauses, "REVIEW"),
        )

    def use(self, parts: Parts) -> nodes.UseStatement:
        return nodes.UseStatement(span_of(parts), parts[1])


def _only_for_tiers(levels: Iterable[nodes.Level], clauses: Mapping[str, Clause], word: Token) -> None:
    """Report what only an order gives a meaning to."""
    kept = [(level.keep_while.span, "keep while") for level in levels if level.keep_while is not None]
    falls = [(clause.span, clause.word.text) for terminal, clause in clauses.items() if terminal != "OTHERWISE"]
    for span, written in (*kept, *falls):
        word.reading.problems.append(codes.only_for_tiers(span, Place(word.span, "class"), word=written))


def _key_type(written: Parts) -> ColumnType:
    return _column_type(written[0]) if written else COLUMN_TYPES["text"]


def _columns(clauses: dict[str, Clause]) -> tuple[nodes.Column, ...]:
    return tuple(clauses["OPEN"].values) if "OPEN" in clauses else ()


def _label(parts: Parts) -> nodes.Text | None:
    return parts[2] if isinstance(parts[2], nodes.Text) else None


def _fits(size: list[Decimal]) -> bool:
    whole = len(size) == 2 and all(number == int(number) for number in size)
    return whole and 1 <= size[0] <= MAX_DIGITS and size[1] <= MAX_SCALE and size[1] <= size[0]


def _column_type(token: Token) -> ColumnType:
    found = COLUMN_TYPES.get(COLUMN_TYPES_IN_CHINESE.get(token.text, token.text))
    token.read_as("TYPE")
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
