"""What the first or the latest event says, on engines that would sort all events to find it.

The moment is found by the pass that computes everything else; then the events of that moment, of which there are few,
are put in order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class AtEnd:
    """Measures that look at the same moment of the same events."""

    name: str
    end: End
    measures: Sequence[Measure]

    @property
    def moment(self) -> str:
        return f"moment of {self.name}"


def at_ends(scan: Scan, measures: Sequence[Measure]) -> list[AtEnd]:
    alike: dict[tuple[End, Days, checked.Expression | None], list[Measure]] = {}
    for measure in measures:
        key = ENDS[measure.aggregate.function], measure.days, measure.aggregate.where
        alike.setdefault(key, []).append(measure)
    return [AtEnd(f"end {index} of {scan.name}", key[0], found) for index, (key, found) in enumerate(alike.items())]


def moment(scans: "Scans", events: Events, scan: Scan, of: AtEnd) -> exp.Expression:
    """When it was: one more column of a pass over the events."""
    condition = scans.matches(events, scan, of.measures[0])
    at: exp.Expression = build.column(events.at.name, "event")
    return build.named(scans.over("min" if of.end == "first" else "max", at, condition), of.moment)


def beside(scans: "Scans", events: Events, scan: Scan, plain: exp.Select, ends: Sequence[AtEnd]) -> exp.Select:
    """A pass over the events that has found the moments, with what was said then."""
    select = exp.Select(expressions=[exp.Column(this=exp.Star(), table=build.name("events"))])
    select = select.from_(build.table("events")).with_(build.name("events"), as_=plain, copy=False)
    for of in ends:
        select.set("expressions", [*select.expressions, *(build.column(it.column, of.name) for it in of.measures)])
        on = exp.EQ(this=build.column("customer", of.name), expression=build.column("customer", "events"))
        said = exp.Subquery(this=_said(scans, events, scan, of), alias=exp.TableAlias(this=build.name(of.name)))
        select = select.join(said, on=on, join_type="left", copy=False)
    return select


def _said(scans: "Scans", events: Events, scan: Scan, of: AtEnd) -> exp.Select:
    """What the events of the moment say; of several the order decides."""
    condition = scans.matches(events, scan, of.measures[0])
    at, customer = build.column(events.at.name, "event"), build.column(events.customer.name, "event")
    columns: list[exp.Expression] = []
    for measure in of.measures:
        assert measure.aggregate.argument is not None
        value = scans.inside(events).lower(measure.aggregate.argument)
        made = scans.dialect.at_end(of.end, value, None, scans.order(events, at.copy(), value))
        columns.append(build.named(made, measure.column))
    same: list[exp.Expression] = [
        exp.EQ(this=build.column("customer", "events"), expression=customer.copy()),
        exp.EQ(this=build.column(of.moment, "events"), expression=at.copy()),
    ]
    select = scans.events(events, scan, columns, *([] if condition is None else [condition]))
    select = select.join(build.table("events"), on=build.all_of(same), copy=False)
    return select.group_by(customer, copy=False)
