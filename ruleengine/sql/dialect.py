"""What engines say differently in SQL, and must mean the same by."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

from sqlglot import ErrorLevel, exp

End = Literal["first", "latest"]
Clock = Literal["local", "instant"]
"""How a source's times lie in its relation: as local wall times (TIMESTAMP), or as instants (TIMESTAMPTZ)."""
TextOperator = Literal["starts with", "ends with", "contains"]


class Order(NamedTuple):
    """What puts events in order by a time, and events of one time by a whole number; none is without either."""

    at: exp.Expression
    clock: Clock
    tie: exp.Expression


class Dialect(ABC):
    """The SQL of one engine. Trees that no method here makes mean the same on every engine."""

    name: ClassVar[str]
    """What sqlglot, which spells it, calls it."""
    prelude: ClassVar[tuple[str, ...]] = ()
    """Statements that come before all others on a connection."""
    counts_apart: ClassVar[bool]
    """Whether a query for each number of rows is faster than one pass that counts them all: where there is nothing to
    count, Parquet files mostly say so without being read."""

    sorts_for_ends: ClassVar[bool]
    """Whether `at_end` puts all rows in order."""

    filters: ClassVar[bool]
    """Whether FILTER is the faster way to leave rows out of an aggregate, and not CASE."""

    def sql(self, tree: exp.Expression, *, pretty: bool = False) -> str:
        return tree.sql(dialect=self.name, pretty=pretty, unsupported_level=ErrorLevel.RAISE)

    @abstractmethod
    def create(self, name: str, query: exp.Expression, kind: Literal["TABLE", "VIEW"]) -> exp.Expression:
        """Make a table or view of this connection alone."""

    @abstractmethod
    def create_missing(self, name: str, query: exp.Expression) -> exp.Expression:
        """Make a table of this connection alone, unless it has one of that name."""

    @abstractmethod
    def layer(self, query: exp.Select) -> exp.Select:
        """A query whose columns are computed once for a row, however often they are read by the one around it."""

    # -- text -------------------------------------------------------------------------------------------

    @abstractmethod
    def text(self, literal: exp.Expression) -> exp.Expression:
        """A literal text as a value, which may be put in order with others: by code point."""

    @abstractmethod
    def text_test(self, operator: TextOperator, operand: exp.Expression, text: exp.Expression) -> exp.Expression:
        """Whether a text starts with, ends with or contains another."""

    @abstractmethod
    def place(self, texts: Sequence[str], value: exp.Expression) -> exp.Expression:
        """Which of the texts a value is, from 1; missing if it is."""

    @abstractmethod
    def text_at(self, texts: Sequence[str], place: exp.Expression) -> exp.Expression:
        """The text at such a place; missing if that is."""

    @abstractmethod
    def hashed(self, text: exp.Expression) -> exp.Expression:
        """The first 8 hex digits of the SHA-256 of a text in UTF-8, as a whole number."""

    # -- numbers ----------------------------------------------------------------------------------------

    @abstractmethod
    def nearest_double(self, number: exp.Expression, scale: int) -> exp.Expression:
        """The nearest double of an exact number of any size."""

    @abstractmethod
    def whole_double(self, number: exp.Expression, scale: int) -> exp.Expression:
        """The nearest double of a decimal without its point: 12.50 is 1250."""

    @abstractmethod
    def rounded_double(self, number: exp.Expression, places: int) -> exp.Expression:
        """A double times 10^places, rounded half away from zero, over 10^places."""

    @abstractmethod
    def whole_quotient(self, dividend: exp.Expression, divisor: exp.Expression) -> exp.Expression:
        """A whole number over a positive one, rounded down; neither is negative."""

    # -- dates ------------------------------------------------------------------------------------------

    @abstractmethod
    def days_between(self, first: exp.Expression, last: exp.Expression) -> exp.Expression:
        """How many days later the last of two dates is."""

    @abstractmethod
    def date_part(self, part: Literal["month", "day"], date: exp.Expression) -> exp.Expression:
        """Month or day of the month of a date."""

    def zone(self, name: str) -> str:
        """What the engine calls a zone of the tz database."""
        return name

    # -- aggregates -------------------------------------------------------------------------------------

    @abstractmethod
    def lower_median(self, value: exp.Expression) -> exp.Expression:
        """The middle one of the values that are not missing; of an even number the smaller of the middle two."""

    @abstractmethod
    def middle(self, low: exp.Expression, high: exp.Expression, scale: int) -> exp.Expression:
        """The mean of two exact numbers, added up exactly, then divided as doubles; of the same one its double."""

    @abstractmethod
    def different(self, place: exp.Expression, condition: exp.Expression | None) -> exp.Expression:
        """How many different places below 63 the rows have that meet a condition; missing ones are none."""

    @abstractmethod
    def at_end(
        self, end: End, value: exp.Expression, condition: exp.Expression | None, order: Sequence[exp.Expression]
    ) -> exp.Expression:
        """The value, even if missing, of the first or the latest row that meets a condition.

        `order` decides, its first part most; the first part is never missing, and elsewhere a missing one comes before
        all others."""

    @abstractmethod
    def at_one_end(
        self, end: End, value: exp.Expression, type: str, condition: exp.Expression | None, order: Order
    ) -> exp.Expression:
        """The same by an order of numbers; of rows with both the same any one may be taken. The value has this type."""

    @abstractmethod
    def most_frequent(self, value: exp.Expression, times: exp.Expression) -> exp.Expression:
        """The value, never missing, with the most times; of several the smallest; missing where all have none."""

    @abstractmethod
    def of_latest(self, value: exp.Expression, day: exp.Expression) -> exp.Expression:
        """The value of the latest day."""
