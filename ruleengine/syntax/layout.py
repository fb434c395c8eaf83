"""Statements as lines: which part of a statement stands on which line, and how far in."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from ruleengine.source import Span
from ruleengine.syntax import nodes
from ruleengine.syntax.wording import format_day, format_expression, quoted
from ruleengine.types import COLUMN_TYPES, ColumnType

WIDTH = 100
INDENT = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement: it begins `back` tokens before the offset `at`; with `closes`, at the `)` behind."""

    indent: int
    text: str
    at: int
    back: int = 0
    closes: bool = False

    @property
    def fits(self) -> bool:
        return self.indent + len(self.text) <= WIDTH

    def __str__(self) -> str:
        return " " * self.indent + self.text


@dataclass(frozen=True, slots=True)
class Comments:
    """Where the comments inside of a statement begin. What holds one is broken into lines, as it was written."""

    starts: Sequence[int] = ()

    def __bool__(self) -> bool:
        return bool(self.starts)

    def within(self, first: Span, last: Span) -> bool:
        return bisect_right(self.starts, first.start) < bisect_left(self.starts, last.end)


NONE = Comments()


def lay_out(statement: nodes.Statement, comments: Comments = NONE) -> list[Line]:
    """The lines of a statement."""
    match statement:
        case nodes.EntityStatement():
            return _entity(statement, comments)
        case nodes.EventsStatement():
            return _events(statement, comments)
        case nodes.LetStatement():
            return _parameter(statement, comments)
        case nodes.MetricStatement(name=name, label=label, expression=expression):
            head = f"metric {name.text}{_label(label)} ="
            return _expression(head, expression, 0, statement.span.start, comments=comments)
        case nodes.ScoreStatement():
            return _score(statement, comments)
        case nodes.TagStatement():
            return _tag(statement, comments)
        case nodes.LadderStatement():
            return _ladder(statement, comments)
        case _:
            assert_never(statement)


def _type(type_: ColumnType) -> str:
    return type_.name if type_ == COLUMN_TYPES[type_.name] else str(type_)


def _label(label: nodes.Text | None) -> str:
    return f" {quoted(label.value)}" if label else ""


def _expression(
    prefix: str,
    expression: nodes.Expression,
    indent: int,
    at: int,
    back: int = 0,
    suffix: str = "",
    comments: Comments = NONE,
) -> list[Line]:
    """An expression behind its first words; where it is too long, a line for each of its parts."""
    gap = "" if prefix.endswith("(") or not prefix else " "
    line = Line(indent, f"{prefix}{gap}{format_expression(expression)}{suffix}", at, back)
    deeper = indent + INDENT
    match expression:
        case nodes.Junction(operator=operator, items=items) if not line.fits or comments.within(
            items[0].span, items[-1].span
        ):
            lines = _expression(prefix, items[0], indent, at, back, comments=comments)
            for item in items[1:]:
                end = suffix if item is items[-1] else ""
                lines += _expression(operator, item, deeper, item.span.start, 1, end, comments)
            return lines
        case nodes.Group(inner=inner) if not line.fits or comments.within(inner.span, inner.span):
            return _expression(f"{prefix}{gap}(", inner, indent, at, back, f"){suffix}", comments)
        case nodes.Not(operand=operand) if not line.fits or comments.within(operand.span, operand.span):
            return _expression(f"{prefix}{gap}not", operand, indent, at, back, suffix, comments)
        case nodes.Conditional(condition=condition, then=then, otherwise=otherwise) if not line.fits or comments.within(
            condition.span, otherwise.span
        ):
            return [
                *_expression(f"{prefix}{gap}if", condition, indent, at, back, comments=comments),
                *_expression("then", then, deeper, then.span.start, 1, comments=comments),
                *_expression("else", otherwise, deeper, otherwise.span.start, 1, suffix, comments),
            ]
        case _:
            return [line]


def _one_line(lines: Sequence[Line], start: int) -> Line:
    return Line(0, " ".join(line.text for line in lines), start)


def _tag(tag: nodes.TagStatement, comments: Comments) -> list[Line]:
    head = Line(0, f"{'draft ' if tag.draft else ''}tag {quoted(tag.name.value)}", tag.span.start)
    clauses: list[list[Line]] = []
    for word, condition in (("when", tag.when), ("unless", tag.unless)):
        if condition is not None:
            clauses.append(_expression(word, condition, INDENT, condition.span.start, 1, comments=comments))
    for word, text in (("because", tag.because), ("owner", tag.owner)):
        if text is not None:
            clauses.append([Line(INDENT, f"{word} {quoted(text.value)}", text.span.start, 1)])
    if tag.review_by is not None:
        day = tag.review_by
        clauses.append([Line(INDENT, f"review by {format_day(day.value)}", day.span.start, 2)])
    if comments:
        clauses.sort(key=lambda lines: lines[0].at)
    elif len(clauses) == 1:
        line = Line(0, f"{head.text} when {format_expression(tag.when)}", tag.span.start)
        if line.fits:
            return [line]
    return [head, *(line for clause in clauses for line in clause)]


