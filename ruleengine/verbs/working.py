"""The process of a job that a server was asked for: `python -m ruleengine.verbs.working RULESET PROFILE JOB`."""

import os
import sys
from datetime import date
from pathlib import Path

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.diagnostics.render import render_json
from ruleengine.store.jobs import Jobs
from ruleengine.verbs import opening, plan, published, run
from ruleengine.verbs.attending import attended
from ruleengine.verbs.computing import Clock
from ruleengine.verbs.shapes import as_json

PATIENT = 10
"""How much more readily the system turns to whoever answers readers (see nice(1))."""


def work(path: Path, profile: str, job_id: str) -> None:
    """Do what was asked, by the rules and data as they are now, and keep with the job what it came to."""
    with published.opened(path, profile) as (manifest, store):
        jobs = Jobs(store.book)
        job = jobs.find(job_id)
        if job is None or job.is_over:
            return
        clock = Clock()
        with attended(jobs, job, clock) as attempt:
            if job.kind == "run":
                made = run.run_as(job, path, profile, store, attempt, clock)
                attempt.ended(run.outcome_of(made), run.kept(made))
                return
            asked = job.asked
            with clock.phase("checking"):
                opened = (
                    opening.opened_texts(manifest, asked["files"], asked["set"], asked["metric"])
                    if asked["files"]
                    else opening.opened(path, asked["set"], asked["metric"])
                )
            found = plan.plan_in(
                store,
                opened,
                profile,
                date.fromisoformat(asked["as_of"]),
                metric=asked["metric"],
                samples=asked["samples"],
                clock=clock,
            )
            attempt.settle()
            told = {**as_json(found), "warnings": render_json(found.warnings)}
            attempt.ended({"state": "done", "reasons": []}, told)


def give_way() -> None:
    """Leave a processor to readers, and take less of the others than they."""
    os.nice(PATIENT)
    if sys.platform == "linux":
        processors = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, processors[1:] or processors)


if __name__ == "__main__":
    give_way()
    try:
        work(Path(sys.argv[1]), *sys.argv[2:])
    except (ProblemError, KeyboardInterrupt):
        sys.exit(1)  # What is wrong is told with the job.
