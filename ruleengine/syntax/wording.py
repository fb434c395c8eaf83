"""Expressions and windows as text in one line: canonical wherever they stand."""

from datetime import date
from typing import assert_never

from ruleengine.syntax import nodes


def format_number(number: nodes.Number) -> str:
    """A number as it is written, in plain digits."""
    if number.text[-1] not in "万亿":
        return number.text
    return f"{int(number.value):_}" if number.value == int(number.value) else f"{number.value.normalize():f}"


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def format_day(day: date) -> str:
    return f"{day.year:04}-{day.month:02}-{day.day:02}"


def format_window(window: nodes.Window) -> str:
    match window:
        case nodes.LastWindow(count=count, unit=unit, previous=previous):
            return f"{'previous' if previous else 'last'} {format_length(count, unit)}"
        case nodes.CalendarWindow(unit=unit, previous=previous):
            return f"{'previous' if previous else 'this'} {unit}"
        case nodes.RangeWindow(first=first, last=last):
            return f"{format_day(first)} to {format_day(last)}"
        case _:
            assert_never(window)


def format_length(count: int, unit: nodes.Unit) -> str:
    return f"{count} {unit}{'s' if count != 1 else ''}"


def format_expression(node: nodes.Expression) -> str:
    """The canonical text of an expression, in one line. It parses to the same tree."""
    text = format_expression
    match node:
        case nodes.Reference(qualifier=qualifier, name=name):
            return f"{qualifier.text}.{name.text}" if qualifier else name.text
        case nodes.Number():
            return format_number(node)
        case nodes.Text(value=value):
            return quoted(value)
        case nodes.Day(value=day):
            return format_day(day)
        case nodes.Truth(value=truth):
            return "true" if truth else "false"
        case nodes.Group(inner=inner):
            return f"({text(inner)})"
        case nodes.Minus(operand=operand):
            return f"-{' ' if isinstance(operand, nodes.Minus) else ''}{text(operand)}"
        case nodes.Arithmetic(operator=operator, left=left, right=right):
            return f"{text(left)} {operator} {text(right)}"
        case nodes.Comparison(operator=operator, left=left, right=right):
            return f"{text(left)} {operator} {text(right)}"
        case nodes.Membership(operand=operand, negated=negated, choices=choices):
            listed = choices.text if isinstance(choices, nodes.Name) else f"({', '.join(map(text, choices))})"
            return f"{text(operand)} {_not(negated)}in {listed}"
        case nodes.Between(operand=operand, negated=negated, low=low, high=high):
            return f"{text(operand)} {_not(negated)}between {text(low)} and {text(high)}"
        case nodes.Presence(operand=operand, known=known):
            return f"{text(operand)} is {'known' if known else 'missing'}"
        case nodes.TextTest(operator=operator, operand=operand, negated=negated, text=tested):
            return f"{text(operand)} {_not(negated)}{operator} {text(tested)}"
        case nodes.Not(operand=operand):
            return f"not {text(operand)}"
        case nodes.Junction(operator=operator, items=items):
            return f" {operator} ".join(map(text, items))
        case nodes.Conditional(condition=condition, then=then, otherwise=otherwise):
            return f"if {text(condition)} then {text(then)} else {text(otherwise)}"
        case nodes.During(operand=operand, window=window):
            return f"{text(operand)} during {format_window(window)}"
        case nodes.Default(operand=operand, value=fallback):
            return f"{text(operand)} default {text(fallback)}"
        case nodes.Call():
            return _format_call(node)
        case nodes.Top(bottom=bottom, amount=amount, value=value, modifiers=modifiers):
            words = f"{'bottom' if bottom else 'top'} {format_number(amount)} by {text(value)}"
            return f"{words} {format_modifiers(modifiers)}" if modifiers else words
        case nodes.Sample(share=share, salt=salt):
            return f"sample {format_number(share)} {quoted(salt.value)}"
        case nodes.Days(direction=direction, operand=operand):
            return f"days {direction} {text(operand)}"
        case nodes.HasTag(tag=tag):
            return f"has tag {quoted(tag.value)}"
        case nodes.HadTag(tag=tag, within_days=within):
            return f"had tag {quoted(tag.value)}{_history(within)}"
        case nodes.LadderWas(kind=kind, ladder=ladder, negated=negated, at_least=at_least, value=level):
            words = f"{_not(negated)}{'at least ' if at_least else ''}"
            return f"{kind} {ladder.text} was {words}{quoted(level.value)}{_history(node.within_days)}"
        case nodes.LadderIs(kind=kind, ladder=ladder, negated=negated, at_least=at_least, value=level):
            words = f"{_not(negated)}{'at least ' if at_least else ''}"
            return f"{kind} {ladder.text} is {words}{quoted(level.value)}"
        case _:
            assert_never(node)


def _format_call(call: nodes.Call) -> str:
    inner = ", ".join(map(format_expression, call.arguments))
    if call.distinct:
        inner = f"distinct {inner}"
    if call.where is not None:
        inner = f"{inner} where {format_expression(call.where)}"
    if call.modifiers is not None:
        inner = f"{inner} {format_modifiers(call.modifiers)}"
    return f"{call.function.text}({inner})"


def format_modifiers(modifiers: nodes.Modifiers) -> str:
    found: list[str] = []
    if modifiers.lowest:
        found.append("lowest best")
    if modifiers.within is not None:
        found.append(f"within {format_expression(modifiers.within)}")
    if modifiers.split:
        found.append("ties split")
    if modifiers.among is not None:
        found.append(f"among {format_expression(modifiers.among)}")
    return " ".join(found)


def _history(within_days: int | None) -> str:
    return f" within {format_length(within_days, 'day')}" if within_days is not None else ""


def _not(negated: bool) -> str:
    return "not " if negated else ""
