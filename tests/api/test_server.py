"""A server as it is started from the command line, read while versions are published."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import date, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ruleengine import schema
from ruleengine.store import open_store, store_of
from ruleengine.store.records import Key
from ruleengine.store.store import Store
from tests import postgres
from tests.api.asking import MANIFEST
from tests.store.tables import Held, Rules, held, publish

COMMAND = Path(sys.executable).with_name("ruleengine")
LEVELS = ("Gold", "Silver", "Member")
CUSTOMERS = 300
VERSIONS = 6
MANY_VERSIONS = 200
Where = Callable[[Path], AbstractContextManager[tuple[Store, Sequence[str]]]]


@pytest.fixture
def ruleset(tmp_path: Path) -> Path:
    (tmp_path / "ruleset.toml").write_text(MANIFEST, "utf-8")
    return tmp_path


@contextmanager
def started(ruleset: Path, *options: str, name: str = "retail") -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    """A server, and where it says that it is. Its log goes into `log` of the ruleset."""
    with (ruleset / "log").open("w") as log:
        server = subprocess.Popen([COMMAND, "serve", ruleset, *options], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.fullmatch(rf"Serving {name} on http://(.+):(\d+)\n", line)
        assert found, line + (ruleset / "log").read_text()
        yield server, found[1].strip("[]"), int(found[2])
    finally:
        server.kill()
        server.communicate()


def stopped(server: subprocess.Popen[str], how: int = signal.SIGTERM) -> int:
    server.send_signal(how)
    server.communicate(timeout=30)
    return server.returncode


def logged(ruleset: Path) -> list[dict[str, Any]]:
    """The lines of a server's log."""
    return [json.loads(line) for line in (ruleset / "log").read_text().splitlines()]


class Client:
    def __init__(self, host: str, port: int) -> None:
        self._connection = HTTPConnection(host, port, timeout=30)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        sent = None if body is None else json.dumps(body)
        self._connection.request(method, path, sent, headers | ({"content-type": "application/json"} if sent else {}))
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())


def of_version(number: int) -> dict[Key, Held]:
    """Everybody on one level, another one in each version."""
    level = LEVELS[number % len(LEVELS)]
    return {customer: held("VIP", loyalty=level) for customer in range(CUSTOMERS)}


def day_of(number: int) -> str:
    return str(date(2026, 1, 1) + timedelta(number - 1))


@contextmanager
def in_a_folder(ruleset: Path) -> Iterator[tuple[Store, Sequence[str]]]:
    """A store, and the options by which a server finds it."""
    with closing(open_store(ruleset / ".ruleengine")) as store:
        yield store, ()


@contextmanager
def in_a_schema(ruleset: Path) -> Iterator[tuple[Store, Sequence[str]]]:
    with (ruleset / "ruleset.toml").open("a") as manifest:
        manifest.write(
            f'[profiles.prod]\nengine = "postgres"\ndsn = "${{{postgres.STORE}}}"\nstore = {{schema = "read"}}\n'
        )
    with mock.patch.dict(os.environ, {postgres.STORE: postgres.owner()}):
        try:
            with closing(store_of(schema.load(ruleset).profile("prod"))) as store:
                yield store, ("--profile", "prod")
        finally:
            postgres.admin().execute('DROP SCHEMA IF EXISTS "read" CASCADE')


@pytest.mark.parametrize(
    ("where", "versions"),
    [
        (in_a_folder, VERSIONS),
        pytest.param(in_a_folder, MANY_VERSIONS, marks=pytest.mark.slow),
        pytest.param(in_a_schema, MANY_VERSIONS, marks=pytest.mark.slow),
    ],
)
def test_readers_see_one_version_whole_while_others_are_published(ruleset: Path, where: Where, versions: int) -> None:
    with where(ruleset) as (store, options):
        _read_while_published(ruleset, store, options, versions)


