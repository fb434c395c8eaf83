"""Passes over the events of one source, as SQL."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, assert_never
from zoneinfo import ZoneInfo

from sqlglot import exp

from ruleengine.checking import expressions as checked
from ruleengine.checking.ruleset import Events
from ruleengine.functions.aggregates import Aggregation
from ruleengine.planning.plan import Days, Measure, Plan, Scan
from ruleengine.sql import build
from ruleengine.sql.expressions import BIGINT_DIGITS, Lowering
from ruleengine.types import Kind

Clock = Literal["local", "instant"]
"""How a source's times lie in its relation: as local wall times (TIMESTAMP), or as instants (TIMESTAMPTZ)."""


def source_relation(name: str) -> str:
    """Where the rows of the entity, or of events, are; columns named and typed as declared."""
    return f"source_{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """The query that counts what a run leaves out of one source: one row.

    Columns: events up to the run's date; those without a customer; those whose customer the entity does not hold;
    those without a time; then per filter those for which it is unknown.
    """

    source: str
    filters: tuple[str, ...]
    tree: exp.Expression


class _EventLeaves:
    """Leaves inside an aggregate: columns of the event, and of the customer beside it."""

    def __init__(self, scans: "Scans", events: Events) -> None:
        self.scans, self.events = scans, events

    def leaf(self, node: checked.Expression) -> exp.Expression:
        match node:
            case checked.EventValue(column=column) if column == self.events.at.name:
                return self.scans.local_day(self.events, build.column(column, "event"))
            case checked.EventValue(column=column):
                return build.column(column, "event")
            case checked.Attribute(column=column):
                return build.column(self.scans.plan.attributes[column], "customers")
            case _:
                raise AssertionError(f"not a leaf inside an aggregate: {node}")


class Scans:
    """Writes the scans of a plan. `clocks` says of each events source how its times lie."""

    def __init__(self, plan: Plan, clocks: Mapping[str, Clock]) -> None:
        self.plan = plan
        self.clocks = clocks
        self.zone = ZoneInfo(plan.ruleset.timezone)

    def scan(self, scan: Scan) -> exp.Select:
        events = self.plan.ruleset.events[scan.source]
        match scan.shape:
            case "plain":
                measures = [self.plain(events, scan, measure) for measure in scan.measures]
                inner = self.events(events, scan, measures)
                return inner.group_by(build.column(events.customer.name, "event"), copy=False)
            case "distinct":
                return self.distinct(events, scan)
            case "frequent":
                return self.frequent(events, scan)
            case "gaps":
                return self.gaps(events, scan)
            case _:
                assert_never(scan.shape)

    def events(self, events: Events, scan: Scan, columns: list[exp.Expression], *more: exp.Expression) -> exp.Select:
        """SELECT customer, columns FROM the events of a scan's days WHERE …"""
        customer = build.named(build.column(events.customer.name, "event"), "customer")
        select = exp.Select(expressions=[customer, *columns])
        select = select.from_(build.table(source_relation(events.name), "event"))
        if scan.attributes:
            on = exp.EQ(
                this=build.column("customer", "customers"),
                expression=build.column(events.customer.name, "event"),
            )
            select = select.join(build.table("customers"), on=on, copy=False)
        where = build.all_of([*self.within(events, scan.days), *more])
        return select if where is None else select.where(where, copy=False)

    def within(self, events: Events, days: Days) -> list[exp.Expression]:
        """The event's time lies in these days."""
        at = build.column(events.at.name, "event")
        bounds: list[exp.Expression] = []
        if days.first is not None:
            bounds.append(exp.GTE(this=at, expression=self.start_of(events, days.first)))
        end = self.start_of(events, days.last + timedelta(days=1))
        bounds.append(exp.LT(this=at.copy(), expression=end))
        return bounds

    def start_of(self, events: Events, day: date) -> exp.Expression:
        """The moment at which a local day begins, as the source's clock shows it."""
        midnight = datetime.combine(day, time())
        if self.clocks[events.name] == "local":
            return build.cast(build.text(str(midnight)), "TIMESTAMP")
        try:
            instant = midnight.replace(tzinfo=self.zone).astimezone(UTC)
        except OverflowError:
            instant = midnight.replace(tzinfo=UTC)
        return build.cast(build.text(instant.strftime("%Y-%m-%d %H:%M:%S+00").rjust(22, "0")), "TIMESTAMPTZ")

    def local_day(self, events: Events, at: exp.Expression) -> exp.Expression:
        if self.clocks[events.name] == "instant":
            at = build.call("timezone", build.text(self.plan.ruleset.timezone), at)
        return build.cast(at, "DATE")

    def inside(self, events: Events) -> Lowering:
        return Lowering(self.plan.as_of, self.plan.parameters, _EventLeaves(self, events))

    def matches(self, events: Events, scan: Scan, measure: Measure) -> exp.Expression | None:
        """What an event must meet to count in a measure, beyond what the scan has asked already."""
        parts: list[exp.Expression] = []
        if measure.days != scan.days:
            bounds = self.within(events, measure.days)
            if measure.days.first is None or measure.days.first == scan.days.first:
                bounds = bounds[-1:]
            if measure.days.last == scan.days.last:
                bounds = bounds[:-1]
            parts.extend(bounds)
        if measure.aggregate.where is not None:
            parts.append(self.inside(events).lower(measure.aggregate.where))
        return build.all_of(parts)

    def plain(self, events: Events, scan: Scan, measure: Measure) -> exp.Expression:
        """An aggregate straight over the events."""
        aggregate = measure.aggregate
        condition = self.matches(events, scan, measure)

        def over(function: exp.Expression) -> exp.Expression:
            if condition is None:
                return function
            return exp.Filter(this=function, expression=exp.Where(this=condition.copy()))

        at = build.column(events.at.name, "event")
        value = self.inside(events).lower(aggregate.argument) if aggregate.argument is not None else None
        type = aggregate.argument.type if aggregate.argument is not None else aggregate.type
        made: exp.Expression
        match aggregate.function:
            case Aggregation.COUNT:
                made = over(build.call("count", exp.Star()))
            case Aggregation.COUNT_VALUES:
                assert value is not None
                made = over(build.call("count", value))
            case Aggregation.SUM:
                assert value is not None
                made = build.cast(over(build.call("sum", value)), f"DECIMAL(37, {type.scale})")
            case Aggregation.AVERAGE:
                assert value is not None
                total = build.cast(over(build.call("sum", value)), f"DECIMAL(37, {type.scale})")
                count = over(build.call("count", value.copy()))
                made = _quotient(total, count, type.scale)
            case Aggregation.MIN | Aggregation.MAX:
                assert value is not None
                made = over(build.call(aggregate.function.value, value))
            case Aggregation.MEDIAN:
                assert value is not None
                low = over(build.call("quantile_disc", value, exp.Literal.number("0.5")))
                high = exp.Neg(
                    this=build.wrapped(
                        over(
                            build.call(
                                "quantile_disc",
                                exp.Neg(this=build.wrapped(value.copy())),
                                exp.Literal.number("0.5"),
                            )
                        )
                    )
                )
                made = _median(low, high, type.kind, type.scale)
            case Aggregation.FIRST_DAY | Aggregation.LATEST_DAY:
                function = "min" if aggregate.function is Aggregation.FIRST_DAY else "max"
                made = self.local_day(events, over(build.call(function, at)))
            case Aggregation.FIRST_VALUE | Aggregation.LATEST_VALUE:
                assert value is not None
                function = "arg_min_null" if aggregate.function is Aggregation.FIRST_VALUE else "arg_max_null"
                made = over(build.call(function, value, build.call("row", *self.order(events, at, value))))
            case _:
                raise AssertionError(f"not a plain aggregate: {aggregate.function}")
        return build.named(made, measure.column)

    def order(self, events: Events, at: exp.Expression, value: exp.Expression) -> list[exp.Expression]:
        """Time, event key, value; a missing one comes before all others."""
        keys = [] if events.key is None else [build.column(events.key.name, "event")]
        parts: list[exp.Expression] = [at]
        for part in (*keys, value):
            parts.extend((exp.Not(this=build.is_null(part.copy())), part.copy()))
        return parts

    def distinct(self, events: Events, scan: Scan) -> exp.Select:
        """Each customer's different values once, with the measures each one counts in; then count them."""
        value = self._scan_value(events, scan)
        flags: list[exp.Expression] = []
        outer: list[exp.Expression] = [build.column("customer")]
        for index, measure in enumerate(scan.measures):
            condition = self.matches(events, scan, measure)
            where: exp.Expression | None = None
            if condition is not None:
                flags.append(build.named(build.call("bool_or", condition), f"in {index}"))
                where = build.column(f"in {index}")

            def over(function: exp.Expression, where: exp.Expression | None = where) -> exp.Expression:
                return function if where is None else exp.Filter(this=function, expression=exp.Where(this=where.copy()))

            count = over(build.call("count", exp.Star()))
            if measure.aggregate.function is Aggregation.AVERAGE_GAP:
                newest, oldest = (over(build.call(f, build.column("value"))) for f in ("max", "min"))
                days = exp.Sub(this=newest, expression=oldest)
                gaps = exp.Nullif(this=exp.Sub(this=count, expression=build.number(1)), expression=build.number(0))
                count = build.binary(exp.Div, build.cast(days, "DOUBLE"), build.cast(gaps, "DOUBLE"))
            outer.append(build.named(count, measure.column))
        inner = self.events(events, scan, [build.named(value, "value"), *flags], build.is_known(value.copy()))
        inner = inner.group_by(build.column(events.customer.name, "event"), value.copy(), copy=False)
        return _outer(outer, inner)

    def frequent(self, events: Events, scan: Scan) -> exp.Select:
        """Each customer's values with how often they occur; then the most frequent, of several the smallest."""
        value = self._scan_value(events, scan)
        counts: list[exp.Expression] = []
        outer: list[exp.Expression] = [build.column("customer")]
        for index, measure in enumerate(scan.measures):
            condition = self.matches(events, scan, measure)
            count: exp.Expression = build.call("count", exp.Star())
            if condition is not None:
                count = exp.Filter(this=count, expression=exp.Where(this=condition))
            counts.append(build.named(count, f"times {index}"))
            often = build.column(f"times {index}")
            first = build.call(
                "first",
                exp.Order(
                    this=build.column("value"),
                    expressions=[
                        exp.Ordered(this=often, desc=True),
                        exp.Ordered(this=build.column("value"), desc=False),
                    ],
                ),
            )
            occurs = exp.GT(this=often.copy(), expression=build.number(0))
            outer.append(build.named(exp.Filter(this=first, expression=exp.Where(this=occurs)), measure.column))
        inner = self.events(events, scan, [build.named(value, "value"), *counts], build.is_known(value.copy()))
        inner = inner.group_by(build.column(events.customer.name, "event"), value.copy(), copy=False)
        return _outer(outer, inner)

    def gaps(self, events: Events, scan: Scan) -> exp.Select:
        """Each customer's active days with the days since the one before."""
        value = self.local_day(events, build.column(events.at.name, "event"))
        condition = self.matches(events, scan, scan.measures[0])
        days = self.events(events, scan, [build.named(value, "value")], *([condition] if condition is not None else []))
        days = days.distinct(copy=False)
        before = exp.Window(
            this=build.call("lag", build.column("value")),
            partition_by=[build.column("customer")],
            order=exp.Order(expressions=[exp.Ordered(this=build.column("value"), desc=False)]),
        )
        gap = exp.Sub(this=build.column("value"), expression=before)
        inner = exp.Select(expressions=[build.column("customer"), build.column("value"), build.named(gap, "gap")])
        inner = inner.from_(exp.Subquery(this=days, alias=exp.TableAlias(this=build.name("days"))))
        outer: list[exp.Expression] = [build.column("customer")]
        for measure in scan.measures:
            if measure.aggregate.function is Aggregation.LONGEST_GAP:
                made = build.call("max", build.column("gap"))
            else:
                made = build.call("arg_max", build.column("gap"), build.column("value"))
            outer.append(build.named(made, measure.column))
        return _outer(outer, inner)

    def _scan_value(self, events: Events, scan: Scan) -> exp.Expression:
        if scan.value is None:
            return self.local_day(events, build.column(events.at.name, "event"))
        return self.inside(events).lower(scan.value)

    def event_counts(self, events: Events) -> EventCounts:
        at = build.column(events.at.name, "event")
        customer = build.column(events.customer.name, "event")
        entity = self.plan.ruleset.entity
        until = self.within(events, Days(None, self.plan.as_of))[-1]
        filters = list(dict.fromkeys(self._filters(events)))
        columns: list[exp.Expression] = [
            build.counted(until),
            build.counted(_and(until, build.is_null(customer))),
            build.counted(build.is_null(at)),
        ]
        joins = any(isinstance(part, checked.Attribute) for where in filters for part in checked.walk(where))
        for where in filters:
            columns.append(build.counted(_and(until, build.is_null(self.inside(events).lower(where)))))
        select = exp.Select(expressions=columns).from_(build.table(source_relation(events.name), "event"))
        if joins:
            on = exp.EQ(this=build.column("customer", "customers"), expression=customer.copy())
            select = select.join(build.table("customers"), on=on, join_type="left", copy=False)
        if entity.distinct:
            orphans: exp.Expression = build.number(0)
        else:
            known = exp.Select(expressions=[build.column(entity.key.name)]).from_(
                build.table(source_relation(entity.name))
            )
            unknown_customer = exp.Not(this=exp.In(this=customer.copy(), query=exp.Subquery(this=known)))
            orphan = exp.Select(expressions=[build.call("count", exp.Star())])
            orphan = orphan.from_(build.table(source_relation(events.name), "event"))
            orphan = orphan.where(_and(until, _and(build.is_known(customer), unknown_customer)), copy=False)
            orphans = exp.Subquery(this=orphan)
        select.set("expressions", [*columns[:2], orphans, *columns[2:]])
        return EventCounts(
            source=events.name,
            filters=tuple(" ".join(where.span.text.split()) for where in filters),
            tree=select,
        )

    def _filters(self, events: Events) -> Iterator[checked.Expression]:
        for scan in self.plan.scans:
            for measure in scan.measures:
                where = measure.aggregate.where
                if scan.source == events.name and where is not None and where.nullable:
                    yield where


