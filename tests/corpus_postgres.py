"""The corpus pages that run, in Postgres: on tables of what DuckDB reads from the page's files, to the same answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg import sql

from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.engines.duckdb import DuckDB
from ruleengine.engines.engine import Engine, Findings, Tally
from ruleengine.engines.postgres import Postgres
from ruleengine.planning.plan import plan
from ruleengine.schema import Profile, parse
from ruleengine.source import Source
from tests import postgres

TYPES = {"BIGINT": "bigint", "VARCHAR": "text", "BOOLEAN": "boolean", "DATE": "date", "TIMESTAMP": "timestamp"}


@contextmanager
def in_postgres(duck: DuckDB) -> Iterator[Postgres]:
    """An engine over tables with what the relations of another one hold: one for the entity, one for each events."""
    found = duck.ruleset
    entity = found.entity if found.entity.distinct else replace(found.entity, source=found.entity.name)
    events = {name: replace(it, source=name) for name, it in found.events.items()}
    ruleset = replace(found, entity=entity, events=events)
    relations = [*events, *([] if entity.distinct else [entity.name])]
    with TemporaryDirectory() as folder, postgres.shop() as connection:
        copy_tables(duck, connection)
        with Postgres(ruleset, profile(Path(folder), ruleset, relations)) as engine:
            yield engine


def profile(directory: Path, ruleset: Ruleset, tables: list[str]) -> Profile:
    lines = [f'[ruleset]\nname = "page"\ntimezone = "{ruleset.timezone}"', '[profiles.prod]\nengine = "postgres"']
    lines.append(f'dsn = "${{{postgres.VARIABLE}}}"\n[profiles.prod.sources]')
    lines.extend(f"'{name}' = {{table = '\"{name}\"'}}" for name in tables)
    text = "\n".join(lines) + "\n"
    return parse(directory, Source("ruleset.toml", text), text).profile("prod")


def copy_tables(duck: DuckDB, connection: postgres.Admin) -> None:
    """Make tables of the relations of an engine: one for the entity, one for each events."""
    entity = duck.ruleset.entity
    for name in (*duck.ruleset.events, *([] if entity.distinct else [entity.name])):
        _copy(duck, connection, name)


def _copy(duck: DuckDB, connection: postgres.Admin, name: str) -> None:
    described = duck.connection.execute(f'DESCRIBE "source_{name}"').fetchall()
    zoned = {column for column, type, *_ in described if type == "TIMESTAMP WITH TIME ZONE"}
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(
            sql.Identifier(column), sql.SQL("timestamptz" if column in zoned else TYPES.get(type, type))
        )
        for column, type, *_ in described
    )
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), columns))
    # DuckDB hands out a time with its zone only where pytz is.
    read = ", ".join(f"timezone('UTC', \"{column}\")" if column in zoned else f'"{column}"' for column, *_ in described)
    rows = duck.connection.execute(f'SELECT {read} FROM "source_{name}"').fetchall()
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(name))) as copy:
        for row in rows:
            copy.write_row(
                [
                    cell.replace(tzinfo=UTC) if isinstance(cell, datetime) and column in zoned else cell
                    for cell, (column, *_) in zip(row, described, strict=True)
                ]
            )


def agree(duck: DuckDB, day: date) -> None:
    """Both engines say the same of the checks, of every customer, and of what was left out."""
    with in_postgres(duck) as engine:
        assert _examined(engine, day) == _examined(duck, day)
        assert _computed(engine, day) == _computed(duck, day)


def _examined(engine: Engine, day: date) -> tuple[Tally, ...] | str:
    try:
        return engine.examine(plan(engine.ruleset, day))
    except ProblemError as error:
        return _overflow(error)


def _computed(engine: Engine, day: date) -> tuple[Findings, list[str], list[str]] | str:
    work = plan(engine.ruleset, day)
    try:
        findings = engine.run(work)
    except ProblemError as error:
        return _overflow(error)
    results = engine.results(work.layout)

    def rows(table: str) -> list[str]:
        found = results.execute(f"SELECT * FROM {table} ORDER BY customer").fetchall()
        return [repr(row) for row in found]  # 0.0 is not -0.0, nor 1 1.00

    return findings, rows("result_values"), rows("result_assignments")


def _overflow(error: ProblemError) -> str:
    (problem,) = error.problems
    assert problem.code is codes.overflow, problem
    return str(problem.facts["name"])
