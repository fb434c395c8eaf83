"""The checked ruleset: what everything after the checker works from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from ruleengine.checking.expressions import Expression
from ruleengine.source import Source, Span
from ruleengine.types import ColumnType, Type, Value

if TYPE_CHECKING:
    from ruleengine.checking.guards import Check

ParameterConstant = bool | int | Decimal | str | date


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    name: str
    type: ColumnType
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Whom the rules are about: one row per key."""

    name: str
    source: str
    """The source with one row per customer; for `from distinct`, the events source whose customers they are."""
    distinct: bool
    key: Column
    columns: tuple[Column, ...]  # without the key
    since: str | None
    """A date column: customers exist from that date on (and not at all where it is missing)."""
    where: Expression | None
    """Customers for whom this is TRUE exist; reads attributes, parameters and constants only."""
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """A source of events; `key`, `customer` and `at` can be read like the columns."""

    name: str
    source: str
    """What profiles bind to data; often called the same."""
    key: Column | None
    customer: Column
    """The `for` column; its type is that of the entity's key."""
    at: Column
    """The timestamp of the event; a rule reads it as its local date."""
    zone: str | None
    """Of naive timestamps; None: the ruleset's timezone."""
    columns: tuple[Column, ...]
    span: Span = field(compare=False, repr=False)

    def column(self, name: str) -> Column | None:
        for column in (*self.columns, *([self.key] if self.key else []), self.customer, self.at):
            if column.name == name:
                return column
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A `let`: what it is worth from which day on. Days ascend; the first step has none."""

    name: str
    type: Type
    is_list: bool
    steps: tuple[tuple[date | None, tuple[ParameterConstant, ...]], ...]
    span: Span = field(compare=False, repr=False)

    def on(self, day: date) -> tuple[ParameterConstant, ...]:
        """The values in force on a day: one, or those of the list."""
        values = self.steps[0][1]
        for start, later in self.steps[1:]:
            if start is not None and start <= day:
                values = later
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric instance: a declared metric, or one seen through a window. `expression` reads no later instance."""

    name: str
    """`monetary`, `monetary_90d`; without a suffix for its window `monetary during previous 90 days`; for an
    aggregate that a rule reads without a name, its canonical text: `count(visits) during last 7 days`."""
    declared: str | None
    """The declared metric; None for an aggregate without a name."""
    label: str | None
    expression: Expression
    span: Span = field(compare=False, repr=False)

    @property
    def type(self) -> Type:
        return self.expression.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """A reason with holes: texts around values, one text more than values."""

    texts: tuple[str, ...]
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time, in days or in months, which clamp to the month's end."""

    count: int
    unit: Literal["day", "month"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A budget: the best so many of those who would be given the tag; missing values last, then the lowest key."""

    count: int
    value: Expression
    lowest: bool
    """Whether the lowest values are the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """Given in Kleene's logic where not `unless` and not any tag that is `preferred`, and (`when`, or held and (before
    last match + `keep_for`, or not `until`)); what is None drops out."""

    name: str
    draft: bool
    when: Expression
    unless: Expression | None
    because: Because | None
    owner: str | None
    review_by: date | None
    hash: str
    """SHA-256 (hex) of the statement's canonical text."""
    span: Span = field(compare=False, repr=False)
    until: Expression | None = None
    keep_for: Duration | None = None
    if_unknown_keep: bool = False
    """Whether who holds the tag keeps it where it is unknown."""
    limit: Limit | None = None
    preferred: tuple[str, ...] = ()
    """Earlier members of `at most one of`, and manual ones: who has one of them is not given this one."""
    formerly: tuple[str, ...] = ()

    kind: Literal["tag"] = "tag"

    @property
    def remembers(self) -> bool:
        """Whether the answer depends on whether the customer had the tag."""
        return self.until is not None or self.keep_for is not None or self.if_unknown_keep


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualTag:
    """A tag that people set."""

    name: str
    formerly: tuple[str, ...]
    expires_after: Duration | None
    hash: str
    span: Span = field(compare=False, repr=False)

    kind: Literal["tag"] = "tag"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManualTier:
    """That people may set the level of a tier."""

    expires_after: Duration | None
    hash: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    value: str
    when: Expression
    span: Span = field(compare=False, repr=False)
    keep_while: Expression | None = None
    """Counts like `when` for who holds this level or a higher one."""
    formerly: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Review:
    """On which days a customer may fall: the first of each period, or the anniversary of an attribute."""

    every: Literal["month", "quarter", "year", "anniversary"]
    anniversary_of: str | None = None
    """A date or timestamp column; where it is missing, 1 January."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A tier (levels highest first) or a class (the first line that matches)."""

    name: str
    kind: Literal["tier", "class"]
    draft: bool
    levels: tuple[Level, ...]
    otherwise: str | None
    hash: str
    span: Span = field(compare=False, repr=False)
    hold: Duration | None = None
    grace: Duration | None = None
    fall: Literal["one level at a time", "never"] | None = None
    """None: to the level that is earned."""
    review: Review | None = None
    """None: every day."""
    manual: ManualTier | None = None

    @property
    def remembers(self) -> bool:
        """Whether the answer depends on the level that the customer had."""
        return self.kind == "tier" and (
            self.hold is not None
            or self.grace is not None
            or self.fall is not None
            or self.review is not None
            or any(level.keep_while is not None or level.when.nullable for level in self.levels)
        )

    @property
    def held_for(self) -> Duration:
        """How long a level that is reached lasts at least: a review on that day lets nobody fall a second time."""
        return self.hold or Duration(1, "day")

    @property
    def formerly(self) -> dict[str, str]:
        """Former names of levels → the level."""
        return {former: level.value for level in self.levels for former in level.formerly}

    @property
    def values(self) -> tuple[str, ...]:
        """Every value a customer can have, in the order written, `otherwise` last."""
        named = tuple(level.value for level in self.levels)
        return named if self.otherwise is None or self.otherwise in named else (*named, self.otherwise)


Rule = Tag | Ladder
"""Conditions of rules read metrics, attributes, parameters, constants and other rules, never an aggregate directly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What an example expects of a rule."""

    kind: Literal["tag", "tier", "class"]
    name: str
    wanted: Literal["given", "no", "unknown"]
    value: str | None
    """The level or value that is to be given."""
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Before:
    """What an example's customer had until the day before, and has by hand still."""

    value: str | None
    """The level or value; None of a tag."""
    since: date | None
    """The as-of from which, and of a tag the last on which its condition held; None: the day before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One customer made up for the rules, and what they have to answer. What is not given is missing, or no event."""

    name: str
    as_of: date | None
    """None: the answers are the same on every day."""
    attributes: Mapping[str, Value]
    events: Mapping[str, tuple[Mapping[str, Value], ...]]
    """By events source its rows; times are still that."""
    metrics: Mapping[str, Value]
    """By the name of the instance; they replace what would be computed."""
    parameters: Mapping[str, tuple[ParameterConstant, ...]]
    history: Mapping[tuple[str, str], "Before"]
    """By ("tag", name) or ("ladder", name) what the customer had before."""
    expectations: tuple[Expectation, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruleset:
    """A ruleset without errors. All mappings keep the order of files and lines, unless said otherwise."""

    name: str
    timezone: str
    entity: Entity
    events: Mapping[str, Events]
    parameters: Mapping[str, Parameter]
    metrics: Mapping[str, Metric]
    """All instances that anything reads, and all declared ones, each after those it reads."""
    tags: Mapping[str, Tag]
    manual_tags: Mapping[str, ManualTag]
    ladders: Mapping[str, Ladder]
    order: tuple[Rule, ...]
    """All tags and ladders, each after those it refers to."""
    sources: tuple[Source, ...]
    """The rule files, and those that they use."""
    uses: Mapping[str, Span]
    """By the name of a file that is not the ruleset's own, the `use` that brings it in."""
    hash: str
    """See `ruleset_hash`."""
    checks: "tuple[Check, ...]" = ()
    """What the data, and what would be published, must meet."""
    examples: tuple[Example, ...] = ()

    @property
    def bound(self) -> tuple[str, ...]:
        """The sources that a profile has to bind to data."""
        entity = () if self.entity.distinct else (self.entity.source,)
        return tuple(dict.fromkeys((*entity, *(events.source for events in self.events.values()))))

    def attribute(self, name: str) -> Column | None:
        for column in (self.entity.key, *self.entity.columns):
            if column.name == name:
                return column
        return None


def ruleset_hash(name: str, timezone: str, texts: Mapping[str, str]) -> str:
    """SHA-256 (hex) of a ruleset's name and timezone, and of the name and text of each rule file in the order of names:
    each preceded by its length in bytes (UTF-8), as eight bytes, the highest first."""
    digest = sha256()
    for part in (name, timezone, *(part for file in sorted(texts.items()) for part in file)):
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()
