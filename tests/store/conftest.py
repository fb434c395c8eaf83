"""Every store that keeps the contract."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ruleengine.store import open_store
from ruleengine.store.store import Store

NewStore = Callable[[], AbstractContextManager[Store]]


@contextmanager
def _embedded() -> Iterator[Store]:
    with TemporaryDirectory() as folder:
        opened = open_store(Path(folder) / "store")
        yield opened
        opened.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store")
    yield opened
    opened.close()


@pytest.fixture
def new_store() -> NewStore:
    """Stores one after another, each empty, for the examples of a property."""
    return _embedded
