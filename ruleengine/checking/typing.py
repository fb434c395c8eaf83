"""Syntax expressions to checked ones: names resolved, types known, windows pushed to where they take effect."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

from ruleengine.checking import expressions as checked
from ruleengine.checking.metrics import MetricBook
from ruleengine.checking.ruleset import Column, Events, Parameter
from ruleengine.checking.scope import Scope, near, word
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Fix, Place, Problems, Word
from ruleengine.functions.aggregates import (
    AGGREGATE_NAMES,
    AGGREGATES,
    AggregateFunction,
    Argument,
    Result,
    aggregate,
)
from ruleengine.functions.scalars import POPULATION_NAMES, SCALARS
from ruleengine.source import Span
from ruleengine.syntax import nodes
from ruleengine.syntax.format import format_expression
from ruleengine.types import (
    BOOLEAN,
    COUNT,
    DATE,
    DAYS,
    DOUBLE,
    MAX_DIGITS,
    MAX_FACTOR_DIGITS,
    MAX_SCALE,
    TEXT,
    Kind,
    Type,
    common,
    exact,
    literal_digits,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where an expression stands."""

    place: Literal["rule", "metric", "entity"]
    events: Events | None = None
    """Inside an aggregate: the events it looks at."""
    window: checked.Window | None = None
    window_text: str = ""
    """`during last 7 days`, as the formatter writes it."""


Made = checked.Expression | None
"""None where a problem was reported; what stands above says nothing more about it."""


