"""The ledger: what SQLite keeps of a store.

Every read is one transaction, so that it sees one state of the ledger. Rows that are served carry serials, which grow
with each publication; what lies past the pointer's serial is not published.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.store import integrity, meta, migrations, sqlite
from ruleengine.store.files import LEDGER, Folder
from ruleengine.store.names import Name, Names
from ruleengine.store.records import Identity, Key, Run, Version
from ruleengine.store.refusals import (
    NotThereError,
    StoreUnusableError,
    changed,
    missing,
    no_version,
    of_sqlite,
    outdated,
    refuse_another,
    unknown_version,
)
from ruleengine.store.seen import HowFar, Seen
from ruleengine.store.sqlite import Connection, Row
from ruleengine.store.versions import FORMAT, moment_text, run, run_header_text, version

T = TypeVar("T")


class Ledger:
    """Connections to one ledger.db: one for reading per thread, and one for writing while there is a writer."""

    def __init__(self, folder: Folder, path: Path | None = None) -> None:
        """`path` is that of a ledger which is not in its place yet."""
        self._folder = folder
        self._path = path or folder.ledger
        self._seen = Seen(folder.ledger)
        self._local = threading.local()
        self._opened: list[tuple[int, Connection]] = []
        self._versions: dict[int, Version] = {}  # They never change.
        self._identity: Identity | None = None

    # -- connections -------------------------------------------------------------------------------------

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """One state of the ledger to read from; None where nothing was ever written."""
        connection = self._reader()
        if connection is None:
            yield None
            return
        try:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:  # SQLite ends it where it finds damage.
                    connection.execute("ROLLBACK")
        except sqlite.UNUSABLE as error:
            raise self._unusable(error) from error

    def settled(self, look: Callable[[Connection | None], T], is_good: Callable[[T], bool]) -> T:
        """What is found in one state of the ledger. Looked at again where something is wrong and somebody wrote
        meanwhile, who may have pruned files that this state speaks of."""
        left = 5
        while True:
            left -= 1
            with self.reading() as connection:
                written = connection and _written(connection)
                found = look(connection)
            if is_good(found) or connection is None or _written(connection) == written or not left:
                return found

    def ask(self, question: Callable[[Connection, Key], T], key: Key) -> T:
        """What one statement tells, which sees one state by itself; refused where nothing was ever written."""
        connection = self._reader()
        if connection is None:
            raise no_version()
        try:
            return question(connection, key)
        except sqlite.UNUSABLE as error:
            raise self._unusable(error) from error

    def _reader(self) -> Connection | None:
        pid, connection = getattr(self._local, "reader", (None, None))
        if pid == os.getpid():
            return connection
        if not self._path.exists():
            self._refuse_loss()
            return None
        try:
            connection = sqlite.reader(self._path, 10)
            # The upper pages, which every look-up reads: each that is not kept is checked anew.
            connection.execute("PRAGMA cache_size = -65536")
            stored = _meta(connection)
            if stored is None:
                connection.close()
                self._refuse_loss()
                return None
            self._check(connection, stored)
        except sqlite.UNUSABLE as error:
            raise self._unusable(error) from error
        self._local.reader = (os.getpid(), connection)
        self._opened.append((os.getpid(), connection))
        return connection

    def writing(self, identity: Identity) -> Connection:
        """The writer's connection. Creates the tables, or makes sure that they are this ruleset's."""
        try:
            if not self._path.exists():
                self._refuse_loss()
            connection = sqlite.writer(self._path, 30)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            connection.execute("PRAGMA cache_size = -65536")
            stored = _meta(connection)
            if stored is None:
                self._refuse_loss()
                migrations.create(connection, identity)
            else:
                self._check(connection, stored)
                refuse_another(meta.identity(stored), identity)
                if (found := int(stored["format"])) != FORMAT:
                    migrations.upgrade(connection, self._folder, found)
                    self.see(connection)
        except sqlite.UNUSABLE as error:
            raise self._unusable(error) from error
        return connection

    # -- damage ------------------------------------------------------------------------------------------

    def _check(self, connection: Connection, stored: Mapping[str, str]) -> None:
        """Raise where the ledger is a newer one, or not as it was left."""
        meta.refuse_newer(stored, FORMAT)
        if int(stored["format"]) >= 3 and not sqlite.has_checksums(connection):
            raise changed(LEDGER)
        seen = self._seen.read()
        if seen is not None and not _reaches(connection, seen):
            number = latest_number(connection)
            lacks = seen["version"] if seen["version"] != number else None
            raise outdated(LEDGER, self._seen.path.name, lacks)

    def _refuse_loss(self) -> None:
        """Raise where there is nothing in the ledger, and something was."""
        if self._seen.path.exists() or self._folder.is_used:
            raise missing(LEDGER)

    def _unusable(self, error: Exception) -> StoreUnusableError:
        return of_sqlite(error, LEDGER)

    def see(self, connection: Connection) -> None:
        """Note how far the ledger is: what is told to somebody as done must not be lost unnoticed."""
        number = latest_number(connection)
        hashes = connection.execute("SELECT hash FROM versions WHERE number = ?", (number,)).fetchone()
        runs = connection.execute("SELECT max(sequence) FROM runs").fetchone()[0]
        with suppress(OSError):  # A full disk: what was committed stands, and the note is behind.
            self._seen.write({"version": number, "hash": hashes and hashes[0], "run": runs})

    def problems(self) -> Sequence[Problem]:
        """What is damaged in the ledger, and in the files that it knows. Reads all of it."""

        def look(connection: Connection | None) -> Iterator[Problem]:
            if connection is None:
                return
            if sqlite.problem_of(connection) is not None:
                yield from changed(LEDGER).problems
            if self._seen.read() is None and sqlite.has_checksums(connection):
                name = self._seen.path.name
                yield from (changed(name) if self._seen.path.exists() else missing(name)).problems
            yield from integrity.problems(connection, self._folder)

        try:
            return self.settled(lambda connection: tuple(look(connection)), lambda found: not found)
        except ProblemError as error:
            return error.problems

    def close(self) -> None:
        for pid, connection in self._opened:
            # After a fork, those of the parent are not ours to close: SQLite would drop the parent's locks.
            if pid == os.getpid():
                connection.close()
        self._opened.clear()
        self._local = threading.local()

    # -- reading -----------------------------------------------------------------------------------------

    def identity(self) -> Identity | None:
        with self.reading() as connection:
            stored = _meta(connection) if connection else None
        return meta.identity(stored) if stored else None

    def identity_of(self, connection: Connection) -> Identity:
        """As `identity`, which never changes, of a ledger that something was written to."""
        if self._identity is None:
            self._identity = meta.identity(_meta(connection) or {})
        return self._identity

    def version(self, connection: Connection | None, number: int) -> Version:
        if number not in self._versions:
            row = (
                connection
                and connection.execute(
                    "SELECT header, previous_hash, root, hash FROM versions WHERE number = ?", (number,)
                ).fetchone()
            )
            if not row:
                raise unknown_version(number, latest_number(connection) if connection else None)
            self._versions[number] = version(*row)
        return self._versions[number]

    def versions(self, connection: Connection) -> tuple[Version, ...]:
        numbers = [number for (number,) in connection.execute("SELECT number FROM versions ORDER BY number")]
        return tuple(self.version(connection, number) for number in numbers)


def _written(connection: Connection) -> int:
    """Another number whenever somebody else wrote meanwhile; the same within one state."""
    number: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return number


def _meta(connection: Connection) -> dict[str, str] | None:
    """None where the ledger has no tables."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return None
    return dict(connection.execute("SELECT name, value FROM meta").fetchall())


