"""How one version differs from another."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ruleengine.store.records import DiffRow, Movement
from ruleengine.verbs import published


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffReport:
    ruleset: str
    a: int
    b: int
    movement: Movement
    rows: tuple[DiffRow, ...]
    """The first of `movement.rows`, sorted by customer, kind, name."""


def diff(path: Path, profile: str, a: int, b: int, limit: int) -> DiffReport:
    """What version `b` has that `a` has not, and the other way round."""
    with published.opened(path, profile) as (manifest, store):
        found = store.diff(a, b)
        return DiffReport(
            ruleset=manifest.name, a=a, b=b, movement=found.movement, rows=tuple(islice(found.rows, limit))
        )
