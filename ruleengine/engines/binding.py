"""Sources bound to files: the relations that a run reads, and what is wrong with their data."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import duckdb

from ruleengine.checking.ruleset import Column, Events, Ruleset
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError, Problems
from ruleengine.engines import csv_files
from ruleengine.engines.columns import (
    Conversion,
    Role,
    Zones,
    convert_text,
    convert_typed,
    has_offsets,
    literal,
    quote,
)
from ruleengine.engines.uniqueness import is_unique
from ruleengine.schema import Profile
from ruleengine.source import Span
from ruleengine.sql.scans import Clock, source_relation

ROW = "row number"
"""The column of a raw table that no data file can name."""


class Binder:
    """Makes the relations of a ruleset on a connection, from the files that a profile binds its sources to."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, ruleset: Ruleset, profile: Profile, spill: Path) -> None:
        self.connection = connection
        self.ruleset = ruleset
        self.profile = profile
        self.spill = spill
        self.clocks: dict[str, Clock] = {}
        self.every_key: set[str] = set()
        """Events sources of whose events none is without a key."""
        """By events source, how its times lie."""
        self._numbered: dict[str, str] = {}
        """By relation, SQL that reads the data as it is, with the number of each row."""

    def bind(self) -> tuple[dict[str, Clock], Problems]:
        """Make every relation. Raises ProblemError with all that is wrong with the data; returns the warnings."""
        found = Problems()
        entity = self.ruleset.entity
        if not entity.distinct:
            columns: list[tuple[Column, Role]] = [(entity.key, "key")]
            columns.extend((column, "plain") for column in entity.columns)
            self._bind_source(entity.name, entity.source, columns, None, found)
        for events in self.ruleset.events.values():
            self._bind_source(events.name, events.source, _columns(events), events.zone, found)
        if not found.has_errors:
            self._check_keys(found)
        if found.has_errors:
            raise ProblemError(*found)
        for name in self._numbered:
            self.connection.execute(f"DROP TABLE IF EXISTS {quote(f'raw_{name}')}")
        return self.clocks, found

    def _bind_source(
        self, name: str, source: str, columns: Sequence[tuple[Column, Role]], zone: str | None, found: Problems
    ) -> None:
        try:
            binding = self.profile.binding(source)
            files = self.profile.files(source)
        except ProblemError as error:
            found.extend(error.problems)
            return
        shown = ", ".join(file.name for file in files[:3]) + ("…" if len(files) > 3 else "")
        is_csv = files[0].suffix == ".csv"
        try:
            types = dict.fromkeys(csv_files.header(files[0]), "VARCHAR") if is_csv else self._types(files)
            wanted = self._match_columns(source, binding.columns, types, columns, binding.span, found)
            if wanted is None:
                return
            if is_csv:
                self._bind_csv(name, source, files, wanted, zone, binding.span, found)
            else:
                self._bind_parquet(name, source, files, wanted, types, zone, binding.span, found)
        except duckdb.Error as error:
            if isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException):
                raise
            found.add(codes.source_unreadable(binding.span, source=source, file=shown, reason=reason_of(error)))
        except (csv_files.UnreadableError, OSError) as error:
            found.add(codes.source_unreadable(binding.span, source=source, file=shown, reason=f"{error}."))

    def _types(self, files: Sequence[Path]) -> dict[str, str]:
        described = self.connection.execute(f"DESCRIBE SELECT * FROM {parquet(files)}").fetchall()
        return {str(row[0]): str(row[1]) for row in described}

    def _match_columns(
        self,
        source: str,
        renamed: Mapping[str, str],
        types: Mapping[str, str],
        columns: Sequence[tuple[Column, Role]],
        span: Span,
        found: Problems,
    ) -> list[tuple[Column, Role, str]] | None:
        """The declared columns with their names in the data; None where some are not there."""
        matched = []
        for column, role in columns:
            name = renamed.get(column.name, column.name)
            if name not in types:
                known = ", ".join(list(types)[:20]) + ("…" if len(types) > 20 else "")
                found.add(
                    codes.column_missing(span, source=source, column=name, near=near(name, types), known=known or None)
                )
            else:
                matched.append((column, role, name))
        return matched if len(matched) == len(columns) else None

    def _zones(self, zone: str | None) -> Zones:
        home = self.ruleset.timezone
        return Zones(zone or home, home)

    def _bind_parquet(
        self,
        name: str,
        source: str,
        files: Sequence[Path],
        wanted: Sequence[tuple[Column, Role, str]],
        types: Mapping[str, str],
        zone: str | None,
        span: Span,
        found: Problems,
    ) -> None:
        zones = self._zones(zone)
        conversions = []
        for column, role, physical in wanted:
            made = convert_typed(physical, types[physical], column.type, role, zones)
            if made is None:
                type = types[physical]
                text_key = column.type.name == "text" and role == "key"
                found.add(
                    codes.column_type(
                        span,
                        source=source,
                        column=physical,
                        found=_plain_type(type),
                        declared=str(column.type),
                        fitting=None if text_key else _fitting(type),
                        key=physical if text_key else None,
                    )
                )
            else:
                conversions.append((column, role, physical, made))
        if len(conversions) < len(wanted):
            return
        self._numbered[name] = parquet(files, numbered=True)
        self._create(name, parquet(files), conversions, "VIEW")
        self._check_values(name, source, parquet(files), conversions, span, found)

    def _bind_csv(
        self,
        name: str,
        source: str,
        files: Sequence[Path],
        wanted: Sequence[tuple[Column, Role, str]],
        zone: str | None,
        span: Span,
        found: Problems,
    ) -> None:
        zones = self._zones(zone)
        physicals = list(dict.fromkeys(physical for _, _, physical in wanted))
        target = self.spill / "cells.csv"
        relation, rows = csv_files.hand_over(files, physicals, target)
        raw = quote(f"raw_{name}")
        named = ", ".join(f"c{index} AS {quote(physical)}" for index, physical in enumerate(physicals))
        self.connection.execute(f"CREATE TEMPORARY TABLE {raw} AS SELECT row AS {quote(ROW)}, {named} FROM {relation}")
        target.unlink()
        counted = self.connection.execute(f"SELECT count(*) FROM {raw}").fetchone()
        assert counted == (rows,), f"{rows} rows were written, {counted} read"
        self._numbered[name] = f"(SELECT {quote(ROW)} AS row, * FROM {raw})"
        times = [p for column, _, p in wanted if column.type.name in ("timestamp", "date")]
        offsets: dict[str, bool] = {}
        if times:
            counts = self.connection.execute(f"SELECT {', '.join(map(has_offsets, times))} FROM {raw}").fetchone()
            assert counts is not None
            offsets = {physical: bool(count) for physical, count in zip(times, counts, strict=True)}
        conversions = [
            (
                column,
                role,
                physical,
                convert_text(physical, column.type, role, zones, offsets.get(physical, False)),
            )
            for column, role, physical in wanted
        ]
        self._check_values(name, source, raw, conversions, span, found)
        if not found.has_errors:
            self._create(name, raw, conversions, "TABLE")

    def _create(
        self,
        name: str,
        relation: str,
        conversions: Iterable[tuple[Column, Role, str, Conversion]],
        kind: str,
    ) -> None:
        columns = []
        for column, role, _, conversion in conversions:
            columns.append(f"{conversion.sql} AS {quote(column.name)}")
            if role == "time":
                self.clocks[name] = conversion.clock
        self.connection.execute(
            f"CREATE TEMPORARY {kind} {quote(source_relation(name))} AS SELECT {', '.join(columns)} FROM {relation}"
        )

    # -- what can be wrong with the data ------------------------------------------------------------------

    def _check_values(
        self,
        name: str,
        source: str,
        relation: str,
        conversions: Sequence[tuple[Column, Role, str, Conversion]],
        span: Span,
        found: Problems,
    ) -> None:
        """Report the values that do not fit."""
        suspects = self._suspects(relation, conversions)
        checks = [
            (column, physical, fault, condition)
            for column, _, physical, conversion in conversions
            if not conversion.at_extremes or physical in suspects
            for fault, condition in conversion.faults
        ]
        if not checks:
            return
        counts = self.connection.execute(
            f"SELECT {', '.join(f'count(*) FILTER (WHERE {condition})' for *_, condition in checks)} FROM {relation}"
        ).fetchone()
        assert counts is not None
        for (column, physical, fault, condition), count in zip(checks, counts, strict=True):
            if not count:
                continue
            declared = str(column.type)
            if fault == "rounded":
                found.add(codes.value_rounded(span, count=count, column=physical, source=source, declared=declared))
                continue
            row, value = self._first(name, physical, condition)
            facts = {"source": source, "column": physical, "declared": declared, "count": count, "row": row}
            match fault:
                case "unreadable":
                    found.add(codes.value_unreadable(span, **facts, value=str(value)[:60]))
                case "not-finite":
                    found.add(codes.value_not_finite(span, **facts))
                case "out-of-range":
                    found.add(codes.value_out_of_range(span, **facts, value=str(value)[:60]))

    def _suspects(self, relation: str, conversions: Iterable[tuple[Column, Role, str, Conversion]]) -> set[str]:
        """Columns whose smallest or largest value is at fault. Parquet files say these without being read."""
        looked = [
            (physical, condition)
            for _, _, physical, conversion in conversions
            if conversion.at_extremes
            for _, condition in conversion.faults
        ]
        if not looked:
            return set()
        columns = [quote(physical) for physical in dict.fromkeys(physical for physical, _ in looked)]
        ends = " UNION ALL ".join(
            f"SELECT {', '.join(f'{end}({column}) AS {column}' for column in columns)} FROM {relation}"
            for end in ("min", "max")
        )
        found = self.connection.execute(
            f"SELECT {', '.join(f'bool_or({condition})' for _, condition in looked)} FROM ({ends})"
        ).fetchone()
        assert found is not None
        return {physical for (physical, _), is_faulty in zip(looked, found, strict=True) if is_faulty}

    def _first(self, name: str, physical: str, condition: str) -> tuple[int, str]:
        """The first row, from 1, that meets a condition, and its value there."""
        first = self.connection.execute(
            f"SELECT row, CAST({quote(physical)} AS VARCHAR) FROM {self._numbered[name]} "
            f"WHERE {condition} ORDER BY row LIMIT 1"
        ).fetchone()
        return (first[0], str(first[1])) if first is not None else (0, "")

    def _check_keys(self, found: Problems) -> None:
        entity = self.ruleset.entity
        if not entity.distinct:
            self._check_key(entity.name, entity.source, entity.key.name, True, found)
        for events in self.ruleset.events.values():
            if events.key is not None:
                self._check_key(events.name, events.source, events.key.name, False, found)

    def _check_key(self, name: str, source: str, column: str, required: bool, found: Problems) -> None:
        relation, key = quote(source_relation(name)), quote(column)
        binding = self.profile.binding(source)
        span, physical = binding.span, binding.columns.get(column, column)
        counted = self.connection.execute(f"SELECT count(*), count({key}) FROM {relation}").fetchone()
        assert counted is not None
        rows, present = counted
        if present == rows:
            self.every_key.add(name)
        if required and present < rows:
            row, _ = self._first(name, physical, f"{quote(physical)} IS NULL")
            found.add(codes.key_missing(span, source=source, column=column, count=rows - present, row=row))
        values = f"(SELECT {key} AS value FROM {relation} WHERE {key} IS NOT NULL)"
        if not is_unique(self.connection, values):
            repeated = self.connection.execute(
                f"SELECT CAST(value AS VARCHAR), count(*) OVER () FROM {values} "
                "GROUP BY value HAVING count(*) > 1 ORDER BY value LIMIT 3"
            ).fetchall()
            examples = ", ".join(str(row[0]) for row in repeated)
            events = None if required else source
            found.add(
                codes.key_repeated(
                    span, source=source, column=column, count=repeated[0][1], examples=examples, events=events
                )
            )


