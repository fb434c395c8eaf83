"""The events of one customer as a run sees them, and the aggregates over them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, assert_never, cast
from zoneinfo import ZoneInfo

from ruleengine.checking.ruleset import Events
from ruleengine.functions.aggregates import Aggregation
from ruleengine.interpreter.arithmetic import Number, convert, double, quotient, scaled, units
from ruleengine.types import Kind, Type, Value

Cell = Value | datetime
"""A value of a source column, where a timestamp is not yet its local date."""

EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Event:
    values: Mapping[str, Value]
    day: date
    moment: timedelta
    """Its place in time, since 1970: on the wall's clock or in UTC, the same for all events of a source."""
    key: Value


def events_until(
    as_of: date, declared: Events, rows: Iterable[Mapping[str, Cell]], home: ZoneInfo, customer: Value
) -> tuple[Event, ...]:
    """The events that exist for a run; one without a time is at no day up to D, so it does not."""
    # The ruleset's own timezone says nothing that leaving it out does not.
    zone = ZoneInfo(declared.zone) if declared.zone not in (None, home.key) else None
    columns = (*declared.columns, declared.customer, declared.at, *([declared.key] if declared.key else []))
    events = []
    for row in rows:
        at = row.get(declared.at.name)
        if at is None:
            continue
        assert isinstance(at, date)
        day = local_day(at, zone, home)
        if day <= as_of:
            cells = {declared.customer.name: customer, **row}
            values = {c.name: read(cells.get(c.name), c.type.value, zone, home) for c in columns}
            key = values[declared.key.name] if declared.key else None
            events.append(Event(values, day, moment(at, zone), key))
    return tuple(events)


def read(cell: Cell, to: Type, zone: ZoneInfo | None, home: ZoneInfo) -> Value:
    """A column's value as a rule sees it."""
    return local_day(cell, zone, home) if isinstance(cell, date) else convert(cell, to)


def local_day(at: date, zone: ZoneInfo | None, home: ZoneInfo) -> date:
    """The day of a date or time in the ruleset's timezone; the calendar ends where Python's does."""
    if not isinstance(at, datetime):
        return at
    if at.tzinfo is None and zone is None:
        return at.date()
    instant = moment(at, zone)
    try:
        return (EPOCH + instant).replace(tzinfo=UTC).astimezone(home).date()
    except OverflowError:
        return date.max if instant > timedelta() else date.min


def moment(at: date, zone: ZoneInfo | None) -> timedelta:
    """What orders events in time: the instant of a zoned time, the clock on the wall for a local one."""
    if not isinstance(at, datetime):
        return datetime(at.year, at.month, at.day) - EPOCH
    if at.tzinfo is None and zone is not None:
        # A repeated wall time is the earlier one; a skipped one has the offset from before the gap.
        at = at.replace(tzinfo=zone, fold=0)
    return at.replace(tzinfo=None) - EPOCH - (at.utcoffset() or timedelta())


def aggregate(function: Aggregation, events: Sequence[Event], values: Sequence[Value], argument: Type) -> Value:
    """What an aggregate is worth over a customer's events, `values` being its argument for each."""
    days = sorted({event.day for event in events})
    gaps = [(later - earlier).days for earlier, later in pairwise(days)]
    known = [value for value in values if value is not None]
    match function:
        case Aggregation.COUNT:
            return len(events)
        case Aggregation.COUNT_VALUES:
            return len(known)
        case Aggregation.COUNT_DISTINCT:
            return len(set(known))
        case Aggregation.SUM:
            return scaled(_total(known, argument), argument.scale)
        case Aggregation.AVERAGE:
            # One scale for both: the count is brought to the sum's.
            return quotient(_total(known, argument), len(known) * 10**argument.scale)
        case Aggregation.MIN:
            return min(known, key=_order, default=None)
        case Aggregation.MAX:
            return max(known, key=_order, default=None)
        case Aggregation.MEDIAN:
            return _median(sorted(known, key=_order), argument)
        case Aggregation.FIRST_DAY:
            return days[0] if days else None
        case Aggregation.LATEST_DAY:
            return days[-1] if days else None
        case Aggregation.FIRST_VALUE | Aggregation.LATEST_VALUE:
            inwards = sorted(zip(events, values, strict=True), key=_in_time)
            return inwards[0 if function is Aggregation.FIRST_VALUE else -1][1] if inwards else None
        case Aggregation.MOST_FREQUENT:
            often = Counter(known)
            return min(often, key=lambda value: (-often[value], _order(value)), default=None)
        case Aggregation.ACTIVE_DAYS:
            return len(days)
        case Aggregation.AVERAGE_GAP:
            return quotient(sum(gaps), len(gaps))
        case Aggregation.LATEST_GAP:
            return gaps[-1] if gaps else None
        case Aggregation.LONGEST_GAP:
            return max(gaps, default=None)
        case _:
            assert_never(function)


def _total(values: Sequence[Value], argument: Type) -> int:
    return sum(units(cast(Number, value), argument.scale) for value in values)


def _median(ordered: Sequence[Value], argument: Type) -> float | None:
    if not ordered:
        return None
    low = cast(Number, ordered[(len(ordered) - 1) // 2])
    high = cast(Number, ordered[len(ordered) // 2])
    if len(ordered) % 2:
        return double(low)
    if argument.kind is Kind.DOUBLE:
        return double(double(double(low) + double(high)) / 2)
    return quotient(units(low, argument.scale) + units(high, argument.scale), 2 * 10**argument.scale)


def _in_time(pair: tuple[Event, Value]) -> Any:
    event, value = pair
    return event.moment, event.key is not None, event.key, value is not None, value


def _order(value: Value) -> Any:
    """Values of one column compare as Python compares them: text by code point."""
    return value
