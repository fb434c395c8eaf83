"""Who may do what: the scope of every operation, and the keys that have it."""

import hashlib
import time
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

from fastapi import Request, Response
from starlette.types import Scope as Asked

from ruleengine.settings import Scope
from ruleengine.store.records import ApiKey
from ruleengine.store.store import Store
from ruleengine.verbs.keys import digest

from . import problems
from .throttle import Throttle

SCOPES: dict[tuple[str, str], Scope | None] = {
    ("GET", "/v1/customers/{id}"): "tags:read",
    ("POST", "/v1/customers:batchGet"): "tags:read",
    ("GET", "/v1/customers/{id}/explain/{name}"): "audit:read",
    ("GET", "/v1/customers/{id}/history"): "audit:read",
    ("GET", "/v1/tags"): "tags:read",
    ("GET", "/v1/tags/{tag}/customers"): "tags:read",
    ("GET", "/v1/tiers/{tier}/levels/{level}/customers"): "tags:read",
    ("GET", "/v1/classes/{class}/values/{value}/customers"): "tags:read",
    ("GET", "/v1/changes"): "tags:read",
    ("GET", "/v1/versions"): "tags:read",
    ("GET", "/v1/versions/{number}"): "tags:read",
    ("PUT", "/v1/customers/{id}/tags/{tag}"): "tags:write",
    ("DELETE", "/v1/customers/{id}/tags/{tag}"): "tags:write",
    ("PUT", "/v1/customers/{id}/tiers/{tier}"): "tags:write",
    ("DELETE", "/v1/customers/{id}/tiers/{tier}"): "tags:write",
    # It cannot be taken back, and touches what an audit rests on.
    ("DELETE", "/v1/customers/{id}"): "admin",
    ("GET", "/v1/runs"): "runs:execute",
    ("GET", "/v1/runs/{run}"): "runs:execute",
    ("POST", "/v1/runs"): "runs:execute",
    ("POST", "/v1/runs/{run}:cancel"): "runs:execute",
    ("POST", "/v1/runs/{run}:publish"): "runs:execute",
    ("POST", "/v1/versions/{number}:rollback"): "runs:execute",
    ("GET", "/v1/rulesets/current"): "rules:read",
    ("POST", "/v1/rulesets:check"): "rules:read",
    ("POST", "/v1/rulesets:evaluate"): "rules:read",
    # A plan by rules of one's own can ask for whatever is in the data, and names customers.
    ("POST", "/v1/rulesets:plan"): "audit:read",
    ("GET", "/v1/plans/{plan}"): "audit:read",
    ("POST", "/v1/plans/{plan}:cancel"): "audit:read",
    ("GET", "/livez"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): None,
}
"""What a key needs for an operation; `admin` is enough for each. None: no key, for nothing of customers is told."""

REFUSALS = (problems.key_missing, problems.key_invalid, problems.scope_missing, problems.too_many_requests)

REMEMBERED = 1.0
"""Seconds for which a key is not looked up again. A store that can tell whether keys changed is asked each time; of
another one, a revoked key may count for so long."""
FAILURES = 10
"""Keys that do not count, from one address in a minute; then they are not even called wrong."""


def methods(path: str) -> set[str]:
    """What a path is for: several operations may lie at one."""
    segments = path.split("/")
    return {
        method
        for method, template in SCOPES
        if len(parts := template.split("/")) == len(segments)
        and all(_is_part(*pair) for pair in zip(parts, segments, strict=True))
    }


def _is_part(template: str, segment: str) -> bool:
    """Whether a segment of a path is one of a template: `{run}:cancel` of `17:cancel`."""
    _, brace, rest = template.rpartition("}")
    return segment == template if not brace else len(segment) > len(rest) and segment.endswith(rest)


Endpoint = Callable[[Request], Awaitable[Response]]


