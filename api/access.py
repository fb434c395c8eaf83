"""Who may do what: the scope of every operation, and the keys that have it."""

import time
from collections.abc import Awaitable, Callable
from datetime import date
from functools import lru_cache
from typing import Any

from fastapi import Request, Response
from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from ruleengine.settings import Scope
from ruleengine.store.records import ApiKey
from ruleengine.store.store import Store
from ruleengine.verbs.keys import digest

from . import problems

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
    ("GET", "/v1/runs"): "runs:execute",
    ("GET", "/v1/runs/{run}"): "runs:execute",
    ("POST", "/v1/runs/{run}:publish"): "runs:execute",
    ("POST", "/v1/versions/{number}:rollback"): "runs:execute",
    ("GET", "/v1/rulesets/current"): "rules:read",
    ("POST", "/v1/rulesets:check"): "rules:read",
    ("POST", "/v1/rulesets:evaluate"): "rules:read",
    ("GET", "/livez"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): None,
}
"""What a key needs for an operation; `admin` is enough for each. None: no key, for nothing of customers is told."""

REFUSALS = (problems.key_missing, problems.key_invalid, problems.scope_missing, problems.too_many_requests)

REMEMBERED = 1.0
"""Seconds for which a key is not looked up again, and so for which a revoked one may still count."""
FAILURES: RateLimitItem = RateLimitItemPerMinute(10)
"""Of keys that do not count, from one address; then they are not even called wrong."""

Endpoint = Callable[[Request], Awaitable[Response]]


class Access:
    """Keys are asked for as soon as one was ever given. Without any, whoever reaches the server may do everything; the
    server then is to be reached from its own machine alone."""

    def __init__(self, store: Store, today: Callable[[], date], rate: int | None, *, required: bool = False) -> None:
        self._store = store
        self._today = today
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._rate = None if rate is None else RateLimitItemPerSecond(rate)
        self._required = required
        self._looked_at = 0.0
        self._find = lru_cache(maxsize=1024)(self._looked_up)

    async def guard(self, request: Request) -> None:
        """As a dependency of every operation: of one that has no scope here there is none for anybody."""
        path = request.scope["route"].path.replace(":segment", "")
        request.scope["operation"] = path
        self.check(request, SCOPES[request.method, path])

    def guarded(self, method: str, path: str, endpoint: Endpoint) -> Endpoint:
        """The same for a plain endpoint."""
        scope = SCOPES[method, path]

        async def checked(request: Request) -> Response:
            request.scope["operation"] = path
            self.check(request, scope)
            return await endpoint(request)

        return checked

    def check(self, request: Request, scope: Scope | None) -> None:
        if scope is None or not self._is_required():
            return
        key = self._key(request)
        if scope not in key.scopes and "admin" not in key.scopes:
            raise problems.scope_missing(scope=scope)
        if self._rate is not None and not self._limiter.hit(self._rate, key.id):
            raise self._too_many(self._rate, key.id)
        request.state.key = key

    def _key(self, request: Request) -> ApiKey:
        method, _, secret = request.headers.get("authorization", "").partition(" ")
        if method.lower() != "bearer" or not secret.strip():
            raise _challenged(problems.key_missing())
        key = self._find(secret.strip(), int(time.monotonic() / REMEMBERED))
        if key is None or (key.expires_on is not None and key.expires_on <= self._today()):
            address = request.client.host if request.client else ""
            if not self._limiter.hit(FAILURES, "failures", address):
                raise self._too_many(FAILURES, "failures", address)
            raise _challenged(problems.key_invalid())
        return key

    def _looked_up(self, secret: str, second: int) -> ApiKey | None:
        key = self._store.key(digest(secret))
        return key if key is not None and key.revoked_at is None else None

    def _is_required(self) -> bool:
        if not self._required:
            now = time.monotonic()
            if now - self._looked_at > REMEMBERED:
                self._looked_at = now
                self._required = bool(self._store.keys())
        return self._required

    def _too_many(self, limit: RateLimitItem, *names: str) -> problems.Refused:
        refused = problems.too_many_requests()
        ends, _ = self._limiter.get_window_stats(limit, *names)
        refused.headers = {"retry-after": str(max(1, int(ends - time.time()) + 1))}
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
