"""A store that somebody changed behind the product's back: every change is found, at the version that it concerns."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ruleengine.store import leaves
from ruleengine.store.auditing import Audit, first_bad
from ruleengine.store.embedded import EmbeddedStore
from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.records import Key
from ruleengine.store.store import Store
from ruleengine.verbs import anchors
from ruleengine.verbs.anchors import Lines
from tests.store import by_hand
from tests.store.conftest import STORES
from tests.store.tables import IDENTITY, Held, Standing, held, hold, publish
from tests.store.tampering import Hands, tampering

RUN = 5
"""A version of a run amid others."""
EDIT = 6
"""One that somebody set by hand."""
BACK = 8
"""A rollback, the current one."""

CHANGED: dict[type[Store], str] = {PostgresStore: "changes", EmbeddedStore: "changes.parquet"}


@pytest.fixture(scope="module", params=STORES)
def made(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A store of each kind, which every test leaves as it was."""
    with STORES[request.param]() as store:
        yield fill(store)


def fill(store: Store) -> Store:
    """Eight versions: the fourth is detached, the last two a held run that was published and a rollback."""
    rules = by_hand.RULES
    everybody: dict[Key, Held] = {key: held("VIP", loyalty="Gold") for key in range(20)}
    publish(store, "2026-01-01", everybody, rules=rules)
    publish(
        store, "2026-02-01", {key: held(*["VIP"][: key % 2], loyalty="Silver") for key in range(5, 30)}, rules=rules
    )
    by_hand.block(store, 7)
    publish(store, "2026-01-15", {1: held(loyalty="Silver")}, rules=rules)
    publish(store, "2026-03-01", {key: _kept(key) for key in range(4, 30)}, rules=rules)
    by_hand.block(store, 9)
    delta = hold(store, "2026-04-01", {key: held("VIP") for key in range(3, 20)}, rules=rules)
    with store.writer("boss", IDENTITY) as one:
        one.publish_held(delta.run.id, "checked")
        one.rollback(2, "wrong")
    return store


def _kept(key: int) -> Held:
    standing = {"loyalty": Standing("Gold", date(2026, 1, 1), date(2026, 2, 1))}
    return replace(
        held("VIP", loyalty="Silver"), matched={"VIP": date(2026, 2, 3)}, standing=standing if key % 2 else {}
    )


def said(audit: Audit) -> list[tuple[int | None, str]]:
    return [(finding.version, finding.problem.code.name) for finding in audit.findings]


def test_a_store_that_nobody_touched_is_good(made: Store) -> None:
    audit = made.audit()

    assert said(audit) == []
    assert audit.hashes == {version.number: version.hash for version in made.versions()}
    assert audit.changes == sum(version.movement.rows for version in made.versions())
    with tampering(made) as hands:
        assert hands.run(CHANGED[type(made)], "UPDATE {t} SET name = name", RUN)
        assert said(hands.audit()) == [], "what writes a file anew changes nothing by itself"


# -- every column ----------------------------------------------------------------------------------------------

