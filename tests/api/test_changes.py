"""The feed of changes, as pages and as events."""

import json
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ruleengine.store import open_store
from ruleengine.store.records import Key
from ruleengine.store.store import Store
from tests.api.asking import RULES, client_of, problem
from tests.api.test_server import ruleset, started, stopped
from tests.store.tables import Held, Rules, held, publish

__all__ = ["ruleset"]


def feed(client: TestClient, after: str | None = None, limit: int = 3) -> Iterator[Any]:
    """Every change there is, page by page."""
    while True:
        query = f"limit={limit}" + (f"&after={after}" if after else "")
        page = client.get(f"/v1/changes?{query}").json()
        assert len(page["changes"]) <= limit
        yield from page["changes"]
        after = page["next_cursor"]
        if not page["more"]:
            return


def applied(changes: Iterator[Any], state: dict[tuple[str, str, str], str] | None = None) -> Any:
    state = {} if state is None else state
    for change in changes:
        place = change["customer"], change["kind"], change["name"]
        assert state.get(place) == change["old"], change
        if change["new"] is None:
            del state[place]
        else:
            state[place] = change["new"]
    return state


def now(store: Store, keys: list[Key]) -> dict[tuple[str, str, str], str]:
    found: dict[tuple[str, str, str], str] = {}
    for key, document in store.customers(keys).documents:
        holding = json.loads(document or b'{"tags":[],"tiers":{},"classes":{}}')
        found |= {(str(key), "tag", tag["name"]): "given" for tag in holding["tags"]}
        found |= {(str(key), "tier", name): each["level"] for name, each in holding["tiers"].items()}
        found |= {(str(key), "class", name): each["value"] for name, each in holding["classes"].items()}
    return found


KEYS: list[Key] = ["17", "a/b", "100%", "a%2Fb", "客户 1", "nobody", "new"]


def more(store: Store) -> None:
    """Three versions: other answers, an earlier day, and what the first one had."""
    second: dict[Key, Held] = {"17": held("New", loyalty="Silver"), "nobody": held(abc="B"), "new": held("VIP")}
    publish(store, "2026-04-01", second, rules=RULES)
    publish(store, "2026-02-01", {"17": held("half/half")}, rules=RULES)
    from ruleengine.store.records import Identity

    with store.writer("test", Identity(ruleset="retail", entity="customer", key_type="text")) as writer:
        writer.rollback(1, "the second was wrong")


def test_changes_lead_from_nothing_to_the_current_version(client: TestClient, published: Store) -> None:
    assert applied(feed(client)) == now(published, KEYS)
    more(published)

    every = list(feed(client))

    assert applied(iter(every)) == now(published, KEYS)
    assert [each["version"] for each in every] == sorted(each["version"] for each in every)
    assert {each["version"] for each in every} == {1, 2, 4}


@pytest.mark.parametrize("limit", [1, 2, 7, 1000])
def test_pages_fit_together_while_others_are_published(client: TestClient, published: Store, limit: int) -> None:
    first = client.get(f"/v1/changes?limit={limit}").json()
    state = applied(iter(first["changes"]))
    more(published)

    assert applied(feed(client, first["next_cursor"], limit), state) == now(published, KEYS)


def test_a_feed_can_begin_after_a_version(client: TestClient, published: Store) -> None:
    state = now(published, KEYS)
    cursor = client.get("/v1/changes?after_version=1").json()
    assert (cursor["changes"], cursor["more"]) == ([], False)
    more(published)

    after = client.get("/v1/changes?after_version=1&limit=1000").json()

    assert after["changes"][0]["version"] == 2
    assert applied(iter(after["changes"]), dict(state)) == now(published, KEYS)
    assert applied(feed(client, cursor["next_cursor"]), state) == now(published, KEYS)


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("after=x", (400, "cursor_invalid")),
        ("after_version=9", (404, "version_unknown")),
        ("after_version=0", (400, "parameter_invalid")),
        ("limit=0", (400, "parameter_invalid")),
        ("since=1", (400, "parameter_unknown")),
    ],
)
def test_a_place_that_is_none_is_refused(client: TestClient, query: str, refused: tuple[int, str]) -> None:
    assert problem(client.get(f"/v1/changes?{query}")) == refused


def test_a_cursor_of_a_store_that_was_made_anew_is_refused(client: TestClient, store: Store, tmp_path: Path) -> None:
    cursor = client.get("/v1/changes").json()["next_cursor"]
    other = open_store(tmp_path / "other")
    publish(other, "2026-03-30", {"17": held("VIP")}, rules=RULES)

    assert problem(client_of(other).get(f"/v1/changes?after={cursor}")) == (410, "version_not_kept")


class Events:
    """A client of the stream, which reads in a thread of its own."""

    def __init__(self, host: str, port: int, last: str | None = None) -> None:
        connection = HTTPConnection(host, port, timeout=30)
        headers = {"accept": "text/event-stream"} | ({"last-event-id": last} if last else {})
        connection.request("GET", "/v1/changes", headers=headers)
        self.answer = connection.getresponse()
        assert self.answer.headers["content-type"].startswith("text/event-stream")
        self.found: list[tuple[str, Any]] = []
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        event: dict[str, str] = {}
        while line := self.answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                event[name] = value
            elif "data" in event:
                assert event["event"] == "change"
                self.found.append((event["id"], json.loads(event["data"])))
                event = {}
        self.ended.set()

    def wait(self, count: int, seconds: float) -> None:
        until = time.monotonic() + seconds
        while len(self.found) < count:
            assert time.monotonic() < until, self.found
            time.sleep(0.02)


def test_events_come_with_every_version_and_end_with_the_server(ruleset: Path) -> None:
    store = open_store(ruleset / ".ruleengine")
    rules = Rules(key_type="text")
    publish(store, "2026-01-01", {"a": held("VIP"), "b": held("New", loyalty="Gold")}, rules=rules)
    with started(ruleset, "--port", "0") as (server, host, port):
        events = Events(host, port)
        events.wait(3, 10)
        publish(store, "2026-01-02", {"a": held("New"), "b": held("New", loyalty="Gold")}, rules=rules)
        events.wait(5, 5)
        assert [(each["customer"], each["name"], each["new"]) for _, each in events.found] == [
            ("a", "VIP", "given"),
            ("b", "New", "given"),
            ("b", "loyalty", "Gold"),
            ("a", "New", "given"),
            ("a", "VIP", None),
        ]
        # Who was cut off goes on where he was.
        again = Events(host, port, last=events.found[2][0])
        again.wait(2, 10)
        assert again.found == events.found[3:]

        began = time.monotonic()
        assert stopped(server) == 0
        assert time.monotonic() - began < 5
        assert events.ended.wait(5)
    store.close()
