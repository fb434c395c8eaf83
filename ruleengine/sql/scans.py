"""Passes over the events of one source, as SQL."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from sqlglot import exp

from ruleengine.checking import expressions as checked
from ruleengine.checking.ruleset import Events, Ruleset
from ruleengine.functions.aggregates import Aggregation
from ruleengine.planning.plan import Days, Measure, Plan, Scan
from ruleengine.sql import build
from ruleengine.sql.dialect import Clock, Dialect, Order
from ruleengine.sql.ends import ENDS, AtEnd, at_ends, beside, moment
from ruleengine.sql.expressions import Lowering
from ruleengine.sql.halves import halves, share, together
from ruleengine.sql.known import NOTHING, Known, known_texts
from ruleengine.types import MAX_DIGITS, Kind, Type


def source_relation(name: str) -> str:
    """Where the rows of the entity, or of events, are; columns named and typed as declared."""
    return f"source_{name}"


def events_of(scan: Scan) -> str:
    """The column for how many events of a pass each customer has."""
    return f"events of {scan.name}"


def default_clocks(ruleset: Ruleset) -> dict[str, Clock]:
    """How times lie where the data cannot be asked: naive, in the declared zone."""
    return {
        name: "local" if events.zone is None or events.zone == ruleset.timezone else "instant"
        for name, events in ruleset.events.items()
    }


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

    def __init__(
        self,
        plan: Plan,
        dialect: Dialect,
        clocks: Mapping[str, Clock],
        known: Mapping[str, Known] | None = None,
    ) -> None:
        self.plan = plan
        self.dialect = dialect
        self.clocks = clocks
        self.known = known or {}
        self.zone = ZoneInfo(plan.ruleset.timezone)
        self.halves = {found.whole.name: found for found in halves(plan.scans)}

    @property
    def in_order(self) -> list[Scan]:
        """The passes, each after the one that it takes a half from."""
        return sorted(self.plan.scans, key=lambda scan: scan.name in self.halves)

    def scan(self, scan: Scan) -> exp.Select:
        events = self.plan.ruleset.events[scan.source]
        match scan.shape:
            case "plain":
                return self.straight(events, scan)
            case "distinct":
                return self.distinct(events, scan)
            case "frequent":
                return self.frequent(events, scan)
            case "gaps":
                return self.gaps(events, scan)
            case _:
                assert_never(scan.shape)

    def straight(self, events: Events, scan: Scan) -> exp.Select:
        """Aggregates straight over the events."""
        ends, measures = self.apart(scan)
        halves = self.halves.get(scan.name)
        if halves is not None:
            early = self.grouped(events, halves.early, [*share(self, events, halves, halves.early)])
            found = together(self, halves, early)
        else:
            columns = [self.plain(events, scan, measure) for measure in measures]
            columns.extend(moment(self, events, scan, of) for of in ends)
            if self.counts(scan):
                columns.append(self.count_of(scan))
            for whole in self.halves.values():
                if whole.late == scan:
                    columns.extend(share(self, events, whole, scan))
            found = self.grouped(events, scan, columns)
        return beside(self, events, scan, found, ends) if ends else found

    def apart(self, scan: Scan) -> tuple[list[AtEnd], list[Measure]]:
        """The measures of a pass that need the events of one moment, and all others."""
        sorted = [
            it
            for it in scan.measures
            if self.dialect.sorts_for_ends
            and it.aggregate.function in ENDS
            and self.tie(self.plan.ruleset.events[scan.source], it.aggregate) is None
        ]
        return at_ends(scan, sorted), [measure for measure in scan.measures if measure not in sorted]

    def count_of(self, scan: Scan) -> exp.Alias:
        return build.named(build.call("count", exp.Star()), events_of(scan))

    def grouped(self, events: Events, scan: Scan, columns: list[exp.Expression]) -> exp.Select:
        return self.events(events, scan, columns).group_by(build.column(events.customer.name, "event"), copy=False)

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
            at = self.local_time(at)
        return build.cast(at, "DATE")

    def local_time(self, instant: exp.Expression) -> exp.Expression:
        """What the clock on the wall shows at an instant."""
        return build.call("timezone", build.text(self.dialect.zone(self.plan.ruleset.timezone)), instant)

    def inside(self, events: Events) -> Lowering:
        return Lowering(self.dialect, self.plan.as_of, self.plan.parameters, _EventLeaves(self, events))

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

        def over(function: str, value: exp.Expression) -> exp.Expression:
            return self.over(function, value, condition)

        at = build.column(events.at.name, "event")
        value = self.inside(events).lower(aggregate.argument) if aggregate.argument is not None else None
        type = aggregate.argument.type if aggregate.argument is not None else aggregate.type
        made: exp.Expression
        match aggregate.function:
            case Aggregation.COUNT:
                made = over("count", exp.Star())
            case Aggregation.COUNT_VALUES:
                assert value is not None
                made = over("count", value)
            case Aggregation.COUNT_DISTINCT:
                texts = known_texts(self.known, events.name, aggregate.argument)
                assert texts is not None
                assert value is not None
                made = self.dialect.different(self.dialect.place(texts, value), condition)
            case Aggregation.SUM:
                assert value is not None
                made = build.cast(over("sum", value), f"DECIMAL(37, {type.scale})")
            case Aggregation.AVERAGE:
                assert value is not None
                total = build.cast(over("sum", value), f"DECIMAL(37, {type.scale})")
                count = over("count", value.copy())
                made = self.quotient(total, count, type.scale)
            case Aggregation.MIN | Aggregation.MAX:
                assert value is not None
                made = over(aggregate.function.value, value)
            case Aggregation.MEDIAN:
                assert value is not None
                low = self.dialect.lower_median(_where(value, condition))
                mirrored = exp.Neg(this=build.wrapped(value.copy()))
                high = exp.Neg(this=build.wrapped(self.dialect.lower_median(_where(mirrored, condition))))
                made = self.middle(low, high, type)
            case Aggregation.FIRST_DAY | Aggregation.LATEST_DAY:
                function = "min" if aggregate.function is Aggregation.FIRST_DAY else "max"
                made = self.local_day(events, over(function, at))
            case (Aggregation.FIRST_VALUE | Aggregation.LATEST_VALUE) as function:
                assert value is not None
                end = ENDS[function]
                texts = known_texts(self.known, events.name, aggregate.argument)
                found, kind = value, _sql_type(aggregate)
                if texts is not None:
                    found, kind = self.dialect.place(texts, value), "INT"
                tie = self.tie(events, aggregate)
                if tie is None:
                    made = self.dialect.at_end(end, found, condition, self.order(events, at, value))
                else:
                    order = Order(at, self.clocks[events.name], tie)
                    made = self.dialect.at_one_end(end, found, kind, condition, order)
                if texts is not None:
                    made = self.dialect.text_at(texts, made)
            case _:
                raise AssertionError(f"not a plain aggregate: {aggregate.function}")
        return build.named(made, measure.column)

    def over(self, function: str, value: exp.Expression, condition: exp.Expression | None) -> exp.Expression:
        """An aggregate over the events that meet a condition."""
        if condition is None:
            return build.call(function, value)
        if self.dialect.filters:
            where = exp.Where(this=condition.copy())
            return exp.Filter(this=build.call(function, value), expression=where)
        return build.call(function, _where(build.number(1) if isinstance(value, exp.Star) else value, condition))

    def quotient(self, total: exp.Expression, count: exp.Expression, scale: int) -> exp.Expression:
        """A sum over a count, as the language divides: both as whole numbers of one scale, then as doubles."""
        divisor = build.binary(exp.Mul, build.cast(count, "DOUBLE"), build.cast(build.number(10**scale), "DOUBLE"))
        whole = self.dialect.whole_double(total, scale)
        return build.binary(exp.Div, whole, exp.Nullif(this=divisor, expression=build.number(0)))

    def middle(self, low: exp.Expression, high: exp.Expression, type: Type) -> exp.Expression:
        """The mean of the middle two values."""
        if type.kind is Kind.DOUBLE:
            return build.binary(exp.Div, exp.Add(this=low, expression=high), build.number(2))
        exact = f"DECIMAL(38, {type.scale})"
        return self.dialect.middle(build.cast(low, exact), build.cast(high, exact), type.scale)

    def order(self, events: Events, at: exp.Expression, value: exp.Expression) -> list[exp.Expression]:
        """Time, event key, value."""
        keys = [] if events.key is None else [build.column(events.key.name, "event")]
        return [at, *keys, value.copy()]

    def tie(self, events: Events, aggregate: checked.Aggregate) -> exp.Expression | None:
        """What puts events of one time in order, where it is a whole number that none is without."""
        if events.key is not None:
            is_known = self.known.get(events.name, NOTHING).every_key
            is_number = events.key.type.name == "integer"
            return build.column(events.key.name, "event") if is_known and is_number else None
        texts = known_texts(self.known, events.name, aggregate.argument)
        if texts is None or aggregate.argument is None:
            return None
        value = self.inside(events).lower(aggregate.argument)
        return exp.Coalesce(this=self.dialect.place(texts, value), expressions=[build.number(0)])

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
                days = self.dialect.days_between(oldest, newest)
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
            matched: exp.Expression = exp.Star()
            if condition is not None:
                matched = build.case((condition, build.number(1)), otherwise=None)
            counts.append(build.named(build.call("count", matched), f"times {index}"))
            made = self.dialect.most_frequent(build.column("value"), build.column(f"times {index}"))
            outer.append(build.named(made, measure.column))
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
        gap = self.dialect.days_between(before, build.column("value"))
        inner = exp.Select(expressions=[build.column("customer"), build.column("value"), build.named(gap, "gap")])
        inner = inner.from_(exp.Subquery(this=days, alias=exp.TableAlias(this=build.name("days"))))
        outer: list[exp.Expression] = [build.column("customer")]
        for measure in scan.measures:
            made: exp.Expression
            if measure.aggregate.function is Aggregation.LONGEST_GAP:
                made = build.call("max", build.column("gap"))
            else:
                made = self.dialect.of_latest(build.column("gap"), build.column("value"))
            outer.append(build.named(made, measure.column))
        return _outer(outer, inner)

    def _scan_value(self, events: Events, scan: Scan) -> exp.Expression:
        if scan.value is None:
            return self.local_day(events, build.column(events.at.name, "event"))
        return self.inside(events).lower(scan.value)

    def event_counts(self, events: Events) -> EventCounts:
        """One query, that counts in one pass, or in one for each number: see `Dialect.counts_apart`."""
        at = build.column(events.at.name, "event")
        customer = build.column(events.customer.name, "event")
        until = self.within(events, Days(None, self.plan.as_of))[-1]
        filters = list(dict.fromkeys(self._filters(events)))
        by_then = exp.Sub(
            this=self._counted(events, build.is_known(at)), expression=self._counted(events, build.negated(until))
        )
        of_nobody = self._counted(events, until, build.is_null(customer))
        columns = [
            by_then,
            of_nobody,
            self._orphans(events, until, exp.Sub(this=by_then.copy(), expression=of_nobody.copy())),
            self._counted(events, build.is_null(at)),
            *(self._unknown(events, until, where) for where in filters),
        ]
        counts = exp.Select(expressions=columns)
        if not self.dialect.counts_apart:
            counts = counts.from_(build.table(source_relation(events.name), "event"))
        return EventCounts(
            source=events.name,
            filters=tuple(" ".join(where.span.text.split()) for where in filters),
            tree=counts,
        )

    def _orphans(self, events: Events, until: exp.Expression, of_somebody: exp.Expression) -> exp.Expression:
        """How many events are of customers whom the entity does not hold."""
        entity = self.plan.ruleset.entity
        if entity.distinct:
            return build.number(0)
        counting = next((scan for scan in self.plan.scans if scan.source == events.name and self.counts(scan)), None)
        if counting is not None:
            total = build.call("coalesce", build.call("sum", build.column(events_of(counting))), build.number(0))
            known = exp.Select(expressions=[build.cast(total, "BIGINT")]).from_(build.table("metrics"))
            return exp.Sub(this=of_somebody, expression=exp.Subquery(this=known))
        select = exp.Select(expressions=[build.call("count", exp.Star())])
        select = select.from_(build.table(source_relation(events.name), "event"))
        customer = build.column(events.customer.name, "event")
        held = exp.Select(expressions=[build.number(1)]).from_(build.table(source_relation(entity.name), "known"))
        held = held.where(exp.EQ(this=build.column(entity.key.name, "known"), expression=customer), copy=False)
        where = build.all_of([until.copy(), build.is_known(customer.copy()), build.negated(exp.Exists(this=held))])
        assert where is not None
        return exp.Subquery(this=select.where(where, copy=False))

    def counts(self, scan: Scan) -> bool:
        """Whether a pass also counts each customer's events: it reads all of them anyway, and the rest are orphans."""
        entity = self.plan.ruleset.entity
        everyone = not entity.distinct and entity.where is None and entity.since is None
        first = next((each for each in self.plan.scans if each.source == scan.source and self._reads_all(each)), None)
        return everyone and scan is first

    def _reads_all(self, scan: Scan) -> bool:
        return scan.shape == "plain" and scan.days == Days(None, self.plan.as_of)

    def _counted(self, events: Events, *conditions: exp.Expression, joined: bool = False) -> exp.Expression:
        """How many events meet all conditions; `joined`: each with its customer."""
        where = build.all_of([condition.copy() for condition in conditions])
        assert where is not None
        if not (joined or self.dialect.counts_apart):
            return build.counted(where)
        select = exp.Select(expressions=[build.call("count", exp.Star())])
        select = select.from_(build.table(source_relation(events.name), "event"))
        if joined:
            on = exp.EQ(
                this=build.column("customer", "customers"), expression=build.column(events.customer.name, "event")
            )
            select = select.join(build.table("customers"), on=on, join_type="left", copy=False)
        return exp.Subquery(this=select.where(where, copy=False))

    def _unknown(self, events: Events, until: exp.Expression, where: checked.Expression) -> exp.Expression:
        """For how many events a filter is unknown."""
        parts = list(checked.walk(where))
        joined = any(isinstance(part, checked.Attribute) for part in parts)
        unknown = build.is_null(self.inside(events).lower(where))
        divides = any(isinstance(part, checked.Arithmetic) and part.operator == "/" for part in parts)
        if joined or divides:
            return self._counted(events, until, unknown, joined=joined)
        # It takes a missing value; whether a column has one, the files know.
        read = dict.fromkeys(part.column for part in parts if isinstance(part, checked.EventValue))
        missing = build.any_of([build.is_null(build.column(column, "event")) for column in read])
        return self._counted(events, until, *([missing] if missing is not None else []), unknown)

    def _filters(self, events: Events) -> Iterator[checked.Expression]:
        for scan in self.plan.scans:
            for measure in scan.measures:
                where = measure.aggregate.where
                if scan.source == events.name and where is not None and where.nullable:
                    yield where


def _where(value: exp.Expression, condition: exp.Expression | None) -> exp.Expression:
    """The value where the event counts, else missing."""
    return value if condition is None else build.case((condition.copy(), value), otherwise=None)


def _outer(columns: list[exp.Expression], inner: exp.Select) -> exp.Select:
    select = exp.Select(expressions=columns)
    select = select.from_(exp.Subquery(this=inner, alias=exp.TableAlias(this=build.name("per value"))))
    return select.group_by(build.column("customer"), copy=False)


def _sql_type(aggregate: checked.Aggregate) -> str:
    """Of what an aggregate takes from one event."""
    assert aggregate.argument is not None
    type = aggregate.argument.type
    match type.kind:
        case Kind.EXACT:
            is_column = isinstance(aggregate.argument, checked.EventValue | checked.Attribute)
            return "BIGINT" if is_column and type.is_integer else f"DECIMAL({MAX_DIGITS}, {type.scale})"
        case kind:
            return kind.name
