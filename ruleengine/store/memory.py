"""What a version remembers beside its state, for the run after it: see `planning.memory`.

The state says what is published. A row here says what that leaves open: of a tag that is given without its condition,
when that last held; of a tier where a level was set by hand or less is earned, the level that was computed and its two
clocks. Who has no row has nothing to add.
"""

from pathlib import Path

import duckdb

from ruleengine.engines.columns import literal, quote
from ruleengine.planning.layout import Layout
from ruleengine.store import leaves, versions
from ruleengine.store.files import Folder
from ruleengine.store.integrity import intact
from ruleengine.store.records import EDITS
from ruleengine.store.relations import ROW_GROUP, read
from ruleengine.store.sqlite import Connection

COLUMNS = leaves.CARRIED["memory"]


def gather(duck: duckdb.DuckDBPyConnection, layout: Layout, state: str) -> int:
    """Make `store_memory` of what a run leaves, given the state that it came to in the layout's ladders as
    `customer, l0, …, s0, …`. Answers how many rows it has."""
    parts = [
        f"SELECT customer, 'tag' AS kind, {literal(tag.tag)} AS name, {quote(tag.matched)} AS matched, "
        f"NULL::VARCHAR AS level, NULL::DATE AS reached, NULL::DATE AS below "
        f"FROM result_assignments WHERE {quote(tag.matched)} IS NOT NULL"
        for tag in layout.memory.tags
    ]
    slots = {slot.name: slot for slot in layout.ladders if slot.kind == "tier"}
    for tier in layout.memory.tiers:
        slot = slots[tier.tier]
        level, reached, below = (f"a.{quote(name)}" for name in (tier.level, tier.reached, tier.below))
        texts = ", ".join(literal(value) for value in slot.values)
        parts.append(
            f"SELECT a.customer, 'tier' AS kind, {literal(tier.tier)} AS name, NULL::DATE AS matched, "
            f"{level} AS level, {reached} AS reached, {below} AS below "
            f"FROM result_assignments a JOIN {state} s ON s.customer = a.customer "
            f"WHERE {level} IS DISTINCT FROM [{texts}][a.{slot.column}] "
            f"OR {reached} IS DISTINCT FROM s.{slot.column} OR {below} IS NOT NULL"
        )
    if not parts:
        return 0
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_memory AS {' UNION ALL '.join(parts)}")
    row = duck.execute("SELECT count(*) FROM store_memory").fetchone()
    assert row is not None
    return int(row[0])


def nothing(key_type: str) -> str:
    types = (
        dict.fromkeys(COLUMNS, "DATE") | dict.fromkeys(("kind", "name", "level"), "VARCHAR") | {"customer": key_type}
    )
    return f"(SELECT {', '.join(f'NULL::{types[column]} AS {column}' for column in COLUMNS)} WHERE false)"


def write(duck: duckdb.DuckDBPyConnection, rows: str, path: Path) -> None:
    duck.execute(
        f"COPY (SELECT {', '.join(COLUMNS)} FROM {rows} ORDER BY customer, kind, name) TO {literal(str(path))} "
        f"(FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
    )


def of_version(ledger: Connection, folder: Folder, number: int) -> str | None:
    """What a version remembers, as a relation; None: nothing.

    A manual version has a file of its one customer: his rows, or one without a kind where there are none."""
    edits: list[Path] = []
    while True:
        row = ledger.execute(
            "SELECT r.id, r.kind, r.staged, v.base FROM versions v JOIN runs r ON r.id = v.run WHERE v.number = ?",
            (number,),
        ).fetchone()
        path = intact(ledger, folder, folder.memory(row["id"])) if versions.staged(row["staged"]).memory else None
        if row["kind"] not in EDITS:
            break
        if path:
            edits.append(path)
        number = row["base"]
    whole = f"SELECT {', '.join(COLUMNS)} FROM {read(path)}" if path else None
    if not edits:
        return f"({whole})" if whole else None
    listed = ", ".join(literal(str(edit)) for edit in edits)
    edited = (
        f"(SELECT *, rank() OVER (PARTITION BY customer ORDER BY list_position([{listed}], filename)) AS age "
        f"FROM read_parquet([{listed}], filename = true))"
    )
    rows = f"SELECT {', '.join(COLUMNS)} FROM {edited} WHERE age = 1 AND kind IS NOT NULL"
    if whole:
        rows += f" UNION ALL {whole} WHERE customer NOT IN (SELECT customer FROM {edited})"
    return f"({rows})"
