"""The DuckDB that stores compute with, and days in its SQL."""

import os
from datetime import date
from functools import cache

import duckdb

from ruleengine import scratch
from ruleengine.engines.connecting import connected


def connect() -> duckdb.DuckDBPyConnection:
    """A connection whose temporary tables nobody else sees, to a DuckDB that only computes.

    What does not fit into memory goes to a folder of the process.
    """
    return _of_process(os.getpid()).cursor()


@cache
def _of_process(_: int) -> duckdb.DuckDBPyConnection:
    """One for all: to start another takes longer than most of what it is asked. That of a parent is of no use."""
    # What files held that were rewritten since, or belonged to somebody who is forgotten, is not kept.
    return connected(temp_directory=str(scratch.of_process()), enable_external_file_cache="false")


def date_literal(day: date) -> str:
    return f"DATE '{day.isoformat()}'"
