"""The one writer of an embedded store: stages runs and makes versions of them."""

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import duckdb

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.planning.layout import Layout
from ruleengine.store import (
    archive,
    canonical,
    changes,
    dating,
    documents,
    editing,
    ledger,
    manual,
    memory,
    publishing,
    restoring,
    staging,
    state,
    sweeping,
    versions,
)
from ruleengine.store.comparing import clear, compare, name_tables
from ruleengine.store.duck import connect
from ruleengine.store.files import Folder, copy, whole
from ruleengine.store.ledger import Ledger, text_of, transaction, update_run
from ruleengine.store.names import Names
from ruleengine.store.publishing import SERIAL_STEP, Publication
from ruleengine.store.records import (
    Delta,
    Identity,
    Json,
    ManualWrite,
    Run,
    RunHeader,
    RunState,
    Version,
    VersionKind,
)
from ruleengine.store.refusals import RefusedError, detached, no_version, unknown_customer, unusable
from ruleengine.store.relations import Shape, holdings, read, widened
from ruleengine.store.steps import reach

_TOUCHED = "(SELECT customer FROM store_changed UNION ALL SELECT customer FROM store_moves)"


class EmbeddedWriter:
    """See `store.Writer`."""

    def __init__(
        self,
        folder: Folder,
        reader: Ledger,
        connection: sqlite3.Connection,
        identity: Identity,
        actor: str,
        clock: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._versions = reader
        self._ledger = connection
        self._identity = identity
        self._actor = actor
        self._clock = clock
        self._begun: dict[str, Run] = {}

    def __enter__(self) -> "EmbeddedWriter":
        with _io():
            sweeping.sweep(self._ledger, self._folder, self._clock(), alive=self._begun)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in list(self._begun.values()):
            # A disk that is full now is why it failed; the next writer finds the run and says so.
            with contextlib.suppress(ProblemError):
                self.fail(run, _reason(error))

    # -- runs --------------------------------------------------------------------------------------------

    def same_as_current(self, header: RunHeader) -> Version | None:
        current = self._current()
        return current if current and versions.repeats(current, header) else None

    def begin(self, header: RunHeader) -> Run:
        with _io():
            return self._begin(header, VersionKind.RUN, base=None)

    def _begin(self, header: RunHeader, kind: VersionKind, base: int | None) -> Run:
        run = self._new_run(header, kind, base)
        with transaction(self._ledger):
            ledger.add_run(self._ledger, run, header.texts)
        self._begun[run.id] = run
        self._folder.run(run.id).mkdir(parents=True)
        reach("run-begun")
        return run

    def _new_run(self, header: RunHeader, kind: VersionKind, base: int | None) -> Run:
        started = self._now()
        return Run(
            id=f"{started:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
            kind=kind,
            state=RunState.RUNNING,
            actor=self._actor,
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

    def fail(self, run: Run, reason: str) -> Run:
        with _io():
            return self._finish(run.id, RunState.FAILED, reasons=[reason])

    def hold(self, delta: Delta, reasons: Sequence[str], *, report: Json = None) -> Run:
        with _io():
            return self._finish(delta.run.id, RunState.HELD, reasons=reasons, report=report)

    def _finish(self, run_id: str, to: RunState, *, reasons: Sequence[str] = (), **fields: Json) -> Run:
        if "report" in fields:
            fields["report"] = canonical.dump(fields["report"])
        with transaction(self._ledger):
            update_run(
                self._ledger,
                run_id,
                state=to,
                finished_at=text_of(self._now()),
                reasons=canonical.dump(list(reasons)),
                **fields,
            )
        self._begun.pop(run_id, None)
        if to is not RunState.HELD:
            self._folder.remove_run(run_id)
        return versions.run(dict(ledger.run_row(self._ledger, run_id)))

    # -- staging -----------------------------------------------------------------------------------------

    def stage(self, run: Run, connection: duckdb.DuckDBPyConnection, layout: Layout) -> Delta:
        with _io():
            return self._stage(run, connection, layout)

    def _stage(self, run: Run, duck: duckdb.DuckDBPyConnection, layout: Layout) -> Delta:
        clear(duck)
        current = self._current()
        base, is_detached = current, False
        if current and run.header.as_of < current.as_of:
            is_detached = True
            number = ledger.in_force(self._ledger, run.header.as_of.isoformat())
            base = None if number is None else self._version(number)
        names = ledger.names(self._ledger).extended(layout)
        evidence = changes.Evidence(layout, names)
        name_tables(duck, names, evidence.extra)
        day = f"DATE '{run.header.as_of.isoformat()}'"

        staging.write_values(duck, self._folder.values(run.id))
        old = self._state(duck, base, names)
        new = f"(SELECT customer, {names.projection(layout)} FROM result_assignments)"
        comparison = compare(duck, new, old, names)
        customers = "store_changed"
        path = self._folder.state(run.id)
        if base is None or base.as_of < run.header.as_of:
            staging.write_state(duck, old, dating.from_base(duck, names, layout), names, day, path)
        else:
            number = ledger.before(self._ledger, run.header.as_of.isoformat())
            previous = None if number is None else self._version(number)
            before = self._state(duck, previous, names, table="store_before")
            differing = dating.from_earlier(duck, new, before, names, layout)
            staging.write_state(duck, before, differing, names, day, path)
            dating.add_redated(duck, read(path), old, names)
            customers = _TOUCHED
        remembered = staging.write_memory(duck, layout, names, path, self._folder.memory(run.id))
        counts = comparison.counts(
            base.counts if base else None,
            [tag.name for tag in layout.tags],
            {(ladder.kind, ladder.name): ladder.values for ladder in layout.ladders},
        )
        staged = replace(
            run,
            base=base.number if base else None,
            detached=is_detached,
            counts=counts,
            movement=comparison.movement,
        )
        with transaction(self._ledger):
            update_run(self._ledger, run.id, value_columns=archive.columns_text(layout.values))
        decided = changes.of_run(evidence, day)
        hands = tuple((each.kind, each.name, *each.formerly) for each in layout.memory.manual)
        self._finish_staging(
            staged, duck, names, decided, Shape.of(names), customers=customers, memory=remembered, hands=hands
        )
        clear(duck)
        return Delta(
            run=staged,
            base=base,
            detached=is_detached,
            counts=counts,
            movement=comparison.movement,
            moves=comparison.moves,
            before=base.counts.customers if base else 0,
            stayed=counts.customers - comparison.arrived,
        )

    def _finish_staging(
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
        hands: tuple[restoring.Hand, ...],
    ) -> None:
        """Write who came and went, new salts and the changes, and note in the ledger that the run is staged."""
        if run.base is not None:
            staging.write_arrivals(duck, self._folder.arrivals(run.id))
        sealed = self._seal(run, duck, customers, changes_sql, shape)
        with transaction(self._ledger):
            ledger.add_names(self._ledger, names)
            self._note(run, replace(sealed, memory=memory, overlay=overlay, hands=hands))
        reach("staged")

    def _note(self, run: Run, staged: versions.StagedFiles) -> None:
        """Write into the ledger what is known of a run once it is staged."""
        update_run(
            self._ledger,
            run.id,
            base=run.base,
            detached=int(run.detached),
            counts=run.counts and canonical.dump(asdict(run.counts)),
            movement=run.movement and canonical.dump(asdict(run.movement)),
            staged=versions.staged_text(staged),
        )

    def _seal(
        self, run: Run, duck: duckdb.DuckDBPyConnection, customers: str, changes_sql: str, shape: Shape
    ) -> versions.StagedFiles:
        """Write new salts, and changes with the leaves of the version that would come next."""
        number = 1 + (ledger.latest_number(self._ledger) or 0)
        path = self._folder.changes(run.id)
        staging.write_salts(duck, customers, self._salt_pieces(), self._folder.run_salts(run.id))
        staging.write_changes(duck, changes_sql, path, number)
        leaves, root = changes.root(duck, path)
        return versions.StagedFiles(number=number, leaves=leaves, root=root, words=shape.words, ladders=shape.ladders)

    def _salt_pieces(self) -> list[Path]:
        rows = self._ledger.execute("SELECT path FROM salt_pieces ORDER BY path")
        return [self._folder.root / path for (path,) in rows]

    # -- publishing --------------------------------------------------------------------------------------

    def publish(self, delta: Delta, *, report: Json = None, reason: str | None = None) -> Version:
        with _io():
            current = self._current()
            if current and not delta.detached and versions.repeats(current, delta.run.header):
                self._finish(delta.run.id, RunState.UNCHANGED, version=current.number, report=report)
                return current
            with transaction(self._ledger):
                update_run(self._ledger, delta.run.id, report=canonical.dump(report))
            return self._publish(delta.run.id, reason)

    def publish_held(self, run_id: str, reason: str) -> Version:
        _need(reason)
        with _io():
            row = ledger.run_row(self._ledger, run_id)
            if row["state"] != RunState.HELD:
                raise RefusedError(codes.run_not_held(None, run=run_id, state=row["state"]))
            return self._publish(run_id, reason)

    def rollback(self, number: int, reason: str) -> Version:
        _need(reason)
        with _io():
            target = self._version(number)
            current = self._current()
            if current is None:
                raise no_version()
            if target.detached:
                raise detached(number, target.as_of)
            if target.number == current.number:
                raise RefusedError(codes.version_current(None, version=number))
            return self._rollback(target, current, reason)

    def _rollback(self, target: Version, current: Version, reason: str) -> Version:
        names = ledger.names(self._ledger)
        duck = connect()
        name_tables(duck, names)
        was = self._row(target)
        there = restoring.hands(versions.staged(was["staged"]), versions.staged(self._row(current)["staged"]))
        back = self._state(duck, target, names, table="store_new")
        remembered = memory.of_version(self._ledger, self._folder, target.number)
        overlaid = restoring.differ(
            duck, self._ledger, there, current.as_of, target, back, remembered, names, self._key_type
        )
        # Rules that look at what is set by hand would not come to the same now.
        fingerprint = None if overlaid else target.fingerprint
        run = self._begin(_header(target, fingerprint), VersionKind.ROLLBACK, target.number)
        if overlaid:
            with whole(self._folder.overlay(run.id)) as path:
                restoring.write_overlay(duck, path)
            reach("overlay-renamed")
            state.fold(duck, "store_overlaid", back, [self._folder.overlay(run.id)], [], names)
            back = "store_overlaid"
        old = self._state(duck, current, names)
        comparison = compare(duck, back, old, names)
        dating.add_redated(duck, back, old, names)
        if was["has_values"]:
            copy(self._folder.values(target.run), self._folder.values(run.id))
        shape = Shape.of(names)
        if was["has_state"] and not overlaid:
            staged = versions.staged(was["staged"])
            shape = Shape(staged.words, staged.ladders)
            copy(self._folder.state(target.run), self._folder.state(run.id))
        else:
            with whole(self._folder.state(run.id)) as path:
                state.write(duck, back, path)
        reach("state-renamed")
        if remembering := restoring.remember(duck, remembered, self._key_type):
            with whole(self._folder.memory(run.id)) as path:
                memory.write(duck, "store_memory", path)
        with transaction(self._ledger):
            update_run(self._ledger, run.id, value_columns=was["value_columns"])
        counts = restoring.counts(comparison, current.counts, target.counts, there)
        staged_run = replace(run, counts=counts, movement=comparison.movement)
        relation = widened(read(self._folder.state(run.id)), shape, Shape.of(names))
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE store_state AS SELECT * FROM {relation} "
            f"WHERE customer IN (SELECT customer FROM store_moves)"
        )
        restored = changes.of_rollback(holdings("store_state", names))
        self._finish_staging(
            staged_run,
            duck,
            names,
            restored,
            shape,
            customers=_TOUCHED,
            memory=remembering,
            overlay=overlaid,
            hands=there,
        )
        return self._publish(run.id, reason)

    def set_manual(self, write: ManualWrite) -> Version:
        _need(write.reason)
        with _io():
            pointer = ledger.pointer(self._ledger)
            if pointer is None:
                raise no_version()
            current, serial = self._version(pointer["version"]), pointer["serial"]
            sweeping.sweep_serving(self._ledger)
            before = documents.document(self._ledger, write.customer, serial)
            if before is None:
                raise unknown_customer(write.customer, current.number)
            return self._set_manual(write, current, before, SERIAL_STEP + serial)

    def _set_manual(self, write: ManualWrite, current: Version, before: bytes, serial: int) -> Version:
        what: Json = {
            "kind": write.kind,
            "name": write.name,
            "value": write.value,
            "expires_on": write.expires_on.isoformat() if write.expires_on else None,
        }
        run = replace(
            self._new_run(_header(current, None), VersionKind.MANUAL, current.number),
            counts=editing.counts(current.counts, write.changes),
            movement=editing.movement(write.changes),
            report={**write.report, "manual": what},
        )
        self._folder.run(run.id).mkdir(parents=True)
        was = self._row(current)
        if was["has_values"]:
            copy(self._folder.values(current.run), self._folder.values(run.id))
        names = ledger.names(self._ledger)
        base = versions.staged(was["staged"])
        duck = connect()
        sql = editing.changes_sql(duck, write.changes, self._key_type)
        sealed = self._seal(run, duck, "store_moves", sql, Shape(base.words, base.ladders))
        remembering = 0
        if write.memory or memory.of_version(self._ledger, self._folder, current.number):
            with whole(self._folder.memory(run.id)) as path:
                remembering = editing.write_memory(duck, write.customer, write.memory, self._key_type, path)
            reach("memory-renamed")
        staged = replace(sealed, memory=remembering, hands=base.hands)

        def beside() -> None:
            ledger.add_run(self._ledger, run, {})
            self._note(run, staged)
            update_run(self._ledger, run.id, value_columns=was["value_columns"], report=canonical.dump(run.report))
            if write.changes:
                content = editing.document(before, write.changes)
                moves = editing.moves(names, write.changes)
                documents.write_one(self._ledger, write.customer, content, moves, serial)
            manual.add(self._ledger, [manual.entry(write, staged.number, current.as_of, self._actor)])

        return self._commit(self._publication(run, staged, current, write.reason), serial, beside)

    def _publish(self, run_id: str, reason: str | None) -> Version:
        row = ledger.run_row(self._ledger, run_id)
        run = versions.run(dict(row))
        current = self._current()
        self._refuse_superseded(run, current)
        number = 1 + (ledger.latest_number(self._ledger) or 0)
        staged = versions.staged(row["staged"])
        names = ledger.names(self._ledger)
        duck = connect()
        name_tables(duck, names)
        if staged.number != number:
            # Another version came between: the leaves are made again for the number that this one gets.
            path = self._folder.changes(run.id)
            shape = Shape(staged.words, staged.ladders)
            sealed = self._seal(run, duck, read(path), changes.again(path), shape)
            staged = replace(staged, number=number, leaves=sealed.leaves, root=sealed.root)
            with transaction(self._ledger):
                update_run(self._ledger, run.id, staged=versions.staged_text(staged))
        publication = self._publication(run, staged, current, reason)
        serial = None
        entries: list[manual.Entry] = []
        if not run.detached:
            pointer = ledger.pointer(self._ledger)
            serial = SERIAL_STEP + (pointer["serial"] if pointer else 0)
            entries = self._settle(duck, run, staged)
            publishing.serve(self._ledger, self._folder, duck, publication, names, serial)
        made = self._commit(publication, serial, lambda: manual.add(self._ledger, entries))
        self._begun.pop(run_id, None)
        with contextlib.suppress(sqlite3.Error, duckdb.Error, OSError):
            # It is published; what cannot be tidied now will be by the next writer.
            sweeping.sweep(self._ledger, self._folder, self._clock(), alive=self._begun)
        reach("swept")
        return made

    def _settle(self, duck: duckdb.DuckDBPyConnection, run: Run, staged: versions.StagedFiles) -> list[manual.Entry]:
        """What a version adds to the log of what is set by hand."""
        if run.kind is VersionKind.ROLLBACK:
            assert run.base is not None
            return restoring.restated(self._ledger, staged.hands, self._version(run.base), staged.number)
        known = read(self._folder.state(run.id))
        return manual.taken_away(self._ledger, duck, known, staged.number, run.header.as_of, self._actor)

    def _publication(
        self, run: Run, staged: versions.StagedFiles, current: Version | None, reason: str | None
    ) -> Publication:
        return Publication(
            run=run, staged=staged, current=current, reason=reason, actor=self._actor, identity=self._identity
        )

    def _commit(self, publication: Publication, serial: int | None, beside: Callable[[], None]) -> Version:
        reach("before-commit")
        number = publication.staged.number
        previous = self._version(number - 1) if number > 1 else None
        made = publishing.commit(self._ledger, self._folder, publication, serial, previous, self._now(), beside)
        reach("committed")
        return made

    def _refuse_superseded(self, run: Run, current: Version | None) -> None:
        if run.kind is VersionKind.ROLLBACK:
            return
        holds = current.number if current else None
        if run.detached:
            holds = ledger.in_force(self._ledger, run.header.as_of.isoformat())
        if run.base != holds:
            if run.base is None:
                raise RefusedError(codes.run_compared_with_nothing(None, run=run.id))
            raise RefusedError(codes.run_superseded(None, run=run.id, base=run.base))

    # -- small things ------------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _version(self, number: int) -> Version:
        return self._versions.version(self._ledger, number)

    def _current(self) -> Version | None:
        row = ledger.pointer(self._ledger)
        return self._version(row["version"]) if row else None

    def _state(
        self, duck: duckdb.DuckDBPyConnection, version: Version | None, names: Names, table: str = "store_folded"
    ) -> str:
        number = version.number if version else None
        return state.of_version(duck, self._ledger, self._folder, number, names, key_type=self._key_type, table=table)

    @property
    def _key_type(self) -> str:
        return "BIGINT" if self._identity.has_integer_keys else "VARCHAR"

    def _row(self, version: Version) -> sqlite3.Row:
        """What the ledger knows of a version's files."""
        return self._ledger.execute(  # type: ignore[no-any-return]
            "SELECT v.has_state, v.has_values, r.value_columns, r.staged FROM versions v "
            "JOIN runs r ON r.id = v.run WHERE v.number = ?",
            (version.number,),
        ).fetchone()


def _header(version: Version, fingerprint: str | None) -> RunHeader:
    """Of a version with the answers of another."""
    return RunHeader(
        as_of=version.as_of,
        ruleset_hash=version.ruleset_hash,
        texts={},
        parameters=version.parameters,
        fingerprint=fingerprint,
        engine=version.engine,
        git_commit=version.git_commit,
        git_author=version.git_author,
    )


@contextmanager
def _io() -> Iterator[None]:
    """A disk that is full or cannot be written makes a problem of its own."""
    try:
        yield
    except (OSError, sqlite3.OperationalError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise unusable(error) from error


def _need(reason: str) -> None:
    if not reason.strip():
        raise RefusedError(codes.reason_missing(None))


def _reason(error: BaseException | None) -> str:
    match error:
        case None:
            return "neither published nor held"
        case ProblemError():
            return "; ".join(
                " ".join([problem.code.name, *(f"{name}={value}" for name, value in problem.facts.items())])
                for problem in error.problems
            )
        case _:
            return f"{type(error).__name__}: {error}".rstrip(": ")
