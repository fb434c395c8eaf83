"""Tags, and levels of tiers, that people set."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from ruleengine.verbs import by_hand
from ruleengine.verbs.by_hand import ByHandReport
from ruleengine.verbs.shapes import as_json

from . import parameters, problems
from .customers import Id
from .models.common import NAME, WORDS
from .models.write import SetByHand, SetLevel, SetTag
from .openapi import refusals
from .provenance import NOW, Published, dumped
from .writing import Desk, actor

Reason = Annotated[
    str, Query(min_length=1, max_length=1000, pattern=WORDS, description="Why; it stays with the version.")
]
Actor = Annotated[
    str | None,
    Query(min_length=1, max_length=100, pattern=NAME, description="Who, as the application knows its users."),
]

REFUSED = (
    problems.path_unreadable,
    problems.parameter_unknown,
    problems.parameter_invalid,
    problems.customer_unknown,
    problems.refused,
    problems.writer_busy,
    problems.version_moved,
)
_OF_BODIES = (problems.body_unreadable, problems.body_late, problems.body_too_large, problems.body_invalid)
_ASIDE = """\
At once, as a version of its own: the customer is evaluated again from the stored values. With `If-Match` only while the
customer's `ETag` still holds.
"""


def router(published: Published, desk: Desk) -> APIRouter:
    routes = APIRouter(tags=["write"])

    async def write(
        request: Request,
        customer: str,
        name: str,
        *,
        kind: by_hand.Settable,
        sets: bool,
        reason: str,
        who: str | None,
        level: str | None = None,
        expires: date | None = None,
    ) -> Response:
        report: ByHandReport = await desk.write(
            by_hand.write_in,
            published.store,
            published.manifest,
            customer,
            name,
            kind=kind,
            level=level,
            sets=sets,
            expires=expires,
            reason=reason,
            actor=actor(request, who),
            check=desk.unchanged(request),
        )
        provenance = published.of(report.version)
        setting = report.setting and {
            name: value for name, value in as_json(report.setting).items() if name not in ("version", "as_of")
        }
        changes = [
            {name: change[name] for name in ("kind", "name", "old", "new", "since")}
            for change in as_json(report.changes)
        ]
        body = {"customer": customer, **provenance.members, "setting": setting, "changes": changes}
        headers = {**NOW, "etag": provenance.etag}
        return Response(dumped(body), headers=headers, media_type="application/json")

    @routes.put(
        "/v1/customers/{id:segment}/tags/{tag:segment}",
        response_model=SetByHand,
        operation_id="setTag",
        summary="Set a manual tag",
        description=_ASIDE,
        responses=refusals(*REFUSED, *_OF_BODIES),
        dependencies=[Depends(parameters.only())],
    )
    async def set_tag(request: Request, id: Id, tag: str, body: SetTag) -> Response:
        return await write(
            request, id, tag, kind="tag", sets=True, reason=body.reason, who=body.actor, expires=body.expires_on
        )

    @routes.delete(
        "/v1/customers/{id:segment}/tags/{tag:segment}",
        response_model=SetByHand,
        operation_id="removeTag",
        summary="Take a manual tag away",
        description=_ASIDE,
        responses=refusals(*REFUSED),
        dependencies=[Depends(parameters.only("reason", "actor"))],
    )
    async def remove_tag(request: Request, id: Id, tag: str, reason: Reason, actor: Actor = None) -> Response:
        return await write(request, id, tag, kind="tag", sets=False, reason=reason, who=actor)

    @routes.put(
        "/v1/customers/{id:segment}/tiers/{tier:segment}",
        response_model=SetByHand,
        operation_id="setLevel",
        summary="Set the level of a tier",
        description=_ASIDE,
        responses=refusals(*REFUSED, *_OF_BODIES),
        dependencies=[Depends(parameters.only())],
    )
    async def set_level(request: Request, id: Id, tier: str, body: SetLevel) -> Response:
        return await write(
            request,
            id,
            tier,
            kind="tier",
            sets=True,
            level=body.level,
            reason=body.reason,
            who=body.actor,
            expires=body.expires_on,
        )

    @routes.delete(
        "/v1/customers/{id:segment}/tiers/{tier:segment}",
        response_model=SetByHand,
        operation_id="removeLevel",
        summary="Take a level away that was set",
        description=_ASIDE,
        responses=refusals(*REFUSED),
        dependencies=[Depends(parameters.only("reason", "actor"))],
    )
    async def remove_level(request: Request, id: Id, tier: str, reason: Reason, actor: Actor = None) -> Response:
        return await write(request, id, tier, kind="tier", sets=False, reason=reason, who=actor)

    return routes