ALL = "true"
OF_RUN = "id = (SELECT run FROM {s}versions WHERE number = 5)"
ROWS_OF_RUN = "run = (SELECT run FROM {s}versions WHERE number = 5)"
BOTH: dict[str, tuple[str, dict[str, str]]] = {
    "versions": (
        "number = 5",
        {
            "number": "99",
            "run": "'another'",
            "base": "1",
            "detached": "NOT detached",
            "as_of": "'2026-03-02'",
            "header": "replace(header, 'tester', 'nobody')",
            "previous_hash": "'0'",
            "root": "'0'",
            "hash": "'0'",
        },
    ),
    "runs": (
        OF_RUN,
        {
            "id": "'another'",
            "kind": "'manual'",
            "state": "'failed'",
            "actor": "'nobody'",
            "started_at": "'2020-01-01T00:00:00.000+00:00'",
            "finished_at": "NULL",
            "header": "replace(header, 'duckdb', 'other')",
            "base": "1",
            "detached": "NOT detached",
            "counts": "'{}'",
            "movement": "'{}'",
            "report": "'1'",
            "version": "2",
            "reasons": "'[\"nothing\"]'",
            "staged": "replace(staged, 'Blocked', 'Other')",
        },
    ),
    "texts": (ALL, {"hash": "'0'", "path": "'other.rules'", "text": "text || ' '"}),
    "pointer": (ALL, {"version": "5"}),
    "names": ("name = 'VIP'", {"id": "99", "kind": "'tier'", "name": "'Other'", "place": "7"}),
    "manual": (
        "version = 6",
        {
            "customer": "99",
            "kind": "'tier'",
            "name": "'Other'",
            "version": "5",
            "as_of": "'2026-03-02'",
            "value": "NULL",
            "expires_on": "'2030-01-01'",
            "actor": "'nobody'",
            "reason": "'x'",
        },
    ),
    "meta": ("name = 'ruleset'", {"value": "'another'"}),
}
CHANGES = {
    "customer": "customer + 1000",
    "kind": "'x'",
    "name": "'x'",
    "old": "coalesce(old, '') || 'x'",
    "new": "coalesce(new, '') || 'x'",
    "since": "'1999-01-01'",
    "rule_hash": "'x'",
    "evidence": "'{}'",
}
MEMORY = {
    "customer": "customer + 1000",
    "kind": "'x'",
    "name": "'x'",
    "matched": "'1999-01-01'",
    "level": "'Member'",
    "reached": "'1999-01-01'",
    "below": "NULL",
}
IN_FOLDER: dict[str, tuple[str, dict[str, str]]] = {
    "versions": ("number = 5", {"serial": "1", "changes": "1"}),
    "pointer": (ALL, {"serial": "1"}),
    "levels": ("value = 'Gold'", {"name": "99", "position": "7", "value": "'Other'"}),
    "salt_pieces": ("path = (SELECT min(path) FROM {t})", {"path": "'nowhere.parquet'"}),
    "documents": (
        "to_serial IS NULL AND customer = (SELECT min(customer) FROM {t} WHERE to_serial IS NULL)",
        {"customer": "999", "from_serial": "from_serial + 1", "to_serial": "1", "document": "x'7b7d'"},
    ),
    "members": (
        "to_serial IS NULL AND customer = (SELECT min(customer) FROM {t} WHERE to_serial IS NULL)",
        {"name": "99", "value": "7", "customer": "999", "from_serial": "from_serial + 1", "to_serial": "1"},
    ),
    "changes.parquet": ("position = 0", {**CHANGES, "leaf": "'\\x00'::BLOB"}),
    "arrivals.parquet": ("position = 0", {"customer": "customer + 1000", "here": "NOT here"}),
    "memory.parquet": ("kind = 'tier' AND position < 9", MEMORY),
    "state.parquet": (
        "position = 0",
        {"customer": "customer + 1000", "w0": "0", "since": "['1999-01-01'::DATE]", "l0": "3", "s0": "'1999-01-01'"},
    ),
    "overlay.parquet": (
        "position = 0",
        {
            "customer": "customer + 1000",
            "kind": "'x'",
            "name": "'x'",
            "new": "'Gold'",
            "since": "'1999-01-01'",
        },
    ),
    "salts.parquet": ("position = 0", {"customer": "customer + 1000", "salt": "'\\x00'::BLOB"}),
}
LIVES_IN = {"overlay.parquet": BACK, "salts.parquet": 1}
IN_ROWS: dict[str, tuple[str, dict[str, str]]] = {
    "levels": ("text = 'Gold'", {"id": "99", "value": "7", "text": "'Other'"}),
    "salts": ("customer = 5", {"customer": "999", "salt": "'\\x00'"}),
    "changes": (
        ROWS_OF_RUN + " AND position = 0",
        {**CHANGES, "run": "'another'", "position": "99", "leaf": "'\\x00'"},
    ),
    "arrivals": (ROWS_OF_RUN, {"run": "'another'", "customer": "customer + 1000", "here": "NOT here"}),
    "memory": (ROWS_OF_RUN + " AND kind = 'tier'", {**MEMORY, "run": "'another'"}),
    "assignments": (
        "to_version IS NULL AND customer = (SELECT min(customer) FROM {t} WHERE to_version IS NULL)",
        {
            "customer": "999",
            "id": "id + 90",
            "value": "7",
            "since": "'2020-01-01'",
            "from_version": "from_version + 1",
            "to_version": "7",
        },
    ),
    "customers": (
        "to_version IS NULL AND customer = (SELECT min(customer) FROM {t} WHERE to_version IS NULL)",
        {
            "customer": "999",
            "words": "'{0}'",
            "ladders": "'{3}'",
            "from_version": "from_version + 1",
            "to_version": "7",
        },
    ),
}
HOUSEKEEPING = "when rows and files that are not needed any more are tidied away"
VALUES = "what rules read of everybody in the latest versions; docs/audit.md says what they can change"
APART = "no version depends on it"
OPEN = {
    "runs": {"sequence": "the order in which runs are listed", "value_columns": VALUES, "facts_of": VALUES},
    "versions": dict.fromkeys(("snapshot", "has_state", "has_values", "superseded_at"), HOUSEKEEPING),
    "pointer": {"one": "there is one row", "floor": HOUSEKEEPING},
    "meta": {"name": "nothing opens a store that lacks one"},
    "files": dict.fromkeys(("path", "digest"), "what does not fit its digest is refused, and the contents are hashed"),
    "folders": dict.fromkeys(("run", "folder"), "where files lie, whose contents are hashed"),
    "values.parquet": {"*": VALUES},
    "facts": {"*": VALUES},
    "overlay.parquet": {"old": "nothing reads it"},
    "writer": {"*": APART},
    "api_keys": {"*": APART},
    "jobs": {"*": APART},
    "replies": {"*": APART},
}


