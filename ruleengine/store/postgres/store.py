"""See `store.Store`: the one in Postgres."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psycopg

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem
from ruleengine.engines.columns import literal
from ruleengine.engines.forgotten import NOBODY, Forgotten
from ruleengine.planning.layout import Layout
from ruleengine.planning.memory import Memory
from ruleengine.schema import Profile
from ruleengine.scratch import Scratch
from ruleengine.store import archive, previewing
from ruleengine.store.auditing import Audit
from ruleengine.store.book import Book
from ruleengine.store.content import Content
from ruleengine.store.duck import connect
from ruleengine.store.keys import dumped, loaded
from ruleengine.store.manual import setting
from ruleengine.store.postgres import (
    forgetting,
    holdings,
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
from ruleengine.store.postgres.documents import rendered
from ruleengine.store.postgres.holdings import State
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
    DiffRow,
    HistoryEntry,
    Identity,
    Key,
    Kind,
    Page,
    Preview,
    Run,
    RunState,
    Setting,
    StoredValues,
    Version,
)
from ruleengine.store.refusals import (
    NotThereError,
    RefusedError,
    StoreUnusableError,
    need_actor,
    no_version,
    not_empty,
    not_kept,
    refuse_another,
)
from ruleengine.store.store import Tables
from ruleengine.types import Kind as Kind_

_READ = "ISOLATION LEVEL REPEATABLE READ"
"""Temporary tables are made in it."""
PAUSE = 1.0
"""Seconds for which a server that could not be reached is taken to be so: not all who ask have to wait for it."""
_SQL = {Kind_.BOOLEAN: "BOOLEAN", Kind_.TEXT: "VARCHAR", Kind_.DATE: "DATE"}


class PostgresStore:
    """A store in the schema that a profile names."""

    def __init__(self, profile: Profile, *, clock: Callable[[], float] = time.time) -> None:
        self._profile = profile
        self._clock = clock
        self._scratch = Scratch()
        self._folder = self._scratch.path
        self._local = threading.local()
        self._opened: list[Session] = []
        self._identity: Identity | None = None
        self._refused: tuple[float, Sequence[Problem]] = (0.0, ())
        """Until when nobody tries to connect, and why."""
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
        for opened in self._opened:
            opened.connection.close()
        self._opened.clear()
        self._local = threading.local()
        self._scratch.close()

    def damage(self) -> tuple[Problem, ...]:
        return ()  # Pages are the server's, which has checksums of its own.

    # -- connections -------------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[Ledger | None]:
        """One state of the store; None where there is none."""
        session = self._session()
        try:
            session.run(f"BEGIN {_READ}")
        except StoreUnusableError:
            session.connection.close()
            session = self._session()  # The server was started anew, say.
            session.run(f"BEGIN {_READ}")
        try:
            if self._identity is None and (found := self._found(session)) is not None:
                self._identity = found
            yield None if self._identity is None else Ledger(session)
        finally:
            session.undo()

    @contextmanager
    def _asked(self) -> Iterator[Ledger]:
        with self._reading() as ledger:
            if ledger is None:
                raise no_version()
            yield ledger

    def _session(self) -> Session:
        kept: tuple[int, Session] | None = getattr(self._local, "session", None)
        if kept is not None:
            pid, found = kept
            if pid == os.getpid() and not found.connection.closed:
                return found
        until, problems = self._refused
        if time.monotonic() < until:
            raise StoreUnusableError(*problems)
        try:
            made = session.opened(self._profile)
        except StoreUnusableError as error:
            self._refused = (time.monotonic() + PAUSE, error.problems)
            raise
        self._local.session = (os.getpid(), made)
        self._opened = [each for each in self._opened if not each.connection.closed] + [made]
        return made

    @staticmethod
    def _found(opened: Session) -> Identity | None:
        return None if session.found_format(opened) is None else session.identity(opened)

    # -- versions and runs -------------------------------------------------------------------------------

    def identity(self) -> Identity | None:
        with self._reading():
            return self._identity

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
            documents = self._documents(ledger, number, keys)
            return Answers(version=number, documents=tuple(zip(keys, documents, strict=True)))

    def _documents(self, ledger: Ledger, number: int, keys: Sequence[Key]) -> list[bytes | None]:
        wanted = [self._key(key) for key in keys]
        state = self._state(ledger, number)
        listed = ", ".join(self._literal(key) for key in set(wanted) if key is not None)
        if not listed:
            return [None] * len(wanted)
        rows = ledger.session.rows(
            f"SELECT k.customer, n.kind, n.name, l.text, h.since FROM {state.known} k "
            f"LEFT JOIN {state.assignments} h ON h.customer = k.customer "
            f"LEFT JOIN {ledger.schema}.names n ON n.id = h.id "
            f"LEFT JOIN {ledger.schema}.levels l ON l.id = h.id AND l.value = h.value "
            f"WHERE k.customer IN ({listed}) ORDER BY k.customer, n.name"
        )
        held: dict[Key, list[Any]] = {}
        for customer, *holding in rows:
            held.setdefault(customer, []).append(holding)
        return [rendered(held[key]) if key in held else None for key in wanted]

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
            position = 0
            if found and kind == "tag":
                position = 1
            elif found and value in found.values:
                position = 1 + found.values.index(value)
            if found is None or not position:
                return Page(version=number, customers=(), next=None)
            start = None if after is None else self._key(after)
            bound = "" if start is None else f"AND customer > {self._literal(start)} "
            rows = ledger.session.rows(
                f"SELECT customer FROM {self._state(ledger, number).assignments} h "
                f"WHERE id = {found.id} AND value = {position} {bound}ORDER BY customer LIMIT {limit + 1}"
            )
        customers = [customer for (customer,) in rows]
        return Page(
            version=number,
            customers=tuple(customers[:limit]),
            next=customers[limit - 1] if len(customers) > limit else None,
        )

    def _key(self, key: Key) -> Key | None:
        """A key as it is stored; None for what no customer of this store can have."""
        assert self._identity is not None
        if not self._identity.has_integer_keys:
            return None if "\0" in str(key) else str(key)
        try:
            number = int(key)
        except ValueError:
            return None
        return number if -(2**63) <= number < 2**63 and str(number) == str(key) else None

    @property
    def _key_type(self) -> str:
        """DuckDB's."""
        assert self._identity is not None
        return "BIGINT" if self._identity.has_integer_keys else "VARCHAR"

    @staticmethod
    def _literal(key: Key) -> str:
        return literal(key) if isinstance(key, str) else f"'{key}'::bigint"

    @staticmethod
    def _kept(ledger: Ledger, version: int | None) -> int:
        """The number of a version whose answers lie in rows."""
        number = ledger.needed(version)
        if ledger.version(number).detached:
            raise not_kept(number)
        return number

    @staticmethod
    def _state(ledger: Ledger, number: int) -> State:
        version = ledger.version(number)
        if version.detached:
            return holdings.of_run(ledger.session, version.base, version.run)
        return holdings.of_version(ledger.session, number)

    def history(self, key: Key) -> tuple[HistoryEntry, ...]:
        with self._reading() as ledger:
            known = self._key(key) if ledger else None
            if ledger is None or known is None:
                return ()
            all_versions = {version.run: version for version in ledger.versions()}
            in_line = set(ledger.line())
            rows = ledger.session.rows(
                f"SELECT c.run, c.customer, c.kind, c.name, c.old, c.new, c.since, c.rule_hash, c.evidence "
                f"FROM {ledger.schema}.changes c JOIN {ledger.schema}.versions v ON v.run = c.run "
                f"WHERE c.customer = %s ORDER BY v.number, c.kind, c.name",
                known,
            )
        return tuple(
            HistoryEntry(
                version=(made := all_versions[run]).number,
                version_kind=made.kind,
                as_of=made.as_of,
                in_line=made.number in in_line,
                created_at=made.created_at,
                actor=made.actor,
                change=archive.change(change),
            )
            for run, *change in rows
        )

    def changes(self, version: int, start: int = 0, limit: int = 1000) -> tuple[Change | None, ...]:
        with self._asked() as ledger:
            rows = ledger.session.rows(
                f"SELECT customer, kind, name, old, new, since, rule_hash, evidence FROM {ledger.schema}.changes "
                f"WHERE run = %s AND position >= %s AND position < %s ORDER BY position",
                ledger.version(version).run,
                start,
                start + limit,
            )
        return tuple(None if row[0] is None else archive.change(row) for row in rows)

    def values(self, key: Key, version: int | None = None) -> StoredValues | None:
        with self._asked() as ledger:
            row = ledger.run_of(ledger.needed(version))
            known = self._key(key)
            if known is None or row["facts_of"] is None:
                return None
            sql = f"SELECT data FROM {ledger.schema}.facts WHERE run = %s AND customer = %s"
            found = ledger.session.row(sql, row["facts_of"], known)
        return archive.of_texts(archive.columns_of(row["value_columns"]), found[0]) if found else None

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
            held = None if run is None else ledger.run(run)
            number = ledger.needed(version) if held is None else held.version
            if held is None or number is not None:
                state = self._state(ledger, ledger.needed(number))
            elif held.state is RunState.HELD:
                state = holdings.of_run(ledger.session, held.base, held.id)
            else:
                raise RefusedError(codes.run_not_held(None, run=held.id, state=held.state))
            options = archive.export_options(path)
            schema = ledger.schema
            columns = [("customer_id", self._key_type), ("kind", "VARCHAR"), ("name", "VARCHAR"), ("value", "VARCHAR")]
            columns += [("since", "DATE"), ("version", "BIGINT")]
            duck = connect()
            transfer.copy_out(
                ledger.session,
                f"SELECT h.customer, n.kind, n.name, CASE WHEN n.kind <> 'tag' THEN l.text END, h.since, "
                f"{'NULL' if number is None else number} FROM {state.assignments} h "
                f"JOIN {schema}.names n ON n.id = h.id "
                f"JOIN {schema}.levels l ON l.id = h.id AND l.value = h.value ORDER BY h.customer, n.kind, n.name",
                duck,
                "store_rows",
                columns,
                self._folder,
            )
        return archive.write(duck, "FROM store_rows ORDER BY customer_id, kind, name", path, options)

    def diff(self, a: int, b: int) -> Diff:
        with self._asked() as ledger:
            one = ledger.session
            old, new = self._state(ledger, a), self._state(ledger, b)
            names = ledger.names()
            holdings.name_tables(one, names)
            comparison = holdings.compare(one, names, old, new)
            duck = connect()
            columns = [("customer", self._key_type), *((name, "VARCHAR") for name in ("kind", "name", "old", "new"))]
            transfer.copy_out(one, preview.MOVES, duck, "store_rows", columns, self._folder)
        rows = duck.execute("FROM store_rows ORDER BY customer, kind, name")
        return Diff(
            a=a,
            b=b,
            movement=comparison.movement,
            shifts=comparison.shifts,
            rows=(
                DiffRow(customer=customer, kind=kind, name=name, old=was, new=now)
                for customer, kind, name, was, now in archive.fetched(rows)
            ),
        )

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
            previous = recalling.recall(ledger.session, memory, as_of, customer)
            columns = [("customer", self._key_type), *((name, _SQL[type_.kind]) for name, type_ in memory.columns)]
            transfer.copy_out(
                ledger.session, "SELECT * FROM remembered", connection, "remembered", columns, self._folder
            )
            known = [(past.column, "BOOLEAN") for past in memory.past] or [("nothing", "BOOLEAN")]
            transfer.copy_out(
                ledger.session, "SELECT * FROM remembered_names", connection, "remembered_names", known, self._folder
            )
            return previous

    def audit(self) -> Audit:
        with self._asked() as ledger:
            assert self._identity is not None
            return proving.prove(ledger, self._identity)

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
            rows = ledger.session.rows(f"SELECT key FROM {ledger.schema}.api_keys") if ledger else []
        return tuple(sorted((loaded(text) for (text,) in rows), key=lambda key: (key.created_at, key.id)))

    def key(self, digest: str) -> ApiKey | None:
        with self._reading() as ledger:
            sql = "SELECT key FROM {}.api_keys WHERE digest = %s"
            row = ledger.session.row(sql.format(ledger.schema), digest) if ledger else None
        return loaded(row[0]) if row else None

    def keys_stamp(self) -> object:
        return None

    def add_key(self, key: ApiKey) -> None:
        with self._asked() as ledger:
            ledger.session.run(
                f"INSERT INTO {ledger.schema}.api_keys VALUES (%s, %s, %s)", key.id, key.digest, dumped(key)
            )
            ledger.session.run("COMMIT")

    def revoke_key(self, key_id: str, moment: datetime) -> ApiKey:
        with self._asked() as ledger:
            row = ledger.session.row(f"SELECT key FROM {ledger.schema}.api_keys WHERE id = %s FOR UPDATE", key_id)
            if row is None:
                raise NotThereError(codes.key_unknown(None, key=key_id))
            key = loaded(row[0])
            if key.revoked_at is None:
                key = replace(key, revoked_at=moment)
                ledger.session.run(f"UPDATE {ledger.schema}.api_keys SET key = %s WHERE id = %s", dumped(key), key_id)
                ledger.session.run("COMMIT")
        return key

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
            with opened.transaction(_READ):
                yield packing.pack(connect(), opened, session.identity(opened), self.keys(), self._folder)

    def unpack(self, content: Content, actor: str) -> None:
        need_actor(actor)
        with self._writing(content.identity) as opened:
            session.lock(opened, actor)
            with opened.transaction():
                if not unpacking.is_empty(opened):
                    raise not_empty(f"schema {self._profile.schema}")
                unpacking.unpack(opened, content, self._folder)
