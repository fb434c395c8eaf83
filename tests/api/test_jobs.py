"""Runs and plans as servers are asked for them: processes that come to an end, are cancelled, or die."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from starlette.testclient import TestClient

from ruleengine.store import open_store
from ruleengine.verbs import jobs
from ruleengine.verbs.published import identity_of
from tests.api import shop
from tests.api.asking import problem
from tests.api.shop import client, first_version, folder
from tests.api.test_document import shape
from tests.api.test_server import COMMAND, Client, logged, stopped
from tests.api.test_server import started as serving

__all__ = ["client", "first_version", "folder"]

WHY = {"reason": "a mistake", "actor": "ana"}
NEXT = "2026-04-01"


def until(look: Callable[[], Any], seconds: float = 60) -> Any:
    """What a look finds, once it finds something."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def ended(client: TestClient, location: str) -> Any:
    """A run or plan at its end."""

    def over() -> Any:
        found = client.get(location).json()
        return found if found["state"] != "running" else None

    return until(over)


def asked(client: TestClient, path: str, body: Any, **headers: str) -> str:
    answer = client.post(path, json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "running"
    return answer.headers["location"]


def processes() -> set[int]:
    """Those of the jobs that this process began."""
    told = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in told.splitlines())
    return {int(pid) for pid, parent, command in rows if int(parent) == os.getpid() and "verbs.working" in command}


@contextmanager
def frozen(job: Callable[[], str]) -> Iterator[tuple[str, int]]:
    """Within, the process of a job that is asked for stands still before it has done anything."""
    before = processes()
    location = job()
    (process,) = processes() - before
    os.kill(process, signal.SIGSTOP)
    try:
        yield location, process
    finally:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)


# -- runs --------------------------------------------------------------------------------------------------


def test_a_run_is_published_and_tells_how_far_it_is(client: TestClient) -> None:
    location = asked(client, "/v1/runs", {"as_of": NEXT, "set": {"vip_floor": "900000"}, "actor": "ana"})
    seen = []

    def over() -> Any:
        found = client.get(location).json()
        seen.append((found["phase"], found["version"]))
        return found if found["state"] != "running" else None

    done = until(over)

    assert location == f"/v1/runs/{done['id']}"
    assert (done["state"], done["version"], done["as_of"], done["actor"]) == ("published", 2, NEXT, "ana")
    assert done["movement"]["removed"] == {"VIP": 1}
    assert [phase["name"] for phase in done["phases"]][-2:] == ["comparing", "publishing"]
    assert (done["report"]["outcome"], done["report"]["run"]) == ("published", done["id"])
    assert seen[0] == ("starting", None)
    assert seen[-1] == (None, 2)
    assert client.get("/v1/versions/2").json()["parameters"]["vip_floor"] == 900000
    assert client.get("/v1/customers/1").json()["tags"] == []
    listed = client.get("/v1/runs").json()["runs"]
    assert [each["id"] for each in listed][:1] == [done["id"]]
    assert len(listed) == 2

    again = asked(client, "/v1/runs", {"as_of": NEXT, "set": {"vip_floor": "900000"}})
    found = ended(client, again)
    assert (found["state"], found["version"], found["movement"]) == ("unchanged", 2, None)
    assert [each["state"] for each in client.get("/v1/runs").json()["runs"]] == ["unchanged", "published", "published"]


def test_a_run_that_a_check_holds_says_so_and_waits(folder: Path, client: TestClient) -> None:
    rules = shop.FILES["shop.rules"].replace("1_000", "5_000")
    (folder / "shop.rules").write_text(rules + '\ncheck tag "VIP" covers 90% to 100% else fail\n', "utf-8")

    held = ended(client, asked(client, "/v1/runs", {"as_of": NEXT}))

    assert (held["state"], held["version"]) == ("held", None)
    assert held["reasons"][0].startswith('check tag "VIP" covers')
    assert held["report"]["outcome"] == "held"
    assert client.get("/v1/customers/1").json()["version"] == 1
    answer = client.post(f"/v1/runs/{held['id']}:publish", json=WHY)
    assert answer.json()["version"] == 2
    assert client.get(f"/v1/runs/{held['id']}").json()["state"] == "published"


