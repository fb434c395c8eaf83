"""What is done to every request before it finds its route, and to every answer."""

import asyncio
import ipaddress
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from random import getrandbits
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import problems

LARGEST_BODY = 1 << 20
LONGEST_WAIT = 20.0
"""Seconds within which a body must be there."""
SECURITY: list[tuple[bytes, bytes]] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
_REQUEST_ID = re.compile(rb"[\w.-]{1,64}")


class Exchange(NamedTuple):
    """A request that was answered."""

    method: str
    route: str | None
    """The path as the document has it; None where it led nowhere."""
    status: int
    seconds: float
    key: str | None
    """The id of its key."""
    request_id: str


Answered = Callable[[Exchange], None]
"""Told of each request."""
Header = tuple[bytes, bytes]
Quick = Callable[[bytes, Sequence[Header], Iterable[Header]], bytes | None]
"""All of the answer to a GET, by its target and its headers, with further headers; None: it takes the ordinary way."""


class Edge:
    """The application as a server sees it.

    Routes see the path as it was sent, GET for HEAD, and no body beyond the largest. Every answer has the id of its
    request, the client's own where that is plain, and what keeps browsers safe.
    """

    def __init__(self, app: ASGIApp, quick: Quick, answered: Sequence[Answered], *, local: bool) -> None:
        self.app = app
        self.quick = quick
        """For a server that asks it before it makes more of a request than its head."""
        self.answered = answered
        self.local = local
        """Answers only where the client named this machine itself, so that no web page can point a name of its own
        at it and read it through a browser."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        headers = dict(scope["headers"])
        request_id = id_of(headers)
        problems.REQUEST.set(request_id.decode())
        added = always(request_id)

        async def headed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        # Some clients encode the colon of `customers:batchGet`.
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        if "%3" in path:
            path = path.replace("%3A", ":").replace("%3a", ":")
        asked: Scope = {**scope, "path": path}
        told: Send = headed
        if scope["method"] == "HEAD":
            asked["method"] = "GET"
            # A stream would have no end that its client waits for.
            asked["headers"] = [(name, value) for name, value in scope["headers"] if name != b"accept"]
            told = _without_body(headed)
        try:
            await self._answer(asked, headers, receive, told)
        except asyncio.CancelledError:
            # The server stops, and has waited for as long as it may. Nothing is left that this would have to end.
            if not status:
                await problems.response(problems.server_stopping())(asked, receive, told)
        except Exception as error:
            if not status:
                await problems.answer(error)(asked, receive, told)
            elif status < 500:
                # The answer is left without its end, so that nobody takes it for whole.
                problems.log_error(error)
        finally:
            seconds, key = time.perf_counter() - began, asked.get("key")
            exchange = Exchange(
                asked["method"], asked.get("operation"), status, seconds, key and key.id, request_id.decode()
            )
            for each in self.answered:
                each(exchange)

    async def _answer(self, asked: Scope, headers: Mapping[bytes, bytes], receive: Receive, send: Send) -> None:
        if self.local and not names_this_machine(headers.get(b"host", b"localhost")):
            raise problems.host_not_served()
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > LARGEST_BODY:
            raise too_large()
        if length is not None or b"transfer-encoding" in headers:
            receive = _counted(receive)
        await self.app(asked, receive, send)


def id_of(headers: Mapping[bytes, bytes]) -> bytes:
    """The id of a request: its client's own where that is plain, otherwise a new one."""
    given = headers.get(b"x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else b"%016x" % getrandbits(64)


def always(request_id: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of every answer."""
    return [*SECURITY, (b"x-request-id", request_id)]


def lines(headers: Iterable[Header]) -> bytes:
    """As HTTP/1.1 writes them."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def too_large() -> problems.Refused:
    return problems.body_too_large(most=LARGEST_BODY)


def _counted(receive: Receive) -> Receive:
    received, whole = 0, False
    deadline = time.monotonic() + LONGEST_WAIT

    async def counted() -> Message:
        nonlocal received, whole
        if whole:  # What comes then is that the client is gone, whenever that may be.
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            raise problems.body_late(seconds=int(LONGEST_WAIT)) from None
        received += len(message.get("body", b""))
        if received > LARGEST_BODY:
            raise too_large()
        whole = not message.get("more_body", False)
        return message

    return counted


def _without_body(send: Send) -> Send:
    async def bare(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return bare


@lru_cache(maxsize=256)
def names_this_machine(host: bytes) -> bool:
    name = re.sub(r":\d*$", "", host.decode("latin-1")).strip("[]").lower()
    return is_loopback(name)


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
