"""The SQL that a run would execute."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Literal

from ruleengine.planning.plan import plan
from ruleengine.sql.duckdb import DUCKDB
from ruleengine.sql.postgres import POSTGRES
from ruleengine.sql.scans import default_clocks
from ruleengine.sql.statements import emit
from ruleengine.verbs import opening


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledStatement:
    name: str
    """The table it makes."""
    purpose: str
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    ruleset: str
    ruleset_hash: str
    as_of: date
    engine: str
    macros: tuple[str, ...]
    """Functions of ours that the statements call."""
    statements: tuple[CompiledStatement, ...]
    """In order. `source_NAME` is the relation of a source, its columns named and typed as declared."""


def compile(path: Path, as_of: date | None = None, engine: Literal["duckdb", "postgres"] = "duckdb") -> Compiled:
    """Compile for a date, by default today.

    Looks at no data, so that times count as naive, in the declared zone.
    """
    opened = opening.opened(path)
    day = as_of or datetime.now(opened.manifest.zone).date()
    dialect = POSTGRES if engine == "postgres" else DUCKDB
    program = emit(plan(opened.ruleset, day), dialect, default_clocks(opened.ruleset))
    return Compiled(
        ruleset=opened.manifest.name,
        ruleset_hash=opened.ruleset.hash,
        as_of=day,
        engine=engine,
        macros=dialect.prelude,
        statements=tuple(
            CompiledStatement(name=statement.name, purpose=statement.purpose, sql=statement.sql())
            for statement in program.statements
        ),
    )
