"""What would change: as `store.previewing`, where the result tables lie."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from ruleengine.engines.columns import quote
from ruleengine.planning.layout import Layout
from ruleengine.sql.postgres import short
from ruleengine.store import values
from ruleengine.store.names import Names
from ruleengine.store.postgres import changes, comparing
from ruleengine.store.postgres.comparing import TEXTS
from ruleengine.store.postgres.documents import key_literal
from ruleengine.store.postgres.session import Session
from ruleengine.store.previewing import Asked
from ruleengine.store.records import Amount, Key, Preview, Shift, StoredValues
from ruleengine.types import Kind

MOVES = f"SELECT m.customer, n.kind, n.name, o.text, w.text {TEXTS} ORDER BY m.customer, n.ord"


def compared(session: Session, layout: Layout, as_of: date, asked: Asked) -> Preview:
    found = comparing.compared(session, layout, as_of)
    before = found.base.counts if found.base else None
    counts = found.comparison.counts(
        before,
        [tag.name for tag in layout.tags],
        {(ladder.kind, ladder.name): ladder.values for ladder in layout.ladders},
    )
    measure, add = "NULL::bigint", "sum({0})"
    if asked.measure:
        measure = f"v.{quote(short(asked.measure.column))}"
        if asked.measure.type.kind is Kind.DOUBLE:
            # A sum of doubles must not show in which order the rows came.
            add = "sum({0}::text::numeric)::double precision"
    shifts = _shifts(session, found.names, measure, add, asked)
    (total,) = session.row(f"SELECT {add.format(measure)} FROM pg_temp.result_values v")
    return Preview(
        base=found.base,
        counts=counts,
        movement=found.comparison.movement,
        moves=found.comparison.moves,
        before=before.customers if before else 0,
        stayed=counts.customers - found.comparison.arrived,
        shifts=shifts,
        total=_amount(total, asked),
        values=_values(session, layout, {key for shift in shifts for key in shift.samples}),
    )


def _shifts(session: Session, names: Names, measure: str, add: str, asked: Asked) -> tuple[Shift, ...]:
    moves = (
        f"SELECT m.*, v.amount, row_number() OVER "
        f"(PARTITION BY m.id, m.old, m.new ORDER BY v.amount DESC NULLS LAST, m.customer) AS place "
        f"FROM store_moves m LEFT JOIN (SELECT v.customer::{session.schema}.key AS customer, {measure} AS amount "
        f"FROM pg_temp.result_values v) v ON v.customer = m.customer"
    )
    rows = session.rows(
        f"SELECT id, old, new, count(*), count(*) FILTER (WHERE stayed), {add.format('amount')}, "
        f"array_agg(CASE WHEN true THEN customer END ORDER BY place) FILTER (WHERE place <= {asked.samples}) "
        f"FROM ({moves}) m "
        f"GROUP BY id, old, new ORDER BY id, old, new"
    )
    by_id = {name.id: name for name in names.all}
    return tuple(
        Shift(
            kind=by_id[id_].kind,
            name=by_id[id_].name,
            old=by_id[id_].value(old),
            new=by_id[id_].value(new),
            customers=customers,
            stayed=stayed,
            amount=_amount(amount, asked),
            samples=tuple(keys or ()),
        )
        for id_, old, new, customers, stayed, amount, keys in rows
    )


def _amount(found: Any, asked: Asked) -> Amount | None:
    """The sum of whole numbers comes as a decimal."""
    whole = asked.measure is not None and asked.measure.type.kind is Kind.EXACT and not asked.measure.type.scale
    return int(found) if whole and found is not None else found


def _values(session: Session, layout: Layout, keys: set[Key]) -> Mapping[Key, StoredValues]:
    if not keys:
        return {}
    texts = ", ".join(changes.text_of(column, "v") for column in layout.values)
    listed = ", ".join(key_literal(key) for key in keys)
    rows = session.rows(
        f"SELECT v.customer, ARRAY[{texts}]::text[] FROM pg_temp.result_values v WHERE v.customer IN ({listed})"
    )
    return {customer: values.of_texts(layout.values, data) for customer, data in rows}
