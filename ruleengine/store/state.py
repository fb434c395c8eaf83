"""The state of any version: read from its file, or folded from the nearest earlier one and the changes since."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from ruleengine.engines.columns import literal
from ruleengine.store import versions
from ruleengine.store.files import Folder
from ruleengine.store.integrity import intact
from ruleengine.store.names import Names
from ruleengine.store.records import Key, VersionKind
from ruleengine.store.relations import ROW_GROUP, Shape, holdings, narrowed, nobody, packed, read, widened
from ruleengine.store.sqlite import Connection


def of_version(
    duck: duckdb.DuckDBPyConnection,
    ledger: Connection,
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
    changes: list[Path] = []
    arrivals: list[Path] = []
    while True:
        row = ledger.execute(
            "SELECT v.run, v.base, v.has_state, r.kind, r.staged "
            "FROM versions v JOIN runs r ON r.id = v.run WHERE v.number = ?",
            (number,),
        ).fetchone()
        if row["has_state"]:
            break
        if (step := step_of(folder, row["run"], row["kind"], row["staged"])) is not None:
            changes.append(intact(ledger, folder, step))
        if row["kind"] == VersionKind.RUN:
            arrivals.append(intact(ledger, folder, folder.arrivals(row["run"])))
        number = row["base"]
    staged = versions.staged(row["staged"])
    path = intact(ledger, folder, folder.state(row["run"]))
    base = widened(narrowed(read(path), only), Shape(staged.words, staged.ladders), shape)
    if not changes and not arrivals:
        return base
    fold(duck, table, base, changes[::-1], arrivals[::-1], names, only)
    return table


def step_of(folder: Folder, run: str, kind: str, staged: str) -> Path | None:
    """The file of how a version differs from the one before it in the line; None: not at all.

    A rollback's changes say how it differs from the version that it replaced. From its base, whose answers it brings
    back, it differs in what is set by hand."""
    if kind == VersionKind.FORGET:
        return None  # Whom it forgets is not in the files of its base any more.
    if kind != VersionKind.ROLLBACK:
        return folder.changes(run)
    return folder.overlay(run) if versions.staged(staged).overlay else None


def fold(
    duck: duckdb.DuckDBPyConnection,
    table: str,
    base: str,
    changes: Sequence[Path],
    arrivals: Sequence[Path],
    names: Names,
    only: Key | None = None,
) -> None:
    """Make a table of a state with changes, and who came and went, applied in this order."""
    came = (
        _files(arrivals, only, "here")
        if arrivals
        else f"(SELECT customer, true, 0 FROM {base} WHERE false) _ (customer, here, step)"
    )
    duck.execute(f"""
        CREATE OR REPLACE TEMP TABLE {table} AS
        WITH last AS (
            SELECT customer, n.id, max_by({{value: coalesce(l.value, 0), since: c.since}}, c.step) AS held
            FROM {_files(changes, only, "kind, name, new, since")} c
            JOIN store_names n ON n.kind = c.kind AND n.name = c.name
            LEFT JOIN store_levels l ON l.id = n.id AND l.text = c.new
            GROUP BY ALL
        ),
        arrivals AS (
            SELECT customer, max_by(here, step) AS here FROM {came} GROUP BY customer
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


def _files(paths: Sequence[Path], only: Key | None, columns: str) -> str:
    listed = ", ".join(literal(str(path)) for path in paths)
    return (
        f"(SELECT customer, {columns}, list_position([{listed}], filename) AS step FROM "
        f"{narrowed(f'read_parquet([{listed}], filename = true)', only)})"
    )


def write(duck: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write a state, sorted by customer."""
    duck.execute(
        f"COPY (SELECT * FROM {query} ORDER BY customer) TO {literal(str(path))} "
        f"(FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
    )
