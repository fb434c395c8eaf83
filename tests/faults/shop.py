"""A small shop in Postgres: two states of its data, and what the rules make of each."""

import csv
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from unittest import mock

from click.testing import CliRunner

from ruleengine.cli.commands import program
from ruleengine.schema import load
from ruleengine.store import store_of
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import RunState
from ruleengine.store.store import Store
from tests import postgres

RULES = """
entity customer from customers key id integer (city text)
events orders from orders key order_id integer for customer at day (amount decimal)
check orders.amount >= 0 for at least 90% else fail
metric spent = sum(orders.amount)
tag "Spender" when spent_90d > 40 keep for 30 days
tag "Paris" when city = "Paris"
tag "Watched" when spent_90d > 20 unless has tag "Blocked"
manual tag "Blocked"
tier loyalty
    "Gold" when spent_90d >= 60 keep while spent_90d >= 50
    otherwise "Member"
    hold for 30 days
class place
    "France" when city = "Paris"
    otherwise "Elsewhere"
"""
CUSTOMERS = 120
CITIES = ("Paris", "Rome")
FIRST, DAY = "2026-03-20", "2026-03-31"
"""Every run after the first one is for the same day, so that its answers depend on the data alone."""

Answers = list[tuple[str, ...]]


class Shop:
    """A ruleset whose profile `prod` computes in Postgres. `store` is as in ruleset.toml: a schema, or a folder."""

    def __init__(self, folder: Path, admin: Callable[[], postgres.Admin], address: str, store: str) -> None:
        self.folder = folder
        self.admin = admin
        self.address = address
        connection = admin()
        (folder / "shop.rules").write_text(RULES, "utf-8")
        (folder / "ruleset.toml").write_text(
            f'[ruleset]\nname = "shop"\ntimezone = "UTC"\n[profiles.prod]\nengine = "postgres"\n'
            f'dsn = "${{{postgres.STORE}}}"\nstore = {store}\n[profiles.prod.sources]\n'
            f'customers = {{table = "shop.customers"}}\norders = {{table = "shop.orders"}}\n',
            "utf-8",
        )
        connection.execute(f"CREATE TABLE shop.customers AS SELECT i AS id, {_city(0)} AS city {_customers()}".encode())
        connection.execute(
            f"CREATE TABLE shop.orders AS SELECT i AS order_id, 2 + i % {CUSTOMERS - 1} AS customer, "
            f"DATE '2026-03-01' + i % 30 AS day, i % 60 * 0.5 AS amount FROM generate_series(0, 500) AS i".encode()
        )
        self.state = 0

    def change(self, state: int) -> None:
        """Every customer moves to another city, and back; some come and go."""
        rows = f"SELECT i, {_city(state)} {_customers(state)}"
        self.admin().execute(f"DELETE FROM shop.customers; INSERT INTO shop.customers {rows}".encode())
        self.state = state

    def ask(self, verb: str, *words: str, address: str | None = None) -> tuple[int, str]:
        """The exit code, and everything that was said; by way of another address, say."""
        with self.reached(address):
            answer = CliRunner().invoke(program, [*verb.split(), str(self.folder), *words, "--profile", "prod"])
        return answer.exit_code, answer.output

    def run(self, day: str = DAY, *, address: str | None = None) -> tuple[int, str]:
        return self.ask("run", "--as-of", day, "--actor", "tests", address=address)

    def reached(self, address: str | None = None) -> AbstractContextManager[object]:
        """Within, the environment says where the shop is."""
        return mock.patch.dict("os.environ", {postgres.STORE: address or self.address})

    @contextmanager
    def store(self) -> Iterator[Store]:
        with self.reached(), closing(store_of(load(self.folder).profile("prod"))) as opened:
            yield opened

    def current(self) -> int:
        with self.store() as store:
            found = store.current()
            return found.number if found else 0

    def answers(self, version: int | None = None) -> Answers:
        """All of the current version, without its number."""
        with self.store() as store:
            store.export(self.folder / "answers.csv", version=version)
        with (self.folder / "answers.csv").open(encoding="utf-8") as lines:
            return [tuple(row[:-1]) for row in csv.reader(lines)][1:]

    def runs(self) -> list[RunState]:
        with self.store() as store:
            return [run.state for run in store.runs(1000)]

    def expected(self) -> tuple[Answers, Answers]:
        """What the day comes to on either state of the data, by runs that nothing happened to; the second is there."""
        assert self.run(FIRST)[0] == 0
        found = []
        for state in (0, 1):
            self.change(state)
            code, said = self.run()
            assert code == 0, said
            found.append(self.answers())
        assert found[0] != found[1]
        return found[0], found[1]


def _city(state: int) -> str:
    """They take turns, so that most change, and not all in the same way."""
    one, other = CITIES[state], CITIES[1 - state]
    return f"CASE WHEN i % 5 = 0 THEN 'Paris' WHEN i % 3 = 0 THEN '{one}' ELSE '{other}' END"


def _customers(state: int = 0) -> str:
    return f"FROM generate_series({1 + state}, {CUSTOMERS + state}) AS i"


INSIDE = '{schema = "ours"}'


@contextmanager
def shop(folder: Path, store: str = INSIDE) -> Iterator[Shop]:
    with postgres.shop() as connection:
        connection.execute("DROP SCHEMA IF EXISTS ours CASCADE")
        yield Shop(folder, postgres.admin, postgres.owner(), store)
        connection.execute("DROP SCHEMA IF EXISTS ours CASCADE")


def terminate() -> None:
    """Have the server end every connection of a run, and wait until it has."""
    postgres.admin().execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'ruleengine' AND datname = current_database()"
    )


def meanwhile(sql: str, do: Callable[[], object]) -> AbstractContextManager[object]:
    """Once, as a run comes to a statement of its store."""
    real, done = Session.run, False

    def run(session: Session, text: str, *values: object) -> int:
        nonlocal done
        if not done and sql in text:
            done = True
            do()
        return real(session, text, *values)

    return mock.patch.object(Session, "run", run)
