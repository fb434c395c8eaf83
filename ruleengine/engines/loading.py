"""Files loaded into the tables of a Postgres database that a profile binds sources to.

A file is read, checked and converted as for a run on files. So what lies in a table then means what it did in the file:
instants have their zone, wall times of the ruleset's own zone have none, and other timestamps are days.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from ruleengine import scratch
from ruleengine.checking.ruleset import Column, Ruleset
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError, Problems
from ruleengine.engines import copying, csv_files, server
from ruleengine.engines.binding import Declared, columns_of_entity, columns_of_events
from ruleengine.engines.columns import Role, Zones, quote
from ruleengine.engines.connecting import connected
from ruleengine.engines.duckdb import close_off
from ruleengine.engines.files import FileBinder, parquet
from ruleengine.engines.table_columns import convert
from ruleengine.engines.tables import types_of
from ruleengine.schema import Binding, Profile
from ruleengine.sql.postgres import LONGEST_NAME
from ruleengine.sql.scans import source_relation

_TYPES = {"VARCHAR": "text", "TIMESTAMP WITH TIME ZONE": "timestamp with time zone"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What became of the files of one source."""

    source: str
    table: str
    """As the profile writes it."""
    rows: int
    made: bool
    """The table was not there before."""
    replaced: int
    """Rows that were in it."""


def load(
    ruleset: Ruleset,
    profile: Profile,
    files: Mapping[str, Sequence[Path]],
    names: Mapping[str, Sequence[Binding]],
    *,
    over: bool,
) -> tuple[tuple[Loaded, ...], tuple[Problem, ...]]:
    """Load the files of some sources, all or none, and answer the warnings about their data too.

    `names` are bindings of a source that may say what its columns are called in a file; `over` replaces what is there.
    Raises ProblemError with every problem of the data, or the first one of the database."""
    with scratch.folder() as spill, closing(connected()) as duck:
        close_off(duck, spill, [file for parts in files.values() for file in parts], ())
        bound = {
            source: _as_read(duck, profile.binding(source), parts, names[source], dict(_declared(ruleset, source)))
            for source, parts in files.items()
        }
        binder = _Binder(duck, ruleset, replace(profile, sources=bound), files, spill)
        warnings = binder.bind()
        with closing(server.connected(profile)) as connection:
            try:
                connection.execute(server.setting(server.settings(profile), local=False).encode())
                with connection.transaction():
                    tables = [_Table(connection, binder, profile, source) for source in files]
                    return tuple(table.fill(spill, over=over) for table in tables), tuple(warnings)
            except psycopg.Error as error:
                raise ProblemError(server.failed(error, profile)) from error


# -- from files --------------------------------------------------------------------------------------------