def _reaches(connection: Connection, seen: HowFar) -> bool:
    """Whether the ledger is at least as far as it was seen to be."""
    found = connection.execute("SELECT hash FROM versions WHERE number = ?", (seen["version"],)).fetchone()
    runs = connection.execute("SELECT max(sequence) FROM runs").fetchone()[0]
    return (found and found[0]) == seen["hash"] and (runs or 0) >= (seen["run"] or 0)


def moved(connection: Connection) -> dict[str, str]:
    """The folders of runs that are not called like their run."""
    if not connection.table_exists(None, "folders"):
        return {}
    return dict(connection.execute("SELECT run, folder FROM folders").fetchall())


def forgot_since(connection: Connection, number: int) -> bool:
    """Whether a later version forgot somebody, so that a version's counts are not those of its state any more."""
    row = connection.execute("SELECT 1 FROM runs WHERE kind = 'forget' AND version > ? LIMIT 1", (number,)).fetchone()
    return row is not None


def noted(connection: Connection, name: str) -> str | None:
    """What the ledger notes under a name."""
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def latest_number(connection: Connection) -> int | None:
    number: int | None = connection.execute("SELECT max(number) FROM versions").fetchone()[0]
    return number


def pointer(connection: Connection) -> Row | None:
    """version, serial, floor; None before the first version."""
    row: Row | None = connection.execute("SELECT version, serial, floor FROM pointer").fetchone()
    return row


