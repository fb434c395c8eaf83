"""Checks of the sources as SQL: how many rows meet them, and a few that do not."""

from dataclasses import dataclass
from datetime import timedelta

from sqlglot import exp

from ruleengine.checking import expressions as checked
from ruleengine.checking.guards import ExistsCheck, FreshCheck, RowsCheck, SourceCheck, UniqueCheck
from ruleengine.checking.ruleset import Events
from ruleengine.planning.plan import Plan
from ruleengine.sql import build
from ruleengine.sql.expressions import Leaves, Lowering
from ruleengine.sql.scans import Scans, source_relation

SHOWN = 5
"""So many rows that do not meet a check are shown."""
TIMES = "times it occurs"  # with spaces, as no column is called


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardQuery:
    """What to ask for one check."""

    check: SourceCheck
    counts: exp.Expression
    """One row: how many rows meet it, of how many; of freshness the latest day, and how many events there are."""
    rows: exp.Expression | None
    """Rows that do not meet it: their key, and what the check reads."""


class _CustomerLeaves:
    """Columns of the entity's source."""

    def leaf(self, node: checked.Expression) -> exp.Expression:
        assert isinstance(node, checked.Attribute)
        return build.column(node.column)


class _RowLeaves:
    """Columns of the row that a check looks at, and of the customer beside an event."""

    def __init__(self, guards: "Guards", events: Events | None) -> None:
        self.guards, self.events = guards, events

    def leaf(self, node: checked.Expression) -> exp.Expression:
        match node:
            case checked.EventValue(column=column):
                assert self.events is not None
                made = build.column(column, "event")
                return self.guards.scans.local_day(self.events, made) if column == self.events.at.name else made
            case checked.Attribute(column=column):
                if self.events is not None and self.guards.entity.distinct:  # whose customers have nothing but a key
                    return build.column(self.events.customer.name, "event")
                return build.column(column, "customer")
            case _:
                raise AssertionError(f"not a leaf of a check: {node}")


