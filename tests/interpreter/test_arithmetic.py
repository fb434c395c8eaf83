"""Numbers and logic, one trap at a time."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleengine.interpreter.arithmetic import (
    Number,
    TooLarge,
    absolute,
    calculate,
    ceiling,
    compare,
    conjunction,
    convert,
    disjunction,
    double,
    floor,
    negative,
    quotient,
    rounded,
)
from ruleengine.types import DATE, DOUBLE, TEXT, Type, Value, exact

MONEY = exact(18, 4)
WHOLE = exact(19)
LONG = exact(37)


def money(text: str) -> Decimal:
    return Decimal(text).quantize(Decimal("0.0001"))


def same(value: Value, expected: Value) -> bool:
    """The same to the last digit behind the point, and to the sign of zero."""
    return type(value) is type(expected) and repr(value) == repr(expected)


@pytest.mark.parametrize(
    ("sign", "left", "right", "result"),
    [
        ("+", Decimal("1.5000"), 2, Decimal("3.5000")),
        ("-", 2, Decimal("2.5000"), Decimal("-0.5000")),
        ("*", Decimal("1.5000"), 3, Decimal("4.5000")),
        ("*", Decimal("1.5000"), Decimal("0.2000"), Decimal("0.30000000")),
        ("/", Decimal("1.0000"), 3, 10000.0 / 30000.0),
        ("/", 5, 2, 2.5),
        ("/", 0, -5, 0.0),
        ("/", 1, 0, None),
        ("/", Decimal("1.0000"), Decimal("0.0000"), None),
        ("+", 0.1, Decimal("0.2000"), 0.1 + 0.2),
        ("*", 0.1, 3, 0.1 * 3),
        ("/", 1.0, 0, None),
        ("/", 1.0, 0.0, None),
        ("*", 0.0, -1, 0.0),
    ],
)
def test_the_four_signs(sign: str, left: Number, right: Number, result: Value) -> None:
    def type_of(number: Number) -> Type:
        return DOUBLE if isinstance(number, float) else MONEY if isinstance(number, Decimal) else WHOLE

    assert same(calculate(sign, left, type_of(left), right, type_of(right)), result)  # type: ignore[arg-type]


def test_a_quotient_takes_each_side_to_a_double_first() -> None:
    above, below = 2**53 + 1, 3

    assert calculate("/", above, WHOLE, below, WHOLE) == float(above) / 3.0
    assert calculate("/", money("90071992547409.9300"), MONEY, 1, WHOLE) == float(900719925474099300) / 10000.0


def test_numbers_beyond_what_python_rounds_to_stay_exact() -> None:
    long = 10**36 + 1
    longer, longest = Decimal(f"{10**32}.0001"), Decimal(f"{10**32}.0002")

    assert calculate("+", long, LONG, 1, WHOLE) == 10**36 + 2
    assert negative(longer) == -Fraction(long, 10**4)
    assert absolute(Decimal(f"-{longer}")) == longer
    assert compare("<", longer, exact(37, 4), longest, exact(37, 4))


@pytest.mark.parametrize(
    ("sign", "left", "left_type", "right", "right_type"),
    [
        ("+", 10**37 - 1, LONG, 1, WHOLE),
        ("-", 1 - 10**37, LONG, 1, WHOLE),
        ("*", 10**18, WHOLE, 0, WHOLE),  # a factor of 19 digits
        ("*", 1, WHOLE, Decimal("100000000000000.0000"), MONEY),
        ("+", 10**33, LONG, money("1"), MONEY),  # 38 digits at four behind the point
        ("/", 10**33, LONG, money("1"), MONEY),
        ("*", 1e308, DOUBLE, 10, WHOLE),
        ("-", 1e308, DOUBLE, -1e308, DOUBLE),
    ],
)
def test_too_large(sign: str, left: Number, left_type: Type, right: Number, right_type: Type) -> None:
    with pytest.raises(TooLarge):
        calculate(sign, left, left_type, right, right_type)  # type: ignore[arg-type]


def test_a_comparison_brings_both_sides_to_one_scale() -> None:
    assert compare("=", 2, WHOLE, money("2"), MONEY)
    with pytest.raises(TooLarge):
        compare("<", 10**33, LONG, money("1"), MONEY)


def test_exact_beside_a_double_is_compared_as_a_double() -> None:
    assert compare("=", 0.1, DOUBLE, money("0.1"), MONEY)
    assert compare("=", float(2**53), DOUBLE, 2**53 + 1, WHOLE)


def test_text_compares_by_code_point() -> None:
    assert compare("<", "Z", TEXT, "a", TEXT)
    assert compare("<", "\uffff", TEXT, "\U00010000", TEXT)  # UTF-16 has them the other way round
    assert not compare("=", "paid", TEXT, "Paid", TEXT)
    assert not compare("=", "é", TEXT, "e\u0301", TEXT)


@pytest.mark.parametrize("sign", ["=", "!=", "<", "<=", ">", ">="])
def test_a_comparison_with_a_missing_side_is_unknown(sign: str) -> None:
    assert compare(sign, None, MONEY, 1, WHOLE) is None
    assert compare(sign, None, DATE, None, DATE) is None


@pytest.mark.parametrize(
    ("number", "places", "result"),
    [
        ("2.5000", 0, 3),
        ("-2.5000", 0, -3),
        ("2.4999", 0, 2),
        ("-0.4000", 0, 0),
        ("1.0050", 2, Decimal("1.01")),
        ("-1.0050", 2, Decimal("-1.01")),
        ("1.0049", 2, Decimal("1.00")),
        ("0.0004", 3, Decimal("0.000")),
    ],
)
def test_exact_numbers_round_half_away_from_zero(number: str, places: int, result: Value) -> None:
    assert same(rounded(Decimal(number), MONEY, places), result)


@pytest.mark.parametrize(
    ("number", "places", "result"),
    [
        (2.5, 0, 3.0),
        (-2.5, 0, -3.0),
        (-0.4, 0, 0.0),
        (0.49999999999999994, 0, 0.0),  # half added to it is 1.0
        (4503599627370497.0, 0, 4503599627370497.0),
        (1.005, 2, 1.0),  # 1.005 * 100 is 100.49999999999999
        (1.115, 2, 1.12),  # 1.115 * 100 is 111.50000000000001
    ],
)
def test_doubles_round_half_away_from_zero(number: float, places: int, result: float) -> None:
    assert same(rounded(number, DOUBLE, places), result)


def test_floor_and_ceil() -> None:
    assert same(floor(Decimal("-1.5000")), -2)
    assert same(ceiling(Decimal("-1.5000")), -1)
    assert same(floor(1.5), 1.0)
    assert same(ceiling(-0.5), 0.0)


def test_a_value_fits_the_type_it_is_taken_for() -> None:
    assert same(convert(1, MONEY), Decimal("1.0000"))
    assert same(convert(money("0.1"), DOUBLE), 0.1)
    assert convert(None, MONEY) is None
    assert convert("text", TEXT) == "text"
    with pytest.raises(ValueError, match="more than 2 digits"):
        convert(Decimal("0.001"), exact(5, 2))
    with pytest.raises(TooLarge):
        convert(10**33, exact(37, 4))


def test_there_is_no_negative_zero() -> None:
    for number in (double(-0.0), negative(0.0), absolute(-0.0), quotient(0, -1)):
        assert number is not None
        assert math.copysign(1, number) == 1


@pytest.mark.parametrize(
    ("truths", "both", "either"),
    [
        ([True, True], True, True),
        ([True, False], False, True),
        ([True, None], None, True),
        ([False, None], False, None),
        ([False, False], False, False),
        ([None, None], None, None),
    ],
)
def test_kleene(truths: list[bool | None], both: bool | None, either: bool | None) -> None:
    assert conjunction(truths) is conjunction(truths[::-1]) is both
    assert disjunction(truths) is disjunction(truths[::-1]) is either


numbers = st.integers(-(10**17), 10**17)
scales = st.integers(0, 8)


@given(numbers, scales, numbers, scales, st.sampled_from("+-*"))
def test_exact_means_exact(a: int, a_scale: int, b: int, b_scale: int, sign: str) -> None:
    left, right = (
        convert(Decimal(whole).scaleb(-scale), exact(18, scale)) for whole, scale in ((a, a_scale), (b, b_scale))
    )
    result = calculate(sign, left, exact(18, a_scale), right, exact(18, b_scale))  # type: ignore[arg-type]

    x, y = Fraction(a, 10**a_scale), Fraction(b, 10**b_scale)
    assert result is not None
    assert Fraction(result) == (x + y if sign == "+" else x - y if sign == "-" else x * y)