class Typing:
    """Checks expressions against a scope. Problems go to `problems`, and what is referred to into `used`."""

    def __init__(self, scope: Scope, parameters: dict[str, Parameter], problems: Problems) -> None:
        self.scope = scope
        self.parameters = parameters
        self.problems = problems
        self.used: set[str] = set()
        self.book = MetricBook(self)

    # -- entry points ---------------------------------------------------------------------------------

    def condition(self, node: nodes.Expression, context: Context) -> Made:
        """An expression that must be true, false or unknown."""
        made = self.expression(node, context)
        if made is not None and made.type != BOOLEAN:
            self.problems.add(codes.not_a_condition(node.span, type=word(made.type.kind), text=_short(node)))
            return None
        return made

    def value(self, node: nodes.Expression, context: Context) -> Made:
        return self.expression(node, context)

    # -- dispatch ---------------------------------------------------------------------------------------

    def expression(self, node: nodes.Expression, context: Context, in_chain: bool = False) -> Made:
        if not in_chain and isinstance(node, nodes.Arithmetic | nodes.Comparison | nodes.Minus):
            self._check_during_chain(node)
        match node:
            case nodes.Number(span=span, value=value):
                digits, scale = literal_digits(value)
                if digits > MAX_DIGITS:
                    self.problems.add(codes.too_many_digits(span, most=MAX_DIGITS))
                    return None
                plain = int(value) if scale == 0 else value
                return checked.Constant(type=exact(digits, scale), value=plain, span=span)
            case nodes.Text(span=span, value=text):
                return checked.Constant(type=TEXT, value=text, span=span)
            case nodes.Day(span=span, value=day):
                return checked.Constant(type=DATE, value=day, span=span)
            case nodes.Truth(span=span, value=truth):
                return checked.Constant(type=BOOLEAN, value=truth, span=span)
            case nodes.Reference():
                return self._reference(node, context)
            case nodes.Group(inner=inner):
                return self.expression(inner, context)
            case nodes.Minus(span=span, operand=operand):
                made = self._number(operand, context, "-", in_chain=True)
                if isinstance(made, checked.Constant):
                    return replace(made, value=-made.value, span=span)  # type: ignore[operator]
                return made and checked.Negation(type=made.type, nullable=made.nullable, operand=made, span=span)
            case nodes.Arithmetic():
                return self._arithmetic(node, context)
            case nodes.Comparison():
                return self._comparison(node, context)
            case nodes.Membership():
                return self._membership(node, context)
            case nodes.Between():
                return self._between(node, context)
            case nodes.Presence(span=span, operand=operand, known=known):
                made = self.value(operand, context)
                if made is None:
                    return None
                missing = checked.IsMissing(type=BOOLEAN, operand=made, span=span)
                return checked.Not(type=BOOLEAN, operand=missing, span=span) if known else missing
            case nodes.TextTest():
                return self._text_test(node, context)
            case nodes.Not(span=span, operand=operand):
                made = self.condition(operand, context)
                if made is None:
                    return None
                self.warn_missing(made, span)
                return checked.Not(type=BOOLEAN, nullable=made.nullable, operand=made, span=span)
            case nodes.Junction(span=span, operator=operator, items=items):
                conditions = [self.condition(item, context) for item in items]
                parts = tuple(made for made in conditions if made is not None)
                if len(parts) < len(items):
                    return None
                nullable = any(part.nullable for part in parts)
                return checked.Junction(type=BOOLEAN, nullable=nullable, operator=operator, items=parts, span=span)
            case nodes.Conditional():
                return self._conditional(node, context)
            case nodes.During():
                return self._during(node, context)
            case nodes.Default():
                return self._default(node, context)
            case nodes.Call():
                return self._call(node, context)
            case nodes.Days(span=span, direction=direction, operand=operand):
                made = self.value(operand, context)
                if made is None:
                    return None
                if made.type != DATE:
                    operator = f"days {direction}"
                    self.problems.add(codes.not_a_date(operand.span, operator=operator, type=word(made.type.kind)))
                    return None
                return checked.Days(type=DAYS, nullable=made.nullable, direction=direction, operand=made, span=span)
            case nodes.HasTag() | nodes.LadderIs():
                return self._rule_reference(node, context)

    # -- names ------------------------------------------------------------------------------------------

    def _reference(self, node: nodes.Reference, context: Context) -> Made:
        if node.qualifier is not None:
            return self._qualified(node, node.qualifier, context)
        name, span, scope = node.name.text, node.span, self.scope
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
                    self.problems.add(
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
                return self._event_value(context.events, name, span)
            if metric or windowed:
                self.problems.add(codes.not_beside_events(span, name=name, what=Word("a-metric")))
                return None
        if parameter:
            return self._parameter(parameter, span)
        if attribute:
            self.used.add(name)
            nullable = scope.entity is None or name != scope.entity.key.name
            return checked.Attribute(type=attribute.type.value, nullable=nullable, column=name, span=span)
        if metric or windowed:
            if context.place == "entity":
                what, place = Word("a-metric"), Word("the-entity")
                self.problems.add(codes.wrong_place(span, what=what, place=place))
                return None
            declared, window = windowed if windowed else (metric or "", None)
            return self._metric(declared, window, span, name, context)
        self._unknown(name, span, context)
        return None

    def _metric(self, declared: str, window: checked.Window | None, span: Span, text: str, context: Context) -> Made:
        """A metric where it is named, through its own window, that of its surroundings, or none."""
        self.used.add(declared)
        plain = self.book.instance(declared, None, "")
        if plain is None:
            return None
        traits = self.book.traits(declared)
        window_text = "" if window is None else text
        if context.window is not None:
            if window is not None or traits.window is not None:
                self._second_window(span, text, traits.window)
                return None
            if traits.events:
                window, window_text = context.window, context.window_text
        elif window is not None:
            if traits.window is not None:
                self._second_window(span, text, traits.window)
                return None
            if not traits.events:
                self.problems.add(codes.nothing_to_window(span, name=declared))
                return None
        metric = plain if window is None else self.book.instance(declared, window, window_text)
        if metric is None:
            return None
        return checked.MetricValue(type=metric.type, nullable=metric.expression.nullable, metric=metric.name, span=span)

    def _second_window(self, span: Span, name: str, inner: Span | None) -> None:
        places = (Place(inner, "its-window"),) if inner is not None else ()
        self.problems.add(codes.second_window(span, *places, name=name))

    def _qualified(self, node: nodes.Reference, qualifier: nodes.Name, context: Context) -> Made:
        name, span, scope = node.name.text, node.span, self.scope
        if scope.entity is not None and qualifier.text == scope.entity.name:
            attribute = scope.attributes.get(name)
            if attribute is None:
                self.problems.add(codes.unknown_name(node.name.span, name=name, near=near(name, scope.attributes)))
                return None
            self.used.add(name)
            nullable = name != scope.entity.key.name
            return checked.Attribute(type=attribute.type.value, nullable=nullable, column=name, span=span)
        events = scope.events.get(qualifier.text)
        if events is None:
            known = [*scope.events, *([scope.entity.name] if scope.entity else [])]
            self.problems.add(
                codes.unknown_events(
                    qualifier.span,
                    name=qualifier.text,
                    near=near(qualifier.text, known),
                    known=", ".join(scope.events) or None,
                )
            )
            return None
        if events.column(name) is None:
            columns = [column.name for column in _all_columns(events)]
            self.problems.add(
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
            self.problems.add(
                codes.misplaced_events(span, name=f"{events.name}.{name}", example=f"latest({span.text})")
            )
            return None
        if context.events is not events:
            self.problems.add(codes.mixed_events(span, first=context.events.name, second=events.name))
            return None
        return self._event_value(events, name, span)

    def _event_value(self, events: Events, name: str, span: Span) -> Made:
        column = events.column(name)
        assert column is not None
        nullable = name not in (events.at.name, events.customer.name)
        return checked.EventValue(type=column.type.value, nullable=nullable, source=events.name, column=name, span=span)

    def _parameter(self, name: str, span: Span) -> Made:
        self.used.add(name)
        parameter = self.parameters.get(name)
        if parameter is None:  # its own problem was reported
            return None
        if parameter.is_list:
            self.problems.add(codes.misplaced_list(span, Place(parameter.span, "declared-here"), name=name))
            return None
        return checked.ParameterValue(type=parameter.type, parameter=name, span=span)

    def _unknown(self, name: str, span: Span, context: Context) -> None:
        scope = self.scope
        if context.events is None:
            owners = [events.name for events in scope.events.values() if events.column(name)]
            if name in scope.events or owners:
                example = f"count({name})" if name in scope.events else f"latest({owners[0]}.{name})"
                self.problems.add(codes.misplaced_events(span, name=name, example=example))
                return
            known = scope.names()
            self.problems.add(codes.unknown_name(span, name=name, near=self._near(name, known)))
            return
        columns = [column.name for column in _all_columns(context.events)]
        known = [*columns, *scope.attributes, *scope.parameters]
        self.problems.add(
            codes.unknown_name(
                span,
                name=name,
                near=near(name, known),
                events=context.events.name,
                columns=", ".join(columns),
            )
        )

    def _near(self, name: str, known: Sequence[str]) -> str | None:
        """The nearest name; of a misspelled metric with a window, the metric with that window."""
        base, _, suffix = name.rpartition("_")
        if base and self.scope.metric(base) is None:
            candidate = near(base, [*self.scope.metrics, *self.scope.labels])
            if candidate is not None and self.scope.windowed(f"{candidate}_{suffix}"):
                return f"{candidate}_{suffix}"
        return near(name, known)

    # -- arithmetic -------------------------------------------------------------------------------------

    def _number(self, node: nodes.Expression, context: Context, operator: str, in_chain: bool = False) -> Made:
        made = self.expression(node, context, in_chain)
        if made is not None and not made.type.is_number:
            text = _short(node) if made.type == DATE else None
            self.problems.add(codes.not_a_number(node.span, operator=operator, type=word(made.type.kind), text=text))
            return None
        return made

    def _arithmetic(self, node: nodes.Arithmetic, context: Context) -> Made:
        left = self._number(node.left, context, node.operator, in_chain=True)
        right = self._number(node.right, context, node.operator, in_chain=True)
        if left is None or right is None:
            return None
        nullable = left.nullable or right.nullable
        result: Type
        if node.operator == "/":
            result = DOUBLE
            nullable = nullable or not (isinstance(right, checked.Constant) and right.value != 0)
        elif Kind.DOUBLE in (left.type.kind, right.type.kind):
            result = DOUBLE
        elif node.operator == "*":
            scale = left.type.scale + right.type.scale
            if scale > MAX_SCALE:
                self.problems.add(codes.too_many_decimals(node.span, scale=scale))
                return None
            digits = (min(side.type.digits, MAX_FACTOR_DIGITS) for side in (left, right))
            result = exact(sum(digits), scale)
        else:
            wide = common(left.type, right.type)
            assert wide is not None
            result = exact(wide.digits + 1, wide.scale)
        return checked.Arithmetic(
            type=result, nullable=nullable, operator=node.operator, left=left, right=right, span=node.span
        )

    def _conditional(self, node: nodes.Conditional, context: Context) -> Made:
        condition = self.condition(node.condition, context)
        then, otherwise = self.value(node.then, context), self.value(node.otherwise, context)
        if condition is None or then is None or otherwise is None:
            return None
        result = self._common(then, otherwise, node.span)
        if result is None:
            return None
        return checked.Conditional(
            type=result,
            nullable=then.nullable or otherwise.nullable,
            condition=condition,
            then=then,
            otherwise=otherwise,
            span=node.span,
        )

    def _common(self, left: checked.Expression, right: checked.Expression, span: Span) -> Type | None:
        result = common(left.type, right.type)
        if result is None:
            self.problems.add(codes.different_results(span, left=word(left.type.kind), right=word(right.type.kind)))
        return result

    # -- comparisons --------------------------------------------------------------------------------------

    def _comparison(self, node: nodes.Comparison, context: Context) -> Made:
        left = self.expression(node.left, context, in_chain=True)
        right = self.expression(node.right, context, in_chain=True)
        if left is None or right is None:
            return None
        operator = {"is": "=", "is not": "!="}.get(node.operator, node.operator)
        if not self._comparable(left, right, node.left, node.right, node.span):
            return None
        if left.type == BOOLEAN and operator not in ("=", "!="):
            self.problems.add(codes.no_order(node.span, operator=operator))
            return None
        if operator == "!=":
            for side in (left, right):
                self.warn_missing(side, node.span)
        return checked.Comparison(
            type=BOOLEAN,
            nullable=left.nullable or right.nullable,
            operator=operator,  # type: ignore[arg-type]
            left=left,
            right=right,
            span=node.span,
        )

    def _comparable(
        self,
        left: checked.Expression,
        right: checked.Expression,
        left_node: nodes.Expression,
        right_node: nodes.Expression,
        span: Span,
    ) -> bool:
        if left.type.compares_with(right.type):
            return True
        facts: dict[str, str] = {}
        fix = None
        for literal, other, node in ((right, left, right_node), (left, right, left_node)):
            if isinstance(literal, checked.Constant) and isinstance(literal.value, str):
                text = literal.value.strip()
                if other.type.is_number and text.replace(".", "", 1).replace("-", "", 1).isdigit():
                    facts["number"] = text
                elif other.type == DATE and text.replace("-", "").isdigit():
                    facts["date"] = text
                else:
                    continue
                fix = Fix(node.span, text)
            elif isinstance(literal, checked.Constant) and other.type == TEXT:
                facts["quoted"] = node.span.text
                fix = Fix(node.span, f'"{node.span.text}"')
        self.problems.add(
            codes.incomparable(span, fix=fix, left=word(left.type.kind), right=word(right.type.kind), **facts)
        )
        return False

    def _membership(self, node: nodes.Membership, context: Context) -> Made:
        operand = self.value(node.operand, context)
        choices: tuple[checked.Expression, ...] | str
        if isinstance(node.choices, nodes.Name):
            name = self.scope.parameter(node.choices.text)
            if name is None:
                if node.choices.text in self.scope.names():
                    self.problems.add(codes.not_a_list(node.choices.span, name=node.choices.text))
                else:
                    close = near(node.choices.text, self.scope.parameters)
                    self.problems.add(codes.unknown_name(node.choices.span, name=node.choices.text, near=close))
                return None
            self.used.add(name)
            parameter = self.parameters.get(name)
            if operand is None or parameter is None:
                return None
            if not parameter.is_list:
                place = Place(parameter.span, "declared-here")
                self.problems.add(codes.not_a_list(node.choices.span, place, name=name))
                return None
            if not operand.type.compares_with(parameter.type):
                left, right = word(operand.type.kind), word(parameter.type.kind)
                self.problems.add(codes.incomparable(node.span, left=left, right=right))
                return None
            choices = name
        else:
            made = [self.value(choice, context) for choice in node.choices]
            known = tuple(choice for choice in made if choice is not None)
            if operand is None or len(known) < len(made):
                return None
            for choice, written in zip(known, node.choices, strict=True):
                if not isinstance(choice, checked.Constant | checked.ParameterValue):
                    what = Word("something-computed")
                    self.problems.add(codes.wrong_place(written.span, what=what, place="in (…)"))
                    return None
                if not self._comparable(operand, choice, node.operand, written, written.span):
                    return None
            choices = known
        one_of = checked.OneOf(
            type=BOOLEAN, nullable=operand.nullable, operand=operand, choices=choices, span=node.span
        )
        return self._negated(one_of, node.negated)

    def _between(self, node: nodes.Between, context: Context) -> Made:
        operand = self.value(node.operand, context)
        low, high = self.value(node.low, context), self.value(node.high, context)
        if operand is None or low is None or high is None:
            return None
        for bound, written in ((low, node.low), (high, node.high)):
            if not self._comparable(operand, bound, node.operand, written, node.span):
                return None
        if operand.type == BOOLEAN:
            self.problems.add(codes.no_order(node.span, operator="between"))
            return None
        if isinstance(low, checked.Constant) and isinstance(high, checked.Constant) and high.value < low.value:  # type: ignore[operator]
            self.problems.add(codes.empty_range(node.span, first=node.low.span.text, last=node.high.span.text))
            return None
        at_least = checked.Comparison(
            type=BOOLEAN,
            nullable=operand.nullable or low.nullable,
            operator=">=",
            left=operand,
            right=low,
            span=node.operand.span.to(node.low.span),
        )
        at_most = checked.Comparison(
            type=BOOLEAN,
            nullable=operand.nullable or high.nullable,
            operator="<=",
            left=operand,
            right=high,
            span=node.operand.span.to(node.high.span),
        )
        both = checked.Junction(
            type=BOOLEAN,
            nullable=at_least.nullable or at_most.nullable,
            operator="and",
            items=(at_least, at_most),
            span=node.span,
        )
        return self._negated(both, node.negated)

    def _text_test(self, node: nodes.TextTest, context: Context) -> Made:
        operand, text = self.value(node.operand, context), self.value(node.text, context)
        if operand is None or text is None:
            return None
        for made, written in ((operand, node.operand), (text, node.text)):
            if made.type != TEXT:
                self.problems.add(codes.not_a_text(written.span, operator=node.operator, type=word(made.type.kind)))
                return None
        test = checked.TextTest(
            type=BOOLEAN,
            nullable=operand.nullable or text.nullable,
            operator=node.operator,
            operand=operand,
            text=text,
            span=node.span,
        )
        return self._negated(test, node.negated)

    def _negated(self, made: checked.Expression, negated: bool) -> checked.Expression:
        if not negated:
            return made
        self.warn_missing(made, made.span)
        return checked.Not(type=BOOLEAN, nullable=made.nullable, operand=made, span=made.span)

    def warn_missing(self, made: checked.Expression, span: Span) -> None:
        """Warn that a negation leaves those out for whom the value is missing."""
        leaf = missing_leaf(made)
        if leaf is not None:
            self.problems.add(codes.missing_not_matched(span, name=leaf.span.text, text=span.text))

    # -- windows and defaults -------------------------------------------------------------------------------

    def _during(self, node: nodes.During, context: Context) -> Made:
        window = _window(node.window)
        if isinstance(window, checked.Between) and window.last < window.first:
            self.problems.add(codes.empty_range(node.window.span, first=str(window.first), last=str(window.last)))
            return None
        if context.window is not None:
            self._second_window(node.span, node.operand.span.text, node.window.span)
            return None
        text = "during " + format_window(node.window)
        inner = replace(context, window=window, window_text=text)
        operand = node.operand
        if context.events is not None:
            self.problems.add(codes.nothing_to_window(operand.span, name=operand.span.text))
            return None
        match operand:
            case nodes.Reference(qualifier=None, name=name):
                windowed = self.scope.windowed(name.text)
                metric = windowed[0] if windowed else self.scope.metric(name.text)
                if metric is not None:
                    if self.book.instance(metric, None, "") and not self.book.traits(metric).events:
                        self.used.add(metric)
                        self.problems.add(codes.nothing_to_window(operand.span, name=name.text))
                        return None
                    return self.expression(operand, inner)
                if self.expression(operand, context) is not None:
                    self.problems.add(codes.nothing_to_window(operand.span, name=name.text))
                return None
            case nodes.Call(function=function) if function.text in AGGREGATE_NAMES:
                return self.expression(operand, inner)
            case nodes.Group():
                made = self.expression(operand, inner)
                if made is not None and not self.book.reads_events(made):
                    self.problems.add(codes.nothing_to_window(operand.span, name=operand.span.text))
                    return None
                return made
            case _:
                if self.expression(operand, context) is not None:
                    self.problems.add(codes.nothing_to_window(operand.span, name=operand.span.text))
                return None

    def _check_during_chain(self, node: nodes.Expression) -> None:
        """Report `a / b during …`, where the window could be meant for both."""
        leaves = list(_leaves(node))
        last = _unwrapped(leaves[-1])
        if len(leaves) < 2 or not isinstance(last, nodes.During) or isinstance(last.operand, nodes.Group):
            return
        others = [leaf for leaf in map(_unwrapped, leaves[:-1]) if self._counts_events(leaf)]
        if not others or any(self._has_window(leaf) for leaf in others):
            return
        window = "during " + format_window(last.window)
        text = format_expression(node)
        bare = text.removesuffix(" " + window)
        self.problems.add(
            codes.ambiguous_during(
                last.span,
                *(Place(leaf.span, "refers-here") for leaf in others[:1]),
                last=last.operand.span.text,
                all=_all_windowed(node, window),
                one=f"{bare.removesuffix(format_expression(last.operand))}({format_expression(last)})",
            )
        )

    def _counts_events(self, leaf: nodes.Expression) -> bool:
        match leaf:
            case nodes.During():
                return True
            case nodes.Reference(qualifier=None, name=name):
                windowed = self.scope.windowed(name.text)
                metric = windowed[0] if windowed else self.scope.metric(name.text)
                return (
                    metric is not None
                    and self.book.instance(metric, None, "") is not None
                    and self.book.traits(metric).events
                )
            case nodes.Call(function=function):
                return function.text in AGGREGATE_NAMES
            case _:
                return False

    def _has_window(self, leaf: nodes.Expression) -> bool:
        match leaf:
            case nodes.During():
                return True
            case nodes.Reference(name=name):
                metric = self.scope.metric(name.text)
                return metric is None or self.book.traits(metric).window is not None
            case _:
                return False

    def _default(self, node: nodes.Default, context: Context) -> Made:
        operand, value = self.value(node.operand, context), self.value(node.value, context)
        if operand is None or value is None:
            return None
        allowed = nodes.Reference | nodes.Call | nodes.Group | nodes.During | nodes.Days
        if not isinstance(node.operand, allowed):
            self.problems.add(codes.misplaced_default(node.operand.span, what=Word("a-literal")))
            return None
        result = self._common(operand, value, node.span)
        if result is None:
            return None
        return checked.Default(type=result, nullable=value.nullable, operand=operand, value=value, span=node.span)

    # -- calls ------------------------------------------------------------------------------------------------

    def _call(self, node: nodes.Call, context: Context) -> Made:
        name = node.function.text
        if name in AGGREGATE_NAMES:
            return self._aggregate(node, context)
        if name in SCALARS:
            return self._scalar(node, context)
        if name in POPULATION_NAMES:
            self.problems.add(codes.not_yet(node.function.span, name=name))
            return None
        known = [*AGGREGATE_NAMES, *SCALARS, *POPULATION_NAMES]
        self.problems.add(codes.unknown_function(node.function.span, name=name, near=near(name, known)))
        return None

    def _scalar(self, node: nodes.Call, context: Context) -> Made:
        name, span = node.function.text, node.span
        function = SCALARS[name]
        count = len(node.arguments)
        if (
            count < function.least_arguments
            or (function.most_arguments is not None and count > function.most_arguments)
            or node.where is not None
            or node.distinct
        ):
            self._wrong_arguments(node, _SCALAR_WANTS[name], _SCALAR_EXAMPLES[name])
            return None
        if name in ("least", "greatest"):
            made = [self.value(argument, context) for argument in node.arguments]
        else:
            made = [self._number(argument, context, name) for argument in node.arguments[:1]]
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
                        self.problems.add(codes.different_results(span, left=left, right=right))
                        return None
                    result = wide
                if result == BOOLEAN:
                    self.problems.add(codes.no_order(span, operator=name))
                    return None
            case "floor" | "ceil" if result.kind is Kind.EXACT:
                result = exact(result.digits - result.scale + 1)
            case "round":
                if count == 2:
                    digits = node.arguments[1]
                    if not isinstance(digits, nodes.Number) or digits.value not in range(MAX_SCALE + 1):
                        self._wrong_arguments(node, _SCALAR_WANTS[name], _SCALAR_EXAMPLES[name])
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

    def _wrong_arguments(self, node: nodes.Call, wanted: str, example: str) -> None:
        self.problems.add(codes.wrong_arguments(node.span, function=node.function.text, wanted=wanted, example=example))

    def _aggregate(self, node: nodes.Call, context: Context) -> Made:
        name, span, scope = node.function.text, node.span, self.scope
        if context.events is not None:
            self.problems.add(codes.nested_aggregate(span))
            return None
        if context.place == "entity":
            what, place = Word("an-aggregate"), Word("the-entity")
            self.problems.add(codes.wrong_place(span, what=what, place=place))
            return None
        if len(node.arguments) != 1:
            self._wrong_aggregate(node)
            return None
        argument = node.arguments[0]
        of_events = (
            isinstance(argument, nodes.Reference) and argument.qualifier is None and argument.name.text in scope.events
        )
        events = scope.events[argument.name.text] if of_events else self._events_of(node)  # type: ignore[union-attr]
        if events is None:
            return None
        function = aggregate(name, of_events=of_events, distinct=node.distinct)
        if function is None:
            self._wrong_aggregate(node, events)
            return None
        inside = Context(place=context.place, events=events)
        value = None if of_events else self.value(argument, inside)
        where = self.condition(node.where, inside) if node.where is not None else None
        if (value is None and not of_events) or (where is None and node.where is not None):
            return None
        result = self._aggregate_type(function, value, node, events)
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
            metric = self.book.unnamed(f"{text} {context.window_text}".strip(), made)
            return checked.MetricValue(type=made.type, nullable=made.nullable, metric=metric.name, span=span)
        return made

    def _events_of(self, node: nodes.Call) -> Events | None:
        """The events an aggregate is over: those it names, or the only ones with such columns."""
        references = [
            reference
            for part in (*node.arguments, *([node.where] if node.where is not None else []))
            for reference in _references(part)
        ]
        for reference in references:
            if reference.qualifier is not None and reference.qualifier.text in self.scope.events:
                return self.scope.events[reference.qualifier.text]
        for reference in references:
            if reference.qualifier is None:
                name = reference.name.text
                owners = [events for events in self.scope.events.values() if events.column(name)]
                if len(owners) == 1:
                    return owners[0]
                if len(owners) > 1:
                    first, second = (f"{events.name}.{name}" for events in owners[:2])
                    self.problems.add(
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
            entity = self.scope.entity.name if self.scope.entity else None
            if qualifier is not None and qualifier.text != entity:
                self._qualified(reference, qualifier, Context(place="rule"))
                return None
        if references and self._known_elsewhere(references[0]):
            self._wrong_aggregate(node)
        elif references:
            name = references[0].name.text
            known = list(self.scope.events) + [
                f"{events.name}.{column.name}"
                for events in self.scope.events.values()
                for column in _all_columns(events)
            ]
            self.problems.add(codes.unknown_name(references[0].span, name=name, near=self._near_column(name, known)))
        else:
            self._wrong_aggregate(node)
        return None

    def _known_elsewhere(self, reference: nodes.Reference) -> bool:
        name = reference.name.text
        return reference.qualifier is not None or name in self.scope.names() or self.scope.windowed(name) is not None

    def _near_column(self, name: str, known: Sequence[str]) -> str | None:
        tails = {qualified.rpartition(".")[2]: qualified for qualified in reversed(known)}
        close = near(name, tails)
        return tails[close] if close else None

    def _aggregate_type(
        self, function: AggregateFunction, value: Made, node: nodes.Call, events: Events
    ) -> Type | None:
        if value is not None:
            argument = node.arguments[0]
            if function.argument in (Argument.NUMBER, Argument.EXACT) and not value.type.is_number:
                self.problems.add(codes.not_a_number(argument.span, operator=function.name, type=word(value.type.kind)))
                return None
            if function.argument is Argument.EXACT and value.type.kind is not Kind.EXACT:
                self.problems.add(codes.inexact_argument(argument.span, function=function.name))
                return None
            if function.argument is Argument.ORDERED and value.type == BOOLEAN:
                self.problems.add(codes.no_order(argument.span, operator=function.name))
                return None
            if not any(isinstance(part, checked.EventValue) for part in checked.walk(value)):
                self._wrong_aggregate(node, events)
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

    def _wrong_aggregate(self, node: nodes.Call, events: Events | None = None) -> None:
        name = node.function.text
        kinds = {f.argument is Argument.EVENTS for f in AGGREGATES if f.name == name}
        events = events or next(iter(self.scope.events.values()), None)
        source = events.name if events else "orders"
        column = events.columns[0].name if events and events.columns else "amount"
        example = f"{name}({source})" if True in kinds else f"{name}({source}.{column})"
        wanted = Word("aggregate-" + ("either" if len(kinds) == 2 else "events" if True in kinds else "column"))
        self._wrong_arguments(node, wanted, example)

    # -- references to rules ------------------------------------------------------------------------------------

    def _rule_reference(self, node: nodes.HasTag | nodes.LadderIs, context: Context) -> Made:
        if context.place == "entity" or context.events is not None or context.window is not None:
            what = Word("a-tag" if isinstance(node, nodes.HasTag) else "a-tier-or-class")
            if context.events is not None:
                self.problems.add(codes.not_beside_events(node.span, name=node.span.text, what=what))
            elif context.window is not None:
                self.problems.add(codes.nothing_to_window(node.span, name=node.span.text))
            else:
                self.problems.add(codes.wrong_place(node.span, what=what, place=Word("the-entity")))
            return None
        if context.place == "metric":
            what = Word("a-tag" if isinstance(node, nodes.HasTag) else "a-tier-or-class")
            self.problems.add(codes.wrong_place(node.span, what=what, place=Word("a-metric")))
            return None
        if isinstance(node, nodes.HasTag):
            if node.tag.value not in self.scope.tags:
                close = near(node.tag.value, self.scope.tags)
                self.problems.add(codes.unknown_tag(node.tag.span, name=node.tag.value, near=close))
                return None
            return checked.HasTag(type=BOOLEAN, tag=node.tag.value, span=node.span)
        name = node.ladder.text
        ladder = self.scope.ladders.get(name)
        if ladder is None or ladder.kind != node.kind:
            same_kind = [other.name.text for other in self.scope.ladders.values() if other.kind == node.kind]
            self.problems.add(
                codes.unknown_ladder(
                    node.ladder.span,
                    kind=Word(node.kind),
                    name=name,
                    other=Word(ladder.kind) if ladder else None,
                    near=None if ladder else near(name, same_kind),
                )
            )
            return None
        values = [level.value.value for level in ladder.levels]
        if ladder.otherwise is not None:
            values.append(ladder.otherwise.value)
        value = node.value.value
        if value not in values:
            self.problems.add(
                codes.unknown_value(
                    node.value.span,
                    Place(ladder.name.span, "declared-here"),
                    kind=Word(node.kind),
                    ladder=name,
                    name=value,
                    near=near(value, values),
                    known=", ".join(f"“{known}”" for known in values),
                )
            )
            return None
        matching = tuple(values[: values.index(value) + 1]) if node.at_least else (value,)
        made = checked.LadderIs(
            type=BOOLEAN, ladder=name, value=value, at_least=node.at_least, values=matching, span=node.span
        )
        return checked.Not(type=BOOLEAN, operand=made, span=node.span) if node.negated else made


_SCALAR_WANTS = {name: Word(f"scalar-{name}") for name in ("abs", "floor", "ceil", "round", "least", "greatest")}
_SCALAR_EXAMPLES = {
    "abs": "abs(balance)",
    "floor": "floor(basket)",
    "ceil": "ceil(basket)",
    "round": "round(basket, 2)",
    "least": "least(spend_90d, 1_000)",
    "greatest": "greatest(spend_90d, 0)",
}


def missing_leaf(made: checked.Expression) -> checked.Expression | None:
    """The first value beneath that can be missing and makes the expression unknown; None if it never is."""
    if not made.nullable:
        return None
    for child in checked.children(made):
        found = missing_leaf(child)
        if found is not None:
            return found
    return made


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


def _short(node: nodes.Expression) -> str | None:
    text = " ".join(node.span.text.split())
    return text if len(text) <= 40 else None


def _qualify(qualifier: str, name: str | None) -> str | None:
    return f"{qualifier}.{name}" if name else None


def _all_columns(events: Events) -> list[Column]:
    return [*events.columns, *([events.key] if events.key else []), events.customer, events.at]


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
