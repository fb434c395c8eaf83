"""Keys of an embedded store: a file of their own, so that they are given and taken away while a run is at work."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from datetime import date, datetime
from pathlib import Path

import apsw

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.store import sqlite
from ruleengine.store.records import ApiKey
from ruleengine.store.refusals import (
    NotThereError,
    StoreUnusableError,
    changed,
    missing,
    of_sqlite,
    outdated,
    unusable,
)
from ruleengine.store.seen import Seen
from ruleengine.store.sqlite import Connection

FORMAT = 2

_TABLE = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    key TEXT NOT NULL  -- the rest of it, as JSON
) WITHOUT ROWID;
"""


class Keys:
    """See `store.Store`: `keys`, `key`, `keys_stamp`, `add_key`, `revoke_key`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = Seen(path)

    def all(self) -> tuple[ApiKey, ...]:
        with self._reading() as connection:
            rows = connection.execute("SELECT key FROM keys").fetchall() if connection else []
        return listed(rows)

    def find(self, digest: str) -> ApiKey | None:
        with self._reading() as connection:
            row = connection and connection.execute("SELECT key FROM keys WHERE digest = ?", (digest,)).fetchone()
        return loaded(row[0]) if row else None

    def stamp(self) -> object:
        # The note is replaced after each change.
        try:
            found = os.stat(self._seen.path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def add(self, key: ApiKey) -> None:
        with self._writing() as connection:
            connection.execute("INSERT INTO keys VALUES (?, ?, ?)", (key.id, key.digest, dumped(key)))

    def revoke(self, key_id: str, moment: datetime) -> ApiKey:
        with self._writing() as connection:
            row = connection.execute("SELECT key FROM keys WHERE id = ?", (key_id,)).fetchone()
            if row is None:
                raise NotThereError(codes.key_unknown(None, key=key_id))
            key = loaded(row[0])
            if key.revoked_at is None:
                key = replace(key, revoked_at=moment)
                connection.execute("UPDATE keys SET key = ? WHERE id = ?", (dumped(key), key_id))
        return key

    @contextmanager
    def _reading(self) -> Iterator[Connection | None]:
        """None where no key was ever given."""
        if not self._path.exists():
            if self._seen.path.exists():
                raise missing(self._path.name)
            yield None
            return
        try:
            with closing(sqlite.reader(self._path, 10)) as connection:
                self._check(connection)
                # Somebody may just be making it.
                yield connection if connection.table_exists(None, "keys") else None
        except sqlite.UNUSABLE as error:
            raise of_sqlite(error, self._path.name) from error

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        try:
            if not self._path.exists() and self._seen.path.exists():
                raise missing(self._path.name)
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Nobody else on the machine need see even the digests.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite.writer(self._path, 10)) as connection:
                # Without a log, whoever only reads could not undo what a writer left behind that died.
                with suppress(apsw.BusyError):  # Of two who come first, one makes it.
                    connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                self._check(connection)
                if not sqlite.has_checksums(connection):
                    sqlite.add_checksums(connection)
                connection.execute("BEGIN IMMEDIATE")
                connection.execute(_TABLE)
                connection.execute(f"PRAGMA user_version = {FORMAT}")
                yield connection
                connection.execute("COMMIT")
                with suppress(OSError):  # A full disk: what was committed stands, and the note is behind.
                    self._seen.write(_how_far(connection))
        except sqlite.UNUSABLE as error:
            raise of_sqlite(error, self._path.name) from error
        except OSError as error:
            raise unusable(error) from error

    def _check(self, connection: Connection) -> None:
        """Raise where the file is a newer one, or not as it was left."""
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > FORMAT:
            raise StoreUnusableError(codes.store_format_newer(None, found=found, known=FORMAT))
        if found == FORMAT and not sqlite.has_checksums(connection):
            raise changed(self._path.name)
        seen = self._seen.read()
        if seen is not None and any(number < seen[what] for what, number in _how_far(connection).items()):
            raise outdated(self._path.name, self._seen.path.name)

    def problems(self) -> Iterator[Problem]:
        """What is damaged. Reads everything."""
        try:
            with self._reading() as connection:
                if connection is None:
                    return
                if sqlite.problem_of(connection) is not None:
                    yield from changed(self._path.name).problems
                if self._seen.read() is None and sqlite.has_checksums(connection):
                    name = self._seen.path.name
                    yield from (changed(name) if self._seen.path.exists() else missing(name)).problems
        except ProblemError as error:
            yield from error.problems


def _how_far(connection: Connection) -> dict[str, int]:
    if not connection.table_exists(None, "keys"):
        return {"keys": 0, "revoked": 0}
    keys, revoked = connection.execute("SELECT count(*), count(key ->> 'revoked_at') FROM keys").fetchone()
    return {"keys": keys, "revoked": revoked}


def listed(rows: Iterable[tuple[str]]) -> tuple[ApiKey, ...]:
    """The keys of `dumped`, oldest first."""
    return tuple(sorted((loaded(text) for (text,) in rows), key=lambda key: (key.created_at, key.id)))


def dumped(key: ApiKey) -> str:
    """A key as JSON."""
    fields = {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(key).items()}
    return json.dumps(fields, ensure_ascii=False)


def loaded(text: str) -> ApiKey:
    """The key of `dumped`."""
    fields = json.loads(text)
    fields["scopes"] = tuple(fields["scopes"])
    fields["created_at"] = datetime.fromisoformat(fields["created_at"])
    fields["expires_on"] = date.fromisoformat(fields["expires_on"]) if fields["expires_on"] else None
    fields["revoked_at"] = datetime.fromisoformat(fields["revoked_at"]) if fields["revoked_at"] else None
    return ApiKey(**fields)
