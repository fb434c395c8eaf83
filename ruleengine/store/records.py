"""What a store keeps and hands out, as plain values."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from ruleengine.settings import Scope
from ruleengine.types import Value

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
Key = int | str
"""A customer's key: an int in a store whose key type is `integer`, text in every other."""
Kind = Literal["tag", "tier", "class"]

Amount = int | Decimal | float

GIVEN = "given"
"""The value of a tag in `old` and `new` of a change; a customer without it has none."""


class VersionKind(StrEnum):
    RUN = "run"
    MANUAL = "manual"
    ROLLBACK = "rollback"
    FORGET = "forget"
    """The answers of its base, without customers of whom nothing is kept any more."""


EDITS = (VersionKind.MANUAL, VersionKind.FORGET)
"""Kinds that compute nothing: they take over what rules read from their base."""


class RunState(StrEnum):
    RUNNING = "running"
    HELD = "held"
    PUBLISHED = "published"
    UNCHANGED = "unchanged"
    """The same rules, parameters, as-of and data as the current version: no new version was made."""
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose answers a store keeps. One store holds one ruleset, entity and key type."""

    ruleset: str
    entity: str
    key_type: str
    """As declared: `integer`, `text`, `decimal(18,4)`."""

    @property
    def has_integer_keys(self) -> bool:
        return self.key_type == "integer"

    @property
    def key_sql(self) -> str:
        """DuckDB's type of the keys."""
        return "BIGINT" if self.has_integer_keys else "VARCHAR"

    def stored(self, key: Key) -> Key | None:
        """A key as it is stored; None for what no customer of this store can have."""
        if not self.has_integer_keys:
            return str(key)
        try:
            number = int(key)
        except ValueError:
            return None
        return number if -(2**63) <= number < 2**63 and str(number) == str(key) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What a run computes from; a second run of the same makes no new version."""

    as_of: date
    ruleset_hash: str
    """Of its name, `timezone` and `texts`: see `checking.ruleset.ruleset_hash`."""
    timezone: str | None
    """None of versions whose format did not keep it."""
    texts: Mapping[str, str]
    """The rule files by path; kept under the ruleset's hash."""
    parameters: Mapping[str, Json]
    """Values in force, as JSON: exact non-integers and dates as text."""
    fingerprint: str | None
    """Of the data that was read; None where it is not known, so that no two runs are the same."""
    engine: str
    git_commit: str | None = None
    git_author: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many customers a version knows, and how many hold each tag, level and value."""

    customers: int
    tags: Mapping[str, int]
    tiers: Mapping[str, Mapping[str, int]]
    classes: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """How a version differs from what it is compared with."""

    rows: int
    """Changes in all."""
    customers: int
    """With a change."""
    arrived: int
    vanished: int
    """Customers known before and not any more; they lose everything."""
    added: Mapping[str, int]
    """Customers given each tag; tags without any are left out."""
    removed: Mapping[str, int]
    tiers: Mapping[str, int]
    """Customers whose level changed, by tier."""
    classes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One attempt to make a version."""

    id: str
    kind: VersionKind
    state: RunState
    actor: str
    started_at: datetime
    finished_at: datetime | None
    header: RunHeader
    """Without texts; ask `ruleset_texts`."""
    base: int | None
    """The version it was compared with; None before it is staged and where there is none."""
    detached: bool
    counts: Counts | None
    movement: Movement | None
    report: Json
    version: int | None
    """The version it made, or the current one that it is the same as."""
    reasons: tuple[str, ...]
    """Why it was held, or why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The header of a version: immutable. Whether it is current or in the line is asked of the store."""

    number: int
    kind: VersionKind
    base: int | None
    """The version before it in its line; of a rollback, the one whose answers it brought back."""
    detached: bool
    """For a day before the then current one: never current, never in the line."""
    replaces: int | None
    """The version that was current before; None of the first one and where it is detached."""
    run: str
    begun_by: str | None
    """Who began that run; `actor` published it. None, as the time zone and what follows, where the format of its time
    did not seal it."""
    begun_at: datetime | None
    held: tuple[str, ...]
    """Why the run was held, where somebody published it all the same."""
    as_of: date
    ruleset_hash: str
    timezone: str | None
    parameters: Mapping[str, Json]
    fingerprint: str | None
    engine: str
    git_commit: str | None
    git_author: str | None
    counts: Counts
    movement: Movement
    """Against the version it replaces; where it is detached, against its base."""
    report: Json
    actor: str
    reason: str | None
    created_at: datetime
    previous_hash: str | None
    root: str
    """Merkle root of the leaves of its changes."""
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Customers known on both sides whose value of a ladder went from `old` to `new`."""

    kind: Literal["tier", "class"]
    name: str
    old: str | None
    new: str | None
    customers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A staged run: its files lie in the store, and nobody sees them yet."""

    run: Run
    base: Version | None
    detached: bool
    counts: Counts
    movement: Movement
    moves: tuple[Move, ...]
    before: int
    """Customers of the base, for the share that vanished."""
    stayed: int
    """Customers known on both sides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One customer's change of one tag, tier or class. `old` and `new` of a tag are GIVEN or None."""

    customer: Key
    kind: Kind
    name: str
    old: str | None
    new: str | None
    since: date | None
    """From when `new` counts; None where nothing is held any more."""
    rule_hash: str | None
    """Of the rule that decided; None where none did: a rollback, a rule or a customer that is gone."""
    evidence: Mapping[str, Json] | None
    """What the rule read; exact non-integers and whole numbers beyond 2^53 as text, dates as ISO text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a version remembers of one customer's tag or tier beside what it publishes: see `planning.memory`.

    Of a tag `matched`; of a tier the other three, the level being the one that was computed."""

    kind: Literal["tag", "tier"]
    name: str
    matched: date | None = None
    level: str | None = None
    reached: date | None = None
    below: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualWrite:
    """A tag or level that somebody sets, or takes away again, and all that follows from it for the customer."""

    customer: Key
    kind: Literal["tag", "tier"]
    name: str
    value: str | None
    """GIVEN, or the level; None takes away what was set."""
    expires_on: date | None
    """The first day on which it does not count any more; None: it stays."""
    changes: tuple[Change, ...]
    """All of them, the tag or level itself among them."""
    memory: tuple[Remembered, ...]
    """What is remembered of the customer from now on."""
    report: Mapping[str, Json]
    """Stays with the version, which adds what was set."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is set by hand for a customer."""

    kind: Literal["tag", "tier"]
    name: str
    """As it was called when it was set."""
    value: str
    """GIVEN, or the level."""
    as_of: date
    """Counts for runs of this day and later ones."""
    expires_on: date | None
    version: int
    """That set it."""
    actor: str
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A change and the version that made it."""

    version: int
    version_kind: VersionKind
    as_of: date
    in_line: bool
    """Whether the version leads to the current one. Others were rolled back, or detached."""
    created_at: datetime
    actor: str
    change: Change

    @classmethod
    def of(cls, change: Change, made: Version, line: Container[int]) -> "HistoryEntry":
        """`line`: the versions that lead to the current one."""
        return cls(
            version=made.number,
            version_kind=made.kind,
            as_of=made.as_of,
            in_line=made.number in line,
            created_at=made.created_at,
            actor=made.actor,
            change=change,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key by which an application asks the API."""

    id: str
    digest: str
    """SHA-256 of its secret, which nobody keeps."""
    name: str
    scopes: tuple[Scope, ...]
    actor: str
    created_at: datetime
    expires_on: date | None
    """The first day on which it does not count any more."""
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A customer in one version. `document` is UTF-8 JSON: {"tags": [{"name", "since"}], "tiers": {name: {"level",
    "since"}}, "classes": {name: {"value", "since"}}}; None: the version does not know the customer."""

    version: int
    document: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Many customers in one version, in the order they were asked for."""

    version: int
    documents: tuple[tuple[Key, bytes | None], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Customers of one tag, level or value in one version, in key order."""

    version: int
    customers: tuple[Key, ...]
    next: Key | None
    """Ask for what comes after this key; None: that was the last page."""

    @classmethod
    def of(cls, version: int, customers: Sequence[Key], limit: int) -> "Page":
        """The first customers; where there are more than the limit, it is not the last page."""
        more = len(customers) > limit
        return cls(version=version, customers=tuple(customers[:limit]), next=customers[limit - 1] if more else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRow:
    customer: Key
    kind: Kind
    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Customers whose tag, level or value goes from `old` to `new`. Those of a tag are GIVEN or None."""

    kind: Kind
    name: str
    old: str | None
    new: str | None
    customers: int
    stayed: int
    """Those of them who are known on both sides."""
    amount: Amount | None = None
    """What was asked to be summed up, by the new values; None where nothing was, or nobody has any."""
    samples: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """How version `b` differs from version `a`."""

    a: int
    b: int
    movement: Movement
    shifts: tuple[Shift, ...]
    rows: Iterator[DiffRow]
    """Sorted by customer, kind, name; read once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What staging would find, without writing anything."""

    base: Version | None
    counts: Counts
    movement: Movement
    moves: tuple[Move, ...]
    before: int
    stayed: int
    shifts: tuple[Shift, ...]
    total: Amount | None
    """What was asked to be summed up, of everybody."""
    values: Mapping[Key, "StoredValues"]
    """Of the samples, as far as they are still there: what rules read."""


StoredValues = Mapping[str, Value]
"""A customer's values by name, typed as rules saw them."""
