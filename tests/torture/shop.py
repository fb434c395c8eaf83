"""A small ruleset whose store has every kind of file, and all that can be asked of it."""

import json
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from unittest import mock

from click.testing import CliRunner
from starlette.testclient import TestClient

from ruleengine import schema, serving
from ruleengine.cli.commands import program
from ruleengine.store import open_store

RULESET = """\
[ruleset]
name = "shop"
timezone = "Europe/Berlin"

[profiles.default]
engine = "duckdb"

[profiles.default.sources]
customers = "customers.csv"
orders = "orders.csv"
"""
RULES = """\
entity customer from customers key customer_id integer (country text)
events orders from orders for customer_id at ordered_at (amount decimal)
metric monetary = sum(orders.amount)
metric recency = days since latest(orders)
manual tag "Blocked"
tag "VIP" when monetary_30d > 100 keep for 3 days
tag "Spender" when monetary_30d > 50 unless has tag "Blocked"
tier loyalty
    "Gold" when monetary_30d >= 150 keep while monetary_30d >= 100
    otherwise "Member"
    hold for 5 days
class lifecycle
    "Churned" when recency > 20
    otherwise "Active"
"""
CUSTOMERS = 60

Asking = Callable[["Shop"], object]
DAMAGED = "damaged"
"""The answer that names a file which is damaged."""


def data(folder: Path, customers: int) -> None:
    rows = [f"{key},{'DE' if key % 2 else 'FR'}" for key in range(customers)]
    (folder / "customers.csv").write_text("\n".join(["customer_id,country", *rows, ""]))
    orders = [
        f"{key},2026-03-{1 + (key * 7 + order * 11) % 31:02},{(key * 37 + order * 53) % 90}"
        for key in range(customers)
        for order in range(key % 5)
    ]
    (folder / "orders.csv").write_text("\n".join(["customer_id,ordered_at,amount", *orders, ""]))


def command(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(program, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def done(*arguments: object) -> str:
    code, out, err = command(*arguments)
    assert code == 0, f"{arguments}: {err or out}"
    return out


def made(folder: Path) -> Path:
    """A ruleset with versions of every kind: runs, one detached, by hand, rolled back; one held, and a key."""
    folder.mkdir()
    (folder / "ruleset.toml").write_text(RULESET)
    (folder / "shop.rules").write_text(RULES)
    with mock.patch("ruleengine.store.salts.MOST_PIECES", 3):
        for day, customers in enumerate((40, 50, 45, 50), 25):
            data(folder, customers)
            code, out, _ = command("run", folder, "--as-of", f"2026-03-{day}", "--actor", "tests")
            if code == 3:
                run = re.search(r"run (\S+) held", out)
                assert run
                done("publish", folder, run[1], "--reason", "because", "--actor", "tests")
        done("tag", folder, "7", "Blocked", "--reason", "because", "--actor", "tests")
        done("run", folder, "--as-of", "2026-03-26", "--actor", "tests")
        data(folder, CUSTOMERS)
        done("run", folder, "--as-of", "2026-03-31", "--actor", "tests")
        done("rollback", folder, "4", "--reason", "because", "--actor", "tests")
        data(folder, 20)
        code, out, _ = command("run", folder, "--as-of", "2026-04-01", "--actor", "tests")
        assert code == 3, out
        data(folder, CUSTOMERS)
    done("key", "create", folder, "--name", "till", "--scope", "tags:read", "--actor", "tests")
    return folder


class Shop:
    """A ruleset that is asked; its server is started once."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self._key = key
        self._store = open_store(folder / ".ruleengine")

    @cached_property
    def client(self) -> TestClient:
        app = serving.app(self._store, schema.load(self.folder))
        client = TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
        client.headers["authorization"] = f"Bearer {self._key}"
        return client

    def close(self) -> None:
        self._store.close()


# -- what can be asked -------------------------------------------------------------------------------------


def _said(words: str, file: str | None = None) -> Asking:
    """What a command prints, or writes into a file; `.` is the ruleset."""

    def ask(shop: Shop) -> object:
        folder = shop.folder
        code, out, err = command(*(folder if word == "." else word for word in words.split()), *_output(folder, file))
        if code == 5 and "store-file-" in out + err:
            return DAMAGED
        told = (folder / file).read_text() if file and code == 0 else re.sub('"seconds": .*', "", out)
        return code, told, err if code else ""

    return ask


def _output(folder: Path, file: str | None) -> list[object]:
    return ["-o", folder / file] if file else []


def _answered(path: str) -> Asking:
    """What the API answers."""

    def ask(shop: Shop) -> object:
        answer = shop.client.get(path)
        body = answer.json()
        if answer.status_code == 503 and body["code"] == "store_damaged":
            return DAMAGED
        body.pop("request_id", None)
        return answer.status_code, body

    return ask


SERVED = {
    path: _answered(path)
    for path in (
        "/v1/customers/8",
        "/v1/customers/999",
        "/v1/tags/VIP/customers",
        "/v1/classes/lifecycle/values/Active/customers",
    )
}
"""Answers from rows that are served, which need no file but the ledger."""

QUESTIONS: dict[str, Asking] = {
    **SERVED,
    **{
        path: _answered(path)
        for path in (
            "/v1/tags",
            "/v1/versions",
            "/v1/changes",
            "/v1/customers/8?version=2",
            "/v1/customers/8/history",
            "/v1/customers/8/explain/loyalty",
        )
    },
    "versions": _said("versions . --format json"),
    "history": _said("history . 8 --format json"),
    "explain": _said("explain . 8 --format json"),
    "explain an old version": _said("explain . 8 --version 3 --format json"),
    "diff": _said("diff . 2 7 --format json"),
    "export": _said("export .", file="all.csv"),
    "export an old version": _said("export . --version 2", file="old.csv"),
    "plan": _said("plan . --as-of 2026-04-02 --format json"),
    "key list": _said("key list . --format json"),
}


def named(folder: Path) -> set[str]:
    """The files that the doctor finds damaged."""
    code, out, err = command("doctor", folder, "--format", "json")
    assert code in (0, 5), (code, out, err)
    messages = [problem["message"] for problem in json.loads(out)["problems"]]
    return {found[1] for message in messages if (found := re.match("`([^`]+)`", message))}
