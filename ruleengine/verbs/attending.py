"""A job at work: others see how far it is, and may cancel it."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import Any

from ruleengine.diagnostics.messages import wording
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.diagnostics.render import render_json
from ruleengine.store.jobs import Job, Jobs, cancelled, failed
from ruleengine.store.records import Identity
from ruleengine.store.refusals import StoreLockedError
from ruleengine.store.store import Store, Writer
from ruleengine.verbs.computing import Clock
from ruleengine.verbs.outcome import CancelledError
from ruleengine.verbs.shapes import as_json

LOOK_EVERY = 0.2
"""Seconds between looks at whether a job was cancelled."""
PATIENCE = 3.0
"""Seconds that one waits for somebody else who writes, for most do so briefly."""


class Attempt:
    """At work without anybody who looks."""

    run_id: str | None = None
    """Of the run that it makes."""
    cancelled: Mapping[str, str] | None = None
    """By whom (`actor`) and why (`reason`); told by a KeyboardInterrupt."""

    def settle(self) -> None:
        """Ask to keep what it came to; KeyboardInterrupt where it was cancelled, and afterwards it cannot be."""


class Attended(Attempt):
    """An attempt whose job others look at, and may cancel."""

    def __init__(self, jobs: Jobs, job: Job, clock: Clock) -> None:
        self.run_id = job.id
        self.outcome: Mapping[str, Any] = failed("it came to no end")
        self.result: Mapping[str, Any] | None = None
        self._jobs = jobs
        self._job = job
        self._clock = clock
        self._over = threading.Event()
        self._deciding = threading.Lock()
        self._is_decided = threading.current_thread() is not threading.main_thread()
        """Nobody cancels it any more; and elsewhere than in the main thread nobody could be told."""
        self._thread = threading.Thread(target=self._look, name=f"job {job.id}", daemon=True)
        self._before = signal.getsignal(signal.SIGINT)

    def __enter__(self) -> "Attended":
        if self._before is signal.SIG_IGN and not self._is_decided:
            # What a script begins in the background is deaf to Ctrl-C; it hears who cancels it all the same.
            signal.signal(signal.SIGINT, self._heeded)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._before is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._before)

    def _heeded(self, number: int, frame: FrameType | None) -> None:
        if self.cancelled is not None:
            raise KeyboardInterrupt

    def settle(self) -> None:
        with self._deciding:
            self._is_decided = True
            if not self._jobs.settle(self._job):
                self.cancelled = self._jobs.cancelled(self._job)
                raise KeyboardInterrupt

    def ended(self, outcome: Mapping[str, Any], result: Mapping[str, Any] | None) -> None:
        """What the job came to."""
        self.outcome, self.result = outcome, result

    def _look(self) -> None:
        noted: Mapping[str, Any] | None = None
        while not self._over.is_set():
            with suppress(ProblemError):  # of a store that cannot be asked right now
                if (progress := self.progress) != noted:
                    self._jobs.note(self._job, progress)
                    noted = progress
                if not self._is_decided:
                    self._heed()
            self._over.wait(LOOK_EVERY)

    def _heed(self) -> None:
        by = self._jobs.cancelled(self._job)
        with self._deciding:
            if by is not None and not self._is_decided:
                self._is_decided = True
                self.cancelled = by
                os.kill(os.getpid(), signal.SIGINT)

    @property
    def progress(self) -> Mapping[str, Any]:
        clock = self._clock
        return {"phase": clock.under_way, "step": clock.step, "phases": as_json(tuple(clock.phases))}


@contextmanager
def attended(jobs: Jobs, job: Job, clock: Clock) -> Iterator[Attended]:
    """Within, the job is at work, and how far it is, by the clock, is kept for whoever asks. So is how it ended.

    CancelledError where somebody cancelled it.
    """
    with ExitStack() as stack:
        stack.enter_context(jobs.begun(job))
        attempt = stack.enter_context(Attended(jobs, job, clock))
        try:
            yield attempt
        except (KeyboardInterrupt, ProblemError) as error:
            if attempt.cancelled is not None:  # A connection that broke over it may have had the last word.
                attempt.ended(cancelled(attempt.cancelled), None)
                raise CancelledError(attempt.cancelled) from None
            if isinstance(error, ProblemError):
                reasons = [wording(problem).message for problem in error.problems]
                attempt.ended(failed(*reasons), {"problems": render_json(error.problems)})
            else:
                attempt.ended(failed("stopped"), None)
            raise
        except BaseException as error:
            attempt.ended(failed(f"internal error ({type(error).__name__})"), None)
            raise
        finally:
            with suppress(ProblemError):  # Then it is told as one whose process died.
                jobs.note(job, attempt.progress)
                jobs.finish(job, attempt.outcome, attempt.result)


@contextmanager
def patiently(store: Store, actor: str, identity: Identity) -> Iterator[Writer]:
    """The one writer, once others are done who write briefly; StoreLockedError where that takes too long."""
    until = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        entered: list[Writer] = []
        while not entered:
            try:
                entered.append(stack.enter_context(store.writer(actor, identity)))
            except StoreLockedError:
                if time.monotonic() > until:
                    raise
                time.sleep(LOOK_EVERY)
        yield entered[0]
