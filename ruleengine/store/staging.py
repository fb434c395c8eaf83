"""The files of a staged run, each written whole: see `files.Folder`."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from ruleengine.store import changes, salts, state
from ruleengine.store.duck import literal
from ruleengine.store.files import whole
from ruleengine.store.names import Names
from ruleengine.store.relations import ROW_GROUP, Shape, all_new, holdings, old_state, packed
from ruleengine.store.steps import reach


def write_values(duck: duckdb.DuckDBPyConnection, path: Path) -> None:
    with whole(path) as partial:
        duck.execute(
            f"COPY (SELECT * FROM result_values ORDER BY customer) TO {literal(str(partial))} "
            f"(FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
        )
        reach("values-written")
    reach("values-renamed")


def write_state(duck: duckdb.DuckDBPyConnection, old: str, names: Names, day: str, path: Path) -> None:
    """Write the new state, of which `store_changed` says how it differs from the old one.

    Rows that did not change are taken over. Only the others are unpacked, for what each is held since.
    """
    shape = Shape.of(names)
    undated = ", ".join(
        ["customer", *shape.compared, "NULL::DATE[] AS since"]
        + [f"NULL::DATE AS s{place}" for place in range(shape.ladders)]
    )
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_state AS SELECT * FROM {old_state('store_changed', shape)}")
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE store_kept AS SELECT {undated} FROM store_changed WHERE here AND was_here"
    )
    dated = (
        f"(SELECT n.customer, n.id, n.value, "
        f"CASE WHEN o.value = n.value THEN o.since ELSE {day} END AS since "
        f"FROM {holdings('store_kept', names)} n "
        f"LEFT JOIN {holdings('store_state', names)} o ON o.customer = n.customer AND o.id = n.id)"
    )
    fresh = all_new("(SELECT * FROM store_changed WHERE here AND NOT was_here)", names, day)
    columns = ", ".join(shape.columns)
    with whole(path) as partial:
        state.write(
            duck,
            f"(SELECT {columns} FROM {old} o "
            f"WHERE NOT EXISTS (SELECT 1 FROM store_changed c WHERE c.customer = o.customer) "
            f"UNION ALL SELECT {columns} FROM {fresh} "
            f"UNION ALL SELECT {columns} FROM {packed(dated, 'store_kept', names)})",
            partial,
        )
        reach("state-written")
    reach("state-renamed")


def write_arrivals(duck: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Who came (here) and who went: customers without any assignment are known by this alone."""
    with whole(path) as partial:
        duck.execute(
            f"COPY (SELECT customer, here FROM store_changed WHERE here <> was_here ORDER BY customer) "
            f"TO {literal(str(partial))} (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
        )
    reach("arrivals-renamed")


def write_salts(duck: duckdb.DuckDBPyConnection, customers: str, pieces: Sequence[Path], path: Path) -> None:
    """Gather the salts of these customers in `store_salts`, and write those that are new."""
    salts.gather(duck, customers, pieces)
    with whole(path) as partial:
        salts.write(duck, partial)
    reach("salts-renamed")


def write_changes(duck: duckdb.DuckDBPyConnection, changes_sql: str, path: Path, number: int) -> None:
    with whole(path) as partial:
        changes.write(duck, changes_sql, partial, number)
        reach("changes-written")
    reach("changes-renamed")
