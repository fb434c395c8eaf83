"""What is written over HTTP: tags and levels by hand, runs published, versions rolled back."""

import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ruleengine.store.records import RunState
from ruleengine.verbs import keys
from ruleengine.verbs.run import run
from tests.api import shop
from tests.api.asking import PROVENANCE, problem
from tests.api.shop import client, first_version, folder
from tests.api.test_document import shape

__all__ = ["client", "first_version", "folder"]

WHY = {"reason": "asked on the phone", "actor": "ana"}


def held(client: TestClient, customer: str = "1") -> list[str]:
    return [tag["name"] for tag in client.get(f"/v1/customers/{customer}").json()["tags"]]


# -- by hand -----------------------------------------------------------------------------------------------


def test_a_tag_counts_at_once_and_for_the_rules_that_ask_for_it(client: TestClient) -> None:
    assert held(client) == ["VIP"]

    answer = client.put("/v1/customers/1/tags/Blocked", json={**WHY, "expires_on": "2026-06-30"})

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body.keys() == PROVENANCE | {"customer", "setting", "changes"}
    assert body["version"] == 2
    assert body["setting"] == {
        "kind": "tag",
        "name": "Blocked",
        "value": "given",
        "expires_on": "2026-06-30",
        "actor": "ana",
        "reason": "asked on the phone",
    }
    assert [(each["name"], each["old"], each["new"]) for each in body["changes"]] == [
        ("Blocked", None, "given"),
        ("VIP", "given", None),
    ]
    assert held(client) == ["Blocked"]
    assert client.get("/v1/customers/1").headers["etag"] == answer.headers["etag"]
    assert client.get("/v1/versions/2").json()["actor"] == "ana"

    back = client.delete("/v1/customers/1/tags/Blocked", params=WHY)

    assert (back.status_code, back.json()["setting"]) == (200, None)
    assert held(client) == ["VIP"]


def test_a_level_is_set_and_taken_away(client: TestClient) -> None:
    answer = client.put("/v1/customers/2/tiers/loyalty", json={**WHY, "level": "Gold"})

    assert answer.json()["setting"]["value"] == "Gold"
    assert answer.json()["setting"]["expires_on"] == "2026-06-29"
    assert client.get("/v1/customers/2").json()["tiers"]["loyalty"]["level"] == "Gold"
    assert client.delete("/v1/customers/2/tiers/loyalty", params=WHY).status_code == 200
    assert client.get("/v1/customers/2").json()["tiers"]["loyalty"]["level"] == "Member"


def test_a_write_may_ask_that_nothing_changed_meanwhile(client: TestClient) -> None:
    seen = client.get("/v1/customers/1").headers["etag"]
    first = client.put("/v1/customers/1/tags/Blocked", json=WHY, headers={"if-match": seen})
    assert first.status_code == 200

    late = client.delete("/v1/customers/1/tags/Blocked", params=WHY, headers={"if-match": seen})

    assert problem(late) == (412, "version_moved")
    assert held(client) == ["Blocked"]
    for matching in (f'"other", {first.headers["etag"]}', "*"):
        answer = client.put("/v1/customers/1/tags/Blocked", json=WHY, headers={"if-match": matching})
        assert answer.status_code == 200


def test_the_key_is_recorded_with_whom_the_application_names(folder: Path, client: TestClient) -> None:
    secret = keys.create(folder, "default", "crm", ["tags:write"], expires=None, actor="test").secret
    with shop.asked(folder) as (store, client):
        client.headers["authorization"] = f"Bearer {secret}"
        client.put("/v1/customers/1/tags/Blocked", json=WHY)
        client.put("/v1/customers/2/tags/Blocked", json={"reason": "a batch"})
        assert [version.actor for version in store.versions()[1:]] == ["ana (crm)", "crm"]


