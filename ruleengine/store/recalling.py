"""What a run is told of the versions before it: the tables that `planning.memory` describes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from ruleengine.engines.columns import literal, quote
from ruleengine.planning.memory import ManualMemory, Memory, Past, TagMemory, TierMemory
from ruleengine.store import ledger, manual, memory, state
from ruleengine.store.comparing import clear, name_tables
from ruleengine.store.duck import date_literal
from ruleengine.store.files import Folder
from ruleengine.store.integrity import intact
from ruleengine.store.names import Names
from ruleengine.store.records import Counts, Key, Version
from ruleengine.store.relations import narrowed, tag_held
from ruleengine.store.sqlite import Connection
from ruleengine.types import Kind, Type

_SQL = {Kind.BOOLEAN: "BOOLEAN", Kind.TEXT: "VARCHAR", Kind.DATE: "DATE"}


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the columns, as a relation of `customer` and these: a row per customer who has something in them."""

    relation: str
    columns: frozenset[str]


def recall(
    duck: duckdb.DuckDBPyConnection,
    connection: Connection,
    folder: Folder,
    asked: Memory,
    line: Sequence[Version],
    as_of: date,
    key_type: str,
    only: Key | None,
) -> None:
    """Make the tables. `line` are the versions of before the day, oldest first."""
    clear(duck)
    parts: list[_Part] = []
    if line and (asked.tags or asked.tiers):
        parts.append(_previous(duck, connection, folder, asked, line[-1], key_type, only))
    if asked.manual:
        parts.append(_manual(duck, connection, asked.manual, as_of, key_type, only))
    if line and asked.past:
        parts.append(_past(connection, folder, asked.past, line, as_of, only))
    _make(duck, asked, parts, key_type)
    _make_names(duck, asked.past, line, as_of)
    clear(duck)


def nothing(duck: duckdb.DuckDBPyConnection, asked: Memory, as_of: date) -> None:
    """Make the tables where nothing was ever written, so that the type of the keys is not known yet."""
    _make(duck, asked, [], "VARCHAR")
    _make_names(duck, asked.past, (), as_of)


def _make(duck: duckdb.DuckDBPyConnection, asked: Memory, parts: Sequence[_Part], key_type: str) -> None:
    there = frozenset[str]().union(*(part.columns for part in parts))
    columns = ["customer" if parts else f"NULL::{key_type} AS customer"]
    columns += [
        quote(name) if name in there else f"NULL::{_sql(type_)} AS {quote(name)}" for name, type_ in asked.columns
    ]
    source = " FULL JOIN ".join(
        part.relation + (" USING (customer)" if index else "") for index, part in enumerate(parts)
    )
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE remembered AS SELECT {', '.join(columns)} "
        + (f"FROM {source}" if source else "WHERE false")
    )


def _make_names(duck: duckdb.DuckDBPyConnection, asked: Sequence[Past], line: Sequence[Version], as_of: date) -> None:
    spans = list(in_force(line, as_of))
    known = {
        past.column: any(
            until > (past.first or date.min) and declares(version.counts, past) for version, until in spans
        )
        for past in asked
    }
    columns = ", ".join(f"{str(is_known).upper()} AS {quote(column)}" for column, is_known in known.items())
    # A table has at least one column.
    duck.execute(f"CREATE OR REPLACE TEMP TABLE remembered_names AS SELECT {columns or 'FALSE AS nothing'}")


def _sql(type_: Type) -> str:
    return _SQL[type_.kind]


# -- the previous version ----------------------------------------------------------------------------------


def _previous(
    duck: duckdb.DuckDBPyConnection,
    connection: Connection,
    folder: Folder,
    asked: Memory,
    previous: Version,
    key_type: str,
    only: Key | None,
) -> _Part:
    names = ledger.names(connection)
    name_tables(duck, names)
    held = state.of_version(duck, connection, folder, previous.number, names, key_type=key_type, only=only)
    rows = narrowed(memory.of_version(connection, folder, previous.number) or memory.nothing(key_type), only)
    left: list[str] = []
    columns: dict[str, str] = {}
    for tag in asked.tags:
        columns |= _tag(tag, names, previous, left)
    for tier in asked.tiers:
        columns |= _tier(tier, names, left)
    pivot = f"(SELECT {', '.join(['customer', *left])} FROM {rows} GROUP BY customer)"
    selected = ", ".join(f"{sql} AS {quote(name)}" for name, sql in columns.items())
    found = " OR ".join(f"{quote(name)} IS NOT NULL" for name in columns)
    relation = (
        f"(SELECT * FROM (SELECT customer, {selected} FROM {held} LEFT JOIN {pivot} USING (customer)) WHERE {found})"
    )
    return _Part(relation, frozenset(columns))


def _tag(tag: TagMemory, names: Names, previous: Version, left: list[str]) -> dict[str, str]:
    """The columns of a tag. The name that it has now goes before those it had."""
    cases: list[str] = []
    held: list[str] = []
    for each in (tag.tag, *tag.formerly):
        if (name := names.find("tag", each)) is not None:
            column = f"left_{len(left)}"
            left.append(f"max(matched) FILTER (WHERE kind = 'tag' AND name = {literal(each)}) AS {column}")
            held.append(tag_held(name))
            cases.append(f"WHEN {held[-1]} THEN coalesce({column}, {date_literal(previous.as_of)})")
    if not cases:
        return {tag.held: "NULL::BOOLEAN", tag.matched: "NULL::DATE"}
    return {tag.held: f"nullif({' OR '.join(held)}, false)", tag.matched: f"CASE {' '.join(cases)} END"}


