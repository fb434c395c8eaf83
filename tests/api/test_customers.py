"""One customer, or many at once."""

import json
from datetime import date
from typing import Any

import pytest
from starlette.testclient import TestClient

from ruleengine.store.store import Store
from tests.api.asking import PROVENANCE, RULES, client_of, problem
from tests.store.tables import Rules, held, publish, rules_hash


def batch(client: TestClient, ids: list[Any]) -> Any:
    return client.post("/v1/customers:batchGet", json={"ids": ids})


def test_a_customer_is_told_with_the_version_he_comes_from(client: TestClient) -> None:
    answer = client.get("/v1/customers/17")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body.pop("evaluated_at").endswith("Z")
    assert body == {
        "customer": "17",
        "version": 1,
        "ruleset_hash": rules_hash("rules 1"),
        "as_of": "2026-03-31",
        "stale": False,
        "tags": [{"name": "New", "since": "2026-03-31"}, {"name": "VIP", "since": "2026-03-31"}],
        "tiers": {"loyalty": {"level": "Gold", "since": "2026-03-31"}},
        "classes": {"abc": {"value": "A", "since": "2026-03-31"}},
    }


def test_a_known_customer_with_nothing_is_not_an_unknown_one(client: TestClient) -> None:
    known, unknown = client.get("/v1/customers/nobody"), client.get("/v1/customers/stranger")

    assert known.status_code == 200
    assert (known.json()["tags"], known.json()["tiers"], known.json()["classes"]) == ([], {}, {})
    assert problem(unknown) == (404, "customer_unknown")
    assert unknown.json().keys() > PROVENANCE


