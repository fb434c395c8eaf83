"""Lengths of time, and the days on which a tier is looked at again."""

from calendar import isleap, monthrange
from datetime import MAXYEAR, date, timedelta

from ruleengine.checking.ruleset import Duration, Review

_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def later(day: date, length: Duration | None) -> date:
    """So long after a day; a month clamps to the month's end. The end of all days where there is no such day."""
    if length is None:
        return day
    if length.unit == "day":
        return day + timedelta(days=length.count) if length.count <= (date.max - day).days else date.max
    year, month = divmod(day.year * 12 + day.month - 1 + length.count, 12)
    if year > MAXYEAR:
        return date.max
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def last_review(review: Review | None, anniversary_of: date | None, until: date) -> date:
    """The latest review day that is not after another day."""
    match review:
        case None:
            return until
        case Review(every="anniversary"):
            this_year = _anniversary(anniversary_of, until.year)
            return this_year if this_year <= until else _anniversary(anniversary_of, until.year - 1)
        case _:
            months = _MONTHS[review.every]
            return date(until.year, (until.month - 1) // months * months + 1, 1)


def next_review(review: Review | None, anniversary_of: date | None, since: date) -> date:
    """The first review day that is not before another day; the end of all days where there is none."""
    match review:
        case None:
            return since
        case Review(every="anniversary"):
            this_year = _anniversary(anniversary_of, since.year)
            if this_year >= since:
                return this_year
            return _anniversary(anniversary_of, since.year + 1) if since.year < MAXYEAR else date.max
        case _:
            first = last_review(review, None, since)
            return first if first == since else later(first, Duration(_MONTHS[review.every], "month"))


def _anniversary(day: date | None, year: int) -> date:
    """Of a year; 29 February is the 28th in common years. 1 January of what is missing."""
    if day is None:
        return date(year, 1, 1)
    return date(year, day.month, 28 if (day.month, day.day) == (2, 29) and not isleap(year) else day.day)
