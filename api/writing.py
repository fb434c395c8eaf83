"""What is written over HTTP: one write at a time in each server, by somebody who is named."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from fastapi import Request

from ruleengine import settings
from ruleengine.store.records import Version
from ruleengine.store.refusals import StoreLockedError

from . import problems
from .provenance import Published

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 3.0
"""Seconds that a write waits for another server, or for a run, to be done."""
LOOK_EVERY = 0.05


class Desk:
    """Where writes wait for their turn, while everybody else is answered."""

    def __init__(self, published: Published) -> None:
        self._published = published
        self._thread = ThreadPoolExecutor(1, "writer")

    def close(self) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do it as soon as nobody else writes to the store; StoreLockedError where that takes too long."""

        def patiently() -> T:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    return work(*args, **kwargs)
                except StoreLockedError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(LOOK_EVERY)

        return await asyncio.get_running_loop().run_in_executor(self._thread, patiently)

    def unchanged(self, request: Request) -> Callable[[Version], None]:
        """Refuses a write where the current version is not that of the request's If-Match (RFC 9110, 13.1.1)."""
        wanted = request.headers.get("if-match")
        given = [] if wanted is None else [each.strip() for each in wanted.split(",")]

        def check(current: Version) -> None:
            if wanted is not None and given != ["*"] and self._published.of(current.number).etag not in given:
                raise problems.version_moved(version=current.number)

        return check


def actor(request: Request, given: str | None) -> str:
    """Who is recorded: the one whom the application names, and the key's name; without keys, as on the command line."""
    key = request.scope.get("key")
    if key is None:
        return settings.actor(given)
    return f"{given} ({key.name})" if given else str(key.name)
