"""Dates that are computed with: lengths of time, and anniversaries."""

from calendar import isleap
from datetime import date

from sqlglot import exp

from ruleengine.checking.ruleset import Duration
from ruleengine.sql import build
from ruleengine.sql.dialect import Dialect


def later(day: exp.Expression, length: Duration) -> exp.Expression:
    """So long after a date; a month clamps to the month's end."""
    if length.unit == "day":
        return build.binary(exp.Add, day, build.number(length.count))
    months = exp.Interval(this=build.text(str(length.count)), unit=exp.Var(this="MONTH"))
    return build.cast(exp.Add(this=build.wrapped(day), expression=months), "DATE")


def last_anniversary(day: exp.Expression, until: date, dialect: Dialect) -> exp.Expression:
    """The latest anniversary of a date that is not after another; 1 January where the date is missing."""
    of_year = _anniversary(day, until.year, dialect)
    before = exp.LTE(this=build.wrapped(of_year), expression=build.day(until))
    latest = build.case((before, of_year.copy()), otherwise=_anniversary(day, until.year - 1, dialect))
    given = build.is_known(day.copy())
    return build.case((given, latest), otherwise=build.day(date(until.year, 1, 1)))


def _anniversary(day: exp.Expression, year: int, dialect: Dialect) -> exp.Expression:
    """Of a year; 29 February is the 28th in common years."""
    month, of_month = dialect.date_part("month", day.copy()), dialect.date_part("day", day.copy())
    if not isleap(year):
        leaps = exp.And(
            this=exp.EQ(this=build.wrapped(month.copy()), expression=build.number(2)),
            expression=exp.EQ(this=build.wrapped(of_month.copy()), expression=build.number(29)),
        )
        of_month = build.case((leaps, build.number(28)), otherwise=of_month)
    return build.call("make_date", build.number(year), month, of_month)
