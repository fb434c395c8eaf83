"""A relation of DuckDB's on its way into a table of Postgres', through a file: no row passes through Python."""

import tempfile
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from ruleengine.engines.columns import literal, quote

BLOCK = 1 << 18


def copy_in(
    connection: psycopg.Connection[Any], table: str, duck: duckdb.DuckDBPyConnection, relation: str, folder: Path
) -> int:
    """Append a relation to a table with the same columns; answers the number of rows."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = [name for name, type, *_ in duck.execute(f"DESCRIBE FROM {relation}").fetchall() if type == "VARCHAR"]
    quoted = f", FORCE_QUOTE ({', '.join(map(quote, texts))})" if texts else ""  # an empty text, but not a missing one
    with tempfile.TemporaryDirectory(dir=folder) as place:
        file = Path(place) / "rows.csv"
        duck.execute(f"COPY (FROM {relation}) TO {literal(str(file))} (FORMAT csv, HEADER false{quoted})")
        with file.open("rb") as lines, connection.cursor() as cursor:
            with cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)".encode()) as copy:
                while block := lines.read(BLOCK):
                    copy.write(block)
            return cursor.rowcount
