"""A version of one customer: what somebody set by hand, and all that follows from it.

It costs the same however many customers there are. It has no state of its own, but is folded from its base; it shares
the values, and its memory is of that customer alone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from ruleengine.engines.columns import literal
from ruleengine.store import canonical, documents, ledger, manual, memory, versions
from ruleengine.store.desk import Desk, header_of
from ruleengine.store.duck import connect
from ruleengine.store.files import copy, whole
from ruleengine.store.ledger import update_run
from ruleengine.store.names import Names
from ruleengine.store.records import (
    GIVEN,
    Change,
    Counts,
    Json,
    Key,
    ManualWrite,
    Movement,
    Remembered,
    Version,
    VersionKind,
)
from ruleengine.store.relations import Shape
from ruleengine.store.steps import reach

_SHAPES = {"tag": "tags", "tier": "tiers", "class": "classes"}
_LABELS = {"tier": "level", "class": "value"}


def publish(desk: Desk, write: ManualWrite, current: Version, before: bytes, serial: int) -> Version:
    run = replace(
        desk.new_run(header_of(current, None), VersionKind.MANUAL, current.number),
        counts=counts(current.counts, write.changes),
        movement=movement(write.changes),
        report=report(write),
    )
    desk.folder.run(run.id).mkdir(parents=True)
    was = desk.row(current)
    linked: dict[Path, Path] = {}
    if was["has_values"]:
        copy(desk.folder.values(current.run), desk.folder.values(run.id))
        linked[desk.folder.values(run.id)] = desk.folder.values(current.run)
    names = ledger.names(desk.ledger)
    base = versions.staged(was["staged"])
    duck = connect()
    sql = changes_sql(duck, write.changes, desk.identity.key_sql)
    sealed = desk.seal(run, duck, "store_moves", sql, Shape(base.words, base.ladders))
    remembering = 0
    if write.memory or memory.of_version(desk.ledger, desk.folder, current.number):
        with whole(desk.folder.memory(run.id)) as path:
            remembering = write_memory(duck, write.customer, write.memory, desk.identity.key_sql, path)
        reach("memory-renamed")
    staged = desk.carry(run, duck, replace(sealed, memory=remembering, hands=base.hands))

    def beside() -> None:
        ledger.add_run(desk.ledger, run, {})
        desk.note(run, staged, linked)
        update_run(desk.ledger, run.id, value_columns=was["value_columns"], report=canonical.dump(run.report))
        if write.changes:
            content = document(before, write.changes)
            documents.write_one(desk.ledger, write.customer, content, moves(names, write.changes), serial)
        manual.add(desk.ledger, [manual.entry(write, staged.number, current.as_of, desk.actor)])

    return desk.commit(desk.publication(run, staged, current, write.reason), serial, beside)


def report(write: ManualWrite) -> Json:
    """What stays with the version."""
    what: Json = {
        "kind": write.kind,
        "name": write.name,
        "value": write.value,
        "expires_on": write.expires_on.isoformat() if write.expires_on else None,
    }
    return {**write.report, "manual": what}


def document(before: bytes, changes: Sequence[Change]) -> bytes:
    """A customer's document after these changes, as `documents.documents_sql` would write it."""
    holding = json.loads(before)
    tags = {tag["name"]: tag for tag in holding["tags"]}
    for change in changes:
        of = tags if change.kind == "tag" else holding[_SHAPES[change.kind]]
        of.pop(change.name, None)
        if change.new is not None:
            since = str(change.since)
            of[change.name] = (
                {"name": change.name, "since": since}
                if change.kind == "tag"
                else {_LABELS[change.kind]: change.new, "since": since}
            )
    after = {
        "tags": [tags[name] for name in sorted(tags)],
        "tiers": _sorted(holding["tiers"]),
        "classes": _sorted(holding["classes"]),
    }
    return json.dumps(after, ensure_ascii=False, separators=(",", ":")).encode()


def _sorted(of: Mapping[str, Any]) -> dict[str, Any]:
    return {name: of[name] for name in sorted(of)}


def movement(changes: Sequence[Change]) -> Movement:
    def count(kind: str, *, to: bool | None = None) -> dict[str, int]:
        return {each.name: 1 for each in changes if each.kind == kind and to in (None, each.new is not None)}

    return Movement(
        rows=len(changes),
        customers=1 if changes else 0,
        arrived=0,
        vanished=0,
        added=count("tag", to=True),
        removed=count("tag", to=False),
        tiers=count("tier"),
        classes=count("class"),
    )


def counts(before: Counts, changes: Sequence[Change]) -> Counts:
    tags = dict(before.tags)
    ladders = {
        "tier": {name: dict(sizes) for name, sizes in before.tiers.items()},
        "class": {name: dict(sizes) for name, sizes in before.classes.items()},
    }
    for change in changes:
        for value, sign in ((change.old, -1), (change.new, 1)):
            if value is not None:
                of, name = (tags, change.name) if change.kind == "tag" else (ladders[change.kind][change.name], value)
                of[name] = of.get(name, 0) + sign
    return replace(before, tags=tags, tiers=ladders["tier"], classes=ladders["class"])


def changes_sql(duck: duckdb.DuckDBPyConnection, changes: Sequence[Change], key_type: str) -> str:
    """Make `store_moves` of the changes, and answer them as `changes.write` wants them."""
    ordered = sorted(changes, key=lambda change: (change.kind, change.name))
    columns = {
        "kind": [change.kind for change in ordered],
        "name": [change.name for change in ordered],
        "old": [change.old for change in ordered],
        "new": [change.new for change in ordered],
        "since": [None if change.since is None else change.since.isoformat() for change in ordered],
        "rule_hash": [change.rule_hash for change in ordered],
        "evidence": [None if change.evidence is None else canonical.dump(change.evidence) for change in ordered],
    }
    listed = ", ".join(f"unnest(${name}::VARCHAR[]) AS {name}" for name in columns)
    duck.execute(
        f"CREATE OR REPLACE TEMP TABLE store_moves AS SELECT unnest($customers::{key_type}[]) AS customer, {listed}, "
        f"unnest(range({len(ordered)})) AS ord",
        {"customers": [change.customer for change in ordered], **columns},
    )
    return "SELECT * REPLACE (since::DATE AS since) FROM store_moves"


def write_memory(
    duck: duckdb.DuckDBPyConnection, customer: Key, rows: Sequence[Remembered], key_type: str, path: Path
) -> int:
    """Write what is remembered of the customer: one row without a kind, where that is nothing. Answers the number
    of rows."""
    key = literal(customer) if isinstance(customer, str) else str(customer)
    kept: list[tuple[object, ...]] = [(r.kind, r.name, r.matched, r.level, r.reached, r.below) for r in rows]
    kept = kept or [(None,) * 6]
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_memory AS SELECT * FROM {memory.nothing(key_type)}")
    duck.executemany(f"INSERT INTO store_memory VALUES ({key}, ?, ?, ?, ?, ?, ?)", kept)
    memory.write(duck, "store_memory", path)
    return len(kept)


def moves(names: Names, changes: Sequence[Change]) -> list[tuple[int, int, int]]:
    """Changes as name, old and new position; 0 is not held."""
    found = []
    for change in changes:
        name = names.find(change.kind, change.name)
        assert name is not None, change.name
        values = (GIVEN,) if change.kind == "tag" else name.values
        old, new = (0 if value is None else 1 + values.index(value) for value in (change.old, change.new))
        found.append((name.id, old, new))
    return found
