"""Checks and examples as lines."""

from typing import assert_never

from ruleengine.syntax import nodes
from ruleengine.syntax.lines import INDENT, Comments, Line, expression_lines
from ruleengine.syntax.tables import aligned
from ruleengine.syntax.wording import format_day, format_expression, format_length, format_number, quoted

DEEPER = 2 * INDENT


def check_lines(statement: nodes.CheckStatement, comments: Comments) -> list[Line]:
    start = statement.span.start
    end = f" else {statement.otherwise}"
    check = statement.check
    match check:
        case nodes.ConditionCheck(condition=condition, at_least=at_least):
            suffix = f"{_share(at_least)}{end}"
            return expression_lines("check", condition, 0, start, suffix=suffix, comments=comments)
        case nodes.UniqueCheck(column=column):
            text = f"{format_expression(column)} is unique"
        case nodes.FreshCheck(source=source, within=within):
            text = f"{source.text} is fresh within {format_length(within.count, within.unit)}"
        case nodes.ExistsCheck(column=column, other=other, at_least=at_least):
            text = f"{format_expression(column)} exists in {other.text}{_share(at_least)}"
        case nodes.CoversCheck(rule=rule, value=value, low=low, high=high):
            level = f" {quoted(value.value)}" if value else ""
            text = f"{format_rule(rule)}{level} covers {format_number(low)} to {format_number(high)}"
        case nodes.ChangesCheck(rule=rule, at_most=at_most):
            text = f"{format_rule(rule)} changes at most {format_number(at_most)}"
        case nodes.NeverMovesCheck(rule=rule, old=old, new=new):
            text = f"{format_rule(rule)} never moves {quoted(old.value)} to {quoted(new.value)}"
        case _:
            assert_never(check)
    return [Line(0, f"check {text}{end}", start)]


def _share(at_least: nodes.Number | None) -> str:
    return f" for at least {format_number(at_least)}" if at_least else ""


def format_rule(rule: nodes.RuleName) -> str:
    name = quoted(rule.name.value) if isinstance(rule.name, nodes.Text) else rule.name.text
    return f"{rule.kind} {name}"


def example_lines(example: nodes.ExampleStatement, comments: Comments) -> list[Line]:
    as_of = f" as of {format_day(example.as_of.value)}" if example.as_of else ""
    lines = [Line(0, f"example {quoted(example.name.value)}{as_of}", example.span.start)]
    row: list[tuple[nodes.Node, str]] = []
    for given in example.givens:
        if isinstance(given, nodes.GivenTable):
            lines += _listed("given", row, comments)
            row = []
            lines += _table(given)
        else:
            row.append((given, _given(given)))
    lines += _listed("given", row, comments)
    expected: list[tuple[nodes.Node, str]] = [(wanted, _expectation(wanted)) for wanted in example.expectations]
    return [*lines, *_listed("expect", expected, comments)]


def _listed(word: str, items: list[tuple[nodes.Node, str]], comments: Comments) -> list[Line]:
    """One line for all items, or where they do not fit a line for each, which begins with the word again."""
    if not items:
        return []
    start = items[0][0].span.start
    whole = Line(INDENT, f"{word} {', '.join(text for _, text in items)}", start, 1)
    if whole.fits and not comments.within(items[0][0].span, items[-1][0].span):
        return [whole]
    return [Line(INDENT, f"{word} {text}", node.span.start, 1) for node, text in items]


def _table(table: nodes.GivenTable) -> list[Line]:
    head = tuple(column.text for column in table.columns)
    body = [tuple(cell.value for cell in row) for row in table.rows]
    starts = [table.columns[0].span.start, *(row[0].span.start for row in table.rows)]
    lines = [Line(INDENT, f"given {table.source.text}", table.span.start, 1)]
    return lines + [Line(DEEPER, text, at, 1) for text, at in zip(aligned(head, body), starts, strict=True)]


def _given(given: nodes.GivenValue | nodes.GivenHistory) -> str:
    match given:
        case nodes.GivenValue(name=name, value=None):
            return f"{format_expression(name)} is missing"
        case nodes.GivenValue(name=name, value=value):
            return f"{format_expression(name)} = {format_expression(value)}"  # type: ignore[arg-type]
        case nodes.GivenHistory(rule=rule, value=level, since=since):
            was = f" was {quoted(level.value)}" if level else ""
            return f"{format_rule(rule)}{was}{f' since {format_day(since.value)}' if since else ''}"
        case _:
            assert_never(given)


def _expectation(expectation: nodes.Expectation) -> str:
    word = "" if expectation.wanted == "given" else f"{expectation.wanted} "
    level = f" {quoted(expectation.value.value)}" if expectation.value else ""
    return f"{word}{format_rule(expectation.rule)}{level}"
