"""Databases for the tests, all in one DuckDB: to start another takes longer than most of what they are asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count

import duckdb

_NUMBERS = count(1)


@cache
def _process() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"enable_external_file_cache": False})


@contextmanager
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """One in memory, whose tables and settings nobody else sees."""
    name = f"tests_{next(_NUMBERS)}"
    with _process().cursor() as connection:
        connection.execute(f"ATTACH ':memory:' AS {name}; USE {name}")
        try:
            yield connection
        finally:
            connection.execute(f"USE memory; DETACH {name}")
