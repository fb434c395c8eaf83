"""How the answers of a run lie in its two result tables.

`result_values` has one row per customer: `customer`, then one column per value that a published rule reads,
or that was asked for beside them.
`result_assignments` has one row per customer: `customer`, then `w0, w1, …` (BIGINT words of 60 tags each) and
`l0, l1, …` (SMALLINT, one per ladder: 0 for no value, else 1 + the index into its values), then what the next run
has to remember (see `memory`). Drafts are in neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ruleengine.planning.memory import Memory
from ruleengine.types import ColumnType, Type

TAGS_PER_WORD = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueColumn:
    """A value that rules read: a metric or an attribute."""

    column: str
    """Its identifier in `result_values`; no two differ only in case."""
    name: str
    """As rules name it: `monetary_90d`, `country`."""
    type: Type


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSlot:
    name: str
    word: int
    bit: int
    reads: tuple[str, ...]
    """The columns of `result_values` that the rule reads, those that fill its reason included."""
    rule_hash: str
    formerly: tuple[str, ...] = ()
    """Names that it had before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderSlot:
    name: str
    kind: Literal["tier", "class"]
    column: str
    values: tuple[str, ...]
    reads: tuple[str, ...]
    rule_hash: str
    formerly: Mapping[str, str] = field(default_factory=dict)
    """Values that were called something else before: the former name → the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    key_type: ColumnType
    """Of the customer's key: `integer` is BIGINT, everything else text."""
    values: tuple[ValueColumn, ...]
    tags: tuple[TagSlot, ...]
    ladders: tuple[LadderSlot, ...]
    memory: Memory = field(default_factory=Memory)

    @property
    def words(self) -> int:
        return 1 + self.tags[-1].word if self.tags else 0
