"""Requests whose answers come over a network are answered in threads, so that one that waits holds up no other."""

import asyncio
import threading
from collections.abc import Awaitable
from typing import TypeVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

T = TypeVar("T")

THREADS = 6
"""Each keeps a connection to the store."""
NEVER_WAITS = "/livez"


class Aside:
    """An application over a store at a distance. Each thread has an event loop; the least busy one answers next."""

    quick = None
    """The event loop that reads requests waits for no store."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._loops: list[asyncio.AbstractEventLoop] = []
        self._busy = [0] * THREADS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            try:
                await self._app(scope, receive, send)
            finally:
                for loop in self._loops:
                    loop.call_soon_threadsafe(loop.stop)
            return
        if scope["path"] == NEVER_WAITS:
            await self._app(scope, receive, send)
            return
        here = asyncio.get_running_loop()

        async def received() -> Message:
            return await _within(here, receive())

        async def sent(message: Message) -> None:
            await _within(here, send(message))

        thread = self._busy.index(min(self._busy))
        self._busy[thread] += 1
        try:
            await _within(self._loop(thread), self._app(scope, received, sent))
        finally:
            self._busy[thread] -= 1

    def _loop(self, thread: int) -> asyncio.AbstractEventLoop:
        while len(self._loops) <= thread:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name=f"aside-{len(self._loops)}", daemon=True).start()
            self._loops.append(loop)
        return self._loops[thread]


async def _within(loop: asyncio.AbstractEventLoop, work: Awaitable[T]) -> T:
    """Have an event loop of another thread do it."""

    async def done() -> T:
        return await work

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(done(), loop))
