"""How a staged run becomes a version: rows that nobody sees yet, and then one small transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import duckdb

from ruleengine.store import documents, sweeping, versions
from ruleengine.store.files import Folder
from ruleengine.store.ledger import insert, update_run
from ruleengine.store.names import Names
from ruleengine.store.records import Identity, Run, RunState, Version
from ruleengine.store.relations import Shape, read, widened
from ruleengine.store.sqlite import Connection, transaction
from ruleengine.store.steps import reach
from ruleengine.store.versions import moment_text

SERIAL_STEP = 1 << 20  # Leaves room for small writes that come while a run is under way.


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    run: Run
    staged: versions.StagedFiles
    current: Version | None
    """The version that is current until now."""
    reason: str | None
    actor: str
    identity: Identity


def serve(
    ledger: Connection,
    folder: Folder,
    duck: duckdb.DuckDBPyConnection,
    publication: Publication,
    names: Names,
    serial: int,
) -> None:
    """Write the rows that are served. The ledger says so first, so that they are taken away if this does not end."""
    run, staged = publication.run, publication.staged
    sweeping.sweep_serving(ledger)
    with transaction(ledger):
        ledger.execute("INSERT OR REPLACE INTO meta VALUES ('serving', ?)", (run.id,))
    reach("serving-begun")
    # The commit syncs the whole log, these batches included.
    ledger.execute("PRAGMA synchronous = NORMAL")
    try:
        documents.write(
            ledger,
            duck,
            state=widened(read(folder.state(run.id)), Shape(staged.words, staged.ladders), Shape.of(names)),
            changes=read(folder.changes(run.id)),
            arrivals=read(folder.arrivals(run.id)) if publication.current else None,
            names=names,
            serial=serial,
        )
    finally:
        ledger.execute("PRAGMA synchronous = FULL")


def commit(
    ledger: Connection,
    folder: Folder,
    publication: Publication,
    serial: int | None,
    previous: Version | None,
    now: datetime,
    beside: Callable[[], None] = lambda: None,
) -> Version:
    """The commit point, and what else is written with it. Without a serial the version is detached, and the pointer
    stays."""
    run, staged, current = publication.run, publication.staged, publication.current
    assert run.counts is not None
    assert run.movement is not None
    previous_hash = previous.hash if previous else None
    header = versions.version_header_text(
        run=run,
        staged=staged,
        replaces=None if run.detached or current is None else current.number,
        counts=run.counts,
        movement=run.movement,
        report=run.report,
        reason=publication.reason,
        actor=publication.actor,
        created_at=now,
        identity=publication.identity,
    )
    made = versions.sealed(header, previous_hash, staged.root)
    row = {
        "number": made.number,
        "run": run.id,
        "base": run.base,
        "detached": int(run.detached),
        "serial": serial,
        "as_of": made.as_of.isoformat(),
        "header": header,
        "previous_hash": previous_hash,
        "root": staged.root,
        "hash": made.hash,
        "changes": staged.leaves,
        "snapshot": int(sweeping.is_snapshot(ledger, run, staged.leaves)),
        "has_state": int(folder.state(run.id).exists()),
        "has_values": int(folder.values(run.id).exists()),
    }
    with transaction(ledger):
        beside()
        insert(ledger, "versions", row)
        if (salts := folder.run_salts(run.id)).exists():
            ledger.execute("INSERT INTO salt_pieces VALUES (?)", (folder.name(salts),))
        if serial is not None:
            ledger.execute(
                "UPDATE versions SET superseded_at = ? WHERE number = (SELECT version FROM pointer)",
                (now.timestamp(),),
            )
            ledger.execute(
                "INSERT INTO pointer VALUES (1, :version, :serial, :serial) "
                "ON CONFLICT (one) DO UPDATE SET version = :version, serial = :serial",
                {"version": made.number, "serial": serial},
            )
            ledger.execute("DELETE FROM meta WHERE name = 'serving'")
        update_run(ledger, run.id, state=RunState.PUBLISHED, finished_at=moment_text(now), version=made.number)
    return made
