"""A server that is stopped and started: during runs, and under a server of the API."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ruleengine.store.postgres.session import Session
from tests.api.test_server import Client, started, stopped
from tests.faults.cluster import Cluster, Mode, cluster
from tests.faults.shop import FIRST, INSIDE, Shop


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture
def at(own: Cluster, tmp_path: Path) -> Shop:
    own.admin().execute(b"DROP SCHEMA IF EXISTS shop, ours CASCADE; CREATE SCHEMA shop")
    return Shop(tmp_path, own.admin, own.address, INSIDE)


def within(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit, "it never came to be"
        time.sleep(0.02)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
@pytest.mark.parametrize("during", ["facts", "assignments", "pointer"])
def test_a_server_that_is_started_anew_during_a_run(at: Shop, own: Cluster, mode: Mode, during: str) -> None:
    assert at.run(FIRST)[0] == 0
    before, expected = at.current(), at.answers()
    at.change(1)
    real, done = Session.run, False

    def starting_anew(session: Session, sql: str, *values: object) -> int:
        nonlocal done
        if not done and f'INTO "ours".{during}' in sql:
            done = True
            own.stop(mode)
            own.start()
        return real(session, sql, *values)

    with mock.patch.object(Session, "run", starting_anew):
        code, told = at.run()

    assert done
    assert code == 5, told
    assert "database-lost" in told
    assert (at.current(), at.answers()) == (before, expected)
    assert at.run()[0] == 0
    assert at.answers() != expected


def test_a_server_that_is_not_there(at: Shop, own: Cluster) -> None:
    own.stop()
    try:
        for verb in ("run", "versions", "doctor", "serve", "db upgrade"):
            code, told = at.ask(verb)
            assert "database-unreachable" in told, (verb, told)
            assert str(own.address) not in told
            assert code == (1 if verb == "doctor" else 5), verb
    finally:
        own.start()


def asked(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    try:
        return client.ask(method, path, body)
    except OSError:
        return 0, None


def test_a_server_of_the_api_outlives_its_database(at: Shop, own: Cluster) -> None:
    """Answers are problems with a time to come back while it is away, and answers again once it is there."""
    at.run(FIRST)
    reads = [
        ("GET", "/readyz", None),
        ("GET", "/v1/customers/5", None),
        ("POST", "/v1/customers:batchGet", {"ids": ["5", "6"]}),
        ("GET", "/v1/tags/Paris/customers", None),
        ("GET", "/v1/customers/5/history", None),
        ("GET", "/v1/versions", None),
    ]
    with at.reached(), started(at.folder, "--port", "0", "--profile", "prod", name="shop") as (server, host, port):
        client = Client(host, port)
        assert [client.ask(*each)[0] for each in reads] == [200] * len(reads)

        at.change(1)
        assert at.run()[0] == 0
        assert client.ask("GET", "/v1/customers/5")[1]["version"] == 2  # at once

        own.stop("immediate")
        try:
            for _ in range(2):
                for each in reads:
                    status, told = client.ask(*each)
                    assert (status, told["code"]) == (503, "store_unusable"), (each, told)
                assert client.ask("GET", "/livez")[0] == 200
        finally:
            own.start()
        within(lambda: client.ask("GET", "/readyz")[0] == 200)
        assert [client.ask(*each)[0] for each in reads] == [200] * len(reads)
        assert stopped(server) == 0


def test_one_who_waits_for_the_database_holds_up_nobody(at: Shop, own: Cluster) -> None:
    at.run(FIRST)
    with at.reached(), started(at.folder, "--port", "0", "--profile", "prod", name="shop") as (server, host, port):
        quick, slow = Client(host, port), Client(host, port)
        assert quick.ask("GET", "/v1/customers/5")[0] == 200
        with own.admin() as holder, holder.transaction():
            holder.execute("LOCK TABLE ours.texts")
            waiting = threading.Thread(target=lambda: slow.ask("GET", "/v1/rulesets/current"))
            waiting.start()
            blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            within(lambda: own.admin().execute(blocked).fetchone() == (1,))

            assert quick.ask("GET", "/v1/customers/5")[0] == 200
            assert quick.ask("GET", "/livez")[0] == 200
            assert waiting.is_alive()
        waiting.join()
        assert stopped(server) == 0
