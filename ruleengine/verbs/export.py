"""A version's answers as a file."""

from dataclasses import dataclass
from pathlib import Path

from ruleengine.verbs import published


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    ruleset: str
    file: str
    rows: int


def export(path: Path, profile: str, file: Path, *, version: int | None, run: str | None) -> Exported:
    """Write the current version's assignments, another version's, or those of a held run."""
    with published.opened(path, profile) as (manifest, store):
        return Exported(ruleset=manifest.name, file=str(file), rows=store.export(file, version=version, run=run))
