"""The files of a staged run, each written whole: see `files.Folder`."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from ruleengine.engines.columns import literal
from ruleengine.planning.layout import Layout
from ruleengine.store import changes, memory, salts, state
from ruleengine.store.files import whole
from ruleengine.store.names import Names
from ruleengine.store.relations import ROW_GROUP, Shape, all_new, holdings, packed, read
from ruleengine.store.steps import reach


def write_values(duck: duckdb.DuckDBPyConnection, path: Path) -> None:
    with whole(path) as partial:
        duck.execute(
            f"COPY (SELECT * FROM result_values ORDER BY customer) TO {literal(str(partial))} "
            f"(FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
        )
        reach("values-written")
    reach("values-renamed")


def write_state(
    duck: duckdb.DuckDBPyConnection, before: str, differing: str, names: Names, day: str, path: Path
) -> None:
    """Write the new state, of which `differing` says how it differs from the one before; see `dating`.

    Rows that do not differ are taken over. Only the others are unpacked, for what each is held since.
    """
    shape = Shape.of(names)
    undated = ", ".join(
        ["customer", *shape.compared, "NULL::DATE[] AS since"]
        + [f"NULL::DATE AS s{place}" for place in range(shape.ladders)]
    )
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE store_kept AS SELECT {undated} FROM {differing} WHERE here AND was_here"
    )
    dated = (
        f"(SELECT n.customer, n.id, n.value, coalesce(p.since, {day}) AS since "
        f"FROM {holdings('store_kept', names)} n "
        f"LEFT JOIN store_prior p ON p.customer = n.customer AND p.id = n.id AND p.value = n.value)"
    )
    fresh = all_new(f"(SELECT * FROM {differing} WHERE here AND NOT was_here)", names, day)
    columns = ", ".join(shape.columns)
    with whole(path) as partial:
        state.write(
            duck,
            f"(SELECT {columns} FROM {before} b "
            f"WHERE NOT EXISTS (SELECT 1 FROM {differing} d WHERE d.customer = b.customer) "
            f"UNION ALL SELECT {columns} FROM {fresh} "
            f"UNION ALL SELECT {columns} FROM {packed(dated, 'store_kept', names)})",
            partial,
        )
        reach("state-written")
    reach("state-renamed")


def write_memory(duck: duckdb.DuckDBPyConnection, layout: Layout, names: Names, state_path: Path, path: Path) -> int:
    """Write what the next run has to remember, if there is anything; answers the number of rows."""
    places = {slot.column: names.find(slot.kind, slot.name) for slot in layout.ladders}
    dates = ", ".join(["customer", *(f"s{name.place} AS {column}" for column, name in places.items() if name)])
    rows = memory.gather(duck, layout, f"(SELECT {dates} FROM {read(state_path)})")
    if rows:
        with whole(path) as partial:
            memory.write(duck, "store_memory", partial)
    reach("memory-renamed")
    return rows


def write_arrivals(duck: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Who came (here) and who went: customers without any assignment are known by this alone."""
    with whole(path) as partial:
        duck.execute(
            f"COPY (SELECT customer, here FROM store_changed WHERE here <> was_here ORDER BY customer) "
            f"TO {literal(str(partial))} (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
        )
    reach("arrivals-renamed")


def write_salts(duck: duckdb.DuckDBPyConnection, customers: str, pieces: Sequence[Path], path: Path) -> None:
    """Gather the salts of these customers in `store_salts`, and write those that are new, if there are any."""
    if salts.gather(duck, customers, pieces):
        with whole(path) as partial:
            salts.write(duck, partial)
    else:
        path.unlink(missing_ok=True)
    reach("salts-renamed")


def write_changes(duck: duckdb.DuckDBPyConnection, changes_sql: str, path: Path, number: int) -> None:
    with whole(path) as partial:
        changes.write(duck, changes_sql, partial, number)
        reach("changes-written")
    reach("changes-renamed")
