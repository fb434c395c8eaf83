"""The tags there are."""

from fastapi import APIRouter, Depends, Request, Response

from . import parameters, problems
from .models.read import Tags
from .openapi import ETAG, refusals
from .provenance import Published, dumped


def router(published: Published) -> APIRouter:
    routes = APIRouter(tags=["read"], dependencies=[Depends(parameters.only())])

    @routes.get(
        "/v1/tags",
        response_model=Tags,
        operation_id="listTags",
        summary="Tags, and how many have them",
        description="Every tag of the current version, also those that nobody has.",
        responses={**ETAG, **refusals(problems.parameter_unknown, problems.parameter_invalid)},
    )
    async def tags(request: Request) -> Response:
        provenance = published.current()
        tags = [{"name": name, "customers": size} for name, size in provenance.counts.tags.items()]
        return provenance.answered(request, lambda: dumped({**provenance.members, "tags": tags}))

    return routes