def _tier(tier: TierMemory, names: Names, left: list[str]) -> dict[str, str]:
    """The columns of a tier: what the previous version left of it, else what that one published."""
    of = f"FILTER (WHERE kind = 'tier' AND name = {literal(tier.tier)})"
    there, level, reached, below = (f"left_{len(left) + place}" for place in range(4))
    left += [f"count(*) {of} AS {there}", f"max(level) {of} AS {level}"]
    left += [f"max(reached) {of} AS {reached}", f"max(below) {of} AS {below}"]
    published, since = "NULL::VARCHAR", "NULL::DATE"
    if (name := names.find("tier", tier.tier)) is not None:
        published = f"[{', '.join(literal(value) for value in name.values)}][l{name.place}]"
        since = f"s{name.place}"
    return {
        tier.level: f"CASE WHEN {there} > 0 THEN {level} ELSE {published} END",
        tier.reached: f"CASE WHEN {there} > 0 THEN {reached} ELSE {since} END",
        tier.below: below,
    }


# -- what was set by hand ----------------------------------------------------------------------------------


def _manual(
    duck: duckdb.DuckDBPyConnection,
    connection: Connection,
    asked: Sequence[ManualMemory],
    as_of: date,
    key_type: str,
    only: Key | None,
) -> _Part:
    rows = [
        (entry.customer, place, entry.value)
        for place, each in enumerate(asked)
        for entry in manual.latest(connection, each.kind, (each.name, *each.formerly), as_of=as_of, customer=only)
        if entry.counts_on(as_of)
    ]
    customers, places, values = zip(*rows, strict=True) if rows else ((), (), ())
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE store_manual AS SELECT unnest($customers::{key_type}[]) AS customer, "
        f"unnest($places::INTEGER[]) AS place, unnest($values::VARCHAR[]) AS value",
        {"customers": list(customers), "places": list(places), "values": list(values)},
    )
    columns = ", ".join(
        f"{'bool_or(true)' if each.kind == 'tag' else 'max(value)'} FILTER (WHERE place = {place}) "
        f"AS {quote(each.column)}"
        for place, each in enumerate(asked)
    )
    return _Part(
        f"(SELECT customer, {columns} FROM store_manual GROUP BY customer)",
        frozenset(each.column for each in asked),
    )


# -- published history -------------------------------------------------------------------------------------


def in_force(line: Sequence[Version], as_of: date) -> Iterator[tuple[Version, date]]:
    """The versions that were in force, each with the day from which the next one was: of equal as-ofs the last."""
    days = [*(version.as_of for version in line), as_of]
    for version, after in zip(line, days[1:], strict=True):
        if version.as_of < after:
            yield version, after


def declares(counts: Counts, past: Past) -> bool:
    declared = {"tag": counts.tags, "tier": counts.tiers, "class": counts.classes}[past.kind]
    return any(name in declared for name in past.names)


def _past(
    connection: Connection,
    folder: Folder,
    asked: Sequence[Past],
    line: Sequence[Version],
    as_of: date,
    only: Key | None,
) -> _Part:
    """Of each customer and name the last change of a day counts, until the next one or the day of the run."""
    wanted = " OR ".join(f"(kind = '{past.kind}' AND name IN ({_texts(past.names)}))" for past in asked)
    staged = dict(connection.execute("SELECT id, staged FROM runs").fetchall())
    steps = [
        (str(intact(connection, folder, path)), number, version.as_of)
        for number, version in enumerate(line)
        if (path := state.step_of(folder, version.run, version.kind, staged[version.run])) is not None
    ]
    days = ", ".join(f"({literal(path)}, {number}, {date_literal(day)})" for path, number, day in steps)
    files = ", ".join(literal(path) for path, _, _ in steps)
    columns = []
    for past in asked:
        holds = f"kind = '{past.kind}' AND name IN ({_texts(past.names)}) AND value IS NOT NULL"
        if past.kind != "tag":
            holds += f" AND value IN ({_texts(past.values)})"
        if past.first is not None:
            holds += f" AND until > {date_literal(past.first)}"
        columns.append(f"nullif(bool_or({holds}), false) AS {quote(past.column)}")
    found = " OR ".join(f"{quote(past.column)} IS NOT NULL" for past in asked)
    return _Part(
        f"""(
        WITH steps (filename, step, day) AS (VALUES {days}),
        changed AS (
            SELECT customer, kind, name, new, step, day
            FROM {narrowed(f"read_parquet([{files}], filename = true)", only)} JOIN steps USING (filename)
            WHERE {wanted}
        ),
        settled AS (
            SELECT customer, kind, name, day, max_by({{value: new}}, step).value AS value
            FROM changed GROUP BY ALL
        ),
        spans AS (
            SELECT *, lead(day, 1, {date_literal(as_of)}) OVER (PARTITION BY customer, kind, name ORDER BY day) AS until
            FROM settled
        ),
        found AS (SELECT customer, {", ".join(columns)} FROM spans GROUP BY customer)
        SELECT * FROM found WHERE {found})""",
        frozenset(past.column for past in asked),
    )


def _texts(texts: Sequence[str]) -> str:
    return ", ".join(literal(text) for text in texts) or "NULL"
