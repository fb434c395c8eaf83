"""Tidying, by whoever holds the lock: what was left behind, and what need not be kept any longer."""

from collections.abc import Collection, Sequence

from ruleengine.store.postgres.session import Session
from ruleengine.store.records import EDITS, RunState
from ruleengine.store.sweeping import KEPT_FILES

_OF_RUNS = ("changes", "arrivals", "facts", "memory")


def sweep(session: Session, *, alive: Collection[str]) -> None:
    schema = session.schema
    with session.transaction():
        left = session.rows(
            f"SELECT id FROM {schema}.runs WHERE state = %s AND NOT id = ANY(%s)", RunState.RUNNING.value, list(alive)
        )
        interrupted = [run for (run,) in left]
        if interrupted:
            session.run(
                f"UPDATE {schema}.runs SET state = %s, reasons = %s WHERE id = ANY(%s)",
                RunState.FAILED.value,
                '["interrupted"]',
                interrupted,
            )
            remove(session, interrupted)
        # Of a held run that can never be published any more, nothing asks for the facts.
        held = session.rows(
            f"SELECT id FROM {schema}.runs "
            f"WHERE state = %s AND (detached OR base IS NOT DISTINCT FROM (SELECT version FROM {schema}.pointer))",
            RunState.HELD.value,
        )
        gone = _present(session).difference(_with_facts(session), alive, (run for (run,) in held))
        if gone:
            session.run(f"DELETE FROM {schema}.facts WHERE run = ANY(%s)", list(gone))


def _present(session: Session) -> set[str]:
    """The runs of which there are facts: a look into the index for each, where DISTINCT would read every row."""
    facts = f"{session.schema}.facts"
    rows = session.rows(
        f"WITH RECURSIVE present AS (SELECT min(run) AS run FROM {facts} UNION ALL "
        f"SELECT (SELECT min(run) FROM {facts} f WHERE f.run > p.run) FROM present p WHERE p.run IS NOT NULL) "
        f"SELECT run FROM present WHERE run IS NOT NULL"
    )
    return {run for (run,) in rows}


def remove(session: Session, run_ids: Sequence[str]) -> None:
    """Take away what runs wrote that are not published."""
    for table in _OF_RUNS:
        session.run(f"DELETE FROM {session.schema}.{table} WHERE run = ANY(%s)", list(run_ids))


def _with_facts(session: Session) -> list[str]:
    """The runs whose facts the latest versions have: see `store.sweeping`."""
    rows = session.rows(
        f"SELECT v.number, v.base, r.kind, r.facts_of FROM {session.schema}.versions v "
        f"JOIN {session.schema}.runs r ON r.id = v.run ORDER BY v.number DESC"
    )
    own = [number for number, _, kind, _ in rows if kind not in EDITS][:KEPT_FILES]
    kept = {facts for number, _, _, facts in rows if number >= min(own, default=0)}
    by_number = {row[0]: row for row in rows}
    current = session.row(f"SELECT version FROM {session.schema}.pointer")
    row = by_number[current[0]] if current else None
    while row:
        kept.add(row[3])
        row = by_number[row[1]] if row[2] in EDITS else None
    return [facts for facts in kept if facts]
