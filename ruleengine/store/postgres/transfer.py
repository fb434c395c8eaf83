"""Tables on their way between DuckDB and Postgres, through files: no row passes through Python."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ruleengine.engines import copying
from ruleengine.engines.columns import quote
from ruleengine.planning.layout import Layout
from ruleengine.sql.postgres import short
from ruleengine.store.postgres.session import Session

_TYPES = {"VARCHAR": 'text COLLATE "C"', "DOUBLE": "double precision", "HUGEINT": "numeric(38, 0)"}


@contextmanager
def lifted(session: Session, duck: duckdb.DuckDBPyConnection, layout: Layout, folder: Path) -> Iterator[None]:
    """The result tables of a DuckDB connection as temporary ones, within a transaction."""
    for table in ("result_values", "result_assignments"):
        types = {name: type for name, type, *_ in duck.execute(f"DESCRIBE {table}").fetchall()}
        columns = ", ".join(f"{quote(short(name))} {_TYPES.get(type, type)}" for name, type in types.items())
        session.run(f"DROP TABLE IF EXISTS pg_temp.{table}")
        session.run(f"CREATE TEMPORARY TABLE {table} ({columns}) ON COMMIT DROP")
        copy_in(session, f"pg_temp.{table}", duck, table, folder)
        session.run(f"ANALYZE pg_temp.{table}")
    yield


def copy_in(session: Session, table: str, duck: duckdb.DuckDBPyConnection, relation: str, folder: Path) -> int:
    """Append a relation of DuckDB's to a table with the same columns; answers the number of rows."""
    with session.told():
        return copying.copy_in(session.connection, table, duck, relation, folder)


def copy_out(
    session: Session,
    query: str,
    duck: duckdb.DuckDBPyConnection,
    table: str,
    columns: Sequence[tuple[str, str]],
    folder: Path,
) -> None:
    """Make a temporary table of DuckDB's of a query; its columns are of these names and DuckDB's types."""
    with session.told():
        copying.copy_out(session.connection, query, duck, table, columns, folder)
