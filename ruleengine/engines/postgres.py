"""The engine that computes inside a Postgres database, next to the data.

All of a run is one transaction: it sees one state of the data, makes nothing but temporary views and tables, and leaves
nothing behind. It takes the right to read the sources, and TEMPORARY on the database.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import duckdb
import psycopg
from psycopg import errors

from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.engines import copying, server
from ruleengine.engines.columns import quote
from ruleengine.engines.connecting import connected
from ruleengine.engines.duckdb import close_off
from ruleengine.engines.engine import Engine, Rows, TooLarge
from ruleengine.engines.forgotten import NOBODY, Forgotten
from ruleengine.engines.tables import TableBinder
from ruleengine.planning.layout import Layout
from ruleengine.schema import Profile
from ruleengine.scratch import Scratch
from ruleengine.sql.dialect import Dialect
from ruleengine.sql.expressions import exact_type
from ruleengine.sql.postgres import POSTGRES, short
from ruleengine.types import Kind, Type

_TRANSACTION = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE"


class Postgres(Engine):
    """See `Engine`. `writable` are the folders into which results may be written; who was `forgotten` is left out."""

    dialect: ClassVar[Dialect] = POSTGRES

    def __init__(
        self, ruleset: Ruleset, profile: Profile, writable: Sequence[Path] = (), forgotten: Forgotten = NOBODY
    ) -> None:
        super().__init__(ruleset, profile)
        self._writable = writable
        self._results: duckdb.DuckDBPyConnection | None = None
        self._scratch = Scratch()
        self._spill = self._scratch.path
        try:
            self.connection = server.connected(profile)
            self._begin()
            binder = TableBinder(self.connection, ruleset, profile, forgotten)
            self.problems.extend(binder.bind())
            self.clocks, self.left_out = binder.clocks, binder.left_out
            self.every_key = binder.every_key
            self.keep()
        except psycopg.Error as error:
            self.close()
            raise ProblemError(server.failed(error, profile)) from error
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        # At once, so that no setting of the role counts in between.
        self.query(f"{_TRANSACTION}; {server.setting(server.settings(self.profile), local=True)}")
        # While sources are bound, names are looked up as the database says, and never among what is ours.
        path = "concat_ws(', ', nullif(current_setting('search_path'), ''), 'pg_temp')"
        self.query(f"SELECT set_config('search_path', {path}, true)")

    def query(self, sql: str) -> tuple[list[str], Rows]:
        try:
            done = self.connection.execute(sql.encode())
            return [column.name for column in done.description or ()], done.fetchall() if done.description else []
        except (errors.NumericValueOutOfRange, errors.DatetimeFieldOverflow) as error:
            raise TooLarge(server.failed(error, self.profile)) from error
        except (errors.SyntaxError, errors.UndefinedColumn, errors.UndefinedTable, errors.UndefinedFunction):
            raise  # SQL of ours that is wrong is no problem of the user's
        except psycopg.Error as error:
            raise ProblemError(server.failed(error, self.profile)) from error

    @property
    def database(self) -> server.Connection:
        return self.connection

    def keep(self) -> None:
        self.query("SAVEPOINT bound")

    def begin_again(self) -> None:
        self.query("ROLLBACK TO SAVEPOINT bound")

    def remember(self, tell: Callable[[duckdb.DuckDBPyConnection], object]) -> None:
        with connected() as connection:
            close_off(connection, self._spill, (), self._writable)
            tell(connection)
            for table in ("remembered", "remembered_names"):
                self._tell(connection, table)
        self.keep()

    def _tell(self, connection: duckdb.DuckDBPyConnection, table: str) -> None:
        columns = connection.execute(f"DESCRIBE {table}").fetchall()
        types = {"VARCHAR": 'TEXT COLLATE "C"'}
        made = ", ".join(f"{quote(short(name))} {types.get(type, type)}" for name, type, *_ in columns)
        self.query(f"DROP TABLE IF EXISTS {table}")
        self.query(f"CREATE TEMPORARY TABLE {table} ({made})")
        try:
            copying.copy_in(self.connection, table, connection, table, self._spill)
        except psycopg.Error as error:
            raise ProblemError(server.failed(error, self.profile)) from error

    def results(self, layout: Layout) -> duckdb.DuckDBPyConnection:
        self._results = connected()
        close_off(self._results, self._spill, (), self._writable)
        key = ("customer", "BIGINT" if layout.key_type.name == "integer" else "VARCHAR")
        values = [(value.column, _column_type(value.type)) for value in layout.values]
        words = [(f"w{word}", "BIGINT") for word in range(layout.words)]
        ladders = [(ladder.column, "SMALLINT") for ladder in layout.ladders]
        self._fetch("result_values", [key, *values])
        left = [(part.matched, "DATE") for part in layout.memory.tags]
        for tier in layout.memory.tiers:
            left += [(tier.level, "VARCHAR"), (tier.reached, "DATE"), (tier.below, "DATE")]
        self._fetch("result_assignments", [key, *words, *ladders, *left])
        return self._results

    def _fetch(self, table: str, columns: Sequence[tuple[str, str]]) -> None:
        assert self._results is not None
        read = f"SELECT {', '.join(quote(short(name)) for name, _ in columns)} FROM {table}"
        try:
            copying.copy_out(self.connection, read, self._results, table, columns, self._spill)
        except psycopg.Error as error:
            raise ProblemError(server.failed(error, self.profile)) from error

    def close(self) -> None:
        if self._results is not None:
            self._results.close()
        if hasattr(self, "connection"):
            self.connection.close()
        self._scratch.close()


def _column_type(type: Type) -> str:
    """What DuckDB computes such a value as."""
    match type.kind:
        case Kind.TEXT:
            return "VARCHAR"
        case Kind.EXACT:
            return exact_type(type.digits, type.scale)
        case Kind.BOOLEAN | Kind.DATE | Kind.DOUBLE:
            return type.kind.value.upper()
