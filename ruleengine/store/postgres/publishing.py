"""How a staged run becomes a version: one transaction, of which readers see nothing or all."""

from dataclasses import replace
from datetime import datetime

from ruleengine.engines.columns import literal
from ruleengine.store import versions
from ruleengine.store.postgres import changes, holdings, manual, runs
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Identity, Run, RunState, Version, VersionKind
from ruleengine.store.refusals import refuse_superseded
from ruleengine.store.steps import reach
from ruleengine.store.versions import moment_text


def publish(
    session: Session, run_id: str, reason: str | None, actor: str, identity: Identity, now: datetime
) -> Version:
    ledger = Ledger(session)
    row = ledger.run_row(run_id)
    run, staged = versions.run(row), versions.staged(row["staged"])
    current = ledger.current()
    refuse_superseded(run, current, ledger.in_force)
    latest = ledger.latest_number()
    number = 1 + (latest or 0)
    if staged.number != number:
        # Another version came between: the leaves are made again for the number that this one gets.
        leaves, root = changes.seal_again(session, run.id, number)
        staged = replace(staged, number=number, leaves=leaves, root=root)
    if not run.detached:
        _apply(session, run, number)
        _settle(session, ledger, run, staged, actor)
    made = _append(
        session, run, staged, current, ledger.version(latest) if latest else None, reason, actor, identity, now
    )
    reach("version-appended")
    if not run.detached:
        session.run(
            f"INSERT INTO {session.schema}.pointer VALUES (true, %s) ON CONFLICT (one) DO UPDATE "
            f"SET version = excluded.version",
            number,
        )
    if made.movement.rows > made.counts.customers:
        # So much is new that what the planner knows of these tables is not so any more.
        for table in ("assignments", "customers"):
            session.run(f"ANALYZE {session.schema}.{table}")
    runs.update(
        session,
        run.id,
        state=RunState.PUBLISHED.value,
        finished_at=moment_text(now),
        version=number,
        staged=versions.staged_text(staged),
    )
    reach("before-commit")
    return made


def _apply(session: Session, run: Run, number: int) -> None:
    """End the rows that count no more, and add those that count from now on."""
    schema, which = session.schema, f"c.run = {literal(run.id)}"
    names = Ledger(session).names()
    holdings.name_tables(session, names)
    session.run(
        f"UPDATE {schema}.assignments a SET to_version = {number} FROM {schema}.changes c, store_names n "
        f"WHERE {which} AND c.old IS NOT NULL AND n.kind = c.kind AND n.name = c.name "
        f"AND a.customer = c.customer AND a.id = n.id AND a.to_version IS NULL"
    )
    reach("rows-ended")
    session.run(
        f"INSERT INTO {schema}.assignments SELECT c.customer, n.id, l.value, c.since, {number} FROM {schema}.changes c "
        f"JOIN store_names n ON n.kind = c.kind AND n.name = c.name "
        f"JOIN store_levels l ON l.id = n.id AND l.text = c.new WHERE {which}"
    )
    session.table(
        "store_touched",
        f"SELECT t.customer, coalesce(a.here, true) AS here FROM ("
        f"SELECT c.customer FROM {schema}.changes c WHERE {which} UNION "
        f"SELECT c.customer FROM {schema}.arrivals c WHERE {which}) t "
        f"LEFT JOIN {schema}.arrivals a ON a.run = {literal(run.id)} AND a.customer = t.customer",
    )
    session.run(
        f"UPDATE {schema}.customers c SET to_version = {number} FROM store_touched t "
        f"WHERE t.customer = c.customer AND c.to_version IS NULL"
    )
    # Of what changed alone, however much is held.
    moves = (
        f"(SELECT c.customer, n.id, n.kind, n.place, l.value FROM {schema}.changes c "
        f"JOIN store_names n ON n.kind = c.kind AND n.name = c.name "
        f"LEFT JOIN store_levels l ON l.id = n.id AND l.text = c.new WHERE {which})"
    )
    here = "(SELECT customer FROM store_touched WHERE here)"
    before = f"(SELECT * FROM {schema}.customers WHERE to_version = {number})"
    session.run(
        f"INSERT INTO {schema}.customers SELECT customer, words, ladders, {number} "
        f"FROM {holdings.moved(names, moves, here, before)} p"
    )
    reach("rows-begun")


def _settle(session: Session, ledger: Ledger, run: Run, staged: versions.StagedFiles, actor: str) -> None:
    """What a version adds to the log of what is set by hand."""
    if run.kind is VersionKind.ROLLBACK:
        assert run.base is not None
        manual.add(session, manual.restated(session, staged.hands, ledger.version(run.base), staged.number))
    elif run.kind is VersionKind.RUN:
        manual.add(session, manual.taken_away(session, staged.number, run.header.as_of, actor))


def _append(
    session: Session,
    run: Run,
    staged: versions.StagedFiles,
    current: Version | None,
    previous: Version | None,
    reason: str | None,
    actor: str,
    identity: Identity,
    now: datetime,
) -> Version:
    assert run.counts is not None
    assert run.movement is not None
    previous_hash = previous.hash if previous else None
    header = versions.version_header_text(
        run=run,
        staged=staged,
        replaces=None if run.detached or current is None else current.number,
        counts=run.counts,
        movement=run.movement,
        report=run.report,
        reason=reason,
        actor=actor,
        created_at=now,
        identity=identity,
    )
    made = versions.sealed(header, previous_hash, staged.root)
    session.run(
        f"INSERT INTO {session.schema}.versions VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        made.number,
        run.id,
        run.base,
        run.detached,
        made.as_of,
        header,
        previous_hash,
        staged.root,
        made.hash,
    )
    return made
