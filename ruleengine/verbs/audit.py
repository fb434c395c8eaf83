"""Whether a store still holds what was published."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ruleengine.diagnostics.problem import Problem
from ruleengine.verbs import published


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something that is not as it was published."""

    version: int | None
    """None: it concerns the store as a whole."""
    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    ruleset: str
    good: bool
    versions: int
    changes: int
    """Rows that were hashed again."""
    hash: str | None
    """Of the last version: whoever has kept it can tell that nothing before was changed."""
    first_bad: int | None
    """The first version that is not as it was published."""
    findings: tuple[Found, ...]
    """By version."""


def verify(path: Path, profile: str) -> Verified:
    """Recompute everything that was published from what is kept; ProblemError where the store cannot be read."""
    with published.opened(path, profile) as (manifest, store):
        audit = store.audit()
    return Verified(
        ruleset=manifest.name,
        good=not audit.findings,
        versions=len(audit.hashes),
        changes=audit.changes,
        hash=_last(audit.hashes),
        first_bad=audit.first_bad,
        findings=tuple(Found(version=version, problem=problem) for version, problem in audit.findings),
    )


def _last(hashes: Mapping[int, str]) -> str | None:
    return hashes[max(hashes)] if hashes else None
