"""Made-up sources with all that makes engines disagree, and the customers that a ruleset sees in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from hypothesis import strategies as st

from ruleengine.interpreter import Cell, Facts
from ruleengine.interpreter.arithmetic import scaled
from ruleengine.types import Value

Kind = Literal["text", "boolean", "date", "exact", "double"]

Draw = st.DrawFn

WORDS = (
    *(
        "paid",
        "Paid",
        "PAID",
        "",
        " ",
        "a",
        "A",
        "b",
        "10",
        "9",
        "100%",
        "a_b",
        "a\\b",
        "[a]",
        'say "a"',
        "it's",
    ),
    *("é", "e\u0301", "ß", "ss", "İ", "i", "上海", "上", "\uffee", "𝒜", "😀", "z"),
)
"""Case pairs, wildcards, composed and decomposed letters, and code points whose order UTF-16 turns round."""

TIMEZONES = (
    *("UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"),
    *("America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"),
)
CLOCK_CHANGES = (
    *(date(2026, 3, 29), date(2026, 10, 25), date(2026, 3, 8), date(2026, 11, 1), date(2026, 4, 5)),
    *(date(2018, 11, 4), date(2018, 2, 18), date(2011, 12, 30)),
)
MONTH_ENDS = (date(2024, 2, 29), date(2023, 2, 28), date(2026, 3, 31), date(2025, 12, 31), date(2026, 1, 1))
TIMES = (
    *(time(), time(12), time(23, 59, 59, 999999), time(2, 30), time(1, 30), time(0, 30), time(0, 0, 0, 1)),
    *(
        time(3),
        time(16),
        time(15, 59, 59, 999999),
        time(22),
        time(23),
        time(4),
        time(5),
        time(18, 15),
        time(1, 45),
    ),
)
DISTANCES = (
    0,
    -1,
    1,
    -6,
    -7,
    -8,
    -13,
    -14,
    -27,
    -28,
    -29,
    -30,
    -31,
    -60,
    -89,
    -90,
    -91,
    -180,
    -365,
    -366,
    -730,
)
"""Days from the run's date at which windows begin and end."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is declared, and as its table has it."""

    name: str
    type: str  # as a rule file writes it
    zoned: bool = False
    """A timestamp with time zone."""

    @property
    def kind(self) -> Kind:
        """What an expression makes of it."""
        kinds: dict[str, Kind] = {"text": "text", "boolean": "boolean", "date": "date", "timestamp": "date"}
        return kinds.get(self.type, "exact")

    @property
    def size(self) -> tuple[int, int]:
        """Digits, and those of them behind the point."""
        if self.type.startswith("decimal("):
            digits, scale = self.type[8:-1].split(",")
            return int(digits), int(scale)
        return (18, 4) if self.type == "decimal" else (18, 0)

    @property
    def duckdb_type(self) -> str:
        match self.type:
            case "text":
                return "VARCHAR"
            case "integer":
                return "BIGINT"
            case "boolean" | "date":
                return self.type.upper()
            case "timestamp":
                return "TIMESTAMPTZ" if self.zoned else "TIMESTAMP"
            case _:
                return "DECIMAL({}, {})".format(*self.size)

    @property
    def postgres_type(self) -> str:
        return 'text COLLATE pg_catalog."default"' if self.type == "text" else self.duckdb_type


@dataclass(frozen=True, slots=True)
class Table:
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Cell]]


@dataclass(frozen=True, slots=True)
class EventsSource:
    name: str
    key: Column | None
    customer: str
    at: Column
    zone: str | None
    columns: tuple[Column, ...]

    @property
    def readable(self) -> tuple[Column, ...]:
        return (*self.columns, *([self.key] if self.key else []), Column(self.at.name, "timestamp"))


@dataclass(frozen=True, slots=True)
class Model:
    """What the data is: the entity and its events."""

    key: Column
    attributes: tuple[Column, ...]
    distinct: bool
    events: tuple[EventsSource, ...]
    since: str | None


