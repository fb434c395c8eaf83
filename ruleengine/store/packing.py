"""What a folder keeps, as content that any store can be filled with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from ruleengine.engines.columns import literal
from ruleengine.store import ledger, manual, memory, versions
from ruleengine.store.changes import COLUMNS
from ruleengine.store.content import Content, RunRow, VersionRow
from ruleengine.store.files import Folder
from ruleengine.store.forgetting import SECRET
from ruleengine.store.records import ApiKey, Identity, RunState, VersionKind
from ruleengine.store.relations import read
from ruleengine.store.salts import files_sql
from ruleengine.store.sqlite import Connection, Row


def pack(
    duck: duckdb.DuckDBPyConnection,
    connection: Connection,
    folder: Folder,
    identity: Identity,
    keys: Sequence[ApiKey],
) -> Content:
    """All of it, as it is while `connection` reads and nobody writes. The relations are the files themselves."""
    runs = [_run(row, folder) for row in connection.execute("SELECT * FROM runs ORDER BY sequence")]
    by_id = {run.id: run for run in runs}
    pointer = ledger.pointer(connection)
    key_type = identity.key_sql
    values_of, files = _values(connection, folder, runs)

    def changes(ids: Sequence[str]) -> str:
        of = {id_: str(folder.changes(id_)) for id_ in ids}
        return _of_runs(of, f"file_row_number AS position, {', '.join(COLUMNS)}, leaf", "file_row_number = true")

    def arrivals(ids: Sequence[str]) -> str:
        runs = [by_id[id_] for id_ in ids if by_id[id_].has_arrivals]
        first = {run.id: str(folder.state(run.id)) for run in runs if run.base is None}
        later = {run.id: str(folder.arrivals(run.id)) for run in runs if run.base is not None}
        parts = [f"SELECT '' AS run, NULL::{key_type} AS customer, true AS here WHERE false"]
        parts += [f"FROM {_of_runs(first, 'customer, true AS here')}"] if first else []
        parts += [f"FROM {_of_runs(later, 'customer, here')}"] if later else []
        return f"({' UNION ALL '.join(parts)})"

    def remembered(ids: Sequence[str]) -> str:
        of = {id_: str(folder.memory(id_)) for id_ in ids if by_id[id_].files.memory}
        if not of:
            return f"(SELECT '' AS run, * FROM {memory.nothing(key_type)})"
        return _of_runs(of, ", ".join(memory.COLUMNS))

    return Content(
        identity=identity,
        current=pointer["version"] if pointer else None,
        secret=ledger.noted(connection, SECRET),
        names=ledger.names(connection),
        texts=[tuple(row) for row in connection.execute("SELECT hash, path, text FROM texts ORDER BY hash, path")],
        runs=runs,
        versions=[
            VersionRow(*row)
            for row in connection.execute(
                "SELECT number, run, header, previous_hash, root, hash FROM versions ORDER BY number"
            )
        ],
        manual=manual.log(connection),
        keys=keys,
        values_of=values_of,
        duck=duck,
        changes=changes,
        arrivals=arrivals,
        memory=remembered,
        values=lambda run: read(files[run]),
        salts=_salts(connection, folder, runs, key_type),
    )


def _run(row: Row, folder: Folder) -> RunRow:
    fields = {name: row[name] for name in RunRow._fields}
    run = RunRow(**{**fields, "detached": bool(row["detached"])})
    if run.state == RunState.HELD and folder.run_salts(run.id).exists():
        # Another held run may have made other salts for the same customers. Each gets one, and so leaves are made
        # again where the run is published.
        run = run._replace(staged=versions.staged_text(replace(run.files, number=0)))
    return run


def _of_runs(files: Mapping[str, str], columns: str, *options: str) -> str:
    """The rows of files, each with its run."""
    listed = ", ".join(map(literal, files.values()))
    steps = ", ".join(f"({literal(run)}, {literal(file)})" for run, file in files.items())
    said = ", ".join(["filename = true", *options])
    return (
        f"(SELECT run, {columns} FROM read_parquet([{listed}], {said}) "
        f"JOIN (VALUES {steps}) AS runs (run, filename) USING (filename))"
    )


def _values(connection: Connection, folder: Folder, runs: Sequence[RunRow]) -> tuple[dict[str, str], dict[str, Path]]:
    """By run the one that computed its values, and where these lie: versions that share them have a file each."""
    rows = connection.execute("SELECT number, run, has_values FROM versions").fetchall()
    made_by = {row["number"]: row["run"] for row in rows}
    by_id = {run.id: run for run in runs}
    has = {row["run"] for row in rows if row["has_values"]}
    has |= {run.id for run in runs if run.state == RunState.HELD and folder.values(run.id).exists()}
    of: dict[str, str] = {}
    files: dict[str, Path] = {}
    for run in has:
        root = by_id[run]
        while root.kind != VersionKind.RUN and root.base is not None:
            root = by_id[made_by[root.base]]
        of[run] = root.id
        files[root.id] = folder.values(run)
    return of, files


def _salts(connection: Connection, folder: Folder, runs: Sequence[RunRow], key_type: str) -> str:
    """One for each customer: those of published versions go before those that held runs have made."""
    pieces = [folder.root / path for (path,) in connection.execute("SELECT path FROM salt_pieces")]
    held = [folder.run_salts(run.id) for run in runs if run.state == RunState.HELD]
    held = [path for path in held if path.exists()]
    known = files_sql(pieces) if pieces else f"(SELECT NULL::{key_type} AS customer, NULL::BLOB AS salt WHERE false)"
    if not held:
        return known
    return (
        f"(SELECT customer, salt FROM {known} UNION ALL SELECT customer, min(salt) FROM {files_sql(held)} "
        f"WHERE customer NOT IN (SELECT customer FROM {known}) GROUP BY customer)"
    )
