"""Tags, and who has a tag, a level or a value."""

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from ruleengine.store.records import Key
from ruleengine.store.store import Store
from tests.api.asking import PROVENANCE, RULES, client_of, problem
from tests.store.tables import Held, Rules, held, publish


def customers(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["customer"] for each in answer.json()["customers"]]


def test_every_tag_is_listed_with_its_size(client: TestClient, published: Store) -> None:
    publish(published, "2026-04-01", {"17": held("VIP")}, rules=RULES)

    body = client.get("/v1/tags").json()

    assert body.keys() == PROVENANCE | {"tags"}
    sizes = {each["name"]: each["customers"] for each in body["tags"]}
    assert sizes == {"VIP": 1, "New": 0, "half/half": 0, "100% 客户": 0}


@pytest.mark.parametrize(
    ("path", "names", "members"),
    [
        ("tags/VIP", {"tag": "VIP"}, ["17", "a/b", "客户 1"]),
        ("tags/half%2Fhalf", {"tag": "half/half"}, ["a/b"]),
        ("tags/100%25%20%E5%AE%A2%E6%88%B7", {"tag": "100% 客户"}, ["100%"]),
        ("tiers/loyalty/levels/Gold", {"tier": "loyalty", "level": "Gold"}, ["17", "a/b"]),
        ("tiers/loyalty/levels/Member", {"tier": "loyalty", "level": "Member"}, []),
        ("classes/abc/values/B", {"class": "abc", "value": "B"}, ["100%"]),
    ],
)
def test_who_has_it_is_listed(client: TestClient, path: str, names: dict[str, str], members: list[str]) -> None:
    answer = client.get(f"/v1/{path}/customers")

    assert customers(answer) == members
    body = answer.json()
    assert body.keys() == PROVENANCE | names.keys() | {"customers", "next_cursor"}
    assert {name: body[name] for name in names} == names
    assert body["next_cursor"] is None


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("tags/Vip", "tag_unknown"),
        ("tags/half%252Fhalf", "tag_unknown"),
        ("tiers/abc/levels/A", "tier_unknown"),
        ("tiers/loyalty/levels/Platinum", "level_unknown"),
        ("classes/loyalty/values/Gold", "class_unknown"),
        ("classes/abc/values/Z", "value_unknown"),
        ("tags/half/half", "path_unknown"),
    ],
)
def test_what_the_version_has_no_rule_for_is_unknown(client: TestClient, path: str, code: str) -> None:
    assert problem(client.get(f"/v1/{path}/customers")) == (404, code)


def test_a_tag_whose_rule_is_gone_is_unknown(client: TestClient, published: Store) -> None:
    publish(published, "2026-04-01", {"17": held("VIP")}, rules=Rules(tags=("VIP",), key_type="text"))

    assert problem(client.get("/v1/tags/New/customers")) == (404, "tag_unknown")
    assert [each["name"] for each in client.get("/v1/tags").json()["tags"]] == ["VIP"]


# -- pages -------------------------------------------------------------------------------------------------


@pytest.fixture
def many(store: Store) -> TestClient:
    publish(store, "2026-03-31", {number: held("VIP", loyalty="Gold", abc="A") for number in range(250)}, rules=Rules())
    return client_of(store)


def page(client: TestClient, limit: int, cursor: str | None = None, path: str = "tags/VIP") -> Any:
    given: dict[str, str | int] = {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}
    return client.get(f"/v1/{path}/customers", params=given)


def test_pages_follow_one_another_without_gap_or_overlap(many: TestClient) -> None:
    found: list[str] = []
    cursor = None
    sizes = []
    while cursor is not None or not found:
        answer = page(many, 70, cursor)
        found += customers(answer)
        sizes.append(len(answer.json()["customers"]))
        cursor = answer.json()["next_cursor"]

    assert found == [str(number) for number in range(250)]
    assert sizes == [70, 70, 70, 40]
    assert len(customers(many.get("/v1/tags/VIP/customers"))) == 100
    assert page(many, 250).json()["next_cursor"] is None


def test_pages_stay_in_the_version_they_began_in(many: TestClient, store: Store) -> None:
    first = page(many, 100).json()
    publish(store, "2026-04-01", {number: held(loyalty="Silver") for number in range(1000)}, rules=Rules())

    second = page(many, 1000, first["next_cursor"]).json()

    assert (first["version"], second["version"]) == (1, 1)
    assert [each["customer"] for each in second["customers"]] == [str(number) for number in range(100, 250)]
    assert {name: first[name] for name in PROVENANCE} == {name: second[name] for name in PROVENANCE}
    assert customers(page(many, 10)) == []


