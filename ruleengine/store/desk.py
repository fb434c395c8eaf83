"""What everything that makes a version has at hand, and the way of a run from its beginning to its commit."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from ruleengine.store import (
    canonical,
    carried,
    changes,
    integrity,
    ledger,
    manual,
    publishing,
    sqlite,
    staging,
    state,
    sweeping,
    versions,
)
from ruleengine.store.comparing import name_tables
from ruleengine.store.duck import connect
from ruleengine.store.files import Folder
from ruleengine.store.jobs import new_id
from ruleengine.store.ledger import Ledger, update_run
from ruleengine.store.names import Names
from ruleengine.store.publishing import SERIAL_STEP, Publication
from ruleengine.store.records import Identity, Json, Run, RunHeader, RunState, Version, VersionKind
from ruleengine.store.refusals import refuse_superseded
from ruleengine.store.relations import Shape, read
from ruleengine.store.sqlite import Connection, Row, transaction
from ruleengine.store.steps import reach
from ruleengine.store.versions import moment_text


class Desk:
    """Who writes into which store. It is there while the lock is held."""

    def __init__(
        self,
        folder: Folder,
        reader: Ledger,
        connection: Connection,
        identity: Identity,
        actor: str,
        clock: Callable[[], float],
    ) -> None:
        self.folder = folder.at(ledger.moved(connection))
        self.reader = reader
        self.ledger = connection
        self.identity = identity
        self.actor = actor
        self._clock = clock
        self.begun: dict[str, Run] = {}
        """Runs that are neither published, held nor failed yet."""

    # -- runs --------------------------------------------------------------------------------------------

    def begin(self, header: RunHeader, kind: VersionKind, base: int | None, run_id: str | None = None) -> Run:
        run = self.new_run(header, kind, base, run_id)
        with transaction(self.ledger):
            ledger.add_run(self.ledger, run, header.texts)
        self.begun[run.id] = run
        self.folder.run(run.id).mkdir(parents=True)
        reach("run-begun")
        return run

    def new_run(self, header: RunHeader, kind: VersionKind, base: int | None, run_id: str | None = None) -> Run:
        return new_run(header, kind, base, self.actor, self.now(), run_id)

    def finish(self, run_id: str, to: RunState, *, reasons: Sequence[str] = (), **fields: Json) -> Run:
        """Of a run that is at work; any other stays as it is."""
        if "report" in fields:
            fields["report"] = canonical.dump(fields["report"])
        with transaction(self.ledger):
            # An interruption may come between a commit and our knowing of it.
            is_running = ledger.run_row(self.ledger, run_id)["state"] == RunState.RUNNING
            if is_running:
                update_run(
                    self.ledger,
                    run_id,
                    state=to,
                    finished_at=moment_text(self.now()),
                    reasons=canonical.dump(list(reasons)),
                    **fields,
                )
                if to is not RunState.HELD:
                    integrity.drop_run(self.ledger, self.folder, run_id)
        self.reader.see(self.ledger)
        self.begun.pop(run_id, None)
        if is_running and to is not RunState.HELD:
            self.folder.remove_run(run_id)
        return versions.run(dict(ledger.run_row(self.ledger, run_id)))

    # -- staging -----------------------------------------------------------------------------------------

    def finish_staging(
        self,
        run: Run,
        duck: duckdb.DuckDBPyConnection,
        names: Names,
        changes_sql: str,
        shape: Shape,
        *,
        customers: str = "store_changed",
        memory: int,
        overlay: int = 0,
        hands: tuple[versions.Hand, ...],
        linked: Mapping[Path, Path] | None = None,
    ) -> None:
        """Write who came and went, new salts and the changes, and note in the ledger that the run is staged."""
        if run.base is not None:
            staging.write_arrivals(duck, self.folder.arrivals(run.id))
        sealed = self.seal(run, duck, customers, changes_sql, shape)
        staged = self.carry(run, duck, replace(sealed, memory=memory, overlay=overlay, hands=hands))
        with transaction(self.ledger):
            ledger.add_names(self.ledger, names)
            self.note(run, staged, linked)
        reach("staged")

    def note(self, run: Run, staged: versions.StagedFiles, linked: Mapping[Path, Path] | None = None) -> None:
        """Write into the ledger what is known of a run once it is staged. `linked` are those of its files that are
        another's under a second name."""
        integrity.record_run(self.ledger, self.folder, run.id, linked)
        update_run(
            self.ledger,
            run.id,
            base=run.base,
            detached=int(run.detached),
            counts=run.counts and canonical.dump(asdict(run.counts)),
            movement=run.movement and canonical.dump(asdict(run.movement)),
            staged=versions.staged_text(staged),
        )

    def seal(
        self, run: Run, duck: duckdb.DuckDBPyConnection, customers: str, changes_sql: str, shape: Shape
    ) -> versions.StagedFiles:
        """Write new salts, and changes with the leaves of the version that would come next."""
        number = 1 + (ledger.latest_number(self.ledger) or 0)
        path = self.folder.changes(run.id)
        staging.write_salts(duck, customers, self._salt_pieces(), self.folder.run_salts(run.id))
        staging.write_changes(duck, changes_sql, path, number)
        leaves, root = changes.root(duck, path)
        return versions.StagedFiles(number=number, leaves=leaves, root=root, words=shape.words, ladders=shape.ladders)

    def carry(self, run: Run, duck: duckdb.DuckDBPyConnection, staged: versions.StagedFiles) -> versions.StagedFiles:
        """Seal what the run hands on to the next one."""
        return carried.seal(duck, self.folder, run.id, run.kind, run.base, staged)

    def _salt_pieces(self) -> list[Path]:
        rows = self.ledger.execute("SELECT path FROM salt_pieces ORDER BY path")
        return [integrity.intact(self.ledger, self.folder, self.folder.root / path) for (path,) in rows.fetchall()]

    # -- publishing --------------------------------------------------------------------------------------

    def publish(self, run_id: str, reason: str | None) -> Version:
        row = ledger.run_row(self.ledger, run_id)
        run = versions.run(dict(row))
        current = self.current()
        refuse_superseded(run, current, lambda day: ledger.in_force(self.ledger, day.isoformat()))
        integrity.check_run(self.ledger, self.folder, run.id)
        number = 1 + (ledger.latest_number(self.ledger) or 0)
        staged = versions.staged(row["staged"])
        names = ledger.names(self.ledger)
        duck = connect()
        name_tables(duck, names)
        if staged.number != number:
            # Another version came between: the leaves are made again for the number that this one gets.
            path = self.folder.changes(run.id)
            sealed_again = [path, self.folder.run_salts(run.id)]
            with transaction(self.ledger):
                integrity.drop(self.ledger, self.folder, sealed_again)
            shape = Shape(staged.words, staged.ladders)
            sealed = self.seal(run, duck, read(path), changes.again(path), shape)
            staged = replace(staged, number=number, leaves=sealed.leaves, root=sealed.root)
            with transaction(self.ledger):
                integrity.record(self.ledger, self.folder, filter(Path.exists, sealed_again))
                update_run(self.ledger, run.id, staged=versions.staged_text(staged))
        publication = self.publication(run, staged, current, reason)
        serial = None
        entries: list[manual.Entry] = []
        if not run.detached:
            pointer = ledger.pointer(self.ledger)
            serial = SERIAL_STEP + (pointer["serial"] if pointer else 0)
            entries = self._settle(duck, run, staged)
            publishing.serve(self.ledger, self.folder, duck, publication, names, serial)
        made = self.commit(publication, serial, lambda: manual.add(self.ledger, entries))
        self.begun.pop(run_id, None)
        with contextlib.suppress(sqlite.Error, duckdb.Error, OSError):
            # It is published; what cannot be tidied now will be by the next writer.
            self.sweep()
        reach("swept")
        return made

    def _settle(self, duck: duckdb.DuckDBPyConnection, run: Run, staged: versions.StagedFiles) -> list[manual.Entry]:
        """What a version adds to the log of what is set by hand."""
        if run.kind is VersionKind.ROLLBACK:
            assert run.base is not None
            return manual.restated(self.ledger, staged.hands, self.version(run.base), staged.number)
        known = read(self.folder.state(run.id))
        return manual.taken_away(self.ledger, duck, known, staged.number, run.header.as_of, self.actor)

    def publication(
        self, run: Run, staged: versions.StagedFiles, current: Version | None, reason: str | None
    ) -> Publication:
        return Publication(
            run=run, staged=staged, current=current, reason=reason, actor=self.actor, identity=self.identity
        )

    def commit(self, publication: Publication, serial: int | None, beside: Callable[[], None]) -> Version:
        reach("before-commit")
        number = publication.staged.number
        previous = self.version(number - 1) if number > 1 else None
        made = publishing.commit(self.ledger, self.folder, publication, serial, previous, self.now(), beside)
        reach("committed")
        self.reader.see(self.ledger)
        reach("noted")
        return made

    def sweep(self) -> None:
        sweeping.sweep(self.ledger, self.folder, self._clock(), alive=self.begun)

    # -- small things ------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def version(self, number: int) -> Version:
        return self.reader.version(self.ledger, number)

    def current(self) -> Version | None:
        row = ledger.pointer(self.ledger)
        return self.version(row["version"]) if row else None

    def state(
        self, duck: duckdb.DuckDBPyConnection, version: Version | None, names: Names, table: str = "store_folded"
    ) -> str:
        number = version.number if version else None
        return state.of_version(
            duck, self.ledger, self.folder, number, names, key_type=self.identity.key_sql, table=table
        )

    def row(self, version: Version) -> Row:
        """What the ledger knows of a version's files."""
        row: Row = self.ledger.execute(
            "SELECT v.has_state, v.has_values, r.value_columns, r.staged FROM versions v "
            "JOIN runs r ON r.id = v.run WHERE v.number = ?",
            (version.number,),
        ).fetchone()
        return row


def header_of(version: Version, fingerprint: str | None) -> RunHeader:
    """Of a version with the answers of another."""
    return RunHeader(
        as_of=version.as_of,
        ruleset_hash=version.ruleset_hash,
        timezone=version.timezone,
        texts={},
        parameters=version.parameters,
        fingerprint=fingerprint,
        engine=version.engine,
        git_commit=version.git_commit,
        git_author=version.git_author,
    )


def new_run(
    header: RunHeader, kind: VersionKind, base: int | None, actor: str, started: datetime, run_id: str | None = None
) -> Run:
    """A run that has just begun."""
    return Run(
        id=run_id or new_id(started),
        kind=kind,
        state=RunState.RUNNING,
        actor=actor,
        started_at=started,
        finished_at=None,
        header=replace(header, texts={}),
        base=base,
        detached=False,
        counts=None,
        movement=None,
        report=None,
        version=None,
        reasons=(),
    )