def _read_while_published(ruleset: Path, store: Store, options: Sequence[str], versions: int) -> None:
    publish(store, day_of(1), of_version(1))
    wrong: list[str] = []
    seen: set[int] = set()
    done = threading.Event()

    def expect(truth: bool, what: object) -> None:
        if not truth:
            wrong.append(str(what))

    def read(host: str, port: int) -> None:
        client, last = Client(host, port), 0
        while not done.is_set():
            status, one = client.ask("GET", f"/v1/customers/{last % CUSTOMERS}")
            number = one["version"]
            expect(status == 200 and number >= last, one)
            expect(one["tiers"]["loyalty"]["level"] == LEVELS[number % 3], one)
            expect(one["as_of"] == day_of(number), one)
            last = number
            seen.add(number)

            _, many = client.ask("POST", "/v1/customers:batchGet", {"ids": list(range(CUSTOMERS))})
            levels = {each["tiers"]["loyalty"]["level"] for each in many["customers"]}
            expect(len(many["customers"]) == CUSTOMERS and levels == {LEVELS[many["version"] % 3]}, many)

            path = f"/v1/tiers/loyalty/levels/{LEVELS[last % 3]}/customers?limit=130"
            members, cursor, of = 0, "", set()
            while True:
                _, page = client.ask("GET", f"{path}&cursor={cursor}" if cursor else path)
                of.add(page["version"])
                members += len(page["customers"])
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            whole = CUSTOMERS if last % 3 == max(of) % 3 else 0
            expect(len(of) == 1 and members == whole, (last, of, members))
            time.sleep(0.01)  # The machine has versions to make, too.

    with started(ruleset, "--port", "0", *options) as (server, host, port):
        readers = [threading.Thread(target=read, args=(host, port)) for _ in range(3)]
        for reader in readers:
            reader.start()
        for number in range(2, versions + 1):
            made = publish(store, day_of(number), of_version(number))
            status, one = Client(host, port).ask("GET", "/v1/customers/0")
            expect((status, one["version"]) == (200, made.number), "a version that is not seen at once")
        time.sleep(0.2)
        done.set()
        for reader in readers:
            reader.join()

        assert stopped(server) == 0
    assert {line["level"] for line in logged(ruleset)} == {"info"}
    assert wrong == []
    assert versions in seen


def test_a_server_may_be_there_before_anything_is_published(ruleset: Path) -> None:
    with started(ruleset, "--port", "0") as (server, host, port):
        assert server.stdout is not None
        assert "No key was ever given" in server.stdout.readline()
        assert "Nothing is published yet" in server.stdout.readline()
        client = Client(host, port)
        assert client.ask("GET", "/livez") == (200, {"status": "alive"})
        assert client.ask("GET", "/readyz")[0] == 503
        assert not (ruleset / ".ruleengine").exists()

        store = open_store(ruleset / ".ruleengine")
        publish(store, "2026-01-01", {"a/b": held("VIP")}, rules=Rules(key_type="text"))
        store.close()

        assert client.ask("GET", "/readyz")[0] == 200
        assert client.ask("GET", "/v1/customers/a%2Fb")[1]["customer"] == "a/b"
        assert stopped(server, signal.SIGINT) == 0
    assert {line["message"] for line in logged(ruleset)} == {"request"}


def test_answers_are_sent_at_once(ruleset: Path) -> None:
    """A kept-alive connection that waits for the kernel to acknowledge takes 40 ms for each answer."""
    with started(ruleset, "--port", "0") as (_, host, port):
        client = Client(host, port)
        times = []
        for _ in range(20):
            start = time.perf_counter()
            client.ask("GET", "/livez")
            times.append(time.perf_counter() - start)
    assert sorted(times)[10] < 0.03


def refused(*arguments: str | Path) -> tuple[int, str]:
    answer = subprocess.run(
        [COMMAND, "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert answer.stdout == ""
    assert "Traceback" not in answer.stderr
    return answer.returncode, answer.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", ""])
def test_other_machines_are_not_served(ruleset: Path, host: str) -> None:
    code, said = refused(ruleset, "--host", host, "--port", "0")

    assert code != 0
    assert f"--host {host}" in said
    assert "only this machine" in said


def test_a_port_that_is_taken_is_told(ruleset: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, said = refused(ruleset, "--port", str(port))

    assert code == 5
    assert f"127.0.0.1 port {port}" in said
    assert "--port" in said


def test_what_is_no_ruleset_is_not_served(tmp_path: Path) -> None:
    assert refused(tmp_path)[0] == 2


def test_the_store_of_another_ruleset_is_not_served(ruleset: Path) -> None:
    store = open_store(ruleset / ".ruleengine")
    publish(store, "2026-01-01", {1: held("VIP")})
    store.close()
    (ruleset / "ruleset.toml").write_text(MANIFEST.replace("retail", "wholesale"), "utf-8")

    code, said = refused(ruleset, "--port", "0")

    assert code == 5
    assert "wholesale" in said
