"""Cells of examples are read as the engine reads those of a CSV file."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import duckdb
import pytest

from ruleengine.checking.cells import on_one_clock, read_cell
from ruleengine.engines.columns import Zones, convert_text
from ruleengine.types import COLUMN_TYPES, ColumnType, Value

TEXTS = {
    "text": ["a", " a ", "0", "true", "2026-01-01"],
    "integer": [
        "5",
        "-5",
        "+5",
        "007",
        " 5 ",
        "5.0",
        "1_000",
        "1,000",
        "1e3",
        "x",
        "٣",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
    ],
    "decimal": [
        "1234.56",
        "-.5",
        "5.",
        ".",
        "1e3",
        "1E-2",
        "-0",
        "1.23450",
        "1.23456",
        "nan",
        "inf",
        "-Infinity",
        "1,5",
        "€5",
        "99999999999999.9999",
        "100000000000000",
    ],
    "boolean": ["true", "T", "yes", "Y", "1", "FALSE", "f", "no", "n", "0", "2", "on"],
    "date": ["2026-03-31", "2026-02-29", "2024-02-29", "31.3.2026", "2026-3-1", "2026-03-31 23:59"],
    "timestamp": [
        "2026-03-31",
        "2026-03-31 18:30",
        "2026-03-31T8:30:00",
        "2026-03-31 18:30:00.5",
        "2026-03-31 18:30:00.1234567",
        "2026-03-31 25:00",
        "2026-03-31 18",
        "2026-03-31 18:60",
        "18:30",
    ],
}


def as_csv(text: str, type: ColumnType) -> Value:
    """What the engine reads; ValueError where it complains, be it that it rounds."""
    made = convert_text("cell", type, "time" if type.name == "timestamp" else "plain", Zones("UTC", "UTC"), False)
    with duckdb.connect(":memory:") as connection:
        connection.execute("CREATE TABLE cells (cell VARCHAR)")
        connection.execute("INSERT INTO cells VALUES (?)", [text])
        for fault, condition in made.faults:
            found = connection.execute(f"SELECT {condition} FROM cells").fetchone()
            assert found is not None
            if found[0]:
                raise ValueError(fault)
        row = connection.execute(f"SELECT {made.sql} FROM cells").fetchone()
    assert row is not None
    value: Value = row[0]
    return value


def moment(value: Value) -> Value:
    return datetime(value.year, value.month, value.day) if type(value) is date else value


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in TEXTS.items() for text in texts])
def test_a_cell_is_read_as_the_engine_reads_it(name: str, text: str) -> None:
    try:
        wanted = as_csv(text, COLUMN_TYPES[name])
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            read_cell(text, COLUMN_TYPES[name])
        return

    read = read_cell(text, COLUMN_TYPES[name])

    if name == "date":
        assert isinstance(read, date)
        assert (read.date() if isinstance(read, datetime) else read) == wanted
    else:
        assert moment(read) == wanted
        assert str(moment(read)) == str(wanted)


@pytest.mark.parametrize("name", COLUMN_TYPES)
def test_an_empty_cell_is_missing_quoted_or_not(name: str) -> None:
    assert read_cell("", COLUMN_TYPES[name]) is None
    assert read_cell('""', COLUMN_TYPES[name]) is None


def test_quotes_are_not_of_the_text() -> None:
    assert read_cell('"paid"', COLUMN_TYPES["text"]) == "paid"
    assert read_cell('"a ""b"""', COLUMN_TYPES["text"]) == 'a "b"'
    assert read_cell('"', COLUMN_TYPES["text"]) == '"'


@pytest.mark.parametrize("text", ["2026-03-31 18:30Z", "2026-03-31 20:30+02", "2026-03-31T16:00:00-0230"])
def test_a_time_may_say_how_far_from_utc_it_is(text: str) -> None:
    assert read_cell(text, COLUMN_TYPES["timestamp"]) == datetime(2026, 3, 31, 18, 30, tzinfo=UTC)


def test_once_one_time_is_zoned_all_are() -> None:
    times = [datetime(2026, 3, 31, 18, 30, tzinfo=UTC), datetime(2026, 3, 31, 20, 30), date(2026, 3, 31), None]
    berlin = ZoneInfo("Europe/Berlin")

    assert on_one_clock(times[1:], "Europe/Berlin") == times[1:]
    assert on_one_clock(times, "Europe/Berlin") == [
        times[0],
        datetime(2026, 3, 31, 20, 30, tzinfo=berlin),
        datetime(2026, 3, 31, tzinfo=berlin),
        None,
    ]
