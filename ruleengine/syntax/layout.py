"""Statements as lines: which part of a statement stands on which line, and how far in."""

from collections.abc import Sequence
from typing import assert_never

from ruleengine.syntax import nodes
from ruleengine.syntax.layout_checks import check_lines, example_lines
from ruleengine.syntax.lines import (
    INDENT,
    NONE,
    Comments,
    Line,
    expression_lines,
    format_formerly,
    one_line,
    value_lines,
)
from ruleengine.syntax.wording import format_day, format_expression, format_length, quoted
from ruleengine.types import COLUMN_TYPES, ColumnType


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
            return expression_lines(head, expression, 0, statement.span.start, comments=comments)
        case nodes.ScoreStatement():
            return _score(statement, comments)
        case nodes.TagStatement():
            return _tag(statement, comments)
        case nodes.ManualTagStatement(name=tag, formerly=formerly, expires_after=expires_after):
            text = f"manual tag {quoted(tag.value)}{format_formerly(formerly)}{_expires(expires_after)}"
            return [Line(0, text, statement.span.start)]
        case nodes.ManualTierStatement(tier=tier, expires_after=expires_after):
            return [Line(0, f"manual tier {tier.text}{_expires(expires_after)}", statement.span.start)]
        case nodes.AtMostOneStatement(tags=tags):
            return value_lines("at most one of ", tags, 0, statement.span.start, 0)
        case nodes.LadderStatement():
            return _ladder(statement, comments)
        case nodes.CheckStatement():
            return check_lines(statement, comments)
        case nodes.ExampleStatement():
            return example_lines(statement, comments)
        case nodes.UseStatement(path=path):
            return [Line(0, f"use {quoted(path.value)}", statement.span.start)]
        case _:
            assert_never(statement)


def _type(type_: ColumnType) -> str:
    return type_.name if type_ == COLUMN_TYPES[type_.name] else str(type_)


def _label(label: nodes.Text | None) -> str:
    return f" {quoted(label.value)}" if label else ""


def _expires(after: nodes.Duration | None) -> str:
    return f" expires after {format_length(after.count, after.unit)}" if after is not None else ""


def _tag(tag: nodes.TagStatement, comments: Comments) -> list[Line]:
    words = f"{'draft ' if tag.draft else ''}tag {quoted(tag.name.value)}"
    clauses: list[list[Line]] = []

    def clause(text: str, at: int, back: int) -> None:
        clauses.append([Line(INDENT, text, at, back)])

    if comments and tag.formerly:
        clause(format_formerly(tag.formerly).strip(), tag.formerly[0].span.start, 1)
    else:
        words += format_formerly(tag.formerly)
    head = Line(0, words, tag.span.start)
    for word, condition in (("when", tag.when), ("unless", tag.unless), ("until", tag.until)):
        if condition is not None:
            clauses.append(expression_lines(word, condition, INDENT, condition.span.start, 1, comments=comments))
    if tag.keep_for is not None:
        clause(f"keep for {format_length(tag.keep_for.count, tag.keep_for.unit)}", tag.keep_for.span.start, 2)
    if tag.if_unknown_keep:
        clause("if unknown keep", comments.find(tag.name.span.end, "if", "unknown", "keep"), 0)
    if tag.limit is not None:
        lowest = "lowest " if tag.limit.lowest else ""
        count = f"{tag.limit.count:_}" if tag.limit.count >= 10_000 else tag.limit.count
        text = f"limit {count} by {lowest}{format_expression(tag.limit.value)}"
        clause(text, tag.limit.span.start, 0)
    for word, quote in (("because", tag.because), ("owner", tag.owner)):
        if quote is not None:
            clause(f"{word} {quoted(quote.value)}", quote.span.start, 1)
    if tag.review_by is not None:
        clause(f"review by {format_day(tag.review_by.value)}", tag.review_by.span.start, 2)
    if comments:
        clauses.sort(key=lambda lines: lines[0].at)
    elif len(clauses) == 1:
        line = Line(0, f"{head.text} when {format_expression(tag.when)}", tag.span.start)
        if line.fits:
            return [line]
    return [head, *(line for lines in clauses for line in lines)]


