"""Cells of tables in examples: read as the cells of a CSV file are."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_DOWN, Decimal, localcontext
from zoneinfo import ZoneInfo

from ruleengine.types import ColumnType, Value

_INTEGER = re.compile(r"[+-]?[0-9]+")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_MOMENT = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[ T](?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?"
    r"(?: ?(?P<offset>Z|z|[+-][0-9]{2}(?::?[0-9]{2})?))?)?"
)
_TRUTHS = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(("false", "f", "no", "n", "0"), False)
_LARGEST = 2**63
_LONGEST = 100
"""Characters of a number that is worth reading at all."""


def read_cell(text: str, type: ColumnType) -> Value:
    """The value of a cell, a timestamp still with its time; an empty cell is missing.

    Raises ValueError where the text is no value of that type, or would have to be rounded.
    """
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('""', '"')
    if not text:
        return None
    match type.name:
        case "text":
            return text
        case "integer":
            return _integer(text.strip(), type)
        case "decimal":
            return _decimal(text.strip(), type)
        case "boolean":
            if (truth := _TRUTHS.get(text.strip().lower())) is None:
                raise ValueError(text)
            return truth
        case _:
            return _moment(text.strip())


def fits(number: int | Decimal, type: ColumnType) -> bool:
    """Whether a number is not too large for a column."""
    if type.name == "integer":
        return -_LARGEST <= number < _LARGEST
    return abs(Decimal(number)) < Decimal(1).scaleb(type.precision - type.scale)


def on_one_clock(times: Sequence[date | None], zone: str) -> list[date | None]:
    """Times of one column: once any says its distance from UTC, those that do not are of the zone."""
    if not any(isinstance(time, datetime) and time.tzinfo is not None for time in times):
        return list(times)
    home = ZoneInfo(zone)
    return [
        time.replace(tzinfo=home, fold=0)
        if isinstance(time, datetime) and time.tzinfo is None
        else datetime(time.year, time.month, time.day, tzinfo=home)
        if time is not None and not isinstance(time, datetime)
        else time
        for time in times
    ]


def _integer(text: str, type: ColumnType) -> int:
    if not _INTEGER.fullmatch(text) or len(text) > _LONGEST:
        raise ValueError(text)
    number = int(text)
    if not fits(number, type):
        raise ValueError(text)
    return number


def _decimal(text: str, type: ColumnType) -> Decimal:
    if not _DECIMAL.fullmatch(text) or len(text) > _LONGEST:
        raise ValueError(text)
    with localcontext() as context:
        context.prec = 2000
        exact = Decimal(text)
        kept = exact.quantize(Decimal(1).scaleb(-type.scale), ROUND_DOWN)
        if kept != exact or not fits(kept, type):
            raise ValueError(text)
        return kept + 0  # no negative zero


def _moment(text: str) -> date:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    day = date.fromisoformat(match["day"])
    if match["hour"] is None:
        return day
    fraction = (match["fraction"] or "")[:6].ljust(6, "0")  # cut to microseconds
    return datetime(
        day.year,
        day.month,
        day.day,
        int(match["hour"]),
        int(match["minute"]),
        int(match["second"] or 0),
        int(fraction),
        tzinfo=_offset(match["offset"]),
    )


def _offset(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text in "Zz":
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    distance = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-distance if text[0] == "-" else distance)
