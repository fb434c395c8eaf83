"""Requests that may be sent again: with an Idempotency-Key, nothing is done twice."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Header, Request, Response

from ruleengine.store.replies import Known, Replies, Reply

from . import problems
from .provenance import Published

KEPT_HEADERS = ("cache-control", "content-type", "etag", "location", "retry-after")
KINDS = (problems.idempotency_key_reused, problems.request_unanswered)
"""How such a request can fail."""

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="Made up by the client. For 24 h, the same request with the same key gets the same answer.",
    ),
]


class Once:
    """Answers that are made but once for each key."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self._replies = Replies(published.store.book)

    async def answered(self, request: Request, key: str | None, answer: Callable[[], Awaitable[Response]]) -> Response:
        """The answer; where one was made before to the same request of the same owner of a key, that one."""
        if key is None:
            return await answer()
        slowly = self._published.slowly
        asked_by = request.scope.get("key")
        owner = asked_by.id if asked_by is not None else ""
        found = await slowly(self._replies.take, owner, key, await _digest(request))
        match found:
            case Reply():
                return Response(found.body, found.status, dict(found.headers))
            case Known.OTHER:
                raise problems.idempotency_key_reused()
            case Known.UNANSWERED:
                raise problems.request_unanswered()
            case Known.NEW:
                pass
        try:
            made = await answer()
        except Exception:
            await slowly(self._replies.release, owner, key)
            raise
        headers = {name: made.headers[name] for name in KEPT_HEADERS if name in made.headers}
        reply = Reply(status=made.status_code, headers=headers, body=bytes(made.body).decode())
        await slowly(self._replies.keep, owner, key, reply)
        return made


async def _digest(request: Request) -> str:
    parts = (
        request.method.encode(),
        request.scope["path"].encode(),
        request.headers.get("if-match", "").encode(),
        await request.body(),
    )
    found = hashlib.sha256()
    for part in parts:
        found.update(len(part).to_bytes(8) + part)
    return found.hexdigest()
