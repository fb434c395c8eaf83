"""The rows of a schema, hashed again where they lie: as `store.proving`."""

from psycopg.rows import dict_row

from ruleengine.engines.columns import literal
from ruleengine.store.auditing import Audit, Edited, Entry, Kept, Leaves, audit
from ruleengine.store.carried import published
from ruleengine.store.forgetting import SECRET
from ruleengine.store.leaves import FAN_OUT, ROW_FIELDS
from ruleengine.store.postgres import carried, replaying
from ruleengine.store.postgres.changes import leaf_sql
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Identity


def prove(ledger: Ledger, identity: Identity) -> Audit:
    """Audit the state that the session's transaction sees."""
    session, schema = ledger.session, ledger.schema
    entries = [
        Entry(*row)
        for row in session.rows(
            f"SELECT number, run, base, detached, as_of::text, header, previous_hash, root, hash "
            f"FROM {schema}.versions ORDER BY number"
        )
    ]
    with session.told(), session.connection.cursor(row_factory=dict_row) as cursor:
        runs = {row["id"]: row for row in cursor.execute(f"SELECT * FROM {schema}.runs".encode())}
    texts: dict[str, dict[str, str]] = {}
    for hash_, path, text in session.rows(f"SELECT hash, path, text FROM {schema}.texts ORDER BY path"):
        texts.setdefault(hash_, {})[path] = text
    secret = session.row(f"SELECT value FROM {schema}.meta WHERE name = {literal(SECRET)}")
    kept = Kept(
        identity=identity,
        entries=entries,
        leaves=_leaves(session, entries),
        runs=runs,
        carried=carried.blocks(session, published(runs.values())),
        texts=texts,
        secret=secret[0] if secret else None,
        current=ledger.current_number(),
    )
    return audit(kept, lambda sound, is_all: replaying.findings(ledger, sound, is_all))


def _leaves(session: Session, entries: list[Entry]) -> dict[int, Leaves]:
    schema = session.schema
    found = {entry.number: Leaves() for entry in entries}
    rows = f"{schema}.changes c JOIN {schema}.versions v ON v.run = c.run"
    children = "string_agg(encode(leaf, 'hex'), '' ORDER BY position)"
    for number, _, count, node in session.rows(
        f"SELECT v.number, position / {FAN_OUT}, count(*), "
        f"encode(sha256(convert_to('4:node' || (64 * count(*)) || ':' || {children}, 'UTF8')), 'hex') "
        f"FROM {rows} GROUP BY 1, 2 ORDER BY 1, 2"
    ):
        found[number].rows += count
        found[number].nodes.append(node)
    blank = " AND ".join(f"c.{name} IS NULL" for name in ROW_FIELDS)
    for number, place, is_blank, *row in session.rows(
        f"SELECT v.number, c.position, {blank}, c.customer, c.kind, c.name FROM {rows} "
        f"LEFT JOIN {schema}.salts s ON s.customer = c.customer "
        f"WHERE s.salt IS NULL OR c.leaf IS DISTINCT FROM {leaf_sql('v.number::text')} ORDER BY 1, 2"
    ):
        if is_blank:
            found[number].blank.append(place)
        else:
            found[number].edited.append(Edited(*row))
    return found
