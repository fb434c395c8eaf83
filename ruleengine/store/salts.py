"""A salt per customer, so that a leaf tells nothing about a row that is gone.

A salt is made from a secret that is thrown away at once; it can be destroyed, and never be made again.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import duckdb

from ruleengine.engines.columns import literal
from ruleengine.store.relations import ROW_GROUP

MOST_PIECES = 32


def files_sql(pieces: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(literal(str(piece)) for piece in pieces)}])"


def gather(duck: duckdb.DuckDBPyConnection, customers: str, pieces: Sequence[Path]) -> int:
    """Make `store_salts` (customer, salt, fresh) for these customers; a salt that is not known is made. Answers how
    many were."""
    known = files_sql(pieces) if pieces else f"(SELECT customer, NULL::BLOB AS salt FROM {customers} WHERE false)"
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE store_kept AS SELECT customer, salt FROM {known} "
        f"WHERE customer IN (SELECT customer FROM {customers})"
    )
    # sha256 answers 64 hex digits; a salt is the first 128 bits.
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE store_salts AS SELECT customer, salt, false AS fresh FROM store_kept "
        f"UNION ALL SELECT DISTINCT customer, unhex(substr(sha256($secret || customer::VARCHAR), 1, 32)), true "
        f"FROM {customers} c WHERE NOT EXISTS (SELECT 1 FROM store_kept k WHERE k.customer = c.customer)",
        {"secret": os.urandom(32).hex()},
    )
    row = duck.execute("SELECT count(*) FROM store_salts WHERE fresh").fetchone()
    assert row is not None
    return int(row[0])


def write(duck: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write the salts that were made just now."""
    copy(duck, "SELECT customer, salt FROM store_salts WHERE fresh", path)


def merge(duck: duckdb.DuckDBPyConnection, pieces: Sequence[Path], path: Path) -> None:
    copy(duck, f"SELECT customer, salt FROM {files_sql(pieces)}", path)


def copy(duck: duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    """Write salts, sorted by customer."""
    duck.execute(
        f"COPY ({query} ORDER BY customer) TO {literal(str(path))} (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
    )