def _and(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    made = build.all_of([left.copy(), right])
    assert made is not None
    return made


def _quotient(total: exp.Expression, count: exp.Expression, scale: int) -> exp.Expression:
    """A sum over a count, as the language divides: both as whole numbers of one scale, then as doubles."""
    factor = build.number(10**scale)
    bound = build.number(10 ** (BIGINT_DIGITS - scale))
    whole = build.call("whole_double", total, factor, bound)
    divisor = build.binary(exp.Mul, build.cast(count, "DOUBLE"), build.cast(factor.copy(), "DOUBLE"))
    return build.binary(exp.Div, whole, exp.Nullif(this=divisor, expression=build.number(0)))


def _median(low: exp.Expression, high: exp.Expression, kind: Kind, scale: int) -> exp.Expression:
    if kind is Kind.DOUBLE:
        return build.binary(exp.Div, exp.Add(this=low, expression=high), build.number(2))
    function = "middle"
    return build.call(
        function,
        build.cast(low, f"DECIMAL(38, {scale})"),
        build.cast(high, f"DECIMAL(38, {scale})"),
        build.number(10**scale),
        build.number(10 ** (BIGINT_DIGITS - scale)),
    )


def _outer(columns: list[exp.Expression], inner: exp.Select) -> exp.Select:
    select = exp.Select(expressions=columns)
    select = select.from_(exp.Subquery(this=inner, alias=exp.TableAlias(this=build.name("per value"))))
    return select.group_by(build.column("customer"), copy=False)
