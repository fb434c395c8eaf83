"""Checked expressions to SQL, with the meaning that the interpreter gives them, to the bit."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Protocol, assert_never

from sqlglot import exp

from ruleengine.checking import expressions as checked
from ruleengine.checking.ruleset import ParameterConstant
from ruleengine.interpreter.arithmetic import scaled, units
from ruleengine.sql import build
from ruleengine.sql.build import BIGINT_DIGITS, EXACT_DOUBLE_DIGITS
from ruleengine.sql.dialect import Dialect
from ruleengine.types import MAX_DIGITS, MAX_FACTOR_DIGITS, Kind, Type, literal_digits


def exact_type(digits: int, scale: int) -> str:
    """The column type of an exact number."""
    if scale == 0 and digits <= BIGINT_DIGITS + 1:
        return "BIGINT"
    return f"DECIMAL({BIGINT_DIGITS if digits <= BIGINT_DIGITS else MAX_DIGITS}, {scale})"


class Leaves(Protocol):
    """How the columns are called where an expression will stand."""

    def leaf(self, node: checked.Expression) -> exp.Expression: ...


@dataclass(frozen=True, slots=True)
class Lowering:
    """Lowers expressions for a run on one date."""

    dialect: Dialect
    as_of: date
    parameters: Mapping[str, tuple[ParameterConstant, ...]]
    leaves: Leaves

    def lower(self, node: checked.Expression) -> exp.Expression:
        match node:
            case checked.Constant() | checked.ParameterValue():
                written = self._written(node)
                if node.type.kind is Kind.TEXT:
                    return self.dialect.text(written)
                # Engines take a short whole number for one of 32 bits, and compute with it as such.
                return build.cast(written, "BIGINT") if _is_short(written) else written
            case (
                checked.Attribute()
                | checked.EventValue()
                | checked.MetricValue()
                | checked.Aggregate()
                | checked.HasTag()
                | checked.LadderIs()
                | checked.HadTag()
                | checked.LadderWas()
            ):
                return self.leaves.leaf(node)
            case checked.Negation(operand=operand):
                return exp.Neg(this=build.wrapped(self.lower(operand)))
            case checked.Arithmetic():
                return self._arithmetic(node)
            case checked.Comparison(operator=operator, left=left, right=right):
                return build.binary(_COMPARISONS[operator], *self._comparable(operator, left, right))
            case checked.OneOf():
                return self._one_of(node)
            case checked.IsMissing(operand=operand):
                return build.is_null(self.lower(operand))
            case checked.TextTest(operator=operator, operand=operand, text=text):
                return self.dialect.text_test(operator, self.lower(operand), self.lower(text))
            case checked.Not(operand=checked.IsMissing(operand=operand)):
                return exp.Not(this=build.is_null(self.lower(operand)))
            case checked.Not(operand=operand):
                return build.negated(self.lower(operand))
            case checked.Junction(operator=operator, items=items):
                parts = [self.lower(item) for item in items]
                made = build.all_of(parts) if operator == "and" else build.any_of(parts)
                assert made is not None
                return made
            case checked.Conditional(condition=condition, then=then, otherwise=otherwise, type=type):
                return build.case(
                    (self.lower(condition), self.coerced(then, type)), otherwise=self.coerced(otherwise, type)
                )
            case checked.Default(operand=operand, value=value, type=type):
                return exp.Coalesce(this=self.coerced(operand, type), expressions=[self.coerced(value, type)])
            case checked.Scalar():
                return self._scalar(node)
            case checked.Days():
                return self._days(node)
            case checked.Points(lines=lines, type=type):
                return self._points(lines, type)
            case checked.Sample():
                return self._sample(node)
            case checked.Ranking() | checked.ScoreLine():
                raise AssertionError(f"never stands in an expression: {node}")
            case _:
                assert_never(node)

    def coerced(self, node: checked.Expression, type: Type) -> exp.Expression:
        """As a value of a wider type."""
        if type.kind is Kind.DOUBLE:
            return self._as_double(node)
        return _at_scale(self.lower(node), node.type, type.scale)

    # -- numbers ----------------------------------------------------------------------------------------

    def _comparable(self, operator: str, left: checked.Expression, right: checked.Expression) -> list[exp.Expression]:
        """Both sides of a comparison: as doubles if one is, else exact numbers of the larger scale."""
        if left.type.kind is Kind.TEXT and operator not in ("=", "!="):
            return [self.lower(left), self.lower(right)]
        if Kind.DOUBLE in (left.type.kind, right.type.kind):
            return [self._as_double(left), self._as_double(right)]
        scale = max(left.type.scale, right.type.scale)
        return [_at_scale(self._written(side), side.type, scale) for side in (left, right)]

    def _written(self, node: checked.Expression) -> exp.Expression:
        """As `lower`, but a number that is only compared or cast stands as it was written."""
        match node:
            case checked.Constant(value=value):
                return self._constant(value, node.type)
            case checked.ParameterValue(parameter=name, type=type):
                value = self.parameters[name][0]
                if type.kind is Kind.EXACT and isinstance(value, int | Decimal):
                    value = scaled(units(value, type.scale), type.scale)  # of the steps, one may have more digits
                return build.comment(self._constant(value, type), name)
            case _:
                return self.lower(node)

    def _constant(self, value: ParameterConstant, type: Type) -> exp.Expression:
        made = build.constant(value)
        if isinstance(value, Decimal):
            digits, scale = literal_digits(value)
            if digits > BIGINT_DIGITS:  # a longer literal would be read as a double
                return build.cast(build.text(f"{value:f}"), f"DECIMAL({MAX_DIGITS}, {scale})")
        elif type.kind is Kind.EXACT and isinstance(value, int) and abs(value) >= 10**BIGINT_DIGITS:
            return build.cast(build.text(str(value)), f"DECIMAL({MAX_DIGITS}, 0)")
        return made

    def _as_double(self, node: checked.Expression) -> exp.Expression:
        """The nearest double of an exact number."""
        if node.type.kind is Kind.DOUBLE:
            return self.lower(node)
        if isinstance(node, checked.Constant) and not isinstance(node.value, bool):
            return build.constant(float(node.value))  # type: ignore[arg-type]
        made, digits, scale = self._written(node), node.type.digits, node.type.scale
        if digits <= EXACT_DOUBLE_DIGITS or (scale == 0 and digits <= BIGINT_DIGITS + 1):
            return build.cast(made, "DOUBLE")
        return self.dialect.nearest_double(made, scale)

    def _whole(self, node: checked.Expression, scale: int) -> exp.Expression:
        """The nearest double of an exact number without its point: 12.5 at scale 2 is 1250."""
        if scale == 0:
            return self._as_double(node)
        if isinstance(node, checked.Constant) and isinstance(node.value, int | Decimal):
            return build.constant(float(Fraction(node.value) * 10**scale))
        if node.type.scale == 0 and node.type.digits <= EXACT_DOUBLE_DIGITS:
            return build.binary(exp.Mul, build.cast(self._written(node), "DOUBLE"), build.constant(float(10**scale)))
        made = build.cast(self._written(node), f"DECIMAL(38, {scale})")
        return self.dialect.whole_double(made, scale)

    def _arithmetic(self, node: checked.Arithmetic) -> exp.Expression:
        left, right = node.left, node.right
        if node.operator == "/":
            if Kind.DOUBLE in (left.type.kind, right.type.kind):
                dividend, divisor = self._as_double(left), self._as_double(right)
            else:
                scale = max(left.type.scale, right.type.scale)
                dividend, divisor = self._whole(left, scale), self._whole(right, scale)
            never_zero = isinstance(right, checked.Constant) and right.value != 0
            if not never_zero:
                divisor = exp.Nullif(this=divisor, expression=build.number(0))
            return build.binary(exp.Div, dividend, divisor)
        kind = _OPERATORS[node.operator]
        if node.type.kind is Kind.DOUBLE:
            return build.binary(kind, self._as_double(left), self._as_double(right))
        if node.operator == "*":
            return build.binary(kind, self._factor(left, node.type), self._factor(right, node.type, other=True))
        made = build.binary(kind, self._addend(left, node.type), self._addend(right, node.type))
        bound = max(side.type.digits - side.type.scale for side in (left, right)) + node.type.scale + 1
        if bound > MAX_DIGITS:
            return build.cast(made, f"DECIMAL({MAX_DIGITS}, {node.type.scale})")
        return made

    def _factor(self, node: checked.Expression, result: Type, other: bool = False) -> exp.Expression:
        """An operand of *: no more than 18 digits, and wide enough for the product."""
        made, type = self.lower(node), node.type
        if type.digits > MAX_FACTOR_DIGITS:
            made = build.cast(made, f"DECIMAL({MAX_FACTOR_DIGITS}, {type.scale})")
        if result.digits > BIGINT_DIGITS and not other:
            made = build.cast(made, f"DECIMAL(38, {type.scale})")
        return made

    def _addend(self, node: checked.Expression, result: Type) -> exp.Expression:
        """An operand of + and -: wide enough for the sum."""
        made = self.lower(node)
        if result.scale == 0 and result.digits > BIGINT_DIGITS and node.type.digits <= BIGINT_DIGITS + 1:
            return build.cast(made, "DECIMAL(38, 0)")
        return made

    def _scalar(self, node: checked.Scalar) -> exp.Expression:
        arguments, type = node.arguments, node.type
        first = arguments[0]
        match node.function:
            case "least" | "greatest":
                parts = [self.coerced(argument, type) for argument in arguments]
                made: exp.Expression = build.call(node.function, *parts)
                unknown = build.any_of(
                    [
                        build.is_null(part.copy())
                        for part, argument in zip(parts, arguments, strict=True)
                        if argument.nullable
                    ]
                )
                return made if unknown is None else build.case((unknown, exp.Null()), otherwise=made)
            case "abs":
                return build.call("abs", self.lower(first))
            case "floor" | "ceil":
                if first.type.is_integer:
                    return self.lower(first)
                made = build.call(node.function, self.lower(first))
                return made if type.kind is Kind.DOUBLE else build.cast(made, exact_type(type.digits, 0))
            case "round":
                if first.type.kind is Kind.EXACT and node.places >= first.type.scale:
                    return self.lower(first)
                if type.kind is Kind.DOUBLE:
                    return self.dialect.rounded_double(self.lower(first), node.places)
                made = build.call("round", self.lower(first), build.number(node.places))
                return build.cast(made, exact_type(type.digits, type.scale))
            case _:
                assert_never(node.function)

    def _points(self, lines: tuple[checked.ScoreLine, ...], type: Type) -> exp.Expression:
        """The points of the lines that are TRUE, added up flat."""
        total: exp.Expression | None = None
        for line in lines:
            points = build.cast(build.constant(line.points), exact_type(type.digits, type.scale))
            none = build.cast(build.number(0), exact_type(type.digits, type.scale))
            part = build.case((self.lower(line.when), points), otherwise=none)
            total = part if total is None else exp.Add(this=total, expression=part)
        assert total is not None
        return build.cast(total, exact_type(type.digits, type.scale))

    def _sample(self, node: checked.Sample) -> exp.Expression:
        """The first 8 hex digits of SHA-256(key | salt), as a number, are below the share of 2^32."""
        salted = build.call("concat", build.cast(self.lower(node.key), "VARCHAR"), build.text("|" + node.salt))
        # A whole number n is below x exactly where it is below x rounded up.
        return exp.LT(this=self.dialect.hashed(salted), expression=build.number(ceil(node.share * 2**32)))

    # -- the rest -----------------------------------------------------------------------------------------

    def _one_of(self, node: checked.OneOf) -> exp.Expression:
        operand = node.operand
        if isinstance(node.choices, str):
            constants = [(value, operand.type) for value in self.parameters[node.choices]]
            scale = max((literal_digits(value)[1] for value, _ in constants if isinstance(value, Decimal)), default=0)
            choices = [
                build.constant(float(value))  # type: ignore[arg-type]
                if operand.type.kind is Kind.DOUBLE
                else self._constant(value, type)
                for value, type in constants
            ]
        else:
            double = operand.type.kind is Kind.DOUBLE
            choices = [self._as_double(choice) if double else self._written(choice) for choice in node.choices]
            scale = max((choice.type.scale for choice in node.choices), default=0)
        return exp.In(this=build.wrapped(_at_scale(self.lower(operand), operand.type, scale)), expressions=choices)

    def _days(self, node: checked.Days) -> exp.Expression:
        today, day = build.day(self.as_of), self.lower(node.operand)
        match node.direction:
            case "since":
                return self.dialect.days_between(day, today)
            case "until":
                return self.dialect.days_between(today, day)
            case "until anniversary of":
                this_year = self._anniversary(day, self.as_of.year)
                next_year = self._anniversary(day, self.as_of.year + 1)
                return build.case(
                    (
                        exp.GTE(this=this_year, expression=today),
                        self.dialect.days_between(today.copy(), this_year.copy()),
                    ),
                    otherwise=self.dialect.days_between(today.copy(), next_year),
                )
            case _:
                assert_never(node.direction)

    def _anniversary(self, day: exp.Expression, year: int) -> exp.Expression:
        """The day of a year on which a date returns; 29 February as the 28th in common years."""
        leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
        month = self.dialect.date_part("month", day.copy())
        day_of_month = self.dialect.date_part("day", day.copy())
        if not leap:
            is_leap_day = exp.And(
                this=exp.EQ(this=month.copy(), expression=build.number(2)),
                expression=exp.EQ(this=day_of_month.copy(), expression=build.number(29)),
            )
            day_of_month = build.case((is_leap_day, build.number(28)), otherwise=day_of_month)
        return build.call("make_date", build.number(year), month, day_of_month)


def _is_short(made: exp.Expression) -> bool:
    """Whether this is a whole number as it is written."""
    literal = made.this.this if isinstance(made, exp.Paren) and isinstance(made.this, exp.Neg) else made
    return isinstance(literal, exp.Literal) and not literal.is_string and "." not in literal.name


def _at_scale(made: exp.Expression, type: Type, scale: int) -> exp.Expression:
    """An exact number beside one of so many digits behind the point.

    Where both do not fit into 38 digits, DuckDB rounds the one with the larger scale; so the other one is made to fit,
    or is an overflow.
    """
    if type.kind is Kind.EXACT and type.scale < scale and type.digits - type.scale + scale >= BIGINT_DIGITS:
        return build.cast(made, f"DECIMAL({MAX_DIGITS}, {scale})")
    return made


_COMPARISONS: dict[str, type[exp.Expression]] = {
    "=": exp.EQ,
    "!=": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}
_OPERATORS: dict[str, type[exp.Expression]] = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul}
