"""Evidence is written by DuckDB and read by anyone: both must write the same bytes."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleengine.planning.layout import ValueColumn
from ruleengine.store import canonical
from ruleengine.types import BOOLEAN, DATE, DOUBLE, TEXT, Type, exact


@pytest.fixture(scope="module")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def written(duck: duckdb.DuckDBPyConnection, type_: Type, sql_type: str, value: object) -> Any:
    column = ValueColumn(column="V 1", name='a "name"', type=type_)
    row = duck.execute(
        f'SELECT {canonical.object_sql([column], "v")} FROM (SELECT ?::{sql_type} AS "V 1") v', [value]
    ).fetchone()
    assert row is not None
    return row[0]


def same(duck: duckdb.DuckDBPyConnection, type_: Type, sql_type: str, value: object) -> None:
    assert written(duck, type_, sql_type, value) == canonical.dump({'a "name"': value})


@given(st.text())
def test_text(duck: duckdb.DuckDBPyConnection, value: str) -> None:
    same(duck, TEXT, "VARCHAR", value)


def test_every_control_character(duck: duckdb.DuckDBPyConnection) -> None:
    same(duck, TEXT, "VARCHAR", "".join(map(chr, range(0x21))) + "\x7f\u2028\\u000B/")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles(duck: duckdb.DuckDBPyConnection, value: float) -> None:
    same(duck, DOUBLE, "DOUBLE", value)


@given(st.integers(min_value=-(2**63), max_value=2**63 - 1))
def test_whole_numbers(duck: duckdb.DuckDBPyConnection, value: int) -> None:
    same(duck, exact(19), "BIGINT", value)


@pytest.mark.parametrize("value", [2**53 - 1, 2**53, 2**53 + 1, -(2**53), -(2**53) - 1])
def test_whole_numbers_that_a_double_cannot_hold_are_text(duck: duckdb.DuckDBPyConnection, value: int) -> None:
    same(duck, exact(37), "DECIMAL(37, 0)", value)
    assert ('"' in canonical.dump(value)) == (abs(value) > 2**53)


@given(st.decimals(min_value=-(10**14) + 1, max_value=10**14 - 1, places=4))
def test_exact_numbers(duck: duckdb.DuckDBPyConnection, value: Decimal) -> None:
    same(duck, exact(18, 4), "DECIMAL(18, 4)", value)


@given(st.dates(min_value=date(1, 1, 1)))
def test_dates(duck: duckdb.DuckDBPyConnection, value: date) -> None:
    same(duck, DATE, "DATE", value)


@pytest.mark.parametrize("value", [True, False, None])
def test_truth_and_missing(duck: duckdb.DuckDBPyConnection, value: bool | None) -> None:
    same(duck, BOOLEAN, "BOOLEAN", value)


def test_names_stand_in_the_order_of_code_points(duck: duckdb.DuckDBPyConnection) -> None:
    columns = [ValueColumn(column=f"c{n}", name=name, type=exact(3)) for n, name in enumerate(["b", "上", "a", "B"])]
    row = duck.execute(
        f"SELECT {canonical.object_sql(columns, 'v')} FROM (SELECT 1 AS c0, 2 AS c1, 3 AS c2, NULL AS c3) v"
    ).fetchone()

    assert row == (canonical.dump({"b": 1, "上": 2, "a": 3, "B": None}),)


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_whole_decimals(duck: duckdb.DuckDBPyConnection, value: int) -> None:
    same(duck, exact(18), "DECIMAL(18, 0)", Decimal(value))
