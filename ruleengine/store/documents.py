"""The rows that are served: a document per customer, and who holds what.

A publication adds rows with a serial past the pointer's, in batches, so that other writers of the ledger wait no
longer than a batch takes. Nobody sees them before the pointer moves.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import duckdb

from ruleengine.engines.columns import literal
from ruleengine.store.canonical import dump
from ruleengine.store.names import Name, Names
from ruleengine.store.records import Answer, Key
from ruleengine.store.refusals import not_kept
from ruleengine.store.relations import tag_held, tag_since
from ruleengine.store.sqlite import Connection, plain, transaction
from ruleengine.store.steps import reach

BATCH = 20_000
KEPT = 3600.0
"""Seconds for which a superseded version's rows are kept."""


# -- making ------------------------------------------------------------------------------------------------


def documents_sql(state: str, names: Names) -> str:
    """A relation of customer and document (BLOB): what `records.Answer` describes, in the order of names."""
    parts: dict[str, list[str]] = {"tag": [], "tier": [], "class": []}
    for name in sorted(names.all, key=lambda name: name.name):
        quoted = dump(name.name)
        if name.kind == "tag":
            head, held, since = literal(f',{{"name":{quoted},"since":"'), tag_held(name), tag_since(name)
        else:
            label = "level" if name.kind == "tier" else "value"
            opening = literal(f',{quoted}:{{"{label}":')
            texts = ", ".join(literal(f'{dump(value)},"since":"') for value in name.values)
            head = f"{opening} || [{texts}][l{name.place}]"
            held, since = f"l{name.place} <> 0", f"s{name.place}"
        parts[name.kind].append(f"CASE WHEN {held} THEN {head} || {since}::VARCHAR || '\"}}' ELSE '' END")
    # Each part begins with the comma that would stand before it.
    tags, tiers, classes = (f"concat('', {', '.join(terms)})[2:]" if terms else "''" for terms in parts.values())
    return (
        f"(SELECT customer, encode('{{\"tags\":[' || {tags} || '],\"tiers\":{{' || {tiers} "
        f"|| '}},\"classes\":{{' || {classes} || '}}}}') AS document FROM {state})"
    )


def write(
    ledger: Connection,
    duck: duckdb.DuckDBPyConnection,
    *,
    state: str,
    changes: str,
    arrivals: str | None,
    names: Names,
    serial: int,
) -> None:
    """Write the rows of a publication: for customers with a change, or, where nothing was published before (no
    arrivals), for all. `store_names` and `store_levels` must be there."""
    touched = (
        f"(SELECT customer FROM {changes} UNION SELECT customer FROM {arrivals})"
        if arrivals
        else f"(SELECT customer FROM {state})"
    )
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_kept AS SELECT customer FROM {touched}")
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE store_state AS "
        f"SELECT * FROM {state} WHERE customer IN (SELECT customer FROM store_kept)"
    )
    rows = duck.execute(
        f"SELECT k.customer, d.document FROM store_kept k "
        f"LEFT JOIN {documents_sql('store_state', names)} d ON d.customer = k.customer ORDER BY k.customer"
    )
    for batch in _batches(rows):
        with transaction(ledger):
            if arrivals:
                ledger.executemany(
                    "UPDATE documents SET to_serial = ? WHERE customer = ? AND to_serial IS NULL",
                    [(serial, customer) for customer, _ in batch],
                )
            ledger.executemany(
                "INSERT INTO documents VALUES (?, ?, NULL, ?)",
                [(customer, serial, document) for customer, document in batch],
            )
        reach("documents-batch")
    reach("documents-written")
    for batch in _batches(duck.execute(_moves(changes, "old"))):
        with transaction(ledger):
            ledger.executemany(
                "UPDATE members SET to_serial = ? WHERE name = ? AND value = ? AND customer = ? AND to_serial IS NULL",
                [(serial, *row) for row in batch],
            )
        reach("members-batch")
    for batch in _batches(duck.execute(_moves(changes, "new"))):
        with transaction(ledger):
            ledger.executemany("INSERT INTO members VALUES (?, ?, ?, ?, NULL)", [(*row, serial) for row in batch])
        reach("members-batch")
    reach("members-written")


def write_one(
    ledger: Connection, customer: Key, content: bytes, moves: Sequence[tuple[int, int, int]], serial: int
) -> None:
    """Write the rows of one customer, within the transaction that publishes them. Moves are name, old, new position."""
    ledger.execute("UPDATE documents SET to_serial = ? WHERE customer = ? AND to_serial IS NULL", (serial, customer))
    ledger.execute("INSERT INTO documents VALUES (?, ?, NULL, ?)", (customer, serial, content))
    ledger.executemany(
        "UPDATE members SET to_serial = ? WHERE name = ? AND value = ? AND customer = ? AND to_serial IS NULL",
        [(serial, name, old, customer) for name, old, _ in moves if old],
    )
    ledger.executemany(
        "INSERT INTO members VALUES (?, ?, ?, ?, NULL)",
        [(name, new, customer, serial) for name, _, new in moves if new],
    )


