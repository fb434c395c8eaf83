"""What is answered at once is the answer of the ordinary way, and is counted, logged and refused alike."""

import asyncio
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from importlib import import_module
from typing import Any

import pytest

from ruleengine import serving
from ruleengine.settings import Scope
from ruleengine.store.records import ApiKey
from ruleengine.store.store import Store
from ruleengine.verbs.keys import digest
from tests.api.asking import RULES, manifest
from tests.api.test_protocol import listening
from tests.store.tables import held, publish

SECRET = "rek_secret"
PATHS = [
    "/v1/customers/17",
    "/v1/customers/a%2Fb",
    "/v1/customers/a%2fb",
    "/v1/customers/a%252Fb",
    "/v1/customers/a/b",
    "/v1/customers/%E5%AE%A2%E6%88%B7%201",
    "/v1/customers/100%25",
    "/v1/customers/100%",
    "/v1/customers/%31%37",
    "/v1/customers/%3117",
    "/v1/customers/nobody",
    "/v1/customers/stranger",
    "/v1/customers/a:b",
    "/v1/customers/a%3Ab",
    "/v1/customers/%3a%3A",
    "/v1/customers/%ff",
    "/v1/customers/%00",
    "/v1/customers/.",
    "/v1/customers/",
    "/v1/customers/17/",
    "/v1/customers//17",
    "/v1/customers/17?",
    "/v1/customers/17?version=1",
    "/v1/customers/17?verson=1",
    "/v1/customers/17#tags",
    "/V1/customers/17",
    "http://localhost/v1/customers/17",
    "/v1/customers:batchGet",
    "/v1/customers/17/history/",
]
HEADERS = [
    [],
    ["Host: localhost:8000"],
    ["Host: evil.example"],
    ["Host: LOCALHOST", "X-Request-Id: order-7"],
    ["X-Request-Id: no id", "X-Request-Id: order-8"],
    ["If-None-Match: *"],
    ["If-None-Match: {etag}"],
    ['If-None-Match: "x", W/{etag}'],
    ['If-None-Match: "x"'],
    ['If-None-Match: "x"', "If-None-Match: {etag}"],
    ["Accept: text/event-stream"],
    ["Content-Length: 0"],
    ["Content-Length: 2"],
    ["Expect: 100-continue"],
    ["Upgrade: h2c", "Connection: Upgrade"],
    ["Authorization: bearer"],
    ["Authorization: Bearer wrong"],
    ["Authorization: Bearer {secret}"],
    ["authorization:   BEARER   {secret}  "],
    ["Authorization: Bearer {secret}", "Authorization: Bearer wrong"],
]


Answer = tuple[int, dict[str, str], bytes]


def given(store: Store, *scopes: Scope, secret: str = SECRET, expires: date | None = None) -> ApiKey:
    key = ApiKey(
        id=digest(secret)[:8],
        digest=digest(secret),
        name="crm",
        scopes=scopes,
        actor="test",
        created_at=datetime.now(UTC),
        expires_on=expires,
        revoked_at=None,
    )
    store.add_key(key)
    return key


def request(path: str, *headers: str, method: str = "GET") -> bytes:
    host = [] if any(each.startswith("Host:") for each in headers) else ["Host: localhost"]
    body = "{}" if "Content-Length: 2" in headers else ""
    return "\r\n".join([f"{method} {path} HTTP/1.1", *host, *headers, "", body]).encode()


def bearer(secret: str = SECRET) -> str:
    return f"Authorization: Bearer {secret}"


class Server:
    """In this process. `at_once` are the targets that its application answered at once."""

    def __init__(self, store: Store, *, is_quick: bool = True, **options: Any) -> None:
        app: Any = serving.app(store, manifest(), **options)
        self.app = app
        self.at_once: list[bytes] = []
        ask = self.app.quick

        def noted(target: bytes, *rest: Any) -> bytes | None:
            answer: bytes | None = ask(target, *rest) if is_quick else None
            if answer is not None:
                self.at_once.append(target)
            return answer

        self.app.quick = noted

    async def ask(self, *sent: bytes) -> list[Answer]:
        """Each over a connection of its own."""
        async with listening(self.app) as port:
            return [await self._ask(port, each) for each in sent]

    async def _ask(self, port: int, sent: bytes) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        try:
            return await answered(reader, "" if sent.startswith(b"HEAD") else None)
        finally:
            writer.close()


