"""A store that somebody changed behind the product's back: every change is found, at the version that it concerns.

In Postgres by a superuser whom no trigger stops.
"""

import os
import random
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copytree, rmtree

import duckdb
import pytest

from ruleengine.store import open_store
from ruleengine.store.auditing import Audit
from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.sqlite import writer
from ruleengine.store.store import Store
from tests import postgres
from tests.store import test_manual
from tests.store.tables import IDENTITY, held, hold, publish


@pytest.fixture
def made(store: Store) -> Store:
    """Eight versions: the fourth is detached, the last two a held run that was published and a rollback."""
    rules = test_manual.RULES
    publish(store, "2026-01-01", {key: held("VIP", loyalty="Gold") for key in range(20)}, rules=rules)
    publish(
        store, "2026-02-01", {key: held(*["VIP"][: key % 2], loyalty="Silver") for key in range(5, 30)}, rules=rules
    )
    test_manual.block(store, 7)
    publish(store, "2026-01-15", {1: held(loyalty="Silver")}, rules=rules)
    publish(store, "2026-03-01", {key: held(loyalty="Silver") for key in range(5, 30)}, rules=rules)
    test_manual.block(store, 9)
    delta = hold(store, "2026-04-01", {key: held("VIP") for key in range(3, 20)}, rules=rules)
    with store.writer("boss", IDENTITY) as one:
        one.publish_held(delta.run.id, "checked")
        one.rollback(2, "wrong")
    assert said(store.audit()) == []
    return store


def said(audit: Audit) -> list[tuple[int | None, str]]:
    return [(finding.version, finding.problem.code.name) for finding in audit.findings]


# -- ways to tamper --------------------------------------------------------------------------------------------


@contextmanager
def tampered(store: Store, table: str, *statements: str) -> Iterator[Store]:
    """The store after statements about a table, as another process would open it; then it is as it was."""
    if isinstance(store, PostgresStore):
        admin, schema = postgres.admin(), f'"{store.profile.schema}"'
        admin.execute("SET session_replication_role = replica")
        admin.execute(f"CREATE TEMP TABLE untouched AS TABLE {schema}.{table}".encode())
        try:
            for statement in statements:
                assert admin.execute(statement.format(t=f"{schema}.{table}", s=schema).encode()).rowcount
            yield store
        finally:
            into = f"INSERT INTO {schema}.{table} OVERRIDING SYSTEM VALUE TABLE untouched"
            admin.execute(f"DELETE FROM {schema}.{table}; {into}; DROP TABLE untouched".encode())
            admin.execute("SET session_replication_role = origin")
        return
    (folder,) = store.directories
    copied = copytree(folder, folder.with_name("tampered"))
    try:
        if table == "changes":
            for path in sorted(copied.glob("runs/*/changes.parquet")):
                _rewrite(path, statements)
        else:
            ledger = writer(copied / "ledger.db", 10)
            ledger.execute("PRAGMA foreign_keys = OFF")
            for statement in statements:
                ledger.execute(statement.format(t=table))
                assert ledger.changes(), statement
            ledger.close()
        with closing(open_store(copied)) as opened:
            yield opened
    finally:
        rmtree(copied)


def _rewrite(path: Path, statements: tuple[str, ...]) -> None:
    duck = duckdb.connect()
    duck.execute(
        f"CREATE TABLE c AS SELECT *, file_row_number AS position FROM read_parquet('{path}', file_row_number = true)"
    )
    touched = 0
    for statement in statements:
        rows = duck.execute(statement.format(t="c", s="")).fetchone()
        touched += rows[0] if rows else 0
    if touched:
        duck.execute(f"COPY (SELECT * EXCLUDE (position) FROM c ORDER BY position) TO '{path}' (FORMAT parquet)")


COLUMNS = {
    "number": "99",
    "run": "'another'",
    "base": "1",
    "as_of": "'2026-03-02'",
    "header": "replace(header, 'tester', 'nobody')",
    "previous_hash": "'0'",
    "root": "'0'",
    "hash": "'0'",
}


def test_every_column_of_a_version(made: Store) -> None:
    for column, value in COLUMNS.items():
        with tampered(made, "versions", f"UPDATE {{t}} SET {column} = {value} WHERE number = 5") as store:
            assert store.audit().first_bad == 5, column


COPIES = {
    "kind": "'manual'",
    "state": "'failed'",
    "version": "2",
    "base": "1",
    "counts": "'{{}}'",
    "movement": "'{{}}'",
    "report": "'1'",
    "header": "replace(header, 'duckdb', 'other')",
    "staged": "'{{}}'",
}
BY_HAND = ("customer = 99", "value = NULL", "expires_on = '2030-01-01'", "actor = 'x'", "reason = 'x'")


def test_every_column_that_says_again_what_a_version_says(made: Store) -> None:
    run = made.version(5).run
    for column, value in COPIES.items():
        with tampered(made, "runs", f"UPDATE {{t}} SET {column} = {value} WHERE id = '{run}'") as store:
            assert store.audit().first_bad == 5, column
    for change in BY_HAND:
        with tampered(made, "manual", f"UPDATE {{t}} SET {change} WHERE version = 6") as store:
            assert store.audit().first_bad == 6, change


