"""What the statements of a ruleset declare, by name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TypeVar
from zoneinfo import available_timezones

from ruleengine.checking.expressions import Calendar, Last, Period, SpanUnit, Window
from ruleengine.checking.ruleset import Column, Entity, Events
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Problems, Word
from ruleengine.syntax import nodes
from ruleengine.types import COLUMN_TYPES, Kind

N = TypeVar("N", nodes.Name, nodes.Text, nodes.Name | nodes.Text)

_SUFFIX = re.compile(r"^(?P<base>.+)_(?:(?P<count>[1-9]\d*)(?P<unit>[dwmy])|(?P<period>[mqy]td))$")
_PREFIX = re.compile(
    r"^(?:(?:近|最近|过去)(?P<count>[1-9]\d*)(?P<unit>天|周|个?月|年)|(?P<period>本月|本季度?|本年|今年))(?P<base>.+)$"
)
"""The same in Chinese, where it stands before: `近90天消费金额`."""
_UNITS: dict[str, SpanUnit] = {"d": "day", "w": "week", "m": "month", "y": "year"}
_PERIODS: dict[str, Period] = {"mtd": "month", "qtd": "quarter", "ytd": "year"}


_UNITS_IN_CHINESE: dict[str, SpanUnit] = {"天": "day", "周": "week", "月": "month", "个月": "month", "年": "year"}
_PERIODS_IN_CHINESE: dict[str, Period] = {
    "本月": "month",
    "本季": "quarter",
    "本季度": "quarter",
    "本年": "year",
    "今年": "year",
}


def split_window(name: str) -> tuple[str, Window] | None:
    """`monetary_90d`, `近90天monetary` are `monetary` through a window; None where the name says no window."""
    match = _SUFFIX.match(name) or _PREFIX.match(name)
    if not match:
        return None
    if match["period"]:
        periods = _PERIODS | _PERIODS_IN_CHINESE
        return match["base"], Calendar(periods[match["period"]])
    if len(match["count"]) > 4:
        return None
    units = _UNITS | _UNITS_IN_CHINESE
    return match["base"], Last(int(match["count"]), units[match["unit"]])


def near(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like a misspelled one."""
    names = list(dict.fromkeys(known))
    lowered = {other.lower(): other for other in reversed(names)}
    matches = get_close_matches(name, names, 1, 0.6) or [
        lowered[match] for match in get_close_matches(name.lower(), lowered, 1, 0.6)
    ]
    return matches[0] if matches else None


@dataclass(slots=True)
class Scope:
    """Everything that has a name. Metrics and parameters are still syntax; columns are resolved."""

    entity: Entity | None = None
    entity_statement: nodes.EntityStatement | None = None
    events: dict[str, Events] = field(default_factory=dict)
    parameters: dict[str, nodes.LetStatement] = field(default_factory=dict)
    metrics: dict[str, nodes.MetricStatement | nodes.ScoreStatement] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    """Label to the name of its metric or parameter."""
    tags: dict[str, nodes.TagStatement] = field(default_factory=dict)
    manual_tags: dict[str, nodes.ManualTagStatement] = field(default_factory=dict)
    manual_tiers: dict[str, nodes.ManualTierStatement] = field(default_factory=dict)
    """By the tier's name."""
    groups: list[nodes.AtMostOneStatement] = field(default_factory=list)
    ladders: dict[str, nodes.LadderStatement] = field(default_factory=dict)
    repeated: list[nodes.TagStatement | nodes.LadderStatement] = field(default_factory=list)
    """Statements whose name another one has: an error, but what they say is checked too."""
    attributes: dict[str, Column] = field(default_factory=dict)

    def metric(self, name: str) -> str | None:
        """The declared name of a metric that is called so, by name or label."""
        name = self.labels.get(name, name)
        return name if name in self.metrics else None

    def parameter(self, name: str) -> str | None:
        name = self.labels.get(name, name)
        return name if name in self.parameters else None

    def windowed(self, name: str) -> tuple[str, Window] | None:
        """The metric and the window that a name with a suffix means."""
        split = split_window(name)
        base = self.metric(split[0]) if split else None
        return (base, split[1]) if split and base else None

    def names(self) -> list[str]:
        """Every bare name a condition may say."""
        return [*self.metrics, *self.labels, *self.attributes, *self.parameters]


