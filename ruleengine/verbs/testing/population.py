"""The customers of a suite as the interpreter sees them, read as a run reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ruleengine.checking.ruleset import Column, Events, Ruleset
from ruleengine.engines.columns import quote
from ruleengine.engines.duckdb import DuckDB
from ruleengine.interpreter import Cell, Facts, exists
from ruleengine.sql.scans import source_relation
from ruleengine.store.records import Key
from ruleengine.verbs.testing.suite import Suite

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Population:
    ruleset: Ruleset
    customers: Mapping[Any, Facts]
    """By their keys, in order."""

    def exists(self, key: Key, day: date) -> bool:
        return exists(self.ruleset, self.customers[key], day)

    def existing(self, day: date) -> Iterator[Key]:
        return (key for key in self.customers if self.exists(key, day))


def read(suite: Suite) -> Population:
    """Every customer; ProblemError where the data does not fit."""
    ruleset = suite.opened.ruleset
    with DuckDB(ruleset, suite.profile) as engine:
        events = {name: list(_rows(engine, each)) for name, each in ruleset.events.items()}
        attributes = [] if ruleset.entity.distinct else list(_attributes(engine, ruleset))
    key = ruleset.entity.key.name
    if ruleset.entity.distinct:
        customer = ruleset.events[_source_of(ruleset)].customer.name
        keys = {row[customer] for row in events[_source_of(ruleset)]} - {None}
        attributes = [{key: one} for one in keys]
    by_customer: dict[Any, dict[str, list[Mapping[str, Cell]]]] = {row[key]: {} for row in attributes}
    for name, rows in events.items():
        customer = ruleset.events[name].customer.name
        for row in rows:
            if row[customer] in by_customer:
                by_customer[row[customer]].setdefault(name, []).append(row)
    ordered = sorted(attributes, key=lambda row: row[key])  # type: ignore[arg-type, return-value]
    return Population(ruleset, {row[key]: Facts(attributes=row, events=by_customer[row[key]]) for row in ordered})


def _source_of(ruleset: Ruleset) -> str:
    return next(name for name, events in ruleset.events.items() if ruleset.entity.source in (name, events.source))


def _attributes(engine: DuckDB, ruleset: Ruleset) -> Iterator[dict[str, Cell]]:
    entity = ruleset.entity
    yield from _fetched(engine, entity.name, (entity.key, *entity.columns))


def _rows(engine: DuckDB, events: Events) -> Iterator[dict[str, Cell]]:
    key = (events.key,) if events.key else ()
    rows = _fetched(engine, events.name, (*key, events.customer, *events.columns), events.at)
    instant = engine.clocks[events.name] == "instant"
    for row in rows:
        micros = row[events.at.name]
        if micros is not None:
            at = _EPOCH + timedelta(microseconds=int(micros))  # type: ignore[arg-type]
            row[events.at.name] = at if instant else at.replace(tzinfo=None)
        yield row


def _fetched(
    engine: DuckDB, name: str, columns: tuple[Column, ...], time: Column | None = None
) -> Iterator[dict[str, Cell]]:
    selected = [quote(column.name) for column in columns]
    names = [column.name for column in columns]
    if time is not None:
        selected.append(f"epoch_us({quote(time.name)})")
        names.append(time.name)
    found = engine.connection.execute(f"SELECT {', '.join(selected)} FROM {quote(source_relation(name))}").fetchall()
    yield from (dict(zip(names, row, strict=True)) for row in found)
