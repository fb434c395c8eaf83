"""The versions there are."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response

from ruleengine.store.records import Version
from ruleengine.verbs.shapes import as_json

from . import cursors, parameters, problems
from .models.read import VersionInFull, Versions
from .openapi import refusals
from .provenance import FRESH, Published, dumped

OF = ("versions",)

Limit = Annotated[int, Query(ge=1, le=1000, description="The most versions of one page.")]
After = Annotated[str | None, Query(description="`next_cursor` of the page before.")]


def router(published: Published) -> APIRouter:
    routes = APIRouter(tags=["read"])

    @routes.get(
        "/v1/versions",
        response_model=Versions,
        operation_id="listVersions",
        summary="What was published",
        description="The latest first. `in_line` is false of those that were rolled back or are for an earlier day.",
        responses=refusals(
            problems.parameter_unknown, problems.parameter_invalid, problems.cursor_invalid, problems.version_not_kept
        ),
        dependencies=[Depends(parameters.only("limit", "cursor"))],
    )
    async def versions(limit: Limit = 100, cursor: After = None) -> Response:
        provenance = published.current()
        every = published.store.versions()[::-1]
        if cursor is not None:
            last, _ = cursors.read(published, OF, cursor)
            every = tuple(version for version in every if version.number < last)
        line = set(published.store.line())
        page = every[:limit]
        follows = cursors.written(published, OF, page[-1].number, 0) if len(every) > limit else None
        body = {
            **provenance.members,
            "versions": [_short(version, version.number in line) for version in page],
            "next_cursor": follows,
        }
        return Response(dumped(body), headers=FRESH, media_type="application/json")

    @routes.get(
        "/v1/versions/{number}",
        response_model=VersionInFull,
        operation_id="readVersion",
        summary="One version",
        description="With how many customers have each tag, level and value, and what it changed.",
        responses=refusals(problems.parameter_unknown, problems.parameter_invalid, problems.version_unknown),
        dependencies=[Depends(parameters.only())],
    )
    async def version(number: Annotated[int, Path(ge=1, le=10**15)]) -> Response:
        found = published.store.version(number)
        provenance = published.of(number)
        body = {
            **provenance.members,
            **_short(found, number in published.store.line()),
            "begun_by": found.begun_by,
            "begun_at": as_json(found.begun_at),
            "held": list(found.held),
            "parameters": as_json(found.parameters),
            "engine": found.engine,
            "git_commit": found.git_commit,
            "counts": as_json(provenance.counts),
            "movement": as_json(found.movement),
            "hash": found.hash,
        }
        return Response(dumped(body), headers=FRESH, media_type="application/json")

    return routes


def _short(version: Version, in_line: bool) -> dict[str, object]:
    return {
        "number": version.number,
        "kind": version.kind.value,
        "base": version.base,
        "in_line": in_line,
        "as_of": version.as_of.isoformat(),
        "ruleset_hash": version.ruleset_hash,
        "customers": version.counts.customers,
        "changes": version.movement.rows,
        "actor": version.actor,
        "reason": version.reason,
        "created_at": as_json(version.created_at),
    }
