"""Every way in which a request can fail, as problem details (RFC 9457) with a code that never changes."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.messages import wording
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.store.refusals import (
    DamagedError,
    NotKeptError,
    NotThereError,
    RefusedError,
    StoreLockedError,
    StoreUnusableError,
    WrongStoreError,
)
from ruleengine.verbs import outcome

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:problem-type:ruleengine:"
LONGEST_FACT = 200
MOST_ERRORS = 20
RETRY_AFTER = "5"

REQUEST: ContextVar[str] = ContextVar("request")
"""The id of the request that is being answered."""

log = logging.getLogger("ruleengine.api")


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to fail. `detail` is a template over facts."""

    code: str
    status: int
    title: str
    detail: str

    def __call__(self, members: Mapping[str, object] | None = None, **facts: str | int) -> "Refused":
        """The failure itself, with further members for programs to read."""
        return Refused(self, self.detail.format_map({name: short(fact) for name, fact in facts.items()}), members)


class Refused(HTTPException):
    """A request that gets a problem for an answer."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        members: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(kind.status, detail, headers)
        self.kind = kind
        self.members = members or {}


def short(fact: str | int) -> str:
    text = str(fact)
    return text if len(text) <= LONGEST_FACT else f"{text[:LONGEST_FACT]}…"


path_unreadable = Kind(
    "path_unreadable",
    400,
    "Unreadable path",
    "`{segment}` is not percent-encoded UTF-8.",
)
parameter_unknown = Kind(
    "parameter_unknown",
    400,
    "Unknown parameter",
    "`{parameter}` is not a parameter here. {known}",
)
parameter_invalid = Kind("parameter_invalid", 400, "Invalid parameter", "`{parameter}` {wrong}.")
cursor_invalid = Kind(
    "cursor_invalid",
    400,
    "Invalid cursor",
    "The cursor was not given out for this list. Use `next_cursor` of the page before as it is.",
)
request_unreadable = Kind("request_unreadable", 400, "Not a request", "What was sent is not HTTP/1.1.")
body_unreadable = Kind("body_unreadable", 400, "Unreadable body", "The body is not JSON in UTF-8.")
key_missing = Kind(
    "key_missing", 401, "Key missing", "Send a key as `Authorization: Bearer …`; `ruleengine key create` gives one."
)
key_invalid = Kind("key_invalid", 401, "Key does not count", "The key is unknown, revoked or expired.")
scope_missing = Kind("scope_missing", 403, "Key not good for this", "The key has no scope `{scope}`.")
path_unknown = Kind("path_unknown", 404, "Nothing at this path", "There is nothing at this path.")
customer_unknown = Kind("customer_unknown", 404, "Unknown customer", "{message}")
version_unknown = Kind("version_unknown", 404, "Unknown version", "{message}")
tag_unknown = Kind("tag_unknown", 404, "Unknown tag", "Version {version} has no tag `{tag}`.")
tier_unknown = Kind("tier_unknown", 404, "Unknown tier", "Version {version} has no tier `{tier}`.")
level_unknown = Kind(
    "level_unknown", 404, "Unknown level", "Tier `{tier}` of version {version} has no level `{level}`."
)
class_unknown = Kind("class_unknown", 404, "Unknown class", "Version {version} has no class `{class}`.")
value_unknown = Kind(
    "value_unknown", 404, "Unknown value", "Class `{class}` of version {version} has no value `{value}`."
)
rule_unknown = Kind("rule_unknown", 404, "Unknown rule", "{message}")
run_unknown = Kind("run_unknown", 404, "Unknown run", "{message}")
plan_unknown = Kind("plan_unknown", 404, "Unknown plan", "There is no plan `{plan}`, or it is not kept any more.")
method_not_allowed = Kind("method_not_allowed", 405, "Method not allowed", "`Allow` says what this path is for.")
body_late = Kind("body_late", 408, "Body came too slowly", "The body was not there within {seconds} seconds.")
refused = Kind("refused", 409, "Cannot be done", "{message}")
writer_busy = Kind("writer_busy", 409, "Somebody else writes", "A run, or another write, is at work; ask again later.")
plan_busy = Kind("plan_busy", 409, "Another plan is at work", "Another plan is being computed; ask again later.")
too_late = Kind("too_late", 409, "Too late to cancel", "`{job}` is {state}; it cannot be cancelled any more.")
request_unanswered = Kind(
    "request_unanswered", 409, "Being answered", "The same request came before, and is still being answered."
)
version_not_kept = Kind("version_not_kept", 410, "Version no longer kept", "{message}")
version_moved = Kind("version_moved", 412, "Not the version you saw", "Version {version} is the current one.")
body_too_large = Kind("body_too_large", 413, "Body too large", "A body may have at most {most} bytes.")
media_type_unsupported = Kind(
    "media_type_unsupported", 415, "Unsupported media type", "The body must be `application/json`."
)
host_not_served = Kind(
    "host_not_served", 421, "Host not served", "This server answers only to names of the machine itself."
)
body_invalid = Kind("body_invalid", 422, "Invalid body", "The body is JSON, but not what this path asks for.")
rules_invalid = Kind("rules_invalid", 422, "Rules with problems", "`problems` tells what is wrong with the rules.")
idempotency_key_reused = Kind(
    "idempotency_key_reused", 422, "Key of another request", "Another request came with this Idempotency-Key before."
)
too_many_requests = Kind("too_many_requests", 429, "Too many requests", "Ask again once `Retry-After` is over.")
head_too_large = Kind("head_too_large", 431, "Head too large", "The path and the headers together are too long.")
internal_error = Kind("internal_error", 500, "Internal error", "A mistake of the server; its log tells more.")
nothing_published = Kind("nothing_published", 503, "Nothing published yet", "There is no version to answer from yet.")
server_stopping = Kind("server_stopping", 503, "Server stops", "The server was told to stop; ask again.")
store_unusable = Kind(
    "store_unusable", 503, "Store not usable", "The store cannot be read now; the server's log tells why."
)
store_damaged = Kind(
    "store_damaged",
    503,
    "Part of the store is damaged",
    "A file of the store is missing, or not what was written; the server's log tells which.",
)

KINDS: Mapping[str, Kind] = {kind.code: kind for kind in list(globals().values()) if isinstance(kind, Kind)}


def response(refused: Refused) -> Response:
    kind = refused.kind
    body: dict[str, object] = {
        "type": TYPE + kind.code,
        "title": kind.title,
        "status": kind.status,
        "detail": refused.detail,
        "code": kind.code,
        "request_id": REQUEST.get(),
    }
    headers = {"cache-control": "no-store", **(refused.headers or {})}
    if kind.status == 503:
        headers["retry-after"] = RETRY_AFTER
    content = json.dumps(body | dict(refused.members), ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, kind.status, headers, MEDIA_TYPE)


# -- what is raised, as problems -----------------------------------------------------------------------------


def install(app: FastAPI, methods: Callable[[str], set[str]]) -> None:
    """Make problems of everything that is raised while a request is answered. `methods` are those of a path."""

    async def handled(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 405:
            known = filter(None, (error.headers or {}).get("Allow", "").split(", "))
            return response(_not_allowed({*known, *methods(request.scope["path"])}))
        return answer(error)

    for kind in (HTTPException, RequestValidationError, ClientDisconnect, ProblemError, Exception):
        app.add_exception_handler(kind, handled)


def answer(error: Exception) -> Response:
    """The problem that is told where this was raised."""
    match error:
        case Refused():
            return response(error)
        case HTTPException():
            return response(_of_framework(error))
        case RequestValidationError():
            return response(_of_parameters(error))
        case ClientDisconnect():
            return response(body_unreadable())
        case ProblemError():
            refused = of_problems(error)
            if refused.kind is internal_error:
                log_error(error)
            return response(refused)
        case _:
            log_error(error)
            return response(internal_error())


def _of_parameters(error: RequestValidationError) -> Refused:
    first = error.errors()[0]
    if any(each["loc"][0] == "body" for each in error.errors()):
        inside = [{**each, "loc": each["loc"][1:]} for each in error.errors() if each["loc"][0] == "body"]
        return of_body(cast("Sequence[ErrorDetails]", inside))
    return parameter_invalid(parameter=str(first["loc"][-1]), wrong=_said(first))


def _not_allowed(allowed: set[str]) -> Refused:
    if "GET" in allowed:
        allowed.add("HEAD")
    refused = method_not_allowed()
    refused.headers = {"allow": ", ".join(sorted(allowed))}
    return refused


def _of_framework(error: HTTPException) -> Refused:
    if error.status_code == 404:
        return path_unknown()
    return internal_error() if error.status_code >= 500 else body_unreadable()


def of_problems(error: ProblemError) -> Refused:
    """What the store refuses, as the API says it."""
    message = " ".join(wording(problem).message for problem in error.problems)
    match error:
        case NotKeptError():
            return version_not_kept(message=message)
        case NotThereError() | outcome.NotThereError():
            return _not_there(message, error.problems[0])
        case StoreLockedError():
            holder = error.holder
            return busy(writer_busy, {"actor": holder.actor, "since": holder.started} if holder else None)
        case RefusedError():
            return _refused(error.problems[0], message)
        case _ if error.problems[0].code is codes.actor_unreadable:
            return _refused(error.problems[0], message)
        case DamagedError():
            log.error("%s", message)
            return store_damaged()
        case StoreUnusableError() | WrongStoreError():
            # Paths and the system's own words are for the log alone.
            log.error("%s", message)
            return store_unusable()
        case _:
            return internal_error()


def busy(kind: Kind, holder: Mapping[str, str] | None) -> Refused:
    """Somebody else is at work: `actor`, `since`, and the id of his run where it is one."""
    return Refused(kind, kind.detail, {"holder": holder}, {"retry-after": RETRY_AFTER})


def _refused(problem: Problem, message: str) -> Refused:
    """With the message's own code, as docs/diagnostics.md lists them."""
    return refused({"problem": problem.code.name}, message=message)


