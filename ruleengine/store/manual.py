"""What people set by hand: a log in the ledger, to which rows are only ever added.

What counts on a day is the latest row, by version, of those that count from that day or an earlier one; unless it
takes away, or has expired by then. The log is not part of the line: a rollback leaves it as it is.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple

import duckdb

from ruleengine.store.records import Key, ManualWrite, Setting, Version
from ruleengine.store.sqlite import Connection
from ruleengine.store.versions import Hand


class Entry(NamedTuple):
    """A row of the log: see the ledger's tables."""

    customer: Key
    kind: str
    name: str
    version: int
    as_of: str
    value: str | None
    expires_on: str | None
    actor: str
    reason: str | None

    def counts_on(self, day: date) -> bool:
        return self.value is not None and (self.expires_on is None or self.expires_on > day.isoformat())


def setting(entry: Entry) -> Setting:
    assert entry.value is not None
    return Setting(
        kind="tag" if entry.kind == "tag" else "tier",
        name=entry.name,
        value=entry.value,
        as_of=date.fromisoformat(entry.as_of),
        expires_on=date.fromisoformat(entry.expires_on) if entry.expires_on else None,
        version=entry.version,
        actor=entry.actor,
        reason=entry.reason,
    )


def entry(write: ManualWrite, number: int, as_of: date, actor: str) -> Entry:
    return Entry(
        customer=write.customer,
        kind=write.kind,
        name=write.name,
        version=number,
        as_of=as_of.isoformat(),
        value=write.value,
        expires_on=write.expires_on.isoformat() if write.expires_on else None,
        actor=actor,
        reason=write.reason,
    )


def add(ledger: Connection, entries: Sequence[Entry]) -> None:
    ledger.executemany("INSERT INTO manual VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", entries)


def log(ledger: Connection) -> list[Entry]:
    """All of it, by version."""
    if not _is_there(ledger):
        return []
    return [Entry(*row) for row in ledger.execute(f"SELECT {', '.join(Entry._fields)} FROM manual ORDER BY version")]


def latest(
    ledger: Connection,
    kind: str,
    names: Sequence[str],
    *,
    as_of: date | None = None,
    customer: Key | None = None,
) -> Iterator[Entry]:
    """The latest entry of each customer, of those up to a day; names of one tag or tier count as one."""
    where = ["kind = ?", f"name IN ({', '.join('?' * len(names))})"]
    values: list[object] = [kind, *names]
    if as_of is not None:
        where.append("as_of <= ?")
        values.append(as_of.isoformat())
    if customer is not None:
        where.append("customer = ?")
        values.append(customer)
    return _latest(ledger, "customer", " AND ".join(where), values)


def of_customer(ledger: Connection, customer: Key, version: int, as_of: date) -> Iterator[Entry]:
    """The latest entry of each name, as it stood in a version."""
    where = "customer = ? AND version <= ? AND as_of <= ?"
    return _latest(ledger, "kind, name", where, [customer, version, as_of.isoformat()])


def restated(ledger: Connection, hands: Sequence[Hand], target: Version, number: int) -> list[Entry]:
    """Entries that say again, from the target's day on and by the names that count then, what is set now."""
    day = target.as_of.isoformat()
    return [
        entry._replace(name=names[0], version=number, as_of=day)
        for kind, *names in hands
        for entry in latest(ledger, kind, names)
        if entry.as_of > day or entry.name != names[0]
    ]


def taken_away(
    ledger: Connection,
    duck: duckdb.DuckDBPyConnection,
    state: str,
    number: int,
    as_of: date,
    actor: str,
) -> list[Entry]:
    """Entries that take away what is set for customers whom a version does not know: they return as new."""
    entries = [entry for entry in _latest(ledger, "customer, kind, name", "true", []) if entry.value is not None]
    if not entries:
        return []
    customers = sorted({entry.customer for entry in entries})
    rows = duck.execute(
        f"SELECT customer FROM {state} WHERE customer IN (SELECT unnest($customers))", {"customers": customers}
    )
    known = {customer for (customer,) in rows.fetchall()}
    return [
        entry._replace(version=number, as_of=as_of.isoformat(), value=None, expires_on=None, actor=actor, reason=None)
        for entry in entries
        if entry.customer not in known
    ]


def _latest(ledger: Connection, per: str, where: str, values: Sequence[object]) -> Iterator[Entry]:
    if not _is_there(ledger):
        return
    # SQLite answers bare columns from the row with the maximum.
    rows = ledger.execute(
        f"SELECT customer, kind, name, max(version), as_of, value, expires_on, actor, reason "
        f"FROM manual WHERE {where} GROUP BY {per} ORDER BY {per}",
        values,
    )
    for row in rows:
        yield Entry(*row)


def _is_there(ledger: Connection) -> bool:
    """A store of format 1 has no log before a writer opened it."""
    return bool(ledger.table_exists(None, "manual"))