def _ladder(ladder: nodes.LadderStatement, comments: Comments) -> list[Line]:
    words = f"{'draft ' if ladder.draft else ''}{ladder.kind} {ladder.name.text}"
    groups = [_level(level, comments) for level in ladder.levels]
    if ladder.otherwise is not None:
        at = ladder.otherwise.span.start
        groups.append([Line(INDENT, f"otherwise {quoted(ladder.otherwise.value)}", at, 1)])
    falls = _falls(ladder, comments)
    if falls:
        first, last = min(falls, key=lambda line: line.at), max(line.at for line in falls)
        whole = one_line(falls, first.at, INDENT, first.back)
        together = not any(first.at < at < last for at in (*comments.starts, *(lines[0].at for lines in groups)))
        groups += [[whole]] if whole.fits and (together or not comments) else [[line] for line in falls]
    if comments:
        groups.sort(key=lambda lines: lines[0].at)
    return [Line(0, words, ladder.span.start), *(line for lines in groups for line in lines)]


def _level(level: nodes.Level, comments: Comments) -> list[Line]:
    prefix = f"{quoted(level.value.value)}{format_formerly(level.formerly)} when"
    lines = expression_lines(prefix, level.when, INDENT, level.span.start, comments=comments)
    if level.keep_while is None:
        return lines
    kept = level.keep_while
    tail = expression_lines("keep while", kept, 2 * INDENT, kept.span.start, 2, comments=comments)
    whole = one_line([*lines, *tail], level.span.start, INDENT)
    return [whole] if whole.fits and not comments.within(level.span, level.span) else [*lines, *tail]


def _falls(ladder: nodes.LadderStatement, comments: Comments) -> list[Line]:
    """The clauses that say when customers fall."""
    lines: list[Line] = []
    if ladder.hold is not None:
        hold = ladder.hold
        lines.append(Line(INDENT, f"hold for {format_length(hold.count, hold.unit)}", hold.span.start, 2))
    if ladder.grace is not None:
        grace = ladder.grace
        lines.append(Line(INDENT, f"grace {format_length(grace.count, grace.unit)}", grace.span.start, 1))
    if ladder.fall is not None:
        text = "never fall" if ladder.fall == "never" else f"fall {ladder.fall}"
        lines.append(Line(INDENT, text, comments.find(ladder.name.span.end, *text.split()[:2])))
    if ladder.review is not None:
        lines.append(
            Line(
                INDENT,
                f"review {_REVIEWS[ladder.review.every]}{_column(ladder.review.anniversary_of)}",
                ladder.review.span.start,
            )
        )
    return lines


_REVIEWS = {
    "day": "daily",
    "month": "monthly",
    "quarter": "quarterly",
    "year": "yearly",
    "anniversary": "on anniversary of ",
}


def _column(name: nodes.Name | None) -> str:
    return name.text if name else ""


def _score(score: nodes.ScoreStatement, comments: Comments) -> list[Line]:
    lines = [Line(0, f"score {score.name.text}{_label(score.label)}", score.span.start)]
    for line in score.lines:
        prefix = f"add {format_expression(line.points)} when"
        lines += expression_lines(prefix, line.when, INDENT, line.span.start, comments=comments)
    return lines


def _parameter(parameter: nodes.LetStatement, comments: Comments) -> list[Line]:
    first, *later = parameter.steps
    head = f"let {parameter.name.text}{_label(parameter.label)} = "
    lines = value_lines(head, first.values, 0, parameter.span.start, 0)
    for step in later:
        new = value_lines("then ", step.values, INDENT, step.values[0].span.start, 1)
        end = f" from {format_day(step.start.value)}" if step.start else ""
        last = new.pop()
        lines += [*new, Line(last.indent, last.text + end, last.at, last.back)]
    whole = one_line(lines, parameter.span.start)
    return [whole] if whole.fits and not comments else lines


def _entity(entity: nodes.EntityStatement, comments: Comments) -> list[Line]:
    kind = "" if entity.key_type.name == "text" else f" {_type(entity.key_type)}"
    distinct = "distinct " if entity.distinct else ""
    head = f"entity {entity.name.text} from {distinct}{entity.source.text} key {entity.key.text}{kind}"
    filters: list[list[Line]] = []
    if entity.since is not None:
        filters.append([Line(INDENT, f"since {entity.since.text}", entity.since.span.start, 1)])
    if entity.where is not None:
        where = entity.where
        filters.append(expression_lines("where", where, INDENT, where.span.start, 1, comments=comments))
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
    whole = one_line([Line(0, f"{head} {inner}" if listed else head, start), *tail], start)
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
