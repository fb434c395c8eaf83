"""What every store can do: `embedded` in a folder, `postgres.store` in a database.

Reading never waits for writing. Every answer comes from one version, whole. Refusals are ProblemErrors (see
`refusals`).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import duckdb

from ruleengine.diagnostics.problem import Problem
from ruleengine.engines.forgotten import Forgotten
from ruleengine.planning.layout import Layout
from ruleengine.planning.memory import Memory
from ruleengine.schema import Profile
from ruleengine.store.auditing import Audit
from ruleengine.store.book import Book
from ruleengine.store.content import Content
from ruleengine.store.previewing import Asked
from ruleengine.store.records import (
    Answer,
    Answers,
    ApiKey,
    Change,
    Delta,
    Diff,
    HistoryEntry,
    Identity,
    Json,
    Key,
    Kind,
    ManualWrite,
    Page,
    Preview,
    Run,
    RunHeader,
    Setting,
    StoredValues,
    Version,
)

if TYPE_CHECKING:
    import psycopg

Tables: TypeAlias = "duckdb.DuckDBPyConnection | psycopg.Connection[tuple[object, ...]]"
"""A connection that result tables lie on. One of Postgres' is in a transaction, in the database of the store."""


class Store(Protocol):
    @property
    def is_near(self) -> bool:
        """Whether what is served comes in microseconds, and waits for no network."""
        ...

    def inside(self, profile: Profile) -> bool:
        """Whether what a profile's engine computes need not leave it: `recall`, `preview` and `stage` take the
        engine's own connection."""
        ...

    @property
    def directories(self) -> tuple[Path, ...]:
        """Folders that the connection given to `stage` and `preview` must be allowed to read and write."""
        ...

    def identity(self) -> Identity | None:
        """None: nothing was ever written here."""
        ...

    def current(self) -> Version | None: ...

    def version(self, number: int) -> Version: ...

    def versions(self) -> tuple[Version, ...]:
        """All, oldest first."""
        ...

    def line(self) -> tuple[int, ...]:
        """The numbers of the versions that lead to the current one, the current one first."""
        ...

    def in_force(self, day: date) -> Version | None:
        """The version of the line that held on a day: the later of two with the same as-of."""
        ...

    def run(self, run_id: str) -> Run: ...

    def runs(self, limit: int = 100) -> tuple[Run, ...]:
        """The latest first."""
        ...

    def customer(self, key: Key, version: int | None = None) -> Answer:
        """A customer in the current version, or in any other; old versions answer more slowly."""
        ...

    def customers(self, keys: Sequence[Key], version: int | None = None) -> Answers:
        """As `customer`, for many; other versions than the current one only while they are kept."""
        ...

    def members(
        self,
        kind: Kind,
        name: str,
        value: str | None = None,
        *,
        version: int | None = None,
        after: Key | None = None,
        limit: int = 100,
    ) -> Page:
        """Who holds a tag (no value), a level or a class's value. Old versions are kept for an hour."""
        ...

    def history(self, key: Key) -> tuple[HistoryEntry, ...]:
        """Every change of a customer, in every version, oldest first."""
        ...

    def changes(self, version: int, start: int = 0, limit: int = 1000) -> tuple[Change | None, ...]:
        """What a version changed for readers, from a place on, in an order that stays: by customer and kind. None
        stands where a change of a customer was who has been forgotten."""
        ...

    def values(self, key: Key, version: int | None = None) -> StoredValues | None:
        """What rules read of a customer; None: no longer kept for that version, or no such customer."""
        ...

    def export(self, path: Path, *, version: int | None = None, run: str | None = None) -> int:
        """Write a version's assignments (default: the current one's), or those of a held run, to a .parquet, .csv or
        .jsonl file: `customer_id, kind, name, value, since, version`, sorted. Whole or not at all, byte for byte the
        same each time. Answers the number of rows."""
        ...

    def diff(self, a: int, b: int) -> Diff: ...

    def ruleset_texts(self, ruleset_hash: str) -> Mapping[str, str] | None:
        """The rule files of a run's ruleset, by path."""
        ...

    def preview(self, connection: Tables, layout: Layout, as_of: date, asked: Asked) -> Preview:
        """Compare the result tables with what is published, and write nothing."""
        ...

    def manual(self, key: Key, version: int | None = None) -> tuple[Setting, ...]:
        """What is set by hand for a customer, as a version found it; by kind and name."""
        ...

    def recall(self, connection: Tables, memory: Memory, as_of: date, customer: Key | None = None) -> Version | None:
        """Make the temporary tables `remembered` and `remembered_names` that a plan asks for (see `planning.memory`),
        of all customers or of one, and answer the previous version: the last one of the line with an earlier as-of.

        `remembered` has who has anything to remember; a BOOLEAN there is TRUE or NULL. Its `customer` is BIGINT for
        integer keys, otherwise VARCHAR."""
        ...

    def audit(self) -> Audit:
        """Recompute the chain of versions from every row that is kept; what is wrong is in the answer. Raises where the
        store as such cannot be read."""
        ...

    def forgotten(self) -> Forgotten:
        """Everybody who was forgotten here."""
        ...

    def erasing(self) -> bool:
        """Whether remnants of somebody who was forgotten may still lie in the store, for the next writer to take
        away: nothing tells of them, but a reader who began before may still look at them."""
        ...

    def keys(self) -> tuple[ApiKey, ...]:
        """All that were ever given, oldest first. Neither this nor what follows waits for a run."""
        ...

    def key(self, digest: str) -> ApiKey | None:
        """The key of a digest, also if it does not count any more."""
        ...

    def keys_stamp(self) -> object:
        """Another one as soon as a key was given or taken away; None where it takes as long to tell as to look."""
        ...

    def add_key(self, key: ApiKey) -> None: ...

    def revoke_key(self, key_id: str, moment: datetime) -> ApiKey:
        """The key as it is then; one that was revoked before stays as it is. NotThereError of an unknown one."""
        ...

    @property
    def book(self) -> Book:
        """Small tables beside what is published: see `store.jobs` and `store.replies`."""
        ...

    def refuse_busy(self) -> None:
        """Raise StoreLockedError where somebody writes; who begins to write meanwhile is not held up."""
        ...

    def writer(self, actor: str, identity: Identity) -> AbstractContextManager["Writer"]:
        """The one writer. Creates the store; raises StoreLockedError at once where another one is at work.

        A run that was begun and neither published nor held when the block ends is recorded as failed."""
        ...

    def packed(self, actor: str) -> AbstractContextManager[Content]:
        """All that is kept, while nobody else writes; NotThereError where nothing is. Nothing is changed."""
        ...

    def unpack(self, content: Content, actor: str) -> None:
        """Fill this store with what another keeps, whole or not at all; RefusedError where it is not empty."""
        ...

    def damage(self) -> tuple[Problem, ...]:
        """Files that are not as they were written, or gone. Reads all of them."""
        ...

    def close(self) -> None: ...


