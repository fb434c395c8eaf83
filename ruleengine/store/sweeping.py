"""Tidying, by whoever holds the lock: what a process left behind that died, and what need not be kept any longer."""

import json
import shutil
from collections.abc import Collection
from contextlib import suppress

from ruleengine.store import documents, integrity, remnants, salts, sqlite
from ruleengine.store.duck import connect
from ruleengine.store.files import PARTIAL, Folder, whole
from ruleengine.store.ledger import moved, pointer
from ruleengine.store.records import EDITS, Run, RunState, VersionKind
from ruleengine.store.sqlite import Connection, transaction

KEPT_FILES = 4
"""The latest versions whose state and values are kept."""


def sweep(ledger: Connection, folder: Folder, now: float, *, alive: Collection[str]) -> None:
    _end_interrupted(ledger, folder, alive)
    sweep_serving(ledger)
    documents.sweep_superseded(ledger, now)
    _prune(ledger, folder)
    _remove_orphans(ledger, folder, alive)
    _merge_salts(ledger, folder)
    with suppress(*sqlite.UNUSABLE):  # A full disk, or somebody who writes: the next one tries again.
        remnants.tidy(ledger)


def sweep_serving(ledger: Connection) -> None:
    """Take away rows of a publication that never came about."""
    if ledger.execute("SELECT 1 FROM meta WHERE name = 'serving'").fetchone():
        row = pointer(ledger)
        documents.sweep_unpublished(ledger, row["serial"] if row else None)
        with transaction(ledger):
            ledger.execute("DELETE FROM meta WHERE name = 'serving'")


def is_snapshot(ledger: Connection, run: Run, changes: int) -> bool:
    """Whether a version's state is kept for good: that of the first of a line, and one where the changes since the
    last that was kept have become more than half of its customers."""
    if run.kind is not VersionKind.RUN:
        return False
    if run.base is None:
        return True
    if run.detached:
        return False
    number = run.base
    while True:
        row = ledger.execute(
            "SELECT v.base, v.changes, v.snapshot, v.header ->> '$.counts.customers' AS customers, r.kind "
            "FROM versions v JOIN runs r ON r.id = v.run WHERE v.number = ?",
            (number,),
        ).fetchone()
        if row["snapshot"]:
            return bool(changes > row["customers"] / 2)
        if row["kind"] != VersionKind.ROLLBACK:
            changes += row["changes"]
        number = row["base"]


def _end_interrupted(ledger: Connection, folder: Folder, alive: Collection[str]) -> None:
    left = ledger.execute("SELECT id FROM runs WHERE state = ?", (RunState.RUNNING,)).fetchall()
    dead = [(RunState.FAILED, '["interrupted"]', run) for (run,) in left if run not in alive]
    if dead:
        with transaction(ledger):
            for _, _, run in dead:
                integrity.drop_run(ledger, folder, run)
            ledger.executemany("UPDATE runs SET state = ?, reasons = ? WHERE id = ?", dead)


def _prune(ledger: Connection, folder: Folder) -> None:
    """Readers look into the ledger first, so a file goes only after the ledger has said so."""
    latest = json.dumps(kept(ledger))
    with transaction(ledger):
        for has, unless in (("has_state", "snapshot"), ("has_values", "false")):
            ledger.execute(
                f"UPDATE versions SET {has} = 0 "
                f"WHERE {has} AND NOT {unless} AND number NOT IN (SELECT value FROM json_each(?))",
                (latest,),
            )
        # A held run that can never be published any more can still be looked at, but nothing asks for its values.
        superseded = ledger.execute(
            "SELECT id FROM runs WHERE state = ? AND NOT detached AND base IS NOT (SELECT version FROM pointer)",
            (RunState.HELD,),
        )
        gone = [folder.values(run) for (run,) in superseded]
        for run, has_state, has_values in ledger.execute("SELECT run, has_state, has_values FROM versions"):
            gone += [] if has_state else [folder.state(run)]
            gone += [] if has_values else [folder.values(run)]
        integrity.drop(ledger, folder, gone)
    for path in gone:
        path.unlink(missing_ok=True)


def kept(ledger: Connection) -> list[int]:
    """The latest versions that have files of their own, and those since that share them; and those that the current
    one builds on."""
    rows = ledger.execute(
        "SELECT v.number, v.base, r.kind FROM versions v JOIN runs r ON r.id = v.run ORDER BY v.number DESC"
    ).fetchall()
    own = [row["number"] for row in rows if row["kind"] not in EDITS][:KEPT_FILES]
    latest = [row["number"] for row in rows if row["number"] >= min(own, default=0)]
    by_number = {row["number"]: row for row in rows}
    current = pointer(ledger)
    row = by_number[current["version"]] if current else None
    while row:
        latest.append(row["number"])
        row = by_number[row["base"]] if row["kind"] in EDITS else None
    return latest


def _remove_orphans(ledger: Connection, folder: Folder, alive: Collection[str]) -> None:
    """Folders that no run lies in: of those that came to nothing, and of what was written anew."""
    elsewhere = moved(ledger)
    states = {elsewhere.get(run, run): state for run, state in ledger.execute("SELECT id, state FROM runs")}
    for path in folder.runs.iterdir():
        if path.name in alive:
            continue
        if states.get(path.name) not in (RunState.PUBLISHED, RunState.HELD):
            shutil.rmtree(path, ignore_errors=True)
            continue
        if states[path.name] == RunState.HELD:
            for partial in path.glob(f"*{PARTIAL}"):
                partial.unlink(missing_ok=True)
    for path in folder.root.glob(f"{folder.moving.name}*"):
        path.unlink(missing_ok=True)
    pieces = {path for (path,) in ledger.execute("SELECT path FROM salt_pieces")}
    for path in folder.salts.iterdir():
        if folder.name(path) not in pieces:
            path.unlink(missing_ok=True)


def _merge_salts(ledger: Connection, folder: Folder) -> None:
    """Many small files of salts become one."""
    pieces = [path for (path,) in ledger.execute("SELECT path FROM salt_pieces ORDER BY path")]
    if len(pieces) <= salts.MOST_PIECES:
        return
    (number,) = ledger.execute("SELECT max(number) FROM versions").fetchone()
    merged = folder.salts / f"to-version-{number}.parquet"
    files = [integrity.intact(ledger, folder, folder.root / piece) for piece in pieces]
    with whole(merged) as partial:
        salts.merge(connect(), files, partial)
    with transaction(ledger):
        ledger.execute("DELETE FROM salt_pieces")
        ledger.execute("INSERT INTO salt_pieces VALUES (?)", (folder.name(merged),))
        integrity.record(ledger, folder, [merged])
        integrity.drop(ledger, folder, files)
    for file in files:
        file.unlink(missing_ok=True)
