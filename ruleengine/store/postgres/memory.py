"""What a version remembers beside what customers hold: see `store.memory`."""

from ruleengine.engines.columns import literal
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import EDITS

COLUMNS = "customer, kind, name, matched, level, reached, below"


def of_version(session: Session, number: int) -> str:
    """A relation of it. A manual version has rows of its one customer alone."""
    schema = session.schema
    edits: list[str] = []
    while True:
        run, kind, base = session.row(
            f"SELECT r.id, r.kind, v.base FROM {schema}.versions v JOIN {schema}.runs r ON r.id = v.run "
            f"WHERE v.number = %s",
            number,
        )
        if kind not in EDITS:
            break
        edits.append(run)
        number = base
    whole = f"SELECT {COLUMNS} FROM {schema}.memory m WHERE run = {literal(run)}"
    if not edits:
        return f"({whole})"
    steps = ", ".join(f"({literal(edit)}, {age})" for age, edit in enumerate(edits))
    edited = (
        f"(SELECT m.*, rank() OVER (PARTITION BY customer ORDER BY age) AS newest FROM {schema}.memory m "
        f"JOIN (VALUES {steps}) AS steps (edit, age) ON edit = run)"
    )
    return (
        f"(SELECT {COLUMNS} FROM {edited} e WHERE newest = 1 AND kind IS NOT NULL UNION ALL {whole} "
        f"AND NOT EXISTS (SELECT 1 FROM {edited} e WHERE e.customer = m.customer))"
    )
