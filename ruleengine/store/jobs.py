"""Work that takes its time, in a process of its own: what was asked, how far it is, and what came of it.

A job whose process died says so by itself: from its beginning on that process holds a lock of the job's name. Whether
a job is cancelled or does what it was asked to is decided in one place, by the first of `cancel` and `settle`.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ruleengine.store import naming
from ruleengine.store.book import Book, Rows
from ruleengine.store.versions import moment, moment_text

JobKind = Literal["run", "plan"]

WITHIN = timedelta(minutes=1)
"""So soon the process of a job begins, or never will."""
KEPT: Mapping[JobKind, tuple[int, timedelta]] = {
    "run": (1000, timedelta(days=400)),
    "plan": (50, timedelta(days=1)),
}
"""How many jobs that are over are kept, and for how long. What a plan tells names customers."""
AT_ONCE: Mapping[JobKind, int] = {"run": 1, "plan": 1}

_COLUMNS = "id, kind, actor, asked, asked_at, begun_at, progress, cancelled, settled_at, finished_at, outcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What was asked, and what is known of it."""

    id: str
    kind: JobKind
    actor: str
    asked: Mapping[str, Any]
    asked_at: datetime
    begun_at: datetime | None = None
    progress: Mapping[str, Any] | None = None
    cancelled: Mapping[str, str] | None = None
    """`actor` and `reason`."""
    settled_at: datetime | None = None
    """It cannot be cancelled any more: what it came to is being kept."""
    finished_at: datetime | None = None
    outcome: Mapping[str, Any] | None = None
    """`state`, `reasons`, and of a run `version`."""

    @property
    def is_over(self) -> bool:
        return self.outcome is not None


