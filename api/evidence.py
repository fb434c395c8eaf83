"""Why a customer has what he has, and how it came about."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response

from ruleengine.verbs.explain import explain_from
from ruleengine.verbs.history import history_from
from ruleengine.verbs.shapes import as_json

from . import parameters, problems
from .customers import AsOf, Id, Number
from .models.read import Explained, Histories
from .openapi import ETAG, refusals
from .provenance import FRESH, Published, dumped

_REFUSED = (problems.path_unreadable, problems.parameter_unknown, problems.parameter_invalid, problems.customer_unknown)


def router(published: Published) -> APIRouter:
    routes = APIRouter(tags=["read"])

    @routes.get(
        "/v1/customers/{id:segment}/explain/{name:segment}",
        response_model=Explained,
        operation_id="explainCustomer",
        summary="Why a customer has a tag, level or value, or not",
        description="Every condition of the rule, with the customer's own values and how far they are from flipping.",
        responses=ETAG
        | refusals(*_REFUSED, problems.version_unknown, problems.rule_unknown, problems.version_not_kept),
        dependencies=[Depends(parameters.only("version", "as_of"))],
    )
    async def explain(
        request: Request,
        id: Id,
        name: Annotated[str, Path(description="Of a tag, tier or class.")],
        version: Number = None,
        as_of: AsOf = None,
    ) -> Response:
        number = parameters.version(request, published.store)
        found = await published.slowly(explain_from, published.store, published.manifest, id, name, number)
        provenance = published.of(found.version)
        rules = as_json(found.rules)
        return provenance.answered(request, lambda: dumped({"customer": id, **provenance.members, "rules": rules}))

    @routes.get(
        "/v1/customers/{id:segment}/history",
        response_model=Histories,
        operation_id="readHistory",
        summary="What changed for a customer",
        description="Every change in every version, oldest first, with the values that the rule had read.",
        responses=refusals(*_REFUSED),
        dependencies=[Depends(parameters.only())],
    )
    async def history(id: Id) -> Response:
        provenance = published.current()
        found = await published.slowly(history_from, published.store, published.manifest, id)
        entries = []
        for entry in found.entries:
            # What was published meanwhile is left to the next answer.
            if entry.version <= provenance.version.number or not entry.in_line:
                entries.append(_entry(as_json(entry)))
        body = {"customer": id, **provenance.members, "entries": entries}
        return Response(dumped(body), headers=FRESH, media_type="application/json")

    return routes


def _entry(entry: dict[str, object]) -> dict[str, object]:
    change = entry.pop("change")
    assert isinstance(change, dict)
    del change["customer"]
    return entry | change
