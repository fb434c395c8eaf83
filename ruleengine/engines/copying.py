"""Tables on their way between DuckDB and Postgres, through files: no row passes through Python."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from ruleengine.engines.columns import literal, quote

BLOCK = 1 << 18
"""So many bytes of a file go to the server at a time."""
_EPOCH = "DATE '1970-01-01'"


def copy_in(
    connection: psycopg.Connection[Any], table: str, duck: duckdb.DuckDBPyConnection, relation: str, folder: Path
) -> int:
    """Append a relation to a table with the same columns; answers the number of rows."""
    texts = [name for name, type, *_ in duck.execute(f"DESCRIBE FROM {relation}").fetchall() if type == "VARCHAR"]
    quoted = f", FORCE_QUOTE ({', '.join(map(quote, texts))})" if texts else ""  # an empty text, but not a missing one
    with _file(folder) as file:
        duck.execute(f"COPY (FROM {relation}) TO {literal(str(file))} (FORMAT csv, HEADER false{quoted})")
        with file.open("rb") as lines, connection.cursor() as cursor:
            with cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)".encode()) as copy:
                while block := lines.read(BLOCK):
                    copy.write(block)
            return cursor.rowcount


def copy_out(
    connection: psycopg.Connection[Any],
    query: str,
    duck: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[tuple[str, str]],
    folder: Path,
) -> None:
    """Make a temporary table of DuckDB's of a query; its columns are of these names and DuckDB's types."""
    names = [f"c{place}" for place in range(len(columns))]
    # Days travel as numbers: the two do not write those of other eras alike.
    days = [type == "DATE" for _, type in columns]
    read = ", ".join(f"{name}::date - {_EPOCH}" if day else name for name, day in zip(names, days, strict=True))
    types = {name: "INTEGER" if day else type for name, day, (_, type) in zip(names, days, columns, strict=True)}
    made = ", ".join(
        f"{_EPOCH} + {name} AS {quote(wanted)}" if day else f"{name} AS {quote(wanted)}"
        for name, day, (wanted, _) in zip(names, days, columns, strict=True)
    )
    options = "auto_detect = false, header = false, nullstr = '', allow_quoted_nulls = false, new_line = '\\n'"
    style = "delim = ',', quote = '\"', escape = '\"', comment = ''"
    with _file(folder) as file:
        with connection.cursor() as cursor, file.open("wb") as out:
            told = f"COPY (SELECT {read} FROM ({query}) AS rows ({', '.join(names)})) TO STDOUT (FORMAT csv)"
            with cursor.copy(told.encode()) as copy:
                for block in copy:
                    out.write(block)
            copied = cursor.rowcount
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE {quote(table)} AS SELECT {made} "
            f"FROM read_csv({literal(str(file))}, columns = {types!r}, {options}, {style})"
        )
    counted = duck.execute(f"SELECT count(*) FROM {quote(table)}").fetchone()
    assert counted == (copied,), f"{copied} rows were copied, {counted} read"


@contextmanager
def _file(folder: Path) -> Iterator[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        yield Path(place) / "rows.csv"
