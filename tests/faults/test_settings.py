"""What somebody else does to the database: locks, rights, limits, and tables that are not what they were."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import psycopg
import pytest
from psycopg import errors

from ruleengine.engines import server
from tests import postgres
from tests.faults.shop import FIRST, Answers, Shop, meanwhile, shop


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Shop]:
    with shop(tmp_path) as made:
        assert made.run(FIRST)[0] == 0
        yield made


@contextmanager
def unharmed(at: Shop) -> Iterator[Answers]:
    """What was published before is afterwards, and the next run publishes."""
    before, answers = at.current(), at.answers()
    yield answers
    assert (at.current(), at.answers()) == (before, answers)
    at.change(1)
    code, told = at.run()
    assert code == 0, told
    assert at.current() == before + 1


@contextmanager
def role(setting: str, back: str) -> Iterator[None]:
    """A setting of the role that runs, and how it is taken back."""
    postgres.admin().execute(f"ALTER ROLE {postgres.OWNER} {setting}".encode())
    try:
        yield
    finally:
        postgres.admin().execute(f"ALTER ROLE {postgres.OWNER} {back}".encode())


# -- locks and limits --------------------------------------------------------------------------------------


TABLES = ("shop.orders", *(f"ours.{name}" for name in ("runs", "facts", "assignments", "pointer", "writer")))
LOCKED = {"lock_timeout": "50ms"}, "database-locked"
STOPPED = {"lock_timeout": "0", "statement_timeout": "100ms"}, "database-timeout"


@pytest.mark.parametrize(
    ("table", "settings", "code"),
    [*((table, *LOCKED) for table in TABLES), *((table, *STOPPED) for table in ("shop.orders", "ours.facts"))],
)
def test_a_table_that_somebody_holds(at: Shop, table: str, settings: dict[str, str], code: str) -> None:
    mode = "ACCESS EXCLUSIVE" if table == "shop.orders" else "EXCLUSIVE"
    with unharmed(at):
        holder = psycopg.connect(postgres.server(), dbname=at.admin().info.dbname)
        with holder, mock.patch.dict(server._SETTINGS, settings):
            holder.execute(f"LOCK TABLE {table} IN {mode} MODE".encode())
            found, told = at.run()
        assert found == 5
        assert code in told, told


def test_the_time_that_a_profile_gives_counts_for_its_store_too(at: Shop) -> None:
    """However little the role's own is: enough to connect by, and less than somebody holds a table."""
    manifest = at.folder / "ruleset.toml"
    text = manifest.read_text()
    holder = psycopg.connect(postgres.server(), dbname=at.admin().info.dbname)
    with holder, role("SET statement_timeout = '200ms'", "RESET statement_timeout"):
        holder.execute("LOCK TABLE ours.runs IN EXCLUSIVE MODE")
        told = at.run()[1]
        assert "database-timeout" in told, told
        manifest.write_text(text.replace("[profiles.prod]", '[profiles.prod]\ntimeout = "1 minute"'))
        release = threading.Timer(1, holder.rollback)
        release.start()
        code, told = at.run()
        release.join()
    assert code == 0, told


def test_too_many_connections(at: Shop) -> None:
    with unharmed(at), role("CONNECTION LIMIT 1", "CONNECTION LIMIT -1"):
        code, told = at.run()
        assert code == 5
        assert "database-unreachable" in told
        assert "too many connections" in told.lower()


def test_who_may_not_come_in(at: Shop) -> None:
    with unharmed(at), role("NOLOGIN", "LOGIN"):
        code, told = at.run()
        assert code == 5
        assert "database-unreachable" in told
        assert postgres.OWNER not in told


@pytest.mark.parametrize("right", ["USAGE ON SCHEMA ours", "INSERT ON ours.changes", "UPDATE ON ours.pointer"])
def test_who_may_not_write_there(at: Shop, right: str) -> None:
    with unharmed(at):
        at.admin().execute(f"REVOKE {right} FROM {postgres.OWNER}".encode())
        code, told = at.run()
        at.admin().execute(f"GRANT {right} TO {postgres.OWNER}".encode())
        assert code == 5
        assert "permission denied" in told.lower()


def test_who_may_not_make_a_schema(tmp_path: Path) -> None:
    with shop(tmp_path) as at:
        database = at.admin().info.dbname
        at.admin().execute(f"REVOKE CREATE ON DATABASE {database} FROM {postgres.OWNER}".encode())
        try:
            code, told = at.run()
        finally:
            at.admin().execute(f"GRANT CREATE ON DATABASE {database} TO {postgres.OWNER}".encode())
        assert code == 5
        assert "permission denied" in told.lower()
        assert at.current() == 0
        assert at.run()[0] == 0


# -- sources -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("done", "undone", "code"),
    [
        ("ALTER TABLE shop.customers DROP COLUMN city", "ADD COLUMN city text", "column-missing"),
        ("ALTER TABLE shop.customers RENAME city TO town", "RENAME town TO city", "column-missing"),
        (
            "ALTER TABLE shop.customers ALTER city TYPE jsonb USING to_jsonb(city)",
            "ALTER city TYPE text USING city::text",
            "column-type",
        ),
        ("ALTER TABLE shop.customers RENAME TO clients", "RENAME TO customers", "table-unreadable"),
        (
            "REVOKE SELECT ON shop.customers FROM {owner}",
            "GRANT SELECT ON shop.customers TO {owner}",
            "table-unreadable",
        ),
    ],
)
def test_a_source_that_is_another_than_it_was(at: Shop, done: str, undone: str, code: str) -> None:
    with unharmed(at):
        at.admin().execute(done.format(owner=postgres.OWNER).encode())
        found, told = at.run()
        table = "shop.clients" if "clients" in done else "shop.customers"
        back = undone if undone.startswith("GRANT") else f"ALTER TABLE {table} {undone}"
        at.admin().execute(back.format(owner=postgres.OWNER).encode())
        assert found == 5
        assert code in told, told
        assert "shop.customers" in told or "customers" in told


def test_a_source_that_is_dropped(at: Shop) -> None:
    with unharmed(at):
        at.admin().execute("ALTER TABLE shop.customers SET SCHEMA public")
        code, told = at.run()
        at.admin().execute("ALTER TABLE public.customers SET SCHEMA shop")
        assert code == 5
        assert "table-unreadable" in told


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE shop.customers DROP COLUMN city",
        "ALTER TABLE shop.customers ALTER city TYPE jsonb USING to_jsonb(city)",
        "DROP TABLE shop.customers CASCADE",
        "TRUNCATE shop.customers",
    ],
)
def test_a_source_stays_as_it_is_while_a_run_reads_it(at: Shop, change: str) -> None:
    """Whoever would change it waits for the run."""

    def attempt() -> None:
        with at.admin().transaction():
            at.admin().execute("SET LOCAL lock_timeout = '100ms'")
            with pytest.raises(errors.LockNotAvailable):
                at.admin().execute(change.encode())
            raise psycopg.Rollback

    tried = mock.Mock(side_effect=attempt)
    with meanwhile('INTO "ours".facts', tried):
        code, told = at.run()
    assert tried.call_count == 1
    assert code == 0, told
