"""What a server does with clients that send no request, or never the whole of one."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import Any

import pytest
import uvicorn

from ruleengine import serving
from ruleengine.store.store import Store
from tests.api.asking import manifest

WAIT = 0.3
Work = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("ruleengine.api.edge"), "LONGEST_WAIT", WAIT)


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[int]:
    """The port of a server in this process."""
    protocol: Any = import_module("ruleengine.api.protocol")
    config = uvicorn.Config(app, http=protocol.speaking(app), log_config=None)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config.load()
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        try:
            yield listener.getsockname()[1]
        finally:
            await server.shutdown(sockets=[listener])


def talk(store: Store, work: Work) -> None:
    async def talking() -> None:
        async with listening(serving.app(store, manifest())) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await asyncio.wait_for(work(reader, writer), 20)
            finally:
                writer.close()

    asyncio.run(talking())


async def answered(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, json.loads(body)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"not http\r\n\r\n", 400, "request_unreadable"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "request_unreadable"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "request_unreadable"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, "request_unreadable"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, 431, "head_too_large"),
        (b"GET /" + b"x" * 70_000, 431, "head_too_large"),
    ],
)
def test_what_is_no_request_gets_a_problem(published: Store, sent: bytes, status: int, code: str) -> None:
    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        found, headers, body = await answered(reader)
        assert (found, body["status"], body["code"]) == (status, status, code)
        assert headers["content-type"] == "application/problem+json"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-request-id"] == body["request_id"]
        assert await reader.read() == b""

    talk(published, work)


@pytest.mark.parametrize(
    "sent",
    [
        [],
        [b"GET / HTTP/1.1\r\n"],
        # A byte now and then does not make it a request.
        [b"GET / HTTP/1.1\r\nX: "] + [b"x"] * 1000,
        # What is left of the body of a request that was answered.
        [b"POST /v1/tags HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"] + [b"x"] * 1000,
        [b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET / HT"] + [b"x"] * 1000,
    ],
)
def test_a_connection_is_closed_that_owes_a_request(published: Store, quick: None, sent: list[bytes]) -> None:
    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def trickle() -> None:
            for piece in sent:
                writer.write(piece)
                await asyncio.sleep(WAIT / 10)

        trickling = asyncio.create_task(trickle())
        with suppress(ConnectionError):  # It may be closed while we still write.
            await asyncio.wait_for(reader.read(), 20 * WAIT)
        trickling.cancel()

    talk(published, work)


def test_a_connection_that_asks_now_and_then_stays(published: Store, quick: None) -> None:
    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await answered(reader))[0] == 200
            await asyncio.sleep(2 * WAIT)

    talk(published, work)


def test_a_body_without_a_length_is_bounded_as_it_comes(published: Store) -> None:
    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"POST /v1/customers:batchGet HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        for _ in range(20):
            writer.write(piece)
            await asyncio.sleep(0)
        status, _, body = await answered(reader)
        assert (status, body["code"]) == (413, "body_too_large")

    talk(published, work)


def test_a_body_that_comes_slowly_is_not_waited_for(published: Store, quick: None) -> None:
    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"POST /v1/customers:batchGet HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n"
        )
        answer = asyncio.create_task(answered(reader))
        while not answer.done():
            writer.write(b" ")
            await asyncio.sleep(WAIT / 20)
        status, _, body = answer.result()
        assert (status, body["code"]) == (408, "body_late")

    talk(published, work)


def test_what_follows_a_body_is_no_header(published: Store) -> None:
    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"POST /v1/customers:batchGet HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
            b'e\r\n{"ids": ["17"]\r\n1\r\n}\r\n0\r\nHost: evil.example\r\nContent-Type: text/plain\r\n\r\n'
        )
        status, _, body = await answered(reader)
        assert (status, len(body["customers"])) == (200, 1)

    talk(published, work)


def test_nothing_is_read_after_a_request_to_go_on_in_another_protocol(published: Store) -> None:
    """What follows may be in that protocol, or be meant to be taken for another request."""

    async def work(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upgrade = b"GET /v1/customers/17 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        writer.write(upgrade + b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, headers, body = await answered(reader)
        assert (status, body["customer"], headers["connection"]) == (200, "17", "close")
        assert await reader.read() == b""

    talk(published, work)