def _moves(changes: str, side: Literal["old", "new"]) -> str:
    """Name, value and customer of what changes end, or begin: in the order of the table, so that a first publication
    only ever appends."""
    return (
        f"SELECT n.id, l.value, c.customer FROM {changes} c "
        f"JOIN store_names n ON n.kind = c.kind AND n.name = c.name "
        f"JOIN store_levels l ON l.id = n.id AND l.text = c.{side} ORDER BY ALL"
    )


def _batches(rows: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
    while batch := rows.fetchmany(BATCH):
        yield batch


# -- sweeping ----------------------------------------------------------------------------------------------


def sweep_unpublished(ledger: Connection, serial: int | None) -> None:
    """Take away what a publication wrote that never came about: everything past the pointer's serial."""
    for table, key in (("documents", ("customer",)), ("members", ("name", "value", "customer"))):
        if serial is None:
            with transaction(ledger):
                ledger.execute(f"DELETE FROM {table}")
            continue
        columns = ", ".join(key)
        same = " AND ".join(f"{column} = ?" for column in key)
        added = (
            plain(ledger)
            .execute(f"SELECT {columns}, from_serial FROM {table} WHERE from_serial > ?", (serial,))
            .fetchall()
        )
        closed = (
            plain(ledger)
            .execute(f"SELECT {columns}, from_serial FROM {table} WHERE to_serial > ?", (serial,))
            .fetchall()
        )
        for batch in _lists(added):
            with transaction(ledger):
                ledger.executemany(f"DELETE FROM {table} WHERE {same} AND from_serial = ?", batch)
        for batch in _lists(closed):
            with transaction(ledger):
                ledger.executemany(f"UPDATE {table} SET to_serial = NULL WHERE {same} AND from_serial = ?", batch)


def sweep_superseded(ledger: Connection, now: float) -> None:
    """Take away the rows of versions that were superseded long enough ago."""
    floor = ledger.execute(
        "SELECT min(v.serial) FROM versions v, pointer p WHERE v.serial IS NOT NULL AND v.serial >= p.floor "
        "AND (v.superseded_at IS NULL OR v.superseded_at > ?)",
        (now - KEPT,),
    ).fetchone()[0]
    if floor is None:
        return
    with transaction(ledger):
        # Readers ask the floor first: those of older versions are refused before any row goes.
        ledger.execute("UPDATE pointer SET floor = ?", (floor,))
    for table, key in (("documents", "customer"), ("members", "name, value, customer")):
        while True:
            with transaction(ledger):
                ledger.execute(
                    f"DELETE FROM {table} WHERE ({key}, from_serial) IN "
                    f"(SELECT {key}, from_serial FROM {table} WHERE to_serial <= ? LIMIT {BATCH})",
                    (floor,),
                )
                gone = ledger.changes()
            if gone < BATCH:
                break


def _lists(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, BATCH)):
        yield batch


# -- reading -----------------------------------------------------------------------------------------------


def serial_of(ledger: Connection, number: int) -> int:
    """The serial of a version whose rows are kept."""
    row = ledger.execute("SELECT v.serial, p.floor FROM versions v, pointer p WHERE v.number = ?", (number,)).fetchone()
    if row["serial"] is None or row["serial"] < row["floor"]:
        raise not_kept(number)
    return int(row["serial"])


# Of a customer's rows one counts for a serial. To look for the last one that has begun takes twice as long.
_DOCUMENT = """
SELECT document FROM documents
WHERE customer = ?1 AND from_serial <= {serial} AND (to_serial IS NULL OR to_serial > {serial})
"""
DOCUMENT = _DOCUMENT.format(serial="?2")
CURRENT_DOCUMENT = f"SELECT p.version, ({_DOCUMENT.format(serial='p.serial')}) FROM pointer p"


def current_document(ledger: Connection, key: Key) -> Answer | None:
    """A customer in the current version, in one statement; None where there is no version."""
    row = ledger.row(CURRENT_DOCUMENT, (key,))
    return Answer(version=row[0], document=row[1]) if row else None


def document(ledger: Connection, key: Key, serial: int) -> bytes | None:
    row = ledger.row(DOCUMENT, (key, serial))
    return row[0] if row else None


def members(ledger: Connection, name: Name, value: int, serial: int, after: Key | None, limit: int) -> Sequence[Key]:
    """At most `limit` customers, in key order."""
    bound = "" if after is None else "AND customer > :after "
    rows = plain(ledger).execute(
        f"SELECT customer FROM members WHERE name = :name AND value = :value {bound}"
        "AND from_serial <= :serial AND (to_serial IS NULL OR to_serial > :serial) "
        "ORDER BY customer LIMIT :limit",
        {"name": name.id, "value": value, "after": after, "serial": serial, "limit": limit},
    )
    return [customer for (customer,) in rows]
