"""What a run asks of the versions before it, and what it leaves for the next.

A run for a day looks back at the version of the line that was in force on the day before: the *previous* version. So a
second run for a day takes the place of the first instead of building on it. What is asked for lies in the relation
`remembered`: `customer`, and the columns named below, which are NULL where there is nothing to remember; a customer
without a row has nothing. `remembered_names` is one row, with a BOOLEAN column for each `Past`.

What is left for the next run stands in `result_assignments`, in columns that are called like those asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

from ruleengine.types import BOOLEAN, DATE, TEXT, Type


@dataclass(frozen=True, slots=True, kw_only=True)
class TagMemory:
    """A tag whose answer depends on whether the customer had it."""

    tag: str
    formerly: tuple[str, ...]
    held: str
    """BOOLEAN: the previous version gave the tag, under this name or a former one."""
    matched: str
    """DATE: the as-of of the last published version in which the tag was given and its condition held; of a holder
    only. A run leaves it in `result_assignments` for who is given the tag though the condition does not hold, and
    NULL for everybody else: who matches, matched in that version."""

    @property
    def columns(self) -> Iterator[tuple[str, Type]]:
        yield self.held, BOOLEAN
        yield self.matched, DATE

    @property
    def labels(self) -> tuple[str, str]:
        """What its columns are called among the values that rules read."""
        return f'tag "{self.tag}" before', f'tag "{self.tag}" last matched'


@dataclass(frozen=True, slots=True, kw_only=True)
class TierMemory:
    """Where a customer stands on a tier, a level set by hand left aside."""

    tier: str
    level: str
    """TEXT: the level in the previous version, as that one called it."""
    reached: str
    """DATE: the as-of at which it was reached."""
    below: str
    """DATE: the as-of from which less has been earned; NULL while the level is earned."""

    @property
    def columns(self) -> Iterator[tuple[str, Type]]:
        yield self.level, TEXT
        yield self.reached, DATE
        yield self.below, DATE

    @property
    def labels(self) -> tuple[str, str, str]:
        return f"tier {self.tier} before", f"tier {self.tier} reached", f"tier {self.tier} below since"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualMemory:
    """A tag, or the level of a tier, that people set: as it stands on the run's day, and not expired by then."""

    kind: Literal["tag", "tier"]
    name: str
    formerly: tuple[str, ...]
    """Of a tag: names under which it may have been set."""
    column: str
    """Of a tag BOOLEAN; of a tier TEXT, the level."""

    @property
    def columns(self) -> Iterator[tuple[str, Type]]:
        yield self.column, BOOLEAN if self.kind == "tag" else TEXT

    @property
    def labels(self) -> tuple[str]:
        return (f'tag "{self.name}" by hand' if self.kind == "tag" else f"tier {self.name} by hand",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """`had tag "A" within 90 days`, `tier loyalty was "Gold"`: whether published history says so."""

    text: str
    """As the language writes it."""
    column: str
    """BOOLEAN in `remembered`: TRUE for customers of whom it is so. In `remembered_names`: whether any version that
    was in force on one of the days declared the name; else it is not known of anybody."""
    kind: Literal["tag", "tier", "class"]
    names: tuple[str, ...]
    """Its name, and former ones."""
    values: tuple[str, ...]
    """Of a tier or class: the values that count, former names of levels among them."""
    first: date | None
    """The days from here to the one before the run count; None: from ever."""

    @property
    def columns(self) -> Iterator[tuple[str, Type]]:
        yield self.column, BOOLEAN

    @property
    def labels(self) -> tuple[str]:
        return (self.text,)


Recollection = TagMemory | TierMemory | ManualMemory | Past


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that a plan asks for."""

    tags: tuple[TagMemory, ...] = ()
    tiers: tuple[TierMemory, ...] = ()
    manual: tuple[ManualMemory, ...] = ()
    past: tuple[Past, ...] = ()

    @property
    def columns(self) -> tuple[tuple[str, Type], ...]:
        """The columns of `remembered`, `customer` aside."""
        return tuple(column for part in self.parts for column in part.columns)

    @property
    def parts(self) -> tuple[Recollection, ...]:
        return (*self.tags, *self.tiers, *self.manual, *self.past)