class Access:
    """Keys are asked for as soon as one was ever given. Without any, whoever reaches the server may do everything; the
    server then is to be reached from its own machine alone."""

    def __init__(self, store: Store, today: Callable[[], date], rate: int | None, *, required: bool = False) -> None:
        self._store = store
        self._today = today
        self._rate = None if rate is None else Throttle(rate, 1)
        self._failures = Throttle(FAILURES, 60)
        self._required = required
        self._looked_at = -REMEMBERED
        self._stamp: object = None
        self._good: dict[bytes, ApiKey] = {}
        """By the headers that they came in."""
        self._wrong: set[bytes] = set()
        """Headers with a key that does not count, by digests, so that what strangers send does not fill it."""

    async def guard(self, request: Request) -> None:
        """As a dependency of every operation: of one that has no scope here there is none for anybody."""
        path = request.scope["route"].path.replace(":segment", "")
        self.check(request.scope, path, SCOPES[request.method, path])

    def guarded(self, method: str, path: str, endpoint: Endpoint) -> Endpoint:
        """The same for a plain endpoint."""
        needed = SCOPES[method, path]

        async def checked(request: Request) -> Response:
            self.check(request.scope, path, needed)
            return await endpoint(request)

        return checked

    def check(self, asked: Asked, operation: str, needed: Scope | None) -> None:
        """Refuse a request without a key that is good for what it needs. Leaves `operation` and `key` in it."""
        asked["operation"] = operation
        if needed is None or self.is_open():
            return
        key = asked["key"] = self._key(asked)
        if seconds := self.wait(key):
            raise _too_many(seconds)
        if not is_good_for(key, needed):
            raise problems.scope_missing(scope=needed)

    def is_open(self) -> bool:
        """Whether no key is asked for. What is remembered of keys is forgotten here once it may be another."""
        now, stamp = time.monotonic(), self._store.keys_stamp()
        if stamp != self._stamp or now - self._looked_at >= REMEMBERED:
            # A key that was taken away is still one that was given. Where that cannot be read nobody is let in.
            self._required = self._required or bool(self._store.keys())
            self._looked_at = now
            self._good, self._wrong = {}, set()
            self._stamp = stamp
        return not self._required

    def remembered(self, given: bytes) -> ApiKey | None:
        """The key of a header that was let in a moment ago."""
        return self._good.get(given)

    def wait(self, key: ApiKey) -> int:
        """Count a request; 0, or seconds to wait where the key's rate is used up."""
        return 0 if self._rate is None else self._rate.wait(key.id)

    def _key(self, asked: Asked) -> ApiKey:
        given = next((value for name, value in asked["headers"] if name == b"authorization"), b"")
        good, wrong = self._good, self._wrong  # which another thread may forget meanwhile
        if given in good:
            return good[given]
        hashed = hashlib.sha256(given).digest()
        if hashed not in wrong:
            method, _, secret = given.partition(b" ")
            if method.lower() != b"bearer" or not secret.strip():
                raise _challenged(problems.key_missing())
            key = self._looked_up(secret.strip().decode("latin-1"))
            if key is not None:
                good[given] = key
                return key
            wrong.add(hashed)
        if seconds := self._failures.wait(asked["client"][0] if asked.get("client") else ""):
            raise _too_many(seconds)
        raise _challenged(problems.key_invalid())

    def _looked_up(self, secret: str) -> ApiKey | None:
        """The key, where it counts now."""
        key = self._store.key(digest(secret))
        if key is None or key.revoked_at is not None:
            return None
        return None if key.expires_on is not None and key.expires_on <= self._today() else key


def is_good_for(key: ApiKey, needed: Scope | None) -> bool:
    return needed is None or needed in key.scopes or "admin" in key.scopes


def _too_many(seconds: int) -> problems.Refused:
    refused = problems.too_many_requests()
    refused.headers = {"retry-after": str(seconds)}
    return refused


def _challenged(refused: problems.Refused) -> problems.Refused:
    refused.headers = {"www-authenticate": "Bearer"}
    return refused


def secured(document: dict[str, Any], refusals: dict[int | str, dict[str, Any]]) -> None:
    """Say in the document which scope each operation needs, and how it fails without."""
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "A key, as `ruleengine key create` gave it."}
    }
    for path, item in document["paths"].items():
        for method, operation in item.items():
            scope = SCOPES[method.upper(), path]
            operation["security"] = [] if scope is None else [{"key": [scope]}]
            if scope is not None:
                operation["responses"] |= {str(status): response for status, response in refusals.items()}
