"""What happened to one customer."""

from dataclasses import dataclass
from pathlib import Path

from ruleengine.schema import Manifest
from ruleengine.store.records import HistoryEntry, Key
from ruleengine.store.store import Store
from ruleengine.verbs import published


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    ruleset: str
    entity: str
    customer: Key
    entries: tuple[HistoryEntry, ...]
    """Oldest first."""


def history(path: Path, profile: str, customer: str) -> History:
    """Every change of a customer in every version; ProblemError where no version knows the customer."""
    with published.opened(path, profile) as (manifest, store):
        return history_from(store, manifest, customer)


def history_from(store: Store, manifest: Manifest, customer: str) -> History:
    """As `history`, from a store that is open."""
    key = published.key_of(store, customer)
    entries = store.history(key)
    if not entries:
        answer = store.customer(key)
        if answer.document is None:
            raise published.unknown(store, customer, key, answer.version)
    return History(ruleset=manifest.name, entity=published.identity_of(store).entity, customer=key, entries=entries)
