"""Work that is asked for and then done in a process of its own, while whoever asked looks at it: runs and plans."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import Response

from ruleengine.store.jobs import Job, JobKind
from ruleengine.store.store import Store
from ruleengine.verbs import jobs
from ruleengine.verbs.jobs import PlanStatus, Processes, RunStatus
from ruleengine.verbs.shapes import as_json

from . import problems
from .provenance import NOW, Published, dumped

_SOON = {**NOW, "retry-after": "1"}


@dataclass(frozen=True, slots=True)
class Work:
    """Of one kind, as it is answered."""

    kind: JobKind
    find: Callable[[Store, str], tuple[RunStatus | PlanStatus, Any]]
    published: Published
    processes: Processes

    async def told(self, job_id: str, status: int = 200) -> Response:
        """How far it is, and at its end its report or what was wrong."""
        state, result = await self.published.slowly(self.find, self.published.store, job_id)
        wrong = result is not None and result.keys() == {"problems"}
        outcome = {"problems": result["problems"] if wrong else [], "report": None if wrong else result}
        headers = NOW if status == 200 else {**_SOON, "location": f"/v1/{self.kind}s/{job_id}"}
        return Response(dumped({**as_json(state), **outcome}), status, headers, "application/json")

    async def begun(self, job: Job) -> Response:
        await self.published.slowly(self.processes.start, job)
        return await self.told(job.id, 202)

    async def cancelled(self, job_id: str, who: str, reason: str) -> Response:
        state, _ = await self.published.slowly(self.find, self.published.store, job_id)
        if not await self.published.slowly(jobs.cancel, self.published.store, self.kind, job_id, who, reason):
            raise problems.too_late(job=job_id, state=str(state.state))
        return await self.told(job_id, 202)
