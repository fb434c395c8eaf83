"""See `store.Store`: the one in Postgres."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime
from pathlib import Path

import psycopg

from ruleengine.diagnostics.problem import Problem
from ruleengine.engines.forgotten import NOBODY, Forgotten
from ruleengine.planning.layout import Layout
from ruleengine.planning.memory import Memory
from ruleengine.schema import Profile
from ruleengine.scratch import Scratch
from ruleengine.store import previewing
from ruleengine.store.archive import export_options, write
from ruleengine.store.auditing import Audit
from ruleengine.store.book import Book
from ruleengine.store.content import Content
from ruleengine.store.duck import connect
from ruleengine.store.manual import setting
from ruleengine.store.postgres import (
    archive,
    documents,
    forgetting,
    holdings,
    keys,
    manual,
    packing,
    preview,
    proving,
    recalling,
    session,
    transfer,
    unpacking,
)
from ruleengine.store.postgres.book import PostgresBook
from ruleengine.store.postgres.connections import READ, Connections
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.postgres.writer import PostgresWriter
from ruleengine.store.recalling import nothing
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
    need_actor,
    no_version,
    not_empty,
    not_kept,
    refuse_another,
)
from ruleengine.store.store import Tables


class PostgresStore:
    """A store in the schema that a profile names."""

    def __init__(self, profile: Profile, *, clock: Callable[[], float] = time.time) -> None:
        self._profile = profile
        self._clock = clock
        self._scratch = Scratch()
        self._folder = self._scratch.path
        self._connections = Connections(profile)
        self._reading = self._connections.reading
        self.book: Book = PostgresBook(self._reading, lambda: session.opened(profile))

    @property
    def profile(self) -> Profile:
        return self._profile

    @property
    def is_near(self) -> bool:
        return False

    @property
    def directories(self) -> tuple[Path, ...]:
        return (self._folder,)

    def inside(self, profile: Profile) -> bool:
        here = profile.engine == "postgres" and profile.dsn == self._profile.dsn
        return here and self.identity() is not None

    def close(self) -> None:
        self._connections.close()
        self._scratch.close()

    def damage(self) -> tuple[Problem, ...]:
        return ()  # Pages are the server's, which has checksums of its own.

    @contextmanager
    def _asked(self) -> Iterator[Ledger]:
        with self._reading() as ledger:
            if ledger is None:
                raise no_version()
            yield ledger

    # -- versions and runs -------------------------------------------------------------------------------

    def identity(self) -> Identity | None:
        with self._reading():
            return self._connections.identity

    def current(self) -> Version | None:
        with self._reading() as ledger:
            return ledger.current() if ledger else None

    def version(self, number: int) -> Version:
        with self._asked() as ledger:
            return ledger.version(number)

    def versions(self) -> tuple[Version, ...]:
        with self._reading() as ledger:
            return ledger.versions() if ledger else ()

    def line(self) -> tuple[int, ...]:
        with self._reading() as ledger:
            return ledger.line() if ledger else ()

    def in_force(self, day: date) -> Version | None:
        with self._reading() as ledger:
            number = ledger.in_force(day) if ledger else None
            return None if ledger is None or number is None else ledger.version(number)

    def run(self, run_id: str) -> Run:
        with self._asked() as ledger:
            return ledger.run(run_id)

    def runs(self, limit: int = 100) -> tuple[Run, ...]:
        with self._reading() as ledger:
            return ledger.runs(limit) if ledger else ()

    def ruleset_texts(self, ruleset_hash: str) -> Mapping[str, str] | None:
        with self._reading() as ledger:
            if ledger is None:
                return None
            sql = f"SELECT path, text FROM {ledger.schema}.texts WHERE hash = %s ORDER BY path"
            return dict(ledger.session.rows(sql, ruleset_hash)) or None

    # -- customers ---------------------------------------------------------------------------------------

    def customer(self, key: Key, version: int | None = None) -> Answer:
        with self._asked() as ledger:
            number = ledger.needed(version)
            return Answer(version=number, document=self._documents(ledger, number, [key])[0])

    def customers(self, keys: Sequence[Key], version: int | None = None) -> Answers:
        with self._asked() as ledger:
            number = self._kept(ledger, version)
            found = self._documents(ledger, number, keys)
            return Answers(version=number, documents=tuple(zip(keys, found, strict=True)))

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
        with self._asked() as ledger:
            number = self._kept(ledger, version)
            found = ledger.names().find(kind, name)
            position = found.position(value) if found else 0
            if found is None or not position:
                return Page(version=number, customers=(), next=None)
            start = None if after is None else self._key(after)
            state = holdings.of_any(ledger, number)
            return Page.of(number, documents.members(ledger.session, state, found, position, start, limit + 1), limit)

    def _documents(self, ledger: Ledger, number: int, keys: Sequence[Key]) -> list[bytes | None]:
        return documents.of_customers(ledger.session, holdings.of_any(ledger, number), [self._key(key) for key in keys])

    def _key(self, key: Key) -> Key | None:
        """A key as it is stored; None for what no customer of this store can have."""
        assert self._connections.identity is not None
        return None if "\0" in str(key) else self._connections.identity.stored(key)

    @property
    def _key_type(self) -> str:
        """DuckDB's."""
        assert self._connections.identity is not None
        return self._connections.identity.key_sql

    @staticmethod
    def _kept(ledger: Ledger, version: int | None) -> int:
        """The number of a version whose answers lie in rows."""
        number = ledger.needed(version)
        if ledger.version(number).detached:
            raise not_kept(number)
        return number

    def history(self, key: Key) -> tuple[HistoryEntry, ...]:
        with self._reading() as ledger:
            known = self._key(key) if ledger else None
            return () if ledger is None or known is None else archive.history(ledger, known)

    def changes(self, version: int, start: int = 0, limit: int = 1000) -> tuple[Change | None, ...]:
        with self._asked() as ledger:
            return archive.changes(ledger, version, start, limit)

    def values(self, key: Key, version: int | None = None) -> StoredValues | None:
        with self._asked() as ledger:
            run = ledger.run_of(ledger.needed(version))
            known = self._key(key)
            return None if known is None else archive.values(ledger.session, run, known)

    def manual(self, key: Key, version: int | None = None) -> tuple[Setting, ...]:
        with self._asked() as ledger:
            number = ledger.needed(version)
            as_of = ledger.version(number).as_of
            known = self._key(key)
            if known is None:
                return ()
            entries = manual.of_customer(ledger.session, known, number, as_of)
            return tuple(setting(entry) for entry in entries if entry.counts_on(as_of))

    # -- all of them -------------------------------------------------------------------------------------

    def export(self, path: Path, *, version: int | None = None, run: str | None = None) -> int:
        with self._asked() as ledger:
            state, number = archive.named(ledger, version, run)
            options = export_options(path)
            duck = archive.assignments(ledger.session, state, number, self._key_type, self._folder)
        return write(duck, "FROM store_rows ORDER BY customer_id, kind, name", path, options)

    def diff(self, a: int, b: int) -> Diff:
        with self._asked() as ledger:
            return archive.diff(ledger, a, b, self._key_type, self._folder)

    # -- for runs ----------------------------------------------------------------------------------------

    def preview(self, connection: Tables, layout: Layout, as_of: date, asked: previewing.Asked) -> Preview:
        if isinstance(connection, psycopg.Connection):
            lent = Session(connection, self._profile)
            with lent.lent():
                return preview.compared(lent, layout, as_of, asked)
        if self.identity() is None:
            return previewing.between(connection, layout, as_of, None, asked)
        with self._asked() as ledger, transfer.lifted(ledger.session, connection, layout, self._folder):
            return preview.compared(ledger.session, layout, as_of, asked)

    def recall(self, connection: Tables, memory: Memory, as_of: date, customer: Key | None = None) -> Version | None:
        if isinstance(connection, psycopg.Connection):
            lent = Session(connection, self._profile)
            with lent.lent():
                return recalling.recall(lent, memory, as_of, customer)
        with self._reading() as ledger:
            if ledger is None:
                nothing(connection, memory, as_of)
                return None
            return recalling.lifted(ledger.session, connection, memory, as_of, customer, self._key_type, self._folder)

    def audit(self) -> Audit:
        with self._asked() as ledger:
            assert self._connections.identity is not None
            return proving.prove(ledger, self._connections.identity)

    # -- who was forgotten -------------------------------------------------------------------------------

    def forgotten(self) -> Forgotten:
        with self._reading() as ledger:
            return forgetting.forgotten(ledger.session) if ledger else NOBODY

    def erasing(self) -> bool:
        with self._reading() as ledger:
            return ledger is not None and forgetting.erasing(ledger.session)

    # -- keys --------------------------------------------------------------------------------------------

    def keys(self) -> tuple[ApiKey, ...]:
        with self._reading() as ledger:
            return keys.all(ledger.session) if ledger else ()

    def key(self, digest: str) -> ApiKey | None:
        with self._reading() as ledger:
            return keys.find(ledger.session, digest) if ledger else None

    def keys_stamp(self) -> object:
        return None

    def add_key(self, key: ApiKey) -> None:
        with self._asked() as ledger:
            keys.add(ledger.session, key)

    def revoke_key(self, key_id: str, moment: datetime) -> ApiKey:
        with self._asked() as ledger:
            return keys.revoke(ledger.session, key_id, moment)

    # -- writing -----------------------------------------------------------------------------------------

    def refuse_busy(self) -> None:
        with self._reading() as ledger:
            if ledger is not None:
                session.refuse_locked(ledger.session)

    @contextmanager
    def writer(self, actor: str, identity: Identity) -> Iterator[PostgresWriter]:
        need_actor(actor)
        with (
            self._writing(identity) as opened,
            PostgresWriter(opened, identity, actor, self._clock, self._folder, self.book) as writer,
        ):
            yield writer

    @contextmanager
    def _writing(self, wanted: Identity) -> Iterator[Session]:
        """A connection for a writer, to a schema that is up to date and of this identity."""
        with closing((opened := session.opened(self._profile)).connection):
            if session.found_format(opened) is None:
                session.upgrade(opened, wanted)
            session.refuse_older(opened)
            refuse_another(session.identity(opened), wanted)
            yield opened

    # -- moving ------------------------------------------------------------------------------------------

    @contextmanager
    def packed(self, actor: str) -> Iterator[Content]:
        need_actor(actor)
        if self.identity() is None:
            raise no_version()
        with closing((opened := session.opened(self._profile)).connection):
            session.refuse_older(opened)
            session.lock(opened, actor)
            with opened.transaction(READ):
                yield packing.pack(connect(), opened, session.identity(opened), self.keys(), self._folder)

    def unpack(self, content: Content, actor: str) -> None:
        need_actor(actor)
        with self._writing(content.identity) as opened:
            session.lock(opened, actor)
            with opened.transaction():
                if not unpacking.is_empty(opened):
                    raise not_empty(f"schema {self._profile.schema}")
                unpacking.unpack(opened, content, self._folder)