class Guards:
    """Writes the queries of a plan's checks.

    Events behind the run's date do not exist for it; those without a time may be what a check is after.
    """

    def __init__(self, plan: Plan, scans: Scans) -> None:
        self.plan = plan
        self.scans = scans
        self.entity = plan.ruleset.entity

    def queries(self) -> tuple[GuardQuery, ...]:
        found = []
        for check in self.plan.ruleset.checks:
            match check:
                case RowsCheck():
                    found.append(self._rows(check))
                case UniqueCheck():
                    found.append(self._unique(check))
                case FreshCheck():
                    found.append(self._fresh(check))
                case ExistsCheck():
                    found.append(self._exists(check))
                case _:
                    pass  # of answers
        return tuple(found)

    # -- one query per form -----------------------------------------------------------------------------

    def _rows(self, check: RowsCheck) -> GuardQuery:
        events = self._events(check.source)
        condition = self._lowering(_RowLeaves(self, events)).lower(check.condition)
        parts = list(checked.walk(check.condition))
        columns = {part.column for part in parts if isinstance(part, checked.EventValue)}
        attributes = {part.column for part in parts if isinstance(part, checked.Attribute)}
        source = self._source(events, joined=bool(attributes))
        return self._counted(check, events, source, condition, columns, attributes)

    def _unique(self, check: UniqueCheck) -> GuardQuery:
        events = self._events(check.source)
        value, often = build.column("value"), build.column("times")
        groups = self._source(events)
        read = self._column(events, check.column)
        groups = groups.select(build.named(read, "value"), build.named(build.call("count", exp.Star()), "times"))
        groups = groups.group_by(read.copy(), copy=False)
        alone = exp.And(this=build.is_known(value), expression=exp.EQ(this=often.copy(), expression=build.number(1)))

        def total(of: exp.Expression) -> exp.Expression:
            return build.cast(build.call("coalesce", of, build.number(0)), "BIGINT")

        all_rows = build.call("sum", often.copy())
        met = exp.Filter(this=all_rows.copy(), expression=exp.Where(this=alone))
        counts = exp.Select(expressions=[total(met), total(all_rows)]).from_(_beneath(groups))
        repeated = exp.Select(expressions=[build.named(value.copy(), check.column), build.named(often.copy(), TIMES)])
        repeated = repeated.from_(_beneath(groups)).where(build.negated(alone.copy()), copy=False)
        repeated = repeated.order_by(
            exp.Ordered(this=often.copy(), desc=True), exp.Ordered(this=value.copy(), desc=False), copy=False
        )
        return GuardQuery(check=check, counts=counts, rows=repeated.limit(SHOWN, copy=False))

    def _fresh(self, check: FreshCheck) -> GuardQuery:
        events = self.plan.ruleset.events[check.source]
        at = build.column(events.at.name, "event")
        latest = self.scans.local_day(events, build.call("max", at))
        counts = self._source(events).select(latest, build.call("count", at.copy()))
        return GuardQuery(check=check, counts=counts, rows=None)

    def _exists(self, check: ExistsCheck) -> GuardQuery:
        events, other = self._events(check.source), self._events(check.other)
        value = self._column(events, check.column)
        if other is not None:
            assert other.key is not None
            keys = self._source(other, alias="other").select(build.column(other.key.name, "other"))
        elif self.entity.distinct:
            keys = exp.Select(expressions=[build.column(self.entity.key.name, "customer")])
            keys = keys.from_(self._customers())
        else:
            keys = exp.Select(expressions=[build.column(self.entity.key.name)])
            keys = keys.from_(build.table(source_relation(self.entity.name)))
        is_there = exp.In(this=value, query=exp.Subquery(this=keys))
        columns, attributes = ({check.column}, set()) if events is not None else (set(), {check.column})
        return self._counted(check, events, self._source(events), is_there, columns, attributes)

    def _counted(
        self,
        check: SourceCheck,
        events: Events | None,
        source: exp.Select,
        condition: exp.Expression,
        columns: set[str],
        attributes: set[str],
    ) -> GuardQuery:
        """How many rows meet a condition; of those that do not, the key and what is read."""
        counts = source.copy().select(build.counted(condition), build.call("count", exp.Star()))
        shown = self._shown(events, columns, attributes)
        met = build.call("coalesce", condition.copy(), exp.Boolean(this=False))
        rows = source.select(*(build.named(made, name) for name, made in shown.items()))
        rows = rows.where(build.negated(met), copy=False)
        rows = rows.order_by(*(exp.Ordered(this=made.copy(), desc=False) for made in shown.values()), copy=False)
        return GuardQuery(check=check, counts=counts, rows=rows.limit(SHOWN, copy=False))

    # -- parts ------------------------------------------------------------------------------------------

    def _lowering(self, leaves: Leaves) -> Lowering:
        return Lowering(self.scans.dialect, self.plan.as_of, self.plan.parameters, leaves)

    def _events(self, source: str | None) -> Events | None:
        return self.plan.ruleset.events[source] if source is not None else None

    def _source(self, events: Events | None, *, joined: bool = False, alias: str = "event") -> exp.Select:
        """FROM the rows that a check looks at; `joined`: with the customer beside each event."""
        if events is None:
            return exp.Select().from_(self._customers())
        select = exp.Select().from_(build.table(source_relation(events.name), alias))
        if joined and not self.entity.distinct:
            key = build.column(self.entity.key.name, "customer")
            on = exp.EQ(this=key, expression=build.column(events.customer.name, alias))
            customers = build.table(source_relation(self.entity.name), "customer")
            select = select.join(customers, on=on, join_type="left", copy=False)
        at = build.column(events.at.name, alias)
        end = self.scans.start_of(events, self.plan.as_of + timedelta(days=1))
        by_then = exp.LT(this=at, expression=end)
        return select.where(exp.Or(this=exp.Paren(this=build.is_null(at.copy())), expression=by_then), copy=False)

    def _customers(self) -> exp.Expression:
        """The customers that exist for the run, as `customer`."""
        entity = self.entity
        if entity.distinct:
            events = self.plan.ruleset.events[entity.source]
            key = build.column(events.customer.name, "event")
            select = self._source(events).select(build.named(key, entity.key.name)).distinct(copy=False)
            known = build.all_of([build.is_known(key.copy()), build.is_known(build.column(events.at.name, "event"))])
            assert known is not None
            return _beneath(select.where(known, copy=False), "customer")
        select = exp.Select(expressions=[exp.Star()]).from_(build.table(source_relation(entity.name)))
        if entity.since is not None:
            since = exp.LTE(this=build.column(entity.since), expression=build.day(self.plan.as_of))
            select = select.where(since, copy=False)
        if entity.where is not None:
            where = self._lowering(_CustomerLeaves()).lower(entity.where)
            select = select.where(exp.Paren(this=where), copy=False)
        return _beneath(select, "customer")

    def _column(self, events: Events | None, name: str) -> exp.Expression:
        """A column as it lies in the data; a time as the local one."""
        if events is None:
            return build.column(name, "customer")
        made = build.column(name, "event")
        if name == events.at.name and self.scans.clocks[events.name] == "instant":
            return self.scans.local_time(made)
        return made

    def _shown(self, events: Events | None, columns: set[str], attributes: set[str]) -> dict[str, exp.Expression]:
        """What tells a row from others, then what a check reads, as declared."""
        entity = self.entity
        shown: dict[str, exp.Expression] = {}
        if events is None:
            for attribute in (entity.key, *entity.columns):
                if attribute is entity.key or attribute.name in attributes:
                    shown[attribute.name] = build.column(attribute.name, "customer")
            return shown
        keys = [events.key] if events.key is not None else [events.customer, events.at]
        for column in (*keys, *events.columns, events.customer, events.at):
            if column in keys or column.name in columns:
                shown[column.name] = self._column(events, column.name)
        for attribute in entity.columns:
            if attribute.name in attributes:
                shown[f"{entity.name}.{attribute.name}"] = build.column(attribute.name, "customer")
        return shown


def _beneath(query: exp.Select, alias: str = "rows") -> exp.Expression:
    return exp.Subquery(this=query.copy(), alias=exp.TableAlias(this=build.name(alias)))
