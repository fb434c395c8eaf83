"""The result tables of a run compared with a version, where both lie."""

from dataclasses import dataclass
from datetime import date
from functools import partial

from ruleengine.engines.columns import literal
from ruleengine.planning.layout import Layout
from ruleengine.store import dating
from ruleengine.store.changes import Evidence
from ruleengine.store.comparing import Comparison, recounted
from ruleengine.store.names import Names
from ruleengine.store.postgres import changes, holdings
from ruleengine.store.postgres.holdings import MEMBERS
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Version
from ruleengine.store.relations import Shape, moves


@dataclass(frozen=True, slots=True)
class Found:
    """A run beside what it is compared with. Leaves the tables of `holdings.compare`."""

    base: Version | None
    detached: bool
    names: Names
    evidence: Evidence
    comparison: Comparison


def compared(session: Session, layout: Layout, as_of: date) -> Found:
    """Compare the result tables with the current version; with the one in force, where they are for an earlier day."""
    ledger = Ledger(session)
    current = ledger.current()
    base, detached = current, False
    if current and as_of < current.as_of:
        detached = True
        number = ledger.in_force(as_of)
        base = None if number is None else ledger.version(number)
    names = ledger.names().extended(layout)
    evidence = Evidence(layout, names)
    holdings.name_tables(session, names, tuple(evidence.extra))
    if base and ledger.forgot_since(base.number):
        state = holdings.of_version(session, base.number)
        with session.told():
            base = recounted(session.connection, base, state.known, state.assignments, names)
    return Found(base, detached, names, evidence, compare(session, layout, names, base.number if base else None))


def compare(session: Session, layout: Layout, names: Names, base: int | None) -> Comparison:
    schema, shape = session.schema, Shape.of(names)
    projected = ", ".join(filter(None, [f"customer::{schema}.key AS customer", names.projection(layout)]))
    new = f"(SELECT {projected} FROM pg_temp.result_assignments)"
    which = "false" if base is None else MEMBERS.format(base)
    old = f"(SELECT customer, words, ladders FROM {schema}.customers WHERE {which})"
    held = {f"w{word}": f"coalesce(o.words[{word + 1}], 0)" for word in range(shape.words)}
    held |= {f"l{place}": f"coalesce(o.ladders[{place + 1}], 0::smallint)" for place in range(shape.ladders)}
    columns = ["coalesce(n.customer, o.customer) AS customer"]
    columns += ["n.customer IS NOT NULL AS here", "o.customer IS NOT NULL AS was_here"]
    for name, was in held.items():
        columns += [f"coalesce(n.{name}, 0) AS {name}", f"{was} AS o_{name}"]
    differs = ["n.customer IS NULL", "o.customer IS NULL", *(f"n.{name} <> {was}" for name, was in held.items())]
    session.table(
        "store_changed",
        f"SELECT {', '.join(columns)} FROM {new} n FULL JOIN {old} o ON n.customer = o.customer "
        f"WHERE {' OR '.join(differs)}",
    )
    session.table("store_moves", f"SELECT * FROM {moves('store_changed', names)} AS moved")
    session.table("store_arrivals", "SELECT customer, here FROM store_changed WHERE here <> was_here")
    return holdings.counted(session, names)


# -- since when --------------------------------------------------------------------------------------------


def date_moves(session: Session, found: Found, layout: Layout, as_of: date) -> str:
    """Make `store_prior` of what was held before (see `store.dating`); add to `store_moves` what the base holds too,
    but since another day. Answers since when a move's new value is held: SQL over `m`, a move, and `p`."""
    day = f"date {literal(as_of.isoformat())}"
    base = found.base
    if base is None or base.as_of < as_of:
        _make_prior(session, found.names, layout, base.number if base else None, "SELECT customer FROM store_changed")
        return f"coalesce(p.since, {day})"
    previous = Ledger(session).before(as_of)
    # What the version before holds in the same row is held since the same day.
    of_base = f"{session.schema}.assignments b WHERE {MEMBERS.format(base.number)} AND from_version > {previous or 0}"
    touched = f"SELECT customer FROM store_changed UNION SELECT b.customer FROM {of_base}"
    _make_prior(session, found.names, layout, previous, touched)
    session.run(
        f"INSERT INTO store_moves SELECT b.customer, b.id, b.value, b.value, true FROM (SELECT * FROM {of_base}) b "
        f"LEFT JOIN store_prior p ON p.customer = b.customer AND p.id = b.id AND p.value = b.value "
        f"WHERE coalesce(p.since, {day}) <> b.since "
        f"AND NOT EXISTS (SELECT 1 FROM store_moves m WHERE m.customer = b.customer AND m.id = b.id)"
    )
    return f"coalesce(p.since, {day})"


def _make_prior(session: Session, names: Names, layout: Layout, number: int | None, customers: str) -> None:
    state = holdings.nobody(session) if number is None else holdings.of_version(session, number)
    held = f"(SELECT * FROM {state.assignments} h WHERE customer IN ({customers}))"
    if former := dating.former(names, layout):
        rows = ", ".join(str(row) for row in former)
        held = (
            f"(SELECT DISTINCT ON (customer, id, value) customer, id, value, since FROM ("
            f"SELECT customer, id, value, since, 0 AS rank FROM {held} h UNION ALL "
            f"SELECT h.customer, f.id, f.value, h.since, f.rank FROM {held} h "
            f"JOIN (VALUES {rows}) AS f (was, was_value, id, value, rank) ON f.was = h.id AND f.was_value = h.value"
            f") u ORDER BY customer, id, value, rank)"
        )
    session.table("store_prior", f"SELECT customer, id, value, since FROM {held} h")


def changes_sql(session: Session, evidence: Evidence, since: str) -> str:
    """The changes in `store_moves`, decided by the rules of a run; `since` as `date_moves` answers it."""
    return (
        f"SELECT m.customer, n.kind, n.name, o.text AS old, w.text AS new, "
        f"CASE WHEN m.new <> 0 THEN {since} END AS since, "
        f"CASE WHEN v.customer IS NOT NULL THEN n.rule_hash END AS rule_hash, "
        f"{evidence.expression(partial(changes.object_sql, session))} AS evidence "
        f"{TEXTS} LEFT JOIN pg_temp.result_values v ON v.customer::{session.schema}.key = m.customer "
        f"LEFT JOIN store_prior p ON p.customer = m.customer AND p.id = m.id AND p.value = m.new"
    )


TEXTS = (
    "FROM store_moves m JOIN store_names n ON n.id = m.id "
    "LEFT JOIN store_levels o ON o.id = m.id AND o.value = m.old "
    "LEFT JOIN store_levels w ON w.id = m.id AND w.value = m.new"
)
