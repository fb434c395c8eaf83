"""Runs and plans that a server is asked for: asked, looked at, cancelled; and runs of everybody, however they began."""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from tempfile import mkstemp
from typing import Any

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.schema import Manifest
from ruleengine.store.jobs import AT_ONCE, Job, JobKind, Jobs, cancelled, failed
from ruleengine.store.records import Counts, Identity, Movement, Run, RunState, VersionKind
from ruleengine.store.refusals import NotThereError, unusable
from ruleengine.store.store import Store
from ruleengine.verbs import opening
from ruleengine.verbs.published import identity_for

MOST_SAID = 20_000
"""So many bytes of what the process of a job says are kept for the log."""
LAST_WORDS = 20
"""Seconds that jobs have to end in when their server is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """A run as it is now, from the moment that it was asked for."""

    id: str
    kind: VersionKind
    state: RunState
    phase: str | None
    """What it does; None where it is over, or not known."""
    step: str | None
    phases: tuple[Mapping[str, Any], ...]
    """Those that are over: `name`, and how many `seconds` it took."""
    as_of: date
    ruleset_hash: str | None
    """None before the rules are checked."""
    base: int | None
    version: int | None
    reasons: tuple[str, ...]
    actor: str
    started_at: datetime
    finished_at: datetime | None
    counts: Counts | None
    movement: Movement | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStatus:
    """A plan as it is now; fields that it has in common with a run mean the same."""

    id: str
    state: str
    """`running`, `done`, `failed` or `cancelled`."""
    phase: str | None
    step: str | None
    phases: tuple[Mapping[str, Any], ...]
    as_of: date
    reasons: tuple[str, ...]
    actor: str
    started_at: datetime
    finished_at: datetime | None


# -- asking ------------------------------------------------------------------------------------------------


def identity_by(manifest: Manifest) -> Identity:
    """What the store will hold by the rules as they lie there; ProblemError where they are wrong."""
    return identity_for(opening.opened_where_it_lies(manifest.directory).ruleset)


def make(store: Store, identity: Identity, actor: str) -> None:
    """A store for this, where there is none yet: what is asked of a server is kept in it."""
    with store.writer(actor, identity):
        pass


def ask_run(store: Store, as_of: date, parameters: Mapping[str, str], actor: str) -> Job:
    """A run that waits for its process; BusyError or StoreLockedError where another one is at work."""
    jobs = Jobs(store.book)
    jobs.refuse_busy("run")
    store.refuse_busy()
    return _asked(jobs, "run", actor, {"as_of": as_of.isoformat(), "set": dict(parameters)})


def ask_plan(
    store: Store,
    as_of: date,
    parameters: Mapping[str, str],
    actor: str,
    *,
    files: Mapping[str, str] | None,
    metric: str | None,
    samples: int,
) -> Job:
    """A plan likewise. Without `files`, rule texts by name, it is of the ruleset as it lies there."""
    asked = {
        "as_of": as_of.isoformat(),
        "set": dict(parameters),
        "files": files and dict(files),
        "metric": metric,
        "samples": samples,
    }
    return _asked(Jobs(store.book), "plan", actor, asked)


def _asked(jobs: Jobs, kind: JobKind, actor: str, asked: Mapping[str, Any]) -> Job:
    job = jobs.new(kind, actor, asked)
    jobs.add(job, at_most=AT_ONCE[kind])
    return job


def cancel(store: Store, kind: JobKind, job_id: str, actor: str, reason: str) -> bool:
    """Ask a job to end; False where it is over, or where what it came to is being kept."""
    jobs = Jobs(store.book)
    job = _found(jobs, kind, job_id)
    return not job.is_over and jobs.cancel(job, actor, reason)


# -- looking -----------------------------------------------------------------------------------------------


def runs(store: Store, limit: int) -> tuple[RunStatus, ...]:
    """The latest first: those that the store knows, and those that never came so far."""
    jobs = {job.id: job for job in Jobs(store.book).latest("run", limit)}
    begun = {run.id: run for run in store.runs(limit)}
    every = [_status(begun.get(each), jobs.get(each)) for each in {**begun, **jobs}]
    return tuple(sorted(every, key=lambda run: (run.started_at, run.id), reverse=True)[:limit])


def run(store: Store, run_id: str) -> tuple[RunStatus, Any]:
    """A run, and what it told at its end: its report, or `problems`; None where nothing is kept of that."""
    jobs = Jobs(store.book)
    job = jobs.find(run_id)
    if job is not None and job.kind != "run":
        job = None
    try:
        begun = store.run(run_id)
    except NotThereError:
        if job is None:
            raise
        begun = None
    return _status(begun, job), jobs.result(job) if job else None


def plan(store: Store, plan_id: str) -> tuple[PlanStatus, Any]:
    """A plan, and what it told at its end: its report, or `problems`."""
    jobs = Jobs(store.book)
    job = _found(jobs, "plan", plan_id)
    outcome = job.outcome or {"state": "running", "reasons": []}
    status = PlanStatus(
        id=job.id,
        state=outcome["state"],
        **_progress(job),
        as_of=date.fromisoformat(job.asked["as_of"]),
        reasons=tuple(outcome["reasons"]),
        actor=job.actor,
        started_at=job.asked_at,
        finished_at=job.finished_at,
    )
    return status, jobs.result(job)


def _found(jobs: Jobs, kind: JobKind, job_id: str) -> Job:
    job = jobs.find(job_id)
    if job is None or job.kind != kind:
        raise NotThereError(codes.run_unknown(None, run=job_id))
    return job


def _status(begun: Run | None, job: Job | None) -> RunStatus:
    """Of a run, or its job, or both."""
    progress = _progress(job) if job else {"phase": None, "step": None, "phases": ()}
    outcome = job.outcome if job else None
    if begun is None:
        assert job is not None
        state = RunState(outcome["state"]) if outcome else RunState.RUNNING
        return RunStatus(
            id=job.id,
            kind=VersionKind.RUN,
            state=state,
            **progress,
            as_of=date.fromisoformat(job.asked["as_of"]),
            ruleset_hash=None,
            base=None,
            version=outcome.get("version") if outcome else None,
            reasons=tuple(outcome["reasons"]) if outcome else (),
            actor=job.actor,
            started_at=job.asked_at,
            finished_at=job.finished_at,
            counts=None,
            movement=None,
        )
    told: dict[str, Any] = {"state": begun.state.value, "reasons": begun.reasons, "version": begun.version}
    if job is not None and outcome is None:
        # Its process has not told all yet.
        told = {"state": RunState.RUNNING.value, "reasons": (), "version": None}
    elif outcome is not None and begun.state is RunState.RUNNING:
        # Its process died, which the store learns only when somebody writes next.
        told = {**told, **outcome}
    return RunStatus(
        id=begun.id,
        kind=begun.kind,
        state=RunState(told["state"]),
        **progress,
        as_of=begun.header.as_of,
        ruleset_hash=begun.header.ruleset_hash,
        base=begun.base,
        version=told["version"],
        reasons=tuple(told["reasons"]),
        actor=begun.actor,
        started_at=job.asked_at if job else begun.started_at,
        finished_at=begun.finished_at or (job.finished_at if job else None),
        counts=begun.counts,
        movement=begun.movement,
    )


def _progress(job: Job) -> dict[str, Any]:
    known = job.progress or {"phase": "starting", "step": None, "phases": ()}
    return {
        "phase": None if job.is_over else known["phase"] or "starting",
        "step": None if job.is_over else known["step"],
        "phases": tuple(known["phases"]),
    }


# -- processes ---------------------------------------------------------------------------------------------


class Processes:
    """The processes of the jobs that a server was asked for. They are its children, and end with it where it can."""

    LOOK_EVERY = 0.1

    def __init__(self, store: Store, manifest: Manifest, profile: str) -> None:
        self._jobs = Jobs(store.book)
        # From the ruleset's folder, so that what it tells of files names no place on the server; with -P nothing that
        # lies there is taken for a module.
        self._folder = manifest.directory.absolute()
        self._command = [sys.executable, "-P", "-m", "ruleengine.verbs.working", ".", profile]
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._said: dict[str, int] = {}
        """By job a file without a name, for what its process says."""
        self._changing = threading.Lock()
        self._watch: threading.Thread | None = None

    def start(self, job: Job) -> None:
        with self._changing:
            try:
                self._said[job.id], name = mkstemp()
                os.unlink(name)
                self._running[job.id] = subprocess.Popen(
                    [*self._command, job.id],
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._said[job.id],
                    # Ctrl-C is for the server, which then cancels its jobs. In a session of its own it would get as
                    # much of the processors as the server, however nice it is (see sched(7), autogroup).
                    process_group=0,
                )
            except OSError as error:
                if (said := self._said.pop(job.id, None)) is not None:
                    os.close(said)
                self._jobs.finish(job, failed(f"no process: {error.strerror}"))
                raise unusable(error) from error
            if self._watch is None:
                self._watch = threading.Thread(target=self._wait, name="jobs", daemon=True)
                self._watch.start()

    def stop(self) -> None:
        """Cancel what is at work, and wait until all is told."""
        with self._changing:
            left = list(self._running)
        for job_id in left:
            if (job := self._jobs.find(job_id)) is not None:
                self._jobs.cancel(job, "server", "it was stopped")
        until = time.monotonic() + LAST_WORDS
        while self._running and time.monotonic() < until:
            time.sleep(self.LOOK_EVERY)
        for process in list(self._running.values()):
            process.kill()
        while self._running:
            time.sleep(self.LOOK_EVERY)

    def _wait(self) -> None:
        while True:
            for job_id, process in list(self._running.items()):
                if process.poll() is None:
                    continue
                with suppress(ProblemError):  # Then it is told as one whose process died.
                    self._tell(job_id, process.returncode)
                self._log(job_id)
                with self._changing:
                    del self._running[job_id]
                    if not self._running:
                        self._watch = None
                        return
            time.sleep(self.LOOK_EVERY)

    def _log(self, job_id: str) -> None:
        """What a process says is a mistake of ours, or of a library: the rest is told with the job."""
        said = self._said.pop(job_id)
        if text := os.pread(said, MOST_SAID, 0).decode(errors="replace").strip():
            logging.getLogger(__name__).error("job %s: %s", job_id, text)
        os.close(said)

    def _tell(self, job_id: str, code: int) -> None:
        """How a process ended that did not say so itself."""
        job = self._jobs.find(job_id)
        if job is not None and job.finished_at is None:
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            by = job.cancelled
            self._jobs.finish(job, failed(f"its process ended with {how}") if by is None else cancelled(by))
