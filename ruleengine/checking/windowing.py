"""Windows: which aggregates a `during` reaches, and where it could be read in two ways."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from ruleengine.checking import expressions as checked
from ruleengine.checking.context import Context, Made
from ruleengine.checking.naming import second_window
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place
from ruleengine.functions.aggregates import AGGREGATE_NAMES
from ruleengine.syntax import nodes
from ruleengine.syntax.format import format_expression

if TYPE_CHECKING:
    from ruleengine.checking.typing import Typing

_LITERALS = (nodes.Number, nodes.Text, nodes.Day, nodes.Truth)


def during(typing: "Typing", node: nodes.During, context: Context) -> Made:
    window = _window(node.window)
    if isinstance(window, checked.Between) and window.last < window.first:
        typing.problems.add(codes.empty_range(node.window.span, first=str(window.first), last=str(window.last)))
        return None
    if context.window is not None:
        second_window(typing, node.span, node.operand.span.text, node.window.span)
        return None
    text = "during " + format_window(node.window)
    inner = replace(context, window=window, window_text=text)
    operand = node.operand
    if context.events is not None:
        typing.problems.add(codes.nothing_to_window(operand.span, name=operand.span.text))
        return None
    match operand:
        case nodes.Reference(qualifier=None, name=name):
            windowed = typing.scope.windowed(name.text)
            metric = windowed[0] if windowed else typing.scope.metric(name.text)
            if metric is not None:
                counts = typing.book.traits(metric).events if typing.book.instance(metric, None, "") else True
                if not counts:
                    typing.used.add(metric)
                    typing.problems.add(codes.nothing_to_window(operand.span, name=name.text))
                    return None
                return typing.expression(operand, inner)
            if typing.expression(operand, context) is not None:
                typing.problems.add(codes.nothing_to_window(operand.span, name=name.text))
            return None
        case nodes.Call(function=function) if function.text in AGGREGATE_NAMES:
            return typing.expression(operand, inner)
        case nodes.Group():
            made = typing.expression(operand, inner)
            if made is not None and not typing.book.reads_events(made):
                typing.problems.add(codes.nothing_to_window(operand.span, name=operand.span.text))
                return None
            return made
        case _:
            if typing.expression(operand, context) is not None:
                typing.problems.add(codes.nothing_to_window(operand.span, name=operand.span.text))
            return None


def check_chain(typing: "Typing", node: nodes.Expression) -> bool:
    """Report `a / b during …`, where the window could be meant for both; of a comparison each side, then the whole."""
    if isinstance(node, nodes.Comparison):
        left, right = check_chain(typing, node.left), check_chain(typing, node.right)
        if left or right:
            return True
    if isinstance(node, nodes.Arithmetic | nodes.Comparison) and isinstance(node.right, _LITERALS):
        return isinstance(node, nodes.Arithmetic) and check_chain(typing, node.left)
    leaves = list(_leaves(node))
    last = _unwrapped(leaves[-1])
    if len(leaves) < 2 or not isinstance(last, nodes.During) or isinstance(last.operand, nodes.Group):
        return False
    if not _counts_events(typing, last.operand):  # a problem of its own
        return False
    others = [leaf for leaf in map(_unwrapped, leaves[:-1]) if _counts_events(typing, leaf)]
    if not others or any(_has_window(typing, leaf) for leaf in others):
        return False
    window = "during " + format_window(last.window)
    text = format_expression(node)
    bare = text.removesuffix(" " + window)
    typing.problems.add(
        codes.ambiguous_during(
            last.span,
            *(Place(leaf.span, "refers-here") for leaf in others[:1]),
            last=last.operand.span.text,
            all=_all_windowed(node, window),
            one=f"{bare.removesuffix(format_expression(last.operand))}({format_expression(last)})",
        )
    )
    return True


def _counts_events(typing: "Typing", node: nodes.Node) -> bool:
    match node:
        case nodes.During():
            return True
        case nodes.Reference(qualifier=None, name=name):
            windowed = typing.scope.windowed(name.text)
            metric = windowed[0] if windowed else typing.scope.metric(name.text)
            return (
                metric is not None
                and typing.book.instance(metric, None, "") is not None
                and typing.book.traits(metric).events
            )
        case nodes.Call(function=function) if function.text in AGGREGATE_NAMES:
            return True
        case _:
            return any(_counts_events(typing, part) for part in parts(node))


def _has_window(typing: "Typing", node: nodes.Node) -> bool:
    match node:
        case nodes.During():
            return True
        case nodes.Reference(qualifier=None, name=name):
            metric = typing.scope.metric(name.text)
            if metric is None:
                return typing.scope.windowed(name.text) is not None
            return typing.book.traits(metric).window is not None
        case nodes.Call(function=function) if function.text in AGGREGATE_NAMES:
            return False
        case _:
            return any(_has_window(typing, part) for part in parts(node))


def parts(node: nodes.Node) -> Iterator[nodes.Node]:
    """What stands directly in an expression."""
    for field in fields(node):
        value = getattr(node, field.name)
        yield from (part for part in (value if isinstance(value, tuple) else (value,)) if isinstance(part, nodes.Node))


def format_window(window: nodes.Window) -> str:
    """`last 90 days`, in the canonical wording."""
    match window:
        case nodes.LastWindow(count=count, unit=unit, previous=previous):
            return f"{'previous' if previous else 'last'} {count} {unit}{'' if count == 1 else 's'}"
        case nodes.CalendarWindow(unit=unit, previous=previous):
            return f"{'previous' if previous else 'this'} {unit}"
        case nodes.RangeWindow(first=first, last=last):
            return f"{first} to {last}"


def _window(window: nodes.Window) -> checked.Window:
    match window:
        case nodes.LastWindow(count=count, unit=unit, previous=previous):
            return checked.Last(count, unit, previous)  # type: ignore[arg-type]
        case nodes.CalendarWindow(unit=unit, previous=previous):
            return checked.Calendar(unit, previous)  # type: ignore[arg-type]
        case nodes.RangeWindow(first=first, last=last):
            return checked.Between(first, last)


def _all_windowed(node: nodes.Expression, window: str) -> str:
    """The chain with the window given to all of it."""
    if isinstance(node, nodes.Comparison):
        right = _all_windowed(node.right, window)
        return f"{_all_windowed(node.left, window)} {node.operator} {right}"
    if isinstance(node, nodes.Number | nodes.Text | nodes.Day | nodes.Truth):
        return format_expression(node)
    text = format_expression(node).removesuffix(" " + window)
    return f"({text}) {window}" if isinstance(node, nodes.Arithmetic) else f"{text} {window}"


def _leaves(node: nodes.Expression) -> Iterator[nodes.Expression]:
    match node:
        case nodes.Arithmetic(left=left, right=right) | nodes.Comparison(left=left, right=right):
            yield from _leaves(left)
            yield from _leaves(right)
        case nodes.Minus(operand=operand):
            yield from _leaves(operand)
        case _:
            yield node


def _unwrapped(leaf: nodes.Expression) -> nodes.Expression:
    """`days since x` speaks of x, as `x default 0` does."""
    while isinstance(leaf, nodes.Days | nodes.Default):
        leaf = leaf.operand
    return leaf
