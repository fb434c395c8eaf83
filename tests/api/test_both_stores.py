"""The API answers alike from a store in a folder and from one in Postgres, whatever is asked, and after every write."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from starlette.testclient import TestClient

from ruleengine import schema, serving
from ruleengine.store import store_of
from ruleengine.verbs.run import run
from tests import postgres
from tests.api import shop

NEXT = date(2026, 4, 1)
PROD = f"""
[profiles.prod]
engine = "postgres"
dsn = "${{{postgres.STORE}}}"
store = {{schema = "answers"}}

[profiles.prod.sources]
customers = {{table = "shop.customers"}}
orders = {{table = "shop.orders"}}
"""
TABLES = """
CREATE TABLE shop.customers AS SELECT * FROM (VALUES (1::bigint, 'DE'), (2, 'FR'), (3, NULL)) _(customer_id, country);
CREATE TABLE shop.orders AS SELECT * FROM (VALUES
    (1::bigint, TIMESTAMP '2026-03-01 10:00', 1500.50::numeric(18, 4), 'paid'),
    (1, '2026-03-20 10:00', 700.00, 'paid'),
    (2, '2026-03-25 10:00', 900.00, 'paid'),
    (3, '2026-01-05 10:00', 10.00, 'refunded')
) _(customer_id, ordered_at, amount, status);
"""
OWN = {
    *("created_at", "engine", "evaluated_at", "finished_at", "hash", "id", "message", "phase", "phases", "request_id"),
    *("begun_at", "started_at", "report"),
}
"""What differs from one store, or one request, to the other."""
READS = [
    "/v1/customers/1",
    "/v1/customers/3",
    "/v1/customers/4",
    "/v1/customers/01",
    "/v1/customers/%00",
    "/v1/customers/99999999999999999999",
    "/v1/customers/1?version=1",
    "/v1/customers/1?version=7",
    "/v1/customers/1?version=0",
    "/v1/customers/1?as_of=2026-03-31",
    "/v1/customers/1?as_of=2020-01-01",
    "/v1/customers/1/history",
    "/v1/customers/2/history",
    "/v1/customers/4/history",
    *(f"/v1/customers/{each}/explain/{name}" for each in (1, 2, 4) for name in ("VIP", "loyalty", "lifecycle", "none")),
    "/v1/customers/1/explain/VIP?version=1",
    "/v1/tags",
    "/v1/tags/VIP/customers",
    "/v1/tags/VIP/customers?limit=1",
    "/v1/tags/VIP/customers?cursor=none",
    "/v1/tags/none/customers",
    "/v1/tiers/loyalty/levels/Gold/customers",
    "/v1/tiers/loyalty/levels/Member/customers?limit=1",
    "/v1/tiers/loyalty/levels/none/customers",
    "/v1/classes/lifecycle/values/Active/customers",
    "/v1/changes",
    "/v1/changes?limit=3",
    "/v1/changes?after_version=1",
    "/v1/versions",
    "/v1/versions/1",
    "/v1/versions/9",
    "/v1/runs",
    "/v1/rulesets/current",
    "/readyz",
    "/livez",
]
BATCHES: list[Any] = [{"ids": [1, "2", 4, "x", 1]}, {"ids": []}, {"ids": ["1" * 1000]}, {"ids": 3}]
WRITES: list[tuple[str, str, Any]] = [
    ("PUT", "/v1/customers/1/tags/Blocked", {"reason": "asked", "actor": "ana"}),
    ("PUT", "/v1/customers/1/tags/Blocked", {"reason": "asked again", "expires_on": "2026-05-01"}),
    ("PUT", "/v1/customers/2/tiers/loyalty", {"reason": "a promise", "level": "Gold"}),
    ("PUT", "/v1/customers/2/tiers/loyalty", {"reason": "a promise", "level": "Lead"}),
    ("PUT", "/v1/customers/1/tags/VIP", {"reason": "by hand"}),
    ("PUT", "/v1/customers/4/tags/Blocked", {"reason": "a stranger"}),
    ("DELETE", "/v1/customers/1/tags/Blocked?reason=mistake", None),
    ("DELETE", "/v1/customers/1/tags/Blocked?reason=mistake", None),
    ("DELETE", "/v1/customers/2/tiers/loyalty?reason=over", None),
    ("POST", "/v1/versions/1:rollback", {"reason": "prices were wrong"}),
    ("POST", "/v1/versions/9:rollback", {"reason": "prices were wrong"}),
    ("POST", "/v1/runs/none:publish", {"reason": "checked"}),
]
ODD: list[tuple[str, str, str | None]] = [
    ("PUT", "/v1/customers/1/tags/Blocked", r'{"reason": "a\u0000b"}'),
    ("PUT", "/v1/customers/1/tags/Blocked", r'{"reason": "\ud800"}'),
    ("PUT", "/v1/customers/1/tags/Blocked", r'{"reason": "x", "actor": "a\u0000"}'),
    ("PUT", "/v1/customers/1/tags/Blocked", '{"reason": "x", "expires_on": "0001-01-01"}'),
    ("PUT", "/v1/customers/1/tags/Blocked", "[" * 50_000),
    ("PUT", "/v1/customers/1/tags/Blocked", '{"reason": %s}' % ("9" * 10_000)),
    ("PUT", "/v1/customers/1/tiers/loyalty", r'{"reason": "x", "level": "a\u0000"}'),
    ("PUT", "/v1/customers/%00/tags/Blocked", '{"reason": "x"}'),
    ("PUT", "/v1/customers/1/tags/%00", '{"reason": "x"}'),
    ("DELETE", "/v1/customers/1/tags/Blocked?reason=%00", None),
    ("DELETE", "/v1/customers/1/tags/Blocked?reason=%20", None),
    ("DELETE", "/v1/customers/1/tags/Blocked?reason=x&actor=a%0Ab", None),
    ("POST", "/v1/customers:batchGet", '{"ids": [%s]}' % ("9" * 5000)),
    ("POST", "/v1/customers:batchGet", r'{"ids": ["\ud800", "\u0000", ""]}'),
    ("POST", "/v1/rulesets:check", r'{"files": {"a.rules": "\ud800"}}'),
    ("POST", "/v1/rulesets:check", '{"files": {"a.rules": "use \\"/etc/passwd\\""}}'),
    ("POST", "/v1/rulesets:evaluate", '{"metrics": {"monetary_90d": 1e999999999}}'),
    ("POST", "/v1/rulesets:evaluate", '{"metrics": {"monetary_90d": "1e400"}}'),
    ("POST", "/v1/rulesets:evaluate", '{"as_of": "0001-01-01"}'),
    ("POST", "/v1/rulesets:evaluate", '{"as_of": "9999-12-31"}'),
    ("POST", "/v1/runs/%00:publish", '{"reason": "x"}'),
    ("GET", "/v1/runs/%00", None),
    ("GET", "/v1/tags/%00/customers", None),
    ("GET", "/v1/customers/%00/history", None),
    ("GET", "/v1/changes?after=%00", None),
    ("GET", "/v1/versions/99999999999999999999", None),
    ("POST", "/v1/versions/999999999999999:rollback", '{"reason": "x"}'),
]
Both = tuple[TestClient, TestClient]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Both, Callable[[date], None]]]:
    """Clients of servers over a folder and over Postgres, and what publishes a day in both."""
    folder = shop.written(tmp_path)
    (folder / "ruleset.toml").write_text(shop.FILES["ruleset.toml"] + PROD, "utf-8")
    with postgres.shop() as admin, mock.patch.dict(os.environ, {postgres.STORE: postgres.owner()}):
        admin.execute("DROP SCHEMA IF EXISTS answers CASCADE")
        admin.execute(TABLES.encode())

        def publish(day: date) -> None:
            for profile in ("default", "prod"):
                run(folder, profile, as_of=day, actor="test")

        publish(shop.DAY)
        manifest = schema.load(folder)
        with closing(store_of(manifest.profile("default"))) as near, closing(store_of(manifest.profile("prod"))) as far:
            apps = [serving.app(store, manifest, today=lambda: NEXT) for store in (near, far)]
            here, there = (TestClient(app, base_url="http://localhost", raise_server_exceptions=False) for app in apps)
            with here, there:
                yield (here, there), publish
        admin.execute("DROP SCHEMA IF EXISTS answers CASCADE")


def bare(told: Any) -> Any:
    """What is told, without what is of one store alone."""
    if isinstance(told, dict):
        kept = {name: bare(each) for name, each in told.items() if name not in OWN}
        return kept | {name: bool(kept[name]) for name in kept if name == "next_cursor"}
    return [bare(each) for each in told] if isinstance(told, list) else told


def alike(both: Both, method: str, path: str, body: Any = None, **headers: str) -> None:
    """A text is sent as it is, all else as JSON."""
    content = body if isinstance(body, str) else None if body is None else json.dumps(body)
    headers["content-type"] = "application/json"
    here, there = (client.request(method, path, content=content, headers=headers) for client in both)
    assert (here.status_code, bare(here.json())) == (there.status_code, bare(there.json())), (method, path, body)
    assert here.status_code < 500, here.text
    for name in ("cache-control", "content-type", "retry-after"):
        assert here.headers.get(name) == there.headers.get(name), (path, name)
    assert ("etag" in here.headers) == ("etag" in there.headers)


def ask(both: Both) -> None:
    for path in READS:
        alike(both, "GET", path)
    for body in BATCHES:
        alike(both, "POST", "/v1/customers:batchGet", body)


def test_the_same_is_answered_after_every_write(both: tuple[Both, Callable[[date], None]]) -> None:
    clients, publish = both
    ask(clients)
    for method, path, body in WRITES:
        alike(clients, method, path, body)
        alike(clients, "GET", "/v1/customers/1")
        alike(clients, "GET", "/v1/changes?after_version=1")
    ask(clients)
    alike(clients, "PUT", "/v1/customers/1/tags/Blocked", {"reason": "late"}, **{"if-match": '"1-0"'})
    publish(NEXT)
    ask(clients)


def test_what_nobody_means_is_refused_alike(both: tuple[Both, Callable[[date], None]]) -> None:
    for method, path, body in ODD:
        alike(both[0], method, path, body)
    alike(both[0], "GET", "/v1/customers/1")


def test_lists_and_feeds_are_the_same_page_by_page_and_as_streams(both: tuple[Both, Callable[[date], None]]) -> None:
    clients, publish = both
    cursors: list[dict[str, str]]
    days = [NEXT]
    for path, name in (("/v1/tiers/loyalty/levels/Member/customers", "cursor"), ("/v1/changes", "after")):
        cursors, more = [{}, {}], True
        while more:
            here, there = (
                client.get(path, params={"limit": "1", **cursor}).json()
                for client, cursor in zip(clients, cursors, strict=True)
            )
            assert bare(here) == bare(there)
            more = here.get("more", here["next_cursor"] is not None)
            cursors = [{name: page["next_cursor"]} for page in (here, there)]
            if days:
                publish(days.pop())
    accept = {"accept": "application/x-ndjson"}
    here, there = (client.get("/v1/tags/VIP/customers", headers=accept).text.splitlines() for client in clients)
    assert here[1:] == there[1:] != []