class BusyError(Exception):
    """As many jobs of a kind are at work as may be."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.id)
        self.job = job
        """One of them."""


class Jobs:
    """The jobs of a store."""

    def __init__(self, book: Book, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._book = book
        self._now = clock

    def new(self, kind: JobKind, actor: str, asked: Mapping[str, Any]) -> Job:
        """A job that nobody knows of yet."""
        now = self._now()
        return Job(id=new_id(now), kind=kind, actor=actor, asked=asked, asked_at=now)

    def refuse_busy(self, kind: JobKind) -> None:
        """BusyError where as many of a kind are at work as may be."""
        sql = f"SELECT {_COLUMNS} FROM jobs WHERE kind = ? AND finished_at IS NULL"
        with self._book.reading() as rows:
            found = [_job(row) for row in rows(sql, kind)] if rows else []
        at_work = [job for job in map(self._told, found) if not job.is_over]
        if len(at_work) >= AT_ONCE[kind]:
            raise BusyError(at_work[0])

    def add(self, job: Job, *, at_most: int | None = None) -> None:
        """Make a job known; BusyError where `at_most` others of its kind are at work already."""
        with self._book.writing() as rows:
            self._tidy(rows)
            if at_most is not None:
                sql = f"SELECT {_COLUMNS} FROM jobs WHERE kind = ? AND finished_at IS NULL"
                others = [_job(row) for row in rows(sql, job.kind)]
                if len(others) >= at_most:
                    raise BusyError(others[0])
            rows(
                "INSERT INTO jobs (id, kind, actor, asked, asked_at) VALUES (?, ?, ?, ?, ?)",
                job.id,
                job.kind,
                job.actor,
                _text(job.asked),
                moment_text(job.asked_at),
            )

    def find(self, job_id: str) -> Job | None:
        """As it is now: one whose process died is over. None of one that is not kept any more."""
        with self._book.reading() as rows:
            found = rows(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", job_id) if rows and "\0" not in job_id else []
        job = _job(found[0]) if found else None
        return self._told(job) if job is not None and self._is_kept(job) else None

    def latest(self, kind: JobKind, limit: int) -> Sequence[Job]:
        """The latest first, each as it is now."""
        sql = f"SELECT {_COLUMNS} FROM jobs WHERE kind = ? ORDER BY asked_at DESC, id DESC LIMIT ?"
        with self._book.reading() as rows:
            found = [_job(row) for row in rows(sql, kind, limit)] if rows else []
        return [self._told(job) for job in found]

    # -- for the process that does it --------------------------------------------------------------------

    @contextmanager
    def begun(self, job: Job) -> Iterator[None]:
        """Within, the job is at work. At the end it has an outcome, or has died."""
        with self._book.held(job.id):
            with self._book.writing() as rows:
                rows("UPDATE jobs SET begun_at = ? WHERE id = ?", moment_text(self._now()), job.id)
            yield

    def note(self, job: Job, progress: Mapping[str, Any]) -> None:
        """Keep how far it is."""
        with self._book.writing() as rows:
            rows("UPDATE jobs SET progress = ? WHERE id = ?", _text(progress), job.id)

    def cancelled(self, job: Job) -> Mapping[str, str] | None:
        """By whom it was cancelled meanwhile, and why."""
        with self._book.reading() as rows:
            found = rows("SELECT cancelled FROM jobs WHERE id = ?", job.id) if rows else []
        return _value(found[0][0]) if found else None

    def settle(self, job: Job) -> bool:
        """Whether what it came to may be kept: from then on it cannot be cancelled, unless it already is."""
        with self._book.writing() as rows:
            sql = "UPDATE jobs SET settled_at = ? WHERE id = ? AND cancelled IS NULL RETURNING id"
            return bool(rows(sql, moment_text(self._now()), job.id))

    def finish(self, job: Job, outcome: Mapping[str, Any], result: Mapping[str, Any] | None = None) -> None:
        """The first outcome counts. `result` is all that there is to tell, for `result`."""
        with self._book.writing() as rows:
            _finish(rows, job, outcome, self._now(), result)

    # -- for everybody -----------------------------------------------------------------------------------

    def cancel(self, job: Job, actor: str, reason: str) -> bool:
        """Ask its process to end; False where it is over, or what it came to is being kept. Once is enough."""
        told = _text({"actor": actor, "reason": reason})
        with self._book.writing() as rows:
            rows(
                "UPDATE jobs SET cancelled = ? WHERE id = ? AND cancelled IS NULL AND settled_at IS NULL", told, job.id
            )
            sql = "SELECT id FROM jobs WHERE id = ? AND cancelled IS NOT NULL AND finished_at IS NULL"
            return bool(rows(sql, job.id))

    def result(self, job: Job) -> Any:
        """What it told at its end; None where it came to nothing."""
        with self._book.reading() as rows:
            found = rows("SELECT result FROM jobs WHERE id = ?", job.id) if rows else []
        return _value(found[0][0]) if found else None

    def forget(self, names: re.Pattern[str]) -> None:
        """Keep nothing that names customers: no plan, for it shows some, and of runs no word that does. A plan that is
        at work finds itself gone, and ends."""
        with self._book.reading() as rows:
            if rows is None:
                return
        with self._book.writing() as rows:
            rows("DELETE FROM jobs WHERE kind = 'plan'")
            for job_id, outcome, result in rows("SELECT id, outcome, result FROM jobs WHERE outcome IS NOT NULL"):
                told = _value(outcome)
                told["reasons"] = naming.unnamed(told["reasons"], names)
                kept = None if naming.is_said(_value(result), names) else result
                if (_text(told), kept) != (outcome, result):
                    rows("UPDATE jobs SET outcome = ?, result = ? WHERE id = ?", _text(told), kept, job_id)

    # -- small things ------------------------------------------------------------------------------------

    def _tidy(self, rows: Rows) -> None:
        """Say of jobs that died that they did, and forget what need not be kept."""
        now = self._now()
        for row in rows(f"SELECT {_COLUMNS} FROM jobs WHERE finished_at IS NULL"):
            job = _job(row)
            if (died := self._died(job)) is not None:
                _finish(rows, job, died, now)
        for kind, (most, age) in KEPT.items():
            rows("DELETE FROM jobs WHERE kind = ? AND finished_at < ?", kind, moment_text(now - age))
            over = "SELECT id FROM jobs WHERE kind = ? AND finished_at IS NOT NULL ORDER BY asked_at DESC, id DESC"
            for (job_id,) in rows(over, kind)[most:]:
                rows("DELETE FROM jobs WHERE id = ?", job_id)

    def _is_kept(self, job: Job) -> bool:
        return job.finished_at is None or self._now() - job.finished_at < KEPT[job.kind][1]

    def _told(self, job: Job) -> Job:
        if job.is_over or self._died(job) is None:
            return job
        # It may have come to its end since it was read.
        with self._book.reading() as rows:
            found = rows(f"SELECT {_COLUMNS} FROM jobs WHERE id = ?", job.id) if rows else []
        again = _job(found[0]) if found else job
        return again if again.is_over else replace(again, outcome=self._died(again))

    def _died(self, job: Job) -> Mapping[str, Any] | None:
        """The outcome of a job whose process is not there any more."""
        if job.begun_at is None and self._now() - job.asked_at < WITHIN:
            return None
        if job.begun_at is not None and self._book.is_held(job.id):
            return None
        if job.cancelled is not None:
            return cancelled(job.cancelled)
        return failed("its process never began" if job.begun_at is None else "its process died")


def new_id(now: datetime) -> str:
    """Ids that are in the order of time, and name no customer."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def failed(*reasons: str) -> Mapping[str, Any]:
    """The outcome of a job that came to nothing."""
    return {"state": "failed", "reasons": list(reasons)}


def cancelled(by: Mapping[str, str]) -> Mapping[str, Any]:
    """The outcome of a job that somebody ended."""
    return {"state": "cancelled", "reasons": [f"{by['actor']}: {by['reason']}"]}


def _finish(
    rows: Rows, job: Job, outcome: Mapping[str, Any], now: datetime, result: Mapping[str, Any] | None = None
) -> None:
    sql = "UPDATE jobs SET finished_at = ?, outcome = ?, result = ? WHERE id = ? AND finished_at IS NULL"
    rows(sql, moment_text(now), _text(outcome), None if result is None else _text(result), job.id)


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _value(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _job(row: Sequence[Any]) -> Job:
    id_, kind, actor, asked, asked_at, begun_at, progress, cancelled, settled_at, finished_at, outcome = row
    return Job(
        id=id_,
        kind=kind,
        actor=actor,
        asked=_value(asked),
        asked_at=datetime.fromisoformat(asked_at),
        begun_at=moment(begun_at),
        progress=_value(progress),
        cancelled=_value(cancelled),
        settled_at=moment(settled_at),
        finished_at=moment(finished_at),
        outcome=_value(outcome),
    )
