"""What is kept of runs and plans while they are at work, and afterwards."""

from datetime import UTC, datetime, timedelta

import pytest

from ruleengine.store.jobs import KEPT, BusyError, Job, Jobs
from ruleengine.store.store import Store
from tests.store.tables import IDENTITY

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
DONE = {"state": "done", "reasons": []}


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def after(self, span: timedelta) -> None:
        self.now += span


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def jobs(store: Store, clock: Clock) -> Jobs:
    with store.writer("tests", IDENTITY):
        pass  # which makes the store
    return Jobs(store.book, clock)


def added(jobs: Jobs, kind: str = "run", at_most: int | None = None) -> Job:
    job = jobs.new("plan" if kind == "plan" else "run", "ana", {"as_of": "2026-04-01"})
    jobs.add(job, at_most=at_most)
    return job


def state(jobs: Jobs, job: Job) -> object:
    found = jobs.find(job.id)
    assert found is not None
    return found.outcome and (found.outcome["state"], found.outcome["reasons"])


def test_a_job_begins_soon_or_never(jobs: Jobs, clock: Clock) -> None:
    job = added(jobs)
    clock.after(timedelta(seconds=50))
    assert state(jobs, job) is None
    with pytest.raises(BusyError) as busy:
        added(jobs, at_most=1)
    assert busy.value.job.id == job.id

    clock.after(timedelta(seconds=11))

    assert state(jobs, job) == ("failed", ["its process never began"])
    jobs.refuse_busy("run")
    added(jobs, at_most=1)
    assert state(jobs, job) == ("failed", ["its process never began"])


def test_a_job_is_at_work_as_long_as_its_process_holds_on(jobs: Jobs, clock: Clock) -> None:
    job = added(jobs)
    with jobs.begun(job):
        clock.after(timedelta(days=2))
        jobs.note(job, {"phase": "computing"})
        found = jobs.find(job.id)
        assert found is not None
        assert (found.progress, found.outcome) == ({"phase": "computing"}, None)
        with pytest.raises(BusyError):
            jobs.refuse_busy("run")
        jobs.refuse_busy("plan")

    assert state(jobs, job) == ("failed", ["its process died"])
    jobs.refuse_busy("run")


def test_either_it_is_cancelled_or_it_is_kept(jobs: Jobs) -> None:
    first, second = added(jobs), added(jobs)
    with jobs.begun(first), jobs.begun(second):
        assert jobs.cancel(first, "ana", "a mistake")
        assert jobs.cancel(first, "ben", "too")
        assert not jobs.settle(first)
        assert jobs.cancelled(first) == {"actor": "ana", "reason": "a mistake"}

        assert jobs.settle(second)
        assert not jobs.cancel(second, "ana", "a mistake")
        assert jobs.cancelled(second) is None
        jobs.finish(second, DONE, {"rows": 3})
    assert state(jobs, first) == ("cancelled", ["ana: a mistake"])
    assert not jobs.cancel(second, "ana", "a mistake")


def test_the_first_outcome_counts(jobs: Jobs) -> None:
    job = added(jobs)
    with jobs.begun(job):
        jobs.finish(job, DONE, {"rows": 3})
        jobs.finish(job, {"state": "failed", "reasons": ["later"]})

    assert state(jobs, job) == ("done", [])
    assert jobs.result(job) == {"rows": 3}


def test_plans_are_kept_for_a_day_and_the_latest_of_them(jobs: Jobs, clock: Clock) -> None:
    most, age = KEPT["plan"]
    plans = []
    for _ in range(most + 2):
        plans.append(added(jobs, "plan"))
        jobs.finish(plans[-1], DONE, {"customers": [17]})
        clock.after(timedelta(seconds=1))
    run = added(jobs)
    jobs.finish(run, DONE)

    assert [jobs.find(job.id) is None for job in plans[:3]] == [True, True, False]
    clock.after(age)
    assert all(jobs.find(job.id) is None for job in plans)
    assert jobs.find(run.id) is not None
    added(jobs)
    assert jobs.result(plans[-1]) is None
    assert jobs.latest("plan", 100) == []
