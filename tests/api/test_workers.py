"""A server of several processes on one port."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ruleengine.verbs import keys
from tests.api import shop
from tests.api.shop import first_version, folder
from tests.api.test_jobs import NEXT, WHY, until
from tests.api.test_server import Client, started, stopped

__all__ = ["first_version", "folder"]

pytestmark = pytest.mark.slow


def below(parent: int, what: str) -> set[int]:
    """The processes that another one began, by a part of their command."""
    told = subprocess.run(["ps", "-ww", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in told.splitlines())
    return {int(pid) for pid, ppid, command in rows if int(ppid) == parent and what in command}


def workers(server: "subprocess.Popen[str]") -> set[int]:
    return below(server.pid, "spawn_main")


@contextmanager
def frozen(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@contextmanager
def two_workers(folder: Path) -> Iterator[tuple[Any, Callable[[], Client], list[int]]]:
    """A server, somebody new who asks it, and its workers, each of which answers."""
    with started(folder, "--port", "0", "--workers", "2", name="shop") as (server, host, port):

        def client() -> Client:
            return Client(host, port)

        found = until(lambda: sorted(workers(server)) if len(workers(server)) == 2 else None)
        for process in found:
            with frozen(process):
                assert client().ask("GET", "/livez")[0] == 200
        yield server, client, found


def test_what_one_worker_did_counts_in_the_other(folder: Path) -> None:
    with two_workers(folder) as (server, client, (one, other)):
        body = {"as_of": NEXT, "actor": "ana"}
        with frozen(one):
            status, run = client().ask("POST", "/v1/runs", body, **{"idempotency-key": "nightly"})
            assert status == 202
        with frozen(other):
            assert client().ask("POST", "/v1/runs", body, **{"idempotency-key": "nightly"}) == (202, run)
            status, busy = client().ask("POST", "/v1/runs", body)
            assert (status, busy["holder"]["run"]) == (409, run["id"])
            done = until(lambda: _over(client(), run["id"]))
            assert (done["state"], done["version"]) == ("published", 2)
        for process in (one, other):
            with frozen(process):
                assert client().ask("GET", "/v1/customers/1")[1]["version"] == 2
        shop.published(folder, date(2026, 4, 2))
        for process in (one, other):
            with frozen(process):
                assert client().ask("GET", "/v1/customers/1")[1]["version"] == 3
        created = keys.create(folder, "default", "crm", ["tags:read"], expires=None, actor="test")
        bearer = {"authorization": f"Bearer {created.secret}"}
        for process in (one, other):
            with frozen(process):
                assert client().ask("GET", "/v1/customers/1")[0] == 401
                assert [client().ask("GET", "/v1/customers/1", **bearer)[0] for _ in range(2)] == [200, 200]
        keys.revoke(folder, "default", created.key.id)
        for process in (one, other):
            with frozen(process):
                status, refused = client().ask("GET", "/v1/customers/1", **bearer)
                assert (status, refused["code"]) == (401, "key_invalid")
        assert stopped(server) == 0
        assert not Path(f"/proc/{one}").exists()


def _over(client: Client, run: str) -> Any:
    _, found = client.ask("GET", f"/v1/runs/{run}")
    assert "state" in found, found
    return found if found["state"] != "running" else None


def test_a_run_of_one_worker_is_cancelled_through_another_and_ends_with_the_server(folder: Path) -> None:
    with two_workers(folder) as (server, client, (one, other)):
        with frozen(one):
            _, run = client().ask("POST", "/v1/runs", {"as_of": NEXT})
            (process,) = below(other, "verbs.working")
        with frozen(process), frozen(other):
            assert client().ask("POST", f"/v1/runs/{run['id']}:cancel", WHY)[0] == 202
        assert until(lambda: _over(client(), run["id"]))["state"] == "cancelled"
        _, run = client().ask("POST", "/v1/runs", {"as_of": NEXT})
        assert stopped(server, signal.SIGINT) == 0

    with shop.asked(folder) as (_, asked):
        assert asked.get(f"/v1/runs/{run['id']}").json()["reasons"] == ["server: it was stopped"]


def test_a_worker_that_dies_is_replaced_and_one_whose_server_dies_ends(folder: Path) -> None:
    def log() -> str:
        return (folder / "log").read_text()

    with two_workers(folder) as (server, client, (one, other)):
        os.kill(one, signal.SIGKILL)
        (new,) = until(lambda: workers(server) - {one, other})
        with frozen(other):
            assert client().ask("GET", "/v1/customers/1")[0] == 200
        assert f"worker {one} ended with -9; another takes its place" in log()

        (folder / "ruleset.toml").rename(folder / "away")
        os.kill(other, signal.SIGKILL)
        until(lambda: "ended with 1; another takes its place" in log())
        assert "Traceback" not in log()
        assert client().ask("GET", "/v1/customers/1")[0] == 200

        server.kill()
        until(lambda: not Path(f"/proc/{new}").exists())


def test_readers_of_every_worker_see_one_version_whole_while_runs_publish(folder: Path) -> None:
    """Each answer tells of one day, and all that it holds is of that day's version."""
    with two_workers(folder) as (server, client, _):
        seen: set[int] = set()
        wrong: list[Any] = []
        readers = [client() for _ in range(6)]
        for day in ("2026-04-01", "2026-04-02"):
            _, run = client().ask("POST", "/v1/runs", {"as_of": day})
            while _over(client(), run["id"]) is None:
                for reader in readers:
                    status, answer = reader.ask("POST", "/v1/customers:batchGet", {"ids": ["1", "2", "3"]})
                    expected = f"2026-04-0{answer['version'] - 1}" if answer["version"] > 1 else str(shop.DAY)
                    if status != 200 or answer["as_of"] != expected or len(answer["customers"]) != 3:
                        wrong.append(answer)
                    seen.add(answer["version"])
        assert wrong == []
        assert client().ask("GET", "/v1/customers/1")[1]["version"] == 3
        assert {1, 2} <= seen
        assert stopped(server) == 0
