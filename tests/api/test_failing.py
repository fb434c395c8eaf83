"""How requests fail that no resource is to blame for, and how the server says how it is."""

import asyncio
import json
import logging
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import apsw
import pytest
from starlette.testclient import TestClient

from ruleengine.store import open_store
from ruleengine.store.records import ApiKey
from ruleengine.store.store import Store
from tests.api.asking import PROVENANCE, client_of, problem

READS = [
    ("GET", "/v1/customers/17"),
    ("GET", "/v1/customers/17?version=1"),
    ("POST", "/v1/customers:batchGet"),
    ("GET", "/v1/tags"),
    ("GET", "/v1/tags/VIP/customers"),
    ("GET", "/v1/tiers/loyalty/levels/Gold/customers"),
    ("GET", "/v1/classes/abc/values/A/customers"),
    ("GET", "/readyz"),
]


@pytest.mark.parametrize(("method", "path"), READS)
def test_before_the_first_version_there_is_nothing_to_answer(store: Store, method: str, path: str) -> None:
    answer = client_of(store).request(method, path, json={"ids": ["17"]} if method == "POST" else None)

    assert problem(answer) == (503, "nothing_published")
    assert answer.headers["retry-after"].isdigit()


@pytest.mark.parametrize(("method", "path"), READS)
def test_a_store_that_cannot_be_read_is_told_and_its_place_is_not(
    published: Store, tmp_path: Path, method: str, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    published.close()
    ledger = tmp_path / ".ruleengine" / "ledger.db"
    for file in ledger.parent.glob("ledger.db-*"):
        file.unlink()
    ledger.write_bytes(b"not a database, and far from it" * 1000)
    client = client_of(open_store(tmp_path / ".ruleengine"))

    answer = client.request(method, path, json={"ids": ["17"]} if method == "POST" else None)

    assert problem(answer) == (503, "store_damaged")
    assert str(tmp_path) not in answer.text
    assert "`ledger.db` in the store is damaged" in caplog.text
    assert client.get("/livez").json() == {"status": "alive"}


def test_nobody_is_let_in_where_the_keys_cannot_be_read(published: Store, tmp_path: Path) -> None:
    published.add_key(
        ApiKey(
            id="1",
            digest="2",
            name="till",
            scopes=("tags:read",),
            actor="me",
            created_at=datetime(2026, 4, 1, tzinfo=UTC),
            expires_on=None,
            revoked_at=None,
        )
    )
    (tmp_path / ".ruleengine" / "keys.db").unlink()
    client = client_of(open_store(tmp_path / ".ruleengine"))

    answers = [client.get("/v1/customers/17") for _ in range(3)]

    assert [problem(answer) for answer in answers] == [(503, "store_damaged")] * 3


def test_a_mistake_of_ours_is_told_without_a_trace(
    client: TestClient, published: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **kwargs: object) -> object:
        raise apsw.SQLError("secret detail")

    for method in ("customer", "customers", "members", "current"):
        monkeypatch.setattr(published, method, broken)
    for method, path in READS:
        with caplog.at_level(logging.ERROR):
            answer = client.request(method, path, json={"ids": ["17"]} if method == "POST" else None)
        assert problem(answer) == (500, "internal_error")
        assert "secret" not in answer.text
        assert "secret detail" in caplog.text
        caplog.clear()


def test_a_server_is_alive_and_then_ready(store: Store, client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}
    body = client.get("/readyz").json()
    assert body.keys() == PROVENANCE | {"status"}
    assert (body["status"], body["version"]) == ("ready", 1)


@pytest.mark.parametrize(
    "path",
    ["/", "/v1", "/v1/customers", "/v1/customers/", "/v1/customers/17/", "/v1//customers/17", "/v2/tags", "/docs"],
)
def test_there_is_nothing_elsewhere(client: TestClient, path: str) -> None:
    assert problem(client.get(path)) == (404, "path_unknown")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        *[(m, "/v1/customers/17", "DELETE, GET, HEAD") for m in ("POST", "PUT", "PATCH", "OPTIONS", "TRACE", "X")],
        ("GET", "/v1/customers/17/tags/VIP", "DELETE, PUT"),
        ("GET", "/v1/customers:batchGet", "POST"),
        ("POST", "/v1/tags", "GET, HEAD"),
        ("DELETE", "/v1/tags/VIP/customers", "GET, HEAD"),
        ("POST", "/livez", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_for_a_path_is_refused(client: TestClient, method: str, path: str, allowed: str) -> None:
    answer = client.request(method, path)

    assert problem(answer) == (405, "method_not_allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "path", [path for method, path in READS if method == "GET"] + ["/livez", "/v1/nowhere", "/v1/customers/stranger"]
)
def test_head_is_get_without_the_body(client: TestClient, path: str) -> None:
    client.headers["x-request-id"] = "one"
    got, head = client.get(path), client.head(path)

    assert head.status_code == got.status_code
    assert head.content == b""
    assert dict(head.headers) == dict(got.headers)


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:8000", "127.8.8.8", "[::1]:8000", "LOCALHOST"]
)
def test_names_of_this_machine_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/v1/tags", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "10.0.0.1", "", "::x"])
def test_a_web_page_cannot_read_through_a_name_of_its_own(client: TestClient, host: str) -> None:
    assert problem(client.get("/v1/customers/17", headers={"host": host})) == (421, "host_not_served")


def test_no_path_is_handed_to_open_telemetry(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths name customers."""
    telemetry = import_module("fastapi.telemetry._asgi")
    told: list[object] = []

    async def traced(*args: object, **kwargs: object) -> None:
        told.append(kwargs)
        raise AssertionError("traced")

    monkeypatch.setattr(telemetry.NativeTelemetry, "__call__", traced)
    monkeypatch.setattr(telemetry, "_unconfigured", lambda provider: False)  # Somebody has configured it.

    for path in ("/v1/customers/17?version=1", "/v1/tags"):
        assert client.get(path).status_code == 200
    assert told == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v1/customers/17", {}, 200),
        ("GET", "/v1/customers/17", {"if-none-match": "*"}, 304),
        ("GET", "/v1/customers/%ff", {}, 400),
        ("GET", "/v1/customers/stranger", {}, 404),
        ("GET", "/v1/tags", {}, 200),
        ("GET", "/v1/tags", {"host": "elsewhere.example"}, 421),
        ("GET", "/v1/tags/VIP/customers", {"accept": "application/x-ndjson"}, 200),
        ("GET", "/nowhere", {}, 404),
        ("POST", "/v1/tags", {}, 405),
        ("POST", "/v1/customers:batchGet", {}, 415),
        ("POST", "/v1/customers:batchGet", {"content-length": "10000000"}, 413),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/metrics", {}, 200),
    ],
)
def test_every_answer_has_an_id_and_keeps_browsers_safe(
    client: TestClient, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = client.request(method, path, headers={**headers, "x-request-id": "one"})

    assert answer.status_code == status
    assert answer.headers.get_list("x-request-id") == ["one"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("referrer-policy") == ["no-referrer"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    if status >= 400:
        problem(answer)


def test_a_long_key_is_not_told_at_length(client: TestClient) -> None:
    assert len(client.get("/v1/customers/" + "x" * 10_000).json()["detail"]) < 300


def test_a_body_that_does_not_come_is_not_waited_for(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("ruleengine.api.edge"), "LONGEST_WAIT", 0.05)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(30)

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"10"), (b"host", b"localhost")]
    path = "/v1/customers:batchGet"
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    app: Any = client.app
    asyncio.run(app({**scope, "headers": headers, "client": ("127.0.0.1", 1)}, receive, send))

    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["code"] == "body_late"


def test_an_answer_has_the_id_of_its_request(client: TestClient) -> None:
    def told(given: str) -> str:
        return client.get("/livez", headers={"x-request-id": given}).headers["x-request-id"]

    assert told("order-17.a_b") == "order-17.a_b"
    assert len({client.get("/livez").headers["x-request-id"] for _ in range(3)}) == 3
    for strange in ("", "a b", "x" * 65, "a\tb", "<script>"):
        assert told(strange) != strange
