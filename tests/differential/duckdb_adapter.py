"""A case through the real checker, compiler and engine, on Parquet files."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ruleengine.engines.duckdb import DuckDB
from ruleengine.schema import Profile, parse
from ruleengine.source import Source
from tests import duck
from tests.differential.answers import Answers, answers_of, checked
from tests.differential.data import Case, Table


def run_sql(case: Case) -> dict[Any, Answers]:
    """Every customer's answers; ProblemError where a number overflows."""
    ruleset = checked(case)
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        for name, table in case.tables.items():
            _write(directory / f"{name}.parquet", table)
        with DuckDB(ruleset, _profile(directory, list(case.tables), case.timezone)) as engine:
            return answers_of(engine, case)


def _profile(directory: Path, sources: Sequence[str], timezone: str) -> Profile:
    lines = [f'[ruleset]\nname = "case"\ntimezone = "{timezone}"\n[profiles.default]\nengine = "duckdb"\nthreads = 1']
    lines.append("[profiles.default.sources]")
    lines.extend(f'{name} = "{name}.parquet"' for name in sources)
    text = "\n".join(lines) + "\n"
    return parse(directory, Source("ruleset.toml", text), text).profile()


def _write(path: Path, table: Table) -> None:
    with duck.database() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns = ", ".join(f'"{column.name}" {column.duckdb_type}' for column in table.columns)
        connection.execute(f"CREATE TABLE t ({columns})")
        if table.rows:
            marks = ", ".join("(" + ", ".join("?" for _ in table.columns) + ")" for _ in table.rows)
            cells = [row[column.name] for row in table.rows for column in table.columns]
            connection.execute(f"INSERT INTO t VALUES {marks}", cells)
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