@dataclass(frozen=True, slots=True)
class Remembered:
    customers: Mapping[Any, Mapping[str, Value]] = field(default_factory=dict)
    """By customer and by the labels of `planning.memory`; who has nothing is not in it."""
    known: Mapping[str, bool] = field(default_factory=dict)
    """By what rules ask of the past: whether its name was published then."""

    def of(self, customer: Any) -> dict[str, Value]:
        """All labels of a customer, as a run keeps them among its values."""
        return {
            **{asked: False if known else None for asked, known in self.known.items()},
            **self.customers.get(customer, {}),
        }


@dataclass(frozen=True, slots=True)
class Case:
    """A ruleset and data to run it on."""

    rules: str
    timezone: str
    as_of: date
    model: Model
    tables: Mapping[str, Table]
    """By source: the customers and each events source."""
    remembered: Remembered = field(default_factory=Remembered)

    def customers(self) -> dict[Any, Facts]:
        """Everyone the entity could hold, and what is known of him."""
        key = self.model.key.name
        if self.model.distinct:
            source = self.model.events[0]
            keys = {row[source.customer] for row in self.tables[source.name].rows} - {None}
            attributes: dict[Any, Mapping[str, Cell]] = {each: {key: each} for each in keys}
        else:
            attributes = {row[key]: row for row in self.tables["customers"].rows}
        return {
            each: Facts(
                attributes=row,
                events={
                    source.name: [event for event in self.tables[source.name].rows if event[source.customer] == each]
                    for source in self.model.events
                },
            )
            for each, row in attributes.items()
        }

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How Hypothesis shows a case that fails."""
        tables = "".join(
            f"\n{name}: {[f'{column.name} {column.duckdb_type}' for column in table.columns]}"
            + "".join(f"\n  {dict(row)}" for row in table.rows)
            for name, table in self.tables.items()
        )
        memory = "".join(f"\n  {key!r}: {self.remembered.of(key)}" for key in self.remembered.customers)
        printer.text(
            f"\nas of {self.as_of} in {self.timezone}\n{self.rules}{tables}"
            f"\nremembered: {dict(self.remembered.known)}{memory}\n"
        )


# -- values -------------------------------------------------------------------------------------------------


def decimals(digits: int, scale: int) -> st.SearchStrategy[Any]:
    """Numbers of a column: small and round ones, negative ones, now and then the largest."""
    one = 10**scale
    most = 10**digits - 1
    plain = [
        0,
        one,
        5 * one,
        10 * one,
        -one,
        2 * one,
        100 * one,
        one // 2,
        1,
        99 * one + 1,
        -250 * one,
        3 * one // 2,
    ]
    fitting = [number for number in plain if abs(number) <= most]
    whole = st.one_of(
        st.sampled_from(fitting),
        st.sampled_from(fitting),
        st.sampled_from(fitting),
        st.integers(-min(most, 10**6), min(most, 10**6)),
        st.sampled_from([*fitting, most, -most, most // 10, min(most, 2**53 + 1)]),
    )
    return whole.map(lambda units: scaled(units, scale))


def days(as_of: date) -> st.SearchStrategy[date]:
    """Days around the edges of windows, months' ends, leap days and changes of the clock."""
    return st.one_of(
        st.sampled_from([as_of + timedelta(days=distance) for distance in DISTANCES]),
        st.sampled_from([*MONTH_ENDS, *CLOCK_CHANGES]),
        st.integers(-800, 3).map(lambda distance: as_of + timedelta(days=distance)),
    )


def moments(as_of: date, zoned: bool) -> st.SearchStrategy[datetime]:
    return st.builds(datetime.combine, days(as_of), st.sampled_from(TIMES), tzinfo=st.just(UTC if zoned else None))


def values(column: Column, as_of: date) -> st.SearchStrategy[Any]:
    match column.type:
        case "text":
            return st.sampled_from(WORDS)
        case "boolean":
            return st.booleans()
        case "date":
            return st.one_of(days(as_of), days(as_of), st.sampled_from([date(2000, 2, 29), date(1, 1, 1)]))
        case "timestamp":
            return moments(as_of, column.zoned)
        case _:
            return decimals(*column.size)


def pool(draw: Draw, column: Column, as_of: date, missing: bool = True) -> st.SearchStrategy[Any]:
    """A few values, so that they meet again, and often a missing one."""
    few = draw(st.lists(values(column, as_of), min_size=2, max_size=5))
    return st.sampled_from([*few, None] if missing and draw(st.booleans()) else few)


