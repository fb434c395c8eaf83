"""The document that describes the API."""

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.routing import BaseRoute

import ruleengine

from . import access, models, problems
from .models.author import RulesToCheck, ToEvaluate
from .models.common import Problem
from .models.read import Batch
from .problems import Kind

ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Asked for; how far it is, and what came of it, is at `Location`.",
        "headers": {
            "Location": {"description": "Where to ask.", "schema": {"type": "string"}},
            "Retry-After": {"description": "Seconds.", "schema": {"type": "string"}},
        },
    }
}
"""The response of an operation that only begins something."""

VERSION = "3.1.0"
_SCHEMA = {"$ref": "#/components/schemas/Problem"}
_EVERYWHERE = (problems.method_not_allowed, problems.host_not_served, problems.internal_error)
_OF_THE_STORE = (problems.nothing_published, problems.store_unusable, problems.store_damaged)

_SECONDS = {"Retry-After": {"description": "Seconds.", "schema": {"type": "string"}}}
_TAG = {"ETag": {"description": "Of this answer; send it as If-None-Match.", "schema": {"type": "string"}}}
ETAG: dict[int | str, dict[str, Any]] = {
    200: {"headers": _TAG},
    304: {"description": "The client's answer still holds.", "headers": _TAG},
}
"""The responses of an operation that a client need not be sent twice."""

OF_BODY = (
    problems.body_unreadable,
    problems.parameter_unknown,
    problems.parameter_invalid,
    problems.body_late,
    problems.body_too_large,
    problems.media_type_unsupported,
    problems.body_invalid,
)
"""How an operation can fail that reads its body by itself."""

DESCRIPTION = """\
Tags, tiers and classes of customers, as published. Every answer comes from one version, whole, and says from which.
Names and keys in paths are percent-encoded, each segment by itself. Problems follow RFC 9457; programs tell them apart
by `code`.
"""


def refusals(*kinds: Kind, reads_store: bool = True) -> dict[int | str, dict[str, Any]]:
    """The responses of an operation that are problems: these kinds, and those that every operation may have."""
    found = _refusals((*kinds, *_EVERYWHERE, *(_OF_THE_STORE if reads_store else ())))
    if 503 in found:
        found[503]["headers"] = _SECONDS
    found[405]["headers"] = {"Allow": {"description": "Methods that are.", "schema": {"type": "string"}}}
    found["default"] = _problem("Anything else")
    return found


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The body of an operation that reads it by itself, with exact numbers."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _refusals(kinds: Iterable[Kind]) -> dict[int | str, dict[str, Any]]:
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        response = found.setdefault(kind.status, _problem(""))
        titles = [response["description"], kind.title] if response["description"] else [kind.title]
        response["description"] = "; or: ".join(titles)
        response["content"][problems.MEDIA_TYPE].setdefault("examples", {})[kind.code] = {"value": _example(kind)}
    if 429 in found:
        found[429]["headers"] = _SECONDS
    return found


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {problems.MEDIA_TYPE: {"schema": _SCHEMA}}}


def _example(kind: Kind) -> dict[str, Any]:
    return {
        "type": problems.TYPE + kind.code,
        "title": kind.title,
        "status": kind.status,
        "detail": kind.title + ".",
        "code": kind.code,
    }


def document(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    found = get_openapi(
        title="ruleengine",
        version=ruleengine.__version__,
        openapi_version=VERSION,
        description=DESCRIPTION,
        routes=routes,
        tags=[
            {"name": "read", "description": "What customers have."},
            {"name": "write", "description": "What people set."},
            {"name": "author", "description": "What rules say, and would say."},
            {"name": "operate", "description": "The server itself."},
        ],
    )
    for asked in (Batch, RulesToCheck, ToEvaluate):
        found["components"]["schemas"][asked.__name__] = asked.model_json_schema()
    access.secured(found, _refusals(access.REFUSALS))
    for model in models.every():
        # FastAPI leaves null members of examples out.
        extra = model.model_config.get("json_schema_extra")
        if isinstance(extra, dict) and "examples" in extra and model.__name__ in found["components"]["schemas"]:
            found["components"]["schemas"][model.__name__]["examples"] = extra["examples"]
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    found["components"]["schemas"] |= schema.pop("$defs")
    schema["properties"]["code"]["examples"] = list(problems.KINDS)
    found["components"]["schemas"]["Problem"] = schema
    return found
