"""Requests that are sent again, because nobody knows whether they were answered."""

import shutil
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ruleengine.store import open_store
from ruleengine.store.replies import KEPT, Known, Replies, Reply
from ruleengine.verbs import keys
from tests.api import shop
from tests.api.asking import problem
from tests.api.shop import client

__all__ = ["client"]

WHY = {"reason": "asked on the phone", "actor": "ana"}
ROLLBACK = "/v1/versions/1:rollback"


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shop.written(tmp_path_factory.mktemp("shop"))
    shop.published(folder)
    shop.published(folder, date(2026, 4, 1))
    return folder


@pytest.fixture
def folder(two_versions: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(two_versions, tmp_path / "shop"))


def sent(client: TestClient, key: str, body: Any = WHY, path: str = ROLLBACK, **headers: str) -> Any:
    return client.post(path, json=body, headers={"idempotency-key": key, **headers})


def latest(client: TestClient) -> int:
    return int(client.get("/v1/versions").json()["versions"][0]["number"])


def test_the_same_request_is_answered_as_before_and_done_once(folder: Path, client: TestClient) -> None:
    first = sent(client, "one")
    again = sent(client, "one")

    assert (first.status_code, first.json()["version"]) == (200, 3)
    assert (again.status_code, again.content, again.headers["etag"]) == (200, first.content, first.headers["etag"])
    assert latest(client) == 3
    with shop.asked(folder) as (_, other):  # Another worker, or the same server later.
        assert sent(other, "one").content == first.content
    assert sent(client, "two", path="/v1/versions/2:rollback").json()["version"] == 4


def test_another_request_with_the_same_key_is_refused(client: TestClient) -> None:
    sent(client, "one")

    assert problem(sent(client, "one", {**WHY, "actor": "ben"})) == (422, "idempotency_key_reused")
    assert problem(sent(client, "one", path="/v1/versions/2:rollback")) == (422, "idempotency_key_reused")
    assert problem(sent(client, "one", **{"if-match": "*"})) == (422, "idempotency_key_reused")
    assert latest(client) == 3


def test_what_was_refused_changed_nothing_and_leaves_its_key_free(client: TestClient) -> None:
    assert problem(sent(client, "one", path="/v1/versions/9:rollback")) == (404, "version_unknown")
    assert problem(sent(client, "one", {})) == (422, "body_invalid")
    assert sent(client, "one").json()["version"] == 3


def test_requests_that_come_together_are_done_once(client: TestClient) -> None:
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(sent(client, "one"))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    told = [answer for answer in answers if answer.status_code == 200]
    assert told
    assert {answer.json()["version"] for answer in told} == {3}
    for answer in answers:
        assert answer in told or problem(answer) == (409, "request_unanswered")
    assert latest(client) == 3


def test_keys_are_those_of_one_api_key(folder: Path) -> None:
    secrets = [
        keys.create(folder, "default", name, ["runs:execute"], expires=None, actor="test").secret for name in "ab"
    ]
    with shop.asked(folder) as (_, client):
        answers = [sent(client, "one", authorization=f"Bearer {secret}") for secret in secrets]
        assert [answer.json()["version"] for answer in answers] == [3, 4]
        assert problem(sent(client, "one")) == (401, "key_missing")


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "schlüssel"])
def test_what_is_no_key_is_refused(client: TestClient, key: str) -> None:
    answer = client.post(ROLLBACK, json=WHY, headers={b"idempotency-key": key.encode("latin-1")})

    assert problem(answer) == (400, "parameter_invalid")
    assert latest(client) == 2


def test_a_reply_is_forgotten_after_a_day_and_a_lost_one_after_a_minute(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    now = datetime(2026, 4, 1, 12, tzinfo=UTC)
    replies = Replies(store.book, lambda: now)
    reply = Reply(status=200, headers={"etag": '"1"'}, body="{}")
    for key in ("answered", "lost"):
        assert replies.take("crm", key, "request") is Known.NEW
    replies.keep("crm", "answered", reply)
    assert replies.take("crm", "answered", "request") == reply
    assert replies.take("crm", "lost", "request") is Known.UNANSWERED

    now += timedelta(minutes=2)
    assert replies.take("crm", "lost", "request") is Known.NEW
    now += KEPT - timedelta(minutes=3)
    assert replies.take("crm", "answered", "other") is Known.OTHER
    now += timedelta(minutes=2)
    assert replies.take("crm", "answered", "other") is Known.NEW
    store.close()
