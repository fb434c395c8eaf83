"""What the one who runs the server is told, and what the log never says."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ruleengine import serving
from ruleengine.settings import LogFormat, LogLevel
from ruleengine.store import open_store
from ruleengine.store.store import Store
from tests.api.asking import manifest
from tests.api.test_keys import bearer, given
from tests.api.test_server import logged, ruleset, started, stopped
from tests.store.tables import Rules, held, publish

__all__ = ["ruleset"]

PERSON = "zoe@example.com"


def test_the_log_names_neither_keys_nor_customers(ruleset: Path) -> None:
    store = open_store(ruleset / ".ruleengine")
    publish(store, "2026-01-01", {PERSON: held("VIP"), "zoe/%": held()}, rules=Rules(key_type="text"))
    store.close()
    secret = given(ruleset, "tags:read", "tags:write", "audit:read", "rules:read")
    asked = [
        ("GET", "/v1/customers/zoe%40example.com", secret, None),
        ("GET", "/v1/customers/zoe%2F%25", secret, None),
        ("GET", "/v1/customers/zoe%ZZ", secret, None),
        ("GET", "/v1/customers/zoe?zoe=zoe", secret, None),
        ("GET", f"/v1/zoe/?key={secret}", secret, None),
        ("GET", "/v1/customers/zoe", f"{secret}zoe", None),
        ("GET", "/v1/customers/zoe%40example.com/history", secret, None),
        ("GET", "/v1/customers/zoe%40example.com/explain/VIP", secret, None),
        ("POST", "/v1/customers:batchGet", secret, json.dumps({"ids": [PERSON], "zoe": 1})),
        ("POST", "/v1/customers:batchGet", secret, "zoe"),
        ("POST", "/v1/rulesets:check", secret, json.dumps({"files": {"zoe.rules": 'tag "zoe" when'}})),
        (
            "PUT",
            "/v1/customers/zoe%40example.com/tags/zoe",
            secret,
            json.dumps({"reason": "zoe asked", "actor": "zoe"}),
        ),
        ("DELETE", "/v1/customers/zoe%40example.com/tags/zoe?reason=zoe", secret, None),
        ("PURGE", "/v1/customers/zoe", secret, None),
    ]
    with started(ruleset, "--port", "0") as (server, host, port):
        for method, path, key, body in asked:
            connection = HTTPConnection(host, port, timeout=30)
            headers = {**bearer(key), "content-type": "application/json", "x-request-id": PERSON}
            connection.request(method, path, body, headers)
            connection.getresponse().read()
        for sent in (b"zoe@example.com\r\n\r\n", b"GET /zoe HTTP/1.1\r\nzoe\r\n\r\n"):
            raw = HTTPConnection(host, port, timeout=30)
            raw.connect()
            raw.sock.sendall(sent)
            assert raw.sock.recv(1000).startswith(b"HTTP/1.1 400")
        assert stopped(server) == 0
    lines = logged(ruleset)
    text = (ruleset / "log").read_text().lower()
    requests = [line for line in lines if line["message"] == "request"]
    assert len(requests) == len(asked)
    assert sum(line["key"] is not None for line in requests) == 10  # The others lead nowhere, or have none that counts.
    assert "zoe" not in text
    assert secret.lower() not in text


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    yield io.StringIO()
    logging.basicConfig(handlers=[], force=True)


def client_of(store: Store, stream: io.StringIO, form: LogFormat = "json", level: LogLevel = "info") -> TestClient:
    log: Any = import_module("ruleengine.api.logs").Log(stream, form, level)
    log.listen()
    return TestClient(serving.app(store, manifest(), log=log), base_url="http://localhost")


def lines_of(stream: io.StringIO) -> list[str]:
    for handler in logging.getLogger().handlers:
        handler.flush()
    return stream.getvalue().splitlines()


def test_each_request_is_a_line(published: Store, log: io.StringIO) -> None:
    client = client_of(published, log)

    answer = client.get("/v1/customers/17", headers={"x-request-id": "order-7"})
    client.get("/v1/nowhere")

    assert answer.headers["x-request-id"] == "order-7"
    read, nowhere = map(json.loads, lines_of(log))
    assert [*read] == [
        *("time", "level", "worker", "request_id", "message"),
        *("method", "route", "status", "milliseconds", "key"),
    ]
    assert (read["level"], read["message"], read["request_id"]) == ("info", "request", "order-7")
    assert (read["method"], read["route"], read["status"]) == ("GET", "/v1/customers/{id}", 200)
    assert 0 < read["milliseconds"] < 60_000
    assert nowhere["status"] == 404
    assert nowhere["route"] is None


def test_a_mistake_of_ours_is_logged_with_its_trace_and_told_without(
    published: Store, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> object:
        raise LookupError("what happened")

    monkeypatch.setattr(published, "customer", broken)
    monkeypatch.setattr(published, "current", broken)
    client = client_of(published, log, level="warning")
    for path in ("/v1/customers/17", "/v1/tags"):
        answer = client.get(path)

        assert answer.status_code == 500
        assert "what happened" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"
        line = json.loads(lines_of(log)[-1])
        assert (line["level"], line["request_id"]) == ("error", answer.json()["request_id"])
        assert "LookupError: what happened" in line["trace"]
    assert len(lines_of(log)) == 2


def test_lines_may_be_text(published: Store, log: io.StringIO) -> None:
    client_of(published, log, form="text").get("/livez", headers={"x-request-id": "one"})

    (line,) = lines_of(log)
    assert "request_id=one message=request method=GET route=/livez status=200" in line


def test_requests_are_answered_also_where_nobody_reads_the_log(published: Store, log: io.StringIO) -> None:
    client = client_of(published, log)
    log.close()

    assert client.get("/v1/customers/17").status_code == 200


def test_lines_of_requests_are_written_together_and_in_order() -> None:
    written: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    log: Any = import_module("ruleengine.api.logs").Log(Stream(), "text", "info")
    exchange: Any = import_module("ruleengine.api.edge").Exchange

    async def work() -> None:
        for each in ("one", "two", "three"):
            log.answered(exchange("GET", "/livez", 200, 0.001, None, each))
        assert not written
        while not written:
            await asyncio.sleep(0.01)
        log.answered(exchange("GET", "/livez", 200, 0.001, None, "four"))
        log.handle(logging.LogRecord("ruleengine", logging.WARNING, "", 0, "five", None, None))

    asyncio.run(work())

    lines = [text.splitlines() for text in written]
    found = [[dict(part.split("=", 1) for part in line.split()) for line in text] for text in lines]
    told = [[line.get("request_id", line["message"]) for line in text] for text in found]
    assert told == [["one", "two", "three"], ["four"], ["five"]]