def keys(column: Column) -> tuple[Any, ...]:
    if column.type == "integer":
        return (1, 2, 10, -3, 9_007_199_254_740_993, 0, 7, 100)
    return ("c1", "C1", "10", "9", "é", "", "𝒜", "c 2")


# -- tables -------------------------------------------------------------------------------------------------

COLUMN_TYPES = (
    "integer",
    "decimal",
    "text",
    "date",
    "boolean",
    "decimal(9,2)",
    "timestamp",
    "decimal(18,8)",
    "decimal(30,2)",
)
NAMES = ("amount", "status", "channel", "price", "größe", "renewed", "ok", "城市")


def columns(draw: Draw, prefix: str, least: int, most: int) -> tuple[Column, ...]:
    types = draw(st.lists(st.sampled_from(COLUMN_TYPES), min_size=least, max_size=most))
    shared = draw(st.booleans())  # the same names in several tables have to be qualified
    return tuple(
        Column(
            NAMES[number] if shared else f"{prefix}_{NAMES[number]}",
            type,
            zoned=type == "timestamp" and draw(st.booleans()),
        )
        for number, type in enumerate(types)
    )


def models(draw: Draw) -> Model:
    distinct = draw(st.integers(0, 7)) == 7
    key = Column("customer_id", draw(st.sampled_from(["text", "integer"])))
    attributes = () if distinct else columns(draw, "own", 0, 5)
    events = []
    for name in ("orders", "visits")[: draw(st.integers(1, 2))]:
        zone = draw(st.sampled_from([None, None, "UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"]))
        at = draw(st.sampled_from(["timestamp", "timestamp", "zoned", *([] if zone else ["date"])]))
        key_type = draw(st.sampled_from([None, None, "text", "integer"]))
        events.append(
            EventsSource(
                name=name,
                key=Column(f"{name}_id", key_type) if key_type else None,
                customer="customer_id" if distinct or draw(st.booleans()) else "buyer",
                at=Column(f"{name}_at", "date" if at == "date" else "timestamp", zoned=at == "zoned"),
                zone=zone,
                columns=columns(draw, name, 1, 4),
            )
        )
    dates = [column.name for column in attributes if column.kind == "date"]
    return Model(
        key=key,
        attributes=attributes,
        distinct=distinct,
        events=tuple(events),
        since=dates[0] if dates and draw(st.integers(0, 3)) == 3 else None,
    )


def tables(draw: Draw, model: Model, as_of: date) -> dict[str, Table]:
    """Customers with and without events, events with and without customers."""
    everyone = keys(model.key)
    made = {}
    held: Sequence[Any] = everyone[:4]
    if not model.distinct:
        held = everyone[: draw(st.sampled_from([2, 1, 3, 4, 6, 0]))]
        made["customers"] = Table(
            columns=(model.key, *model.attributes),
            rows=_rows(draw, model.attributes, as_of, [{model.key.name: key} for key in held]),
        )
    buyers = st.sampled_from([*held, *held, *held, everyone[-1], None])
    for source in model.events:
        count = draw(st.integers(0, 16))
        at = pool(draw, source.at, as_of, missing=draw(st.integers(0, 5)) == 5)
        starts: list[dict[str, Any]] = [{source.customer: draw(buyers), source.at.name: draw(at)} for _ in range(count)]
        if source.key is not None:
            unique = draw(st.permutations([str(n) if source.key.type == "text" else n for n in range(count)]))
            for start, key in zip(starts, unique, strict=True):
                start[source.key.name] = key
        made[source.name] = Table(
            columns=(
                *([source.key] if source.key else []),
                Column(source.customer, model.key.type),
                source.at,
                *source.columns,
            ),
            rows=_rows(draw, source.columns, as_of, starts),
        )
    return made


def _rows(
    draw: Draw, of: Sequence[Column], as_of: date, starts: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Cell]]:
    pools = {column.name: pool(draw, column, as_of) for column in of}
    return [{**start, **{name: draw(few) for name, few in pools.items()}} for start in starts]
