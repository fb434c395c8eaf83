"""Whether the texts that rules compare with ever occur in the data."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb

from ruleengine import scratch
from ruleengine.checking.literals import TextLiteral
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.engines.columns import quote
from ruleengine.engines.connecting import connected
from ruleengine.engines.csv_files import UnreadableError, cells
from ruleengine.engines.duckdb import close_off
from ruleengine.engines.files import parquet
from ruleengine.schema import Profile

SourceColumn = tuple[str, str]

MOST_EXAMPLES = 200
"""So many values of a column are looked at for one that might be meant."""


def never_seen(profile: Profile, literals: Iterable[TextLiteral]) -> Iterator[Problem]:
    """A warning for each text that its column never holds. Data that cannot be read says nothing: a run will tell."""
    columns: dict[tuple[str, str], list[TextLiteral]] = {}
    for each in literals:
        columns.setdefault((each.source, each.column), []).append(each)
    if not columns:
        return
    found = dict(_in_tables(profile, columns) if profile.dsn is not None else _in_files(profile, columns))
    for (source, column), wanted in columns.items():
        texts = found.get((source, column), set())
        examples = sorted(texts)[:MOST_EXAMPLES]
        if examples:
            for each in wanted:
                if each.text not in texts:
                    close = near(each.text, examples)
                    yield codes.never_in_data(each.span, value=each.text, column=f"{source}.{column}", near=close)


def _in_files(profile: Profile, columns: Iterable[SourceColumn]) -> Iterator[tuple[SourceColumn, set[str]]]:
    for source, column in columns:
        with suppress(ProblemError, UnreadableError, duckdb.Error, OSError):
            physical = profile.binding(source).columns.get(column, column)
            yield (source, column), _texts(profile.files(source), physical)


def _in_tables(profile: Profile, columns: Iterable[SourceColumn]) -> Iterator[tuple[SourceColumn, set[str]]]:
    import psycopg

    from ruleengine.engines import server, tables

    with server.connected(profile) as connection:
        if profile.timeout is not None:
            connection.execute(f"SET statement_timeout = {profile.timeout * 1000}".encode())
        for source, column in columns:
            with suppress(ProblemError, psycopg.Error):
                binding = profile.binding(source)
                value = f"CAST({quote(binding.columns.get(column, column))} AS text)"
                relation = tables.relation_of(connection, binding)
                rows = connection.execute(f"SELECT DISTINCT {value} FROM {relation} WHERE {value} IS NOT NULL".encode())
                yield (source, column), {str(row[0]) for row in rows}


def _texts(files: Sequence[Path], column: str) -> set[str]:
    """The different texts of a column of some files."""
    if files[0].suffix == ".csv":
        return {row[0] for row in cells(files, [column])} - {""}
    with scratch.folder() as spill, connected() as connection:
        close_off(connection, spill, files, ())
        value = f"CAST({quote(column)} AS VARCHAR)"
        rows = connection.execute(f"SELECT DISTINCT {value} FROM {parquet(files)} WHERE {value} IS NOT NULL").fetchall()
    return {str(row[0]) for row in rows}
