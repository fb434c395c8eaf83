"""For authors: the rules in force, and what others would say. Rules come over HTTP as text only."""

import json
from collections import OrderedDict
from decimal import Decimal
from typing import NoReturn, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ValidationError

from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.diagnostics.render import render_json
from ruleengine.verbs import what_if
from ruleengine.verbs.explain import ruleset_of
from ruleengine.verbs.published import computed as computed_version
from ruleengine.verbs.shapes import as_json

from . import parameters, problems
from .models.author import CheckedRules, CurrentRules, Evaluated, RulesToCheck, ToEvaluate
from .openapi import ETAG, OF_BODY, body_of, refusals
from .provenance import FRESH, Published, dumped

M = TypeVar("M", bound=BaseModel)
MOST_RULESETS = 32


def router(published: Published) -> APIRouter:
    routes = APIRouter(tags=["author"], dependencies=[Depends(parameters.only())])
    known = _Known(published)

    @routes.get(
        "/v1/rulesets/current",
        response_model=CurrentRules,
        operation_id="readRules",
        summary="The rules in force",
        description="The texts of the rule files that the current version was computed by.",
        responses=ETAG | refusals(problems.parameter_unknown, problems.parameter_invalid),
    )
    async def current(request: Request) -> Response:
        provenance = published.current()
        computed = computed_version(published.store, provenance.version)
        files = published.store.ruleset_texts(computed.ruleset_hash) or {}
        return provenance.answered(
            request,
            lambda: dumped(
                {
                    **provenance.members,
                    "name": published.manifest.name,
                    "timezone": computed.timezone or published.manifest.timezone,
                    "parameters": as_json(computed.parameters),
                    "files": dict(files),
                }
            ),
        )

    @routes.post(
        "/v1/rulesets:check",
        response_model=CheckedRules,
        operation_id="checkRules",
        summary="What is wrong with rules",
        description="Every problem of these rule files, with its place and a way out. Nothing is stored.",
        responses=refusals(*OF_BODY),
        openapi_extra=body_of(RulesToCheck),
    )
    async def check(request: Request) -> Response:
        asked = await _body(request, RulesToCheck)
        report = await published.slowly(what_if.check_files, published.manifest, asked.files, proofs=asked.proofs)
        body = {
            "hash": report.hash,
            "errors": report.errors,
            "warnings": report.warnings,
            "problems": render_json(report.problems),
        }
        return Response(dumped(body), headers=FRESH, media_type="application/json")

    @routes.post(
        "/v1/rulesets:evaluate",
        response_model=Evaluated,
        operation_id="evaluateRules",
        summary="What rules would say of a customer",
        description=(
            "Facts in, tags, levels and values out, each explained. The customer is one whom no earlier version knew; "
            "what is not given is missing, and budgets reach him. Without `files` the rules are those in force."
        ),
        responses=refusals(*OF_BODY, problems.rules_invalid),
        openapi_extra=body_of(ToEvaluate),
    )
    async def evaluate(request: Request) -> Response:
        asked = await _body(request, ToEvaluate)
        ruleset = await known.ruleset(asked.files)
        given = what_if.Given(attributes=asked.attributes, events=asked.events, metrics=asked.metrics, tags=asked.tags)
        try:
            found = what_if.evaluate(ruleset, given, asked.as_of or published.today())
        except what_if.GivenError as error:
            raise problems.given_invalid(error.where, error.wrong) from None
        return Response(dumped(as_json(found)), headers=FRESH, media_type="application/json")

    return routes


class _Known:
    """Rulesets that were asked for lately, so that one is not checked again for each customer."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self._rulesets: OrderedDict[object, Ruleset] = OrderedDict()

    async def ruleset(self, files: dict[str, str] | None) -> Ruleset:
        published = self._published
        version = None if files else published.current().version
        key: object = tuple(sorted(files.items())) if files else version and version.hash
        if key not in self._rulesets:
            if files:
                try:
                    found = await published.slowly(what_if.ruleset_from, published.manifest, files)
                except ProblemError as error:
                    told = render_json(error.problems)
                    raise problems.rules_invalid({"problems": told}) from None
            else:
                assert version is not None
                found = await published.slowly(ruleset_of, published.manifest, published.store, version)
            self._rulesets[key] = found
            while len(self._rulesets) > MOST_RULESETS:
                self._rulesets.popitem(last=False)
        self._rulesets.move_to_end(key)
        return self._rulesets[key]


async def _body(request: Request, model: type[M]) -> M:
    """A body in JSON, its numbers exact."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise problems.media_type_unsupported()
    try:
        content = json.loads(await request.body(), parse_float=Decimal, parse_constant=_no_number)
        return model.model_validate(content)
    except ValidationError as error:
        raise problems.of_body(error.errors(include_url=False, include_input=False)) from None
    except (ValueError, RecursionError):
        raise problems.body_unreadable() from None


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)
