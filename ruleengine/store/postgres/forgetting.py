"""A version that forgets customers: as `store.forgetting`, in rows.

Rows that are deleted stay in the pages of a table, and values of them among its statistics, until it is vacuumed and
analyzed, which waits for whoever still looks at what was before.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ruleengine.engines.columns import literal
from ruleengine.engines.forgotten import NOBODY, Forgotten
from ruleengine.store import canonical, naming, versions
from ruleengine.store.book import Book
from ruleengine.store.carried import sealed
from ruleengine.store.desk import header_of, new_run
from ruleengine.store.forgetting import (
    DISCARDED,
    SECRET,
    forget_told,
    losses,
    movement,
    refuse_again,
    remaining,
    report,
    with_secret,
)
from ruleengine.store.postgres import carried, changes, runs, sweeping
from ruleengine.store.postgres.documents import of_customers
from ruleengine.store.postgres.holdings import of_version
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Key, Run, RunState, Version, VersionKind
from ruleengine.store.refusals import unknown_customer
from ruleengine.store.remnants import ERASING

TABLES = (
    *("changes", "arrivals", "assignments", "customers", "facts", "memory", "manual", "salts"),
    *("runs", "jobs", "replies"),
)
"""Where rows of customers lie, or words that may name them."""
ATTEMPTS = 3
PAUSE = 0.3
"""Seconds between attempts, for readers to come to an end."""


def forgotten(session: Session) -> Forgotten:
    """Everybody who was forgotten."""
    row = session.row(f"SELECT value FROM {session.schema}.meta WHERE name = {literal(SECRET)}")
    if row is None:
        return NOBODY
    rows = session.rows(
        f"SELECT v.header FROM {session.schema}.versions v JOIN {session.schema}.runs r ON r.id = v.run "
        f"WHERE r.kind = {literal(VersionKind.FORGET)}"
    )
    hashes = (hash_ for (header,) in rows for hash_ in json.loads(header)["report"]["forgotten"]["customers"])
    return Forgotten(row[0], frozenset(hashes))


def forget(
    session: Session,
    customers: Sequence[Key],
    current: Version,
    actor: str,
    now: datetime,
    book: Book,
) -> Run:
    """Stage it."""
    ledger, schema = Ledger(session), session.schema
    known = with_secret(forgotten(session))
    refuse_again(known, customers)
    theirs = f"customer = ANY (%s::{schema}.key[])"
    whom = list(customers)
    places = " UNION ".join(
        f"SELECT customer FROM {schema}.{table} WHERE {theirs}" for table in ("salts", "customers", "facts", "manual")
    )
    found = {customer for (customer,) in session.rows(places, *[whom] * 4)}
    for customer in customers:
        if customer not in found:
            raise unknown_customer(customer, current.number)
    forget_told(book, customers)
    documents = of_customers(session, of_version(session, current.number), whom)
    holding = {customer: document for customer, document in zip(whom, documents, strict=True) if document is not None}
    was = ledger.run_of(current.number)
    lost = [change for customer, document in holding.items() for change in losses(customer, document)]
    _discard_held(session)
    carrying = _carrying(session, whom)
    leaves = session.rows(f"SELECT of_version, first_leaf, leaves FROM {schema}.forget(%s::{schema}.key[])", whom)
    run = replace(
        new_run(header_of(current, None), VersionKind.FORGET, current.number, actor, now),
        counts=remaining(current.counts, lost, len(holding)),
        movement=movement(len(holding)),
        report=report(known, customers, leaves, _sealed_again(session, carrying)),
    )
    runs.add(session, run, {})
    number = 1 + (ledger.latest_number() or 0)
    count, root = changes.write(session, run.id, number, f"SELECT {changes.COLUMNS} FROM {schema}.changes WHERE false")
    runs.note_edit(session, run, number, count, root, was)
    _take_names_out(session, customers)
    for name, value in ((SECRET, known.secret), (ERASING, str(session.row("SELECT clock_timestamp()")[0]))):
        session.run(
            f"INSERT INTO {schema}.meta VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            value,
        )
    return run


def _carrying(session: Session, whom: list[Key]) -> dict[str, tuple[int, versions.StagedFiles]]:
    """By run the versions that hand on rows of theirs, and what the ledger knows of these."""
    schema = session.schema
    theirs = f"customer = ANY (%s::{schema}.key[])"
    rows = session.rows(
        f"SELECT r.id, v.number, r.staged FROM {schema}.runs r JOIN {schema}.versions v ON v.run = r.id WHERE r.id IN "
        f"(SELECT run FROM {schema}.arrivals WHERE {theirs} UNION SELECT run FROM {schema}.memory WHERE {theirs})",
        whom,
        whom,
    )
    found = {run: (number, versions.staged(staged)) for run, number, staged in rows}
    return {run: of for run, of in found.items() if of[1].nonce is not None}


def _sealed_again(
    session: Session, carrying: Mapping[str, tuple[int, versions.StagedFiles]]
) -> Mapping[int, Mapping[str, str]]:
    """Seal anew what is left of what these runs hand on; answers the hashes by version."""
    made = carried.blocks(session, carrying)
    hashes: dict[int, Mapping[str, str]] = {}
    for run, (number, staged) in carrying.items():
        again = sealed(staged, made[run])
        runs.update(session, run, staged=versions.staged_text(again))
        hashes[number] = again.carried or {}
    return hashes


def _discard_held(session: Session) -> None:
    rows = session.rows(f"SELECT id FROM {session.schema}.runs WHERE state = {literal(RunState.HELD)}")
    held = [run for (run,) in rows]
    sweeping.remove(session, held)
    for run in held:
        runs.update(session, run, state=RunState.FAILED.value, reasons=canonical.dump([DISCARDED]))


def _take_names_out(session: Session, customers: Sequence[Key]) -> None:
    spoken = naming.pattern(customers)
    failed = f"SELECT id, reasons FROM {session.schema}.runs WHERE state = {literal(RunState.FAILED)}"
    for run, reasons in session.rows(failed):
        without = canonical.dump(naming.unnamed(json.loads(reasons), spoken))
        if without != reasons:
            runs.update(session, run, reasons=without)


# -- remnants ------------------------------------------------------------------------------------------------


def erasing(session: Session) -> bool:
    """Whether rows that were deleted may still lie in the tables: one of them was not vacuumed since, or not of all
    that was dead."""
    noted = session.row(f"SELECT value FROM {session.schema}.meta WHERE name = {literal(ERASING)}")
    if noted is None:
        return False
    tables = ", ".join(f"{literal(f'{session.schema}.{table}')}::regclass" for table in TABLES)
    (left,) = session.row(
        f"SELECT count(*) FROM pg_catalog.pg_stat_all_tables WHERE relid IN ({tables}) AND (n_dead_tup > 0 "
        f"OR coalesce(greatest(last_vacuum, last_autovacuum), '-infinity') < {literal(noted[0])}::timestamptz)"
    )
    return bool(left)


def tidy(session: Session) -> None:
    """Vacuum what is left of whoever was forgotten; this takes the right to, and that nobody looks at it any more."""
    if not erasing(session):
        return
    tables = ", ".join(f"{session.schema}.{table}" for table in TABLES)
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        session.run(f"VACUUM (ANALYZE) {tables}")
        if not erasing(session):
            session.run(f"DELETE FROM {session.schema}.meta WHERE name = {literal(ERASING)}")
            return