def _ladder(ladder: nodes.LadderStatement, comments: Comments) -> list[Line]:
    words = f"{'draft ' if ladder.draft else ''}{ladder.kind} {ladder.name.text}"
    lines = [Line(0, words, ladder.span.start)]
    for level in ladder.levels:
        prefix = f"{quoted(level.value.value)} when"
        lines += _expression(prefix, level.when, INDENT, level.span.start, comments=comments)
    if ladder.otherwise is not None:
        at = ladder.otherwise.span.start
        lines.append(Line(INDENT, f"otherwise {quoted(ladder.otherwise.value)}", at, 1))
    return lines


def _score(score: nodes.ScoreStatement, comments: Comments) -> list[Line]:
    lines = [Line(0, f"score {score.name.text}{_label(score.label)}", score.span.start)]
    for line in score.lines:
        prefix = f"add {format_expression(line.points)} when"
        lines += _expression(prefix, line.when, INDENT, line.span.start, comments=comments)
    return lines


def _parameter(parameter: nodes.LetStatement, comments: Comments) -> list[Line]:
    first, *later = parameter.steps
    head = f"let {parameter.name.text}{_label(parameter.label)} = "
    lines = _values(head, first.values, 0, parameter.span.start, 0)
    for step in later:
        new = _values("then ", step.values, INDENT, step.values[0].span.start, 1)
        end = f" from {format_day(step.start.value)}" if step.start else ""
        last = new.pop()
        lines += [*new, Line(last.indent, last.text + end, last.at, last.back)]
    whole = _one_line(lines, parameter.span.start)
    return [whole] if whole.fits and not comments else lines


def _values(head: str, values: Sequence[nodes.Expression], indent: int, at: int, back: int) -> list[Line]:
    """Values in a row, as many on a line as fit."""
    lines: list[Line] = []
    text = head
    for index, value in enumerate(values):
        piece = format_expression(value) + ("," if index < len(values) - 1 else "")
        if index and indent + len(text) + len(piece) > WIDTH:
            lines.append(Line(indent, text.rstrip(), at, back))
            text, at, back, indent = "", value.span.start, 0, indent if lines[1:] else indent + INDENT
        text += f"{piece} "
    lines.append(Line(indent, text.rstrip(), at, back))
    return lines


def _entity(entity: nodes.EntityStatement, comments: Comments) -> list[Line]:
    kind = "" if entity.key_type.name == "text" else f" {_type(entity.key_type)}"
    distinct = "distinct " if entity.distinct else ""
    head = f"entity {entity.name.text} from {distinct}{entity.source.text} key {entity.key.text}{kind}"
    filters: list[list[Line]] = []
    if entity.since is not None:
        filters.append([Line(INDENT, f"since {entity.since.text}", entity.since.span.start, 1)])
    if entity.where is not None:
        where = entity.where
        filters.append(_expression("where", where, INDENT, where.span.start, 1, comments=comments))
    if comments:
        filters.sort(key=lambda lines: lines[0].at)
    return _source(entity, head, entity.columns, filters, comments)


def _events(events: nodes.EventsStatement, comments: Comments) -> list[Line]:
    head = f"events {events.name.text} from {events.source.text}"
    if events.key is not None:
        kind = "" if events.key_type.name == "text" else f" {_type(events.key_type)}"
        head += f" key {events.key.text}{kind}"
    head += f" for {events.customer.text} at {events.at.text}"
    if events.zone is not None:
        head += f" zone {quoted(events.zone.value)}"
    return _source(events, head, events.columns, [], comments)


def _source(
    statement: nodes.Statement,
    head: str,
    columns: Sequence[nodes.Column],
    filters: list[list[Line]],
    comments: Comments,
) -> list[Line]:
    start = statement.span.start
    listed = [f"{column.name.text} {_type(column.type)}" for column in columns]
    tail = [line for lines in filters for line in lines]
    inner = f"({', '.join(listed)})"
    whole = _one_line([Line(0, f"{head} {inner}" if listed else head, start), *tail], start)
    if whole.fits and not comments:
        return [whole]
    if not listed:
        return [Line(0, head, start), *tail]
    row = Line(INDENT, inner, columns[0].span.start, 1)
    if row.fits and not comments.within(columns[0].span, columns[-1].span):
        return [Line(0, head, start), row, *tail]
    lines = [Line(0, f"{head} (", start)]
    for index, (column, text) in enumerate(zip(columns, listed, strict=True)):
        comma = "," if index < len(columns) - 1 else ""
        lines.append(Line(INDENT, text + comma, column.span.start))
    return [*lines, Line(0, ")", columns[-1].span.end, closes=True), *tail]
