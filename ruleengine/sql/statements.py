"""A plan to the statements that compute it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from ruleengine.checking import expressions as checked
from ruleengine.checking.ruleset import Tag
from ruleengine.planning.plan import Days, MetricColumn, Plan
from ruleengine.sql import build
from ruleengine.sql.answers import Answers, FrameLeaves, described
from ruleengine.sql.dialect import Clock, Dialect
from ruleengine.sql.expressions import Leaves, Lowering
from ruleengine.sql.known import Known, folded
from ruleengine.sql.ranks import rank, ranking_scans
from ruleengine.sql.scans import EventCounts, Scans, events_of, source_relation
from ruleengine.types import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a run; `name` says what it makes."""

    name: str
    purpose: str
    tree: exp.Expression
    dialect: Dialect

    def sql(self, *, pretty: bool = True) -> str:
        return self.dialect.sql(self.tree, pretty=pretty)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a number of customers in the report is of.

    draft: whom a draft would take. unknown: who got no value of a class because a line was unknown. suppressed: who
    would be given a tag if none was preferred to it. over budget: who is not among the best for whom there is money.
    """

    what: Literal["draft", "unknown", "suppressed", "over budget"]
    kind: Literal["tag", "tier", "class"]
    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Everything a run executes, in order. Sources are the relations `source_<name>`."""

    plan: Plan
    statements: tuple[Statement, ...]
    event_counts: tuple[EventCounts, ...]
    counted: tuple[Counted, ...]
    """The columns `c0, c1, …` of `result_report`."""


def emit(
    plan: Plan, dialect: Dialect, clocks: Mapping[str, Clock], known: Mapping[str, Known] | None = None
) -> Program:
    """The statements of a plan, for one engine.

    `clocks` says of each events source how its times lie; what is `known` saves work.
    """
    return _Emitter(folded(plan, known or {}), dialect, clocks, known or {}).program()


class _EntityLeaves:
    """Leaves of the entity's own conditions: columns of its source."""

    def leaf(self, node: checked.Expression) -> exp.Expression:
        assert isinstance(node, checked.Attribute)
        return build.column(node.column)


_SQL_TYPES = {Kind.BOOLEAN: "BOOLEAN", Kind.DATE: "DATE", Kind.TEXT: "VARCHAR"}
"""Of what is remembered."""


