"""DuckDB, and text inside its SQL where a parameter cannot stand."""

from datetime import date

import duckdb

from ruleengine import scratch
from ruleengine.engines.connecting import connected


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB that only computes. What does not fit into memory goes to a folder of the process."""
    return connected(temp_directory=str(scratch.of_process()))


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def date_literal(day: date) -> str:
    return f"DATE '{day.isoformat()}'"
