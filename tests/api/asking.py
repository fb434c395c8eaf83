"""How tests ask the API."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from ruleengine import schema, serving
from ruleengine.schema import Manifest
from ruleengine.source import Source
from ruleengine.store.store import Store
from tests.store.tables import Rules

RULES = Rules(tags=("VIP", "New", "half/half", "100% 客户"), key_type="text")
MANIFEST = """\
[ruleset]
name = "retail"
timezone = "Asia/Shanghai"
stale_after = "2 days"

[profiles.default]
engine = "duckdb"
"""
PROVENANCE = {"version", "ruleset_hash", "as_of", "evaluated_at", "stale"}


def manifest(text: str = MANIFEST) -> Manifest:
    return schema.parse(Path(), Source("ruleset.toml", text), text)


def client_of(store: Store, *, today: date | None = None, text: str = MANIFEST, rate: int | None = None) -> TestClient:
    clock: Callable[[], date] | None = None if today is None else lambda: today
    app = serving.app(store, manifest(text), rate=rate, today=clock)
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of an answer, which must be a problem in full."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"] == f"urn:problem-type:ruleengine:{body['code']}"
    assert body["request_id"] == answer.headers["x-request-id"]
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in answer.text
    return answer.status_code, body["code"]