def covered(store: Store) -> Iterator[tuple[str, str, str, str]]:
    """Table, column, other value and which rows."""
    for tables in (BOTH, IN_ROWS if isinstance(store, PostgresStore) else IN_FOLDER):
        for table, (where, columns) in tables.items():
            for column, value in columns.items():
                yield table, column, value, where


def test_every_column_is_covered_or_left_out_for_a_reason(made: Store) -> None:
    with tampering(made) as hands:
        found = hands.columns()
    known = {(table, column) for table, column, *_ in covered(made)}

    for table, column in sorted(found - known):
        assert table in OPEN, (table, column)
        assert {column, "*"} & set(OPEN[table]), (table, column)
    assert known <= found


@pytest.mark.slow
def test_every_column_that_is_covered(made: Store) -> None:
    schema = f'"{made.profile.schema}".' if isinstance(made, PostgresStore) else ""
    for table, column, value, where in covered(made):
        with tampering(made) as hands:
            where = where.replace("{s}", schema)
            touched = hands.run(table, f"UPDATE {{t}} SET {column} = {value} WHERE {where}", LIVES_IN.get(table, RUN))
            assert touched, (table, column)
            found = hands.audit()
        assert found.findings, (table, column)
        if (column in BOTH.get(table, ("", {}))[1] and table in ("versions", "runs")) or where.startswith(
            ROWS_OF_RUN.replace("{s}", schema)
        ):
            assert found.first_bad == RUN, (table, column, said(found))
        if table == "manual":
            assert found.first_bad in (RUN, EDIT), (table, column, said(found))


@pytest.mark.slow
def test_rows_that_are_deleted(made: Store) -> None:
    tables = {table for table, *_ in covered(made)} - {"meta", "names", "levels"}
    for table in sorted(tables):
        with tampering(made) as hands:
            if not hands.run(table, "DELETE FROM {t}", LIVES_IN.get(table, RUN)):
                raise AssertionError(table)
            assert hands.audit().findings, table
    for number in range(1, BACK):
        with tampering(made) as hands:
            hands.run("versions", f"DELETE FROM {{t}} WHERE number = {number}")
            assert hands.audit().first_bad == number


def test_texts_of_rules_are_named(made: Store) -> None:
    with tampering(made) as hands:
        hands.run("texts", "UPDATE {t} SET text = text || ' '")
        (finding,) = hands.audit().findings

    assert (finding.version, finding.problem.code.name) == (1, "audit-texts-differ")
    assert finding.problem.facts["files"] == "value.rules"


# -- at random, with an anchor of every version ----------------------------------------------------------------

