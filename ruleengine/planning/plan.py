"""Checked ruleset and date to a plan: which scans, which columns in which order, which answers."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from ruleengine.checking import expressions as checked
from ruleengine.checking.rules import reads, references
from ruleengine.checking.ruleset import Ladder, Metric, ParameterConstant, Rule, Ruleset, Tag
from ruleengine.functions.aggregates import Aggregation
from ruleengine.planning.layout import TAGS_PER_WORD, LadderSlot, Layout, TagSlot, ValueColumn
from ruleengine.planning.memory import Memory, Recollection
from ruleengine.planning.recall import recalled, recollections
from ruleengine.planning.windows import days_of

Shape = Literal["plain", "distinct", "frequent", "gaps"]

_SHAPES: dict[Aggregation, Shape] = {
    Aggregation.COUNT_DISTINCT: "distinct",
    Aggregation.ACTIVE_DAYS: "distinct",
    Aggregation.AVERAGE_GAP: "distinct",
    Aggregation.MOST_FREQUENT: "frequent",
    Aggregation.LATEST_GAP: "gaps",
    Aggregation.LONGEST_GAP: "gaps",
}


@dataclass(frozen=True, slots=True)
class Days:
    """Local days, both ends in it; first None: from ever."""

    first: date | None
    last: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One aggregate of a scan."""

    column: str
    aggregate: checked.Aggregate
    days: Days


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One pass over the events of a source, pruned to the days that its measures need.

    plain: one row per customer straight from the events. distinct: over the different values (or days) of each
    customer. frequent: over the values with how often each occurs. gaps: over neighbouring active days.
    """

    name: str
    source: str
    shape: Shape
    days: Days
    measures: tuple[Measure, ...]
    value: checked.Expression | None = None
    """distinct and frequent: whose values; None: the events' days."""

    @property
    def attributes(self) -> bool:
        """Whether a filter reads attributes of the customer."""
        return any(
            isinstance(part, checked.Attribute) for measure in self.measures for part in _inside(measure.aggregate)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricColumn:
    column: str
    metric: Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A ruleset on a date. Identifiers in it are unique even where case is ignored."""

    ruleset: Ruleset
    as_of: date
    parameters: Mapping[str, tuple[ParameterConstant, ...]]
    """What each parameter is worth on that date."""
    attributes: Mapping[str, str]
    """Attributes that anything reads → their identifier."""
    scans: tuple[Scan, ...]
    measures: Mapping[checked.Aggregate, tuple[Scan, Measure]]
    layers: tuple[tuple[MetricColumn, ...], ...]
    """Metrics that rules read, each layer computed from the ones before."""
    metrics: Mapping[str, str]
    """Metric instance → its identifier."""
    rule_layers: tuple[tuple[Rule, ...], ...]
    """Rules that others refer to, or that take more than one step, each layer after those it refers to."""
    layout: Layout

    @property
    def memory(self) -> Memory:
        return self.layout.memory

    @property
    def drafts(self) -> tuple[Rule, ...]:
        return tuple(rule for rule in self.ruleset.order if rule.draft)


def plan(ruleset: Ruleset, as_of: date, measure: checked.Expression | None = None) -> Plan:
    """Decide what to read and in which order to compute it. Pure; knows neither engine nor data.

    `measure` is a metric or attribute that stands in `result_values` beside what rules read.
    """
    names = _Identifiers()
    reads = {rule: _reads(rule) for rule in ruleset.order}
    memory = recalled(ruleset, as_of, names.take)
    measured = _read_by([] if measure is None else [measure])
    wanted = (*reads.values(), measured)
    metrics = _needed(ruleset, (metric for each in wanted for metric in each.metrics))
    attribute_names = {name for each in wanted for name in each.attributes}
    for metric in metrics:
        for part in checked.walk(metric.expression):
            if isinstance(part, checked.Attribute):
                attribute_names.add(part.column)
            elif isinstance(part, checked.Aggregate):
                attribute_names.update(p.column for p in _inside(part) if isinstance(p, checked.Attribute))
    if ruleset.entity.where is not None:
        attribute_names.update(p.column for p in checked.walk(ruleset.entity.where) if isinstance(p, checked.Attribute))
    if ruleset.entity.since is not None:
        attribute_names.add(ruleset.entity.since)
    ordered = (ruleset.entity.key, *ruleset.entity.columns)
    attributes = {c.name: names.take(c.name) for c in ordered if c.name in attribute_names}
    metric_names = {metric.name: names.take(metric.name) for metric in metrics}
    scans = _scans(as_of, metrics, metric_names, names)
    return Plan(
        ruleset=ruleset,
        as_of=as_of,
        parameters={name: parameter.on(as_of) for name, parameter in ruleset.parameters.items()},
        attributes=attributes,
        scans=scans,
        measures={measure.aggregate: (scan, measure) for scan in scans for measure in scan.measures},
        layers=_layers(ruleset, metrics, metric_names),
        metrics=metric_names,
        rule_layers=_rule_layers(ruleset),
        layout=_layout(ruleset, attributes, metric_names, reads, measured, memory),
    )


class _Identifiers:
    """Hands out names that differ by more than case."""

    def __init__(self) -> None:
        self._taken = {"customer"}

    def take(self, wanted: str) -> str:
        name, number = wanted, 1
        while name.casefold() in self._taken:
            number += 1
            name = f"{wanted} {number}"
        self._taken.add(name.casefold())
        return name


@dataclass(frozen=True, slots=True)
class _Reads:
    metrics: tuple[str, ...]
    attributes: tuple[str, ...]


def _reads(rule: Rule) -> _Reads:
    """What a rule reads, in reading order: for its conditions, and for its reason."""
    expressions = list(reads(rule))
    if isinstance(rule, Tag) and rule.because is not None:
        expressions.extend(rule.because.values)
    read = _read_by(expressions)
    if isinstance(rule, Ladder) and rule.review is not None and rule.review.anniversary_of is not None:
        read = replace(read, attributes=tuple(dict.fromkeys((*read.attributes, rule.review.anniversary_of))))
    return read


def _read_by(expressions: Iterable[checked.Expression]) -> _Reads:
    parts = [part for expression in expressions for part in checked.walk(expression)]
    return _Reads(
        tuple(dict.fromkeys(part.metric for part in parts if isinstance(part, checked.MetricValue))),
        tuple(dict.fromkeys(part.column for part in parts if isinstance(part, checked.Attribute))),
    )


def _needed(ruleset: Ruleset, roots: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics that rules read, and those beneath, in the ruleset's order."""
    needed: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting.extend(_beneath(ruleset.metrics[name]))
    return tuple(metric for name, metric in ruleset.metrics.items() if name in needed)


def _beneath(metric: Metric) -> Iterator[str]:
    return (part.metric for part in checked.walk(metric.expression) if isinstance(part, checked.MetricValue))


def _inside(aggregate: checked.Aggregate) -> Iterator[checked.Expression]:
    for part in (aggregate.argument, aggregate.where):
        if part is not None:
            yield from checked.walk(part)


def _scans(
    as_of: date, metrics: tuple[Metric, ...], columns: Mapping[str, str], names: "_Identifiers"
) -> tuple[Scan, ...]:
    """Group the aggregates into scans: what looks at all time apart from what looks at a window."""
    found: dict[checked.Aggregate, str] = {}  # → its column: that of the metric that is nothing but it, if there is one
    for metric in metrics:
        if isinstance(metric.expression, checked.Aggregate):
            found.setdefault(metric.expression, columns[metric.name])
    for metric in metrics:
        for part in checked.walk(metric.expression):
            if isinstance(part, checked.Aggregate) and part not in found:
                found[part] = names.take(columns[metric.name])
    grouped: dict[tuple[object, ...], list[Measure]] = {}
    for part, column in found.items():
        days = Days(*days_of(part.window, as_of)) if part.window is not None else Days(None, as_of)
        shape = _SHAPES.get(part.function, "plain")
        recent = part.window is not None
        key: tuple[object, ...]
        match shape:
            case "plain":
                key = (part.source, shape, recent)
            case "distinct" | "frequent":
                key = (part.source, shape, recent, part.argument)
            case "gaps":
                key = (part.source, shape, part.where, days)
        grouped.setdefault(key, []).append(Measure(column=column, aggregate=part, days=days))
    scans = []
    scan_names = _Identifiers()
    for key, measures in grouped.items():
        source, shape = measures[0].aggregate.source, _SHAPES.get(measures[0].aggregate.function, "plain")
        firsts = [measure.days.first for measure in measures]
        first = None if None in firsts else min(day for day in firsts if day is not None)
        if shape == "plain":
            name = f"{source}_recent" if key[2] else f"{source}_lifetime"
        else:
            value = measures[0].aggregate.argument
            what = value.column if isinstance(value, checked.EventValue) else "days" if value is None else "values"
            name = f"{source}_{what}_{shape}"
        scans.append(
            Scan(
                name=scan_names.take(name),
                source=source,
                shape=shape,
                days=Days(first, max(measure.days.last for measure in measures)),
                measures=tuple(measures),
                value=measures[0].aggregate.argument if shape in ("distinct", "frequent") else None,
            )
        )
    return tuple(scans)


def _layers(
    ruleset: Ruleset, metrics: tuple[Metric, ...], columns: Mapping[str, str]
) -> tuple[tuple[MetricColumn, ...], ...]:
    depths: dict[str, int] = {}
    layers: list[list[MetricColumn]] = []
    for metric in metrics:  # each after those it reads
        depth = max((depths[name] + 1 for name in _beneath(metric)), default=0)
        if isinstance(metric.expression, checked.Ranking):
            depth = max(depth, 1)  # it needs everybody's values beside each other
        depths[metric.name] = depth
        while len(layers) <= depth:
            layers.append([])
        layers[depth].append(MetricColumn(column=columns[metric.name], metric=metric))
    return tuple(tuple(layer) for layer in layers)


def _rule_layers(ruleset: Ruleset) -> tuple[tuple[Rule, ...], ...]:
    referred = {target for rule in ruleset.order for target in references(rule)}
    depths: dict[tuple[str, str], int] = {}
    layers: list[list[Rule]] = []
    for rule in ruleset.order:  # each after those it refers to
        key = ("tag" if isinstance(rule, Tag) else "ladder", rule.name)
        if key in referred or _takes_steps(rule):
            beneath = (depths[target] for target in references(rule) if target in depths)  # not manual ones
            depth = depths[key] = max((each + 1 for each in beneath), default=0)
            while len(layers) <= depth:
                layers.append([])
            layers[depth].append(rule)
    return tuple(tuple(layer) for layer in layers)


def _takes_steps(rule: Rule) -> bool:
    if isinstance(rule, Tag):
        return rule.remembers or rule.limit is not None
    return rule.remembers or rule.manual is not None


def _layout(
    ruleset: Ruleset,
    attributes: Mapping[str, str],
    metrics: Mapping[str, str],
    reads: Mapping[Rule, _Reads],
    measured: _Reads,
    memory: Memory,
) -> Layout:
    tags = [tag for tag in ruleset.tags.values() if not tag.draft]
    ladders = [ladder for ladder in ruleset.ladders.values() if not ladder.draft]
    values: dict[str, ValueColumn] = {}

    def columns(rule: Rule) -> tuple[str, ...]:
        """What a rule reads, each a column of `result_values`."""
        found = [*columns_of(reads[rule])]
        for part in recollections(rule, memory):
            found.extend(remembered(part))
        values.update((column.column, column) for column in found if column.column not in values)
        return tuple(column.column for column in found)

    def columns_of(wanted: _Reads) -> Iterator[ValueColumn]:
        for name in wanted.metrics:
            yield ValueColumn(column=metrics[name], name=name, type=ruleset.metrics[name].type)
        for name in wanted.attributes:
            declared = ruleset.attribute(name)
            assert declared is not None
            yield ValueColumn(column=attributes[name], name=name, type=declared.type.value)

    def remembered(part: Recollection) -> Iterator[ValueColumn]:
        for (column, type), name in zip(part.columns, part.labels, strict=True):
            yield ValueColumn(column=column, name=name, type=type)

    by_hand = {part.name: part for part in memory.manual if part.kind == "tag"}
    for part in by_hand.values():
        values.update((column.column, column) for column in remembered(part))
    decided = [(tag.name, tag.formerly, tag.hash, columns(tag)) for tag in tags]
    decided += [(tag.name, tag.formerly, tag.hash, (by_hand[tag.name].column,)) for tag in ruleset.manual_tags.values()]
    slots = tuple(
        LadderSlot(
            name=ladder.name,
            kind=ladder.kind,
            column=f"l{index}",
            values=ladder.values,
            reads=columns(ladder),
            rule_hash=ladder.hash,
            formerly=ladder.formerly,
        )
        for index, ladder in enumerate(ladders)
    )
    values.update((column.column, column) for column in columns_of(measured) if column.column not in values)
    return Layout(
        key_type=ruleset.entity.key.type,
        tags=tuple(
            TagSlot(
                name=name,
                word=index // TAGS_PER_WORD,
                bit=index % TAGS_PER_WORD,
                reads=read,
                rule_hash=rule_hash,
                formerly=formerly,
            )
            for index, (name, formerly, rule_hash, read) in enumerate(decided)
        ),
        ladders=slots,
        values=tuple(values.values()),
        memory=memory,
    )