@pytest.mark.parametrize(
    ("file", "content", "body", "wrong"),
    [
        ("orders.csv", "customer_id,ordered_at,status\n", {}, "column-missing"),
        pytest.param("customers.csv", None, {}, "source-file-missing", marks=pytest.mark.slow),
        (None, None, {"set": {"vip_flor": "1"}}, "unknown-parameter"),
    ],
)
def test_a_run_that_fails_tells_why_and_the_last_version_stays(
    folder: Path, client: TestClient, file: str | None, content: str | None, body: Any, wrong: str
) -> None:
    if file is not None and content is None:
        (folder / file).unlink()
    elif file is not None and content is not None:
        (folder / file).write_text(content, "utf-8")

    failed = ended(client, asked(client, "/v1/runs", {"as_of": NEXT, **body}))

    assert (failed["state"], failed["version"], failed["report"]) == ("failed", None, None)
    assert [each["code"] for each in failed["problems"]][:1] == [wrong]
    assert failed["reasons"]
    assert client.get("/v1/customers/1").json()["version"] == 1


def test_a_run_that_is_cancelled_publishes_nothing_and_names_who_did(client: TestClient) -> None:
    with frozen(lambda: asked(client, "/v1/runs", {"as_of": NEXT})) as (location, _):
        answer = client.post(f"{location}:cancel", json=WHY)
        assert answer.status_code == 202, answer.text
        assert answer.json()["state"] == "running"
        assert client.post(f"{location}:cancel", json={**WHY, "actor": "ben"}).status_code == 202  # Once is enough.

    done = ended(client, location)
    assert (done["state"], done["reasons"]) == ("cancelled", ["ana: a mistake"])
    assert client.get("/v1/versions").json()["version"] == 1
    late = client.post(f"{location}:cancel", json=WHY)
    assert problem(late) == (409, "too_late")


def test_one_run_is_at_work_at_a_time_and_the_other_is_told_whose(client: TestClient) -> None:
    with frozen(lambda: asked(client, "/v1/runs", {"as_of": NEXT, "actor": "ana"})) as (location, process):
        second = client.post("/v1/runs", json={"as_of": NEXT, "actor": "ben"})
        os.kill(process, signal.SIGKILL)

    assert problem(second) == (409, "writer_busy")
    assert second.json()["holder"] == {
        "actor": "ana",
        "since": client.get(location).json()["started_at"],
        "run": location.removeprefix("/v1/runs/"),
    }
    assert int(second.headers["retry-after"]) > 0


def test_a_run_whose_process_is_killed_failed_and_the_next_one_begins(client: TestClient) -> None:
    with frozen(lambda: asked(client, "/v1/runs", {"as_of": NEXT})) as (location, process):
        os.kill(process, signal.SIGKILL)

    done = ended(client, location)
    assert (done["state"], done["reasons"]) == ("failed", ["its process ended with signal 9"])
    assert client.get("/v1/customers/1").json()["version"] == 1
    assert ended(client, asked(client, "/v1/runs", {"as_of": NEXT}))["state"] == "published"


# -- plans -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_plan_tells_what_rules_would_change_and_writes_nothing(folder: Path, client: TestClient) -> None:
    rules = shop.FILES["shop.rules"].replace("1_000", "800")
    body = {"files": {"shop.rules": rules}, "as_of": str(shop.DAY), "metric": "monetary", "samples": 1}
    location = asked(client, "/v1/rulesets:plan", body)
    busy = client.post("/v1/rulesets:plan", json=body)
    done = ended(client, location)

    assert problem(busy) == (409, "plan_busy")
    (folder / "shop.rules").write_text(rules, "utf-8")
    command = [str(COMMAND), "plan", str(folder), "--as-of", str(shop.DAY), "--metric", "monetary", "--samples", "1"]
    told = subprocess.run([*command, "--format", "json"], capture_output=True, text=True, check=True).stdout
    here = json.loads(told)
    assert {**done["report"], "phases": None} == {**here, "phases": None}
    assert done["report"]["compared"]["movement"]["added"] == {"VIP": 1}
    assert (done["state"], done["problems"]) == ("done", [])
    assert len(client.get("/v1/runs").json()["runs"]) == 1
    assert client.get("/v1/versions").json()["version"] == 1
    assert problem(client.post(f"{location}:cancel", json=WHY)) == (409, "too_late")
    assert problem(client.get(location.replace("plans", "runs"))) == (404, "run_unknown")


def test_a_plan_by_wrong_rules_tells_what_is_wrong(client: TestClient) -> None:
    done = ended(client, asked(client, "/v1/rulesets:plan", {"files": {"shop.rules": 'tag "VIP" when x > 1'}}))

    assert (done["state"], done["report"]) == ("failed", None)
    assert [(each["code"], each["file"]) for each in done["problems"]] == [
        ("no-entity", None),
        ("unknown-name", "shop.rules"),
    ]


