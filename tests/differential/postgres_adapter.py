"""A case through the real checker, compiler and engine, on tables of a Postgres database."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from psycopg import sql

from ruleengine.engines.postgres import Postgres
from ruleengine.schema import Profile, parse
from ruleengine.source import Source
from tests import postgres
from tests.differential.answers import Answers, answers_of, checked
from tests.differential.data import Case, Table


def run_sql(case: Case) -> dict[Any, Answers]:
    """Every customer's answers; ProblemError where a number overflows."""
    ruleset = checked(case)
    with TemporaryDirectory() as folder, postgres.shop() as connection:
        for name, table in case.tables.items():
            _write(connection, name, table)
        with Postgres(ruleset, _profile(Path(folder), case)) as engine:
            return answers_of(engine, case)


def _profile(directory: Path, case: Case) -> Profile:
    lines = [f'[ruleset]\nname = "case"\ntimezone = "{case.timezone}"', '[profiles.default]\nengine = "postgres"']
    lines.append(f'dsn = "${{{postgres.VARIABLE}}}"\n[profiles.default.sources]')
    lines.extend(f'{name} = {{table = "{name}"}}' for name in case.tables)
    text = "\n".join(lines) + "\n"
    return parse(directory, Source("ruleset.toml", text), text).profile()


def _write(connection: postgres.Admin, name: str, table: Table) -> None:
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.postgres_type)) for column in table.columns
    )
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), columns))
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as copy:
        for row in table.rows:
            copy.write_row([row[column.name] for column in table.columns])
