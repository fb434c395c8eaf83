"""Runs: what they came to; those that were held, published all the same; and versions rolled back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from ruleengine.store.records import Run, Version
from ruleengine.verbs import versions as verbs
from ruleengine.verbs.shapes import as_json

from . import parameters, problems
from .models.common import Why
from .models.operate import Publication, RunInFull, Runs
from .openapi import refusals
from .provenance import Published, dumped
from .writing import Desk, actor

NOW = {"cache-control": "no-store"}
Limit = Annotated[int, Query(ge=1, le=1000, description="The most runs; the latest come first.")]
_WRITTEN = (
    problems.parameter_unknown,
    problems.parameter_invalid,
    problems.body_unreadable,
    problems.body_late,
    problems.body_too_large,
    problems.body_invalid,
    problems.refused,
    problems.writer_busy,
    problems.version_moved,
)


def router(published: Published, desk: Desk) -> APIRouter:
    routes = APIRouter(tags=["operate"])

    def told(version: Version) -> Response:
        provenance = published.of(version.number)
        body = {**provenance.members, "kind": version.kind.value, "actor": version.actor, "reason": version.reason}
        headers = {**NOW, "etag": provenance.etag}
        return Response(dumped(body), headers=headers, media_type="application/json")

    @routes.get(
        "/v1/runs",
        response_model=Runs,
        operation_id="listRuns",
        summary="Runs, and what they came to",
        description="The latest first: running, held, published, unchanged or failed, and why.",
        responses=refusals(problems.parameter_unknown, problems.parameter_invalid),
        dependencies=[Depends(parameters.only("limit"))],
    )
    async def runs(limit: Limit = 100) -> Response:
        body = {"runs": [_short(run) for run in published.store.runs(limit)]}
        return Response(dumped(body), headers=NOW, media_type="application/json")

    @routes.get(
        "/v1/runs/{run:segment}",
        response_model=RunInFull,
        operation_id="readRun",
        summary="One run",
        description="With what it would change, also while it is held.",
        responses=refusals(
            problems.path_unreadable, problems.parameter_unknown, problems.parameter_invalid, problems.run_unknown
        ),
        dependencies=[Depends(parameters.only())],
    )
    async def run(run: str) -> Response:
        found = published.store.run(run)
        body = {**_short(found), "counts": as_json(found.counts), "movement": as_json(found.movement)}
        return Response(dumped(body), headers=NOW, media_type="application/json")

    @routes.post(
        "/v1/runs/{run:segment}:publish",
        response_model=Publication,
        operation_id="publishRun",
        summary="Publish a held run all the same",
        description="While the version that it was compared with still is the current one.",
        responses=refusals(*_WRITTEN, problems.path_unreadable, problems.run_unknown),
        dependencies=[Depends(parameters.only())],
    )
    async def publish(request: Request, run: str, body: Why) -> Response:
        check = desk.unchanged(request)
        who = actor(request, body.actor)
        return told(await desk.write(verbs.publish_in, published.store, run, body.reason, who, check))

    @routes.post(
        "/v1/versions/{number}:rollback",
        response_model=Publication,
        operation_id="rollBack",
        summary="Publish the answers of an earlier version anew",
        description="Tags and levels that people set stay as they are now.",
        responses=refusals(*_WRITTEN, problems.version_unknown),
        dependencies=[Depends(parameters.only())],
    )
    async def rollback(request: Request, number: Annotated[int, Path(ge=1, le=10**15)], body: Why) -> Response:
        check = desk.unchanged(request)
        who = actor(request, body.actor)
        return told(await desk.write(verbs.rollback_in, published.store, number, body.reason, who, check))

    return routes


def _short(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "kind": run.kind.value,
        "state": run.state.value,
        "as_of": run.header.as_of.isoformat(),
        "ruleset_hash": run.header.ruleset_hash,
        "base": run.base,
        "version": run.version,
        "reasons": list(run.reasons),
        "actor": run.actor,
        "started_at": as_json(run.started_at),
        "finished_at": as_json(run.finished_at),
    }
