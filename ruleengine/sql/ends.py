"""What the first or the latest event says, on engines that would sort all events to find it.

First the moment is found, which takes one pass without an order; then the events of that moment, of which there are
few, are put in order.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from ruleengine.checking import expressions as checked
from ruleengine.checking.ruleset import Events
from ruleengine.functions.aggregates import Aggregation
from ruleengine.planning.plan import Days, Measure, Scan
from ruleengine.sql import build
from ruleengine.sql.dialect import End

if TYPE_CHECKING:
    from ruleengine.sql.scans import Scans

ENDS: dict[Aggregation, End] = {Aggregation.FIRST_VALUE: "first", Aggregation.LATEST_VALUE: "latest"}


def beside(scans: "Scans", events: Events, scan: Scan, plain: exp.Select, measures: Sequence[Measure]) -> exp.Select:
    """A pass over the events, with these measures beside it; its rows have to be those of all customers with events."""
    alike: dict[tuple[End, Days, checked.Expression | None], list[Measure]] = {}
    for measure in measures:
        key = ENDS[measure.aggregate.function], measure.days, measure.aggregate.where
        alike.setdefault(key, []).append(measure)
    if len(alike) == 1 and len(measures) == len(scan.measures) and not scans.counts(scan):
        ((end, *_), found), *_ = alike.items()  # There is nothing else to be said.
        return _of_moment(scans, events, scan, end, found)
    select = exp.Select(expressions=[exp.Column(this=exp.Star(), table=build.name("events"))])
    select = select.from_(_aliased(plain, "events"))
    for index, (key, found) in enumerate(alike.items()):
        name = f"end {index}"
        select.set("expressions", [*select.expressions, *(build.column(it.column, name) for it in found)])
        on = exp.EQ(this=build.column("customer", name), expression=build.column("customer", "events"))
        at_end = _aliased(_of_moment(scans, events, scan, key[0], found), name)
        select = select.join(at_end, on=on, join_type="left", copy=False)
    return select


def _of_moment(scans: "Scans", events: Events, scan: Scan, end: End, measures: Sequence[Measure]) -> exp.Select:
    """Measures that count the same events, of those at the first or the latest moment."""
    condition = scans.matches(events, scan, measures[0])
    counted = [] if condition is None else [condition]
    at, customer = build.column(events.at.name, "event"), build.column(events.customer.name, "event")
    moment = build.named(build.call("min" if end == "first" else "max", at.copy()), "moment")
    moments = scans.events(events, scan, [moment], *(each.copy() for each in counted))
    moments = moments.group_by(customer.copy(), copy=False)
    columns: list[exp.Expression] = []
    for measure in measures:
        assert measure.aggregate.argument is not None
        value = scans.inside(events).lower(measure.aggregate.argument)
        made = scans.dialect.at_end(end, value, None, scans.order(events, at.copy(), value, None))
        columns.append(build.named(made, measure.column))
    same = [
        exp.EQ(this=build.column("customer", "moments"), expression=customer.copy()),
        exp.EQ(this=build.column("moment", "moments"), expression=at.copy()),
    ]
    select = scans.events(events, scan, columns, *counted)
    select = select.join(_aliased(moments, "moments"), on=build.all_of(list(same)), copy=False)
    return select.group_by(customer, copy=False)


def _aliased(query: exp.Select, name: str) -> exp.Subquery:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=build.name(name)))