def current_number(connection: Connection) -> int:
    row = pointer(connection)
    if row is None:
        raise no_version()
    return int(row["version"])


def line(connection: Connection) -> tuple[int, ...]:
    """The versions that lead to the current one, the current one first."""
    row = pointer(connection)
    return line_of(connection, row["version"] if row else None)


def line_of(connection: Connection, number: int | None) -> tuple[int, ...]:
    """The versions that lead to one, that one first."""
    bases = dict(connection.execute("SELECT number, base FROM versions").fetchall())
    numbers = []
    while number is not None:
        numbers.append(number)
        number = bases[number]
    return tuple(numbers)


def in_force(connection: Connection, day: str) -> int | None:
    """The version of the line that held on a day. As-ofs ascend along the line; the later of equal ones counts."""
    as_ofs = dict(connection.execute("SELECT number, as_of FROM versions").fetchall())
    return next((number for number in line(connection) if as_ofs[number] <= day), None)


def before(connection: Connection, day: str) -> int | None:
    """The version of the line that held on the day before: what a run for this day looks back at."""
    as_ofs = dict(connection.execute("SELECT number, as_of FROM versions").fetchall())
    return next((number for number in line(connection) if as_ofs[number] < day), None)


def run_row(connection: Connection | None, run_id: str) -> Row:
    row: Row | None = None
    if connection is not None:
        row = connection.execute("SELECT * FROM runs WHERE id = ?", (run_id,)).fetchone()
    if row is None:
        raise NotThereError(codes.run_unknown(None, run=run_id))
    return row


def runs(connection: Connection, limit: int) -> tuple[Run, ...]:
    rows = connection.execute("SELECT * FROM runs ORDER BY sequence DESC LIMIT ?", (limit,))
    return tuple(run(dict(row)) for row in rows)


def add_run(connection: Connection, new: Run, texts: Mapping[str, str]) -> None:
    connection.execute(
        "INSERT INTO runs (id, kind, state, actor, started_at, header, base) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (new.id, new.kind, new.state, new.actor, moment_text(new.started_at), run_header_text(new.header), new.base),
    )
    connection.executemany(
        "INSERT OR IGNORE INTO texts VALUES (?, ?, ?)",
        [(new.header.ruleset_hash, path, text) for path, text in texts.items()],
    )


def insert(connection: Connection, table: str, row: Mapping[str, Any]) -> None:
    """Add a row, given by column."""
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join(f':{name}' for name in row)})", row)


def update_run(connection: Connection, run_id: str, **fields: Any) -> None:
    columns = ", ".join(f"{name} = :{name}" for name in fields)
    connection.execute(f"UPDATE runs SET {columns} WHERE id = :id", {**fields, "id": run_id})


# -- names -------------------------------------------------------------------------------------------------


def names(connection: Connection) -> Names:
    levels: dict[int, list[str]] = {}
    for name, value in connection.execute("SELECT name, value FROM levels ORDER BY name, position"):
        levels.setdefault(name, []).append(value)
    rows = connection.execute("SELECT id, kind, name, place FROM names ORDER BY id")
    return Names(
        tuple(
            Name(id=id_, kind=kind, name=name, place=place, values=tuple(levels.get(id_, ())))
            for id_, kind, name, place in rows
        )
    )


def add_names(connection: Connection, all_names: Names) -> None:
    """Remember names and levels that are new; those that are there never change."""
    for name in all_names.all:
        connection.execute(
            "INSERT OR IGNORE INTO names VALUES (?, ?, ?, ?)", (name.id, name.kind, name.name, name.place)
        )
        connection.executemany(
            "INSERT OR IGNORE INTO levels VALUES (?, ?, ?)",
            [(name.id, position, value) for position, value in enumerate(name.values, 1)],
        )