def test_a_plan_is_cancelled(client: TestClient) -> None:
    with frozen(lambda: asked(client, "/v1/rulesets:plan", {})) as (location, _):
        assert client.post(f"{location}:cancel", json=WHY).status_code == 202

    assert ended(client, location)["state"] == "cancelled"
    assert problem(client.get("/v1/plans/none")) == (404, "plan_unknown")
    assert problem(client.post("/v1/plans/none:cancel", json=WHY)) == (404, "plan_unknown")


def test_what_cannot_be_asked_for_is_refused(client: TestClient) -> None:
    wrong: list[tuple[str, Any]] = [
        ("/v1/runs", {"as_of": "2026-02-30"}),
        ("/v1/runs", {"as_of": "3001-01-01"}),
        ("/v1/runs", {"profile": "other"}),
        ("/v1/runs", {"set": {"vip_floor": " "}}),
        ("/v1/runs", {"set": {"vip_floor": 3}}),
        ("/v1/rulesets:plan", {"files": {"../shop.rules": "x"}}),
        ("/v1/rulesets:plan", {"files": {}}),
        ("/v1/rulesets:plan", {"against": "/etc"}),
        ("/v1/rulesets:plan", {"samples": 101}),
    ]
    for path, body in wrong:
        assert problem(client.post(path, json=body)) == (422, "body_invalid"), body


def test_answers_have_the_shapes_that_are_described(client: TestClient) -> None:
    document = client.get("/openapi.json").json()

    def fits(method: str, path: str, answer: Any, status: str = "200") -> None:
        assert str(answer.status_code) == status, answer.text
        content = document["paths"][path][method]["responses"][status]["content"]["application/json"]
        shape(document, content["schema"]).validate(answer.json())

    for path, here in (("/v1/runs", "/v1/runs/{run}"), ("/v1/rulesets:plan", "/v1/plans/{plan}")):
        answer = client.post(path, json={"as_of": NEXT})
        fits("post", path, answer, "202")
        location = answer.headers["location"]
        fits("get", here, client.get(location))
        fits("post", f"{here}:cancel", client.post(f"{location}:cancel", json=WHY), "202")
        ended(client, location)
        fits("get", here, client.get(location))
    fits("get", "/v1/runs", client.get("/v1/runs"))


# -- servers -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_server_that_is_stopped_ends_its_runs(folder: Path) -> None:
    with serving(folder, "--port", "0", name="shop") as (server, host, port):
        status, made = Client(host, port).ask("POST", "/v1/runs", {"as_of": NEXT})
        assert status == 202
        code = stopped(server)

    assert code == 0
    assert {line["level"] for line in logged(folder)} == {"info"}
    with shop.asked(folder) as (_, client):
        done = client.get(f"/v1/runs/{made['id']}").json()
        assert (done["state"], done["reasons"]) == ("cancelled", ["server: it was stopped"])
        assert client.get("/v1/versions").json()["version"] == 1


@pytest.mark.slow
def test_a_run_outlives_its_server_and_others_know_of_it(folder: Path, client: TestClient) -> None:
    """What another server began: a process that this one knows nothing of."""
    store = open_store(folder / ".ruleengine")
    job = jobs.ask_run(store, date.fromisoformat(NEXT), {}, "ana")
    location = f"/v1/runs/{job.id}"
    with store.writer("somebody who writes", identity_of(store)):  # for whom it waits
        orphan = subprocess.Popen([sys.executable, "-m", "ruleengine.verbs.working", folder, "default", job.id])
        seen = until(lambda: (found := client.get(location).json())["phase"] == "checking" and found)
        orphan.kill()
        orphan.wait()

    assert (seen["state"], seen["actor"]) == ("running", "ana")
    done = client.get(location).json()
    assert (done["state"], done["reasons"]) == ("failed", ["its process died"])
    assert ended(client, asked(client, "/v1/runs", {"as_of": NEXT}))["state"] == "published"


# -- while they compute ------------------------------------------------------------------------------------

