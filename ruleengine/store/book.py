"""Small tables beside what is published: what was asked of servers and of runs, and what came of it.

They have transactions of their own, which a run at work does not hold up, and no version depends on them.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import apsw

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem
from ruleengine.store import sqlite
from ruleengine.store.refusals import StoreUnusableError, changed, of_sqlite, unusable
from ruleengine.store.sqlite import Connection

FORMAT = 1
SECONDS = 10
"""That one waits for others, who write briefly."""

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,       -- of a run, the run's own
    kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    asked TEXT NOT NULL,       -- what for; JSON, as the others below
    asked_at TEXT NOT NULL,
    begun_at TEXT,             -- its process holds a lock of its name from then on
    progress TEXT,
    cancelled TEXT,            -- by whom, and why
    settled_at TEXT,           -- from then on it cannot be cancelled
    finished_at TEXT,
    outcome TEXT,              -- in short
    result TEXT                -- in full
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replies (
    owner TEXT NOT NULL,       -- the id of an API key; empty where none is needed
    key TEXT NOT NULL,         -- of an Idempotency-Key header
    request TEXT NOT NULL,     -- its digest
    asked_at TEXT NOT NULL,
    reply TEXT,                -- none while it is being answered
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
"""


class Rows(Protocol):
    """Statements in a transaction."""

    def __call__(self, sql: str, *values: object) -> list[Any]:
        """Execute a statement with `?` for its values; the rows that it answers."""
        ...


class Book(Protocol):
    """The small tables of a store."""

    def reading(self) -> AbstractContextManager[Rows | None]:
        """One state of the tables; None where nothing was ever written."""
        ...

    def writing(self) -> AbstractContextManager[Rows]:
        """One transaction, and nobody else writes meanwhile."""
        ...

    def held(self, name: str) -> AbstractContextManager[None]:
        """Within, a lock is held that ends with this process, however it ends."""
        ...

    def is_held(self, name: str) -> bool: ...


class FileBook:
    """The tables in a file of SQLite, and a folder with a file for each lock."""

    def __init__(self, path: Path, locks: Path) -> None:
        self._path = path
        self._locks = locks

    @contextmanager
    def reading(self) -> Iterator[Rows | None]:
        if not self._path.exists():
            yield None
            return
        try:
            # Also who reads may have to undo what a process left behind that died.
            with closing(sqlite.writer(self._path, SECONDS)) as connection:
                connection.execute("BEGIN")
                yield _rows(connection) if _format(connection) else None  # Somebody may just be making it.
        except sqlite.UNUSABLE as error:
            raise of_sqlite(error, self._path.name) from error

    @contextmanager
    def writing(self) -> Iterator[Rows]:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # What was asked, and what a plan told, may name customers.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite.writer(self._path, SECONDS)) as connection:
                with suppress(apsw.BusyError):  # Of two who come first, one makes it.
                    connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA secure_delete = ON")
                connection.execute("BEGIN IMMEDIATE")
                _format(connection)
                connection.execute(_TABLES)
                connection.execute(f"PRAGMA user_version = {FORMAT}")
                yield _rows(connection)
                connection.execute("COMMIT")
        except sqlite.UNUSABLE as error:
            raise of_sqlite(error, self._path.name) from error
        except OSError as error:
            raise unusable(error) from error

    def problems(self) -> Iterator[Problem]:
        """What is damaged. Reads everything."""
        if not self._path.exists():
            return
        try:
            with closing(sqlite.reader(self._path, SECONDS)) as connection:
                if sqlite.problem_of(connection) is not None:
                    yield from changed(self._path.name).problems
        except sqlite.UNUSABLE as error:
            yield from of_sqlite(error, self._path.name).problems

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        try:
            self._locks.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self._locks / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise unusable(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # Others only look, and let go at once.
            yield
        finally:
            (self._locks / name).unlink(missing_ok=True)
            os.close(descriptor)

    def is_held(self, name: str) -> bool:
        try:
            descriptor = os.open(self._locks / name, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def _rows(connection: Connection) -> Rows:
    def rows(sql: str, *values: object) -> list[Any]:
        return list(connection.execute(sql, values))

    return rows


def _format(connection: Connection) -> int:
    """0 of a file without tables; StoreUnusableError of one that is newer than this program."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > FORMAT:
        raise StoreUnusableError(codes.store_format_newer(None, found=found, known=FORMAT))
    return int(found)