@pytest.mark.parametrize(
    ("segment", "customer"),
    [
        ("a%2Fb", "a/b"),
        ("a%2fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("100%25", "100%"),
        ("%E5%AE%A2%E6%88%B7%201", "客户 1"),
        ("%31%37", "17"),
    ],
)
def test_a_segment_is_decoded_once(client: TestClient, segment: str, customer: str) -> None:
    assert client.get(f"/v1/customers/{segment}").json()["customer"] == customer


@pytest.mark.parametrize("segment", ["%FF", "%zz", "%", "a%2", "%C3%28", "%ED%A0%80"])
def test_a_segment_that_cannot_be_decoded_is_refused(client: TestClient, segment: str) -> None:
    assert problem(client.get(f"/v1/customers/{segment}")) == (400, "path_unreadable")


@pytest.mark.parametrize("key", ["x", "007", "+7", " 7", "7.0", "٧", "9" * 30, "9" * 5000])
def test_what_is_no_whole_number_is_no_customer_where_keys_are(store: Store, key: str) -> None:
    publish(store, "2026-03-31", {7: held("VIP")}, rules=Rules())
    client = client_of(store)

    assert client.get("/v1/customers/7").json()["customer"] == "7"
    assert problem(client.get(f"/v1/customers/{key}")) == (404, "customer_unknown")
    assert batch(client, [key]).json()["unknown"] == [key]


# -- caching -----------------------------------------------------------------------------------------------


def test_an_answer_that_still_holds_is_not_sent_again(client: TestClient) -> None:
    answer = client.get("/v1/customers/17")
    etag = answer.headers["etag"]
    assert answer.headers["cache-control"] == "private, no-cache"

    for given in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = client.get("/v1/customers/17", headers={"if-none-match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get("/v1/customers/17", headers={"if-none-match": '"other"'}).status_code == 200
    assert problem(client.get("/v1/customers/stranger", headers={"if-none-match": etag}))[0] == 404


def test_an_answer_changes_with_the_version_and_when_it_gets_stale(published: Store) -> None:
    fresh = client_of(published, today=date(2026, 4, 2)).get("/v1/customers/17")
    stale = client_of(published, today=date(2026, 4, 3)).get("/v1/customers/17")
    publish(published, "2026-04-03", {"17": held()}, rules=RULES)
    newer = client_of(published, today=date(2026, 4, 3)).get("/v1/customers/17")

    assert [answer.json()["stale"] for answer in (fresh, stale, newer)] == [False, True, False]
    assert len({answer.headers["etag"] for answer in (fresh, stale, newer)}) == 3


def test_nothing_is_stale_where_the_ruleset_does_not_say_when(published: Store) -> None:
    text = '[ruleset]\nname = "retail"\ntimezone = "UTC"\n'
    client = client_of(published, today=date(2030, 1, 1), text=text)

    assert client.get("/v1/customers/17").json()["stale"] is False


# -- versions ----------------------------------------------------------------------------------------------


def test_a_new_version_counts_at_once(client: TestClient, published: Store) -> None:
    publish(published, "2026-04-01", {"17": held("VIP")}, rules=RULES)

    body = client.get("/v1/customers/17").json()
    assert (body["version"], [tag["name"] for tag in body["tags"]]) == (2, ["VIP"])
    assert problem(client.get("/v1/customers/nobody")) == (404, "customer_unknown")


def test_any_version_can_be_asked(client: TestClient, published: Store) -> None:
    first = client.get("/v1/customers/17").json()
    publish(published, "2026-04-01", {"17": held()}, rules=RULES)

    assert client.get("/v1/customers/17?version=1").json() == first
    assert client.get("/v1/customers/17?version=2").json()["tags"] == []
    assert problem(client.get("/v1/customers/stranger?version=1")) == (404, "customer_unknown")
    assert problem(client.get("/v1/customers/nobody?version=2")) == (404, "customer_unknown")


def test_a_version_whose_rows_are_gone_is_told_from_its_files(client: TestClient, published: Store) -> None:
    first = client.get("/v1/customers/17").json()
    # A run for an earlier day is detached: it never has rows.
    publish(published, "2026-03-01", {"17": held("New")}, rules=RULES)

    detached = client.get("/v1/customers/17?version=2").json()
    assert (detached["version"], detached["as_of"]) == (2, "2026-03-01")
    assert [tag["name"] for tag in detached["tags"]] == ["New"]
    assert problem(client.get("/v1/customers/stranger?version=2")) == (404, "customer_unknown")
    assert client.get("/v1/customers/17").json() == first


def test_a_rollback_tells_when_its_answers_were_computed(client: TestClient, published: Store) -> None:
    first = client.get("/v1/customers/17").json()
    publish(published, "2026-04-01", {"17": held()}, rules=RULES)
    identity = published.identity()
    assert identity is not None
    with published.writer("tester", identity) as writer:
        writer.rollback(1, "too early")

    assert client.get("/v1/customers/17").json() == {**first, "version": 3}


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("version=2", (404, "version_unknown")),
        ("version=0", (400, "parameter_invalid")),
        ("version=-1", (400, "parameter_invalid")),
        ("version=", (400, "parameter_invalid")),
        ("version=1.0", (400, "parameter_invalid")),
        ("version=%D9%A1", (400, "parameter_invalid")),
        ("version=" + "9" * 40, (400, "parameter_invalid")),
        ("version=1&version=1", (400, "parameter_invalid")),
        ("verson=1", (400, "parameter_unknown")),
        ("as_of=2026-03-30", (404, "version_unknown")),
        ("as_of=yesterday", (400, "parameter_invalid")),
        ("as_of=20260331", (400, "parameter_invalid")),
        ("as_of=2026-02-30", (400, "parameter_invalid")),
        ("as_of=2026-03-31&version=1", (400, "parameter_invalid")),
    ],
)
def test_a_version_that_is_not_one_is_refused(client: TestClient, query: str, refused: tuple[int, str]) -> None:
    assert problem(client.get(f"/v1/customers/17?{query}")) == refused


# -- many --------------------------------------------------------------------------------------------------


def test_many_are_told_in_the_order_they_were_asked_for(client: TestClient) -> None:
    body = batch(client, ["nobody", "stranger", "a/b", 17, "17", "nobody"]).json()

    assert body.keys() == PROVENANCE | {"customers", "unknown"}
    assert [each["customer"] for each in body["customers"]] == ["nobody", "a/b", "17"]
    assert body["unknown"] == ["stranger"]
    one = client.get("/v1/customers/17").json()
    assert body["customers"][2] == {name: one[name] for name in one if name not in PROVENANCE}


def test_a_batch_may_be_empty_or_full(client: TestClient) -> None:
    assert batch(client, []).json()["customers"] == []
    full = batch(client, [*range(999), "a/b"]).json()
    assert [each["customer"] for each in full["customers"]] == ["17", "a/b"]
    assert len(full["unknown"]) == 998


def test_the_colon_may_be_encoded(client: TestClient) -> None:
    assert client.post("/v1/customers%3AbatchGet", json={"ids": ["17"]}).status_code == 200


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b"{", (400, "body_unreadable")),
        (b"", (400, "body_unreadable")),
        (b'{"ids": ["\xff"]}', (400, "body_unreadable")),
        (b'{"ids": ["\\ud800"]}', (400, "body_unreadable")),
        (b"[" * 100_000, (400, "body_unreadable")),
        (b'{"ids": [' + b"9" * 5000 + b"]}", (400, "body_unreadable")),
        (b"[]", (422, "body_invalid")),
        (b"null", (422, "body_invalid")),
        (b'{"id": []}', (422, "body_invalid")),
        (b'{"ids": [], "version": 1}', (422, "body_invalid")),
        (b'{"ids": "17"}', (422, "body_invalid")),
        (b'{"ids": [true]}', (422, "body_invalid")),
        (b'{"ids": [1.5]}', (422, "body_invalid")),
        (b'{"ids": [null]}', (422, "body_invalid")),
        (json.dumps({"ids": ["17"] * 1001}).encode(), (422, "body_invalid")),
        (b" " * (1 << 20) + b"{}", (413, "body_too_large")),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_used_is_refused(client: TestClient, body: bytes, refused: tuple[int, str]) -> None:
    answer = client.post("/v1/customers:batchGet", content=body, headers={"content-type": "application/json"})

    assert problem(answer) == refused


def test_what_is_wrong_in_a_body_is_told_where(client: TestClient) -> None:
    answer = client.post("/v1/customers:batchGet", json={"ids": ["17", True, None], "a/b": 1})

    assert answer.json()["errors"] == [
        {"pointer": "/ids/1", "detail": "must be a text or a whole number"},
        {"pointer": "/ids/2", "detail": "must be a text or a whole number"},
        {"pointer": "/a~1b", "detail": "is not known here"},
    ]
    assert batch(client, [True] * 1000).json()["errors"][-1]["pointer"] == "/ids/19"


def test_a_body_without_a_length_is_counted_while_it_comes(client: TestClient) -> None:
    def pieces() -> Any:
        for _ in range(17):
            yield b" " * (1 << 16)

    answer = client.post("/v1/customers:batchGet", content=pieces(), headers={"content-type": "application/json"})

    assert problem(answer) == (413, "body_too_large")


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json-patch+json", 415),
        ("", 415),
    ],
)
def test_a_batch_is_json(client: TestClient, media_type: str, status: int) -> None:
    answer = client.post("/v1/customers:batchGet", content=b'{"ids":[]}', headers={"content-type": media_type})

    assert answer.status_code == status
    if status == 415:
        assert problem(answer) == (415, "media_type_unsupported")
