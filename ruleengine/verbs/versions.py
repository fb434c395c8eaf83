"""What was published, when, by whom and from what; and the two ways to publish without a run of one's own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ruleengine import settings
from ruleengine.store.records import Run, RunState, Version
from ruleengine.store.store import Store
from ruleengine.verbs import published


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    ruleset: str
    current: int | None
    line: tuple[int, ...]
    """The versions that lead to the current one, that one first. Others were rolled back, or are detached."""
    versions: tuple[Version, ...]
    """The latest first."""
    held: tuple[Run, ...]
    """Runs that wait for somebody to publish them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInFull:
    ruleset: str
    current: bool
    in_line: bool
    version: Version


def versions(path: Path, profile: str) -> Versions:
    """Every version of a store, and the runs that are held."""
    with published.opened(path, profile) as (manifest, store):
        line = store.line()
        return Versions(
            ruleset=manifest.name,
            current=line[0] if line else None,
            line=line,
            versions=tuple(
                replace(version, counts=published.ordered(store, version)) for version in reversed(store.versions())
            ),
            held=tuple(run for run in store.runs() if run.state is RunState.HELD),
        )


def version(path: Path, profile: str, number: int) -> VersionInFull:
    """One version; ProblemError where there is none of that number."""
    with published.opened(path, profile) as (manifest, store):
        found = store.version(number)
        found = replace(found, counts=published.ordered(store, found))
        line = store.line()
        return VersionInFull(
            ruleset=manifest.name, current=line[:1] == (number,), in_line=number in line, version=found
        )


def publish(path: Path, profile: str, run: str, reason: str, actor: str | None) -> Version:
    """Publish a held run, although a check held it."""
    name = settings.actor(actor)
    with published.opened(path, profile) as (_, store):
        return publish_in(store, run, reason, name)


def publish_in(
    store: Store, run: str, reason: str, actor: str, check: Callable[[Version], None] = lambda current: None
) -> Version:
    """As `publish`, in a store that is open. `check` may refuse the version that is current."""
    with store.writer(actor, published.identity_of(store)) as writer:
        if (current := store.current()) is not None:
            check(current)
        return writer.publish_held(run, reason)


def rollback(path: Path, profile: str, number: int, reason: str, actor: str | None) -> Version:
    """Publish the answers of an earlier version as a new one."""
    name = settings.actor(actor)
    with published.opened(path, profile) as (_, store):
        return rollback_in(store, number, reason, name)


def rollback_in(
    store: Store, number: int, reason: str, actor: str, check: Callable[[Version], None] = lambda current: None
) -> Version:
    """As `rollback`, in a store that is open. `check` may refuse the version that is current."""
    with store.writer(actor, published.identity_of(store)) as writer:
        if (current := store.current()) is not None:
            check(current)
        return writer.rollback(number, reason)
