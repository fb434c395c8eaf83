"""Customers at the edges of rules: values that rules compare with, and events at the ends of windows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from ruleengine.checking.expressions import (
    Aggregate,
    Attribute,
    Comparison,
    Constant,
    EventValue,
    Expression,
    Last,
    MetricValue,
    OneOf,
    ParameterValue,
    TextTest,
    Typed,
    walk,
)
from ruleengine.checking.ruleset import Before, Column, Duration, Events, Ruleset
from ruleengine.interpreter import Cell
from ruleengine.planning.windows import days_of
from ruleengine.types import Kind, Type, Value
from ruleengine.verbs.testing.mutants import Mutant

Row = Mapping[str, Any]
_SMALL = (0, 1, 2, 3, 5, 10, 100)
MOST_VALUES = 16
MOST_COUNT = 30
ANOTHER = "other"


@dataclass(frozen=True, slots=True)
class Given:
    """What an example would give."""

    day: date
    attributes: Mapping[str, Value] = field(default_factory=dict)
    metrics: Mapping[str, Value] = field(default_factory=dict)
    events: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    history: Mapping[tuple[str, str], Before] = field(default_factory=dict)


class Edges:
    """What is worth giving to a customer, for conditions before and after a change."""

    def __init__(
        self,
        ruleset: Ruleset,
        mutant: Mutant,
        read: Sequence[Expression],
        day: date,
        history: Iterable[tuple[str, str]],
    ) -> None:
        self.ruleset = ruleset
        self._history = sorted(history)
        """The tags and ladders, by their keys, of which it counts what the customer had."""
        self.day = day
        self._all = {**ruleset.metrics, **{f"\0{name}": it for name, it in mutant.ruleset.metrics.items()}}
        self._owners = mutant.owners
        self._parameters = [ruleset.parameters, mutant.ruleset.parameters]
        self._mutated = mutant.ruleset.metrics
        self.read = tuple(read)
        direct = {part.metric: part.type for each in read for part in walk(each) if isinstance(part, MetricValue)}
        self.metrics = {
            name: type for name, type in direct.items() if " " not in name and "(" not in name and not self._hides(name)
        }
        beneath = list(self._beneath(name for name in direct if name not in self.metrics))
        self.parts = [part for each in (*read, *beneath) for part in walk(each)]
        self.attributes = {part.column: part.type for part in self.parts if isinstance(part, Attribute)}
        self.aggregates = [part for part in self.parts if isinstance(part, Aggregate)]

    def _hides(self, name: str) -> bool:
        """Whether giving a metric would leave nothing to see of the change."""
        return any(("metric", each) in self._owners or self._reads_let(each) for each in self._closure(name))

    def _reads_let(self, metric: str) -> bool:
        return any(
            (isinstance(part, ParameterValue) and ("let", part.parameter) in self._owners)
            or (isinstance(part, OneOf) and ("let", part.choices) in self._owners)
            for part in walk(self._expression(metric))
        )

    def _expression(self, name: str) -> Expression:
        return (self.ruleset.metrics.get(name) or self._mutated[name]).expression

    def _closure(self, name: str) -> set[str]:
        found, open_ = set[str](), [name]
        while open_:
            one = open_.pop()
            if one not in found:
                found.add(one)
                open_.extend(part.metric for part in walk(self._expression(one)) if isinstance(part, MetricValue))
        return found

    def _beneath(self, names: Iterable[str]) -> Iterator[Expression]:
        """The definitions of metrics that have to be computed, as they were and as they are changed."""
        for name in sorted({each for one in names for each in self._closure(one)}):
            if name in self.ruleset.metrics:
                yield self.ruleset.metrics[name].expression
            if name in self._mutated and self._mutated[name] is not self.ruleset.metrics.get(name):
                yield self._mutated[name].expression

    # -- steps --------------------------------------------------------------------------------------------------

    def beside(self, given: Given) -> Iterator[Given]:
        """One value or one table given otherwise."""
        yield from self.values(given)
        yield from self.tables(given)

    def values(self, given: Given) -> Iterator[Given]:
        for name in self.metrics:
            for value in self._values[name]:
                yield replace(given, metrics={**given.metrics, name: value})
        for name in self.attributes:
            for value in self._values[name]:
                yield replace(given, attributes={**given.attributes, name: value})
        for key in self._history:
            yield replace(given, history={each: had for each, had in given.history.items() if each != key})
            for had in self._had(*key):
                yield replace(given, history={**given.history, key: had})

    def _had(self, kind: str, name: str) -> Iterator[Before]:
        """What the customer may have had, until the day before or for as long as a clause speaks of."""
        lengths: list[Duration | None]
        values: Sequence[str | None]
        if kind == "tag":
            tag = self.ruleset.tags.get(name)
            values, lengths = (None,), [tag.keep_for] if tag is not None else []
        else:
            ladder = self.ruleset.ladders[name]
            values, lengths = ladder.values, [ladder.hold, ladder.grace]
        days: list[date | None] = [None]
        for length in lengths:
            if length is not None:
                first, _ = days_of(Last(length.count, length.unit), self.day)
                assert first is not None
                days += [first - timedelta(near) for near in (0, 1, 2)]
        for value in values:
            yield from (Before(value, since) for since in days)

    def tables(self, given: Given) -> Iterator[Given]:
        for name in self._sources:
            rows = given.events.get(name, ())
            for table in (*self._changed(name, rows, given.day), *self._tables(name, given.day)):
                yield replace(given, events={**given.events, name: table})

    @cached_property
    def _sources(self) -> list[str]:
        return list(dict.fromkeys(part.source for part in self.aggregates))

    @cached_property
    def _values(self) -> dict[str, list[Any]]:
        """By metric and attribute the values that conditions tell apart."""
        found: dict[str, list[Any]] = {}
        typed: dict[str, Type] = {**self.metrics, **self.attributes}
        for name, type in typed.items():
            found[name] = list(dict.fromkeys(self._worth(name, type, self._bounds(name))))[:MOST_VALUES]
        return found

    def _worth(self, name: str, type: Type, bounds: list[Any]) -> Iterator[Any]:
        match type.kind:
            case Kind.BOOLEAN:
                yield from (True, False)
            case Kind.TEXT:
                yield from (bound for bound in bounds if isinstance(bound, str))
                yield ANOTHER
            case Kind.DATE:
                days = [bound for bound in bounds if isinstance(bound, int) and not isinstance(bound, bool)]
                for ago in (*days, *(near for day in days for near in (day - 1, day + 1)), 1):
                    if abs(ago) < 40_000:
                        yield self.day - timedelta(ago)
                yield from (bound for bound in bounds if isinstance(bound, date))
            case _:
                numbers = [b for b in bounds if isinstance(b, int | Decimal) and not isinstance(b, bool)]
                step = 1 if type.is_integer else Decimal(1).scaleb(-min(type.scale or 2, 2))
                for number in (*numbers, *(near for n in numbers for near in (n - step, n + step)), *_SMALL):
                    if not type.is_integer or number == int(number):
                        yield int(number) if number == int(number) else number
        yield None

    def _bounds(self, name: str) -> list[Any]:
        """What a metric, an attribute or a column is compared with."""
        found: list[Any] = []
        for part in self.parts:
            if isinstance(part, Comparison | OneOf | TextTest) and any(_names(each) == name for each in walk(part)):
                for each in walk(part):
                    found.extend(self._constants(each))
                if isinstance(part, OneOf) and isinstance(part.choices, str):
                    found.extend(v for _, values in self.ruleset.parameters[part.choices].steps for v in values)
        return list(dict.fromkeys(found))

    def _constants(self, part: Expression) -> Iterator[Any]:
        if isinstance(part, Constant):
            yield part.value
        elif isinstance(part, ParameterValue):
            for parameters in self._parameters:
                yield from parameters[part.parameter].on(self.day)

    # -- tables -------------------------------------------------------------------------------------------------

    def _tables(self, name: str, day: date) -> Iterator[tuple[Row, ...]]:
        """Tables of so many events alike, and of events apart in time and in what they hold."""
        source = self.ruleset.events[name]
        numbers = [n for n in self._thresholds if isinstance(n, int) and 0 < n <= MOST_COUNT]
        counts = sorted({1, 2, *(near for n in numbers for near in (n - 1, n, n + 1) if near > 0)})
        rows = self._typical(source)
        days = self._days(name, day)
        yield ()
        for row in rows:
            for start in days:
                for count in counts:
                    for apart in (0, 1, 2) if count > 1 else (0,):
                        yield tuple(
                            {**self._spread(source, row, number), source.at.name: start - timedelta(apart * number)}
                            for number in range(count)
                        )

    def _spread(self, source: Events, row: Row, number: int) -> Row:
        """Of columns that are counted by their distinct values every event has another."""
        return {name: number + 1 if value is _EACH else value for name, value in row.items()}

    def _changed(self, name: str, rows: tuple[Row, ...], day: date) -> Iterator[tuple[Row, ...]]:
        """A table with one event more, less or otherwise."""
        source = self.ruleset.events[name]
        last = rows[-1] if rows else {**self._spread(source, self._typical(source)[0], 0), source.at.name: day}
        others = [{**last, source.at.name: day} for day in self._days(name, day)]
        for column in self._columns(source):
            others += [{**last, column.name: value} for value in self._cells(column)]
        if rows:
            yield rows[:-1]
        yield (*rows, last)
        for other in others:
            yield (*rows[:-1], other)
            if rows:
                yield (*rows, other)

    @cached_property
    def _thresholds(self) -> list[Any]:
        """All numbers that anything is compared with."""
        found: list[Any] = []
        for part in self.parts:
            if isinstance(part, Comparison):
                found.extend(value for each in walk(part) for value in self._constants(each))
        return [n for n in dict.fromkeys(found) if isinstance(n, int | Decimal) and not isinstance(n, bool)]

    def _days(self, name: str, day: date) -> list[date]:
        """The run's date, and the ends of windows with the days beside them."""
        found = [day]
        one = timedelta(1)
        for part in self.aggregates:
            if part.source == name and part.window is not None:
                first, last = days_of(part.window, day)
                ends = [last, *([first] if first is not None else [])]
                found += [near for end in ends for near in (end, end - one, end + one) if near <= day]
        for ago in self._thresholds:
            if ago == int(ago) and 0 < ago < 4_000:
                found += [day - timedelta(int(ago) + near) for near in (0, 1, -1)]
        return list(dict.fromkeys(found))[:MOST_VALUES]

    def _columns(self, source: Events) -> list[Column]:
        """The columns of a source that anything reads, its time aside."""
        named = {part.column for part in self.parts if isinstance(part, EventValue) and part.source == source.name}
        return [column for column in source.columns if column.name in named]

    def _cells(self, column: Column) -> list[Cell]:
        bounds = self._bounds(column.name)
        if column.type.value.is_number:
            bounds += [number for number in self._thresholds if number not in bounds]
        return list(dict.fromkeys(self._worth(column.name, column.type.value, bounds)))[:MOST_VALUES]

    def _typical(self, source: Events) -> list[Row]:
        """Rows that filters let pass, as far as comparing with one constant tells; amounts vary."""
        base: dict[str, Any] = {}
        numbers: list[Column] = []
        for column in self._columns(source):
            type = column.type.value
            if type.kind is Kind.TEXT:
                base[column.name] = next((b for b in self._bounds(column.name) if isinstance(b, str)), ANOTHER)
            elif type.is_number and not type.is_integer:
                numbers.append(column)
            elif type.is_number:
                base[column.name] = 1
            else:
                base[column.name] = next(iter(self._cells(column)), None)
        spread = {column.name: _EACH for column in self._columns(source) if base.get(column.name) == 1}
        rows: list[Row] = []
        for amount in (100, 1, *[n for n in self._thresholds if n > 0][:4]):
            row = {**base, **{column.name: amount for column in numbers}}
            rows += [row, {**row, **spread}] if spread else [row]
            if not numbers:
                break
        return rows


_EACH = object()
"""Stands for another value in every event."""


def _names(part: Typed) -> str | None:
    match part:
        case MetricValue(metric=name) | Attribute(column=name) | EventValue(column=name):
            return name
        case _:
            return None
