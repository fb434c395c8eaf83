"""What a rollback brings back: an earlier version's answers, with what is set by hand as it is now."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb

from ruleengine.engines.columns import literal
from ruleengine.store import changes, dating, ledger, manual, memory, state, versions
from ruleengine.store.comparing import TOUCHED, Comparison, compare, name_tables
from ruleengine.store.desk import Desk, header_of
from ruleengine.store.duck import connect, date_literal
from ruleengine.store.files import copy, whole
from ruleengine.store.ledger import update_run
from ruleengine.store.names import Names
from ruleengine.store.records import Counts, Version, VersionKind
from ruleengine.store.relations import ROW_GROUP, Shape, holdings, read, widened
from ruleengine.store.sqlite import Connection, transaction
from ruleengine.store.steps import reach
from ruleengine.store.versions import Hand, StagedFiles


def rollback(desk: Desk, target: Version, current: Version, reason: str) -> Version:
    names = ledger.names(desk.ledger)
    duck = connect()
    name_tables(duck, names)
    was = desk.row(target)
    there = hands(versions.staged(was["staged"]), versions.staged(desk.row(current)["staged"]))
    back = desk.state(duck, target, names, table="store_new")
    remembered = memory.of_version(desk.ledger, desk.folder, target.number)
    overlaid = differ(duck, desk.ledger, there, current.as_of, target, back, remembered, names, desk.identity.key_sql)
    # Rules that look at what is set by hand would not come to the same now.
    fingerprint = None if overlaid else target.fingerprint
    run = desk.begin(header_of(target, fingerprint), VersionKind.ROLLBACK, target.number)
    if overlaid:
        with whole(desk.folder.overlay(run.id)) as path:
            write_overlay(duck, path)
        reach("overlay-renamed")
        state.fold(duck, "store_overlaid", back, [desk.folder.overlay(run.id)], [], names)
        back = "store_overlaid"
    old = desk.state(duck, current, names)
    comparison = compare(duck, back, old, names)
    dating.add_redated(duck, back, old, names)
    linked: dict[Path, Path] = {}
    if was["has_values"]:
        copy(desk.folder.values(target.run), desk.folder.values(run.id))
        linked[desk.folder.values(run.id)] = desk.folder.values(target.run)
    shape = Shape.of(names)
    if was["has_state"] and not overlaid:
        staged = versions.staged(was["staged"])
        shape = Shape(staged.words, staged.ladders)
        copy(desk.folder.state(target.run), desk.folder.state(run.id))
        linked[desk.folder.state(run.id)] = desk.folder.state(target.run)
    else:
        with whole(desk.folder.state(run.id)) as path:
            state.write(duck, back, path)
    reach("state-renamed")
    if remembering := remember(duck, remembered, desk.identity.key_sql):
        with whole(desk.folder.memory(run.id)) as path:
            memory.write(duck, "store_memory", path)
    with transaction(desk.ledger):
        update_run(desk.ledger, run.id, value_columns=was["value_columns"])
    size = counts(comparison, current.counts, target.counts, there)
    staged_run = replace(run, counts=size, movement=comparison.movement)
    relation = widened(read(desk.folder.state(run.id)), shape, Shape.of(names))
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE store_state AS SELECT * FROM {relation} "
        f"WHERE customer IN (SELECT customer FROM store_moves)"
    )
    restored = changes.of_rollback(holdings("store_state", names))
    desk.finish_staging(
        staged_run,
        duck,
        names,
        restored,
        shape,
        customers=TOUCHED,
        memory=remembering,
        overlay=overlaid,
        hands=there,
        linked=linked,
    )
    return desk.publish(run.id, reason)


def hands(target: StagedFiles, current: StagedFiles) -> tuple[Hand, ...]:
    """What people may set once a version is brought back: what they could then, and what they can now."""
    there: list[Hand] = []
    left = list(current.hands)
    for kind, *names in target.hands:
        same = [hand for hand in left if hand[0] == kind and set(hand[1:]) & set(names)]
        left = [hand for hand in left if hand not in same]
        there.append((kind, *dict.fromkeys([*names, *(name for hand in same for name in hand[1:])])))
    return (*there, *left)


def differ(
    duck: duckdb.DuckDBPyConnection,
    log: Connection,
    there: tuple[Hand, ...],
    now: date,
    target: Version,
    back: str,
    remembered: str | None,
    names: Names,
    key_type: str,
) -> int:
    """Make `store_overlay` of how the answers with what is set by hand now differ from the target's: customer, id,
    old and new position, since when each. Answers how many rows it has. Needs `store_names` and `store_levels`.

    Where a level is not set by hand any more, the one that was computed counts again."""
    found = {(kind, rest[0]): name for kind, *rest in there if (name := names.find(kind, rest[0])) is not None}
    if not found:
        none = (
            f"NULL::{key_type} AS customer, 0 AS id, 0 AS old, 0 AS new, NULL::DATE AS old_since, NULL::DATE AS since"
        )
        duck.execute(f"CREATE OR REPLACE TEMP TABLE store_overlay AS SELECT {none} WHERE false")
        return 0
    rows = [
        (entry.customer, found[kind, rest[0]].id, entry.value)
        for kind, *rest in there
        if (kind, rest[0]) in found
        for entry in manual.latest(log, kind, rest)
        if entry.counts_on(now)
    ]
    customers, ids, values = zip(*rows, strict=True) if rows else ((), (), ())
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE store_manual AS SELECT customer, id, l.value FROM ("
        f"SELECT unnest($customers::{key_type}[]) AS customer, unnest($ids::INTEGER[]) AS id, "
        f"unnest($values::VARCHAR[]) AS text) JOIN store_levels l USING (id, text) "
        f"WHERE customer IN (SELECT customer FROM {back})",
        {"customers": list(customers), "ids": list(ids), "values": list(values)},
    )
    tiers = _listed(name.id for name in found.values() if name.kind == "tier")
    duck.execute(f"""
        CREATE OR REPLACE TEMP TABLE store_overlay AS
        WITH held AS (
            SELECT customer, id, value, since FROM {holdings(back, names)}
            WHERE id IN ({_listed(name.id for name in found.values())})
        ),
        computed AS (
            SELECT m.customer, n.id, coalesce(l.value, 0) AS value, m.reached AS since
            FROM {remembered or memory.nothing(key_type)} m
            JOIN store_names n ON n.kind = m.kind AND n.name = m.name
            LEFT JOIN store_levels l ON l.id = n.id AND l.text = m.level
            WHERE n.id IN ({tiers})
        ),
        otherwise AS (
            SELECT * FROM computed UNION ALL
            SELECT * FROM held ANTI JOIN computed USING (customer, id) WHERE id IN ({tiers})
        ),
        wanted AS (
            SELECT customer, id, value, {date_literal(target.as_of)} AS since FROM store_manual UNION ALL
            SELECT * FROM otherwise ANTI JOIN store_manual USING (customer, id)
        )
        SELECT customer, id, coalesce(h.value, 0) AS old, coalesce(w.value, 0) AS new,
            h.since AS old_since, CASE WHEN coalesce(w.value, 0) <> 0 THEN w.since END AS since
        FROM held h FULL JOIN wanted w USING (customer, id) WHERE coalesce(h.value, 0) <> coalesce(w.value, 0)
    """)
    row = duck.execute("SELECT count(*) FROM store_overlay").fetchone()
    assert row is not None
    return int(row[0])


def _listed(ids: Iterator[int]) -> str:
    return ", ".join(map(str, ids)) or "NULL"


def write_overlay(duck: duckdb.DuckDBPyConnection, path: Path) -> None:
    duck.execute(
        f"COPY (SELECT v.customer, n.kind, n.name, o.text AS old, w.text AS new, v.since FROM store_overlay v "
        f"JOIN store_names n ON n.id = v.id "
        f"LEFT JOIN store_levels o ON o.id = v.id AND o.value = v.old "
        f"LEFT JOIN store_levels w ON w.id = v.id AND w.value = v.new ORDER BY v.customer, n.ord) "
        f"TO {literal(str(path))} (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
    )


def remember(duck: duckdb.DuckDBPyConnection, remembered: str | None, key_type: str) -> int:
    """Make `store_memory` of what the target remembers, and of the levels that were computed and are now overlaid.
    Answers how many rows it has."""
    before = remembered or memory.nothing(key_type)
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE store_memory AS SELECT * FROM {before} UNION ALL "
        f"SELECT v.customer, n.kind, n.name, NULL, l.text, v.old_since, NULL FROM store_overlay v "
        f"JOIN store_names n ON n.id = v.id AND n.kind = 'tier' "
        f"LEFT JOIN store_levels l ON l.id = v.id AND l.value = v.old "
        f"WHERE NOT EXISTS (SELECT 1 FROM {before} m "
        f"WHERE m.customer = v.customer AND m.kind = n.kind AND m.name = n.name)"
    )
    row = duck.execute("SELECT count(*) FROM store_memory").fetchone()
    assert row is not None
    return int(row[0])


def counts(comparison: Comparison, current: Counts, target: Counts, there: tuple[Hand, ...]) -> Counts:
    """How many hold what: all that the target declared, and what is set by hand beside it."""
    beside = [name for kind, name, *_ in there if kind == "tag" and name not in target.tags]
    ladders = {
        (kind, name): tuple(sizes)
        for kind, of in (("tier", target.tiers), ("class", target.classes))
        for name, sizes in of.items()
    }
    found = comparison.counts(current, [*target.tags, *beside], ladders)
    return replace(found, tags={name: size for name, size in found.tags.items() if size or name in target.tags})
