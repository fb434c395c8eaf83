"""What takes any bytes: a target answers or tells a diagnostic, and anything else is a finding."""

import atexit
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
from starlette.testclient import TestClient

from tests.api import shop
from tests.api.asking import problem
from tests.hostile import test_files, test_manifest, test_requests, test_texts
from tests.syntax.pages import WELL_WRITTEN

TYPED = {"a": "decimal", "s": "timestamp"}
POSTED = ("/v1/rulesets:evaluate", "/v1/rulesets:check")
READ = (
    *("/v1/customers/1", "/v1/customers/1/history?limit=5", "/v1/customers/1/explain/VIP?version=1", "/v1/versions"),
    *("/v1/tags/VIP/customers?limit=1&cursor=e30", "/v1/customers/2?as_of=2026-03-31", "/v1/changes?after=e30"),
    *("/v1/tiers/loyalty/levels/Gold/customers?format=ndjson", "/v1/rulesets/current", "/v1/runs?limit=1"),
)


def rules(data: bytes) -> None:
    test_texts.examined(test_texts.MODEL + data.decode("utf-8", "replace"))


def manifest(data: bytes) -> None:
    test_manifest.examine(data.decode("utf-8", "replace"))


def csv(data: bytes) -> None:
    test_files.computed(data, "csv")


def parquet(data: bytes) -> None:
    test_files.computed(data, "parquet", TYPED)


def request(data: bytes) -> None:
    """A path, and after a line feed a body, which makes it a POST."""
    target, _, body = data.partition(b"\n")
    path = target.decode("utf-8", "replace")
    client = _client()
    try:
        if not body:
            answer = client.get(path)
        elif path in POSTED:
            answer = client.post(path, content=body, headers={"content-type": "application/json"})
        else:
            return  # what begins a job, or writes
    except (httpx2.InvalidURL, httpx2.UnsupportedProtocol):
        return  # no client sends it
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        problem(answer)


@cache
def _client() -> TestClient:
    stack = ExitStack()
    atexit.register(stack.close)
    folder = shop.written(Path(stack.enter_context(TemporaryDirectory())))
    shop.published(folder)
    _, client = stack.enter_context(shop.asked(folder))
    return client


def _parquet_files() -> Sequence[bytes]:
    return [path.read_bytes() for path in sorted(test_files.PARQUET.glob("*.parquet"))]


def _requests() -> Sequence[bytes]:
    posted = [f"{path}\n{body}" for path in POSTED for body in test_requests.BODIES]
    return [text.encode("utf-8", "surrogatepass") for text in (*READ, *posted)]


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], Sequence[bytes]]]] = {
    "rules": (rules, lambda: [text.encode() for text in WELL_WRITTEN]),
    "manifest": (manifest, lambda: [test_manifest.written(test_manifest.TABLES).encode()]),
    "csv": (csv, lambda: [(test_files.HEAD + test_files.row() + test_files.row(id="2")).encode()]),
    "parquet": (parquet, _parquet_files),
    "request": (request, _requests),
}
"""By name: what takes the bytes, and what to begin with."""
