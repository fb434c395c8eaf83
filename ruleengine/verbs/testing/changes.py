"""What is changed in an expression, one thing at a time: operators, numbers, windows and parts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal

from ruleengine.checking.expressions import (
    Aggregate,
    Arithmetic,
    Between,
    Calendar,
    Comparison,
    Conditional,
    Constant,
    Expression,
    Junction,
    LadderIs,
    Last,
    MetricValue,
    Not,
    OneOf,
    Ranking,
    ScoreLine,
    Typed,
    Window,
    children,
    is_expression,
    walk,
)
from ruleengine.checking.ruleset import Metric, Ruleset
from ruleengine.interpreter.explanation import OPPOSITE
from ruleengine.source import Span
from ruleengine.types import BOOLEAN
from ruleengine.verbs.testing.cases import MADE
from ruleengine.verbs.testing.conditions import is_between

Kind = Literal["operator", "number", "window", "order", "clause"]
_SIGN = re.compile("[<>=!]=?|[≥≤≠]|is not|is|[-+]")
_STRICTER = {">=": ">", ">": ">=", "<=": "<", "<": "<="}
NUMBER = re.compile(r"[0-9][0-9_]*(?:\.([0-9]+))?(?:[ \t]*(%))?")


@dataclass(frozen=True, slots=True)
class Change:
    """An expression with one change somewhere in it."""

    kind: Kind
    span: Span
    before: str
    after: str
    expression: Expression
    negates: bool = False
    made: tuple[Metric, ...] = ()


def left_out(expression: Expression, word: str = "") -> Change:
    return Change("clause", expression.span, f"{word}{shown(expression)}", "", expression)


@dataclass(frozen=True, slots=True)
class Within:
    ruleset: Ruleset
    windows: bool
    """Whether the windows of what stands here are written here."""
    compared: bool = False
    """Whether a comparison stands around it, so that its numbers are thresholds."""


def changes(expression: Expression, is_condition: bool, within: Within) -> Iterator[Change]:
    yield from _own(expression, is_condition, within)
    for part in fields(expression):
        value = getattr(expression, part.name)
        for place, child in enumerate(value if isinstance(value, tuple) else (value,)):
            if not is_expression(child):
                continue
            asks = _asks(expression, part.name, is_condition)
            inside = replace(within, compared=True) if isinstance(expression, Comparison) else within
            for change in changes(child, asks, inside):
                if isinstance(expression, Not) and change.negates:
                    continue  # the same as leaving `not` out
                if isinstance(expression, Comparison) and change.kind == "number":
                    change = _in_context(change, expression)
                new: Any = change.expression
                if isinstance(value, tuple):
                    new = (*value[:place], new, *value[place + 1 :])
                yield replace(change, expression=replace(expression, **{part.name: new}), negates=False)


def _in_context(change: Change, comparison: Comparison) -> Change:
    """Told as a change of the comparison, since a number alone says little."""
    whole, text = comparison.span, comparison.span.source.text
    after = f"{text[whole.start : change.span.start]}{change.after}{text[change.span.end : whole.end]}"
    return replace(change, before=shown(comparison), after=" ".join(after.split()))


def _asks(parent: Expression, name: str, is_condition: bool) -> bool:
    """Whether a part of an expression is asked whether it is so."""
    match parent:
        case Not() | Junction():
            return is_condition
        case Conditional():
            return is_condition or name == "condition"
        case Aggregate() | Ranking() | ScoreLine():
            return name in ("where", "among", "when")
        case _:
            return False


def _own(expression: Expression, is_condition: bool, within: Within) -> Iterator[Change]:
    """Changes of an expression itself, what stands beneath it left as it is."""

    def to(kind: Kind, after: str, new: Expression, negates: bool = False) -> Change:
        return Change(kind, expression.span, shown(expression), after, new, negates)

    match expression:
        case Comparison(operator=operator):
            if operator in _STRICTER:
                sign: Any = _STRICTER[operator]
                yield to("operator", _with_sign(expression, sign), replace(expression, operator=sign))
            if is_condition:
                turned: Any = OPPOSITE[operator]
                yield to("operator", _with_sign(expression, turned), replace(expression, operator=turned), negates=True)
        case Junction(operator=operator, items=items) if is_condition and not is_between(expression):
            other: Any = "or" if operator == "and" else "and"
            yield to("operator", f" {other} ".join(map(shown, items)), replace(expression, operator=other))
            for number, item in enumerate(items):
                rest = (*items[:number], *items[number + 1 :])
                left_over = rest[0] if len(rest) == 1 else replace(expression, items=rest)
                yield replace(left_out(item), expression=left_over)
        case Not(operand=operand) if is_condition:
            yield to("operator", f"not ({shown(expression)})", operand, negates=True)
        case Constant(value=value) if within.compared:
            for near, after in beside(value, expression.span.text):
                yield to("number", after, replace(expression, value=near))
        case Arithmetic(operator="+" | "-" as operator):
            swapped: Any = "-" if operator == "+" else "+"
            yield to("operator", _with_sign(expression, swapped), replace(expression, operator=swapped))
        case Aggregate():
            if expression.where is not None:
                yield replace(left_out(expression.where, "where "), expression=replace(expression, where=None))
            if within.windows and expression.window is not None:
                for window, text in _windows_beside(expression.window):
                    yield to("window", f"during {text}", replace(expression, window=window))
        case Ranking():
            yield to("order", "the best for the worst", replace(expression, lowest=not expression.lowest))
        case ScoreLine(points=points, when=when):
            change = replace(expression, points=points * 0)
            yield Change("number", when.span, f"{points} when {shown(when)}", "", change)
        case _ if is_condition and not isinstance(expression, Constant | Junction | Not | Conditional):
            if isinstance(expression, LadderIs) and expression.at_least:
                exact = replace(expression, at_least=False, values=(expression.value,))
                yield to("operator", f'{expression.ladder} is exactly "{expression.value}"', exact)
            yield to("operator", f"not ({shown(expression)})", _negated(expression), negates=True)
    if isinstance(expression, MetricValue) and within.windows:
        yield from _other_windows(expression, within.ruleset)
    if isinstance(expression, OneOf) and isinstance(expression.choices, tuple) and len(expression.choices) > 1:
        for number, choice in enumerate(expression.choices):
            fewer = (*expression.choices[:number], *expression.choices[number + 1 :])
            yield replace(left_out(choice), expression=replace(expression, choices=fewer))


def _with_sign(expression: Comparison | Arithmetic, sign: str) -> str:
    """Its text with another operator between the sides."""
    left, right = expression.left.span, expression.right.span
    between = expression.span.source.text[left.end : right.start]
    signs = list(_SIGN.finditer(between))
    if not signs or is_turned(left, right):
        return f"{shown(expression.left)} {sign} {shown(expression.right)}"
    text = f"{left.text}{between[: signs[-1].start()]}{sign}{between[signs[-1].end() :]}{right.text}"
    return " ".join(text.split())


def is_turned(left: Span, right: Span) -> bool:
    return right.start < left.end


def _negated(expression: Expression) -> Not:
    return Not(type=BOOLEAN, nullable=expression.nullable, operand=expression, span=expression.span)


def shown(expression: Expression) -> str:
    return " ".join(expression.span.text.split())


def beside(value: object, text: str) -> Iterator[tuple[Any, str]]:
    """The values one step below and above a number or date, the step being the last digit as it is written."""
    if isinstance(value, bool | str):
        return
    if isinstance(value, date):
        for day in (value - timedelta(1), value + timedelta(1)):
            yield day, str(day)
        return
    if not isinstance(value, int | Decimal):
        return
    match = NUMBER.match(text.lstrip("-"))
    percent = match is not None and match[2] == "%"
    digits = len(match[1]) if match is not None and match[1] else 0
    step = Decimal(1).scaleb(-digits - (2 if percent else 0))
    for near in (Decimal(value) - step, Decimal(value) + step):
        kept = int(near) if isinstance(value, int) else near
        yield kept, f"{near * 100:f}%".replace(".00%", "%") if percent else f"{near:,f}".replace(",", "_")


# -- windows ---------------------------------------------------------------------------------------------------


def _windows_beside(window: Window) -> Iterator[tuple[Window, str]]:
    match window:
        case Last(count=count, unit=unit, previous=previous):
            which = "previous" if previous else "last"
            for near in (count - 1, count + 1):
                if near > 0:
                    yield replace(window, count=near), f"{which} {near} {unit}{'' if near == 1 else 's'}"
            if previous:
                yield replace(window, previous=False), f"last {count} {unit}{'' if count == 1 else 's'}"
        case Calendar(unit=unit, previous=previous):
            yield replace(window, previous=not previous), f"{'this' if previous else 'previous'} {unit}"
        case Between(first=first, last=last):
            day = timedelta(1)
            yield replace(window, first=first + day), f"{first + day} to {last}"
            yield replace(window, last=last - day), f"{first} to {last - day}"


def _other_windows(expression: MetricValue, ruleset: Ruleset) -> Iterator[Change]:
    """The metric through windows beside the one that it is seen through, where that is written beside its name."""
    metric = ruleset.metrics[expression.metric]
    window = _window(metric, ruleset) if metric.declared not in (None, metric.name) else None
    if window is None:
        return
    for other, text in _windows_beside(window):
        made: dict[str, Metric] = {}
        name = _through(metric, window, other, ruleset, made)
        after = f"{metric.declared} during {text}"
        change = replace(expression, metric=name)
        yield Change("window", expression.span, metric.name, after, change, made=tuple(made.values()))


def _window(metric: Metric, ruleset: Ruleset) -> Window | None:
    for part in walk(metric.expression):
        if isinstance(part, Aggregate) and part.window is not None:
            return part.window
        if isinstance(part, MetricValue):
            found = _window(ruleset.metrics[part.metric], ruleset)
            if found is not None:
                return found
    return None


def _through(metric: Metric, window: Window, other: Window, ruleset: Ruleset, made: dict[str, Metric]) -> str:
    """The name of a copy of a metric that looks through another window, and so do those beneath it."""
    name = f"{MADE}{metric.name} {other}"

    def seen(expression: Expression) -> Expression:
        if isinstance(expression, Aggregate) and expression.window == window:
            return replace(expression, window=other)
        if isinstance(expression, MetricValue):
            return replace(
                expression, metric=_through(ruleset.metrics[expression.metric], window, other, ruleset, made)
            )
        return mapped(expression, seen)

    if name not in made:
        expression = seen(metric.expression)
        made[name] = replace(metric, name=name, expression=expression)
    return name


def mapped(expression: Expression, change: Any) -> Expression:
    """An expression with `change` made of each expression directly beneath it."""
    if not any(children(expression)):
        return expression
    changed: dict[str, Any] = {}
    for part in fields(expression):
        value = getattr(expression, part.name)
        if isinstance(value, Typed):
            changed[part.name] = change(value)
        elif isinstance(value, tuple):
            changed[part.name] = tuple(change(item) if isinstance(item, Typed) else item for item in value)
    return replace(expression, **changed)
