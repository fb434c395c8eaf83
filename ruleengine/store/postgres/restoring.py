"""Versions that no run makes: an earlier one's answers brought back, and what somebody sets by hand."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime

from ruleengine.engines.columns import literal
from ruleengine.store import canonical, editing, versions
from ruleengine.store.desk import header_of, new_run
from ruleengine.store.manual import entry
from ruleengine.store.names import Names
from ruleengine.store.postgres import carried, changes, holdings, manual, memory, runs, staging
from ruleengine.store.postgres.comparing import TEXTS
from ruleengine.store.postgres.holdings import State
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Json, ManualWrite, Run, Version, VersionKind
from ruleengine.store.restoring import counts, hands
from ruleengine.store.versions import Hand


def rollback(session: Session, target: Version, current: Version, actor: str, now: datetime) -> Run:
    """Stage it: see `store.restoring`."""
    ledger = Ledger(session)
    names = ledger.names()
    holdings.name_tables(session, names)
    was = ledger.run_of(target.number)
    there = hands(versions.staged(was["staged"]), versions.staged(ledger.run_of(current.number)["staged"]))
    back = holdings.of_version(session, target.number)
    remembered = memory.of_version(session, target.number)
    overlaid = _differ(session, there, current.as_of, target, back, remembered, names)
    # Rules that look at what is set by hand would not come to the same now.
    run = new_run(
        header_of(target, None if overlaid else target.fingerprint), VersionKind.ROLLBACK, target.number, actor, now
    )
    if overlaid:
        kept = (
            f"(SELECT b.* FROM {back.assignments} b WHERE NOT EXISTS "
            f"(SELECT 1 FROM store_overlay v WHERE v.customer = b.customer AND v.id = b.id) "
            f"UNION ALL SELECT customer, id, new, since FROM store_overlay WHERE new <> 0)"
        )
        back = State(kept, back.known)
    old = holdings.of_version(session, current.number)
    comparison = holdings.compare(session, names, old, back)
    session.run(
        f"INSERT INTO store_moves SELECT n.customer, n.id, n.value, n.value, n.since, true FROM {back.assignments} n "
        f"JOIN {old.assignments} o ON o.customer = n.customer AND o.id = n.id AND o.value = n.value "
        f"WHERE n.since <> o.since"
    )
    run = replace(
        run,
        counts=counts(comparison, current.counts, target.counts, there),
        movement=comparison.movement,
    )
    runs.add(session, run, {})
    staging.write_arrivals(session, run.id)
    session.run(
        f"INSERT INTO {session.schema}.memory SELECT {literal(run.id)}, {memory.COLUMNS} FROM {remembered} m UNION ALL "
        f"SELECT {literal(run.id)}, v.customer, n.kind, n.name, NULL, l.text, v.old_since, NULL FROM store_overlay v "
        f"JOIN store_names n ON n.id = v.id AND n.kind = 'tier' "
        f"LEFT JOIN store_levels l ON l.id = v.id AND l.value = v.old WHERE NOT EXISTS (SELECT 1 FROM {remembered} m "
        f"WHERE m.customer = v.customer AND m.kind = n.kind AND m.name = n.name)"
    )
    restored = (
        f"SELECT m.customer, n.kind, n.name, o.text AS old, w.text AS new, "
        f"CASE WHEN m.new <> 0 THEN m.since END AS since, NULL::text AS rule_hash, NULL::text AS evidence {TEXTS}"
    )
    number = 1 + (ledger.latest_number() or 0)
    leaves, root = changes.write(session, run.id, number, restored)
    staged = carried.seal(session, run.id, runs.Staged(number=number, leaves=leaves, root=root, hands=there))
    runs.note(session, run, staged, value_columns=was["value_columns"], facts_of=was["facts_of"])
    return run


def _differ(
    session: Session, there: tuple[Hand, ...], now: date, target: Version, back: State, remembered: str, names: Names
) -> int:
    """Make `store_overlay`: as `store.restoring.differ`."""
    found = {(kind, rest[0]): name for kind, *rest in there if (name := names.find(kind, rest[0])) is not None}
    rows = [
        (entry.customer, found[kind, rest[0]].id, entry.value)
        for kind, *rest in there
        if (kind, rest[0]) in found
        for entry in manual.latest(session, kind, rest)
        if entry.counts_on(now)
    ]
    schema = session.schema
    session.table(
        "store_set", f"SELECT customer, 0 AS id, NULL::{schema}.label AS text FROM {schema}.customers WHERE false"
    )
    session.many("INSERT INTO store_set VALUES (%s, %s, %s)", rows)
    all_ids = ", ".join(str(name.id) for name in found.values()) or "NULL"
    tiers = ", ".join(str(name.id) for name in found.values() if name.kind == "tier") or "NULL"
    session.table(
        "store_overlay",
        f"""
        WITH set_now AS (
            SELECT s.customer, s.id, l.value FROM store_set s JOIN store_levels l ON l.id = s.id AND l.text = s.text
            WHERE s.customer IN (SELECT customer FROM {back.known} k)
        ),
        held AS (SELECT customer, id, value, since FROM {back.assignments} b WHERE id IN ({all_ids})),
        computed AS (
            SELECT m.customer, n.id, coalesce(l.value, 0::smallint) AS value, m.reached AS since
            FROM {remembered} m JOIN store_names n ON n.kind = m.kind AND n.name = m.name
            LEFT JOIN store_levels l ON l.id = n.id AND l.text = m.level
            WHERE n.id IN ({tiers})
        ),
        otherwise AS (
            SELECT * FROM computed UNION ALL
            SELECT * FROM held h WHERE id IN ({tiers}) AND NOT EXISTS
                (SELECT 1 FROM computed c WHERE c.customer = h.customer AND c.id = h.id)
        ),
        wanted AS (
            SELECT customer, id, value, date {literal(target.as_of.isoformat())} AS since FROM set_now UNION ALL
            SELECT * FROM otherwise o WHERE NOT EXISTS
                (SELECT 1 FROM set_now s WHERE s.customer = o.customer AND s.id = o.id)
        )
        SELECT coalesce(w.customer, h.customer) AS customer, coalesce(w.id, h.id) AS id,
            coalesce(h.value, 0)::smallint AS old, coalesce(w.value, 0)::smallint AS new,
            h.since AS old_since, CASE WHEN coalesce(w.value, 0) <> 0 THEN w.since END AS since
        FROM held h FULL JOIN wanted w ON w.customer = h.customer AND w.id = h.id
        WHERE coalesce(h.value, 0) <> coalesce(w.value, 0)
        """,
    )
    (count,) = session.row("SELECT count(*) FROM store_overlay")
    return int(count)


def set_manual(session: Session, write: ManualWrite, current: Version, actor: str, now: datetime) -> Run:
    """Stage it: see `store.editing`."""
    ledger, schema = Ledger(session), session.schema
    was = ledger.run_of(current.number)
    run = new_run(header_of(current, None), VersionKind.MANUAL, current.number, actor, now)
    run = replace(
        run,
        counts=editing.counts(current.counts, write.changes),
        movement=editing.movement(write.changes),
        report=editing.report(write),
    )
    runs.add(session, run, {})
    session.table(
        "store_decided",
        f"SELECT {changes.COLUMNS} FROM {schema}.changes WHERE false",
    )
    session.many(
        "INSERT INTO store_decided VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [(c.customer, c.kind, c.name, c.old, c.new, c.since, c.rule_hash, _dumped(c.evidence)) for c in write.changes],
    )
    kept: list[tuple[object, ...]] = [(r.kind, r.name, r.matched, r.level, r.reached, r.below) for r in write.memory]
    kept = kept or [(None,) * 6]
    session.many(
        f"INSERT INTO {schema}.memory VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [(run.id, write.customer, *row) for row in kept],
    )
    number = 1 + (ledger.latest_number() or 0)
    leaves, root = changes.write(session, run.id, number, f"SELECT {changes.COLUMNS} FROM store_decided")
    manual.add(session, [entry(write, number, current.as_of, actor)])
    runs.note_edit(session, run, number, leaves, root, was)
    return run


def _dumped(evidence: Mapping[str, Json] | None) -> str | None:
    return None if evidence is None else canonical.dump(evidence)
