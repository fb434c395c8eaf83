"""Sources bound to tables, views and queries of a Postgres database."""

import psycopg
from psycopg import errors

from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problems
from ruleengine.engines import server
from ruleengine.engines.binding import Binder, Declared, type_problem
from ruleengine.engines.columns import Zones, quote
from ruleengine.engines.engine import Rows
from ruleengine.engines.forgotten import Forgotten
from ruleengine.engines.table_columns import convert, fitting, plain_type
from ruleengine.schema import Binding, Profile
from ruleengine.sql.postgres import POSTGRES, short


class TableBinder(Binder):
    """Binds sources on a connection that is in a transaction.

    A source is two views that end with the transaction: what it is bound to as it is, and its columns named and typed
    as declared. They keep hold of what they read, so that it does not matter what else is called so.
    """

    def __init__(self, connection: server.Connection, ruleset: Ruleset, profile: Profile, forgotten: Forgotten) -> None:
        super().__init__(ruleset, profile, forgotten)
        self.connection = connection

    def bind_source(self, name: str, binding: Binding, columns: Declared, zones: Zones, found: Problems) -> None:
        try:
            with self.connection.transaction():
                self._bind(name, binding, columns, zones, found)
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError):
                raise  # of the server, not of what is bound
            self._unreadable(binding, error, found)

    def _bind(self, name: str, binding: Binding, columns: Declared, zones: Zones, found: Problems) -> None:
        raw = f"pg_temp.{self.quote(f'raw {name}')}"
        self.rows(f"CREATE TEMPORARY VIEW {raw} AS SELECT * FROM {relation_of(self.connection, binding)}")
        self.rows(f"SELECT FROM {raw} LIMIT 0")  # Only who reads from it is asked for the right to.
        types = types_of(self.connection, raw)
        wanted = self.match_columns(binding, types, columns, found)
        if wanted is None:
            return
        zones = Zones(POSTGRES.zone(zones.naive), POSTGRES.zone(zones.home))
        converted = []
        for column, role, physical in wanted:
            type = types[physical]
            made = convert(physical, type, column.type, role, zones)
            if made is None:
                type_problem(binding, column, physical, role, plain_type(type), fitting(type), found)
            else:
                converted.append((column, role, physical, made))
        if len(converted) == len(wanted):
            query = f"{self.selected(name, converted)} FROM {raw}"
            self.rows(f"CREATE TEMPORARY VIEW {self.relation(name)} AS {query}")
            self.check_values(name, binding, raw, converted, found)

    def rows(self, sql: str) -> Rows:
        done = self.connection.execute(sql.encode())
        return done.fetchall() if done.description else []

    def first(self, name: str, physical: str, condition: str) -> tuple[int | None, str]:
        raw = f"pg_temp.{self.quote(f'raw {name}')}"
        value = f"CAST({quote(physical)} AS text)"
        found = self.rows(f"SELECT {value} FROM {raw} WHERE {condition} ORDER BY {value} LIMIT 1")
        return None, str(found[0][0]) if found else ""

    def is_unique(self, values: str) -> bool:
        return not self.rows(f"SELECT 1 FROM {values} GROUP BY value HAVING count(*) > 1 LIMIT 1")

    def rename(self, relation: str, to: str) -> None:
        self.rows(f"ALTER VIEW {relation} RENAME TO {to}")

    def digest(self, text: str) -> str:
        return f"encode(sha256(convert_to({text}, 'UTF8')), 'hex')"

    def finish(self) -> None:
        # From here on nothing of the database's own can be meant by a name of ours.
        self.rows("SET LOCAL search_path = pg_catalog, pg_temp")

    def quote(self, name: str) -> str:
        return quote(short(name))

    def relation(self, name: str) -> str:
        return f"pg_temp.{super().relation(name)}"

    def _unreadable(self, binding: Binding, error: psycopg.Error, found: Problems) -> None:
        may_not = isinstance(error, errors.InsufficientPrivilege)
        found.add(
            codes.table_unreadable(
                binding.span,
                source=binding.source,
                what=binding.table or "query",
                reason=server.reason_of(error),
                table=binding.table if may_not else None,
            )
        )


def types_of(connection: server.Connection, relation: str) -> dict[str, str]:
    """The columns of a relation, and what Postgres calls their types; domains as what they are of."""
    asked = """
        SELECT attname, CASE WHEN b.typtype = 'e' THEN 'enum' WHEN b.typname = 'citext' THEN 'citext' ELSE
            format_type(b.oid, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE atttypmod END) END
        FROM pg_catalog.pg_attribute
        JOIN pg_catalog.pg_type t ON t.oid = atttypid
        JOIN pg_catalog.pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
        WHERE attrelid = CAST(%s AS regclass) AND attnum > 0 AND NOT attisdropped
        ORDER BY attnum
    """
    return {str(name): str(type) for name, type in connection.execute(asked, [relation]).fetchall()}


def relation_of(connection: server.Connection, binding: Binding) -> str:
    """What a source is bound to, as SQL has it after FROM. Raises psycopg.Error where there is no such table."""
    if binding.table is None:
        return f"(\n{binding.sql}\n) AS query"
    # A name as one writes it in SQL: in parts, in small letters unless quoted.
    asked = """
        SELECT format('%%I.%%I', nspname, relname) FROM pg_catalog.pg_class c
        JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace WHERE c.oid = CAST(%s AS regclass)
    """
    found = connection.execute(asked, [binding.table]).fetchone()
    assert found is not None
    return str(found[0])