ORDERS = 12_000_000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So much data that a run of it takes some seconds."""
    folder = shop.written(tmp_path_factory.mktemp("large"))
    shop.published(folder)
    duckdb.execute(
        f"COPY (SELECT i % 3 + 1 AS customer_id, timestamp '2024-01-01' + to_minutes(i % 1000000) AS ordered_at, "
        f"(i % 1000)::decimal(18,2) AS amount, 'paid' AS status FROM range({ORDERS}) t(i)) "
        f"TO '{folder / 'orders.parquet'}'"
    )
    manifest = (folder / "ruleset.toml").read_text("utf-8")
    (folder / "ruleset.toml").write_text(manifest.replace("orders.csv", "orders.parquet"), "utf-8")
    return folder


@pytest.fixture
def busy(large: Path, tmp_path: Path) -> Iterator[tuple[Path, TestClient]]:
    folder = Path(shutil.copytree(large, tmp_path / "shop"))
    with shop.asked(folder) as (_, client), client:
        yield folder, client


def is_computing(client: TestClient, location: str) -> Any:
    return until(lambda: client.get(location).json()["phase"] == "computing")


def beginnings(folder: Path) -> list[str]:
    """What a run left behind that is not published."""
    store = open_store(folder / ".ruleengine")
    published = {version.run for version in store.versions()}
    store.close()
    return [path.name for path in (folder / ".ruleengine" / "runs").iterdir() if path.name not in published]


@pytest.mark.slow
def test_readers_do_not_notice_a_run_that_computes_and_is_cancelled(busy: tuple[Path, TestClient]) -> None:
    folder, client = busy
    location = asked(client, "/v1/runs", {"as_of": NEXT})
    is_computing(client, location)
    assert client.get("/v1/customers/1").json()["version"] == 1
    found = client.get(location).json()
    assert (found["state"], found["ruleset_hash"] is not None) == ("running", True)
    assert client.post(f"{location}:cancel", json=WHY).status_code == 202

    done = ended(client, location)

    assert (done["state"], done["reasons"], done["report"]) == ("cancelled", ["ana: a mistake"], None)
    store = open_store(folder / ".ruleengine")
    assert store.run(done["id"]).state == "cancelled"
    store.close()
    assert beginnings(folder) == []
    assert client.put("/v1/customers/1/tags/Blocked", json=WHY).status_code == 200  # Nobody holds the lock.


@pytest.mark.slow
def test_a_run_whose_process_is_killed_while_it_computes_failed(busy: tuple[Path, TestClient]) -> None:
    folder, client = busy
    before = processes()
    location = asked(client, "/v1/runs", {"as_of": NEXT})
    (process,) = processes() - before
    is_computing(client, location)
    # It gives way to whoever answers readers: nicer in the same session, and not on every processor.
    assert os.getpriority(os.PRIO_PROCESS, process) > os.getpriority(os.PRIO_PROCESS, 0)
    assert (os.getsid(process), os.getpgid(process)) == (os.getsid(0), process)
    assert sys.platform != "linux" or os.sched_getaffinity(process) < os.sched_getaffinity(0) or os.cpu_count() == 1

    os.kill(process, signal.SIGKILL)

    done = ended(client, location)
    assert (done["state"], done["version"]) == ("failed", None)
    assert client.get("/v1/customers/1").json()["version"] == 1
    assert client.put("/v1/customers/1/tags/Blocked", json=WHY).status_code == 200
    assert beginnings(folder) == []
    assert client.get(location).json()["state"] == "failed"


@pytest.mark.slow
def test_a_run_of_the_command_line_is_seen_and_cancelled_likewise(busy: tuple[Path, TestClient]) -> None:
    folder, client = busy
    command = subprocess.Popen(
        [str(COMMAND), "run", str(folder), "--as-of", NEXT, "--actor", "ben"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen = until(lambda: next((r for r in client.get("/v1/runs").json()["runs"] if r["state"] == "running"), None))
    is_computing(client, f"/v1/runs/{seen['id']}")
    second = client.post("/v1/runs", json={})

    assert (seen["actor"], seen["as_of"]) == ("ben", NEXT)
    assert problem(second) == (409, "writer_busy")
    assert second.json()["holder"]["actor"] == "ben"
    assert client.post(f"/v1/runs/{seen['id']}:cancel", json=WHY).status_code == 202
    out, err = command.communicate(timeout=60)
    assert (command.returncode, out) == (130, "")
    assert "ana cancelled it: a mistake" in err
    assert client.get(f"/v1/runs/{seen['id']}").json()["state"] == "cancelled"


def test_what_a_process_says_that_ends_of_itself_is_a_line_of_the_log(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'Traceback (most recent call last):' >&2\necho 'KeyError: 1' >&2\nexit 3\n")
    broken.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(broken))
    with shop.asked(folder) as (_, client), client:
        location = client.post("/v1/runs", json={"as_of": NEXT}).headers["location"]
        run = ended(client, location)

    assert (run["state"], run["reasons"]) == ("failed", ["its process ended with exit code 3"])
    (line,) = [each.getMessage() for each in caplog.records if each.name == "ruleengine.verbs.jobs"]
    assert line == f"job {run['id']}: Traceback (most recent call last):\nKeyError: 1"
