"""The state of any version: read from its file, or folded from the nearest earlier one and the changes since."""

import sqlite3
from pathlib import Path

import duckdb

from ruleengine.store.duck import literal
from ruleengine.store.files import Folder
from ruleengine.store.names import Names
from ruleengine.store.records import Key
from ruleengine.store.relations import ROW_GROUP, Shape, holdings, nobody, packed, read, widened


def of_version(
    duck: duckdb.DuckDBPyConnection,
    ledger: sqlite3.Connection,
    folder: Folder,
    number: int | None,
    names: Names,
    *,
    key_type: str,
    only: Key | None = None,
    table: str = "store_folded",
) -> str:
    """The state of a version as a relation; of one customer only, where one is named. Needs `store_names` and
    `store_levels`, and leaves a table behind where it has to fold."""
    shape = Shape.of(names)
    if number is None:
        return nobody(key_type, shape)
    steps: list[str] = []
    while True:
        row = ledger.execute(
            "SELECT v.run, v.base, v.has_state, r.kind, r.staged ->> 'words' AS words, "
            "r.staged ->> 'ladders' AS ladders FROM versions v JOIN runs r ON r.id = v.run WHERE v.number = ?",
            (number,),
        ).fetchone()
        if row["has_state"]:
            break
        # A rollback has its base's answers: what it changed brought them back, and is no step of the line.
        if row["kind"] != "rollback":
            steps.append(row["run"])
        number = row["base"]
    base = widened(
        _narrowed(read(folder.state(row["run"])), only),
        Shape(int(row["words"]), int(row["ladders"])),
        shape,
    )
    if not steps:
        return base
    steps.reverse()
    _fold(duck, table, base, [folder.run(step) for step in steps], names, only)
    return table


def _narrowed(relation: str, only: Key | None) -> str:
    if only is None:
        return relation
    key = literal(only) if isinstance(only, str) else str(only)
    return f"(SELECT * FROM {relation} WHERE customer = {key})"


def _fold(
    duck: duckdb.DuckDBPyConnection, table: str, base: str, runs: list[Path], names: Names, only: Key | None
) -> None:
    """Make a table of the base state with the changes of these runs, in this order, applied."""

    def files(name: str) -> str:
        paths = [str(run / name) for run in runs]
        listed = ", ".join(literal(path) for path in paths)
        return (
            f"(SELECT *, list_position([{listed}], filename) AS step FROM "
            f"{_narrowed(f'read_parquet([{listed}], filename = true)', only)})"
        )

    duck.execute(f"""
        CREATE OR REPLACE TEMP TABLE {table} AS
        WITH last AS (
            SELECT customer, n.id, max_by({{value: coalesce(l.value, 0), since: c.since}}, c.step) AS held
            FROM {files("changes.parquet")} c
            JOIN store_names n ON n.kind = c.kind AND n.name = c.name
            LEFT JOIN store_levels l ON l.id = n.id AND l.text = c.new
            GROUP BY ALL
        ),
        arrivals AS (
            SELECT customer, max_by(here, step) AS here FROM {files("arrivals.parquet")} GROUP BY customer
        ),
        touched AS MATERIALIZED (SELECT customer FROM last UNION SELECT customer FROM arrivals),
        base AS (SELECT * FROM {base}),
        before AS MATERIALIZED (SELECT * FROM base WHERE customer IN (SELECT customer FROM touched)),
        merged AS (
            SELECT customer, id, value, since FROM {holdings("before", names)} h
            WHERE NOT EXISTS (SELECT 1 FROM last WHERE last.customer = h.customer AND last.id = h.id)
            UNION ALL SELECT customer, id, held.value, held.since FROM last WHERE held.value <> 0
        ),
        customers AS (
            SELECT customer FROM (SELECT customer FROM before UNION SELECT customer FROM arrivals)
            WHERE customer NOT IN (SELECT customer FROM arrivals WHERE NOT here)
        )
        SELECT * FROM base WHERE customer NOT IN (SELECT customer FROM touched)
        UNION ALL SELECT * FROM {packed("merged", "customers", names)}
    """)


def write(duck: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write a state, sorted by customer."""
    duck.execute(
        f"COPY (SELECT * FROM {query} ORDER BY customer) TO {literal(str(path))} "
        f"(FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
    )
