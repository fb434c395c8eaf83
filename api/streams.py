"""Answers without an end that is known beforehand: lines of JSON, and events."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

LINES = "application/x-ndjson"
EVENTS = "text/event-stream"
AT_ONCE = 1000
"""Rows that are read, and kept in memory, at a time."""

_DESCRIPTIONS = {
    LINES: "JSON, one value to a line.",
    EVENTS: "Server-sent events: `data` is JSON, `id` a cursor.",
}


def wants(request: Request, media_type: str) -> bool:
    """Whether the client asks for a stream of this kind."""
    accepted = request.headers.get("accept", "").lower()
    return any(each.partition(";")[0].strip() == media_type for each in accepted.split(","))


def response(chunks: AsyncIterator[bytes], media_type: str) -> Response:
    # A proxy that gathers an answer before it sends it on would keep events back.
    headers = {"cache-control": "private, no-store", "x-accel-buffering": "no"}
    return StreamingResponse(chunks, media_type=media_type, headers=headers)


def described(
    media_type: str, responses: Mapping[int | str, dict[str, Any]] | None = None
) -> dict[int | str, dict[str, Any]]:
    """The responses of an operation that can also be a stream."""
    of = dict(responses or {})
    schema = {"type": "string", "description": _DESCRIPTIONS[media_type]}
    of[200] = {**of.get(200, {}), "content": {media_type: {"schema": schema}}}
    return of