KINDS = ("edit", "delete", "swap", "insert", "truncate", "cut", "rehash")


@contextmanager
def anchored(store: Store, file: Path) -> Iterator[Lines]:
    for version in store.versions():
        anchors.append(file, "retail", version.number, version.hash, None)
    yield Lines.of(file)


def _at_random(made: Store, lines: Lines, kind: str, seed: int) -> None:
    chance = random.Random(f"{kind} {seed}")
    number = chance.choice([each.number for each in made.versions() if each.movement.rows > 1])
    table = CHANGED[type(made)]
    of = f"run = '{made.version(number).run}' AND " if isinstance(made, PostgresStore) else ""
    with tampering(made) as hands:
        if kind == "cut":
            number = chance.randrange(2, BACK + 1)
            _cut(hands, number)
        elif kind == "rehash":
            _rehash(hands, table, of, number, chance)
        else:
            rows = made.version(number).movement.rows
            one, other = (f"{of}position = {place}" for place in chance.sample(range(rows), 2))
            column, value = chance.choice(list(CHANGES.items()))
            leaf = f"(SELECT leaf FROM {{t}} WHERE {other})"
            statement = {
                "edit": f"UPDATE {{t}} SET {column} = {value} WHERE {one}",
                "delete": f"DELETE FROM {{t}} WHERE {one}",
                "swap": f"UPDATE {{t}} SET name = name || 'x', leaf = {leaf} WHERE {one}",
                "insert": f"CREATE TEMP TABLE more AS SELECT * FROM {{t}} WHERE {one};"
                f"UPDATE more SET position = 100000, customer = customer + 1000;"
                f"INSERT INTO {{t}} SELECT * FROM more;DROP TABLE more",
                "truncate": f"DELETE FROM {{t}} WHERE {of}position >= {chance.randrange(rows)}",
            }[kind]
            hands.run(table, statement, number)
        audit = hands.audit()
    found = [*([] if kind == "cut" else audit.findings), *lines.findings("retail", audit.hashes, None)]
    assert first_bad(found) == number, (kind, seed, number, said(audit))
    if kind == "rehash":
        assert said(audit) == [], (kind, seed)  # The anchor alone tells of it.


def _cut(hands: Hands, number: int) -> None:
    """Cut off the last versions from one on, and whatever knows of them."""
    hands.run("versions", f"DELETE FROM {{t}} WHERE number >= {number}")
    hands.run("runs", f"DELETE FROM {{t}} WHERE version >= {number}")
    left = max((int(row["number"]) for row in hands.rows("versions") if not row["detached"]), default=0)
    hands.run("pointer", f"UPDATE {{t}} SET version = {left}")


def _rehash(hands: Hands, table: str, of: str, number: int, chance: random.Random) -> None:
    """Give a change another reason, and make its leaf and every hash from there on anew."""
    rows = hands.changes(number)
    row = chance.choice(rows)
    edited = {**row, "evidence": '{"monetary_90d":"999999.0000"}', "rule_hash": "another"}
    fields = [None if edited[name] is None else str(edited[name]) for name in leaves.ROW_FIELDS]
    leaf = leaves.digest("leaf", row["salt"].hex(), str(number), *fields)
    binary = f"decode('{leaf}', 'hex')" if table == "changes" else f"unhex('{leaf}')"
    hands.run(
        table,
        f"UPDATE {{t}} SET evidence = '{edited['evidence']}', "
        f"rule_hash = 'another', leaf = {binary} WHERE {of}position = {row['position']}",
        number,
    )
    hands.make_hashes_anew(number, [leaf if each is row else each["leaf"].hex() for each in rows])


def test_changes_that_are_tampered_with(made: Store, tmp_path: Path) -> None:
    with anchored(made, tmp_path / "anchors") as lines:
        for kind in KINDS:
            _at_random(made, lines, kind, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_changes_that_are_tampered_with_at_random(made: Store, kind: str, tmp_path: Path) -> None:
    with anchored(made, tmp_path / "anchors") as lines:
        for seed in range(int(os.environ.get("TAMPERINGS", "25"))):
            _at_random(made, lines, kind, seed)
