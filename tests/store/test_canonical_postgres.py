"""Postgres writes canonical JSON byte for byte as Python and DuckDB do, and its texts make the same values again."""

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruleengine.planning.layout import ValueColumn
from ruleengine.store.canonical import dump
from ruleengine.store.postgres import changes, session
from ruleengine.store.postgres.session import Session
from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.values import of_texts
from ruleengine.types import BOOLEAN, DATE, DOUBLE, TEXT, Type, exact
from tests.store.conftest import in_postgres
from tests.store.tables import IDENTITY

SQL = {BOOLEAN: "boolean", DATE: "date", DOUBLE: "double precision", TEXT: "text"}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
DOUBLES = (
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers(-(10**18), 10**18).map(float)
    | st.sampled_from(
        [
            1e23,
            9007199254740993.0,
            5e-324,
            -0.0,
            1e15,
            1e16,
            123456789012345.6,
            1e-5,
            0.0001,
            1.7976931348623157e308,
            -1.797693134862315e308,
            2.2250738585072014e-308,
        ]
    )
)
VALUES: list[tuple[Type, st.SearchStrategy[Any]]] = [
    (TEXT, TEXTS),
    (BOOLEAN, st.booleans()),
    (DATE, st.dates(min_value=date(1, 1, 1))),
    (DOUBLE, DOUBLES),
    (exact(9), st.integers(-(10**9), 10**9)),
    (exact(19), st.integers(-(2**63), 2**63 - 1)),
    (exact(38), st.integers(-(10**38) + 1, 10**38 - 1)),
    (exact(18, 4), st.integers(-(10**18) + 1, 10**18 - 1).map(lambda units: Decimal(units).scaleb(-4))),
]


@pytest.fixture(scope="module")
def opened() -> Iterator[Session]:
    with in_postgres() as store:
        assert isinstance(store, PostgresStore)
        with closing((found := session.opened(store.profile)).connection):
            session.upgrade(found, IDENTITY)
            yield found


@pytest.mark.parametrize(("type_", "values"), VALUES, ids=[str(type_) for type_, _ in VALUES])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_values_are_written_alike(
    opened: Session, type_: Type, values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(st.none() | values)
    column = ValueColumn(column="v0", name='a "name"', type=type_)
    made = f"%s::{SQL.get(type_, f'numeric(38, {type_.scale})')}"

    found = opened.row(
        f"SELECT {changes.object_sql(opened, [column], 'v')}, {changes.text_of(column, 'v')} "
        f"FROM (SELECT {made} AS v0) v",
        value,
    )

    assert found[0] == dump({column.name: value})
    assert of_texts([column], [found[1]]) == {column.name: value}
