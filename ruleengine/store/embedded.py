"""The embedded store: a folder with a ledger (SQLite) and immutable files (Parquet), which DuckDB reads and writes."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

import duckdb

from ruleengine.diagnostics.problem import Problem
from ruleengine.engines.forgotten import NOBODY, Forgotten
from ruleengine.planning.layout import Layout
from ruleengine.planning.memory import Memory
from ruleengine.schema import Profile
from ruleengine.store import (
    documents,
    forgetting,
    integrity,
    ledger,
    lock,
    manual,
    packing,
    previewing,
    proving,
    recalling,
    remnants,
    sqlite,
    state,
    unpacking,
    versions,
)
from ruleengine.store.auditing import Audit
from ruleengine.store.book import Book, FileBook
from ruleengine.store.comparing import clear, name_tables, recounted
from ruleengine.store.content import Content
from ruleengine.store.desk import Desk
from ruleengine.store.duck import connect
from ruleengine.store.file_reader import FileReader
from ruleengine.store.files import Folder
from ruleengine.store.keys import Keys
from ruleengine.store.ledger import Ledger
from ruleengine.store.records import (
    Answer,
    Answers,
    ApiKey,
    Change,
    Diff,
    HistoryEntry,
    Identity,
    Key,
    Kind,
    Page,
    Preview,
    Run,
    Setting,
    StoredValues,
    Version,
)
from ruleengine.store.refusals import (
    DamagedError,
    NotKeptError,
    need_actor,
    no_version,
    not_empty,
    unusable,
)
from ruleengine.store.relations import holdings
from ruleengine.store.sqlite import Connection
from ruleengine.store.store import Tables
from ruleengine.store.writer import EmbeddedWriter, told

T = TypeVar("T")


class EmbeddedStore:
    """See `store.Store`."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = Folder(path)
        self._ledger = Ledger(self._folder)
        self._files = FileReader(self._folder, self._ledger)
        self._keys = Keys(self._folder.keys)
        self._clock = clock
        self._jobs = FileBook(self._folder.jobs, self._folder.jobs_at_work)
        self.book: Book = self._jobs

    def inside(self, profile: Profile) -> bool:
        return False  # Results lie in DuckDB, which writes the files.

    @property
    def is_near(self) -> bool:
        return True

    @property
    def directories(self) -> tuple[Path, ...]:
        return (self._folder.root,)

    def close(self) -> None:
        self._ledger.close()

    # -- versions and runs -------------------------------------------------------------------------------

    def identity(self) -> Identity | None:
        return self._ledger.identity()

    def current(self) -> Version | None:
        with self._ledger.reading() as connection:
            row = ledger.pointer(connection) if connection else None
            return self._ledger.version(connection, row["version"]) if row else None

    def version(self, number: int) -> Version:
        with self._ledger.reading() as connection:
            return self._ledger.version(connection, number)

    def versions(self) -> tuple[Version, ...]:
        with self._ledger.reading() as connection:
            return self._ledger.versions(connection) if connection else ()

    def line(self) -> tuple[int, ...]:
        with self._ledger.reading() as connection:
            return ledger.line(connection) if connection else ()

    def in_force(self, day: date) -> Version | None:
        with self._ledger.reading() as connection:
            number = ledger.in_force(connection, day.isoformat()) if connection else None
            return None if number is None else self._ledger.version(connection, number)

    def run(self, run_id: str) -> Run:
        with self._ledger.reading() as connection:
            return versions.run(dict(ledger.run_row(connection, run_id)))

    def runs(self, limit: int = 100) -> tuple[Run, ...]:
        with self._ledger.reading() as connection:
            return ledger.runs(connection, limit) if connection else ()

    def ruleset_texts(self, ruleset_hash: str) -> Mapping[str, str] | None:
        with self._ledger.reading() as connection:
            if connection is None:
                return None
            rows = connection.execute("SELECT path, text FROM texts WHERE hash = ? ORDER BY path", (ruleset_hash,))
            return dict(rows.fetchall()) or None

    # -- customers ---------------------------------------------------------------------------------------

    def customer(self, key: Key, version: int | None = None) -> Answer:
        if version is None:
            return self._current(key)
        with self._ledger.reading() as connection:
            if connection is None:
                raise no_version()
            known = self._key(connection, key)
            self._ledger.version(connection, version)
            if known is None:
                return Answer(version=version, document=None)
            try:
                serial = documents.serial_of(connection, version)
            except NotKeptError:
                pass
            else:
                return Answer(version=version, document=documents.document(connection, known, serial))
        return Answer(version=version, document=self._files.document(known, version))

    def _current(self, key: Key) -> Answer:
        """A customer in the current version: what most of all reads are."""
        answer = self._ledger.ask(self._document, key)
        if answer is None:
            raise no_version()
        return answer

    def _document(self, connection: Connection, key: Key) -> Answer | None:
        known = self._key(connection, key)
        return documents.current_document(connection, "" if known is None else known)

    def customers(self, keys: Sequence[Key], version: int | None = None) -> Answers:
        with self._version(version) as (connection, number, serial):
            return Answers(
                version=number,
                documents=tuple(
                    (
                        key,
                        None
                        if (known := self._key(connection, key)) is None
                        else documents.document(connection, known, serial),
                    )
                    for key in keys
                ),
            )

    def members(
        self,
        kind: Kind,
        name: str,
        value: str | None = None,
        *,
        version: int | None = None,
        after: Key | None = None,
        limit: int = 100,
    ) -> Page:
        with self._version(version) as (connection, number, serial):
            found = ledger.names(connection).find(kind, name)
            position = found.position(value) if found else 0
            if found is None or not position:
                return Page(version=number, customers=(), next=None)
            start = None if after is None else self._key(connection, after)
            customers = documents.members(connection, found, position, serial, start, limit + 1)
        return Page.of(number, customers, limit)

    @contextmanager
    def _version(self, number: int | None) -> Iterator[tuple[Connection, int, int]]:
        """One state of the ledger, and the number and serial of a version whose rows are kept."""
        with self._ledger.reading() as connection:
            if connection is None:
                raise no_version()
            if number is None:
                number = ledger.current_number(connection)
            else:
                self._ledger.version(connection, number)
            yield connection, number, documents.serial_of(connection, number)

    def _key(self, connection: Connection, key: Key) -> Key | None:
        """A key as it is stored; None for what no customer of this store can have."""
        return self._ledger.identity_of(connection).stored(key)

    def manual(self, key: Key, version: int | None = None) -> tuple[Setting, ...]:
        with self._ledger.reading() as connection:
            if connection is None:
                raise no_version()
            known = self._key(connection, key)
            number = ledger.current_number(connection) if version is None else version
            as_of = self._ledger.version(connection, number).as_of
            if known is None:
                return ()
            return tuple(
                manual.setting(entry)
                for entry in manual.of_customer(connection, known, number, as_of)
                if entry.counts_on(as_of)
            )

    # -- from the files ----------------------------------------------------------------------------------

    def history(self, key: Key) -> tuple[HistoryEntry, ...]:
        return self._files.history(key)

    def changes(self, version: int, start: int = 0, limit: int = 1000) -> tuple[Change | None, ...]:
        return self._files.changes(version, start, limit)

    def values(self, key: Key, version: int | None = None) -> StoredValues | None:
        return self._files.values(key, version)

    def export(self, path: Path, *, version: int | None = None, run: str | None = None) -> int:
        return self._files.export(path, version=version, run=run)

    def diff(self, a: int, b: int) -> Diff:
        return self._files.diff(a, b)

    def audit(self) -> Audit:
        identity = self.identity()

        def look(connection: Connection | None) -> Audit:
            if connection is None or identity is None:
                raise no_version()
            return proving.prove(connect(), connection, self._folder.at(ledger.moved(connection)), identity)

        return self._ledger.settled(look, lambda found: not found.findings)

    # -- who was forgotten -------------------------------------------------------------------------------

    def forgotten(self) -> Forgotten:
        with self._ledger.reading() as connection:
            return forgetting.forgotten(connection) if connection else NOBODY

    def erasing(self) -> bool:
        with self._ledger.reading() as connection:
            return connection is not None and ledger.noted(connection, remnants.ERASING) is not None

    # -- keys --------------------------------------------------------------------------------------------

    def keys(self) -> tuple[ApiKey, ...]:
        return self._keys.all()

    def key(self, digest: str) -> ApiKey | None:
        return self._keys.find(digest)

    def keys_stamp(self) -> object:
        return self._keys.stamp()

    def add_key(self, key: ApiKey) -> None:
        self._keys.add(key)

    def revoke_key(self, key_id: str, moment: datetime) -> ApiKey:
        return self._keys.revoke(key_id, moment)

    def damage(self) -> tuple[Problem, ...]:
        return (*self._ledger.problems(), *self._keys.problems(), *self._jobs.problems())

    # -- writing -----------------------------------------------------------------------------------------

    def preview(self, connection: Tables, layout: Layout, as_of: date, asked: previewing.Asked) -> Preview:
        assert isinstance(connection, duckdb.DuckDBPyConnection)

        def find(duck: duckdb.DuckDBPyConnection, reader: Connection, folder: Folder) -> Preview:
            clear(duck)
            names = ledger.names(reader).extended(layout)
            name_tables(duck, names)
            row = ledger.pointer(reader)
            number = row["version"] if row else None
            if number is not None and as_of < self._ledger.version(reader, number).as_of:
                number = ledger.in_force(reader, as_of.isoformat())
            base = None if number is None else self._ledger.version(reader, number)
            key_type = previewing.key_type(layout)
            old = state.of_version(duck, reader, folder, number, names, key_type=key_type)
            if base and ledger.forgot_since(reader, base.number):
                base = recounted(duck, base, old, holdings(old, names), names)
            return previewing.compared(duck, layout, names, old, base, base.counts if base else None, asked)

        if self.identity() is None:
            return previewing.between(connection, layout, as_of, None, asked)
        return self._files.look(find, duck=connection)

    def recall(self, connection: Tables, memory: Memory, as_of: date, customer: Key | None = None) -> Version | None:
        assert isinstance(connection, duckdb.DuckDBPyConnection)

        def find(duck: duckdb.DuckDBPyConnection, reader: Connection, folder: Folder) -> Version | None:
            number = ledger.before(reader, as_of.isoformat())
            numbers = ledger.line_of(reader, number)
            line = [self._ledger.version(reader, each) for each in (numbers if memory.past else numbers[:1])]
            key_type = self._ledger.identity_of(reader).key_sql
            recalling.recall(duck, reader, folder, memory, line[::-1], as_of, key_type, customer)
            return line[0] if line else None

        if self.identity() is None:
            recalling.nothing(connection, memory, as_of)
            return None
        return self._files.look(find, duck=connection)

    def refuse_busy(self) -> None:
        try:
            lock.refuse_held(self._folder.lock)
        except OSError as error:
            raise unusable(error) from error

    @contextmanager
    def writer(self, actor: str, identity: Identity) -> Iterator[EmbeddedWriter]:
        with self._locked(actor):
            connection = self._ledger.writing(identity)
            try:
                desk = Desk(self._folder, self._ledger, connection, identity, actor, self._clock)
                with EmbeddedWriter(desk, self.book) as writer:
                    yield writer
            finally:
                sqlite.empty_log(connection)
                connection.close()

    @contextmanager
    def _locked(self, actor: str) -> Iterator[None]:
        need_actor(actor)
        with ExitStack() as stack:
            try:
                self._folder.create()
                stack.enter_context(lock.hold(self._folder.lock, actor))
            except OSError as error:
                raise unusable(error) from error
            yield

    # -- moving ------------------------------------------------------------------------------------------

    @contextmanager
    def packed(self, actor: str) -> Iterator[Content]:
        identity, keys = self.identity(), self.keys()
        if identity is None:
            raise no_version()
        with self._locked(actor), self._ledger.reading() as connection:
            assert connection is not None
            if damaged := tuple(integrity.problems(connection, self._folder)):
                raise DamagedError(*damaged)
            yield packing.pack(connect(), connection, self._folder.at(ledger.moved(connection)), identity, keys)

    def unpack(self, content: Content, actor: str) -> None:
        with self._locked(actor):
            if self.identity() is not None:
                raise not_empty(str(self._folder.root))
            with told():
                known = {key.id for key in self.keys()}
                for key in content.keys:
                    if key.id not in known:
                        self.add_key(key)
                unpacking.unpack(self._folder, content)