def lines(client: TestClient, path: str) -> tuple[Any, list[str]]:
    answer = client.get(path, headers={"accept": "application/x-ndjson"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/x-ndjson")
    first, *rest = [json.loads(line) for line in answer.text.splitlines()]
    return first, [each["customer"] for each in rest]


def test_a_stream_has_everybody_and_says_first_from_which_version(many: TestClient) -> None:
    path = "/v1/tags/VIP/customers"
    page = many.get(path).json()

    first, everybody = lines(many, path)

    assert first == {name: page[name] for name in ("tag", *PROVENANCE)}
    assert everybody == [str(number) for number in range(250)]
    assert everybody[:100] == [each["customer"] for each in page["customers"]]
    assert lines(many, f"{path}?cursor={page['next_cursor']}")[1] == everybody[100:]


def test_a_stream_of_many_pages_stays_in_its_version(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    everybody: dict[Key, Held] = {number: held("VIP") for number in range(2500)}
    publish(store, "2026-01-01", everybody)
    read, pages = store.members, list[int]()

    def members(*args: Any, **kwargs: Any) -> Any:
        page = read(*args, **kwargs)
        if not pages:
            publish(store, "2026-01-02", {number: held() for number in range(2500)})
        pages.append(len(page.customers))
        return page

    monkeypatch.setattr(store, "members", members)

    first, found = lines(client_of(store), "/v1/tags/VIP/customers")

    assert first["version"] == 1
    assert found == [str(number) for number in range(2500)]
    assert pages == [1000, 1000, 500]


def test_a_cursor_is_good_for_its_own_list_only(many: TestClient) -> None:
    cursor = page(many, 10).json()["next_cursor"]

    assert problem(page(many, 10, cursor, "tiers/loyalty/levels/Gold")) == (400, "cursor_invalid")
    assert problem(page(many, 10, cursor, "tags/New")) == (400, "cursor_invalid")
    for spoilt in (cursor[:-2], cursor + "A", "A" + cursor, cursor[:-1] + "é", "", "a", "====", "💥"):
        assert problem(page(many, 10, spoilt)) == (400, "cursor_invalid"), spoilt


def test_a_cursor_into_a_version_that_is_gone_says_so(many: TestClient, store: Store, tmp_path: Any) -> None:
    from ruleengine.store.embedded import EmbeddedStore

    cursor = page(many, 10).json()["next_cursor"]
    later = EmbeddedStore(tmp_path / ".ruleengine", clock=lambda: 4_000_000_000.0)
    publish(store, "2026-04-01", {1: held("VIP")}, rules=Rules())
    publish(later, "2026-04-02", {1: held("New")}, rules=Rules())

    answer = page(many, 10, cursor)

    assert problem(answer) == (410, "version_not_kept")
    assert "Version 1" in answer.json()["detail"]
    # The customer himself is still told, from the version's files.
    assert many.get("/v1/customers/249?version=1").json()["version"] == 1
    later.close()


def test_a_cursor_of_another_store_is_of_no_use(many: TestClient, tmp_path: Any) -> None:
    from ruleengine.store import open_store

    cursor = page(many, 10).json()["next_cursor"]
    other = open_store(tmp_path / "other")
    empty = client_of(other)
    assert problem(page(empty, 10, cursor)) == (410, "version_not_kept")

    publish(other, "2026-03-31", {number: held("VIP") for number in range(250)}, rules=Rules())
    assert problem(page(empty, 10, cursor)) == (410, "version_not_kept")
    other.close()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "parameter_invalid"),
        ("limit=1001", "parameter_invalid"),
        ("limit=ten", "parameter_invalid"),
        ("limit=1&limit=2", "parameter_invalid"),
        ("limits=1", "parameter_unknown"),
        ("version=1", "parameter_unknown"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused(client: TestClient, query: str, code: str) -> None:
    assert problem(client.get(f"/v1/tags/VIP/customers?{query}")) == (400, code)


def test_tags_have_no_parameters(client: TestClient) -> None:
    answer = client.get("/v1/tags?limit=1")

    assert problem(answer) == (400, "parameter_unknown")
    assert "Known: none" in answer.json()["detail"]
