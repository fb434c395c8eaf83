"""SQLite, with a checksum on every page: what changed on the disk by itself is an error, and never an answer.

SQLite reads whatever bytes it finds. Its own extension `cksumvfs` keeps a checksum at the end of each page, and looks
at it whenever the page is read; apsw brings both, which Python's sqlite3 cannot load on every machine. The two must not
be mixed: of two copies of SQLite in one process, each would drop the locks of the other.
"""

from collections.abc import Iterator, KeysView, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw
import apsw.sqlite_extra

PAGE = 4096
CHECKSUM = 8
"""Bytes at the end of each page."""

Error = apsw.Error

UNUSABLE = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.LockedError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ProtocolError,
    apsw.ReadOnlyError,
)
"""Errors of the disk, of rights and of other processes; the rest are mistakes of ours."""

_DAMAGED = (apsw.CorruptError, apsw.NotADBError)
_DAMAGED_RESULTS = {apsw.SQLITE_IOERR_DATA, apsw.SQLITE_IOERR_CORRUPTFS, apsw.SQLITE_IOERR_SHORT_READ}


class Connection(apsw.Connection):
    """Of one file. Its rows are `Row`s."""

    _cursor: apsw.Cursor | None = None

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        return super().execute(*args, **kwargs)

    def row(self, statement: str, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The first row as a bare tuple, by a cursor that stays: for what is asked by the thousands."""
        if self._cursor is None:
            self._cursor = plain(self)
        # To the end of the statement, or it would hold on to the state that it reads.
        rows = self._cursor.execute(statement, values).fetchall()
        return rows[0] if rows else None


class Row(tuple[Any, ...]):
    """A row, by place and by name."""

    _places: Mapping[str, int]

    def keys(self) -> KeysView[str]:
        return self._places.keys()

    def __getitem__(self, at: Any) -> Any:
        return super().__getitem__(self._places[at] if isinstance(at, str) else at)


def _row(cursor: apsw.Cursor, values: tuple[Any, ...]) -> Row:
    row = Row(values)
    row._places = {name: place for place, (name, *_) in enumerate(cursor.get_description())}
    return row


def plain(connection: Connection) -> apsw.Cursor:
    """A cursor whose rows are bare tuples: several times as fast, for what is read by the thousands."""
    cursor = connection.cursor()
    cursor.row_trace = None
    return cursor


def reader(path: Path, seconds: float) -> Connection:
    """A connection that only reads, and waits so long for others."""
    _refuse_cut(path)
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return _prepared(Connection(f"{path.absolute().as_uri()}?mode=ro", flags=flags), seconds)


def writer(path: Path, seconds: float) -> Connection:
    """A connection that writes. A file that it creates has checksums."""
    _refuse_cut(path)
    is_new = not path.exists() or not path.stat().st_size
    connection = _prepared(Connection(str(path)), seconds)
    if is_new:
        connection.reserve_bytes(reserve=CHECKSUM)
    return connection


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Of a writer: whole or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def has_checksums(connection: Connection) -> bool:
    return connection.reserve_bytes() == CHECKSUM


def add_checksums(connection: Connection) -> None:
    """Write a file anew that has none yet. Others may read it meanwhile."""
    connection.reserve_bytes(reserve=CHECKSUM)
    connection.execute("VACUUM")


def problem_of(connection: Connection) -> str | None:
    """What is wrong with the file, of which every page is read."""
    found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    return None if found == "ok" else str(found)


def empty_log(connection: Connection) -> None:
    """Leave nothing in the log beside the file, unless somebody reads from it just now."""
    connection.set_busy_timeout(0)
    with suppress(*UNUSABLE):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def is_damage(error: BaseException) -> bool:
    """Whether SQLite found that a file is not what it wrote."""
    return isinstance(error, _DAMAGED) or getattr(error, "extendedresult", None) in _DAMAGED_RESULTS


def _refuse_cut(path: Path) -> None:
    """What is missing of a page SQLite takes for zeros, and does not look at the checksum."""
    if path.exists() and path.stat().st_size % PAGE:
        raise apsw.CorruptError(f"{path.name} ends within a page")


def _prepared(connection: Connection, seconds: float) -> Connection:
    connection.set_busy_timeout(int(1000 * seconds))
    connection.row_trace = _row
    return connection


def _load_checksums() -> None:
    """Every connection that is opened after this one, which is thrown away, has them."""
    connection = apsw.Connection(":memory:")
    apsw.sqlite_extra.load(connection, "cksumvfs")
    connection.close()


_load_checksums()
