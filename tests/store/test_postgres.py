"""What a store in Postgres promises beyond the contract of every store."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from psycopg import conninfo, errors

from ruleengine.engines.columns import quote
from ruleengine.store import store_of
from ruleengine.store.jobs import Jobs
from ruleengine.store.postgres import session
from ruleengine.store.postgres.session import Session
from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.records import Key
from ruleengine.store.refusals import StoreUnusableError, WrongStoreError
from ruleengine.store.store import Store
from tests import postgres
from tests.store.conftest import again, profile
from tests.store.tables import IDENTITY, TEXT_IDENTITY, Held, Rules, held, hold, publish
from tests.store.test_forgetting import CITY, NUMBER, Whom, forget, life
from tests.store.verifier import hashed, merkle_root, text

STORES = ("postgres",)
FIRST: dict[Key, Held] = {key: held("VIP", loyalty="Gold", city="日本") for key in range(40)}
SECOND: dict[Key, Held] = {key: held("New", abc="A", money="0.1000") for key in range(20, 60)}


def schema(store: Store) -> str:
    assert isinstance(store, PostgresStore)
    assert store.profile.schema is not None
    return quote(store.profile.schema)


def rows(store: Store, query: str) -> list[Any]:
    return list(postgres.admin().execute(query.format(schema(store)).encode()).fetchall())


def check(store: Store) -> list[str]:
    """What is wrong with the chain: by a program that knows only its description."""
    wrong: list[str] = []
    salts = dict(rows(store, "SELECT customer, salt FROM {}.salts"))
    previous: str | None = None
    versions = rows(store, "SELECT number, run, header, previous_hash, root, hash FROM {}.versions ORDER BY number")
    for number, run, header, previous_hash, root, version_hash in versions:
        found = rows(
            store,
            "SELECT leaf, customer, kind, name, old, new, to_char(since, 'YYYY-MM-DD'), rule_hash, evidence "
            f"FROM {{}}.changes WHERE run = '{run}' ORDER BY position",
        )
        for leaf, customer, *fields in found:
            if hashed("leaf", salts[customer].hex(), str(number), str(customer), *map(text, fields)) != leaf.hex():
                wrong.append(f"version {number}: {customer}")
        order = [tuple(row[1:4]) for row in found]
        assert order == sorted(set(order))
        if merkle_root([row[0].hex() for row in found]) != root or len(found) != json.loads(header)["leaves"]:
            wrong.append(f"version {number}: rows")
        if previous_hash != previous or hashed("version", previous, root, header) != version_hash:
            wrong.append(f"version {number}: header")
        previous = version_hash
    return wrong


def test_the_chain_is_the_one_that_is_described(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    publish(store, "2026-02-01", SECOND)
    publish(store, "2026-01-15", {1: held("Sleeping")})
    delta = hold(store, "2026-03-01", {1: held("VIP"), 2000: held("New")})
    publish(store, "2026-01-20", {2000: held("Sleeping"), 2001: held()})
    with store.writer("tester", IDENTITY) as writer:
        writer.publish_held(delta.run.id, "checked")
        writer.rollback(2, "wrong")
    publish(store, "2026-04-01", {})

    assert check(store) == []
    assert len(store.versions()) == 7


def test_text_keys_and_odd_names_are_in_the_chain(store: Store) -> None:
    rules = Rules(tags=("it's", "标签", "{}", "100%"), key_type="text")
    publish(store, "2026-01-01", {"ä:1": held("it's"), "-:": held("标签", loyalty="Gold"), "": held("{}")}, rules=rules)
    publish(store, "2026-01-02", {"ä:1": held("100%", city='\x1f"\\'), "Z": held(), "a": held("{}")}, rules=rules)

    assert check(store) == []


@pytest.mark.parametrize("table", ["versions", "changes", "arrivals", "manual", "texts"])
def test_what_is_published_cannot_be_changed_or_deleted(store: Store, table: str) -> None:
    publish(store, "2026-01-01", FIRST)
    connection = postgres.admin()
    if table == "manual":
        connection.execute(
            f"INSERT INTO {schema(store)}.manual (customer, kind, name, version, as_of, actor) "
            f"VALUES (1, 'tag', 'VIP', 1, '2026-01-01', 'anna')".encode()
        )
    column = {"versions": "header", "changes": "new", "arrivals": "here", "manual": "reason", "texts": "text"}[table]

    for statement in (
        f"UPDATE {schema(store)}.{table} SET {column} = {column}",
        f"DELETE FROM {schema(store)}.{table}",
        f"TRUNCATE {schema(store)}.{table} CASCADE",
    ):
        with pytest.raises(errors.InsufficientPrivilege, match="never changed or deleted"):
            connection.execute(statement.encode())


def test_readers_do_not_wait_for_a_publication(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(store, "2026-01-01", FIRST)
    run, reader = Session.run, again(store)
    seen: list[tuple[int, tuple[Key, ...]]] = []

    def looking(at: Session, sql: str, *values: object) -> int:
        if sql == "COMMIT":
            page = reader.members("tag", "VIP")
            seen.append((page.version, page.customers))
        return run(at, sql, *values)

    monkeypatch.setattr(Session, "run", looking)
    publish(store, "2026-02-01", SECOND)

    before, after = (1, tuple(range(40))), (2, ())
    assert seen == [before] * 5 + [after]  # to tidy up is all that comes after a version


# -- the schema --------------------------------------------------------------------------------------------


def test_an_upgrade_is_safe_to_run_twice_and_at_once(store: Store) -> None:
    assert isinstance(store, PostgresStore)
    known = [number for number, _ in session.migrations()]
    applied: list[tuple[int, ...]] = []

    def upgrade() -> None:
        with closing((opened := session.opened(store.profile)).connection):
            applied.append(session.upgrade(opened, IDENTITY))

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    upgrade()

    assert sorted(applied) == [(), (), (), tuple(known)]
    assert store.identity() == IDENTITY
    with closing((opened := session.opened(store.profile)).connection), pytest.raises(WrongStoreError):
        session.upgrade(opened, TEXT_IDENTITY)


def test_a_newer_schema_is_refused(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    postgres.admin().execute(f"UPDATE {schema(store)}.meta SET value = '99' WHERE name = 'format'".encode())
    other = again(store)

    with pytest.raises(StoreUnusableError) as error:
        other.current()

    assert error.value.problems[0].code.name == "store-format-newer"
    with pytest.raises(StoreUnusableError), other.writer("tester", IDENTITY):
        pass


def test_an_older_schema_is_not_written_to(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    postgres.admin().execute(f"UPDATE {schema(store)}.meta SET value = '0' WHERE name = 'format'".encode())

    with pytest.raises(StoreUnusableError) as error, store.writer("tester", IDENTITY):
        pass

    assert error.value.problems[0].code.name == "store-schema-older"


@pytest.mark.parametrize("name", ["消" * 21, 'we"ird; DROP %s %(a)s \\x {x}', "Ü'$$1 $roles$ {reader}", "a\n" * 30])
def test_a_schema_may_have_any_name(name: str) -> None:
    connection = postgres.admin()
    with mock.patch.dict(os.environ, {postgres.STORE: postgres.owner()}), closing(store_of(profile(name))) as store:
        publish(store, "2026-01-01", FIRST)
        publish(store, "2026-02-01", SECOND)
        with store.writer("an\\'a %s", IDENTITY) as writer:
            writer.rollback(1, "100% {wrong} \\ '")
        assert store.members("tag", "VIP").customers == tuple(range(40))
        assert store.versions()[-1].reason == "100% {wrong} \\ '"
        assert check(store) == []
        before = {role for (role,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
        connection.execute(session.roles(profile(name)).encode())
    made = {role for (role,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()} - before
    assert len(made) == 3
    quoted = name.replace('"', '""')
    connection.execute(f'DROP SCHEMA "{quoted}" CASCADE'.encode())
    for role in made:
        quoted = str(role).replace('"', '""')
        connection.execute(f'DROP ROLE "{quoted}"'.encode())


# -- roles -------------------------------------------------------------------------------------------------


def login(role: str) -> str:
    """Somebody who logs in and has a role; for the rest no more than temporary tables."""
    connection, name = postgres.admin(), f"{role}_login"
    connection.execute(f"""CREATE ROLE "{name}" LOGIN PASSWORD 'in' IN ROLE "{role}" """.encode())
    database = connection.info.dbname
    connection.execute(f'GRANT CONNECT, TEMPORARY ON DATABASE {database} TO "{name}"'.encode())
    return conninfo.make_conninfo(postgres.owner(), user=name, password="in")


@pytest.fixture
def roles(store: Store) -> Iterator[Store]:
    assert isinstance(store, PostgresStore)
    publish(store, "2026-01-01", FIRST)
    connection = postgres.admin()
    connection.execute(session.roles(store.profile).encode())
    connection.execute(session.roles(store.profile).encode())  # a second time changes nothing
    yield store
    for role in ("reader", "runner", "admin"):
        for name in (f"{store.profile.schema}_{role}_login", f"{store.profile.schema}_{role}"):
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone():
                connection.execute(f'DROP OWNED BY "{name}"; DROP ROLE "{name}"'.encode())


def test_a_runner_publishes_and_brings_back(roles: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(roles, PostgresStore)
    monkeypatch.setenv(postgres.STORE, login(f"{roles.profile.schema}_runner"))
    runner = again(roles)

    publish(runner, "2026-02-01", SECOND)
    hold(runner, "2026-03-01", FIRST)
    with runner.writer("tester", IDENTITY) as writer:
        writer.rollback(1, "wrong")

    assert runner.members("tag", "VIP").customers == tuple(range(40))
    assert check(roles) == []


def test_a_reader_reads_and_writes_nothing(roles: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(roles, PostgresStore)
    monkeypatch.setenv(postgres.STORE, login(f"{roles.profile.schema}_reader"))
    reader = again(roles)

    assert reader.members("tag", "VIP").customers == tuple(range(40))
    assert [row.new for row in reader.diff(1, 1).rows] == []
    with pytest.raises(StoreUnusableError), reader.writer("tester", IDENTITY):
        pass
    with psycopg.connect(os.environ[postgres.STORE]) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(f"SELECT * FROM {schema(roles)}.salts".encode())


def test_only_an_administrator_forgets(roles: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(roles, PostgresStore)
    names = {role: login(f"{roles.profile.schema}_{role}") for role in ("reader", "runner", "admin")}
    for role in ("reader", "runner"):
        with psycopg.connect(names[role]) as connection, pytest.raises(errors.InsufficientPrivilege):
            connection.execute(f"SELECT {schema(roles)}.forget(ARRAY[1])".encode())
        pretend = "-c ruleengine.forgetting=on"
        with (
            psycopg.connect(names[role], options=pretend) as connection,
            pytest.raises(errors.InsufficientPrivilege),
        ):
            connection.execute(f"UPDATE {schema(roles)}.changes SET evidence = NULL".encode())
    monkeypatch.setenv(postgres.STORE, names["runner"])
    with pytest.raises(StoreUnusableError), again(roles).writer("tester", IDENTITY) as writer:
        writer.forget([1], "asked")
    assert roles.customer(1).document is not None

    monkeypatch.setenv(postgres.STORE, names["admin"])
    with again(roles).writer("tester", IDENTITY) as writer:
        writer.forget([1], "asked")

    assert roles.customer(1).document is None
    assert said_wrong(roles) == []


def said_wrong(store: Store) -> list[str]:
    return [finding.problem.code.name for finding in store.audit().findings]


# -- erasure -----------------------------------------------------------------------------------------------


def rows_that_tell(store: PostgresStore, whom: Whom) -> list[str]:
    """The tables of the schema that have a row of him."""
    found = []
    connection = postgres.admin()
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [store.profile.schema])
    for (table,) in tables.fetchall():
        texts = connection.execute(f'SELECT t::text FROM {schema(store)}."{table}" t'.encode()).fetchall()
        if any(str(whom.key) in str(text) or CITY in str(text) for (text,) in texts):
            found.append(str(table))
    return found


def files_that_tell(store: PostgresStore) -> int:
    """How many files on the server's disk, of tables, their indexes and what is kept beside them, hold his city."""
    connection = postgres.admin()
    connection.execute("CHECKPOINT")
    (folder,) = connection.execute("SELECT current_setting('data_directory')").fetchone() or ("",)
    paths = connection.execute(
        "SELECT DISTINCT pg_relation_filepath(o.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "CROSS JOIN LATERAL (SELECT c.oid UNION SELECT c.reltoastrelid) o "
        "WHERE n.nspname = %s AND o.oid <> 0 AND pg_relation_filepath(o.oid) IS NOT NULL",
        [store.profile.schema],
    ).fetchall()
    return sum(CITY.encode() in Path(str(folder), str(path)).read_bytes() for (path,) in paths)


