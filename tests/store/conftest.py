"""Every store that keeps the contract."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest

from ruleengine.schema import Profile
from ruleengine.source import Source, Span
from ruleengine.store import open_store, store_of
from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.store import Store
from tests import postgres

NewStore = Callable[[], AbstractContextManager[Store]]
_NUMBERS = count(1)


def profile(schema: str) -> Profile:
    """A profile whose store lies in a schema."""
    return Profile(
        name="prod",
        engine="postgres",
        directory=Path(),
        store=Path(),
        schema=schema,
        dsn=f"${{{postgres.STORE}}}",
        memory=None,
        threads=None,
        timeout=None,
        sources={},
        span=Span(Source("ruleset.toml", ""), 0, 0),
    )


@contextmanager
def _embedded() -> Iterator[Store]:
    with TemporaryDirectory() as folder, closing(open_store(Path(folder) / "store")) as opened:
        yield opened


@contextmanager
def in_postgres() -> Iterator[Store]:
    with mock.patch.dict(os.environ, {postgres.STORE: postgres.owner()}):
        schema = f"store {next(_NUMBERS)}"
        opened = store_of(profile(schema))
        try:
            yield opened
        finally:
            opened.close()
            postgres.admin().execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'.encode())


def again(store: Store) -> Store:
    """The same store, as another process would open it."""
    return store_of(store.profile) if isinstance(store, PostgresStore) else open_store(*store.directories)


STORES = {"embedded": _embedded, "postgres": in_postgres}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests of every store ask both; a module that is about the files of one says `STORES = ("embedded",)`."""
    if "new_store" in metafunc.fixturenames:
        metafunc.parametrize("new_store", getattr(metafunc.module, "STORES", STORES), indirect=True)


@pytest.fixture
def new_store(request: pytest.FixtureRequest) -> NewStore:
    """Stores one after another, each empty, for the examples of a property."""
    return STORES[request.param]


@pytest.fixture
def store(new_store: NewStore, tmp_path: Path) -> Iterator[Store]:
    with closing(open_store(tmp_path / "store")) if new_store is _embedded else new_store() as opened:
        yield opened