async def answered(reader: asyncio.StreamReader, body: str | None = None) -> Answer:
    lines = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)).decode().splitlines()
    if lines[0].split()[1] == "100":
        return await answered(reader, body)
    headers = dict(line.split(": ", 1) for line in lines[1:] if line)
    assert len(headers) == len(lines) - 2, lines
    length = int(headers.get("content-length", 0)) if body is None else 0
    return int(lines[0].split()[1]), headers, await reader.readexactly(length)


def told(answer: Answer, request_id: str | None) -> Answer:
    """Without what differs each time."""
    status, headers, body = answer
    own = {"date"} if request_id else {"date", "x-request-id"}
    kept = {name: value for name, value in headers.items() if name not in own}
    return status, kept, re.sub(rb'"request_id": "[0-9a-f]{16}"', b"", body)


@pytest.mark.parametrize("with_key", [False, True])
def test_it_is_the_answer_of_the_ordinary_way(published: Store, with_key: bool) -> None:
    key = []
    if with_key:
        given(published, "tags:read")
        key = [bearer()]
    today = date(2026, 4, 1)
    (_, known, _) = asyncio.run(Server(published, today=lambda: today).ask(request("/v1/customers/17", *key)))[0]
    asked = [request(path, *key) for path in PATHS]
    for headers in HEADERS:
        filled = [each.replace("{etag}", known["etag"]).replace("{secret}", SECRET) for each in headers]
        asked.append(request("/v1/customers/17", *filled))
        if key and not any("uthorization" in each for each in headers):
            asked.append(request("/v1/customers/17", *filled, *key))
    asked += [request("/v1/customers/17", *key, method=method) for method in ("HEAD", "PUT", "OPTIONS", "PURGE")]
    quick, ordinary = Server(published, today=lambda: today), Server(published, is_quick=False, today=lambda: today)

    # The first time a key is seen it is looked up.
    found = asyncio.run(quick.ask(*asked, *asked))[len(asked) :]
    expected = asyncio.run(ordinary.ask(*asked, *asked))[len(asked) :]

    for sent, one, other in zip(asked, found, expected, strict=True):
        chosen = "order" if b"order" in sent else None
        assert told(one, chosen) == told(other, chosen), sent
    assert {200, 304, 400, 404, 405, 421} <= {status for status, _, _ in found}
    assert (401 in {status for status, _, _ in found}) is with_key
    assert len(quick.at_once) > 30
    assert not ordinary.at_once


def test_it_is_for_keys_that_may_read_customers_alone(published: Store) -> None:
    scopes: Sequence[Scope] = ("tags:read", "admin", "tags:write", "audit:read", "rules:read", "runs:execute")
    for scope in scopes:
        given(published, scope, secret=scope)
    asked = [request("/v1/customers/17", bearer(scope)) for scope in scopes]
    server = Server(published)

    found = asyncio.run(server.ask(*asked, *asked))

    assert [status for status, _, _ in found] == [200, 200, 403, 403, 403, 403] * 2
    assert len(server.at_once) == 2


def test_a_revoked_key_is_refused_at_once(published: Store) -> None:
    key = given(published, "tags:read")
    sent = request("/v1/customers/17", bearer())
    server = Server(published)

    async def work() -> None:
        async with listening(server.app) as port:
            for _ in range(3):
                assert (await server._ask(port, sent))[0] == 200
            assert len(server.at_once) == 2
            published.revoke_key(key.id, datetime.now(UTC))
            assert (await server._ask(port, sent))[0] == 401
            assert (await server._ask(port, request("/v1/customers/17")))[0] == 401

    asyncio.run(work())
    assert len(server.at_once) == 2


