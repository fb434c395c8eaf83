"""A store with one version, and a client of the API over it."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ruleengine.store import open_store
from ruleengine.store.records import Key
from ruleengine.store.store import Store
from tests.api.asking import RULES, client_of
from tests.store.tables import Held, held, publish

DAY = "2026-03-31"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Nothing is published in it."""
    opened = open_store(tmp_path / ".ruleengine")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def first_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store's folder with one version, in which `nobody` has nothing."""
    folder = tmp_path_factory.mktemp("store")
    opened = open_store(folder)
    customers: dict[Key, Held] = {
        "17": held("VIP", "New", loyalty="Gold", abc="A"),
        "a/b": held("VIP", "half/half", loyalty="Gold"),
        "100%": held("100% 客户", abc="B"),
        "a%2Fb": held("New"),
        "客户 1": held("VIP", loyalty="Silver"),
        "nobody": held(),
    }
    publish(opened, DAY, customers, rules=RULES)
    opened.close()
    return folder


@pytest.fixture
def published(first_version: Path, tmp_path: Path, store: Store) -> Store:
    shutil.copytree(first_version, tmp_path / ".ruleengine")
    return store


@pytest.fixture
def client(published: Store) -> TestClient:
    return client_of(published, today=date(2026, 4, 1))
