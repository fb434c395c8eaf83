"""Where versions are kept: what is published, how it came about, and how it is read."""

from pathlib import Path

from ruleengine.schema import Profile
from ruleengine.store.embedded import EmbeddedStore
from ruleengine.store.store import Store


def open_store(path: Path) -> Store:
    """The store in a folder, which need not exist before something is written."""
    return EmbeddedStore(path)


def store_of(profile: Profile) -> Store:
    """The store of a profile: a folder, or a schema of its database."""
    if profile.schema is None:
        return open_store(profile.store)
    from ruleengine.store.postgres.store import PostgresStore

    return PostgresStore(profile)
