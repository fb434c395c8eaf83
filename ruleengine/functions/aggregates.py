"""Aggregates over the events of one customer: one declaration each."""

from dataclasses import dataclass
from enum import StrEnum


class Argument(StrEnum):
    """What an aggregate takes."""

    EVENTS = "events"  # count(orders)
    NUMBER = "number"
    EXACT = "exact number"  # not a quotient or average, whose sum would depend on the order
    ORDERED = "number, date or text"
    ANY = "column"


class Result(StrEnum):
    COUNT = "count"
    SUM = "sum"  # the argument's scale, up to 37 digits
    DOUBLE = "double"
    SAME = "same"  # the argument's type
    DATE = "date"
    DAYS = "days"


class Aggregation(StrEnum):
    """The aggregates, by what they compute. `first` and `latest` are two each: a date, or a column of that event."""

    COUNT = "count"
    COUNT_VALUES = "count values"
    COUNT_DISTINCT = "count distinct"
    SUM = "sum"
    AVERAGE = "average"
    MIN = "min"
    MAX = "max"
    MEDIAN = "median"
    FIRST_DAY = "first day"
    LATEST_DAY = "latest day"
    FIRST_VALUE = "first value"
    LATEST_VALUE = "latest value"
    MOST_FREQUENT = "most frequent"
    ACTIVE_DAYS = "active days"
    AVERAGE_GAP = "average gap"
    LATEST_GAP = "latest gap"
    LONGEST_GAP = "longest gap"


@dataclass(frozen=True, slots=True)
class AggregateFunction:
    """How a rule calls an aggregate, and what it means."""

    name: str
    argument: Argument
    result: Result
    computes: Aggregation
    meaning: str
    distinct: bool = False

    @property
    def of_nothing_is_zero(self) -> bool:
        """Sums and counts of no events are 0; everything else of nothing is missing."""
        return self.result in (Result.COUNT, Result.SUM)


AGGREGATES = (
    AggregateFunction("count", Argument.EVENTS, Result.COUNT, Aggregation.COUNT, "How many events."),
    AggregateFunction(
        "count", Argument.ANY, Result.COUNT, Aggregation.COUNT_VALUES, "How many events have a value there."
    ),
    AggregateFunction(
        "count",
        Argument.ANY,
        Result.COUNT,
        Aggregation.COUNT_DISTINCT,
        "How many different values occur.",
        distinct=True,
    ),
    AggregateFunction("sum", Argument.EXACT, Result.SUM, Aggregation.SUM, "The sum, 0 of nothing."),
    AggregateFunction("average", Argument.EXACT, Result.DOUBLE, Aggregation.AVERAGE, "The sum divided by the count."),
    AggregateFunction("min", Argument.ORDERED, Result.SAME, Aggregation.MIN, "The smallest value."),
    AggregateFunction("max", Argument.ORDERED, Result.SAME, Aggregation.MAX, "The largest value."),
    AggregateFunction(
        "median",
        Argument.NUMBER,
        Result.DOUBLE,
        Aggregation.MEDIAN,
        "The middle value; of an even number of values the mean of the middle two.",
    ),
    AggregateFunction("first", Argument.EVENTS, Result.DATE, Aggregation.FIRST_DAY, "The day of the first event."),
    AggregateFunction("latest", Argument.EVENTS, Result.DATE, Aggregation.LATEST_DAY, "The day of the latest event."),
    AggregateFunction(
        "first",
        Argument.ANY,
        Result.SAME,
        Aggregation.FIRST_VALUE,
        "The value at the first event, even if missing there (order: time, event key, value).",
    ),
    AggregateFunction(
        "latest",
        Argument.ANY,
        Result.SAME,
        Aggregation.LATEST_VALUE,
        "The value at the latest event, even if missing there (order: time, event key, value).",
    ),
    AggregateFunction(
        "most_frequent",
        Argument.ANY,
        Result.SAME,
        Aggregation.MOST_FREQUENT,
        "The value that occurs most often; of several the smallest.",
    ),
    AggregateFunction(
        "active_days", Argument.EVENTS, Result.COUNT, Aggregation.ACTIVE_DAYS, "On how many different days."
    ),
    AggregateFunction(
        "average_gap_days",
        Argument.EVENTS,
        Result.DOUBLE,
        Aggregation.AVERAGE_GAP,
        "Average number of days between neighbouring active days.",
    ),
    AggregateFunction(
        "latest_gap_days",
        Argument.EVENTS,
        Result.DAYS,
        Aggregation.LATEST_GAP,
        "Days between the last two active days.",
    ),
    AggregateFunction(
        "longest_gap_days",
        Argument.EVENTS,
        Result.DAYS,
        Aggregation.LONGEST_GAP,
        "Days of the longest pause between neighbouring active days.",
    ),
)

AGGREGATE_NAMES = frozenset(function.name for function in AGGREGATES)


def aggregate(name: str, *, of_events: bool, distinct: bool) -> AggregateFunction | None:
    """The aggregate that a call means; None where the name does not take such an argument."""
    for function in AGGREGATES:
        if (
            function.name == name
            and function.distinct == distinct
            and (function.argument is Argument.EVENTS) == of_events
        ):
            return function
    return None
