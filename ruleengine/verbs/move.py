"""A store carried to another profile's: from a folder into a database, or back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ruleengine import schema, settings
from ruleengine.diagnostics import codes
from ruleengine.schema import Profile
from ruleengine.store.records import RunState
from ruleengine.store.refusals import RefusedError
from ruleengine.verbs import published


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What was carried."""

    ruleset: str
    source: str
    """The profile whose store was carried; it is left as it is."""
    target: str
    """The profile that has all of it now."""
    versions: int
    current: int | None
    changes: int
    """Rows that the versions changed."""
    held_runs: int
    by_hand: int
    """Entries of what people set."""
    keys: int
    """Of the API."""
    head: str | None
    """The hash of the last version, up to which the chain was found to hold."""


def move(
    path: Path,
    source: str,
    target: str,
    *,
    actor: str | None = None,
    progress: Callable[[str], None] = lambda phase: None,
) -> Moved:
    """Fill the store of profile `target`, which has to be empty, with all that the one of `source` keeps; then check
    its chain of hashes. Whole or not at all."""
    name = settings.actor(actor)
    profiles = schema.load(path)
    if _place(profiles.profile(source)) == _place(profiles.profile(target)):
        raise RefusedError(codes.store_the_same(None, source=source, target=target))
    with published.opened(path, source) as (manifest, old), published.opened(path, target) as (_, new):
        progress("reading what is kept")
        with old.packed(name) as content:
            progress("copying and checking")
            new.unpack(content, name)
            runs = content.runs
            return Moved(
                ruleset=manifest.name,
                source=source,
                target=target,
                versions=len(content.versions),
                current=content.current,
                changes=sum(run.files.leaves for run in runs if run.state == RunState.PUBLISHED),
                held_runs=sum(run.state == RunState.HELD for run in runs),
                by_hand=len(content.manual),
                keys=len(content.keys),
                head=content.versions[-1].hash if content.versions else None,
            )


def _place(profile: Profile) -> tuple[object, ...]:
    """Where a profile's store lies."""
    return (profile.store.resolve(),) if profile.schema is None else (profile.dsn, profile.schema)
