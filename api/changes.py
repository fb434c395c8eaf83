"""The feed of changes: what each version changed for readers, version after version."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from ruleengine.store.records import Change, Version, VersionKind

from . import cursors, parameters, problems, streams
from .models.read import Changes
from .openapi import refusals
from .provenance import FRESH, Published, dumped

OF = ("changes",)
LOOK_EVERY = 0.5
"""Seconds between looks for a new version."""
BEAT_EVERY = 15.0
"""Seconds after which a silent stream says that it is still there."""

Limit = Annotated[int, Query(ge=1, le=1000, description="The most changes of one page; of no account in a stream.")]
After = Annotated[str | None, Query(description="`next_cursor` of the page before, or the `id` of the last event.")]
AfterVersion = Annotated[
    int | None, Query(ge=1, le=10**15, description="Begin with what came after this version. Not beside `after`.")
]

Place = tuple[int, int]
"""A version, and how many of its changes are already known."""
Row = tuple[Version, Change | None, Place]
"""A change, its version, and the place after it; without a change, that the version forgot customers."""


def router(published: Published, stopping: Callable[[], bool]) -> APIRouter:
    routes = APIRouter(tags=["read"])
    feed = _Feed(published, stopping)

    @routes.get(
        "/v1/changes",
        response_model=Changes,
        operation_id="listChanges",
        summary="What changed, for whom",
        description=(
            "Applied in their order, the changes lead from nothing, or from the version that one began after, to the "
            "current one. A customer who is no longer known loses all he had; `forgotten` says that some were "
            "forgotten, of whom nothing else is told. With `Accept: text/event-stream` the answer goes on with every "
            "new version; `Last-Event-ID` then counts as `after`."
        ),
        responses=streams.described(streams.EVENTS)
        | refusals(
            problems.parameter_unknown,
            problems.parameter_invalid,
            problems.cursor_invalid,
            problems.version_unknown,
            problems.version_not_kept,
        ),
        dependencies=[Depends(parameters.only("after", "after_version", "limit"))],
    )
    async def changes(
        request: Request,
        after: After = None,
        after_version: AfterVersion = None,
        limit: Limit = 100,
        last_event_id: Annotated[str | None, Header()] = None,
    ) -> Response:
        provenance = published.current()
        streaming = streams.wants(request, streams.EVENTS)
        start = feed.start((last_event_id or after) if streaming else after, after_version)
        if streaming:
            return streams.response(feed.events(start), streams.EVENTS)
        rows, more, place = await published.slowly(feed.rows, start, limit)
        body = {
            **provenance.members,
            "changes": [_told(version, change) for version, change, _ in rows if change is not None],
            "forgotten": [_forgotten(version) for version, change, _ in rows if change is None],
            "next_cursor": cursors.written(published, OF, *place),
            "more": more,
        }
        return Response(dumped(body), headers=FRESH, media_type="application/json")

    return routes


class _Feed:
    def __init__(self, published: Published, stopping: Callable[[], bool]) -> None:
        self._published = published
        self._stopping = stopping

    def start(self, after: str | None, after_version: int | None) -> Place:
        store = self._published.store
        if after is not None:
            version, known = cursors.read(self._published, OF, after)
            return version, int(known)
        if after_version is None:
            return 1, 0
        found = store.version(after_version)
        if found.detached:
            raise problems.version_unknown(
                message=f"Version {after_version} is for an earlier day: it never was current."
            )
        return after_version, _size(found)

    def rows(self, start: Place, limit: int) -> tuple[list[Row], bool, Place]:
        """The next changes, whether there are more, and the place after them."""
        store = self._published.store
        current = store.current()
        rows: list[Row] = []
        number, known = place = start
        while current is not None and number <= current.number:
            version = store.version(number)
            left = 0 if version.detached else _size(version) - known
            if left > 0:
                if len(rows) == limit:
                    return rows, True, place
                if version.kind is VersionKind.FORGET:
                    known = 1
                    rows.append((version, None, (number, known)))
                else:
                    for change in store.changes(number, known, min(left, limit - len(rows))):
                        known += 1
                        if change is not None:  # of somebody who is not forgotten
                            rows.append((version, change, (number, known)))
                place = number, known
                if known < _size(version):
                    return rows, True, place
            elif not version.detached:
                place = number, _size(version)
            number, known = number + 1, 0
        return rows, False, place

    async def events(self, place: Place) -> AsyncIterator[bytes]:
        """Changes as they come, for as long as there is somebody to read them."""
        seen, spoken = None, time.monotonic()
        yield b": connected\n\n"
        while not self._stopping():
            # The current version is one quick read; files are looked into only where there is something new.
            current = self._published.current().version.number
            more = False
            if current != seen:
                rows, more, place = await self._published.slowly(self.rows, place, streams.AT_ONCE)
                if rows:
                    yield b"".join(self._event(*row) for row in rows)
                    spoken = time.monotonic()
                if not more:
                    seen = current
            if not more:
                await asyncio.sleep(LOOK_EVERY)
            if time.monotonic() - spoken > BEAT_EVERY:
                yield b": still there\n\n"
                spoken = time.monotonic()

    def _event(self, version: Version, change: Change | None, place: Place) -> bytes:
        cursor = cursors.written(self._published, OF, *place).encode()
        if change is None:
            return b"id: %b\nevent: forgotten\ndata: %b\n\n" % (cursor, dumped(_forgotten(version)))
        return b"id: %b\nevent: change\ndata: %b\n\n" % (cursor, dumped(_told(version, change)))


def _size(version: Version) -> int:
    """How many entries of the feed a version has."""
    return 1 if version.kind is VersionKind.FORGET else version.movement.rows


def _forgotten(version: Version) -> dict[str, object]:
    """Whom it was about is nowhere any more."""
    report: Any = version.report
    return {
        "version": version.number,
        "as_of": version.as_of.isoformat(),
        "customers": len(report["forgotten"]["customers"]),
    }


def _told(version: Version, change: Change) -> dict[str, object]:
    return {
        "version": version.number,
        "as_of": version.as_of.isoformat(),
        "customer": str(change.customer),
        "kind": change.kind,
        "name": change.name,
        "old": change.old,
        "new": change.new,
        "since": None if change.since is None else change.since.isoformat(),
    }