def test_no_row_tells_of_a_forgotten_customer_nor_any_file_once_written_anew(store: Store) -> None:
    assert isinstance(store, PostgresStore)
    life(store, NUMBER)
    assert {"changes", "facts", "manual", "jobs", "runs"} <= set(rows_that_tell(store, NUMBER))
    assert files_that_tell(store)

    forget(store, NUMBER)

    assert rows_that_tell(store, NUMBER) == []
    assert not store.erasing()
    statistics = "SELECT count(*) FROM pg_stats WHERE schemaname = %s AND pg_stats::text LIKE %s"
    told = postgres.admin().execute(statistics, [store.profile.schema, f"%{CITY}%"]).fetchone()
    assert told == (0,)
    # As docs/forget.md has it for those who need more.
    for (table,) in (
        postgres.admin()
        .execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [store.profile.schema])
        .fetchall()
    ):
        postgres.admin().execute(f'VACUUM FULL {schema(store)}."{table}"'.encode())
    assert files_that_tell(store) == 0


def test_a_schema_without_jobs_is_read_as_it_is_and_upgraded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(store, PostgresStore)
    every = session.migrations()
    with monkeypatch.context() as earlier:
        earlier.setattr(session, "migrations", lambda: every[:1])
        publish(store, "2026-01-01", FIRST)
    jobs = Jobs(store.book)
    job = jobs.new("run", "ana", {})

    assert (jobs.latest("run", 10), jobs.find(job.id)) == ([], None)
    with pytest.raises(StoreUnusableError):
        jobs.add(job)
    with closing((opened := session.opened(store.profile)).connection):
        assert session.upgrade(opened, IDENTITY) == tuple(number for number, _ in every[1:])
    jobs.add(job)
    assert [each.id for each in jobs.latest("run", 10)] == [job.id]
    assert store.customer(0).version == 1
