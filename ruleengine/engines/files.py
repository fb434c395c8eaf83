"""Sources bound to files, as DuckDB reads them."""

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError, Problems
from ruleengine.engines import csv_files
from ruleengine.engines.binding import Binder, Converted, Declared, Matched, type_problem
from ruleengine.engines.columns import Zones, convert_text, convert_typed, has_offsets, literal, quote
from ruleengine.engines.csv_files import UnreadableError
from ruleengine.engines.engine import Rows
from ruleengine.engines.forgotten import NOBODY, Forgotten
from ruleengine.engines.uniqueness import is_unique
from ruleengine.schema import Binding, Profile

ROW = "row number"
"""The column of a raw table that no data file can name."""


class FileBinder(Binder):
    """Binds sources to CSV and Parquet files."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        ruleset: Ruleset,
        profile: Profile,
        spill: Path,
        forgotten: Forgotten = NOBODY,
    ) -> None:
        super().__init__(ruleset, profile, forgotten)
        self.connection = connection
        self.spill = spill
        self._numbered: dict[str, str] = {}
        """By relation, SQL that reads the data as it is, with the number of each row."""
        self._kinds: dict[str, str] = {}
        """By relation as SQL writes it, whether it is a table or a view."""
        self._read_later: list[tuple[Binding, Sequence[Path], Sequence[str]]] = []
        """The Parquet files whose columns are read anew by each statement."""

    def bind_source(self, name: str, binding: Binding, columns: Declared, zones: Zones, found: Problems) -> None:
        try:
            files = self.files(binding.source)
        except ProblemError as error:
            found.extend(error.problems)
            return
        shown = ", ".join(file.name for file in files[:3]) + ("…" if len(files) > 3 else "")
        is_csv = files[0].suffix == ".csv"
        try:
            types = dict.fromkeys(csv_files.header(files[0]), "VARCHAR") if is_csv else self._types(files)
            wanted = self.match_columns(binding, types, columns, found)
            if wanted is None:
                return
            if is_csv:
                self._bind_csv(name, binding, files, wanted, zones, found)
            else:
                self._check_parts(files, wanted)
                self._bind_parquet(name, binding, files, wanted, types, zones, found)
        except duckdb.Error as error:
            found.add(_unreadable(binding, shown, error))
        except (UnreadableError, OSError) as error:
            reason = f"{error}."
            found.add(codes.source_unreadable(binding.span, source=binding.source, file=shown, reason=reason))

    def files(self, source: str) -> Sequence[Path]:
        """In order of their names; ProblemError without any."""
        return self.profile.files(source)

    def check_key(self, name: str, binding: Binding, column: str, required: bool, found: Problems) -> None:
        try:
            super().check_key(name, binding, column, required, found)
        except duckdb.Error as error:  # only now the column is read
            found.add(_unreadable(binding, str(binding.file), error))

    def rows(self, sql: str) -> Rows:
        return self.connection.execute(sql).fetchall()

    def first(self, name: str, physical: str, condition: str) -> tuple[int | None, str]:
        found = self.rows(
            f"SELECT row, CAST({quote(physical)} AS VARCHAR) FROM {self._numbered[name]} "
            f"WHERE {condition} ORDER BY row LIMIT 1"
        )
        return (found[0][0], str(found[0][1])) if found else (0, "")

    def damaged(self) -> Problem | None:
        """The first Parquet file of which something cannot be read; each is read through to find it."""
        for binding, files, columns in self._read_later:
            for file in files:
                try:
                    self.rows(f"SELECT max(hash({', '.join(map(quote, columns))})) FROM {parquet([file])}")
                except duckdb.Error as error:
                    return _unreadable(binding, file.name, error)
        return None

    def is_unique(self, values: str) -> bool:
        return is_unique(self.connection, values)

    def rename(self, relation: str, to: str) -> None:
        self.connection.execute(f"ALTER {self._kinds[relation]} {relation} RENAME TO {to}")

    def digest(self, text: str) -> str:
        return f"sha256({text})"

    def finish(self) -> None:
        for name in self._numbered:
            self.connection.execute(f"DROP TABLE IF EXISTS {quote(f'raw_{name}')}")

    def _types(self, files: Sequence[Path]) -> dict[str, str]:
        return {str(row[0]): str(row[1]) for row in self.rows(f"DESCRIBE SELECT * FROM {parquet(files)}")}

    def _check_parts(self, files: Sequence[Path], wanted: Matched) -> None:
        """Raise UnreadableError where a file has a wanted column not once, or its times lie otherwise than before.

        DuckDB would make missing values, take the first of two, and read local times as UTC. It would also read once
        more what a file's name means as a pattern.
        """
        physicals = {physical for _, _, physical in wanted}
        clocks: dict[str, bool] = {}
        for file in files:
            path = str(file.absolute())
            if re.search(r"[*?[]", path) and self.rows(f"SELECT file FROM glob({literal(path)})") != [(path,)]:
                raise UnreadableError(f"{file.name} would be read as a pattern that other files meet; rename it")
            types = self._types([file])  # with columns that the names of folders say: day=2026-03-31
            csv_files.check_names(file, [*(types.keys() - set(names := self._names(file))), *names], physicals)
            for name in physicals & types.keys():
                if types[name] == "DATE" or types[name].startswith("TIMESTAMP"):
                    zoned = types[name].endswith("WITH TIME ZONE")
                    if clocks.setdefault(name, zoned) is not zoned:
                        raise UnreadableError(
                            f"the times of `{name}` have a zone in some files, but not in others such as {file.name}"
                            if not zoned
                            else f"the times of `{name}` have a zone in {file.name}, but not in other files"
                        )

    def _names(self, file: Path) -> list[str]:
        """The columns of a Parquet file as they are named in it, without those that lie in others."""
        fields = iter(self.rows(f"SELECT name, num_children FROM parquet_schema({literal(str(file.absolute()))})"))

        def below(count: int) -> list[str]:
            names = []
            for _ in range(count):
                name, children = next(fields)
                names.append(str(name))
                below(children or 0)
            return names

        _, columns = next(fields)
        return below(columns)

    def _bind_parquet(
        self,
        name: str,
        binding: Binding,
        files: Sequence[Path],
        wanted: Matched,
        types: dict[str, str],
        zones: Zones,
        found: Problems,
    ) -> None:
        converted = []
        for column, role, physical in wanted:
            type = types[physical]
            made = convert_typed(physical, type, column.type, role, zones)
            if made is None:
                type_problem(binding, column, physical, role, _plain_type(type), _fitting(type), found)
            else:
                converted.append((column, role, physical, made))
        if len(converted) < len(wanted):
            return
        self._numbered[name] = parquet(files, numbered=True)
        self._read_later.append((binding, files, [physical for _, _, physical in wanted]))
        self._create(name, parquet(files), converted, "VIEW")
        self.check_values(name, binding, parquet(files), converted, found)

    def _bind_csv(
        self,
        name: str,
        binding: Binding,
        files: Sequence[Path],
        wanted: Matched,
        zones: Zones,
        found: Problems,
    ) -> None:
        physicals = list(dict.fromkeys(physical for _, _, physical in wanted))
        target = self.spill / "cells.csv"
        relation, rows = csv_files.hand_over(files, physicals, target)
        raw = quote(f"raw_{name}")
        named = ", ".join(f"c{index} AS {quote(physical)}" for index, physical in enumerate(physicals))
        self.connection.execute(f"CREATE TEMPORARY TABLE {raw} AS SELECT row AS {quote(ROW)}, {named} FROM {relation}")
        target.unlink()
        ((counted,),) = self.rows(f"SELECT count(*) FROM {raw}")
        assert counted == rows, f"{rows} rows were written, {counted} read"
        self._numbered[name] = f"(SELECT {quote(ROW)} AS row, * FROM {raw})"
        times = [p for column, _, p in wanted if column.type.name in ("timestamp", "date")]
        offsets: dict[str, bool] = {}
        if times:
            ((*counts,),) = self.rows(f"SELECT {', '.join(map(has_offsets, times))} FROM {raw}")
            offsets = {physical: bool(count) for physical, count in zip(times, counts, strict=True)}
        converted = [
            (
                column,
                role,
                physical,
                convert_text(physical, column.type, role, zones, offsets.get(physical, False)),
            )
            for column, role, physical in wanted
        ]
        self.check_values(name, binding, raw, converted, found)
        if not found.has_errors:
            self._create(name, raw, converted, "TABLE")

    def _create(self, name: str, relation: str, converted: Converted, kind: str) -> None:
        made = self.relation(name)
        self._kinds[made] = kind
        self.connection.execute(f"CREATE TEMPORARY {kind} {made} AS {self.selected(name, converted)} FROM {relation}")


def _unreadable(binding: Binding, file: str, error: duckdb.Error) -> Problem:
    if isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException):
        raise error
    return codes.source_unreadable(binding.span, source=binding.source, file=file, reason=reason_of(error))


def parquet(files: Sequence[Path], *, numbered: bool = False) -> str:
    """SQL that reads Parquet files, columns matched by name; `numbered` adds the column `row`, from 1 in each file."""
    names = ", ".join(literal(str(file.absolute())) for file in files)
    if numbered:
        rows = f"read_parquet([{names}], union_by_name = true, file_row_number = true)"
        return f"(SELECT file_row_number + 1 AS row, * EXCLUDE (file_row_number) FROM {rows})"
    return f"read_parquet([{names}], union_by_name = true)"


def reason_of(error: duckdb.Error) -> str:
    """The first sentence of DuckDB's message, without its own class names and paths of ours."""
    text = str(error).strip().splitlines()[0]
    _, colon, rest = text.partition(": ")
    return (rest if colon else text).strip().rstrip(".") + "."


_PLAIN = {
    "VARCHAR": "text",
    "BOOLEAN": "true/false",
    "DOUBLE": "a floating-point number",
    "FLOAT": "a floating-point number",
    "DATE": "a date",
}


def _plain_type(found: str) -> str:
    if found.endswith("]"):
        return "a list"
    if found.startswith("TIMESTAMP"):
        return "a timestamp"
    if found.startswith("DECIMAL"):
        return found.lower()
    return _PLAIN.get(found, "a whole number" if found.endswith("INT") or found == "INTEGER" else found.lower())


def _fitting(found: str) -> str | None:
    """The declaration that would fit what the data has."""
    if found.endswith("]"):
        return None
    if found in ("DOUBLE", "FLOAT") or found.startswith("DECIMAL"):
        return "decimal"
    if found.startswith("TIMESTAMP"):
        return "timestamp"
    if found in ("VARCHAR", "DATE", "BOOLEAN"):
        return {"VARCHAR": "text", "DATE": "date", "BOOLEAN": "boolean"}[found]
    return "integer" if found.endswith("INT") or found == "INTEGER" else None
