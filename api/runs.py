"""Runs: asked for, looked at, cancelled; those that were held, published all the same; and versions rolled back."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.diagnostics.render import render_json
from ruleengine.store.jobs import BusyError
from ruleengine.store.records import Version
from ruleengine.verbs import jobs
from ruleengine.verbs import versions as verbs
from ruleengine.verbs.jobs import Processes
from ruleengine.verbs.shapes import as_json

from . import parameters, problems
from .models.common import Why
from .models.jobs import NewRun, RunInFull, Runs
from .models.operate import Publication
from .once import KINDS, IdempotencyKey, Once
from .openapi import ACCEPTED, refusals
from .provenance import NOW, Published, dumped
from .work import Work
from .writing import Desk, actor

Limit = Annotated[int, Query(ge=1, le=1000, description="The most runs; the latest come first.")]
OF_BODIES = (
    problems.parameter_unknown,
    problems.parameter_invalid,
    problems.body_unreadable,
    problems.body_late,
    problems.body_too_large,
    problems.body_invalid,
    *KINDS,
)
_WRITTEN = (*OF_BODIES, problems.refused, problems.writer_busy, problems.version_moved)


def router(published: Published, desk: Desk, once: Once, processes: Processes) -> APIRouter:
    routes = APIRouter(tags=["operate"])
    store = published.store
    work = Work("run", jobs.run, published, processes)

    def told(version: Version) -> Response:
        provenance = published.of(version.number)
        body = {**provenance.members, "kind": version.kind.value, "actor": version.actor, "reason": version.reason}
        headers = {**NOW, "etag": provenance.etag}
        return Response(dumped(body), headers=headers, media_type="application/json")

    async def store_is_there(who: str) -> None:
        """Before the first run there may be none."""
        if await published.slowly(store.identity) is None:
            try:
                identity = await published.slowly(jobs.identity_by, published.manifest)
            except ProblemError as error:
                raise problems.rules_invalid({"problems": render_json(error.problems)}) from None
            await desk.write(jobs.make, store, identity, who)

    @routes.get(
        "/v1/runs",
        response_model=Runs,
        operation_id="listRuns",
        summary="Runs, and what they came to",
        description=(
            "The latest first, however they began: running, held, published, unchanged, failed or cancelled, and why."
        ),
        responses=refusals(problems.parameter_unknown, problems.parameter_invalid),
        dependencies=[Depends(parameters.only("limit"))],
    )
    async def runs(limit: Limit = 100) -> Response:
        found = await published.slowly(jobs.runs, store, limit)
        body = {"runs": [_short(as_json(run)) for run in found]}
        return Response(dumped(body), headers=NOW, media_type="application/json")

    @routes.post(
        "/v1/runs",
        response_model=RunInFull,
        status_code=202,
        operation_id="startRun",
        summary="Tag every customer",
        description=(
            "By the rules and the data that the server's ruleset has then, in a process of its own: readers stay on "
            "the last version until it is published. One run is at work at a time."
        ),
        responses=ACCEPTED | refusals(*OF_BODIES, problems.refused, problems.rules_invalid, problems.writer_busy),
        dependencies=[Depends(parameters.only())],
    )
    async def start(request: Request, body: NewRun, idempotency_key: IdempotencyKey = None) -> Response:
        who = actor(request, body.actor)

        async def answer() -> Response:
            try:
                job = await desk.write(jobs.ask_run, store, body.as_of or published.today(), body.set, who)
            except BusyError as error:
                holder = {"actor": error.job.actor, "since": as_json(error.job.asked_at), "run": error.job.id}
                raise problems.busy(problems.writer_busy, holder) from None
            return await work.begun(job)

        await store_is_there(who)
        return await once.answered(request, idempotency_key, answer)

    @routes.get(
        "/v1/runs/{run:segment}",
        response_model=RunInFull,
        operation_id="readRun",
        summary="One run",
        description="How far it is; what it would change, also while it is held; and its report.",
        responses=refusals(
            problems.path_unreadable, problems.parameter_unknown, problems.parameter_invalid, problems.run_unknown
        ),
        dependencies=[Depends(parameters.only())],
    )
    async def run(run: str) -> Response:
        return await work.told(run)

    @routes.post(
        "/v1/runs/{run:segment}:cancel",
        response_model=RunInFull,
        status_code=202,
        operation_id="cancelRun",
        summary="End a run",
        description=(
            "Nothing is published then, and the run says who ended it. Also of a run that began on the command line. "
            "Once a run has begun to publish, it is too late."
        ),
        responses=ACCEPTED | refusals(*OF_BODIES, problems.path_unreadable, problems.run_unknown, problems.too_late),
        dependencies=[Depends(parameters.only())],
    )
    async def cancel(request: Request, run: str, body: Why, idempotency_key: IdempotencyKey = None) -> Response:
        async def answer() -> Response:
            return await work.cancelled(run, actor(request, body.actor), body.reason)

        return await once.answered(request, idempotency_key, answer)

    @routes.post(
        "/v1/runs/{run:segment}:publish",
        response_model=Publication,
        operation_id="publishRun",
        summary="Publish a held run all the same",
        description="While the version that it was compared with still is the current one.",
        responses=refusals(*_WRITTEN, problems.path_unreadable, problems.run_unknown),
        dependencies=[Depends(parameters.only())],
    )
    async def publish(request: Request, run: str, body: Why, idempotency_key: IdempotencyKey = None) -> Response:
        async def answer() -> Response:
            check = desk.unchanged(request)
            who = actor(request, body.actor)
            return told(await desk.write(verbs.publish_in, store, run, body.reason, who, check))

        return await once.answered(request, idempotency_key, answer)

    @routes.post(
        "/v1/versions/{number}:rollback",
        response_model=Publication,
        operation_id="rollBack",
        summary="Publish the answers of an earlier version anew",
        description="Tags and levels that people set stay as they are now.",
        responses=refusals(*_WRITTEN, problems.version_unknown),
        dependencies=[Depends(parameters.only())],
    )
    async def rollback(
        request: Request,
        number: Annotated[int, Path(ge=1, le=10**15)],
        body: Why,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        async def answer() -> Response:
            check = desk.unchanged(request)
            who = actor(request, body.actor)
            return told(await desk.write(verbs.rollback_in, store, number, body.reason, who, check))

        return await once.answered(request, idempotency_key, answer)

    return routes


def _short(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name not in ("counts", "movement")}
