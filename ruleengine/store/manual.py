"""What people set by hand: a log in the ledger, to which rows are only ever added.

What counts on a day is the latest row, by version, of those that count from that day or an earlier one; unless it
takes away, or has expired by then. The log is not part of the line: a rollback leaves it as it is.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import date
from typing import NamedTuple

from ruleengine.store.records import Key


class Setting(NamedTuple):
    """What counts for a customer, tag or tier."""

    customer: Key
    value: str


def in_force(ledger: sqlite3.Connection, kind: str, names: Sequence[str], day: date) -> Iterable[Setting]:
    """Who has one of these names set on a day, and to what: names of one tag or tier, which count as one."""
    if not _is_there(ledger):
        return ()
    marks = ", ".join("?" * len(names))
    # SQLite answers the other columns from the row with the maximum.
    rows = ledger.execute(
        f"SELECT customer, value, expires_on, max(version) FROM manual "
        f"WHERE kind = ? AND name IN ({marks}) AND as_of <= ? GROUP BY customer",
        (kind, *names, day.isoformat()),
    )
    return (
        Setting(customer, value)
        for customer, value, expires_on, _ in rows
        if value is not None and (expires_on is None or expires_on > day.isoformat())
    )


def _is_there(ledger: sqlite3.Connection) -> bool:
    """A store of format 1 has no log before a writer opened it."""
    return ledger.execute("SELECT 1 FROM sqlite_master WHERE name = 'manual'").fetchone() is not None
