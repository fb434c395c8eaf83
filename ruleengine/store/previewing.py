"""What would change: the result tables of a connection beside a state, with nothing written to a store."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from ruleengine.engines.columns import literal, quote
from ruleengine.planning.layout import Layout, ValueColumn
from ruleengine.store.comparing import clear, compare, name_tables
from ruleengine.store.names import Names
from ruleengine.store.records import Counts, Key, Preview, Shift, StoredValues, Version
from ruleengine.store.relations import Shape, all_new, nobody, read
from ruleengine.store.values import named
from ruleengine.types import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a preview tells beside the numbers of customers."""

    measure: ValueColumn | None = None
    """A column of `result_values` that is summed up over those who move."""
    samples: int = 0
    """So many customers of each move: those with most of the measure, then those of the lowest keys."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The answers of a computation that is over."""

    path: Path
    layout: Layout
    counts: Counts


def keep(duck: duckdb.DuckDBPyConnection, layout: Layout, counts: Counts, path: Path) -> Kept:
    """Write the answers of a connection to a Parquet file."""
    duck.execute(f"COPY result_assignments TO {literal(str(path))} (FORMAT parquet)")
    return Kept(path, layout, counts)


def between(
    duck: duckdb.DuckDBPyConnection, layout: Layout, as_of: date, earlier: Kept | None, asked: Asked
) -> Preview:
    """Compare the answers of a connection with others that were kept; with nobody's where there are none."""
    clear(duck)
    names = (Names().extended(earlier.layout) if earlier else Names()).extended(layout)
    name_tables(duck, names)
    if earlier:
        projected = f"(SELECT customer, {names.projection(earlier.layout)} FROM {read(earlier.path)})"
        old = all_new(projected, names, f"DATE '{as_of.isoformat()}'")
    else:
        old = nobody(key_type(layout), Shape.of(names))
    return compared(duck, layout, names, old, None, earlier.counts if earlier else None, asked)


def compared(
    duck: duckdb.DuckDBPyConnection,
    layout: Layout,
    names: Names,
    old: str,
    base: Version | None,
    before: Counts | None,
    asked: Asked,
) -> Preview:
    """Compare the answers of a connection with a state, of which there are so many. Needs `store_names`."""
    new = f"(SELECT customer, {names.projection(layout)} FROM result_assignments)"
    comparison = compare(duck, new, old, names)
    counts = comparison.counts(
        before,
        [tag.name for tag in layout.tags],
        {(ladder.kind, ladder.name): ladder.values for ladder in layout.ladders},
    )
    measure = quote(asked.measure.column) if asked.measure else "NULL::BIGINT"
    # A sum of doubles must not show in which order the rows came.
    add = "fsum" if asked.measure and asked.measure.type.kind is Kind.DOUBLE else "sum"
    shifts = _shifts(duck, names, measure, add, asked.samples)
    total = duck.execute(f"SELECT {add}({measure}) FROM result_values").fetchone()
    assert total is not None
    return Preview(
        base=base,
        counts=counts,
        movement=comparison.movement,
        moves=comparison.moves,
        before=before.customers if before else 0,
        stayed=counts.customers - comparison.arrived,
        shifts=shifts,
        total=total[0],
        values=_values(duck, layout, {key for shift in shifts for key in shift.samples}),
    )


def key_type(layout: Layout) -> str:
    return "BIGINT" if layout.key_type.name == "integer" else "VARCHAR"


def _shifts(duck: duckdb.DuckDBPyConnection, names: Names, measure: str, add: str, samples: int) -> tuple[Shift, ...]:
    moves = (
        f"SELECT m.*, v.amount, row_number() OVER "
        f"(PARTITION BY m.id, m.old, m.new ORDER BY v.amount DESC NULLS LAST, m.customer) AS place "
        f"FROM store_moves m LEFT JOIN (SELECT customer, {measure} AS amount FROM result_values) v USING (customer)"
    )
    rows = duck.execute(
        f"SELECT id, old, new, count(*), count(*) FILTER (WHERE stayed), {add}(amount), "
        f"list(customer ORDER BY place) FILTER (WHERE place <= {samples}) FROM ({moves}) "
        f"GROUP BY id, old, new ORDER BY id, old, new"
    ).fetchall()
    by_id = {name.id: name for name in names.all}
    return tuple(
        Shift(
            kind=by_id[id_].kind,
            name=by_id[id_].name,
            old=by_id[id_].value(old),
            new=by_id[id_].value(new),
            customers=customers,
            stayed=stayed,
            amount=amount,
            samples=tuple(keys or ()),
        )
        for id_, old, new, customers, stayed, amount, keys in rows
    )


def _values(duck: duckdb.DuckDBPyConnection, layout: Layout, keys: set[Key]) -> Mapping[Key, StoredValues]:
    wanted = ", ".join(["customer", *(quote(column.column) for column in layout.values)])
    query = f"SELECT {wanted} FROM result_values WHERE list_contains($keys, customer)"
    rows = duck.execute(query, {"keys": list(keys)}).fetchall() if keys else []
    return {row[0]: named(layout.values, row[1:]) for row in rows}
