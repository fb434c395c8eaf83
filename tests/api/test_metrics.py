"""What whoever watches the server is told."""

import re
from datetime import date
from pathlib import Path

from starlette.testclient import TestClient

from ruleengine.store.store import Store
from tests.api import shop
from tests.api.asking import client_of
from tests.api.test_writing import held_run


def figures(client: TestClient) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_requests_are_counted_by_operation_and_name_no_customer(client: TestClient) -> None:
    for path in ("/v1/customers/17", "/v1/customers/a%2Fb", "/v1/customers/stranger", "/v1/tags", "/nowhere/17"):
        client.get(path)

    found = figures(client)

    assert found['ruleengine_requests_total{operation="/v1/customers/{id}",status="200"}'] == 2
    assert found['ruleengine_requests_total{operation="/v1/customers/{id}",status="404"}'] == 1
    assert found['ruleengine_requests_total{operation="/v1/tags",status="200"}'] == 1
    assert found['ruleengine_requests_total{operation="none",status="404"}'] == 1
    assert found['ruleengine_request_seconds_count{operation="/v1/customers/{id}"}'] == 3
    named = set(re.findall(r'operation="([^"]*)"', client.get("/metrics").text))
    assert named == {"/v1/customers/{id}", "/v1/tags", "/metrics", "none"}


def test_the_current_version_and_what_waits_are_told(tmp_path: Path) -> None:
    folder = shop.written(tmp_path)
    shop.published(folder)
    held_run(folder)
    with shop.asked(folder, today=date(2026, 4, 3)) as (_, client):
        found = figures(client)

    assert found["ruleengine_version"] == 1
    assert found["ruleengine_as_of_age_days"] == 3
    assert found["ruleengine_customers"] == 3
    assert found["ruleengine_held_runs"] == 1
    assert found["ruleengine_last_run_failed"] == 0
    assert found["ruleengine_running_runs"] == 0
    assert 0 < found["ruleengine_last_run_seconds"] < 60
    phases = {name: value for name, value in found.items() if name.startswith("ruleengine_last_run_phase_seconds")}
    assert 'ruleengine_last_run_phase_seconds{phase="computing"}' in phases
    assert 0 < sum(phases.values()) <= found["ruleengine_last_run_seconds"] + 1
    assert 0 <= found["ruleengine_version_age_seconds"] < 60


def test_before_the_first_version_there_are_figures_too(store: Store) -> None:
    found = figures(client_of(store))

    assert found["ruleengine_held_runs"] == 0
    assert "ruleengine_version" not in found


def test_a_held_run_that_came_too_late_waits_for_nobody(tmp_path: Path) -> None:
    folder = shop.written(tmp_path)
    shop.published(folder)
    held_run(folder)
    # Somebody sets a tag: now the held run was compared with a version that is not current any more.
    with shop.asked(folder) as (_, client):
        assert figures(client)["ruleengine_held_runs"] == 1
        assert client.put("/v1/customers/1/tags/Blocked", json={"reason": "asked"}).status_code == 200
        assert figures(client)["ruleengine_held_runs"] == 0


def test_every_figure_is_told_of(tmp_path: Path) -> None:
    folder = shop.written(tmp_path)
    shop.published(folder)
    with shop.asked(folder) as (_, client):
        client.get("/v1/tags")
        text = client.get("/metrics").text
    page = Path("docs/api.md").read_text("utf-8")

    found = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert found == set(re.findall(r"^\| `(ruleengine_\w+)` \|", page, re.MULTILINE))
    assert not [line for line in text.splitlines() if line.startswith("# HELP") and not line.endswith(".")]
