"""Windows as days: which dates a window holds in a run for a date."""

from calendar import monthrange
from datetime import date
from typing import assert_never

from ruleengine.checking.expressions import Between, Calendar, Last, Window

MONTHS = {"month": 1, "quarter": 3, "year": 12}
NO_DAYS = (date(1, 1, 2), date(1, 1, 1))  # a window that lies wholly before year 1


def days_of(window: Window, as_of: date) -> tuple[date | None, date]:
    """First and last local day of a window, both in it; first None: from ever; first after last: no day."""
    match window:
        case Last(previous=False):
            return _next(_back(as_of, window.count, window.unit)), as_of
        case Last():
            last = _back(as_of, window.count, window.unit)
            # Months of both spans are counted from D: one after another they would clamp twice.
            return (_next(_back(as_of, 2 * window.count, window.unit)), last) if last else NO_DAYS
        case Calendar(previous=False):
            return _start(as_of, window.unit), as_of
        case Calendar():
            last = _back(_start(as_of, window.unit), 1, "day")
            return (_start(last, window.unit), last) if last else NO_DAYS
        case Between():
            return window.first, min(window.last, as_of)
        case _:
            assert_never(window)


def _back(day: date, count: int, unit: str) -> date | None:
    """The day so many units earlier, clamped to its month's end; None before year 1."""
    if unit in ("day", "week"):
        ordinal = day.toordinal() - count * (7 if unit == "week" else 1)
        return date.fromordinal(ordinal) if ordinal >= 1 else None
    year, month = divmod(day.year * 12 + day.month - 1 - count * MONTHS[unit], 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1])) if year >= 1 else None


def _next(day: date | None) -> date | None:
    return date.fromordinal(day.toordinal() + 1) if day else None


def _start(day: date, unit: str) -> date:
    """The first day of the calendar month, quarter or year that a day is in."""
    return date(day.year, (day.month - 1) // MONTHS[unit] * MONTHS[unit] + 1, 1)
