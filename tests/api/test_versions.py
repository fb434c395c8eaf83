"""The versions there are."""

import pytest
from starlette.testclient import TestClient

from ruleengine.store.store import Store
from tests.api.asking import PROVENANCE, RULES, problem
from tests.store.tables import held, publish


def test_versions_are_listed_the_latest_first(client: TestClient, published: Store) -> None:
    publish(published, "2026-04-01", {"17": held("VIP")}, rules=RULES)
    publish(published, "2026-02-01", {"17": held("New")}, rules=RULES)

    first = client.get("/v1/versions?limit=2").json()
    rest = client.get(f"/v1/versions?limit=2&cursor={first['next_cursor']}").json()

    assert first.keys() == PROVENANCE | {"versions", "next_cursor"}
    assert [(each["number"], each["in_line"]) for each in first["versions"]] == [(3, False), (2, True)]
    assert [(each["number"], each["customers"]) for each in rest["versions"]] == [(1, 6)]
    assert rest["next_cursor"] is None


def test_a_version_tells_what_it_is_of_and_how_many_have_what(client: TestClient) -> None:
    body = client.get("/v1/versions/1").json()

    assert (body["number"], body["kind"], body["in_line"], body["actor"]) == (1, "run", True, "tester")
    assert body["counts"]["tags"] == {"100% 客户": 1, "New": 2, "VIP": 3, "half/half": 1}
    assert body["parameters"] == {"vip_floor": 10000}


@pytest.mark.parametrize(
    ("path", "refused"),
    [
        ("/v1/versions/2", (404, "version_unknown")),
        ("/v1/versions/0", (400, "parameter_invalid")),
        ("/v1/versions/one", (400, "parameter_invalid")),
        ("/v1/versions?cursor=x", (400, "cursor_invalid")),
    ],
)
def test_what_is_no_version_is_refused(client: TestClient, path: str, refused: tuple[int, str]) -> None:
    assert problem(client.get(path)) == refused
