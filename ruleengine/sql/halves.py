"""What looks at all time, put together of the events before all windows and of those in them.

A pass for windows reads the late events anyway. What a measure of all time takes from them is found there, the rest by
a pass over the early events, so that no event is read twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sqlglot import exp

from ruleengine.checking.ruleset import Events
from ruleengine.functions.aggregates import Aggregation
from ruleengine.planning.plan import Days, Measure, Scan
from ruleengine.sql import build
from ruleengine.sql.ends import moment

if TYPE_CHECKING:
    from ruleengine.sql.scans import Scans

_PARTS: dict[Aggregation, tuple[tuple[str, Aggregation], ...]] = {
    **{
        each: (("", each),)
        for each in (
            Aggregation.COUNT,
            Aggregation.COUNT_VALUES,
            Aggregation.SUM,
            Aggregation.MIN,
            Aggregation.MAX,
            Aggregation.FIRST_DAY,
            Aggregation.LATEST_DAY,
        )
    },
    Aggregation.AVERAGE: ((" sum", Aggregation.SUM), (" count", Aggregation.COUNT_VALUES)),
    Aggregation.FIRST_VALUE: (("", Aggregation.FIRST_VALUE), (" count", Aggregation.COUNT)),
    Aggregation.LATEST_VALUE: (("", Aggregation.LATEST_VALUE), (" count", Aggregation.COUNT)),
}
"""What a half finds for an aggregate: how its columns end, and how they are computed."""

_EARLY = "early"


@dataclass(frozen=True, slots=True)
class Halves:
    """A pass over all events, and two over the early and the late ones that find the same."""

    whole: Scan
    early: Scan
    late: Scan
    """A pass of the plan's own."""


def halves(scans: Sequence[Scan]) -> Iterator[Halves]:
    """The passes over all time that can be put together. A source has one at the most, and one for its windows."""
    for whole in scans:
        late = next((scan for scan in scans if _takes_late(whole, scan)), None)
        if late is not None and late.days.first is not None:
            before = Days(None, late.days.first - timedelta(days=1))
            yield Halves(whole, replace(whole, days=before), late)


def _takes_late(whole: Scan, scan: Scan) -> bool:
    return (
        whole.shape == scan.shape == "plain"
        and whole.source == scan.source
        and whole.days.first is None
        and scan.days.first is not None
        and scan.days.first > date.min
        and whole.days.last == scan.days.last
        and whole.attributes == scan.attributes
        and all(it.days == whole.days and it.aggregate.function in _PARTS for it in whole.measures)
    )


def share(scans: "Scans", events: Events, found: Halves, half: Scan) -> Iterator[exp.Expression]:
    """The columns of a half for the whole: aggregates over its events."""
    apart, measures = scans.apart(found.whole)
    for measure in measures:
        for ending, function in _PARTS[measure.aggregate.function]:
            argument = None if function is Aggregation.COUNT else measure.aggregate.argument
            aggregate = replace(measure.aggregate, function=function, argument=argument)
            part = Measure(column=f"{measure.column}{ending}", aggregate=aggregate, days=half.days)
            yield scans.plain(events, half, part)
    for of in apart:
        here = replace(of, measures=[replace(measure, days=half.days) for measure in of.measures])
        yield moment(scans, events, half, here)
    if scans.counts(found.whole):
        yield scans.count_of(found.whole)


def together(scans: "Scans", found: Halves, early: exp.Select) -> exp.Select:
    """What the pass over all events would find: one row per customer of either half."""
    apart, measures = scans.apart(found.whole)
    late = found.late.name
    select = exp.Select(expressions=[build.named(_first_of(_both("customer", late)), "customer")])
    columns = [build.named(_whole(scans, measure, late), measure.column) for measure in measures]
    for of in apart:
        columns.append(build.named(_furthest("least" if of.end == "first" else "greatest", of.moment, late), of.moment))
    if scans.counts(found.whole):
        counted = scans.count_of(found.whole).alias
        columns.append(build.named(_sum(counted, late), counted))
    select = select.select(*columns, copy=False)
    select = select.from_(exp.Subquery(this=early, alias=exp.TableAlias(this=build.name(_EARLY))), copy=False)
    on = exp.EQ(this=build.column("customer", _EARLY), expression=build.column("customer", late))
    return select.join(build.table(late), on=on, join_type="full", copy=False)


def _whole(scans: "Scans", measure: Measure, late: str) -> exp.Expression:
    column, aggregate = measure.column, measure.aggregate
    match aggregate.function:
        case Aggregation.COUNT | Aggregation.COUNT_VALUES:
            return _sum(column, late)
        case Aggregation.SUM:
            return build.cast(_sum(column, late), f"DECIMAL(37, {aggregate.type.scale})")
        case Aggregation.AVERAGE:
            assert aggregate.argument is not None
            scale = aggregate.argument.type.scale
            total = build.cast(_sum(f"{column} sum", late), f"DECIMAL(37, {scale})")
            return scans.quotient(total, _sum(f"{column} count", late), scale)
        case Aggregation.MIN | Aggregation.FIRST_DAY:
            return _furthest("least", column, late)
        case Aggregation.MAX | Aggregation.LATEST_DAY:
            return _furthest("greatest", column, late)
        case Aggregation.FIRST_VALUE | Aggregation.LATEST_VALUE as function:
            first, other = (_EARLY, late) if function is Aggregation.FIRST_VALUE else (late, _EARLY)
            has = exp.GT(this=build.column(f"{column} count", first), expression=build.number(0))
            return build.case((has, build.column(column, first)), otherwise=build.column(column, other))
        case _:
            raise AssertionError(f"not put together of halves: {aggregate.function}")


def _both(column: str, late: str) -> list[exp.Expression]:
    return [build.column(column, _EARLY), build.column(column, late)]


def _first_of(columns: list[exp.Expression]) -> exp.Expression:
    first, *others = columns
    return exp.Coalesce(this=first, expressions=others)


def _sum(column: str, late: str) -> exp.Expression:
    """The sum of both halves, or of the only one that has any."""
    early, recent = _both(column, late)
    return _first_of([build.binary(exp.Add, early, recent), early.copy(), recent.copy()])


def _furthest(function: str, column: str, late: str) -> exp.Expression:
    """Both engines pass over what is missing."""
    return build.call(function, *_both(column, late))
