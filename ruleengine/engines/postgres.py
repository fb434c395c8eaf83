"""The engine that computes inside a Postgres database, next to the data.

All of a run is one transaction: it sees one state of the data, makes nothing but temporary views and tables, and leaves
nothing behind. It takes the right to read the sources, and TEMPORARY on the database.
"""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import duckdb
import psycopg
from psycopg import errors

from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.engines import server
from ruleengine.engines.columns import literal, quote
from ruleengine.engines.connecting import connected
from ruleengine.engines.duckdb import close_off
from ruleengine.engines.engine import Engine, Rows, TooLarge
from ruleengine.engines.tables import TableBinder
from ruleengine.planning.layout import Layout
from ruleengine.schema import Profile
from ruleengine.sql.dialect import Dialect
from ruleengine.sql.expressions import exact_type
from ruleengine.sql.postgres import POSTGRES, short
from ruleengine.types import Kind, Type

_TRANSACTION = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ WRITE"
BLOCK = 1 << 18
"""So many bytes of a file go to the server at a time."""
_EPOCH = "DATE '1970-01-01'"


class Postgres(Engine):
    """See `Engine`. `writable` are the folders into which results may be written."""

    dialect: ClassVar[Dialect] = POSTGRES

    def __init__(self, ruleset: Ruleset, profile: Profile, writable: Sequence[Path] = ()) -> None:
        super().__init__(ruleset, profile)
        self._writable = writable
        self._results: duckdb.DuckDBPyConnection | None = None
        self._spill = Path(tempfile.mkdtemp(prefix="ruleengine-"))
        try:
            self.connection = server.connected(profile)
            self._begin()
            binder = TableBinder(self.connection, ruleset, profile)
            self.problems.extend(binder.bind())
            self.clocks = binder.clocks
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
        """Copy a table of DuckDB's, through a file as well."""
        columns = connection.execute(f"DESCRIBE {table}").fetchall()
        types = {"VARCHAR": 'TEXT COLLATE "C"'}
        made = ", ".join(f"{quote(short(name))} {types.get(type, type)}" for name, type, *_ in columns)
        self.query(f"DROP TABLE IF EXISTS {table}")
        self.query(f"CREATE TEMPORARY TABLE {table} ({made})")
        file = self._spill / f"{table}.csv"
        texts = ", ".join(quote(name) for name, type, *_ in columns if type == "VARCHAR")
        quoted = f", FORCE_QUOTE ({texts})" if texts else ""  # an empty text, but not a missing one
        connection.execute(f"COPY {table} TO {literal(str(file))} (FORMAT csv, HEADER false{quoted})")
        try:
            told = f"COPY {table} FROM STDIN (FORMAT csv)".encode()
            with file.open("rb") as lines, self.connection.cursor() as cursor, cursor.copy(told) as copy:
                while block := lines.read(BLOCK):
                    copy.write(block)
        except psycopg.Error as error:
            raise ProblemError(server.failed(error, self.profile)) from error
        file.unlink()

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
        """Copy a result table into DuckDB, through a file: no row passes through Python."""
        assert self._results is not None
        file = self._spill / f"{table}.csv"
        read = [f"{quote(short(name))} - {_EPOCH}" if type == "DATE" else quote(short(name)) for name, type in columns]
        rows = f"SELECT {', '.join(read)} FROM {table}"
        try:
            with self.connection.cursor() as cursor, file.open("wb") as out:
                with cursor.copy(f"COPY ({rows}) TO STDOUT (FORMAT csv)".encode()) as copy:
                    for block in copy:
                        out.write(block)
                copied = cursor.rowcount
        except psycopg.Error as error:
            raise ProblemError(server.failed(error, self.profile)) from error
        types = {f"c{index}": "INTEGER" if type == "DATE" else type for index, (_, type) in enumerate(columns)}
        options = "auto_detect = false, header = false, nullstr = '', allow_quoted_nulls = false, new_line = '\\n'"
        style = "delim = ',', quote = '\"', escape = '\"', comment = ''"
        made = [
            f"{_EPOCH} + c{index} AS {quote(name)}" if type == "DATE" else f"c{index} AS {quote(name)}"
            for index, (name, type) in enumerate(columns)
        ]
        self._results.execute(
            f"CREATE TABLE {table} AS SELECT {', '.join(made)} "
            f"FROM read_csv({literal(str(file))}, columns = {types!r}, {options}, {style})"
        )
        counted = self._results.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert counted == (copied,), f"{copied} rows were copied, {counted} read"
        file.unlink()

    def close(self) -> None:
        if self._results is not None:
            self._results.close()
        if hasattr(self, "connection"):
            self.connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)


def _column_type(type: Type) -> str:
    """What DuckDB computes such a value as."""
    match type.kind:
        case Kind.TEXT:
            return "VARCHAR"
        case Kind.EXACT:
            return exact_type(type.digits, type.scale)
        case Kind.BOOLEAN | Kind.DATE | Kind.DOUBLE:
            return type.kind.value.upper()
