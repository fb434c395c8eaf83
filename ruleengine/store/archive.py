"""What is read from the Parquet files: exports, differences, histories, values, and customers in old versions."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ruleengine.diagnostics import codes
from ruleengine.engines.columns import literal, quote
from ruleengine.store import state
from ruleengine.store.changes import COLUMNS
from ruleengine.store.comparing import Comparison, compare, name_tables
from ruleengine.store.documents import documents_sql
from ruleengine.store.files import Folder, whole
from ruleengine.store.names import Names
from ruleengine.store.records import Change, DiffRow, Key, StoredValues
from ruleengine.store.refusals import RefusedError
from ruleengine.store.relations import ROW_GROUP, holdings, read
from ruleengine.store.sqlite import Connection
from ruleengine.store.values import columns_of, named

_FORMATS = {
    ".parquet": f"FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP * 4}",
    ".csv": "FORMAT csv, HEADER true",
    ".jsonl": "FORMAT json",
}


def export(duck: duckdb.DuckDBPyConnection, relation: str, names: Names, version: int | None, path: Path) -> int:
    """Write a state as assignments, sorted by customer, kind, name."""
    options = export_options(path)
    number = "NULL" if version is None else version
    rows = (
        f"SELECT h.customer AS customer_id, n.kind, n.name, "
        f"CASE WHEN n.kind <> 'tag' THEN l.text END AS value, h.since, {number}::BIGINT AS version "
        f"FROM {holdings(relation, names)} h JOIN store_names n ON n.id = h.id "
        f"JOIN store_levels l ON l.id = h.id AND l.value = h.value ORDER BY h.customer, n.ord"
    )
    return write(duck, rows, path, options)


def export_options(path: Path) -> str:
    """How a file of this name is written; RefusedError of a kind that is not known."""
    options = _FORMATS.get(path.suffix.lower())
    if options is None:
        raise RefusedError(codes.export_unknown_kind(None, path=path.name))
    return options


def write(duck: duckdb.DuckDBPyConnection, rows: str, path: Path, options: str) -> int:
    """Write the rows of a query to a file, whole or not at all; answers their number."""
    with whole(path) as partial:
        row = duck.execute(f"COPY ({rows}) TO {literal(str(partial))} ({options})").fetchone()
    assert row is not None
    return int(row[0])


def diff(duck: duckdb.DuckDBPyConnection, a: str, b: str, names: Names) -> tuple[Comparison, Iterator[DiffRow]]:
    """Compare two states."""
    comparison = compare(duck, b, a, names)
    rows = duck.execute(
        "SELECT m.customer, n.kind, n.name, o.text, w.text FROM store_moves m "
        "JOIN store_names n ON n.id = m.id "
        "LEFT JOIN store_levels o ON o.id = m.id AND o.value = m.old "
        "LEFT JOIN store_levels w ON w.id = m.id AND w.value = m.new ORDER BY m.customer, n.ord"
    )
    return comparison, diff_rows(rows)


def diff_rows(rows: duckdb.DuckDBPyConnection) -> Iterator[DiffRow]:
    """Of a query for customer, kind, name, old and new value."""
    return (
        DiffRow(customer=customer, kind=kind, name=name, old=old, new=new)
        for customer, kind, name, old, new in fetched(rows)
    )


def fetched(rows: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := rows.fetchmany(10_000):
        yield from batch


def document(
    duck: duckdb.DuckDBPyConnection,
    ledger: Connection,
    folder: Folder,
    number: int,
    names: Names,
    key: Key,
    key_type: str,
) -> bytes | None:
    """A customer's document in any version."""
    name_tables(duck, names)
    relation = state.of_version(duck, ledger, folder, number, names, key_type=key_type, only=key)
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_state AS SELECT * FROM {relation}")
    row = duck.execute(f"SELECT document FROM {documents_sql('store_state', names)}").fetchone()
    return row[0] if row else None


def history(duck: duckdb.DuckDBPyConnection, paths: Sequence[Path], key: Key) -> list[tuple[int, Change]]:
    """A customer's changes in these files, each with the file's place in the sequence."""
    if not paths:
        return []
    files = ", ".join(literal(str(path)) for path in paths)
    rows = duck.execute(
        f"SELECT list_position([{files}], filename) AS step, customer, kind, name, old, new, since, rule_hash, "
        f"evidence FROM read_parquet([{files}], filename = true) WHERE customer = $key "
        f"ORDER BY step, kind, name",
        {"key": key},
    ).fetchall()
    return [(step - 1, change(row)) for step, *row in rows]


def changes(duck: duckdb.DuckDBPyConnection, path: Path, start: int, limit: int) -> list[Change | None]:
    """The changes of a file from a row on; None where the customer was forgotten."""
    rows = duck.execute(
        f"SELECT {', '.join(COLUMNS)} FROM read_parquet({literal(str(path))}, file_row_number = true) "
        f"WHERE file_row_number >= $start AND file_row_number < $stop ORDER BY file_row_number",
        {"start": start, "stop": start + limit},
    )
    return [None if row[0] is None else change(row) for row in rows.fetchall()]


def change(row: Sequence[Any]) -> Change:
    customer, kind, name, old, new, since, rule_hash, evidence = row
    return Change(
        customer=customer,
        kind=kind,
        name=name,
        old=old,
        new=new,
        since=since,
        rule_hash=rule_hash,
        evidence=None if evidence is None else json.loads(evidence),
    )


def values(duck: duckdb.DuckDBPyConnection, path: Path, columns: str, key: Key) -> StoredValues | None:
    """What rules read of a customer, by name."""
    wanted = columns_of(columns)
    selected = ", ".join(["customer", *(quote(column.column) for column in wanted)])
    row = duck.execute(f"SELECT {selected} FROM {read(path)} WHERE customer = $key", {"key": key}).fetchone()
    if row is None:
        return None
    return named(wanted, row[1:])