@pytest.mark.parametrize(
    ("method", "path", "given", "refused"),
    [
        ("PUT", "/v1/customers/9/tags/Blocked", WHY, (404, "customer_unknown")),
        ("PUT", "/v1/customers/1/tags/VIP", WHY, (409, "refused")),
        ("PUT", "/v1/customers/1/tags/loyalty", WHY, (409, "refused")),
        ("PUT", "/v1/customers/1/tiers/Blocked", {**WHY, "level": "Gold"}, (409, "refused")),
        ("PUT", "/v1/customers/1/tiers/loyalty", {**WHY, "level": "Platinum"}, (409, "refused")),
        ("PUT", "/v1/customers/1/tiers/lifecycle", {**WHY, "level": "Active"}, (409, "refused")),
        ("PUT", "/v1/customers/1/tags/Blocked", {**WHY, "expires_on": "2026-03-31"}, (409, "refused")),
        ("PUT", "/v1/customers/1/tags/Blocked", {"actor": "ana"}, (422, "body_invalid")),
        ("PUT", "/v1/customers/1/tags/Blocked", {"reason": " "}, (422, "body_invalid")),
        ("PUT", "/v1/customers/1/tags/Blocked", {"reason": "x", "actor": "a\nb"}, (422, "body_invalid")),
        ("PUT", "/v1/customers/1/tags/Blocked", {"reason": "x", "expires": "2027-01-01"}, (422, "body_invalid")),
        ("PUT", "/v1/customers/1/tiers/loyalty", WHY, (422, "body_invalid")),
        ("DELETE", "/v1/customers/1/tags/Blocked?reason=x", None, (409, "refused")),
        ("DELETE", "/v1/customers/1/tags/Blocked?reason=x&actor=%00", None, (400, "parameter_invalid")),
        ("DELETE", "/v1/customers/1/tags/Blocked", None, (400, "parameter_invalid")),
        ("DELETE", "/v1/customers/1/tags/Blocked?because=x", None, (400, "parameter_unknown")),
    ],
)
def test_what_cannot_be_set_is_refused_and_changes_nothing(
    client: TestClient, method: str, path: str, given: Any, refused: tuple[int, str]
) -> None:
    assert problem(client.request(method, path, json=given)) == refused
    assert client.get("/v1/versions").json()["versions"][0]["number"] == 1


