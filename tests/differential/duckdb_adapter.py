"""A case through the real checker, compiler and engine, on Parquet files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Ruleset
from ruleengine.engines.duckdb import DuckDB
from ruleengine.planning.plan import plan
from ruleengine.schema import Profile, parse
from ruleengine.source import Source
from tests.differential.data import Case, Table


@dataclass(frozen=True, slots=True)
class Answers:
    """What the SQL says of one customer. Only values that published rules read are there."""

    values: dict[str, Any]
    tags: frozenset[str]
    ladders: dict[str, str | None]


def checked(case: Case) -> Ruleset:
    found = check([Source("case.rules", case.rules)], "case", case.timezone)
    errors = [
        f"{problem.code.name} at {problem.span}: {dict(problem.facts)}"
        for problem in found.problems
        if problem.is_error
    ]
    assert found.ruleset is not None, errors
    return found.ruleset


def run_sql(case: Case) -> dict[Any, Answers]:
    """Every customer's answers; ProblemError where a number overflows."""
    ruleset = checked(case)
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        for name, table in case.tables.items():
            _write(directory / f"{name}.parquet", table)
        with DuckDB(ruleset, _profile(directory, list(case.tables), case.timezone)) as engine:
            planned = plan(ruleset, case.as_of)
            engine.run(planned)
            layout = planned.layout
            answers = {}
            assignments = {
                row[0]: row[1:] for row in engine.connection.execute("SELECT * FROM result_assignments").fetchall()
            }
            for row in engine.connection.execute("SELECT * FROM result_values").fetchall():
                bits = assignments[row[0]]
                answers[row[0]] = Answers(
                    values={value.name: cell for value, cell in zip(layout.values, row[1:], strict=True)},
                    tags=frozenset(slot.name for slot in layout.tags if bits[slot.word] >> slot.bit & 1),
                    ladders={
                        slot.name: slot.values[rung - 1] if (rung := bits[layout.words + index]) else None
                        for index, slot in enumerate(layout.ladders)
                    },
                )
            assert len(answers) == len(assignments)
            return answers


def _profile(directory: Path, sources: Sequence[str], timezone: str) -> Profile:
    lines = [f'[ruleset]\nname = "case"\ntimezone = "{timezone}"\n[profiles.default]\nengine = "duckdb"\nthreads = 1']
    lines.append("[profiles.default.sources]")
    lines.extend(f'{name} = "{name}.parquet"' for name in sources)
    text = "\n".join(lines) + "\n"
    return parse(directory, Source("ruleset.toml", text), text).profile()


def _write(path: Path, table: Table) -> None:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns = ", ".join(f'"{column.name}" {column.duckdb_type}' for column in table.columns)
        connection.execute(f"CREATE TABLE t ({columns})")
        if table.rows:
            marks = ", ".join("(" + ", ".join("?" for _ in table.columns) + ")" for _ in table.rows)
            cells = [row[column.name] for row in table.rows for column in table.columns]
            connection.execute(f"INSERT INTO t VALUES {marks}", cells)
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
