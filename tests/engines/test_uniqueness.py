"""Repeated values are found wherever they are, in any order."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleengine.engines.uniqueness import FIRST_LOOK, is_unique

MANY = 3 * FIRST_LOOK


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as made:
        made.execute("SET preserve_insertion_order = false")
        yield made


def ordered(order: str) -> str:
    return f"(SELECT i AS value FROM range({MANY}) AS _(i) ORDER BY {order})"


@given(st.lists(st.integers(-3, 30)) | st.lists(st.text("ab", max_size=4)))
def test_few_values(connection: duckdb.DuckDBPyConnection, values: list[int] | list[str]) -> None:
    kind = "BIGINT" if values and isinstance(values[0], int) else "VARCHAR"
    connection.execute(
        f"CREATE OR REPLACE TABLE few AS SELECT unnest(CAST($values AS {kind}[])) AS value", {"values": values}
    )

    assert is_unique(connection, "few") == (len(set(values)) == len(values))


@pytest.mark.parametrize("order", ["i", "i DESC", "hash(i)", "i < 20_000, i"])
def test_many_values(connection: duckdb.DuckDBPyConnection, order: str) -> None:
    connection.execute(f"CREATE OR REPLACE TABLE many AS FROM {ordered(order)}")

    assert is_unique(connection, "many")
    assert is_unique(connection, "(SELECT 'ORD-' || value AS value FROM many)")

    connection.execute(f"INSERT INTO many VALUES ({MANY // 2})")

    assert not is_unique(connection, "many")
    assert not is_unique(connection, "(SELECT 'ORD-' || value AS value FROM many)")


def test_a_value_in_two_files(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", MANY), ("c", MANY - 1)):
        connection.execute(
            f"COPY (SELECT i + {first} AS value FROM range({MANY}) AS _(i)) TO '{tmp_path}/{name}.parquet'"
        )

    assert is_unique(connection, f"read_parquet(['{tmp_path}/a.parquet', '{tmp_path}/b.parquet'])")
    assert not is_unique(connection, f"read_parquet(['{tmp_path}/a.parquet', '{tmp_path}/c.parquet'])")
