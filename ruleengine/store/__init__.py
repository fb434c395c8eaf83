"""Where versions are kept: what is published, how it came about, and how it is read."""

from pathlib import Path

from ruleengine.store.embedded import EmbeddedStore
from ruleengine.store.store import Store


def open_store(path: Path) -> Store:
    """The store in a folder, which need not exist before something is written."""
    return EmbeddedStore(path)
