"""The one writer of an embedded store: what may be done, and who is told if it cannot."""

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

import duckdb

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.planning.layout import Layout
from ruleengine.store import (
    canonical,
    documents,
    editing,
    forgetting,
    ledger,
    naming,
    restoring,
    running,
    sqlite,
    sweeping,
    versions,
)
from ruleengine.store.book import Book
from ruleengine.store.desk import Desk
from ruleengine.store.files import LEDGER
from ruleengine.store.ledger import update_run
from ruleengine.store.publishing import SERIAL_STEP
from ruleengine.store.records import Delta, Json, Key, ManualWrite, Run, RunHeader, RunState, Version, VersionKind
from ruleengine.store.refusals import RefusedError, no_version, of_sqlite, refuse_rollback, unknown_customer, unusable
from ruleengine.store.sqlite import transaction
from ruleengine.store.steps import reach
from ruleengine.store.store import Tables


class EmbeddedWriter:
    """See `store.Writer`."""

    def __init__(self, desk: Desk, book: Book) -> None:
        self._desk = desk
        self._book = book

    def __enter__(self) -> "EmbeddedWriter":
        with told():
            self._desk.sweep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in list(self._desk.begun.values()):
            # A disk that is full now is why it failed; the next writer finds the run and says so.
            with contextlib.suppress(ProblemError):
                self.fail(run, reason_of(error))

    # -- runs --------------------------------------------------------------------------------------------

    def same_as_current(self, header: RunHeader) -> Version | None:
        current = self._desk.current()
        return current if current and versions.repeats(current, header) else None

    def begin(self, header: RunHeader, run_id: str | None = None) -> Run:
        with told():
            return self._desk.begin(header, VersionKind.RUN, None, run_id)

    def fail(self, run: Run, reason: str, *, cancelled: bool = False) -> Run:
        with told():
            return self._desk.finish(run.id, ended(cancelled), reasons=[reason])

    def hold(self, delta: Delta, reasons: Sequence[str], *, report: Json = None) -> Run:
        with told():
            return self._desk.finish(delta.run.id, RunState.HELD, reasons=reasons, report=report)

    # -- staging -----------------------------------------------------------------------------------------

    def stage(self, run: Run, connection: Tables, layout: Layout) -> Delta:
        assert isinstance(connection, duckdb.DuckDBPyConnection)
        with told():
            return running.stage(self._desk, run, connection, layout)

    # -- publishing --------------------------------------------------------------------------------------

    def publish(self, delta: Delta, *, report: Json = None, reason: str | None = None) -> Version:
        with told():
            current = self._desk.current()
            if current and not delta.detached and versions.repeats(current, delta.run.header):
                self._desk.finish(delta.run.id, RunState.UNCHANGED, version=current.number, report=report)
                return current
            with transaction(self._desk.ledger):
                update_run(self._desk.ledger, delta.run.id, report=canonical.dump(report))
            return self._desk.publish(delta.run.id, reason)

    def publish_held(self, run_id: str, reason: str) -> Version:
        need(reason)
        with told():
            row = ledger.run_row(self._desk.ledger, run_id)
            if row["state"] != RunState.HELD:
                raise RefusedError(codes.run_not_held(None, run=run_id, state=row["state"]))
            return self._desk.publish(run_id, reason)

    def rollback(self, number: int, reason: str) -> Version:
        need(reason)
        with told():
            target = self._desk.version(number)
            current = self._desk.current()
            if current is None:
                raise no_version()
            refuse_rollback(target, current)
            return restoring.rollback(self._desk, target, current, reason)

    def set_manual(self, write: ManualWrite) -> Version:
        need(write.reason)
        naming.refuse(write.reason, [write.customer])
        with told():
            pointer = ledger.pointer(self._desk.ledger)
            if pointer is None:
                raise no_version()
            current, serial = self._desk.version(pointer["version"]), pointer["serial"]
            sweeping.sweep_serving(self._desk.ledger)
            before = documents.document(self._desk.ledger, write.customer, serial)
            if before is None:
                raise unknown_customer(write.customer, current.number)
            return editing.publish(self._desk, write, current, before, SERIAL_STEP + serial)

    def forget(self, customers: Sequence[Key], reason: str) -> Version:
        need(reason)
        naming.refuse(reason, customers)
        with told():
            pointer = ledger.pointer(self._desk.ledger)
            if pointer is None:
                raise no_version()
            sweeping.sweep_serving(self._desk.ledger)
            current = self._desk.version(pointer["version"])
            whom, serial = list(dict.fromkeys(customers)), pointer["serial"]
            made = forgetting.publish(self._desk, whom, current, serial, reason, self._book)
            with contextlib.suppress(sqlite.Error, duckdb.Error, OSError):
                # They are forgotten; what cannot be tidied now will be by the next writer.
                self._desk.sweep()
            reach("swept")
            return made


@contextmanager
def told() -> Iterator[None]:
    """A disk that is full or cannot be written makes a problem of its own."""
    try:
        yield
    except sqlite.UNUSABLE as error:
        raise of_sqlite(error, LEDGER) from error
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise unusable(error) from error


def ended(cancelled: bool) -> RunState:
    return RunState.CANCELLED if cancelled else RunState.FAILED


def need(reason: str) -> None:
    if not reason.strip():
        raise RefusedError(codes.reason_missing(None))


def reason_of(error: BaseException | None) -> str:
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
