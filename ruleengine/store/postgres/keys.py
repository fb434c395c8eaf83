"""Keys of the API: as `store.keys`, in this store's rows."""

from dataclasses import replace
from datetime import datetime

from ruleengine.diagnostics import codes
from ruleengine.store.keys import dumped, listed, loaded
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import ApiKey
from ruleengine.store.refusals import NotThereError


def all(session: Session) -> tuple[ApiKey, ...]:
    return listed(session.rows(f"SELECT key FROM {session.schema}.api_keys"))


def find(session: Session, digest: str) -> ApiKey | None:
    row = session.row(f"SELECT key FROM {session.schema}.api_keys WHERE digest = %s", digest)
    return loaded(row[0]) if row else None


def add(session: Session, key: ApiKey) -> None:
    """Ends the transaction, as does `revoke`."""
    session.run(f"INSERT INTO {session.schema}.api_keys VALUES (%s, %s, %s)", key.id, key.digest, dumped(key))
    session.run("COMMIT")


def revoke(session: Session, key_id: str, moment: datetime) -> ApiKey:
    row = session.row(f"SELECT key FROM {session.schema}.api_keys WHERE id = %s FOR UPDATE", key_id)
    if row is None:
        raise NotThereError(codes.key_unknown(None, key=key_id))
    key = loaded(row[0])
    if key.revoked_at is None:
        key = replace(key, revoked_at=moment)
        session.run(f"UPDATE {session.schema}.api_keys SET key = %s WHERE id = %s", dumped(key), key_id)
        session.run("COMMIT")
    return key
