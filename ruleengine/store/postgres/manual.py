"""The log of what people set by hand: as `store.manual`, in this store's rows."""

from collections.abc import Sequence
from datetime import date

from ruleengine.store.manual import Entry
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Key, Version
from ruleengine.store.versions import Hand


def add(session: Session, entries: Sequence[Entry]) -> None:
    session.many(
        f"INSERT INTO {session.schema}.manual VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)", [tuple(e) for e in entries]
    )


def log(session: Session) -> list[Entry]:
    """All of it, by version."""
    rows = session.rows(
        f"SELECT customer, kind, name, version, as_of::text, value, expires_on::text, actor, reason "
        f"FROM {session.schema}.manual ORDER BY version"
    )
    return [Entry(*row) for row in rows]


def latest(
    session: Session, kind: str, names: Sequence[str], *, as_of: date | None = None, customer: Key | None = None
) -> list[Entry]:
    """The latest entry of each customer, of those up to a day; names of one tag or tier count as one."""
    where = ["kind = %s", "name = ANY(%s)"]
    values: list[object] = [kind, list(names)]
    if as_of is not None:
        where.append("as_of <= %s")
        values.append(as_of)
    if customer is not None:
        where.append("customer = %s")
        values.append(customer)
    return _latest(session, "customer", " AND ".join(where), values)


def of_customer(session: Session, customer: Key, version: int, as_of: date) -> list[Entry]:
    """The latest entry of each name, as it stood in a version."""
    return _latest(session, "kind, name", "customer = %s AND version <= %s AND as_of <= %s", [customer, version, as_of])


def restated(session: Session, hands: Sequence[Hand], target: Version, number: int) -> list[Entry]:
    """Entries that say again, from the target's day on and by the names that count then, what is set now."""
    day = target.as_of.isoformat()
    return [
        entry._replace(name=names[0], version=number, as_of=day)
        for kind, *names in hands
        for entry in latest(session, kind, names)
        if entry.as_of > day or entry.name != names[0]
    ]


def taken_away(session: Session, number: int, as_of: date, actor: str) -> list[Entry]:
    """Entries that take away what is set for customers who are not known any more: they return as new."""
    known = f"SELECT 1 FROM {session.schema}.customers c WHERE c.customer = m.customer AND c.to_version IS NULL"
    return [
        entry._replace(version=number, as_of=as_of.isoformat(), value=None, expires_on=None, actor=actor, reason=None)
        for entry in _latest(session, "customer, kind, name", f"NOT EXISTS ({known})", [])
        if entry.value is not None
    ]


def _latest(session: Session, per: str, where: str, values: Sequence[object]) -> list[Entry]:
    rows = session.rows(
        f"SELECT DISTINCT ON ({per}) customer, kind, name, version, as_of::text, value, expires_on::text, "
        f"actor, reason "
        f"FROM {session.schema}.manual m WHERE {where} ORDER BY {per}, version DESC",
        *values,
    )
    return [Entry(*row) for row in rows]
