"""A plan to the statements that compute it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, assert_never
from zoneinfo import ZoneInfo

from sqlglot import ErrorLevel, exp

from ruleengine.checking import expressions as checked
from ruleengine.checking.ruleset import Events, Ladder, Rule, Tag
from ruleengine.functions.aggregates import Aggregation
from ruleengine.planning.plan import Days, Measure, MetricColumn, Plan, Scan
from ruleengine.sql import build
from ruleengine.sql.expressions import BIGINT_DIGITS, Lowering
from ruleengine.types import Kind

Clock = Literal["local", "instant"]
"""How a source's times lie in its relation: as local wall times (TIMESTAMP), or as instants (TIMESTAMPTZ)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a run; `name` says what it makes."""

    name: str
    purpose: str
    tree: exp.Expression

    def sql(self, *, pretty: bool = True) -> str:
        return self.tree.sql(dialect="duckdb", pretty=pretty, unsupported_level=ErrorLevel.RAISE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCounts:
    """The query that counts what a run leaves out of one source: one row.

    Columns: events up to the run's date; those without a customer; those whose customer the entity does not hold;
    those without a time; then per filter those for which it is unknown.
    """

    source: str
    filters: tuple[str, ...]
    tree: exp.Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Everything a run executes, in order. Sources are the relations `source_<name>`."""

    plan: Plan
    statements: tuple[Statement, ...]
    event_counts: tuple[EventCounts, ...]
    """In `result_report`: `d0, d1, …` how many customers each draft would take, `u0, u1, …` how many got no value of
    each class because a line was unknown."""
    drafts: tuple[tuple[str, str, str | None], ...]
    """kind, name and (of ladders) value of each draft column."""
    classes: tuple[str, ...]


def source_relation(name: str) -> str:
    return f"source_{name}"


def emit(plan: Plan, clocks: Mapping[str, Clock]) -> Program:
    """The statements of a plan. `clocks` says of each events source how its times lie."""
    return _Emitter(plan, clocks).program()


class _FrameLeaves:
    """Leaves of metrics and rules: columns of the frame, or of the scans that are being joined into it."""

    def __init__(self, emitter: "_Emitter", *, joining: bool = False) -> None:
        self.emitter, self.joining = emitter, joining

    def leaf(self, node: checked.Expression) -> exp.Expression:
        plan = self.emitter.plan
        match node:
            case checked.Attribute(column=column):
                return build.column(plan.attributes[column])
            case checked.MetricValue(metric=metric):
                return build.column(plan.metrics[metric])
            case checked.Aggregate():
                scan, measure = plan.measures[node]
                if not self.joining:
                    return build.column(measure.column)
                made: exp.Expression = build.column(measure.column, scan.name)
                if not node.nullable:
                    made = exp.Coalesce(this=made, expressions=[build.number(0)])
                return made
            case checked.HasTag(tag=tag):
                return build.column(self.emitter.answers["tag", tag])
            case checked.LadderIs(ladder=ladder, values=values):
                known = plan.ruleset.ladders[ladder].values
                answer = build.column(self.emitter.answers["ladder", ladder])
                indexes = [build.number(1 + known.index(value)) for value in values]
                if len(indexes) == 1:
                    return exp.EQ(this=answer, expression=indexes[0])
                return exp.In(this=answer, expressions=indexes)
            case _:
                raise AssertionError(f"not a leaf here: {node}")


class _EventLeaves:
    """Leaves inside an aggregate: columns of the event, and of the customer beside it."""

    def __init__(self, emitter: "_Emitter", events: Events) -> None:
        self.emitter, self.events = emitter, events

    def leaf(self, node: checked.Expression) -> exp.Expression:
        match node:
            case checked.EventValue(column=column) if column == self.events.at.name:
                return self.emitter.local_day(self.events, build.column(column, "event"))
            case checked.EventValue(column=column):
                return build.column(column, "event")
            case checked.Attribute(column=column):
                return build.column(self.emitter.plan.attributes[column], "customers")
            case _:
                raise AssertionError(f"not a leaf inside an aggregate: {node}")


class _EntityLeaves:
    """Leaves of the entity's own conditions: columns of its source."""

    def leaf(self, node: checked.Expression) -> exp.Expression:
        assert isinstance(node, checked.Attribute)
        return build.column(node.column)


class _Emitter:
    def __init__(self, plan: Plan, clocks: Mapping[str, Clock]) -> None:
        self.plan = plan
        self.clocks = clocks
        self.zone = ZoneInfo(plan.ruleset.timezone)
        self.answers: dict[tuple[str, str], str] = {}
        """Tags and ladders that others refer to → their column."""
        for index, rule in enumerate(rule for layer in plan.rule_layers for rule in layer):
            self.answers["tag" if isinstance(rule, Tag) else "ladder", rule.name] = f"answer {index}"
        self.frame = Lowering(plan.as_of, plan.parameters, _FrameLeaves(self))
        self.joined = Lowering(plan.as_of, plan.parameters, _FrameLeaves(self, joining=True))

    def program(self) -> Program:
        drafts: list[tuple[str, str, str | None]] = []
        columns = []
        for rule in self.plan.drafts:
            if isinstance(rule, Tag):
                drafts.append(("tag", rule.name, None))
                columns.append(build.named(_count(self.given(rule)), f"d{len(columns)}"))
            else:
                for index, value in enumerate(rule.values):
                    drafts.append((rule.kind, rule.name, value))
                    has = exp.EQ(this=build.wrapped(self.rung(rule)), expression=build.number(1 + index))
                    columns.append(build.named(_count(has), f"d{len(columns)}"))
        classes = []
        for ladder in self.plan.ruleset.ladders.values():
            unknown = self.unknown(ladder) if ladder.kind == "class" and not ladder.draft else None
            if unknown is not None:
                columns.append(build.named(_count(unknown), f"u{len(classes)}"))
                classes.append(ladder.name)
        statements = [
            self.customers(),
            self.values(),
            self.view(),
            self.assignments(),
        ]
        if columns:
            statements.append(
                Statement(
                    name="result_report",
                    purpose="What drafts would do, and where a class gave no value",
                    tree=_create("result_report", exp.Select(expressions=columns).from_(self.answered())),
                )
            )
        return Program(
            plan=self.plan,
            statements=tuple(statements),
            event_counts=tuple(self.event_counts(events) for events in self.plan.ruleset.events.values()),
            drafts=tuple(drafts),
            classes=tuple(classes),
        )

    # -- customers --------------------------------------------------------------------------------------

    def customers(self) -> Statement:
        """Whom the run is about, with their attributes."""
        ruleset, plan = self.plan.ruleset, self.plan
        entity = ruleset.entity
        select: exp.Select
        if entity.distinct:
            events = ruleset.events[entity.source]
            key = build.column(events.customer.name, "event")
            select = exp.Select(expressions=[build.named(key, "customer")], distinct=exp.Distinct())
            select = select.from_(build.table(source_relation(events.name), "event"))
            wheres = [negated_null(key.copy()), *self.within(events, Days(None, plan.as_of))]
        else:
            key = build.column(entity.key.name)
            select = exp.Select(expressions=[build.named(key, "customer")])
            select = select.from_(build.table(source_relation(entity.source)))
            wheres = []
            if entity.since is not None:
                since = build.column(entity.since)
                wheres.append(exp.LTE(this=since, expression=build.day(plan.as_of)))
            if entity.where is not None:
                wheres.append(Lowering(plan.as_of, plan.parameters, _EntityLeaves()).lower(entity.where))
        for attribute, column in plan.attributes.items():
            source = key.copy() if attribute == entity.key.name else build.column(attribute)
            select = select.select(build.named(source, column), copy=False)
        where = build.all_of(wheres)
        if where is not None:
            select = select.where(where, copy=False)
        return Statement(
            name="customers", purpose=f"Every {entity.name} that exists", tree=_create("customers", select)
        )

    # -- metrics ----------------------------------------------------------------------------------------

    def values(self) -> Statement:
        """One row per customer with every metric a rule reads: scans joined to the customers, then layer on layer."""
        plan = self.plan
        ctes = [(scan.name, self.scan(scan)) for scan in plan.scans]
        select = exp.Select(expressions=[build.column("customer", "customers")])
        for column in plan.attributes.values():
            select = select.select(build.column(column, "customers"), copy=False)
        layers = plan.layers or ((),)
        for metric in layers[0]:
            select = select.select(self._metric(self.joined, metric), copy=False)
        for aggregate, column in self._carried():
            select = select.select(build.named(self.joined.lower(aggregate), column), copy=False)
        select = select.from_(build.table("customers"), copy=False)
        for scan in plan.scans:
            on = exp.EQ(this=build.column("customer", scan.name), expression=build.column("customer", "customers"))
            select = select.join(build.table(scan.name), on=on, join_type="left", copy=False)
        for depth, layer in enumerate(layers[1:], 1):
            previous = f"metrics {depth}"
            ctes.append((previous, select))
            select = exp.Select(expressions=[exp.Star()])
            for metric in layer:
                select = select.select(self._metric(self.frame, metric), copy=False)
            select = select.from_(build.table(previous), copy=False)
        for name, query in ctes:
            select = select.with_(build.name(name), as_=query, copy=False)
        return Statement(name="metrics", purpose="Every metric that a rule reads", tree=_create("metrics", select))

    def _metric(self, lowering: Lowering, column: MetricColumn) -> exp.Expression:
        expression = column.metric.expression
        return build.comment(build.named(lowering.lower(expression), column.column), str(expression.span))

    def _carried(self) -> Iterator[tuple[checked.Aggregate, str]]:
        """Aggregates that later layers compute with, and that are no metric of their own."""
        named = {metric.column for layer in self.plan.layers for metric in layer}
        seen = set()
        for layer in self.plan.layers[1:]:
            for metric in layer:
                for part in checked.walk(metric.metric.expression):
                    if isinstance(part, checked.Aggregate):
                        column = self.plan.measures[part][1].column
                        if column not in named and column not in seen:
                            seen.add(column)
                            yield part, column

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
        inner = self.events(events, scan, [build.named(value, "value"), *flags], negated_null(value.copy()))
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
        inner = self.events(events, scan, [build.named(value, "value"), *counts], negated_null(value.copy()))
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

    def view(self) -> Statement:
        """The values that published rules read."""
        columns = [
            build.column("customer"),
            *(build.column(value.column) for value in self.plan.layout.values),
        ]
        query = exp.Select(expressions=columns).from_(build.table("metrics"))
        return Statement(
            name="result_values",
            purpose="The values that published rules read, for explanations",
            tree=_create("result_values", query, kind="VIEW"),
        )

    # -- rules ------------------------------------------------------------------------------------------

    def answered(self) -> exp.Expression:
        """The metrics, with the answers of the rules that others refer to, layer on layer."""
        source: exp.Expression = build.table("metrics")
        for depth, layer in enumerate(self.plan.rule_layers):
            select = exp.Select(expressions=[exp.Star()])
            for rule in layer:
                if isinstance(rule, Tag):
                    answer = build.call("coalesce", self.given(rule), exp.Boolean(this=False))
                    made = build.named(answer, self.answers["tag", rule.name])
                else:
                    made = build.named(self.rung(rule), self.answers["ladder", rule.name])
                select = select.select(build.comment(made, _spoken(rule)), copy=False)
            select = select.from_(source, copy=False)
            source = exp.Subquery(this=select, alias=exp.TableAlias(this=build.name(f"answers {depth}")))
        return source

    def given(self, tag: Tag) -> exp.Expression:
        """TRUE where the tag is given, FALSE or NULL where it is not."""
        when = self.frame.lower(tag.when)
        if tag.unless is None:
            return when
        made = build.all_of([when, build.negated(self.frame.lower(tag.unless))])
        assert made is not None
        return made

    def rung(self, ladder: Ladder) -> exp.Expression:
        """1 + the index of the customer's value, or 0."""
        branches = []
        for index, level in enumerate(ladder.levels):
            condition = self.frame.lower(level.when)
            branches.append((condition, build.number(1 + index)))
            if ladder.kind == "class" and level.when.nullable:
                # A line that cannot be told ends the search: a later one might be the wrong answer.
                branches.append((build.is_null(condition.copy()), build.number(0)))
        otherwise = 0 if ladder.otherwise is None else 1 + ladder.values.index(ladder.otherwise)
        return build.cast(build.case(*branches, otherwise=build.number(otherwise)), "SMALLINT")

    def unknown(self, ladder: Ladder) -> exp.Expression | None:
        """TRUE where a class gives no value because a line before the first TRUE one is unknown."""
        if not any(level.when.nullable for level in ladder.levels):
            return None
        branches = []
        for level in ladder.levels:
            condition = self.frame.lower(level.when)
            branches.append((condition, exp.Boolean(this=False)))
            if level.when.nullable:
                branches.append((build.is_null(condition.copy()), exp.Boolean(this=True)))
        return build.case(*branches, otherwise=exp.Boolean(this=False))

    def assignments(self) -> Statement:
        layout = self.plan.layout
        ruleset = self.plan.ruleset
        columns: list[exp.Expression] = [build.column("customer")]
        for word in range(layout.words):
            total: exp.Expression | None = None
            for slot in layout.tags:
                if slot.word != word:
                    continue
                tag = ruleset.tags[slot.name]
                bit = build.case((self.answer(tag), build.number(1 << slot.bit)), otherwise=build.number(0))
                part = build.comment(build.cast(bit, "BIGINT"), _spoken(tag))
                total = part if total is None else exp.Add(this=total, expression=part)
            assert total is not None
            columns.append(build.named(build.cast(total, "BIGINT"), f"w{word}"))
        for ladder_slot in layout.ladders:
            ladder = ruleset.ladders[ladder_slot.name]
            column = build.named(self.answer(ladder), ladder_slot.column)
            columns.append(build.comment(column, _spoken(ladder)))
        return Statement(
            name="result_assignments",
            purpose="Who has what: tags as bits of w0, w1, …; tiers and classes as numbers",
            tree=_create("result_assignments", exp.Select(expressions=columns).from_(self.answered())),
        )

    def answer(self, rule: Rule) -> exp.Expression:
        """A rule's answer: its column where others refer to it, else its condition."""
        if isinstance(rule, Tag):
            known = self.answers.get(("tag", rule.name))
            return build.column(known) if known is not None else self.given(rule)
        known = self.answers.get(("ladder", rule.name))
        return build.column(known) if known is not None else self.rung(rule)

    # -- what is left out ---------------------------------------------------------------------------------

    def event_counts(self, events: Events) -> EventCounts:
        at = build.column(events.at.name, "event")
        customer = build.column(events.customer.name, "event")
        entity = self.plan.ruleset.entity
        until = self.within(events, Days(None, self.plan.as_of))[-1]
        filters = list(dict.fromkeys(self._filters(events)))
        columns: list[exp.Expression] = [
            _count(until),
            _count(_and(until, build.is_null(customer))),
            _count(build.is_null(at)),
        ]
        joins = any(isinstance(part, checked.Attribute) for where in filters for part in checked.walk(where))
        for where in filters:
            columns.append(_count(_and(until, build.is_null(self.inside(events).lower(where)))))
        select = exp.Select(expressions=columns).from_(build.table(source_relation(events.name), "event"))
        if joins:
            on = exp.EQ(this=build.column("customer", "customers"), expression=customer.copy())
            select = select.join(build.table("customers"), on=on, join_type="left", copy=False)
        if entity.distinct:
            orphans: exp.Expression = build.number(0)
        else:
            known = exp.Select(expressions=[build.column(entity.key.name)]).from_(
                build.table(source_relation(entity.source))
            )
            unknown_customer = exp.Not(this=exp.In(this=customer.copy(), query=exp.Subquery(this=known)))
            orphan = exp.Select(expressions=[build.call("count", exp.Star())])
            orphan = orphan.from_(build.table(source_relation(events.name), "event"))
            orphan = orphan.where(_and(until, _and(negated_null(customer), unknown_customer)), copy=False)
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


def negated_null(expression: exp.Expression) -> exp.Expression:
    return exp.Not(this=build.is_null(expression))


def _and(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    made = build.all_of([left.copy(), right])
    assert made is not None
    return made


def _count(condition: exp.Expression) -> exp.Expression:
    return exp.Filter(this=build.call("count", exp.Star()), expression=exp.Where(this=condition.copy()))


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


def _create(name: str, query: exp.Expression, kind: str = "TABLE") -> exp.Create:
    temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
    return exp.Create(this=build.table(name), kind=kind, replace=True, expression=query, properties=temporary)


def _spoken(rule: Rule) -> str:
    what = f'tag "{rule.name}"' if isinstance(rule, Tag) else f"{rule.kind} {rule.name}"
    return f"{what} ({rule.span})"
