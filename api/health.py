"""Whether the server lives, and whether it has something to answer."""

from fastapi import APIRouter, Response

from .models.operate import Alive, Ready
from .openapi import refusals
from .provenance import NOW, Published, dumped


def router(published: Published) -> APIRouter:
    routes = APIRouter(tags=["operate"])

    @routes.get(
        "/livez",
        response_model=Alive,
        operation_id="live",
        summary="Whether the server lives",
        description="Says nothing of the store: a server that cannot read it gains nothing by being restarted.",
        responses=refusals(reads_store=False),
    )
    async def live() -> Response:
        return Response(dumped({"status": "alive"}), headers=NOW, media_type="application/json")

    @routes.get(
        "/readyz",
        response_model=Ready,
        operation_id="ready",
        summary="Whether there is something to answer",
        description="503 until the first version is published, and while the store cannot be read.",
        responses=refusals(),
    )
    async def ready() -> Response:
        members = published.current().members
        return Response(dumped({"status": "ready", **members}), headers=NOW, media_type="application/json")

    return routes