def test_the_pointer_and_the_names(made: Store) -> None:
    with tampered(made, "pointer", "UPDATE {t} SET version = 5") as store:
        assert said(store.audit()) == [(8, "audit-pointer")]
    with tampered(made, "names", "UPDATE {t} SET name = 'Other' WHERE name = 'VIP'") as store:
        assert store.audit().first_bad == 1
    with tampered(made, "levels", "DELETE FROM {t}") as store:
        assert store.audit().first_bad == 1


def test_versions_that_are_deleted(made: Store) -> None:
    for number in range(1, 8):
        with tampered(made, "versions", f"DELETE FROM {{t}} WHERE number = {number}") as store:
            assert store.audit().first_bad == number


def test_what_readers_are_given(made: Store) -> None:
    if isinstance(made, PostgresStore):
        tables = {
            "assignments": ("since = '2020-01-01'", "value = 2", "from_version = from_version + 1", "to_version = 7"),
            "customers": ("words = '{{0}}'", "to_version = 7", "from_version = from_version + 1"),
        }
        where = "to_version IS NULL AND customer = (SELECT min(customer) FROM {t} WHERE to_version IS NULL)"
    else:
        tables = {
            "documents": ("document = x'7b7d'", "from_serial = from_serial + 1", "to_serial = 1", "customer = 999"),
            "members": ("value = 2", "name = 99", "from_serial = from_serial + 1", "customer = 999"),
        }
        where = "to_serial IS NULL AND customer = (SELECT min(customer) FROM {t} WHERE to_serial IS NULL)"
    for table, changes in tables.items():
        for change in changes:
            with tampered(made, table, f"UPDATE {{t}} SET {change} WHERE {where}") as store:
                assert {code for _, code in said(store.audit())} == {"audit-answer-differs"}, (table, change)
        with tampered(made, table, f"DELETE FROM {{t}} WHERE {where}") as store:
            assert {code for _, code in said(store.audit())} == {"audit-answer-differs"}, table


# -- changes ---------------------------------------------------------------------------------------------------


EDITS = [
    ("customer", "customer + 1000"),
    ("kind", "'x'"),
    ("name", "'x'"),
    ("old", "coalesce(old, '') || 'x'"),
    ("new", "coalesce(new, '') || 'x'"),
    ("since", "'1999-01-01'"),
    ("rule_hash", "'x'"),
    ("evidence", "'{{}}'"),
]
KINDS = ("edit", "delete", "swap", "insert", "truncate")


def _at_random(made: Store, kind: str, seed: int) -> None:
    chance = random.Random(f"{kind} {seed}")
    number = chance.choice([each.number for each in made.versions() if each.movement.rows > 1])
    rows = made.changes(number)
    here = "leaf IN (SELECT leaf FROM {t} WHERE " + _of(made, number) + " AND position = %d)"
    one, other = (here % place for place in chance.sample(range(len(rows)), 2))
    column, value = chance.choice(EDITS)
    statements = {
        "edit": [f"UPDATE {{t}} SET {column} = {value} WHERE {one}"],
        "delete": [f"DELETE FROM {{t}} WHERE {one}"],
        "swap": [f"UPDATE {{t}} SET name = name || 'x', leaf = (SELECT leaf FROM {{t}} WHERE {other}) WHERE {one}"],
        "insert": [
            f"CREATE TEMP TABLE more AS SELECT * FROM {{t}} WHERE {one}",
            "UPDATE more SET position = 100000, customer = customer + 1000",
            "INSERT INTO {t} SELECT * FROM more",
            "DROP TABLE more",
        ],
        "truncate": [f"DELETE FROM {{t}} WHERE {_of(made, number)} AND position >= {chance.randrange(len(rows))}"],
    }[kind]
    with _one_file(made, number, statements) as store:
        assert store.audit().first_bad == number, (kind, seed, number, column)


def _of(made: Store, number: int) -> str:
    return f"run = '{made.version(number).run}'" if isinstance(made, PostgresStore) else "true"


@contextmanager
def _one_file(made: Store, number: int, statements: list[str]) -> Iterator[Store]:
    if isinstance(made, PostgresStore):
        kept = [each for each in statements if not each.startswith("DROP")]
        with tampered(made, "changes", *kept) as store:
            postgres.admin().execute("DROP TABLE IF EXISTS pg_temp.more")
            yield store
        return
    path = made.directories[0] / "runs" / made.version(number).run / "changes.parquet"
    before = path.read_bytes()
    try:
        _rewrite(path, tuple(statements))
        with closing(open_store(*made.directories)) as opened:
            yield opened
    finally:
        path.write_bytes(before)


def test_changes_that_are_tampered_with(made: Store) -> None:
    for kind in KINDS:
        _at_random(made, kind, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_changes_that_are_tampered_with_at_random(made: Store, kind: str) -> None:
    for seed in range(int(os.environ.get("TAMPERINGS", "40"))):
        _at_random(made, kind, seed)