def parquet(files: Sequence[Path], *, numbered: bool = False) -> str:
    """SQL that reads Parquet files, columns matched by name; `numbered` adds the column `row`, from 1 in each file."""
    names = ", ".join(literal(str(file.absolute())) for file in files)
    if numbered:
        rows = f"read_parquet([{names}], union_by_name = true, file_row_number = true)"
        return f"(SELECT file_row_number + 1 AS row, * EXCLUDE (file_row_number) FROM {rows})"
    return f"read_parquet([{names}], union_by_name = true)"


def _columns(events: Events) -> list[tuple[Column, Role]]:
    columns: list[tuple[Column, Role]] = [(events.customer, "key"), (events.at, "time")]
    if events.key is not None:
        columns.append((events.key, "key"))
    columns.extend((column, "plain") for column in events.columns)
    return columns


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
    if found.startswith("TIMESTAMP"):
        return "a timestamp"
    if found.startswith("DECIMAL"):
        return found.lower()
    return _PLAIN.get(found, "a whole number" if found.endswith("INT") or found == "INTEGER" else found.lower())


def _fitting(found: str) -> str | None:
    """The declaration that would fit what the data has."""
    if found in ("DOUBLE", "FLOAT") or found.startswith("DECIMAL"):
        return "decimal"
    if found.startswith("TIMESTAMP"):
        return "timestamp"
    if found in ("VARCHAR", "DATE", "BOOLEAN"):
        return {"VARCHAR": "text", "DATE": "date", "BOOLEAN": "boolean"}[found]
    return "integer" if found.endswith("INT") or found == "INTEGER" else None
