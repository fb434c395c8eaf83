"""Customers of whom nothing is to be kept."""

from fastapi import APIRouter, Depends, Request, Response

from ruleengine.verbs.forget import forget_in

from . import parameters
from .by_hand import REFUSED, Actor, Reason
from .customers import Id
from .models.write import Forgotten
from .openapi import refusals
from .provenance import NOW, Published, dumped
from .writing import Desk
from .writing import actor as recorded


def router(published: Published, desk: Desk) -> APIRouter:
    routes = APIRouter(tags=["write"])

    @routes.delete(
        "/v1/customers/{id:segment}",
        response_model=Forgotten,
        operation_id="forgetCustomer",
        summary="Forget a customer",
        description=(
            "Takes the customer out of every version, and leaves them out of every run to come. There is no way back. "
            "The reason stays, and may not name the customer. With `If-Match` only while the customer's `ETag` holds."
        ),
        responses=refusals(*REFUSED),
        dependencies=[Depends(parameters.only("reason", "actor"))],
    )
    async def forget(request: Request, id: Id, reason: Reason, actor: Actor = None) -> Response:
        report = await desk.write(
            forget_in,
            published.store,
            published.manifest,
            [id],
            reason=reason,
            actor=recorded(request, actor),
            check=desk.unchanged(request),
        )
        provenance = published.of(report.version)
        headers = {**NOW, "etag": provenance.etag}
        body = {**provenance.members, "pending": report.pending}
        return Response(dumped(body), headers=headers, media_type="application/json")

    return routes
