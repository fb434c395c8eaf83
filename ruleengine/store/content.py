"""All that a store keeps, told in one way by every store, so that any store can be filled with it.

Small things are plain values. Rows that customers make many are relations of DuckDB's, asked for by run:

- changes: `run, position, customer, kind, name, old, new, since, rule_hash, evidence, leaf`; positions count from 0;
- arrivals: `run, customer, here`; of a run that was compared with nothing, all of its customers;
- memory: `run` and the columns of `memory.COLUMNS`;
- values of one run: `customer` and the run's value columns;
- salts: `customer, salt`.

What else lies in a store (who holds what in which version, documents, lists of members) follows from these.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import duckdb

from ruleengine.store import versions
from ruleengine.store.manual import Entry
from ruleengine.store.names import Names
from ruleengine.store.records import ApiKey, Identity, RunState, VersionKind
from ruleengine.store.versions import StagedFiles

MOST_ROWS = 1_000_000
MOST_RUNS = 500


class RunRow(NamedTuple):
    """A run, its parts as every store writes them: moments and JSON as text."""

    id: str
    kind: str
    state: str
    actor: str
    started_at: str
    finished_at: str | None
    header: str
    base: int | None
    detached: bool
    counts: str | None
    movement: str | None
    report: str | None
    version: int | None
    reasons: str
    value_columns: str | None
    staged: str | None

    @property
    def has_rows(self) -> bool:
        return self.state in (RunState.PUBLISHED, RunState.HELD)

    @property
    def files(self) -> StagedFiles:
        """Of a run that has rows: the number, root, count of leaves and hands are every store's."""
        assert self.staged is not None
        return versions.staged(self.staged)

    @property
    def has_arrivals(self) -> bool:
        """Of the kinds that say who came and went."""
        return self.has_rows and self.kind in (VersionKind.RUN, VersionKind.ROLLBACK)


class VersionRow(NamedTuple):
    """A version, its parts as every store writes them."""

    number: int
    run: str
    header: str
    previous_hash: str | None
    root: str
    hash: str


Rows: TypeAlias = Callable[[Sequence[str]], str]
"""A relation of the rows of some runs, as SQL; it holds until the next question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One state of a store, while it is packed."""

    identity: Identity
    current: int | None
    secret: str | None
    """Of the hashes of who was forgotten; None: nobody ever was."""
    names: Names
    texts: Sequence[tuple[str, str, str]]
    """Hash, path, text."""
    runs: Sequence[RunRow]
    """In the order in which they began."""
    versions: Sequence[VersionRow]
    manual: Sequence[Entry]
    keys: Sequence[ApiKey]
    values_of: Mapping[str, str]
    """By run the one whose values are its own; nothing where they are not kept any more."""
    duck: duckdb.DuckDBPyConnection
    """That the relations lie on."""
    changes: Rows
    arrivals: Rows
    memory: Rows
    values: Callable[[str], str]
    """Of a run that `values_of` names."""
    salts: str

    def batches(self) -> Iterator[list[RunRow]]:
        """The runs that have rows, so many at a time as make a file of good size."""
        batch: list[RunRow] = []
        size = 0
        for run in self.runs:
            if run.has_rows:
                if batch and (size + run.files.leaves > MOST_ROWS or len(batch) == MOST_RUNS):
                    yield batch
                    batch, size = [], 0
                batch.append(run)
                size += run.files.leaves
        if batch:
            yield batch