def _not_there(message: str, problem: Problem) -> Refused:
    match problem.code:
        case codes.store_empty:
            return nothing_published()
        case codes.customer_unknown | codes.customer_not_a_number:
            return customer_unknown(message=message)
        case codes.run_unknown:
            return run_unknown(message=message)
        case codes.rule_unknown | codes.rule_is_draft:
            return rule_unknown(message=message)
        case _:
            return version_unknown(message=message)


def log_error(error: Exception) -> None:
    """With its trace. The path is left out, for it names customers."""
    log.error("A request could not be answered: %s", type(error).__name__, exc_info=error)


def of_body(errors: Sequence[ErrorDetails]) -> Refused:
    """What is wrong with a body, by places in it."""
    if any(error["type"] == "json_invalid" for error in errors):
        return body_unreadable()
    places: dict[str, str] = {}
    for error in errors:
        # Below an id pydantic tells of each type that it could have had.
        of_id = error["loc"][:1] == ("ids",) and len(error["loc"]) > 1
        inside = error["loc"][:2] if of_id else error["loc"]
        pointer = "".join(f"/{_escaped(str(part))}" for part in inside)
        places.setdefault(pointer, "must be a text or a whole number" if of_id else _said(error))
    told = [{"pointer": pointer, "detail": short(wrong)} for pointer, wrong in list(places.items())[:MOST_ERRORS]]
    return body_invalid({"errors": told})


def given_invalid(where: Sequence[str | int], wrong: str) -> Refused:
    """Something in a body that has the right shape, and does not fit the rules."""
    pointer = "".join(f"/{_escaped(str(part))}" for part in where)
    return body_invalid({"errors": [{"pointer": pointer, "detail": short(wrong)}]})


def _escaped(part: str) -> str:
    return short(part).replace("~", "~0").replace("/", "~1")


def _said(error: ErrorDetails) -> str:
    """What pydantic found, in our words."""
    limits = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "is not known here"
        case "string_too_short":
            return "must not be empty"
        case "string_too_long":
            return f"must not have more than {limits['max_length']} characters"
        case "model_attributes_type" | "dict_type":
            return "must be an object"
        case "too_long":
            return f"must not be longer than {limits['max_length']}"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}"
        case "less_than_equal":
            return f"must be at most {limits['le']}"
        case "int_parsing" | "int_parsing_size" | "int_type":
            return "must be a whole number"
        case "string_pattern_mismatch":
            return "is not of the form that is asked for"
        case "date_from_datetime_parsing" | "date_parsing" | "date_type":
            return "must be a day, such as 2026-03-31"
        case "list_type":
            return "must be an array"
        case _:
            return "is not of the right type"
