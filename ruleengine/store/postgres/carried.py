"""What a version hands on to the next run, sealed: as `store.carried`, in rows."""

from collections.abc import Iterable

from ruleengine.engines.columns import literal
from ruleengine.store.carried import Blocks, Made, sealed
from ruleengine.store.leaves import CARRIED, FAN_OUT
from ruleengine.store.postgres.session import Session
from ruleengine.store.versions import StagedFiles


def seal(session: Session, run: str, staged: StagedFiles) -> StagedFiles:
    """With a new nonce, and the hashes of a run's rows."""
    return sealed(staged, blocks(session, [run])[run])


def blocks(session: Session, runs: Iterable[str]) -> Made:
    """What these runs carry."""
    made: dict[str, dict[str, Blocks]] = {run: {part: (0, []) for part in CARRIED} for run in runs}
    if not made:
        return made
    for part, columns in CARRIED.items():
        texts = (f"{name}::text" for name in columns)
        row = " || ".join(f"coalesce(octet_length({text}) || ':' || {text}, '-:')" for text in texts)
        order = ", ".join(name for name in ("customer", "kind", "name") if name in columns)
        for run, count, block in session.rows(
            f"SELECT run, rows, encode(sha256(convert_to('5:block' || octet_length(text) || ':' || text, 'UTF8')), "
            f"'hex') FROM (SELECT run, place / {FAN_OUT} AS block, count(*) AS rows, "
            f"string_agg(row, '' ORDER BY place) AS text FROM (SELECT run, {row} AS row, "
            f"row_number() OVER (PARTITION BY run ORDER BY {order}) - 1 AS place FROM {session.schema}.{part} "
            f"WHERE run IN ({', '.join(map(literal, made))})) r GROUP BY run, place / {FAN_OUT}) b ORDER BY run, block"
        ):
            rows, hashed = made[run][part]
            made[run][part] = rows + count, [*hashed, block]
    return made
