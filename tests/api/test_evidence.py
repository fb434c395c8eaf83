"""Why a customer has what he has, and how it came about."""

from collections.abc import Iterator
from datetime import date

import pytest
from starlette.testclient import TestClient

from tests.api import shop
from tests.api.asking import PROVENANCE, problem


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = shop.written(tmp_path_factory.mktemp("shop"))
    shop.published(folder, date(2026, 3, 10))
    (folder / "shop.rules").write_text(shop.FILES["shop.rules"].replace("1_000", "2_500"), "utf-8")
    shop.published(folder)
    with shop.asked(folder) as (_, client):
        yield client


def test_an_explanation_has_the_conditions_and_the_values(client: TestClient) -> None:
    body = client.get("/v1/customers/1/explain/VIP").json()

    assert body.keys() == PROVENANCE | {"customer", "rules"}
    (rule,) = body["rules"]
    assert (rule["kind"], rule["name"], rule["value"]) == ("tag", "VIP", None)
    assert rule["when"]["text"] == "monetary_90d > vip_floor"
    assert rule["when"]["answer"] is False
    assert rule["when"]["reads"][0] == {"name": "monetary_90d", "value": "2200.5000"}
    assert rule["when"]["distance"]["amount"] == "299.5000"


@pytest.mark.parametrize("query", ["version=1", "as_of=2026-03-30"])
def test_an_older_version_is_explained_by_its_own_rules(client: TestClient, query: str) -> None:
    body = client.get(f"/v1/customers/1/explain/VIP?{query}").json()

    assert (body["version"], body["as_of"]) == (1, "2026-03-10")
    (rule,) = body["rules"]
    assert (rule["value"], rule["because"]) == ("given", "1,500.50 spent")


def test_an_explanation_need_not_be_sent_twice(client: TestClient) -> None:
    first = client.get("/v1/customers/1/explain/loyalty")
    again = client.get("/v1/customers/1/explain/loyalty", headers={"if-none-match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/v1/customers/9/explain/VIP", (404, "customer_unknown")),
        ("/v1/customers/x/explain/VIP", (404, "customer_unknown")),
        ("/v1/customers/1/explain/Vip", (404, "rule_unknown")),
        ("/v1/customers/1/explain/VIP?version=3", (404, "version_unknown")),
        ("/v1/customers/1/explain/VIP?as_of=2026-03-09", (404, "version_unknown")),
        ("/v1/customers/9/history", (404, "customer_unknown")),
        ("/v1/customers/1/history?version=1", (400, "parameter_unknown")),
    ],
)
def test_what_is_not_there_is_not_explained(client: TestClient, path: str, refused: tuple[int, str]) -> None:
    assert problem(client.get(path)) == refused


def test_a_history_tells_every_change_with_what_the_rule_read(client: TestClient) -> None:
    body = client.get("/v1/customers/1/history").json()

    told = [(each["version"], each["name"], each["old"], each["new"]) for each in body["entries"]]
    assert told == [
        (1, "lifecycle", None, "Active"),
        (1, "VIP", None, "given"),
        (1, "loyalty", None, "Member"),
        (2, "VIP", "given", None),
        (2, "loyalty", "Member", "Gold"),
    ]
    lost = body["entries"][3]
    assert lost["evidence"]["monetary_90d"] == "2200.5000"
    assert lost["in_line"] is True
    assert lost["since"] is None
