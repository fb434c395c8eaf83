"""Syntax expressions to checked ones: names resolved, types known, windows pushed to where they take effect."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from decimal import Decimal

from ruleengine.checking import calls, naming, rankings, references, windowing
from ruleengine.checking import expressions as checked
from ruleengine.checking.context import Context, Made
from ruleengine.checking.metrics import MetricBook
from ruleengine.checking.ruleset import Parameter
from ruleengine.checking.scope import Scope, near, word
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Fix, Place, Problems, Word
from ruleengine.source import Span
from ruleengine.syntax import nodes
from ruleengine.syntax.format import format_expression
from ruleengine.types import (
    BOOLEAN,
    DATE,
    DAYS,
    DOUBLE,
    MAX_FACTOR_DIGITS,
    MAX_SCALE,
    TEXT,
    Kind,
    Type,
    common,
    exact,
    literal_digits,
    negative,
)


class Typing:
    """Checks expressions against a scope. Problems go to `problems`, and what is referred to into `used`."""

    def __init__(self, scope: Scope, parameters: dict[str, Parameter], problems: Problems) -> None:
        self.scope = scope
        self.parameters = parameters
        self.problems = problems
        self.used: set[str] = set()
        self.book = MetricBook(self)
        self._settled: list[set[checked.Expression]] = []
        """Values whose absence the conditions around have dealt with."""

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
            windowing.check_chain(self, node)
        match node:
            case nodes.Number(span=span, value=value):
                digits, scale = literal_digits(value)
                plain = int(value) if scale == 0 else value
                return checked.Constant(type=exact(digits, scale), value=plain, span=span)
            case nodes.Text(span=span, value=text):
                return checked.Constant(type=TEXT, value=text, span=span)
            case nodes.Day(span=span, value=day):
                return checked.Constant(type=DATE, value=day, span=span)
            case nodes.Truth(span=span, value=truth):
                return checked.Constant(type=BOOLEAN, value=truth, span=span)
            case nodes.Reference():
                return naming.reference(self, node, context)
            case nodes.Group(inner=inner):
                return self.expression(inner, context)
            case nodes.Minus(span=span, operand=operand):
                made = self.number(operand, context, "-", in_chain=True)
                if isinstance(made, checked.Constant) and isinstance(made.value, int | Decimal):
                    return replace(made, value=negative(made.value), span=span)
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
                settled = self._presence_tests(operator == "and", items, context)
                self._settled.append(settled)
                conditions = [self.condition(item, context) for item in items]
                self._settled.pop()
                parts = tuple(made for made in conditions if made is not None)
                if len(parts) < len(items):
                    return None
                # Where the value is missing, its test settles the whole: `x > 5 or x is missing` is never unknown.
                nullable = any(missing_leaf(part, settled) is not None for part in parts)
                return checked.Junction(type=BOOLEAN, nullable=nullable, operator=operator, items=parts, span=span)
            case nodes.Conditional():
                return self._conditional(node, context)
            case nodes.During():
                return windowing.during(self, node, context)
            case nodes.Default():
                return self._default(node, context)
            case nodes.Call():
                return self._ranked(node, context) if rankings.is_ranking(node) else calls.call(self, node, context)
            case nodes.Days(span=span, direction=direction, operand=operand):
                made = self.value(operand, context)
                if made is None:
                    return None
                if made.type != DATE:
                    asked = f"days {direction}"
                    self.problems.add(codes.not_a_date(operand.span, operator=asked, type=word(made.type.kind)))
                    return None
                return checked.Days(type=DAYS, nullable=made.nullable, direction=direction, operand=made, span=span)
            case nodes.Top():
                return self._ranked(node, context)
            case nodes.Sample():
                return rankings.sample(self, node, context)
            case nodes.HasTag() | nodes.LadderIs():
                return references.rule_reference(self, node, context)
            case nodes.HadTag() | nodes.LadderWas():
                return references.history(self, node, context)

    # -- arithmetic -------------------------------------------------------------------------------------

    def number(self, node: nodes.Expression, context: Context, operator: str, in_chain: bool = False) -> Made:
        made = self.expression(node, context, in_chain)
        if made is not None and not made.type.is_number:
            text = _short(node) if made.type == DATE else None
            self.problems.add(codes.not_a_number(node.span, operator=operator, type=word(made.type.kind), text=text))
            return None
        return made

    def _arithmetic(self, node: nodes.Arithmetic, context: Context) -> Made:
        left = self.number(node.left, context, node.operator, in_chain=True)
        right = self.number(node.right, context, node.operator, in_chain=True)
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
            for side in (left, right):
                if any(abs(value) * 10**side.type.scale >= 10**MAX_FACTOR_DIGITS for value in self._written(side)):
                    self.problems.add(codes.factor_too_long(side.span, most=MAX_FACTOR_DIGITS))
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

    def _written(self, number: checked.Expression) -> Iterator[int | Decimal]:
        """What stands in the rules themselves: a literal, or each value of a parameter."""
        match number:
            case checked.Constant(value=int() | Decimal() as value):
                yield value
            case checked.Negation(operand=operand):
                yield from self._written(operand)
            case checked.ParameterValue(parameter=name):
                for _, values in self.parameters[name].steps:
                    yield from (value for value in values if isinstance(value, int | Decimal))
            case _:
                pass

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
                    self.problems.add(codes.wrong_place(written.span, what=what, place=Word("a-list")))
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

    def warn_missing(self, made: checked.Expression, span: Span, *, unless: bool = False) -> None:
        """Warn that a negation, or an `unless`, leaves those out for whom the value is missing."""
        leaf = missing_leaf(made, set().union(*self._settled))
        if leaf is not None:
            text = f"({span.text})" if isinstance(made, checked.Junction) else span.text
            self.problems.add(
                codes.missing_not_matched(
                    span,
                    name=leaf.span.text,
                    text=None if unless else text,
                    unless=text if unless else None,
                )
            )

    def _presence_tests(
        self, known: bool, items: Sequence[nodes.Expression], context: Context
    ) -> set[checked.Expression]:
        """What stands before `is known` among conditions joined by `and`, before `is missing` among those by `or`."""
        tested = (item.operand for item in items if isinstance(item, nodes.Presence) and item.known is known)
        return {made for operand in tested if (made := self.value(operand, context)) is not None}

    def _ranked(self, node: nodes.Call | nodes.Top, context: Context) -> Made:
        """A function of the population among other things: a metric instance of its own."""
        made = rankings.ranking(self, node, context)
        if made is None:
            return None
        metric = self.book.unnamed(format_expression(node), made)
        return checked.MetricValue(type=made.type, nullable=made.nullable, metric=metric.name, span=node.span)

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


def missing_leaf(made: checked.Expression, settled: Set[checked.Expression]) -> checked.Expression | None:
    """The first value beneath that can be missing and makes the expression unknown, those settled apart.

    History is unknown only before a name was first published, of which nothing needs to be said."""
    if not made.nullable or made in settled or isinstance(made, checked.Past):
        return None
    found = [missing_leaf(child, settled) for child in checked.children(made) if child.nullable]
    return next((leaf for leaf in found if leaf is not None), None if found else made)


def _short(node: nodes.Expression) -> str | None:
    text = " ".join(node.span.text.split())
    return text if len(text) <= 40 else None
