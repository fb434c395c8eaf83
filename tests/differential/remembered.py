"""Made-up memory: what the versions before a run could have left for it."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import duckdb
from hypothesis import strategies as st

from ruleengine.checking.ruleset import Ruleset
from ruleengine.engines.columns import quote
from ruleengine.planning.memory import ManualMemory, Memory, Past, TagMemory, TierMemory
from ruleengine.planning.plan import plan
from ruleengine.types import Kind, Value
from tests.differential.data import DISTANCES, Draw, Remembered

_SQL = {Kind.BOOLEAN: "BOOLEAN", Kind.DATE: "DATE", Kind.TEXT: "VARCHAR"}


def remembered(draw: Draw, ruleset: Ruleset, as_of: date, customers: tuple[Any, ...]) -> Remembered:
    memory = plan(ruleset, as_of).memory
    known = {part.text: draw(st.integers(0, 3)) < 3 for part in memory.past}
    rows = {customer: _row(draw, ruleset, memory, known, as_of) for customer in customers if draw(st.integers(0, 3))}
    return Remembered({customer: row for customer, row in rows.items() if row}, known)


def _row(draw: Draw, ruleset: Ruleset, memory: Memory, known: Mapping[str, bool], as_of: date) -> dict[str, Value]:
    days = st.sampled_from([as_of + timedelta(days=distance) for distance in DISTANCES if distance < 0])
    row: dict[str, Value] = {}
    for part in memory.parts:
        if not draw(st.booleans()):
            continue
        match part:
            case TagMemory():
                row |= zip(part.labels, (True, draw(days)), strict=True)
            case TierMemory():
                ladder = ruleset.ladders[part.tier]
                reached, below = sorted([draw(days), draw(days)])
                level = draw(st.sampled_from([*ladder.values, *ladder.formerly, "no level of today"]))
                row |= zip(part.labels, (level, reached, below if draw(st.booleans()) else None), strict=True)
            case ManualMemory(kind="tag"):
                row[part.labels[0]] = True
            case ManualMemory():
                ladder = ruleset.ladders[part.name]
                row[part.labels[0]] = draw(st.sampled_from([*ladder.values, *ladder.formerly, "no level of today"]))
            case Past() if known[part.text]:
                row[part.text] = True
            case _:
                pass
    return row


def tell(connection: duckdb.DuckDBPyConnection, memory: Memory, made: Remembered, key_type: str) -> None:
    """Make the tables that a store would make."""
    columns = ", ".join(f"{quote(name)} {_SQL[type.kind]}" for name, type in memory.columns)
    key = f"customer {'BIGINT' if key_type == 'integer' else 'VARCHAR'}"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE remembered ({key}, {columns})")
    labels = [label for part in memory.parts for label in part.labels]
    for customer, row in made.customers.items():
        cells = [customer, *(row.get(label) for label in labels)]
        connection.execute(f"INSERT INTO remembered VALUES ({', '.join('?' * len(cells))})", cells)
    names = ", ".join(f"{made.known[part.text]} AS {quote(part.column)}" for part in memory.past)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE remembered_names AS SELECT {names or 'FALSE AS nothing'}")
