"""Customers of whom nothing is to be kept."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ruleengine import scratch, settings
from ruleengine.schema import Manifest
from ruleengine.store.records import Key, Version
from ruleengine.store.store import Store
from ruleengine.verbs import published


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReport:
    """The version that forgot them."""

    ruleset: str
    customers: tuple[Key, ...]
    version: int
    as_of: date
    pending: bool
    """Remnants lie in the store's files until nobody looks at them any more; then whoever next writes takes them away.
    Nothing tells of the customers, whether or not they do."""


def forget(
    path: Path, profile: str, customers: Sequence[str], *, reason: str, actor: str | None = None
) -> ForgetReport:
    """Take customers out of every version, and leave them out of every run to come.

    All of them, or nobody: ProblemError where there is nothing of one, or the reason names one, or a run is at work.
    """
    who = settings.actor(actor)
    with published.opened(path, profile) as (manifest, store):
        return forget_in(store, manifest, customers, reason=reason, actor=who)


def forget_in(
    store: Store,
    manifest: Manifest,
    customers: Sequence[str],
    *,
    reason: str,
    actor: str,
    check: Callable[[Version], None] = lambda current: None,
) -> ForgetReport:
    """As `forget`, in a store that is open. `check` may refuse the version that is current."""
    keys = tuple(published.key_of(store, customer) for customer in customers)
    with store.writer(actor, published.identity_of(store)) as writer:
        if (current := store.current()) is not None:
            check(current)
        version = writer.forget(keys, reason)
    scratch.sweep()
    return ForgetReport(
        ruleset=manifest.name,
        customers=keys,
        version=version.number,
        as_of=version.as_of,
        pending=store.erasing(),
    )
