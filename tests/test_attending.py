"""A job hears that it is cancelled, and is told as cancelled, whatever else goes wrong over it."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.store.book import FileBook
from ruleengine.store.jobs import Job, Jobs
from ruleengine.verbs.attending import attended
from ruleengine.verbs.computing import Clock
from ruleengine.verbs.outcome import CancelledError


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(FileBook(tmp_path / "jobs.db", tmp_path / "jobs"))


@pytest.fixture
def job(jobs: Jobs) -> Job:
    made = jobs.new("run", "ana", {"as_of": "2026-03-31", "set": {}})
    jobs.add(made)
    return made


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["heard", "ignored"])
def ctrl_c(request: pytest.FixtureRequest) -> Iterator[object]:
    """What a process does at Ctrl-C: nothing, if a script began it in the background."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("breaks", [False, True])
def test_who_is_cancelled_ends_as_cancelled(jobs: Jobs, job: Job, ctrl_c: object, breaks: bool) -> None:
    def work() -> None:
        with attended(jobs, job, Clock()):
            assert jobs.cancel(job, "ben", "a mistake")
            try:
                time.sleep(30)
            except KeyboardInterrupt:
                if breaks:
                    raise ProblemError(codes.database_lost(None, reason="The server is gone.")) from None
                raise

    with pytest.raises(CancelledError):
        work()

    found = jobs.find(job.id)
    assert found is not None
    assert found.outcome == {"state": "cancelled", "reasons": ["ben: a mistake"]}
    assert signal.getsignal(signal.SIGINT) is ctrl_c
