"""Data at the edges of rules: every literal that they name, its neighbours, what looks like it, and nothing at all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from unicodedata import normalize
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.differential.data import (
    CLOCK_CHANGES,
    MONTH_ENDS,
    TIMEZONES,
    Case,
    Column,
    Draw,
    EventsSource,
    Model,
    Remembered,
    Table,
)
from tests.differential.rules import column_list

LAST_MOMENT = time(23, 59, 59, 999999)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Literals:
    """What the rules of a case name: three different values of each kind, in order."""

    integer: Sequence[int]
    decimal: Sequence[Decimal]
    text: Sequence[str]
    date: Sequence[date]

    def members(self, kind: str) -> list[Any]:
        """The literals of a kind and their neighbours, in order."""
        return sorted({near for value in getattr(self, kind) for near in neighbours(value)})


def neighbours(value: Any) -> Iterable[Any]:
    match value:
        case int():
            return value - 1, value, value + 1, -value
        case Decimal():
            return value - Decimal("0.01"), value, value + Decimal("0.01"), -value, Decimal(int(value))
        case date():
            return value - timedelta(1), value, value + timedelta(1)
        case _:
            return (
                *(value, value.swapcase(), value.upper(), f"{value} ", f" {value}", f"{value}a", value[:-1], value[1:]),
                *(normalize("NFD", value), normalize("NFC", value), f"x{value}x"),
            )


def literals(draw: Draw, as_of: date) -> Literals:
    wholes = st.integers(-20, 20)
    return Literals(
        integer=sorted(draw(st.lists(wholes, min_size=3, max_size=3, unique=True))),
        decimal=sorted(Decimal(it) / 100 for it in draw(st.lists(wholes, min_size=3, max_size=3, unique=True))),
        text=sorted(draw(st.permutations(["paid", "Éa", "100%", "a_b", "上海", "it's", "ß", "𝒜b", "A", "z"]))[:3]),
        date=sorted(
            draw(
                st.lists(
                    st.one_of(st.integers(-400, 400).map(lambda n: as_of + timedelta(n)), st.sampled_from(MONTH_ENDS)),
                    min_size=3,
                    max_size=3,
                    unique=True,
                )
            )
        ),
    )


def as_ofs() -> st.SearchStrategy[date]:
    return st.sampled_from([date(2026, 3, 31), *MONTH_ENDS, *CLOCK_CHANGES, date(2026, 6, 15)])


def timezones() -> st.SearchStrategy[str]:
    return st.sampled_from(TIMEZONES[::-1])


def spread(rows: Sequence[Row], values: Mapping[str, Sequence[Any]], chance: Random) -> None:
    """Give each column all its values, about as often, in an order of its own."""
    for name, few in values.items():
        cells = [few[index % len(few)] for index in range(len(rows))]
        chance.shuffle(cells)
        for row, cell in zip(rows, cells, strict=True):
            row[name] = cell


# -- a model, as rules and as data ---------------------------------------------------------------------------

KEY = Column("customer_id", "integer")


def model(attributes: Mapping[str, str], *events: EventsSource) -> Model:
    columns = tuple(Column(name, type) for name, type in attributes.items())
    return Model(key=KEY, attributes=columns, distinct=False, events=events, since=None)


def declared(model: Model) -> list[str]:
    lines = [f"entity customer from customers key customer_id integer{column_list(model.attributes)}"]
    for events in model.events:
        key = f" key {events.key.name} integer" if events.key else ""
        zone = f' zone "{events.zone}"' if events.zone else ""
        lines.append(
            f"events {events.name} from {events.name}{key} for customer_id at {events.at.name}{zone}"
            f"{column_list(events.columns)}"
        )
    return lines


def case(
    rules: Iterable[str],
    of: Model,
    as_of: date,
    timezone: str,
    rows: Mapping[str, Sequence[Row]],
    remembered: Remembered | None = None,
) -> Case:
    tables = {"customers": Table((KEY, *of.attributes), rows["customers"])}
    for events in of.events:
        key = [events.key] if events.key else []
        tables[events.name] = Table((*key, KEY, events.at, *events.columns), rows[events.name])
    text = "\n".join([*declared(of), *rules]) + "\n"
    return Case(text, timezone, as_of, of, tables, remembered or Remembered())


# -- moments -------------------------------------------------------------------------------------------------


def at_edges(first: date, last: date) -> list[datetime]:
    """The last moment outside and the first one inside of some days, at either end."""
    return [
        datetime.combine(first - timedelta(1), LAST_MOMENT),
        datetime.combine(first, time()),
        datetime.combine(last, LAST_MOMENT),
        datetime.combine(last + timedelta(1), time()),
    ]


def as_lies(moment: datetime, timezone: str, events: EventsSource) -> datetime:
    """A local moment as the column of a source has it."""
    if events.at.zoned:
        return moment.replace(tzinfo=ZoneInfo(timezone)).astimezone(UTC)
    if events.zone:
        return moment.replace(tzinfo=ZoneInfo(timezone)).astimezone(ZoneInfo(events.zone)).replace(tzinfo=None)
    return moment
