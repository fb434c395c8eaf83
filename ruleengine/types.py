"""Types of values, and which of them may stand together.

Exact numbers are whole numbers scaled by a power of ten. A type carries the scale and a bound on the digits, so
that the compiler knows where an overflow is possible at all.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

MAX_DIGITS = 37  # a value of more digits is an overflow
MAX_FACTOR_DIGITS = 18  # as is an operand of * of more
MAX_SCALE = 8  # the checker asks for round() beyond

Value = bool | int | Decimal | float | str | date | None
"""What an expression can be worth. An exact number is an int or a Decimal whose exponent is the type's scale."""


class Kind(StrEnum):
    TEXT = "text"
    BOOLEAN = "boolean"
    DATE = "date"
    EXACT = "exact"
    DOUBLE = "double"


@dataclass(frozen=True, slots=True)
class Type:
    kind: Kind
    digits: int = 0
    """Exact numbers: an upper bound on the digits, those behind the point included."""
    scale: int = 0
    """Exact numbers: digits behind the point."""

    @property
    def is_number(self) -> bool:
        return self.kind in (Kind.EXACT, Kind.DOUBLE)

    @property
    def is_integer(self) -> bool:
        return self.kind is Kind.EXACT and self.scale == 0

    def compares_with(self, other: "Type") -> bool:
        return self.kind is other.kind or (self.is_number and other.is_number)


TEXT = Type(Kind.TEXT)
BOOLEAN = Type(Kind.BOOLEAN)
DATE = Type(Kind.DATE)
DOUBLE = Type(Kind.DOUBLE)
COUNT = Type(Kind.EXACT, 15)  # no source holds 10^15 rows
DAYS = Type(Kind.EXACT, 7)  # days between two dates of years 1 to 9999


def exact(digits: int, scale: int = 0) -> Type:
    return Type(Kind.EXACT, min(digits, MAX_DIGITS), scale)


def common(left: Type, right: Type) -> Type | None:
    """The type of a value that is one or the other (`if`, `least`, `default`); None where none fits."""
    if left.kind is Kind.EXACT and right.kind is Kind.EXACT:
        scale = max(left.scale, right.scale)
        return exact(max(left.digits - left.scale, right.digits - right.scale) + scale, scale)
    if left.is_number and right.is_number:
        return DOUBLE
    return left if left.kind is right.kind else None


@dataclass(frozen=True, slots=True)
class ColumnType:
    """The type of a source column as it is declared."""

    name: str
    precision: int = 18
    scale: int = 4

    @property
    def value(self) -> Type:
        """The type a rule sees: a timestamp is its local date."""
        match self.name:
            case "text":
                return TEXT
            case "boolean":
                return BOOLEAN
            case "date" | "timestamp":
                return DATE
            case "integer":
                return exact(19)
            case _:
                return exact(self.precision, self.scale)

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.name == "decimal" else self.name


COLUMN_TYPES = {name: ColumnType(name) for name in ("text", "integer", "decimal", "boolean", "date", "timestamp")}


def negative(number: int | Decimal) -> int | Decimal:
    """The number below zero, however many digits it has: `-` would round a Decimal to 28."""
    return number.copy_negate() if isinstance(number, Decimal) else -number


def literal_digits(value: Decimal) -> tuple[int, int]:
    """Digits and scale of a number as it was written: 1.50 has 3 and 2."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    scale = max(0, -exponent)
    return max(len(digits) + max(0, exponent), scale, 1), scale
