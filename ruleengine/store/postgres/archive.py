"""Exports, differences, histories and values: as `store.archive`, from this store's rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from ruleengine.diagnostics import codes
from ruleengine.store import archive
from ruleengine.store.duck import connect
from ruleengine.store.postgres import holdings, preview, transfer
from ruleengine.store.postgres.holdings import State
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Change, Diff, HistoryEntry, Key, RunState, StoredValues
from ruleengine.store.refusals import RefusedError
from ruleengine.store.values import columns_of, of_texts


def history(ledger: Ledger, key: Key) -> tuple[HistoryEntry, ...]:
    """A customer's changes in all versions."""
    all_versions = {version.run: version for version in ledger.versions()}
    line = set(ledger.line())
    rows = ledger.session.rows(
        f"SELECT c.run, c.customer, c.kind, c.name, c.old, c.new, c.since, c.rule_hash, c.evidence "
        f"FROM {ledger.schema}.changes c JOIN {ledger.schema}.versions v ON v.run = c.run "
        f"WHERE c.customer = %s ORDER BY v.number, c.kind, c.name",
        key,
    )
    return tuple(HistoryEntry.of(archive.change(change), all_versions[run], line) for run, *change in rows)


def changes(ledger: Ledger, version: int, start: int, limit: int) -> tuple[Change | None, ...]:
    """The changes of a version from a place on; None where the customer was forgotten."""
    rows = ledger.session.rows(
        f"SELECT customer, kind, name, old, new, since, rule_hash, evidence FROM {ledger.schema}.changes "
        f"WHERE run = %s AND position >= %s AND position < %s ORDER BY position",
        ledger.version(version).run,
        start,
        start + limit,
    )
    return tuple(None if row[0] is None else archive.change(row) for row in rows)


def values(session: Session, run: Mapping[str, Any], key: Key) -> StoredValues | None:
    """What rules read of a customer in a run, given by its row in the ledger."""
    if run["facts_of"] is None:
        return None
    sql = f"SELECT data FROM {session.schema}.facts WHERE run = %s AND customer = %s"
    found = session.row(sql, run["facts_of"], key)
    return of_texts(columns_of(run["value_columns"]), found[0]) if found else None


def named(ledger: Ledger, version: int | None, run: str | None) -> tuple[State, int | None]:
    """The answers of a version, of a run that is one, or of a held run, and the version's number; RefusedError of
    another run."""
    held = None if run is None else ledger.run(run)
    number = ledger.needed(version) if held is None else held.version
    if held is None or number is not None:
        return holdings.of_any(ledger, ledger.needed(number)), number
    if held.state is not RunState.HELD:
        raise RefusedError(codes.run_not_held(None, run=held.id, state=held.state))
    return holdings.of_run(ledger.session, held.base, held.id), None


def assignments(
    session: Session, state: State, number: int | None, key_type: str, folder: Path
) -> duckdb.DuckDBPyConnection:
    """A connection with the table `store_rows` of a state's assignments, as they are exported."""
    schema = session.schema
    columns = [("customer_id", key_type), ("kind", "VARCHAR"), ("name", "VARCHAR"), ("value", "VARCHAR")]
    columns += [("since", "DATE"), ("version", "BIGINT")]
    duck = connect()
    transfer.copy_out(
        session,
        f"SELECT h.customer, n.kind, n.name, CASE WHEN n.kind <> 'tag' THEN l.text END, h.since, "
        f"{'NULL' if number is None else number} FROM {state.assignments} h "
        f"JOIN {schema}.names n ON n.id = h.id "
        f"JOIN {schema}.levels l ON l.id = h.id AND l.value = h.value ORDER BY h.customer, n.kind, n.name",
        duck,
        "store_rows",
        columns,
        folder,
    )
    return duck


def diff(ledger: Ledger, a: int, b: int, key_type: str, folder: Path) -> Diff:
    """Compare two versions."""
    old, new = holdings.of_any(ledger, a), holdings.of_any(ledger, b)
    names = ledger.names()
    holdings.name_tables(ledger.session, names)
    comparison = holdings.compare(ledger.session, names, old, new)
    duck = connect()
    columns = [("customer", key_type), *((name, "VARCHAR") for name in ("kind", "name", "old", "new"))]
    transfer.copy_out(ledger.session, preview.MOVES, duck, "store_rows", columns, folder)
    rows = archive.diff_rows(duck.execute("FROM store_rows ORDER BY customer, kind, name"))
    return Diff(a=a, b=b, movement=comparison.movement, shifts=comparison.shifts, rows=rows)
