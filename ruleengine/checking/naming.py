"""Names to what they mean: columns, parameters, metrics, tags, tiers and classes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ruleengine.checking import expressions as checked
from ruleengine.checking.context import Context, Made
from ruleengine.checking.ruleset import Column, Events
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Word
from ruleengine.source import Span
from ruleengine.syntax import nodes

if TYPE_CHECKING:
    from ruleengine.checking.typing import Typing


def reference(typing: "Typing", node: nodes.Reference, context: Context) -> Made:
    if node.qualifier is not None:
        return qualified(typing, node, node.qualifier, context)
    name, span, scope = node.name.text, node.span, typing.scope
    metric, parameter = scope.metric(name), scope.parameter(name)
    attribute, windowed = scope.attributes.get(name), scope.windowed(name)
    if context.events is not None:
        column = context.events.column(name)
        if column is not None:
            is_customer = column is context.events.customer and attribute is not None
            if (metric or parameter or attribute or windowed) and not is_customer:
                first = Word("event-column")
                other = "attribute" if attribute else "parameter" if parameter else "metric"
                entity = scope.entity.name if scope.entity else "customer"
                typing.problems.add(
                    codes.ambiguous_name(
                        span,
                        Place(column.span, "declared-here"),
                        name=name,
                        first=first,
                        second=Word(other),
                        fix_first=f"{context.events.name}.{name}",
                        fix_second=f"{entity}.{name}" if attribute else f"{context.events.name}.{name}",
                    )
                )
                return None
            return _event_value(typing, context.events, name, span)
        if metric or windowed:
            typing.problems.add(codes.not_beside_events(span, name=name, what=Word("a-metric")))
            return None
    if parameter:
        return _parameter(typing, parameter, span)
    if attribute:
        typing.used.add(name)
        nullable = scope.entity is None or name != scope.entity.key.name
        return checked.Attribute(type=attribute.type.value, nullable=nullable, column=name, span=span)
    if metric or windowed:
        if context.place == "entity":
            what, place = Word("a-metric"), Word("the-entity")
            typing.problems.add(codes.wrong_place(span, what=what, place=place))
            return None
        declared, window = windowed if windowed else (metric or "", None)
        return _metric(typing, declared, window, span, name, context)
    _unknown(typing, name, span, context)
    return None


def _metric(
    typing: "Typing", declared: str, window: checked.Window | None, span: Span, text: str, context: Context
) -> Made:
    """A metric where it is named, through its own window, that of its surroundings, or none."""
    typing.used.add(declared)
    plain = typing.book.instance(declared, None, "")
    if plain is None:
        return None
    traits = typing.book.traits(declared)
    if traits.whole and (window is not None or context.window is not None):
        typing.problems.add(codes.nothing_to_window(span, Place(plain.span, "declared-here"), name=text))
        return None
    window_text = "" if window is None else text
    if context.window is not None:
        if window is not None or traits.window is not None:
            second_window(typing, span, text, traits.window)
            return None
        if traits.events:
            window, window_text = context.window, context.window_text
    elif window is not None:
        if traits.window is not None:
            second_window(typing, span, text, traits.window)
            return None
        if not traits.events:
            typing.problems.add(codes.nothing_to_window(span, name=declared))
            return None
    metric = plain if window is None else typing.book.instance(declared, window, window_text)
    if metric is None:
        return None
    return checked.MetricValue(type=metric.type, nullable=metric.expression.nullable, metric=metric.name, span=span)


def second_window(typing: "Typing", span: Span, name: str, inner: Span | None) -> None:
    places = (Place(inner, "its-window"),) if inner is not None else ()
    typing.problems.add(codes.second_window(span, *places, name=name))


def qualified(typing: "Typing", node: nodes.Reference, qualifier: nodes.Name, context: Context) -> Made:
    name, span, scope = node.name.text, node.span, typing.scope
    if scope.entity is not None and qualifier.text == scope.entity.name:
        attribute = scope.attributes.get(name)
        if attribute is None:
            typing.problems.add(codes.unknown_name(node.name.span, name=name, near=near(name, scope.attributes)))
            return None
        typing.used.add(name)
        nullable = name != scope.entity.key.name
        return checked.Attribute(type=attribute.type.value, nullable=nullable, column=name, span=span)
    events = scope.events.get(qualifier.text)
    if events is None:
        known = [*scope.events, *([scope.entity.name] if scope.entity else [])]
        typing.problems.add(
            codes.unknown_events(
                qualifier.span,
                name=qualifier.text,
                near=near(qualifier.text, known),
                known=", ".join(scope.events) or None,
            )
        )
        return None
    if events.column(name) is None:
        columns = [column.name for column in all_columns(events)]
        typing.problems.add(
            codes.unknown_name(
                node.name.span,
                name=f"{events.name}.{name}",
                near=_qualify(events.name, near(name, columns)),
                events=events.name,
                columns=", ".join(columns),
            )
        )
        return None
    if context.events is None:
        typing.problems.add(codes.misplaced_events(span, name=f"{events.name}.{name}", example=f"latest({span.text})"))
        return None
    if context.events is not events:
        typing.problems.add(codes.mixed_events(span, first=context.events.name, second=events.name))
        return None
    return _event_value(typing, events, name, span)


def _event_value(typing: "Typing", events: Events, name: str, span: Span) -> Made:
    column = events.column(name)
    assert column is not None
    nullable = name not in (events.at.name, events.customer.name)
    return checked.EventValue(type=column.type.value, nullable=nullable, source=events.name, column=name, span=span)


def _parameter(typing: "Typing", name: str, span: Span) -> Made:
    typing.used.add(name)
    parameter = typing.parameters.get(name)
    if parameter is None:  # its own problem was reported
        return None
    if parameter.is_list:
        typing.problems.add(codes.misplaced_list(span, Place(parameter.span, "declared-here"), name=name))
        return None
    return checked.ParameterValue(type=parameter.type, parameter=name, span=span)


def _unknown(typing: "Typing", name: str, span: Span, context: Context) -> None:
    scope = typing.scope
    if context.events is None:
        owners = [events.name for events in scope.events.values() if events.column(name)]
        if name in scope.events or owners:
            example = f"count({name})" if name in scope.events else f"latest({owners[0]}.{name})"
            typing.problems.add(codes.misplaced_events(span, name=name, example=example))
            return
        known = scope.names()
        typing.problems.add(codes.unknown_name(span, name=name, near=_near(typing, name, known)))
        return
    columns = [column.name for column in all_columns(context.events)]
    known = [*columns, *scope.attributes, *scope.parameters]
    typing.problems.add(
        codes.unknown_name(
            span,
            name=name,
            near=near(name, known),
            events=context.events.name,
            columns=", ".join(columns),
        )
    )


def _near(typing: "Typing", name: str, known: Sequence[str]) -> str | None:
    """The nearest name; of a misspelled metric with a window, the metric with that window."""
    base, _, suffix = name.rpartition("_")
    if base and typing.scope.metric(base) is None:
        candidate = near(base, [*typing.scope.metrics, *typing.scope.labels])
        if candidate is not None and typing.scope.windowed(f"{candidate}_{suffix}"):
            return f"{candidate}_{suffix}"
    return near(name, known)


def all_columns(events: Events) -> list[Column]:
    return [*events.columns, *([events.key] if events.key else []), events.customer, events.at]


def _qualify(qualifier: str, name: str | None) -> str | None:
    return f"{qualifier}.{name}" if name else None
