"""The one writer of a store in Postgres: it holds an advisory lock, and each of its steps is a transaction."""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import psycopg

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.planning.layout import Layout
from ruleengine.store import canonical, naming, versions
from ruleengine.store.book import Book
from ruleengine.store.desk import new_run
from ruleengine.store.postgres import forgetting, publishing, restoring, runs, staging, sweeping, transfer
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session, lock, lock_key, opened, unlock
from ruleengine.store.records import (
    Delta,
    Identity,
    Json,
    Key,
    ManualWrite,
    Run,
    RunHeader,
    RunState,
    Version,
    VersionKind,
)
from ruleengine.store.refusals import (
    RefusedError,
    StoreUnusableError,
    no_version,
    refuse_rollback,
    unknown_customer,
)
from ruleengine.store.steps import reach
from ruleengine.store.store import Tables
from ruleengine.store.versions import moment_text
from ruleengine.store.writer import ended, need, reason_of


class PostgresWriter:
    """See `store.Writer`."""

    def __init__(
        self, session: Session, identity: Identity, actor: str, clock: Callable[[], float], folder: Path, book: Book
    ) -> None:
        self._session = session
        self._ledger = Ledger(session)
        self._identity = identity
        self._actor = actor
        self._clock = clock
        self._folder = folder
        self._book = book
        self._begun: dict[str, Run] = {}

    def __enter__(self) -> "PostgresWriter":
        lock(self._session, self._actor)
        sweeping.sweep(self._session, alive=())
        with suppress(ProblemError):
            forgetting.tidy(self._session)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for run in list(self._begun.values()):
            # Where the connection is lost, the next writer finds the run and says so.
            with suppress(ProblemError):
                self.fail(run, reason_of(error))
        # The server may take a while to notice that the connection ends, and the next writer is not to wait for that.
        with suppress(ProblemError):
            unlock(self._session)

    # -- runs --------------------------------------------------------------------------------------------

    def same_as_current(self, header: RunHeader) -> Version | None:
        current = self._ledger.current()
        return current if current and versions.repeats(current, header) else None

    def begin(self, header: RunHeader, run_id: str | None = None) -> Run:
        run = new_run(header, VersionKind.RUN, None, self._actor, self._now(), run_id)
        with self._session.transaction():
            runs.add(self._session, run, header.texts)
        self._begun[run.id] = run
        reach("run-begun")
        return run

    def fail(self, run: Run, reason: str, *, cancelled: bool = False) -> Run:
        return self._finish(run.id, ended(cancelled), reasons=[reason])

    def hold(self, delta: Delta, reasons: Sequence[str], *, report: Json = None) -> Run:
        return self._finish(delta.run.id, RunState.HELD, reasons=reasons, report=canonical.dump(report))

    def _finish(self, run_id: str, to: RunState, *, reasons: Sequence[str] = (), **fields: object) -> Run:
        with self._session.transaction():
            # An interruption may come between a commit and our knowing of it.
            if self._ledger.run(run_id).state is RunState.RUNNING:
                runs.update(
                    self._session,
                    run_id,
                    state=to.value,
                    finished_at=moment_text(self._now()),
                    reasons=canonical.dump(list(reasons)),
                    **fields,
                )
                if to is not RunState.HELD:
                    sweeping.remove(self._session, [run_id])
        self._begun.pop(run_id, None)
        return self._ledger.run(run_id)

    # -- staging -----------------------------------------------------------------------------------------

    def stage(self, run: Run, connection: Tables, layout: Layout) -> Delta:
        if isinstance(connection, psycopg.Connection):
            lent = Session(connection, self._session.profile)
            with lent.lent():
                delta = staging.stage(lent, run, layout)
            reach("before-staged")
            lent.run("COMMIT")
        else:
            with self._session.transaction(), transfer.lifted(self._session, connection, layout, self._folder):
                delta = staging.stage(self._session, run, layout)
                reach("before-staged")
        reach("staged")
        return delta

    # -- publishing --------------------------------------------------------------------------------------

    def publish(self, delta: Delta, *, report: Json = None, reason: str | None = None) -> Version:
        current = self._ledger.current()
        if current and not delta.detached and versions.repeats(current, delta.run.header):
            self._finish(delta.run.id, RunState.UNCHANGED, version=current.number, report=canonical.dump(report))
            return current
        with self._session.transaction():
            runs.update(self._session, delta.run.id, report=canonical.dump(report))
        return self._publish(delta.run.id, reason)

    def publish_held(self, run_id: str, reason: str) -> Version:
        need(reason)
        state = self._ledger.run_row(run_id)["state"]
        if state != RunState.HELD:
            raise RefusedError(codes.run_not_held(None, run=run_id, state=state))
        return self._publish(run_id, reason)

    def _publish(self, run_id: str, reason: str | None) -> Version:
        made = self._committed(lambda: run_id, reason)
        self._begun.pop(run_id, None)
        with suppress(ProblemError):
            # It is published; what cannot be tidied now will be by the next writer.
            sweeping.sweep(self._session, alive=self._begun)
        reach("swept")
        return made

    def rollback(self, number: int, reason: str) -> Version:
        need(reason)
        target = self._ledger.version(number)
        current = self._ledger.current()
        if current is None:
            raise no_version()
        refuse_rollback(target, current)
        return self._committed(
            lambda: restoring.rollback(self._session, target, current, self._actor, self._now()).id, reason
        )

    def set_manual(self, write: ManualWrite) -> Version:
        need(write.reason)
        naming.refuse(write.reason, [write.customer])
        current = self._ledger.current()
        if current is None:
            raise no_version()
        known = f"SELECT 1 FROM {self._session.schema}.customers WHERE customer = %s AND to_version IS NULL"
        if self._session.row(known, write.customer) is None:
            raise unknown_customer(write.customer, current.number)
        return self._committed(
            lambda: restoring.set_manual(self._session, write, current, self._actor, self._now()).id, write.reason
        )

    def forget(self, customers: Sequence[Key], reason: str) -> Version:
        need(reason)
        naming.refuse(reason, customers)
        current = self._ledger.current()
        if current is None:
            raise no_version()
        whom = list(dict.fromkeys(customers))
        made = self._committed(
            lambda: forgetting.forget(self._session, whom, current, self._actor, self._now(), self._book).id, reason
        )
        with suppress(ProblemError):
            # They are forgotten; what cannot be tidied now will be by the next writer.
            forgetting.tidy(self._session)
        return made

    def _committed(self, stage: Callable[[], str], reason: str | None) -> Version:
        """The version that a run makes, which is staged in the transaction that publishes it, or was before."""
        made = None
        try:
            with self._session.transaction():
                run_id = stage()
                made = publishing.publish(self._session, run_id, reason, self._actor, self._identity, self._now())
        except StoreUnusableError as error:
            if made is None or not self._session.connection.closed:
                raise
            # The answer to COMMIT is lost, and with it whether it was done.
            if not self._is_there(made, error):
                raise
        reach("committed")
        return made

    def _is_there(self, made: Version, error: StoreUnusableError) -> bool:
        try:
            session = opened(self._session.profile)
            with closing(session.connection):
                # Whoever has the lock after us, our old connection is at its end.
                session.run(f"SELECT pg_advisory_lock({lock_key(session)})")
                asked = f"SELECT hash FROM {session.schema}.versions WHERE number = %s"
                return bool(session.row(asked, made.number) == (made.hash,))
        except StoreUnusableError:
            reason = error.problems[0].facts["reason"]
            problem = codes.version_in_doubt(self._session.profile.span, version=made.number, reason=reason)
            raise StoreUnusableError(problem) from error

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