class _Emitter:
    def __init__(self, plan: Plan, dialect: Dialect, clocks: Mapping[str, Clock], known: Mapping[str, Known]) -> None:
        self.plan = plan
        self.dialect = dialect
        self.scans = Scans(plan, dialect, clocks, known)
        self.answers = Answers(plan, dialect)
        self.frame = self.answers.frame
        self.joined = self._lowering(FrameLeaves(self.answers, joining=True))

    def _lowering(self, leaves: Leaves) -> Lowering:
        return Lowering(self.dialect, self.plan.as_of, self.plan.parameters, leaves)

    def _statement(
        self, name: str, purpose: str, query: exp.Expression, kind: Literal["TABLE", "VIEW"] = "TABLE"
    ) -> Statement:
        tree = self.dialect.create(name, query, kind)
        return Statement(name=name, purpose=purpose, tree=tree, dialect=self.dialect)

    def program(self) -> Program:
        counts: list[tuple[Counted, exp.Expression]] = []
        answers = self.answers
        for rule in self.plan.drafts:
            if isinstance(rule, Tag):
                counts.append((Counted("draft", "tag", rule.name), answers.answer(rule)))
            else:
                for index, value in enumerate(rule.values):
                    has = exp.EQ(this=build.wrapped(answers.answer(rule)), expression=build.number(1 + index))
                    counts.append((Counted("draft", rule.kind, rule.name, value), has))
        for ladder in self.plan.ruleset.ladders.values():
            unknown = answers.unknown(ladder) if ladder.kind == "class" and not ladder.draft else None
            if unknown is not None:
                counts.append((Counted("unknown", "class", ladder.name), unknown))
        for tag in self.plan.ruleset.tags.values():
            if tag.preferred and not tag.draft:
                counts.append((Counted("suppressed", "tag", tag.name), answers.suppressed(tag)))
            if tag.limit is not None and not tag.draft:
                counts.append((Counted("over budget", "tag", tag.name), answers.over_budget(tag)))
        columns = [build.named(build.counted(made), f"c{number}") for number, (_, made) in enumerate(counts)]
        statements = [
            *self.remembered(),
            self.customers(),
            self.values(),
            self.view(),
            self.assignments(),
        ]
        if columns:
            report = self.answers.select(columns)
            purpose = "What drafts would do, and who was left out"
            statements.append(self._statement("result_report", purpose, report))
        return Program(
            plan=self.plan,
            statements=tuple(statements),
            event_counts=tuple(self.scans.event_counts(events) for events in self.plan.ruleset.events.values()),
            counted=tuple(counted for counted, _ in counts),
        )

    # -- what earlier versions left -----------------------------------------------------------------------

    def remembered(self) -> Iterator[Statement]:
        """Tables that the store fills before a run; without it there is nothing to remember."""
        memory = self.plan.memory
        if not memory.columns:
            return
        key = "BIGINT" if self.plan.layout.key_type.name == "integer" else "VARCHAR"
        nobody: list[exp.Expression] = [build.named(build.cast(exp.Null(), key), "customer")]
        nobody += [build.named(build.cast(exp.Null(), _SQL_TYPES[type.kind]), name) for name, type in memory.columns]
        query = exp.Select(expressions=nobody).where(exp.Boolean(this=False), copy=False)
        tree = self.dialect.create_missing("remembered", query)
        yield Statement(
            name="remembered", purpose="What earlier versions left to remember", tree=tree, dialect=self.dialect
        )
        if memory.past:
            names = [build.named(exp.Boolean(this=False), part.column) for part in memory.past]
            tree = self.dialect.create_missing("remembered_names", exp.Select(expressions=list(names)))
            yield Statement(
                name="remembered_names",
                purpose="Which of the names that rules ask for were published then",
                tree=tree,
                dialect=self.dialect,
            )

    def _recalled(self) -> Iterator[exp.Expression]:
        """The columns of what is remembered, for customers who are joined to it."""
        memory = self.plan.memory
        past = {part.column for part in memory.past}
        for name, type in memory.columns:
            column: exp.Expression = build.column(name, "remembered")
            if name in past:
                declared = exp.Subquery(
                    this=exp.Select(expressions=[build.column(name)]).from_(build.table("remembered_names"))
                )
                column = build.case(
                    (column, exp.Boolean(this=True)), (declared, exp.Boolean(this=False)), otherwise=None
                )
            elif type.kind is Kind.BOOLEAN:
                column = build.call("coalesce", column, exp.Boolean(this=False))
            yield build.named(column, name)

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
            wheres = [build.is_known(key.copy()), *self.scans.within(events, Days(None, plan.as_of))]
        else:
            key = build.column(entity.key.name)
            select = exp.Select(expressions=[build.named(key, "customer")])
            select = select.from_(build.table(source_relation(entity.name)))
            wheres = []
            if entity.since is not None:
                since = build.column(entity.since)
                wheres.append(exp.LTE(this=since, expression=build.day(plan.as_of)))
            if entity.where is not None:
                wheres.append(self._lowering(_EntityLeaves()).lower(entity.where))
        for attribute, column in plan.attributes.items():
            source = key.copy() if attribute == entity.key.name else build.column(attribute)
            select = select.select(build.named(source, column), copy=False)
        where = build.all_of(wheres)
        if where is not None:
            select = select.where(where, copy=False)
        return self._statement("customers", f"Every {entity.name} that exists", select)

    # -- metrics ----------------------------------------------------------------------------------------

    def values(self) -> Statement:
        """One row per customer with every metric a rule reads: scans joined to the customers, then layer on layer."""
        plan = self.plan
        ctes = [(scan.name, self.scans.scan(scan)) for scan in self.scans.in_order]
        materialized = {found.late.name for found in self.scans.halves.values()}
        select = exp.Select(expressions=[build.column("customer", "customers")])
        for column in plan.attributes.values():
            select = select.select(build.column(column, "customers"), copy=False)
        for remembered in self._recalled():
            select = select.select(remembered, copy=False)
        layers = plan.layers or ((),)
        for metric in layers[0]:
            select = select.select(self._metric(self.joined, metric), copy=False)
        for aggregate, column in self._carried():
            select = select.select(build.named(self.joined.lower(aggregate), column), copy=False)
        for scan in filter(self.scans.counts, plan.scans):
            count = exp.Coalesce(this=build.column(events_of(scan), scan.name), expressions=[build.number(0)])
            select = select.select(build.named(count, events_of(scan)), copy=False)
        select = select.from_(build.table("customers"), copy=False)
        for scan in plan.scans:
            on = exp.EQ(this=build.column("customer", scan.name), expression=build.column("customer", "customers"))
            select = select.join(build.table(scan.name), on=on, join_type="left", copy=False)
        if plan.memory.columns:
            key = build.column("customer", "customers")
            on = exp.EQ(this=build.column("customer", "remembered"), expression=key)
            select = select.join(build.table("remembered"), on=on, join_type="left", copy=False)
        for depth, layer in enumerate(layers[1:], 1):
            previous = f"metrics {depth}"
            ctes.append((previous, self.dialect.layer(select)))
            ranked_scans = ranking_scans(layer)
            if ranked_scans:  # read more than once: computed once
                materialized.add(previous)
            select = exp.Select(expressions=[exp.Column(this=exp.Star(), table=build.name(previous))])
            select = select.from_(build.table(previous), copy=False)
            for number, ranked in enumerate(ranked_scans, 1):
                ranks = f"ranks {depth}.{number}"
                ctes.append((ranks, rank(self.frame, previous, ranked)))
                on = exp.EQ(this=build.column("customer", ranks), expression=build.column("customer", previous))
                select = select.join(build.table(ranks), on=on, join_type="left", copy=False)
                for metric in ranked:
                    made = build.named(build.column(metric.column, ranks), metric.column)
                    spanned = build.comment(made, str(metric.metric.expression.span))
                    select = select.select(spanned, copy=False)
            for metric in layer:
                if not isinstance(metric.metric.expression, checked.Ranking):
                    select = select.select(self._metric(self.frame, metric), copy=False)
        for name, query in ctes:
            once = True if name in materialized else None
            select = select.with_(build.name(name), as_=query, materialized=once, copy=False)
        return self._statement("metrics", "Every metric that a rule reads", select)

    def _metric(self, lowering: Lowering, column: MetricColumn) -> exp.Expression:
        expression = column.metric.expression
        made = lowering.lower(expression)
        if _can_be_negative_zero(expression):
            made = build.binary(exp.Add, made, build.cast(build.number(0), "DOUBLE"))
        return build.comment(build.named(made, column.column), str(expression.span))

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

    def view(self) -> Statement:
        """The values that published rules read."""
        columns = [
            build.column("customer"),
            *(build.column(value.column) for value in self.plan.layout.values),
        ]
        query = exp.Select(expressions=columns).from_(build.table("metrics"))
        return self._statement(
            "result_values", "The values that published rules read, for explanations", query, kind="VIEW"
        )

    def assignments(self) -> Statement:
        layout = self.plan.layout
        ruleset = self.plan.ruleset
        columns: list[exp.Expression] = [build.column("customer")]
        for word in range(layout.words):
            total: exp.Expression | None = None
            for slot in layout.tags:
                if slot.word != word:
                    continue
                tag = ruleset.tags.get(slot.name)
                given = self.answers.answer(tag) if tag is not None else self.answers.has(slot.name)
                bit = build.case((given, build.number(1 << slot.bit)), otherwise=build.number(0))
                part = build.comment(build.cast(bit, "BIGINT"), described(tag or ruleset.manual_tags[slot.name]))
                total = part if total is None else exp.Add(this=total, expression=part)
            assert total is not None
            columns.append(build.named(build.cast(total, "BIGINT"), f"w{word}"))
        for ladder_slot in layout.ladders:
            ladder = ruleset.ladders[ladder_slot.name]
            column = build.named(self.answers.answer(ladder), ladder_slot.column)
            columns.append(build.comment(column, described(ladder)))
        columns.extend(build.named(made, name) for name, made in self.answers.left())
        return self._statement(
            "result_assignments",
            "Who has what: tags as bits of w0, w1, …; tiers and classes as numbers",
            self.answers.select(columns),
        )


def _can_be_negative_zero(expression: checked.Expression) -> bool:
    """Quotients, and what is computed with them; adding 0 makes a plain zero of a negative one."""
    computed = checked.Arithmetic | checked.Negation | checked.Scalar | checked.Conditional | checked.Default
    return expression.type.kind is Kind.DOUBLE and isinstance(expression, computed)