class Writer(Protocol):
    def same_as_current(self, header: RunHeader) -> Version | None:
        """The current version, if a run of this would only repeat it. Ask before computing anything."""
        ...

    def begin(self, header: RunHeader, run_id: str | None = None) -> Run:
        """A run; of the id of a job that it is of, if it is."""
        ...

    def stage(self, run: Run, connection: Tables, layout: Layout) -> Delta:
        """Compare `result_values` and `result_assignments` with what is published, and write the run beside it. A
        transaction of Postgres' ends with it."""
        ...

    def publish(self, delta: Delta, *, report: Json = None, reason: str | None = None) -> Version:
        """Make the staged run a version, all at once. Answers the current version where the run only repeats it."""
        ...

    def hold(self, delta: Delta, reasons: Sequence[str], *, report: Json = None) -> Run:
        """Keep the staged run; readers stay on the current version."""
        ...

    def fail(self, run: Run, reason: str, *, cancelled: bool = False) -> Run:
        """Nothing of a run that is published, or held, is taken back."""
        ...

    def publish_held(self, run_id: str, reason: str) -> Version:
        """Publish a held run, while the version it was compared with still holds."""
        ...

    def rollback(self, number: int, reason: str) -> Version:
        """Publish a new version with the answers of an earlier one. What is set by hand stays as it is now."""
        ...

    def set_manual(self, write: ManualWrite) -> Version:
        """Set a tag or a level by hand, or take it away, as a version of its own: with the current one's as-of, and
        with no fingerprint, so that the next run is never taken for its repetition."""
        ...

    def forget(self, customers: Sequence[Key], reason: str) -> Version:
        """Keep nothing of these customers, in no version, and leave them out of every run to come: a version of its
        own, with the answers of the current one without them. Runs that are held are discarded.

        NotThereError of a customer of whom there is nothing; RefusedError of one who was forgotten before, or where
        the reason names one."""
        ...
