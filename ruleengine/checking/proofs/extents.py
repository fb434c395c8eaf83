"""Windows as days ago, and which of them lie within one another on every date."""

from dataclasses import dataclass
from datetime import date
from functools import cache
from itertools import pairwise
from typing import assert_never

from ruleengine.checking.expressions import Between, Calendar, Last, Window

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_THIS = {"month": (1, 31), "quarter": (1, 92), "year": (1, 366)}
_PREVIOUS = {"month": (29, 62), "quarter": (91, 184), "year": (366, 732)}
_DAYS = {"day": 1, "week": 7}


@dataclass(frozen=True, slots=True)
class Offset:
    """So many days before the run's date: a number, or two bounds where it depends on the date."""

    least: int
    most: int | None
    """None: from ever."""
    months: int | None = None
    """Of whole months counted back from the date: how many."""
    within_months: int | None = None
    """So many whole months back are never less."""
    calendar: tuple[str, bool] | None = None
    """Of the start of a calendar period: its unit, and whether it is the previous one."""

    def never_exceeds(self, other: "Offset") -> bool:
        if other.most is None or self == other:
            return True
        if self.most is None:
            return False
        if self.most <= other.least:
            return True
        if self.within_months is not None and other.months is not None:
            return self.within_months <= other.months
        if self.calendar is not None and other.calendar is not None:
            (unit, previous), (other_unit, other_previous) = self.calendar, other.calendar
            # A month lies within its quarter, a quarter within its year.
            return previous <= other_previous and not (previous and other_previous) and _fits(unit, other_unit)
        return False


def _fits(unit: str, other: str) -> bool:
    return _MONTHS[unit] <= _MONTHS[other]


_NOW = Offset(0, 0)
_EVER = Offset(0, None)


@dataclass(frozen=True, slots=True)
class Extent:
    """The days of a window: those at least `end` and less than `start` days ago."""

    start: Offset
    end: Offset
    fixed: Between | None = None
    """Dates that do not move with the run's date; offsets then say nothing."""

    @property
    def reaches_now(self) -> bool:
        return self.end == _NOW and self.fixed is None

    def lies_within(self, other: "Extent") -> bool:
        """Whether every day of this window is one of the other, on every date."""
        if other.reaches_now and other.start.most is None:
            return True
        if self.fixed is not None or other.fixed is not None:
            return (
                self.fixed is not None
                and other.fixed is not None
                and other.fixed.first <= self.fixed.first
                and self.fixed.last <= other.fixed.last
            )
        return self.start.never_exceeds(other.start) and other.end.never_exceeds(self.end)


def extent(window: Window | None) -> Extent:
    match window:
        case None:
            return Extent(_EVER, _NOW)
        case Last(count=count, unit=unit, previous=previous):
            if previous:
                return Extent(_back(2 * count, unit), _back(count, unit))
            return Extent(_back(count, unit), _NOW)
        case Calendar(unit=unit, previous=False):
            return Extent(_this(unit), _NOW)
        case Calendar(unit=unit):
            start = Offset(*_PREVIOUS[unit], within_months=2 * _MONTHS[unit], calendar=(unit, True))
            return Extent(start, _this(unit))
        case Between():
            return Extent(_EVER, _NOW, window)
        case _:
            assert_never(window)


def _this(unit: str) -> Offset:
    return Offset(*_THIS[unit], within_months=_MONTHS[unit], calendar=(unit, False))


def _back(count: int, unit: str) -> Offset:
    if unit in _DAYS:
        return Offset(count * _DAYS[unit], count * _DAYS[unit])
    months = count * _MONTHS[unit]
    return Offset(*_days_of_months(months), months=months, within_months=months)


@cache
def _days_of_months(count: int) -> tuple[int, int]:
    """The least and most days that so many months back can be; the calendar repeats after 400 years."""
    most_years = count // 12 + 1
    if most_years > 1000:
        return count * 28, count * 31
    firsts = [date(year, month, 1).toordinal() for year in range(2000, 2401 + most_years) for month in range(1, 13)]
    lengths = [later - earlier for earlier, later in pairwise(firsts)]
    spans = range(count, len(lengths))
    least = min(firsts[m] - firsts[m - count] for m in spans)
    # The day itself is clamped to the end of a shorter month.
    most = max(firsts[m] - firsts[m - count] + max(0, lengths[m] - lengths[m - count]) for m in spans)
    return least, most