class _Binder(FileBinder):
    """Binds each source once, with all columns that anything declares of it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        ruleset: Ruleset,
        profile: Profile,
        files: Mapping[str, Sequence[Path]],
        spill: Path,
    ) -> None:
        super().__init__(connection, ruleset, profile, spill)
        self._files = files

    def files(self, source: str) -> Sequence[Path]:
        return self._files[source]

    def wanted(self) -> Iterator[tuple[str, str, Declared, str | None]]:
        for source in self._files:
            yield source, source, tuple(_declared(self.ruleset, source)), self.zone(source)

    def keyed(self) -> Iterator[tuple[str, str, Column, bool]]:
        for _, source, column, required in super().keyed():
            if source in self._files:
                yield source, source, column, required

    def zone(self, source: str) -> str | None:
        return next((it.zone for it in self.ruleset.events.values() if it.source == source), None)


def _declared(ruleset: Ruleset, source: str) -> Iterator[tuple[Column, Role]]:
    """Every column once, as what it is needed for most: the time of events, then a key."""
    all_columns: list[tuple[Column, Role]] = []
    if not ruleset.entity.distinct and ruleset.entity.source == source:
        all_columns += columns_of_entity(ruleset.entity)
    for events in ruleset.events.values():
        if events.source == source:
            all_columns += columns_of_events(events)
    found: dict[str, tuple[Column, Role]] = {}
    for column, role in sorted(all_columns, key=lambda each: ("time", "key", "plain").index(each[1])):
        found.setdefault(column.name, (column, role))
    yield from found.values()


def _as_read(
    duck: duckdb.DuckDBPyConnection,
    binding: Binding,
    files: Sequence[Path],
    names: Sequence[Binding],
    declared: Mapping[Column, Role],
) -> Binding:
    """The binding of a source to files, its columns called as a profile calls them, or else as the rules do."""
    there = _names_in(duck, files[0])
    columns = {}
    for column in declared:
        called = [each.columns.get(column.name, column.name) for each in names]
        columns[column.name] = next((name for name in called if name in there), column.name)
    return replace(binding, file=str(files[0]), table=None, columns=columns)


def _names_in(duck: duckdb.DuckDBPyConnection, file: Path) -> list[str]:
    try:
        if file.suffix == ".csv":
            return csv_files.header(file)
        return [str(name) for name, *_ in duck.execute(f"DESCRIBE SELECT * FROM {parquet([file])}").fetchall()]
    except (duckdb.Error, csv_files.UnreadableError, OSError):
        return []  # which is told when the file is bound


# -- into tables -------------------------------------------------------------------------------------------


class _Table:
    """The table of a source, which is made where it is not there."""

    def __init__(self, connection: server.Connection, binder: _Binder, profile: Profile, source: str) -> None:
        self._connection = connection
        self._binder = binder
        self._source = source
        self._binding = profile.binding(source)
        assert self._binding.table is not None
        self._name = self._binding.table
        self._columns = self._wanted()
        asked = (
            "SELECT nspname, relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace "
            "WHERE c.oid = pg_catalog.to_regclass(%s)"
        )
        there = connection.execute(asked.encode(), [self._name]).fetchone()
        self._made = there is None
        schema, table = map(str, there or self._named())
        self._sql = f"{quote(schema)}.{quote(table)}"
        if schema == profile.schema:
            raise ProblemError(codes.load_into_store(self._binding.span, table=self._name))
        if self._made:
            self._make(schema)
        else:
            self._check()

    def fill(self, folder: Path, *, over: bool) -> Loaded:
        replaced = 0
        if not self._made:
            if not over and self._one(f"SELECT 1 FROM {self._sql} LIMIT 1") is not None:
                raise ProblemError(codes.load_table_not_empty(self._binding.span, table=self._name))
            # Runs that have begun still see what was there, which TRUNCATE would take from them.
            replaced = self._run(f"DELETE FROM {self._sql}")
        selected = ", ".join(sql for sql, _ in self._columns.values())
        relation = f"(SELECT {selected} FROM {quote(source_relation(self._source))})"
        target = f"{self._sql} ({', '.join(map(quote, self._columns))})"
        rows = copying.copy_in(self._connection, target, self._binder.connection, relation, folder)
        self._run(f"ANALYZE {self._sql}")
        return Loaded(source=self._source, table=self._name, rows=rows, made=self._made, replaced=replaced)

    def _wanted(self) -> dict[str, tuple[str, str]]:
        """By column of the table what is loaded into it, as DuckDB's SQL, and its type, as Postgres'."""
        home = self._binder.ruleset.timezone
        local = Zones(self._binder.zone(self._source) or home, home).local
        found: dict[str, tuple[str, str]] = {}
        for name, type, *_ in self._binder.rows(f"DESCRIBE {quote(source_relation(self._source))}"):
            column, said = str(name), str(type)
            sql, made = quote(column), _TYPES.get(said, said.lower().replace("decimal", "numeric"))
            if said == "TIMESTAMP" and not local:  # made of a day, which is one in every zone
                sql, made = f"CAST({sql} AS DATE)", "date"
            found.setdefault(self._binding.columns.get(column, column), (sql, made))
        return found

    def _named(self) -> tuple[str, str]:
        """The schema and name of a table that is to be made."""
        *schemas, table = self._one("SELECT pg_catalog.parse_ident(%s)", self._name)
        return (schemas[-1] if schemas else self._one("SELECT current_schema()") or "public"), table

    def _make(self, schema: str) -> None:
        long = [name for name in self._columns if len(name.encode()) > LONGEST_NAME]
        if long:
            span, table = self._binding.span, self._name
            raise ProblemError(
                *(codes.load_column_name(span, table=table, column=it, most=LONGEST_NAME) for it in long)
            )
        if self._one("SELECT pg_catalog.to_regnamespace(%s)", quote(schema)) is None:
            self._run(f"CREATE SCHEMA {quote(schema)}")
        columns = ", ".join(f"{quote(name)} {type}" for name, (_, type) in self._columns.items())
        self._run(f"CREATE TABLE {self._sql} ({columns})")

    def _check(self) -> None:
        """Raise where what is there is no table, or one without the columns that are wanted."""
        kind = self._one("SELECT relkind FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass(%s)", self._sql)
        if kind not in ("r", "p"):
            raise ProblemError(codes.load_no_table(self._binding.span, table=self._name))
        self._run(f"LOCK TABLE {self._sql} IN SHARE ROW EXCLUSIVE MODE")  # one load at a time
        found, there = Problems(), types_of(self._connection, self._sql)
        for column, role in _declared(self._binder.ruleset, self._source):
            name = self._binding.columns.get(column.name, column.name)
            if name not in there:
                known = ", ".join(list(there)[:20]) or None
                found.add(
                    codes.column_missing(
                        self._binding.span, source=self._source, column=name, near=near(name, there), known=known
                    )
                )
                continue
            type, wanted = there[name], self._columns[name][1]
            fits = convert(name, type, column.type, role, Zones("UTC", "UTC")) is not None
            if not fits or _clock(type) != _clock(wanted):
                span = self._binding.span
                found.add(codes.load_column_type(span, table=self._name, column=name, found=type, wanted=wanted))
        if found.has_errors:
            raise ProblemError(*found)

    def _one(self, sql: str, *values: object) -> Any:
        row = self._connection.execute(sql.encode(), values or None).fetchone()
        return row[0] if row else None

    def _run(self, sql: str) -> int:
        return self._connection.execute(sql.encode()).rowcount


def _clock(type: str) -> str:
    """What a time means that is written there: an instant, a wall time or a day; nothing of other types."""
    base, _, zone = type.partition(" ")
    if not base.startswith(("timestamp", "date")):
        return ""
    return "instant" if zone == "with time zone" else base[: len("date")]
