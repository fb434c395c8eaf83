"""Which version an answer comes from, as every answer says it."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import ParamSpec, TypeVar

from fastapi import Request, Response

from ruleengine.schema import Manifest
from ruleengine.store.records import Counts, Version
from ruleengine.store.store import Store
from ruleengine.verbs.published import computed, ordered

from . import problems

P = ParamSpec("P")
T = TypeVar("T")

MOST_REMEMBERED = 256
FILES_AT_ONCE = 2
FRESH = {"cache-control": "private, no-cache"}
"""Kept by the client alone, and asked about each time: a new version counts at once."""
NOW = {"cache-control": "no-store"}
"""Of what is so only now, or was done only once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    version: Version
    counts: Counts
    """As the rules list them."""
    members: Mapping[str, object]
    """The members that every answer has."""
    head: bytes
    """The same as JSON, without braces."""
    etag: str
    """Of an answer that changes only with the version."""
    headers: Sequence[tuple[bytes, bytes]]
    """Of such an answer."""

    def answered(self, request: Request, content: Callable[[], bytes]) -> Response:
        """Such an answer, or 304 to who has it already."""
        if any(self.is_known_by(value) for name, value in request.scope["headers"] if name == b"if-none-match"):
            response = Response(status_code=304)
            response.raw_headers = list(self.headers)
            return response
        response = Response(content(), media_type="application/json")
        response.raw_headers = [*self.headers, *response.raw_headers]
        return response

    def is_known_by(self, tags: bytes) -> bool:
        """Whether an If-None-Match names the answer (RFC 9110, 13.1.2)."""
        given = [each.strip().removeprefix(b"W/") for each in tags.split(b",")]
        return self.etag.encode() in given or given == [b"*"]


class Published:
    """The store, and the provenance of what it answers."""

    def __init__(self, store: Store, manifest: Manifest, today: Callable[[], date] | None = None) -> None:
        zone = manifest.zone
        self.store = store
        self.manifest = manifest
        # Threads of our own that stay: each keeps a connection to the store.
        self._files = ThreadPoolExecutor(FILES_AT_ONCE, "files")
        self._stale_after = manifest.stale_after_days
        self.today = today or (lambda: datetime.now(zone).date())
        self._remembered: dict[tuple[int, bool], Provenance] = {}
        self._as_of: dict[int, date] = {}

    def close(self) -> None:
        self._files.shutdown(wait=False, cancel_futures=True)

    async def slowly(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something that reads files or computes, while others are answered."""
        return await asyncio.get_running_loop().run_in_executor(self._files, lambda: work(*args, **kwargs))

    def current(self) -> Provenance:
        """Of the version that is current now; refused before the first."""
        version = self.store.current()
        if version is None:
            raise problems.nothing_published()
        return self.of(version.number)

    def of(self, number: int) -> Provenance:
        """Of a version that the store has just answered from."""
        as_of = self._as_of.get(number)
        if as_of is None:
            if len(self._as_of) >= MOST_REMEMBERED:
                self._as_of.clear()
                self._remembered.clear()
            as_of = self._as_of[number] = self.store.version(number).as_of
        stale = self._stale_after is not None and (self.today() - as_of).days > self._stale_after
        found = self._remembered.get((number, stale))
        if found is None:
            found = self._remembered[number, stale] = self._made(number, stale)
        return found

    def _made(self, number: int, stale: bool) -> Provenance:
        version = self.store.version(number)
        # A rollback, and a held run that somebody published later, answer with what was computed before.
        evaluated = self.store.run(computed(self.store, version).run).started_at
        members = {
            "version": number,
            "ruleset_hash": version.ruleset_hash,
            "as_of": version.as_of.isoformat(),
            "evaluated_at": evaluated.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "stale": stale,
        }
        head = dumped(members)[1:-1]
        # The version's own hash is in it, for a store that is made anew counts from 1 again.
        digest = hashlib.sha256(head + version.hash.encode()).hexdigest()
        etag = f'"{number}-{digest[:16]}"'
        return Provenance(
            version=version,
            counts=ordered(self.store, version),
            members=members,
            head=head,
            etag=etag,
            headers=((b"cache-control", FRESH["cache-control"].encode()), (b"etag", etag.encode())),
        )


def dumped(value: object) -> bytes:
    return _encode(value).encode()


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
