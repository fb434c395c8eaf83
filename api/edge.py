"""What is done to every request before it finds its route."""

import asyncio
import ipaddress
import re
import secrets
import time
from collections.abc import Callable, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
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


class Edge:
    """Routes see the path as it was sent, GET for HEAD, and no body beyond the largest."""

    def __init__(self, app: ASGIApp, local: bool, answered: Callable[[str | None, int, float], None]) -> None:
        self.app = app
        self.answered = answered
        """Told of each request: its path as the document has it, the status, and how long it took."""
        self.local = local
        """Answers only where the client named this machine itself, so that no web page can point a name of its own
        at it and read it through a browser."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        send = _with_headers(send, headers.get(b"x-request-id", b""))
        if self.local and not _names_this_machine(headers.get(b"host", b"localhost")):
            await problems.response(problems.host_not_served())(scope, receive, send)
            return
        length = headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > LARGEST_BODY:
            await problems.response(too_large())(scope, receive, send)
            return
        if length is not None or b"transfer-encoding" in headers:
            receive = _counted(receive)
        raw = scope.get("raw_path") or scope["path"].encode()
        # Some clients encode the colon of `customers:batchGet`.
        path = raw.decode("latin-1").replace("%3A", ":").replace("%3a", ":")
        inner: MutableMapping[str, Any] = {**scope, "path": path}
        if scope["method"] == "HEAD":
            inner["method"] = "GET"
            # A stream would have no end that its client waits for.
            inner["headers"] = [(name, value) for name, value in scope["headers"] if name != b"accept"]
            send = _without_body(send)
        began, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(inner, receive, noted)
        finally:
            self.answered(inner.get("operation"), status, time.perf_counter() - began)


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


def _with_headers(send: Send, request_id: bytes) -> Send:
    """Give an answer the id of its request, the client's own where that is plain, and what keeps browsers safe."""
    if not _REQUEST_ID.fullmatch(request_id):
        request_id = secrets.token_hex(8).encode()

    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *SECURITY, (b"x-request-id", request_id)]
        await send(message)

    return headed


def _without_body(send: Send) -> Send:
    async def bare(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return bare


@lru_cache(maxsize=256)
def _names_this_machine(host: bytes) -> bool:
    name = re.sub(r":\d*$", "", host.decode("latin-1")).strip("[]").lower()
    return is_loopback(name)


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Segment(Convertor[str]):
    """One segment of a path, decoded once: `a%2Fb` is `a/b`, and `a%252Fb` is `a%2Fb`."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        if "%" not in value and value.isascii():
            return value
        try:
            if _STRAY_PERCENT.search(value):
                raise ValueError
            return unquote_to_bytes(value.encode("latin-1")).decode()
        except ValueError:
            raise problems.path_unreadable(segment=value) from None

    def to_string(self, value: str) -> str:
        raise NotImplementedError


_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")

register_url_convertor("segment", _Segment())
