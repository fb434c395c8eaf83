"""What is left in the ledger's file of rows that were deleted, and how it goes."""

from ruleengine.store import ledger
from ruleengine.store.sqlite import Connection
from ruleengine.store.steps import reach

ERASING = "erasing"
"""Noted in the ledger while remnants may lie in the pages of its file (`vacuum`), or only in its log (`log`)."""
PATIENCE = 1_000
"""Milliseconds to wait for readers of the ledger, before its log is left to the next writer."""


def tidy(connection: Connection) -> None:
    """Finish what a version began that forgot somebody, once the folders are swept.

    Rows that are deleted stay in free pages, and in pages that were split. So the file is made anew, and its log
    emptied; for that, no reader may still look at what was before.
    """
    left = ledger.noted(connection, ERASING)
    if left is None:
        return
    if left == "vacuum":
        connection.execute("VACUUM")
        connection.execute("UPDATE meta SET value = 'log' WHERE name = ?", (ERASING,))
        reach("vacuumed")
    patience = connection.execute("PRAGMA busy_timeout").fetchone()[0]
    connection.execute(f"PRAGMA busy_timeout = {PATIENCE}")
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {patience}")
    if not busy:
        connection.execute("DELETE FROM meta WHERE name = ?", (ERASING,))
