"""Calls: scalar functions, and aggregates over events."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from ruleengine.checking import expressions as checked
from ruleengine.checking.context import Context, Made
from ruleengine.checking.naming import all_columns, qualified
from ruleengine.checking.ruleset import Events
from ruleengine.checking.scope import near, word
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Word
from ruleengine.functions.aggregates import AGGREGATE_NAMES, AGGREGATES, AggregateFunction, Argument, Result, aggregate
from ruleengine.functions.rankings import RANKINGS
from ruleengine.functions.scalars import SCALARS
from ruleengine.syntax import nodes
from ruleengine.syntax.format import format_expression
from ruleengine.syntax.wording import format_modifiers
from ruleengine.types import BOOLEAN, COUNT, DATE, DAYS, DOUBLE, MAX_DIGITS, MAX_SCALE, Kind, Type, common, exact

if TYPE_CHECKING:
    from ruleengine.checking.typing import Typing


_SCALAR_WANTS = {name: Word(f"scalar-{name}") for name in ("abs", "floor", "ceil", "round", "least", "greatest")}
_SCALAR_EXAMPLES = {
    "abs": "abs(balance)",
    "floor": "floor(basket)",
    "ceil": "ceil(basket)",
    "round": "round(basket, 2)",
    "least": "least(spend_90d, 1_000)",
    "greatest": "greatest(spend_90d, 0)",
}


def call(typing: "Typing", node: nodes.Call, context: Context) -> Made:
    name = node.function.text
    if node.modifiers is not None:
        what = f"`{format_modifiers(node.modifiers)}`"
        typing.problems.add(codes.wrong_place(node.modifiers.span, what=what, place=f"`{name}`"))
        return None
    if name in AGGREGATE_NAMES:
        return _aggregate(typing, node, context)
    if name in SCALARS:
        return _scalar(typing, node, context)
    known = [*AGGREGATE_NAMES, *SCALARS, *RANKINGS]
    typing.problems.add(codes.unknown_function(node.function.span, name=name, near=near(name, known)))
    return None


def _scalar(typing: "Typing", node: nodes.Call, context: Context) -> Made:
    name, span = node.function.text, node.span
    function = SCALARS[name]
    count = len(node.arguments)
    if (
        count < function.least_arguments
        or (function.most_arguments is not None and count > function.most_arguments)
        or node.where is not None
        or node.distinct
    ):
        _wrong_arguments(typing, node, _SCALAR_WANTS[name], _SCALAR_EXAMPLES[name])
        return None
    if name in ("least", "greatest"):
        made = [typing.value(argument, context) for argument in node.arguments]
    else:
        made = [typing.number(argument, context, name) for argument in node.arguments[:1]]
    arguments = tuple(argument for argument in made if argument is not None)
    if len(arguments) < len(made):
        return None
    nullable = any(argument.nullable for argument in arguments)
    result, places = arguments[0].type, 0
    match name:
        case "least" | "greatest":
            for argument in arguments[1:]:
                wide = common(result, argument.type)
                if wide is None or wide == BOOLEAN:
                    left, right = word(result.kind), word(argument.type.kind)
                    typing.problems.add(codes.different_results(span, left=left, right=right))
                    return None
                result = wide
            if result == BOOLEAN:
                typing.problems.add(codes.no_order(span, operator=name))
                return None
        case "floor" | "ceil" if result.kind is Kind.EXACT:
            result = exact(result.digits - result.scale + 1)
        case "round":
            if count == 2:
                digits = node.arguments[1]
                if not isinstance(digits, nodes.Number) or digits.value not in range(MAX_SCALE + 1):
                    _wrong_arguments(typing, node, _SCALAR_WANTS[name], _SCALAR_EXAMPLES[name])
                    return None
                places = int(digits.value)
            if result.kind is Kind.EXACT and places < result.scale:
                result = exact(result.digits - result.scale + 1 + places, places)
        case _:
            pass
    return checked.Scalar(
        type=result,
        nullable=nullable,
        function=name,  # type: ignore[arg-type]
        arguments=arguments,
        places=places,
        span=span,
    )


def _wrong_arguments(typing: "Typing", node: nodes.Call, wanted: str, example: str) -> None:
    typing.problems.add(codes.wrong_arguments(node.span, function=node.function.text, wanted=wanted, example=example))


def _aggregate(typing: "Typing", node: nodes.Call, context: Context) -> Made:
    name, span, scope = node.function.text, node.span, typing.scope
    if context.events is not None:
        typing.problems.add(codes.nested_aggregate(span))
        return None
    if context.place == "entity":
        what, place = Word("an-aggregate"), Word("the-entity")
        typing.problems.add(codes.wrong_place(span, what=what, place=place))
        return None
    if len(node.arguments) != 1:
        _wrong_aggregate(typing, node)
        return None
    argument = node.arguments[0]
    of_events = (
        isinstance(argument, nodes.Reference) and argument.qualifier is None and argument.name.text in scope.events
    )
    events = scope.events[argument.name.text] if of_events else _events_of(typing, node)  # type: ignore[union-attr]
    if events is None:
        return None
    function = aggregate(name, of_events=of_events, distinct=node.distinct)
    if function is None:
        _wrong_aggregate(typing, node, events)
        return None
    inside = Context(place=context.place, events=events)
    value = None if of_events else typing.value(argument, inside)
    where = typing.condition(node.where, inside) if node.where is not None else None
    if (value is None and not of_events) or (where is None and node.where is not None):
        return None
    result = _aggregate_type(typing, function, value, node, events)
    if result is None:
        return None
    made = checked.Aggregate(
        type=result,
        nullable=not function.of_nothing_is_zero,
        function=function.computes,
        source=events.name,
        argument=value,
        where=where,
        window=context.window,
        span=span,
    )
    if context.place == "rule":
        text = format_expression(node)
        metric = typing.book.unnamed(f"{text} {context.window_text}".strip(), made)
        return checked.MetricValue(type=made.type, nullable=made.nullable, metric=metric.name, span=span)
    return made


def _events_of(typing: "Typing", node: nodes.Call) -> Events | None:
    """The events an aggregate is over: those it names, or the only ones with such columns."""
    references = [
        reference
        for part in (*node.arguments, *([node.where] if node.where is not None else []))
        for reference in _references(part)
    ]
    for reference in references:
        if reference.qualifier is not None and reference.qualifier.text in typing.scope.events:
            return typing.scope.events[reference.qualifier.text]
    for reference in references:
        if reference.qualifier is None:
            name = reference.name.text
            owners = [events for events in typing.scope.events.values() if events.column(name)]
            if len(owners) == 1:
                return owners[0]
            if len(owners) > 1:
                first, second = (f"{events.name}.{name}" for events in owners[:2])
                typing.problems.add(
                    codes.ambiguous_name(
                        reference.span,
                        name=name,
                        first=first,
                        second=second,
                        fix_first=first,
                        fix_second=second,
                    )
                )
                return None
    for reference in references:
        qualifier = reference.qualifier
        entity = typing.scope.entity.name if typing.scope.entity else None
        if qualifier is not None and qualifier.text != entity:
            qualified(typing, reference, qualifier, Context(place="rule"))
            return None
    if references and _known_elsewhere(typing, references[0]):
        _wrong_aggregate(typing, node)
    elif references:
        name = references[0].name.text
        known = list(typing.scope.events) + [
            f"{events.name}.{column.name}" for events in typing.scope.events.values() for column in all_columns(events)
        ]
        typing.problems.add(codes.unknown_name(references[0].span, name=name, near=_near_column(typing, name, known)))
    else:
        _wrong_aggregate(typing, node)
    return None


def _known_elsewhere(typing: "Typing", reference: nodes.Reference) -> bool:
    name = reference.name.text
    return reference.qualifier is not None or name in typing.scope.names() or typing.scope.windowed(name) is not None


def _near_column(typing: "Typing", name: str, known: Sequence[str]) -> str | None:
    tails = {qualified.rpartition(".")[2]: qualified for qualified in reversed(known)}
    close = near(name, tails)
    return tails[close] if close else None


def _aggregate_type(
    typing: "Typing", function: AggregateFunction, value: Made, node: nodes.Call, events: Events
) -> Type | None:
    if value is not None:
        argument = node.arguments[0]
        if function.argument in (Argument.NUMBER, Argument.EXACT) and not value.type.is_number:
            typing.problems.add(codes.not_a_number(argument.span, operator=function.name, type=word(value.type.kind)))
            return None
        if function.argument is Argument.EXACT and value.type.kind is not Kind.EXACT:
            typing.problems.add(codes.inexact_argument(argument.span, function=function.name))
            return None
        if function.argument is Argument.ORDERED and value.type == BOOLEAN:
            typing.problems.add(codes.no_order(argument.span, operator=function.name))
            return None
        if not any(isinstance(part, checked.EventValue) for part in checked.walk(value)):
            _wrong_aggregate(typing, node, events)
            return None
    match function.result:
        case Result.COUNT:
            return COUNT
        case Result.DOUBLE:
            return DOUBLE
        case Result.DATE:
            return DATE
        case Result.DAYS:
            return DAYS
        case Result.SUM:
            assert value is not None
            return exact(MAX_DIGITS, value.type.scale)
        case Result.SAME:
            assert value is not None
            return value.type


def _wrong_aggregate(typing: "Typing", node: nodes.Call, events: Events | None = None) -> None:
    name = node.function.text
    kinds = {f.argument is Argument.EVENTS for f in AGGREGATES if f.name == name}
    events = events or next(iter(typing.scope.events.values()), None)
    source = events.name if events else "orders"
    column = events.columns[0].name if events and events.columns else "amount"
    example = f"{name}({source})" if True in kinds else f"{name}({source}.{column})"
    wanted = Word("aggregate-" + ("either" if len(kinds) == 2 else "events" if True in kinds else "column"))
    _wrong_arguments(typing, node, wanted, example)


def _references(node: object) -> Iterator[nodes.Reference]:
    if isinstance(node, nodes.Reference):
        yield node
    elif isinstance(node, tuple):
        for item in node:
            yield from _references(item)
    elif isinstance(node, nodes.Node):
        for part in fields(node):
            if part.name != "span":
                yield from _references(getattr(node, part.name))
