"""A connection to the schema that a store lies in, and how both are made."""

import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import errors

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.engines import server
from ruleengine.engines.columns import literal, quote
from ruleengine.schema import Profile
from ruleengine.sql.postgres import short
from ruleengine.store import meta
from ruleengine.store.records import Identity
from ruleengine.store.refusals import Holder, StoreLockedError, StoreUnusableError, refuse_another

_PATH = {"search_path": "pg_temp"}
"""Everything of the store is named with its schema; nothing else is looked for anywhere but among temporary tables."""
_OURS = (errors.SyntaxError, errors.UndefinedColumn, errors.UndefinedFunction, errors.DatatypeMismatch)


class Session:
    """Statements on a connection. StoreUnusableError where the server does not finish one."""

    def __init__(self, connection: psycopg.Connection[Any], profile: Profile) -> None:
        assert profile.schema is not None
        self.connection = connection
        self.profile = profile
        self.schema = _named(profile.schema)
        """As SQL has it."""
        self.plain_schema = quote(profile.schema)
        """As functions have it that look a name up."""

    def rows(self, sql: str, *values: object) -> list[Any]:
        with self.told():
            return self.connection.execute(sql.encode(), values or None).fetchall()

    def row(self, sql: str, *values: object) -> Any:
        """The first row; None without any."""
        with self.told():
            return self.connection.execute(sql.encode(), values or None).fetchone()

    def run(self, sql: str, *values: object) -> int:
        """Answers the number of rows that were touched."""
        with self.told():
            return self.connection.execute(sql.encode(), values or None).rowcount

    def many(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        with self.told(), self.connection.cursor() as cursor:
            cursor.executemany(sql.encode(), rows)

    def table(self, name: str, query: str) -> None:
        """Make a temporary table, which ends with the transaction."""
        self.run(f"DROP TABLE IF EXISTS pg_temp.{name}")
        self.run(f"CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS {query}")
        self.run(f"ANALYZE pg_temp.{name}")

    @contextmanager
    def transaction(self, kind: str = "ISOLATION LEVEL READ COMMITTED") -> Iterator[None]:
        self.run(f"BEGIN {kind}")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            self.undo()
            raise

    def undo(self) -> None:
        """End the transaction without a trace. Where the server cannot be told, it does so once we are gone."""
        try:
            if not self.connection.closed:
                self.connection.rollback()
        except psycopg.Error:
            self.connection.close()

    @contextmanager
    def told(self) -> Iterator[None]:
        try:
            yield
        except _OURS:
            raise  # SQL of ours that is wrong is no problem of the user's
        except psycopg.Error as error:
            raise StoreUnusableError(server.failed(error, self.profile)) from error

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Within, names mean what they do to a store, on the connection of an engine that is in its transaction."""
        (before,) = self.row("SELECT current_setting('search_path')")
        self.run(server.setting(_PATH, local=True))
        yield
        self.run(server.setting({"search_path": before}, local=True))


def _named(schema: str) -> str:
    """Without a percent sign, which would stand for a value."""
    if "%" not in schema:
        return quote(schema)
    return "U&" + quote(schema.replace("\\", "\\\\").replace("%", "\\0025"))


def opened(profile: Profile) -> Session:
    """A connection of the store's own. StoreUnusableError where there is none to be had."""
    try:
        session = Session(server.connected(profile), profile)
    except ProblemError as error:
        raise StoreUnusableError(*error.problems) from error
    session.run(server.setting({**server.settings(profile), **_PATH}, local=False))
    # What is said to be published has to outlast a crash of the server.
    session.run(
        "SELECT pg_catalog.set_config('synchronous_commit', 'on', false) "
        "WHERE pg_catalog.current_setting('synchronous_commit') = 'off'"
    )
    return session


def lock_key(session: Session) -> str:
    """The advisory lock of whoever writes."""
    return f"hashtextextended({literal(f'writer {session.schema}')}, 0)"


def lock(session: Session, actor: str) -> None:
    """Become the one writer until `unlock`, or the connection's end; StoreLockedError at once where there is one."""
    if not session.row(f"SELECT pg_try_advisory_lock({lock_key(session)})")[0]:
        raise _locked(session)
    session.run(
        f"INSERT INTO {session.schema}.writer VALUES (true, %s, %s, %s, %s) ON CONFLICT (one) DO UPDATE "
        f"SET actor = excluded.actor, pid = excluded.pid, host = excluded.host, started = excluded.started",
        actor,
        os.getpid(),
        socket.gethostname(),
        datetime.now(UTC).isoformat(timespec="seconds"),
    )


def unlock(session: Session) -> None:
    """Be the writer no more."""
    session.run(f"SELECT pg_advisory_unlock({lock_key(session)})")


def refuse_locked(session: Session) -> None:
    """Raise StoreLockedError where there is a writer; whoever becomes one meanwhile is not held up."""
    if is_held(session, lock_key(session)):
        raise _locked(session)


def _locked(session: Session) -> StoreLockedError:
    row = session.row(f"SELECT actor, pid, host, started FROM {session.schema}.writer")
    return StoreLockedError(Holder(actor=row[0], pid=row[1], host=row[2], started=row[3]) if row and row[0] else None)


def is_held(session: Session, key: str) -> bool:
    """Whether somebody holds the advisory lock of a key, an expression of type bigint. Asking holds nobody up."""
    sql = (
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        f"AND (classid::bigint << 32) | objid::bigint = {key})"
    )
    return bool(session.row(sql)[0])


# -- migrations --------------------------------------------------------------------------------------------


def migrations() -> list[tuple[int, str]]:
    """The numbers and texts, in order."""
    folder = files(__package__) / "migrations"
    found = sorted(file.name for file in folder.iterdir() if file.name.endswith(".sql"))
    return [(int(name.split("_")[0]), (folder / name).read_text("utf-8")) for name in found]


def found_format(session: Session) -> int | None:
    """The number of the last migration; None where there is no store. Raises where it is newer than this program."""
    if session.row("SELECT to_regclass(%s)", f"{session.plain_schema}.meta")[0] is None:
        return None
    stored = _meta(session)
    meta.refuse_newer(stored, migrations()[-1][0])
    return int(stored["format"])


def refuse_older(session: Session) -> None:
    """Raise where migrations are still to be applied."""
    found, known = found_format(session), migrations()[-1][0]
    if found != known:
        raise StoreUnusableError(codes.store_schema_older(None, found=found, known=known))


def identity(session: Session) -> Identity:
    return meta.identity(_meta(session))


def _meta(session: Session) -> dict[str, str]:
    return dict(session.rows(f"SELECT name, value FROM {session.schema}.meta"))


def upgrade(session: Session, wanted: Identity) -> tuple[int, ...]:
    """Make the schema, or bring it up to date; the numbers of the migrations that were applied."""
    schema = session.schema
    with session.transaction():
        # Whoever comes second waits, and finds it done.
        session.run(f"SELECT pg_advisory_xact_lock(hashtextextended({literal(f'upgrade {schema}')}, 0))")
        found = found_format(session) or 0
        if found:
            refuse_another(identity(session), wanted)
        applied = tuple((number, text) for number, text in migrations() if number > found)
        if not found:
            if session.row("SELECT to_regnamespace(%s)", session.plain_schema)[0] is None:
                session.run(f"CREATE SCHEMA {schema}")
            kind = "bigint" if wanted.has_integer_keys else 'text COLLATE "C"'
            session.run(f"CREATE DOMAIN {schema}.key AS {kind}")
        session.run(f"SET LOCAL search_path = {schema}")
        for _, text in applied:
            session.run(text)
        if not found:
            session.many("INSERT INTO meta VALUES (%s, %s)", list(meta.of(wanted, 0).items()))
        if applied:
            session.run("UPDATE meta SET value = %s WHERE name = 'format'", str(applied[-1][0]))
    return tuple(number for number, _ in applied)


def roles(profile: Profile) -> str:
    """SQL that makes the roles SCHEMA_reader, SCHEMA_runner and SCHEMA_admin."""
    assert profile.schema is not None
    found = {"schema": quote(profile.schema), "schema_text": literal(profile.schema), "body": "$roles$"}
    while found["body"][:-1] in profile.schema:
        found["body"] = f"{found['body'][:-1]}_$"
    for role in ("reader", "runner", "admin"):
        name = short(f"{profile.schema}_{role}")
        found |= {role: quote(name), f"{role}_text": literal(name)}
    text = (files(__package__) / "roles.sql").read_text("utf-8")
    return re.sub(r"\{(\w+)\}", lambda part: found[part[1]], text)
