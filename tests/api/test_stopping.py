"""A server that is told to stop ends what it has begun."""

import json
import signal
import time
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from ruleengine.store import open_store
from ruleengine.store.records import Key
from tests.api.test_server import logged, ruleset, started
from tests.store.tables import Held, Rules, held, publish

__all__ = ["ruleset"]

CUSTOMERS = 20_000
LONG = "x" * 200


def asked(host: str, port: int, path: str, accept: str) -> HTTPResponse:
    connection = HTTPConnection(host, port, timeout=30)
    connection.request("GET", path, headers={"accept": accept})
    return connection.getresponse()


def test_streams_under_way_come_to_an_end(ruleset: Path) -> None:
    store = open_store(ruleset / ".ruleengine")
    everybody: dict[Key, Held] = {f"{LONG}{number}": held("VIP") for number in range(CUSTOMERS)}
    publish(store, "2026-01-01", everybody, rules=Rules(key_type="text"))
    store.close()
    with started(ruleset, "--port", "0") as (server, host, port):
        lines = asked(host, port, "/v1/tags/VIP/customers", "application/x-ndjson")
        events = asked(host, port, "/v1/changes", "text/event-stream")
        idle = HTTPConnection(host, port, timeout=30)
        idle.request("GET", "/livez")
        idle.getresponse().read()
        first = lines.readline()
        assert events.readline() == b": connected\n"

        server.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        # The whole of the list comes, although more of it was still to be sent than fits between two processes.
        rest = lines.read().splitlines()
        assert json.loads(first)["version"] == 1
        assert {json.loads(line)["customer"] for line in rest} == set(everybody)
        events.read()  # It ends, as answers do that are whole.
        assert idle.sock.recv(1) == b""
        server.communicate(timeout=30)
        assert server.returncode == 0
    assert {line["level"] for line in logged(ruleset)} == {"info"}
    assert sorted(line["status"] for line in logged(ruleset)) == [200, 200, 200]
