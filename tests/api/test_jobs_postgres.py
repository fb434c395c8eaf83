"""The same of a store in Postgres: runs and plans over HTTP, and requests that are sent again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from ruleengine import schema, serving
from ruleengine.store.jobs import Jobs
from ruleengine.store.refusals import StoreLockedError
from ruleengine.store.store import Store
from ruleengine.verbs import jobs
from ruleengine.verbs.published import identity_of
from tests import postgres
from tests.api.asking import problem
from tests.api.test_jobs import WHY, asked, ended, frozen, until
from tests.faults.shop import DAY, FIRST, Shop, shop


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Shop]:
    with shop(tmp_path) as made, made.reached():
        yield made


def client_of(at: Shop, store: Store) -> TestClient:
    app = serving.app(store, schema.load(at.folder), profile="prod")
    return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)


def test_runs_are_published_told_and_answered_once(at: Shop) -> None:
    at.run(FIRST)
    with at.store() as store, client_of(at, store) as client:
        answers = [
            client.post("/v1/runs", json={"as_of": DAY, "actor": "ana"}, headers={"idempotency-key": "nightly"})
            for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [202, 202]
        assert answers[0].content == answers[1].content
        done = ended(client, answers[0].headers["location"])

        assert (done["state"], done["version"], done["actor"]) == ("published", 2, "ana")
        assert done["report"]["outcome"] == "published"
        assert done["phases"][-1]["name"] == "publishing"
        listed = client.get("/v1/runs").json()["runs"]
        assert [(each["state"], each["version"]) for each in listed] == [("published", 2), ("published", 1)]
        reply = client.post("/v1/versions/1:rollback", json=WHY, headers={"idempotency-key": "back"})
        assert reply.json()["version"] == 3
        again = client.post("/v1/versions/1:rollback", json=WHY, headers={"idempotency-key": "back"})
        assert (again.content, client.get("/v1/versions").json()["version"]) == (reply.content, 3)


def test_the_first_run_makes_the_store(at: Shop) -> None:
    rules = (at.folder / "shop.rules").read_text("utf-8")
    with at.store() as store, client_of(at, store) as client:
        (at.folder / "shop.rules").write_text('tag "VIP" when x > 1', "utf-8")
        wrong = client.post("/v1/runs", json={"as_of": DAY})
        assert problem(wrong) == (422, "rules_invalid")
        found = [(each["code"], each["file"]) for each in wrong.json()["problems"]]
        assert found == [("no-entity", None), ("unknown-name", "shop.rules")]
        assert store.identity() is None

        (at.folder / "shop.rules").write_text(rules, "utf-8")
        location = asked(client, "/v1/runs", {"as_of": DAY}, **{"idempotency-key": "first"})

        done = ended(client, location)
        assert (done["state"], done["version"]) == ("published", 1)
        assert client.get("/readyz").status_code == 200


@pytest.mark.slow
def test_runs_are_cancelled_and_killed(at: Shop) -> None:
    at.run(FIRST)
    with at.store() as store, client_of(at, store) as client:
        with frozen(lambda: asked(client, "/v1/runs", {"as_of": DAY})) as (location, _):
            busy = client.post("/v1/runs", json={"as_of": DAY})
            assert problem(busy) == (409, "writer_busy")
            assert busy.json()["holder"]["run"] == location.removeprefix("/v1/runs/")
            assert client.post(f"{location}:cancel", json=WHY).status_code == 202
        done = ended(client, location)
        assert (done["state"], done["reasons"]) == ("cancelled", ["ana: a mistake"])

        with frozen(lambda: asked(client, "/v1/rulesets:plan", {"as_of": DAY})) as (location, process):
            os.kill(process, signal.SIGKILL)
        assert ended(client, location)["state"] == "failed"
        plan = ended(client, asked(client, "/v1/rulesets:plan", {"as_of": DAY}))
        assert (plan["state"], plan["report"]["base"]) == ("done", 1)
        assert client.get("/v1/versions").json()["version"] == 1


@pytest.mark.slow
def test_a_run_that_waits_for_a_table_is_cancelled_and_one_that_dies_is_told(at: Shop) -> None:
    """By a process that this one knows nothing of."""
    at.run(FIRST)
    with at.store() as store, client_of(at, store) as client:
        for end in ("cancelled", "killed"):
            job = jobs.ask_run(store, date.fromisoformat(DAY), {}, "ana")
            location = f"/v1/runs/{job.id}"
            with postgres.admin().transaction():
                postgres.admin().execute("LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE")
                deaf = ["sh", "-c", 'trap "" INT && exec "$@"', "sh"]  # as what a script begins in the background is
                process = subprocess.Popen(
                    [*deaf, sys.executable, "-m", "ruleengine.verbs.working", at.folder, "prod", job.id]
                )
                until(partial(_is_checking, client, location))
                with pytest.raises(StoreLockedError):
                    store.refuse_busy()
                if end == "cancelled":
                    assert client.post(f"{location}:cancel", json=WHY).status_code == 202
                else:
                    process.kill()
                done = ended(client, location)
            process.wait()
            assert done["state"] == ("cancelled" if end == "cancelled" else "failed"), done
            until(lambda: _is_free(store))
        assert Jobs(store.book).latest("run", 1)[0].outcome == {"state": "failed", "reasons": ["its process died"]}
        with store.writer("tests", identity_of(store)):
            pass  # Whoever writes next tidies up.
        assert [run["state"] for run in client.get("/v1/runs").json()["runs"]] == ["failed", "cancelled", "published"]


def _is_checking(client: TestClient, location: str) -> bool:
    return bool(client.get(location).json()["phase"] == "checking the data")


def _is_free(store: Store) -> Any:
    try:
        store.refuse_busy()
    except StoreLockedError:
        return False
    return True
