"""For authors: the rules in force, what is wrong with others, and what they would say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api import shop
from tests.api.asking import PROVENANCE, problem

RULES = shop.FILES["shop.rules"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = shop.written(tmp_path_factory.mktemp("shop"))
    shop.published(folder)
    return folder


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with shop.asked(folder) as (_, client):
        yield client


def checked(client: TestClient, files: dict[str, str], **options: bool) -> Any:
    answer = client.post("/v1/rulesets:check", json={"files": files, **options})
    assert answer.status_code == 200, answer.text
    return answer.json()


def evaluated(client: TestClient, **given: Any) -> Any:
    answer = client.post("/v1/rulesets:evaluate", json={"as_of": "2026-03-31", **given})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_rules_in_force_are_those_of_the_version_not_of_the_folder(client: TestClient, folder: Path) -> None:
    (folder / "shop.rules").write_text(RULES.replace("1_000", "9_000"), "utf-8")
    try:
        body = client.get("/v1/rulesets/current").json()
    finally:
        (folder / "shop.rules").write_text(RULES, "utf-8")

    assert body.keys() == PROVENANCE | {"name", "timezone", "parameters", "files"}
    assert body["files"] == {"shop.rules": RULES}
    assert body["parameters"] == {"vip_floor": 1000}


def test_rules_are_checked_and_every_problem_told_at_its_place(client: TestClient) -> None:
    assert checked(client, {"shop.rules": RULES})["errors"] == 0

    body = checked(client, {"shop.rules": RULES, "more.rules": 'tag "Big" when monetry > 5\n'})

    assert (body["errors"], body["hash"]) == (1, None)
    (found,) = [each for each in body["problems"] if each["severity"] == "error"]
    assert (found["code"], found["file"], found["line"]) == ("unknown-name", "more.rules", 1)
    assert "`monetary` might be meant." in found["hints"]


def test_proofs_are_made_where_they_are_asked_for(client: TestClient) -> None:
    never = {"shop.rules": RULES, "more.rules": 'tag "Never" when recency > 60 and recency < 10\n'}

    assert checked(client, never)["warnings"] == 0
    assert checked(client, never, proofs=True)["warnings"] > 0


@pytest.mark.parametrize("used", ["../secret", "/etc/passwd", "sub/../../secret", "..\\\\secret"])
def test_rules_bring_in_nothing_from_outside_the_ruleset(client: TestClient, folder: Path, used: str) -> None:
    secret = folder.parent / "secret.rules"
    secret.write_text('let the_secret = "42" oops\n', "utf-8")

    body = checked(client, {"shop.rules": f'use "{used}"\n{RULES}'})

    assert body["errors"] > 0
    assert "the_secret" not in str(body)


def test_rules_may_use_what_lies_in_the_ruleset_and_what_is_shipped(client: TestClient, folder: Path) -> None:
    (folder / "parts").mkdir(exist_ok=True)
    (folder / "parts" / "more.rules").write_text('tag "More" when recency > 3\n', "utf-8")

    assert checked(client, {"shop.rules": f'use "parts/more"\n{RULES}'})["errors"] == 0


def test_facts_in_tags_out_each_explained(client: TestClient) -> None:
    body = evaluated(
        client,
        attributes={"country": "DE"},
        events={
            "orders": [
                {"ordered_at": "2026-03-01T10:00", "amount": "1200.50", "status": "paid"},
                {"ordered_at": "2026-03-20T10:00", "amount": 900.25, "status": "paid"},
                {"ordered_at": "2026-03-21T10:00", "amount": 5000, "status": "refunded"},
            ]
        },
    )

    assert body["tags"] == ["VIP"]
    assert body["tiers"] == {"loyalty": "Gold"}
    assert body["classes"] == {"lifecycle": "Active"}
    assert body["metrics"]["monetary_90d"] == "2100.7500"
    assert {rule["name"]: rule["because"] for rule in body["rules"]}["VIP"] == "2,100.75 spent"


def test_what_is_given_replaces_what_would_be_computed(client: TestClient) -> None:
    body = evaluated(client, metrics={"monetary_90d": "1000.0001", "monetary_12m": 10, "recency": 61})
    assert (body["tags"], body["tiers"]["loyalty"], body["classes"]["lifecycle"]) == (["VIP"], "Member", "Churned")

    body = evaluated(client, metrics={"monetary_90d": 1000}, tags=["Blocked"])
    assert body["tags"] == ["Blocked"]
    body = evaluated(client, metrics={"monetary_90d": 100000}, tags=["Blocked"])
    assert body["tags"] == ["Blocked"]


def test_other_rules_can_be_tried(client: TestClient) -> None:
    files = {
        "shop.rules": RULES.replace("1_000", "5_000"),
        "r.rules": 'metric r = rank(monetary)\ntag "T" when r < 3\n',
    }

    body = evaluated(client, files=files, metrics={"monetary_90d": 2000})

    assert body["tags"] == []
    assert body["ruleset_hash"] != client.get("/v1/rulesets/current").json()["ruleset_hash"]
    assert {(each["kind"], each["name"], each["metric"]) for each in body["unanswered"]} >= {("tag", "T", "r")}
    assert evaluated(client, files=files, metrics={"r": 2})["tags"] == ["T"]


def test_it_answers_what_a_run_answers(client: TestClient) -> None:
    document = client.get("/v1/customers/1").json()

    body = evaluated(
        client,
        attributes={"customer_id": 1, "country": "DE"},
        events={
            "orders": [
                {"ordered_at": "2026-03-01T10:00", "amount": "1500.50", "status": "paid"},
                {"ordered_at": "2026-03-20T10:00", "amount": "700.00", "status": "paid"},
            ]
        },
    )

    assert body["tags"] == [tag["name"] for tag in document["tags"]]
    assert body["tiers"] == {name: each["level"] for name, each in document["tiers"].items()}
    assert body["classes"] == {name: each["value"] for name, each in document["classes"].items()}


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        ({"attributes": {"city": "Berlin"}}, "/attributes/city"),
        ({"attributes": {"country": 3}}, "/attributes/country"),
        ({"metrics": {"monetary_91d": 3}}, "/metrics/monetary_91d"),
        ({"metrics": {"monetary_90d": "much"}}, "/metrics/monetary_90d"),
        ({"metrics": {"monetary_90d": "NaN"}}, "/metrics/monetary_90d"),
        ({"metrics": {"monetary_90d": True}}, "/metrics/monetary_90d"),
        ({"metrics": {"recency": 3.5}}, "/metrics/recency"),
        ({"metrics": {"monetary_90d": "1e400"}}, "/metrics/monetary_90d"),
        ({"events": {"visits": []}}, "/events/visits"),
        ({"events": {"orders": [{}, {"price": 3}]}}, "/events/orders/1/price"),
        ({"events": {"orders": [{"ordered_at": "noon"}]}}, "/events/orders/0/ordered_at"),
        ({"events": {"orders": [{"amount": "1.00001"}]}}, "/events/orders/0/amount"),
        ({"events": {"orders": {}}}, "/events/orders"),
        ({"tags": ["VIP"]}, "/tags/0"),
        ({"as_of": "yesterday"}, "/as_of"),
        ({"more": 1}, "/more"),
        ({"files": {"../x.rules": ""}}, "/files/..~1x.rules/[key]"),
        ({"files": {}}, "/files"),
    ],
)
def test_what_cannot_be_given_is_told_at_its_place(client: TestClient, given: dict[str, Any], pointer: str) -> None:
    answer = client.post("/v1/rulesets:evaluate", json={"as_of": "2026-03-31", **given})

    assert problem(answer) == (422, "body_invalid")
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]


def test_rules_with_errors_are_not_asked(client: TestClient) -> None:
    answer = client.post("/v1/rulesets:evaluate", json={"files": {"a.rules": "tag when"}})

    assert problem(answer) == (422, "rules_invalid")
    assert answer.json()["problems"][0]["file"] == "a.rules"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"metrics": {"recency": NaN}}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/rulesets:evaluate", content=body, headers={"content-type": "application/json"})

    assert problem(answer)[0] in (400, 422)