def test_an_expired_key_is_refused(published: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    given(published, "tags:read", expires=date(2026, 4, 2))
    day = date(2026, 4, 1)
    server = Server(published, today=lambda: day)
    sent = request("/v1/customers/17", bearer())

    assert [status for status, _, _ in asyncio.run(server.ask(sent, sent))] == [200, 200]
    day = date(2026, 4, 2)
    monkeypatch.setattr(import_module("ruleengine.api.access"), "REMEMBERED", 0)  # The second is over.

    assert [status for status, _, _ in asyncio.run(server.ask(sent, sent))] == [401, 401]


def test_a_rate_is_counted_whichever_way_is_taken(published: Store) -> None:
    given(published, "tags:read")
    server = Server(published, rate=10)
    asked = [request(path, bearer()) for path in ("/v1/customers/17", "/v1/customers/stranger", "/v1/tags")]

    statuses = [status for status, _, _ in asyncio.run(server.ask(*asked * 10))]

    refused = statuses.index(429)
    assert 9 <= refused <= 20  # A window may end meanwhile.
    assert set(statuses[:refused]) == {200, 404}


def test_a_new_version_counts_at_once(published: Store) -> None:
    server = Server(published)
    sent = request("/v1/customers/17")

    async def work() -> None:
        async with listening(server.app) as port:
            assert json.loads((await server._ask(port, sent))[2])["version"] == 1
            publish(published, "2026-04-01", {"17": held("New")}, rules=RULES)
            _, _, body = await server._ask(port, sent)
            assert (json.loads(body)["version"], json.loads(body)["tags"][0]["name"]) == (2, "New")

    asyncio.run(work())
    assert len(server.at_once) == 2


def test_requests_on_one_connection_are_answered_in_their_order(published: Store) -> None:
    slow = request("/v1/tags", "X-Request-Id: slow")
    post = request("/v1/customers:batchGet", "X-Request-Id: post", "Content-Length: 2", method="POST")
    sent = [
        request("/v1/customers/17", "X-Request-Id: first"),
        slow,
        request("/v1/customers/17", "X-Request-Id: third"),
    ]
    sent += [post, request("/v1/customers/nobody", "X-Request-Id: last")]

    async def work(size: int) -> None:
        server = Server(published)
        async with listening(server.app) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            whole = b"".join(sent)
            for start in range(0, len(whole), size):
                writer.write(whole[start : start + size])
                await asyncio.sleep(0)
            found = [await answered(reader) for _ in sent]
            writer.close()
        assert [headers["x-request-id"] for _, headers, _ in found] == ["first", "slow", "third", "post", "last"]
        assert [status for status, _, _ in found] == [200, 200, 200, 415, 200]
        assert b"/v1/customers/17" in server.at_once

    for size in (1 << 16, 7, 100):
        asyncio.run(work(size))


def test_it_is_counted_and_logged(published: Store) -> None:
    given(published, "tags:read")
    stream = io.StringIO()
    log: Any = import_module("ruleengine.api.logs").Log(stream, "json", "info")
    server = Server(published, log=log)
    sent = request("/v1/customers/17", bearer(), "X-Request-Id: one")

    *_, (_, _, figures) = asyncio.run(server.ask(sent, sent, request("/metrics")))

    log.flush()
    first, second, _ = map(json.loads, stream.getvalue().splitlines())
    assert len(server.at_once) == 1
    assert {name for name in first if first[name] != second[name]} <= {"time", "milliseconds"}
    assert (second["route"], second["key"], second["status"]) == ("/v1/customers/{id}", digest(SECRET)[:8], 200)
    assert b'ruleengine_requests_total{operation="/v1/customers/{id}",status="200"} 2.0' in figures


def test_a_mistake_of_ours_is_told_the_ordinary_way(published: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> object:
        raise LookupError("what happened")

    monkeypatch.setattr(published, "customer", broken)

    ((status, headers, body),) = asyncio.run(Server(published).ask(request("/v1/customers/17")))

    assert (status, json.loads(body)["code"]) == (500, "internal_error")
    assert headers["content-type"] == "application/problem+json"
