"""Stores to be tortured, new ones, of either kind."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import sql

from ruleengine.store import open_store, sqlite, store_of
from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.store import Store
from tests import postgres
from tests.store.conftest import in_postgres, profile

NewStore = Callable[[], AbstractContextManager[Store]]


@contextmanager
def in_folder() -> Iterator[Store]:
    with TemporaryDirectory() as folder, closing(open_store(Path(folder) / "store")) as store:
        yield store


in_database = in_postgres


@contextmanager
def in_schema() -> Iterator[Store]:
    """In a database that is there already, and goes away by itself."""
    with closing(store_of(profile("store"))) as store:
        yield store


def orphans(store: Store) -> list[str]:
    """What belongs to no version and to no held run."""
    if not isinstance(store, PostgresStore):
        (folder,) = store.directories
        return _orphans(folder)
    assert store.profile.schema is not None
    schema = sql.Identifier(store.profile.schema)
    kept = sql.SQL("SELECT id FROM {}.runs WHERE state IN ('published', 'held')").format(schema)
    found = []
    with psycopg.connect(os.environ[postgres.STORE], autocommit=True) as connection:
        connection.execute("SET lock_timeout = 0")
        for table in ("changes", "arrivals", "facts", "memory"):
            of = sql.SQL("SELECT DISTINCT run FROM {}.{} WHERE run NOT IN ({})")
            rows = connection.execute(of.format(schema, sql.Identifier(table), kept)).fetchall()
            found += [f"{table} of {run}" for (run,) in rows]
    return found


def _orphans(folder: Path) -> list[str]:
    """Files and rows of a folder that belong to no version and to no held run."""
    ledger = sqlite.reader(folder / "ledger.db", 10)
    kept = {path for (path,) in ledger.execute("SELECT path FROM files")}
    files = [path for of in ("runs", "salts") for path in (folder / of).rglob("*") if path.is_file()]
    there = {path.relative_to(folder).as_posix() for path in files}
    found = sorted(there ^ kept)
    for table in ("documents", "members"):
        rows = f"SELECT count(*) FROM {table}, pointer WHERE from_serial > serial OR to_serial > serial"
        if number := ledger.execute(rows).fetchone()[0]:
            found.append(f"{number} {table}")
    ledger.close()
    return found