def declare(files: Iterable[nodes.File], problems: Problems) -> Scope:
    """Collect the declarations of all files and report what is declared twice."""
    scope = Scope()
    values: dict[str, nodes.Name | nodes.Text] = {}  # one namespace: what an expression can name
    tags: dict[str, nodes.Text] = {}
    ladders: dict[str, nodes.Name] = {}
    manual_tiers: dict[str, nodes.Name] = {}

    def claim(space: dict[str, N], name: str, node: N) -> bool:
        if (first := space.get(name)) is not None:
            problems.add(codes.duplicate_name(node.span, Place(first.span, "first-declared"), name=name))
            return False
        space[name] = node
        return True

    statements = [statement for file in files for statement in file.statements]
    for statement in statements:
        match statement:
            case nodes.EntityStatement():
                if scope.entity_statement is not None:
                    place = Place(scope.entity_statement.span, "first-declared")
                    problems.add(codes.second_entity(statement.span, place))
                else:
                    scope.entity_statement = statement
                    claim(values, statement.name.text, statement.name)
            case nodes.EventsStatement():
                claim(values, statement.name.text, statement.name)
            case nodes.LetStatement(name=name, label=label):
                if claim(values, name.text, name):
                    scope.parameters[name.text] = statement
                if label and claim(values, label.value, label):
                    scope.labels[label.value] = name.text
            case nodes.MetricStatement(name=name, label=label) | nodes.ScoreStatement(name=name, label=label):
                if claim(values, name.text, name):
                    scope.metrics[name.text] = statement
                if label and label.value != name.text and claim(values, label.value, label):
                    scope.labels[label.value] = name.text
            case nodes.TagStatement(name=tag):
                if not tag.value.strip():
                    problems.add(codes.empty_name(tag.span, kind=Word("tag")))
                if claim(tags, tag.value, tag):
                    scope.tags[tag.value] = statement
                else:
                    scope.repeated.append(statement)
            case nodes.LadderStatement(name=ladder):
                if claim(ladders, ladder.text, ladder):
                    scope.ladders[ladder.text] = statement
                else:
                    scope.repeated.append(statement)
            case nodes.ManualTagStatement(name=tag):
                if not tag.value.strip():
                    problems.add(codes.empty_name(tag.span, kind=Word("tag")))
                if claim(tags, tag.value, tag):
                    scope.manual_tags[tag.value] = statement
            case nodes.ManualTierStatement(tier=tier):
                if claim(manual_tiers, tier.text, tier):
                    scope.manual_tiers[tier.text] = statement
            case nodes.AtMostOneStatement():
                scope.groups.append(statement)
            case nodes.CheckStatement() | nodes.ExampleStatement() | nodes.UseStatement():
                pass

    if scope.entity_statement is not None:
        scope.entity = _entity(scope.entity_statement, problems)
        for column in (scope.entity.key, *scope.entity.columns):
            scope.attributes.setdefault(column.name, column)
            other = values.get(column.name)
            if other is not None:
                problems.add(codes.duplicate_name(other.span, Place(column.span, "first-declared"), name=column.name))
    for statement in statements:
        if isinstance(statement, nodes.EventsStatement) and statement.name.text not in scope.events:
            scope.events[statement.name.text] = _events(statement, scope.entity, problems)

    _check_window_names(scope, values, problems)
    _check_entity_source(scope, problems)
    return scope


def _columns(columns: Iterable[nodes.Column], taken: Iterable[Column], problems: Problems) -> tuple[Column, ...]:
    seen = {column.name: column for column in taken}
    own = []
    for node in columns:
        column = Column(name=node.name.text, type=node.type, span=node.name.span)
        if (first := seen.get(column.name)) is not None:
            problems.add(codes.duplicate_name(column.span, Place(first.span, "first-declared"), name=column.name))
            continue
        seen[column.name] = column
        own.append(column)
    return tuple(own)


def _entity(statement: nodes.EntityStatement, problems: Problems) -> Entity:
    key = Column(name=statement.key.text, type=statement.key_type, span=statement.key.span)
    if statement.key_type.name not in ("text", "integer"):
        problems.add(codes.key_type(statement.key.span, type=statement.key_type.name))
    columns = _columns(statement.columns, [key], problems)
    since = None
    if statement.since is not None:
        since = statement.since.text
        types = {column.name: column.type.name for column in columns}
        if since not in types:
            problems.add(codes.unknown_name(statement.since.span, name=since, near=near(since, types)))
        elif types[since] not in ("date", "timestamp"):
            found = next(column for column in columns if column.name == since)
            problems.add(codes.not_a_date(statement.since.span, operator="since", type=word(found.type.value.kind)))
    return Entity(
        name=statement.name.text,
        source=statement.source.text,
        distinct=statement.distinct,
        key=key,
        columns=columns,
        since=since,
        where=None,
        span=statement.span,
    )


def _events(statement: nodes.EventsStatement, entity: Entity | None, problems: Problems) -> Events:
    key_type = entity.key.type if entity else COLUMN_TYPES["text"]
    key = Column(name=statement.key.text, type=statement.key_type, span=statement.key.span) if statement.key else None
    customer = Column(name=statement.customer.text, type=key_type, span=statement.customer.span)
    at = Column(name=statement.at.text, type=COLUMN_TYPES["timestamp"], span=statement.at.span)
    fixed = [column for column in (key, customer, at) if column is not None]
    for index, column in enumerate(fixed):
        for first in fixed[:index]:
            if first.name == column.name:
                place = Place(first.span, "first-declared")
                problems.add(codes.duplicate_name(column.span, place, name=column.name))
    zone = None
    if statement.zone is not None:
        zone = statement.zone.value
        if zone not in available_timezones():
            problems.add(codes.unknown_zone(statement.zone.span, name=zone, near=near(zone, available_timezones())))
    return Events(
        name=statement.name.text,
        source=statement.source.text,
        key=key,
        customer=customer,
        at=at,
        zone=zone,
        columns=_columns(statement.columns, fixed, problems),
        span=statement.span,
    )


def _check_window_names(scope: Scope, values: Mapping[str, nodes.Name | nodes.Text], problems: Problems) -> None:
    spans = {name: node.span for name, node in values.items()}
    spans.update({name: column.span for name, column in scope.attributes.items() if name not in spans})
    for name, span in spans.items():
        if (windowed := scope.windowed(name)) is not None:
            metric = scope.metrics[windowed[0]].name
            problems.add(
                codes.window_name_taken(span, Place(metric.span, "declared-here"), name=name, metric=metric.text)
            )


def _check_entity_source(scope: Scope, problems: Problems) -> None:
    statement = scope.entity_statement
    if statement is not None and statement.distinct and statement.source.text not in scope.events:
        name = statement.source.text
        problems.add(codes.unknown_events(statement.source.span, name=name, near=near(name, scope.events)))


def word(kind: Kind) -> Word:
    """The word for a kind of value in messages."""
    return Word("number" if kind in (Kind.EXACT, Kind.DOUBLE) else kind.value)
