"""Numbers and logic exactly as the language means them."""

import math
import operator
from collections.abc import Callable, Iterable
from decimal import Context, Decimal
from typing import Any, Literal, assert_never

from ruleengine.types import MAX_DIGITS, MAX_FACTOR_DIGITS, Kind, Type, Value, common

Exact = int | Decimal
Number = Exact | float
Truth = bool | None
"""Kleene's true, false and unknown."""

WIDE = Context(prec=100)


class TooLarge(ArithmeticError):  # noqa: N818  # the mistake is in the data
    """A number that no engine is asked to hold."""


# -- exact numbers: whole numbers scaled by a power of ten --------------------------------------------------


def units(number: Number, scale: int) -> int:
    """How many 10^-scale a number is, which must be whole."""
    above, below = number.as_integer_ratio()
    whole, rest = divmod(above * 10**scale, below)
    if rest:
        raise ValueError(f"{number} has more than {scale} digits behind the point")
    return _held(whole)


def scaled(whole: int, scale: int) -> Exact:
    """So many 10^-scale as a value."""
    return Decimal(_held(whole)).scaleb(-scale, WIDE) if scale else _held(whole)


def _held(whole: int) -> int:
    if abs(whole) >= 10**MAX_DIGITS:
        raise TooLarge(f"a number of more than {MAX_DIGITS} digits")
    return whole


def double(number: Number) -> float:
    """The nearest double. There is no negative zero, and what is too large for a double is an overflow."""
    nearest = float(number)
    if not math.isfinite(nearest):
        raise TooLarge("a number too large for a double")
    return nearest + 0.0


def convert(value: Value, to: Type) -> Value:
    """A value as one of another type that it fits: a larger scale, or the nearest double."""
    if value is None or not to.is_number:
        return value
    assert isinstance(value, int | Decimal | float)
    return double(value) if to.kind is Kind.DOUBLE else scaled(units(value, to.scale), to.scale)


def quotient(above: int, below: int) -> float | None:
    """Two whole numbers, each to its nearest double, divided; nothing divides by zero."""
    return double(float(above) / float(below)) if below else None


def calculate(
    sign: Literal["+", "-", "*", "/"], left: Number, left_type: Type, right: Number, right_type: Type
) -> Number | None:
    to = common(left_type, right_type)
    assert to is not None
    if to.kind is Kind.DOUBLE:
        return _calculate_doubles(sign, double(left), double(right))
    if sign == "*":
        return scaled(factor(left, left_type) * factor(right, right_type), left_type.scale + right_type.scale)
    a, b = units(left, to.scale), units(right, to.scale)
    match sign:
        case "+":
            return scaled(a + b, to.scale)
        case "-":
            return scaled(a - b, to.scale)
        case "/":
            return quotient(a, b)
        case _:
            assert_never(sign)


def factor(number: Number, type: Type) -> int:
    """An exact operand of * in its units; it counts as too large whether or not the other one is there."""
    found = units(number, type.scale)
    if abs(found) >= 10**MAX_FACTOR_DIGITS:
        raise TooLarge(f"a factor of more than {MAX_FACTOR_DIGITS} digits")
    return found


def _calculate_doubles(sign: Literal["+", "-", "*", "/"], left: float, right: float) -> float | None:
    match sign:
        case "+":
            return double(left + right)
        case "-":
            return double(left - right)
        case "*":
            return double(left * right)
        case "/":
            return double(left / right) if right else None
        case _:
            assert_never(sign)


def negative(number: Number) -> Number:
    if isinstance(number, Decimal):  # whose own -x rounds to its context
        return number.copy_negate() if number else number
    return double(-number) if isinstance(number, float) else -number


def absolute(number: Number) -> Number:
    return number.copy_abs() if isinstance(number, Decimal) else abs(number)


def rounded(number: Number, number_type: Type, places: int) -> Number:
    """Half away from zero: an exact number on its digits, a double after it is multiplied by 10^places."""
    if number_type.kind is Kind.DOUBLE:
        power = float(10**places)
        return double(float(_whole_half_away(double(double(number) * power))) / power)
    if places >= number_type.scale:
        return number
    step = 10 ** (number_type.scale - places)
    whole, rest = divmod(abs(units(number, number_type.scale)), step)
    away = whole + (2 * rest >= step)
    return scaled(-away if number < 0 else away, places)


def _whole_half_away(number: float) -> int:
    whole = math.trunc(number)
    # The part behind the point is exact; a sum of number and 0.5 might not be.
    if abs(number - whole) >= 0.5:
        whole += 1 if number > 0 else -1
    return whole


def floor(number: Number) -> Number:
    return double(math.floor(number)) if isinstance(number, float) else math.floor(number)


def ceiling(number: Number) -> Number:
    return double(math.ceil(number)) if isinstance(number, float) else math.ceil(number)


# -- comparisons and logic ----------------------------------------------------------------------------------

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(sign: str, left: Value, left_type: Type, right: Value, right_type: Type) -> Truth:
    """Unknown where a side is missing. Text by code point; exact beside a double as the nearest double."""
    to = common(left_type, right_type)
    assert to is not None
    left, right = convert(left, to), convert(right, to)
    return None if left is None or right is None else COMPARISONS[sign](left, right)


def negation(truth: Truth) -> Truth:
    return None if truth is None else not truth


def conjunction(truths: Iterable[Truth]) -> Truth:
    seen = set(truths)
    return False if False in seen else None if None in seen else True


def disjunction(truths: Iterable[Truth]) -> Truth:
    seen = set(truths)
    return True if True in seen else None if None in seen else False