def test_writes_that_come_together_all_count(client: TestClient) -> None:
    answers: list[Any] = []

    def set_tag(customer: int) -> None:
        answers.append(client.put(f"/v1/customers/{customer}/tags/Blocked", json=WHY))

    threads = [threading.Thread(target=set_tag, args=(customer,)) for customer in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert sorted(answer.json()["version"] for answer in answers) == [2, 3, 4]
    assert [held(client, customer) for customer in "123"] == [["Blocked"]] * 3


def test_who_comes_while_a_run_is_at_work_is_told_to_come_again(
    folder: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib import import_module

    from ruleengine.store import open_store
    from ruleengine.verbs.published import identity_of

    monkeypatch.setattr(import_module("ruleengine.api.writing"), "PATIENCE", 0.1)
    store = open_store(folder / ".ruleengine")
    with store.writer("a long run", identity_of(store)):
        answer = client.put("/v1/customers/1/tags/Blocked", json=WHY)
        assert held(client) == ["VIP"]
    store.close()

    assert problem(answer) == (409, "writer_busy")
    assert int(answer.headers["retry-after"]) > 0
    assert client.put("/v1/customers/1/tags/Blocked", json=WHY).status_code == 200


def test_answers_have_the_shapes_that_are_described(folder: Path, client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    def fits(method: str, path: str, answer: Any) -> None:
        assert answer.status_code == 200, answer.text
        content = document["paths"][path][method]["responses"]["200"]["content"]["application/json"]
        shape(document, content["schema"]).validate(answer.json())

    tag, tier = "/v1/customers/{id}/tags/{tag}", "/v1/customers/{id}/tiers/{tier}"
    fits("put", tag, client.put("/v1/customers/1/tags/Blocked", json=WHY))
    fits("delete", tag, client.delete("/v1/customers/1/tags/Blocked", params=WHY))
    fits("put", tier, client.put("/v1/customers/1/tiers/loyalty", json={**WHY, "level": "Member"}))
    fits("delete", tier, client.delete("/v1/customers/1/tiers/loyalty", params=WHY))
    name = held_run(folder)
    fits("get", "/v1/runs/{run}", client.get(f"/v1/runs/{name}"))
    fits("post", "/v1/runs/{run}:publish", client.post(f"/v1/runs/{name}:publish", json=WHY))
    fits("post", "/v1/versions/{number}:rollback", client.post("/v1/versions/1:rollback", json=WHY))


# -- runs and versions -------------------------------------------------------------------------------------


def held_run(folder: Path) -> str:
    rules = shop.FILES["shop.rules"] + '\ncheck tag "VIP" covers 90% to 100% else fail\n'
    (folder / "shop.rules").write_text(rules.replace("1_000", "5_000"), "utf-8")
    report = run(folder, "default", as_of=date(2026, 4, 1), actor="test")
    assert report.outcome == "held"
    assert report.run is not None
    return report.run


def test_a_held_run_is_published_with_a_reason(folder: Path, client: TestClient) -> None:
    name = held_run(folder)
    listed = client.get("/v1/runs?limit=1").json()["runs"]
    assert [(each["id"], each["state"], len(each["reasons"])) for each in listed] == [(name, RunState.HELD, 1)]
    found = client.get(f"/v1/runs/{name}").json()
    assert found["movement"]["removed"] == {"VIP": 1}
    assert held(client) == ["VIP"]

    answer = client.post(f"/v1/runs/{name}:publish", json=WHY)

    assert answer.status_code == 200, answer.text
    assert (answer.json()["version"], answer.json()["reason"]) == (2, "asked on the phone")
    assert held(client) == []
    again = client.post(f"/v1/runs/{name}:publish", json=WHY)
    assert problem(again) == (409, "refused")
    assert again.json()["problem"] == "run-not-held"


def test_a_version_is_rolled_back_with_a_reason(folder: Path, client: TestClient) -> None:
    client.post(f"/v1/runs/{held_run(folder)}:publish", json=WHY)

    answer = client.post("/v1/versions/1:rollback", json=WHY)

    body = answer.json()
    assert (body["version"], body["kind"], body["actor"]) == (3, "rollback", "ana")
    assert held(client) == ["VIP"]
    assert problem(client.post("/v1/versions/9:rollback", json=WHY)) == (404, "version_unknown")
    assert problem(client.post("/v1/versions/3:rollback", json=WHY)) == (409, "refused")
    assert problem(client.post("/v1/versions/1:rollback", json={})) == (422, "body_invalid")
    moved = client.post("/v1/versions/2:rollback", json=WHY, headers={"if-match": '"1-none"'})
    assert problem(moved) == (412, "version_moved")


def test_a_run_that_is_not_there_is_told(client: TestClient) -> None:
    assert problem(client.get("/v1/runs/none")) == (404, "run_unknown")
    assert problem(client.post("/v1/runs/none:publish", json=WHY)) == (404, "run_unknown")


# -- forgetting --------------------------------------------------------------------------------------------


def test_a_forgotten_customer_is_gone_from_every_version(client: TestClient) -> None:
    seen = client.get("/v1/customers/1").headers["etag"]
    client.put("/v1/customers/2/tags/Blocked", json=WHY)
    moved = client.delete("/v1/customers/1?reason=asked", headers={"if-match": seen})
    assert problem(moved) == (412, "version_moved")
    assert problem(client.delete("/v1/customers/1")) == (400, "parameter_invalid")
    assert problem(client.delete("/v1/customers/1?reason=of%201")) == (409, "refused")

    answer = client.delete("/v1/customers/1?reason=asked&actor=ana")

    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == PROVENANCE | {"pending"}
    assert client.get("/v1/versions/3").json()["kind"] == "forget"
    told = {"version": 3, "as_of": "2026-03-31", "customers": 1}
    page = client.get("/v1/changes?after_version=2").json()
    assert (page["changes"], page["forgotten"], page["more"]) == ([], [told], False)
    assert client.get(f"/v1/changes?after={page['next_cursor']}").json()["forgotten"] == []
    everything = client.get("/v1/changes?limit=1000").json()
    assert everything["forgotten"] == [told]
    assert "1" not in {change["customer"] for change in everything["changes"]}
    for version in ("", "?version=1", "?version=2"):
        assert problem(client.get(f"/v1/customers/1{version}")) == (404, "customer_unknown")
    assert client.get("/v1/customers/2").json()["version"] == 3
    assert problem(client.delete("/v1/customers/1?reason=asked")) == (409, "refused")
    assert problem(client.delete("/v1/customers/stranger?reason=asked")) == (404, "customer_unknown")


def test_only_an_administrator_forgets(folder: Path, client: TestClient) -> None:
    statuses = []
    for scope in ("tags:write", "admin"):
        secret = keys.create(folder, "default", scope, [scope], expires=None, actor="test").secret
        headers = {"authorization": f"Bearer {secret}"}
        statuses.append(client.delete("/v1/customers/1?reason=asked", headers=headers).status_code)
    assert statuses == [403, 200]
