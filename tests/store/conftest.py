"""Every store that keeps the contract."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ruleengine.store import open_store
from ruleengine.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(tmp_path / "store")
    yield opened
    opened.close()
