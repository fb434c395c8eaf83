"""The rows of runs, as a writer changes them."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ruleengine.diagnostics import codes
from ruleengine.store import canonical, versions
from ruleengine.store.postgres import carried
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Run, RunState
from ruleengine.store.refusals import StoreUnusableError
from ruleengine.store.versions import moment_text

Staged = versions.StagedFiles


def add(session: Session, run: Run, texts: Mapping[str, str]) -> None:
    session.run(
        f"INSERT INTO {session.schema}.runs (id, kind, state, actor, started_at, header, base) "
        f"VALUES (%s, %s, %s, %s, %s, %s, %s)",
        run.id,
        run.kind.value,
        run.state.value,
        run.actor,
        moment_text(run.started_at),
        versions.run_header_text(run.header),
        run.base,
    )
    session.many(
        f"INSERT INTO {session.schema}.texts VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [(run.header.ruleset_hash, path, text) for path, text in texts.items()],
    )


def update(session: Session, run_id: str, **fields: Any) -> None:
    columns = ", ".join(f"{name} = %s" for name in fields)
    touched = session.run(f"UPDATE {session.schema}.runs SET {columns} WHERE id = %s", *fields.values(), run_id)
    assert touched == 1, f"run {run_id} was begun after this transaction"


def note(session: Session, run: Run, staged: Staged, **fields: Any) -> None:
    """Write what is known of a run once it is staged. StoreUnusableError where the next writer has given it up."""
    (state,) = session.row(f"SELECT state FROM {session.schema}.runs WHERE id = %s FOR UPDATE", run.id)
    if state != RunState.RUNNING:
        reason = "The connection that held the lock is gone, and somebody else writes."
        raise StoreUnusableError(codes.database_lost(session.profile.span, reason=reason))
    update(
        session,
        run.id,
        base=run.base,
        detached=run.detached,
        counts=run.counts and canonical.dump(asdict(run.counts)),
        movement=run.movement and canonical.dump(asdict(run.movement)),
        staged=versions.staged_text(staged),
        **fields,
    )


def note_edit(session: Session, run: Run, number: int, leaves: int, root: str, base: Mapping[str, Any]) -> None:
    """Write what is known of a version that computes nothing: what rules read is its base's."""
    staged = Staged(number=number, leaves=leaves, root=root, hands=versions.staged(base["staged"]).hands)
    note(
        session,
        run,
        carried.seal(session, run.id, staged),
        value_columns=base["value_columns"],
        facts_of=base["facts_of"],
        report=canonical.dump(run.report),
    )
