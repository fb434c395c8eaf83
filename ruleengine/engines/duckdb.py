"""The embedded engine: DuckDB in memory, over CSV and Parquet files, locked down before a rule runs."""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import duckdb

from ruleengine.checking.expressions import IsMissing, MetricValue
from ruleengine.checking.ruleset import Column, Events, Ruleset, Tag
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError, Problems
from ruleengine.engines.columns import (
    Conversion,
    Role,
    convert_text,
    convert_typed,
    has_offsets,
    literal,
    quote,
)
from ruleengine.engines.engine import DraftCount, Findings, SourceCounts
from ruleengine.planning.plan import Plan, plan
from ruleengine.schema import Profile
from ruleengine.source import Span
from ruleengine.sql.duckdb import MACROS
from ruleengine.sql.scans import Clock, source_relation
from ruleengine.sql.statements import Program, emit
from ruleengine.types import BOOLEAN

Progress = Callable[[str], None]
"""Told the purpose of each step as it begins."""


class DuckDB:
    """A connection whose sources are bound and checked, on which programs can run.

    `writable` are the folders into which results may be written. Raises ProblemError with every problem of the data
    that the declared columns have. `problems` keeps the warnings.
    """

    def __init__(self, ruleset: Ruleset, profile: Profile, writable: Sequence[Path] = ()) -> None:
        self.ruleset = ruleset
        self.profile = profile
        self.clocks: dict[str, Clock] = {}
        self.problems = Problems()
        self._spill = Path(tempfile.mkdtemp(prefix="ruleengine-"))
        try:
            self.connection = duckdb.connect(":memory:")
            self._configure(writable)
            self._bind()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def run(self, plan: Plan, progress: Progress = lambda step: None) -> Findings:
        """Compute the result tables of a plan (see `planning.layout`) and count what was left out.

        Raises ProblemError where a number overflows, naming the metric, or where DuckDB cannot finish.
        """
        program = emit(plan, self.clocks)
        try:
            for statement in program.statements:
                progress(statement.purpose)
                self.connection.execute(statement.sql(pretty=False))
            progress("Counting what was left out")
            return self._findings(program)
        except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
            raise ProblemError(self._overflow(plan, error)) from error
        except duckdb.Error as error:
            raise ProblemError(self._failed(error)) from error

    # -- setting up -------------------------------------------------------------------------------------

    def _configure(self, writable: Sequence[Path]) -> None:
        run = self.connection.execute
        run(f"SET temp_directory = {literal(str(self._spill))}")
        run(f"SET TimeZone = {literal('UTC')}")
        run("SET preserve_insertion_order = false")
        run("SET enable_progress_bar = false")
        if self.profile.memory is not None:
            run(f"SET memory_limit = {literal(self.profile.memory)}")
        if self.profile.threads is not None:
            run(f"SET threads = {self.profile.threads}")
        files = [str(file.absolute()) for source in self._sources() for file in self.profile.files(source)]
        run(f"SET allowed_paths = [{', '.join(map(literal, files))}]")
        folders = [str(folder.absolute()) for folder in (*writable, self._spill)]
        run(f"SET allowed_directories = [{', '.join(literal(folder + '/') for folder in folders)}]")
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")
        for macro in MACROS:
            run(macro)

    def _sources(self) -> list[str]:
        names = list(self.ruleset.events)
        if not self.ruleset.entity.distinct:
            names.append(self.ruleset.entity.source)
        return list(dict.fromkeys(names))

    def _bind(self) -> None:
        """Make the relation of every source, and report all that is wrong with the data at once."""
        found = Problems()
        entity = self.ruleset.entity
        if not entity.distinct:
            columns = [(entity.key, "key"), *((column, "plain") for column in entity.columns)]
            self._bind_source(entity.source, columns, None, found)  # type: ignore[arg-type]
        for events in self.ruleset.events.values():
            self._bind_source(events.name, _columns(events), events.zone, found)
        if not found.has_errors:
            self._check_keys(found)
        if found.has_errors:
            raise ProblemError(*found)
        self.problems.extend(found)

    def _bind_source(
        self, source: str, columns: Sequence[tuple[Column, Role]], zone: str | None, found: Problems
    ) -> None:
        try:
            binding = self.profile.binding(source)
            files = self.profile.files(source)
        except ProblemError as error:
            found.extend(error.problems)
            return
        is_csv = files[0].suffix == ".csv"
        relation = relation_of(self.profile, source)
        try:
            described = self.connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
            types = {str(row[0]): str(row[1]) for row in described}
            wanted = self._match_columns(source, binding.columns, types, columns, binding.span, found)
            if wanted is None:
                return
            if is_csv:
                self._bind_csv(source, relation, wanted, zone, binding.span, found)
            else:
                self._bind_parquet(source, relation, wanted, types, zone, binding.span, found)
        except duckdb.Error as error:
            if isinstance(error, duckdb.OutOfMemoryException):
                found.add(self._failed(error))
                return
            shown = ", ".join(file.name for file in files[:3]) + ("…" if len(files) > 3 else "")
            found.add(codes.source_unreadable(binding.span, source=source, file=shown, reason=_reason(error)))

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

    def _zone(self, zone: str | None) -> tuple[str, bool]:
        own = self.ruleset.timezone
        return (zone or own, zone is None or zone == own)

    def _bind_parquet(
        self,
        source: str,
        relation: str,
        wanted: Sequence[tuple[Column, Role, str]],
        types: Mapping[str, str],
        zone: str | None,
        span: Span,
        found: Problems,
    ) -> None:
        name, local = self._zone(zone)
        conversions = []
        for column, role, physical in wanted:
            made = convert_typed(physical, types[physical], column.type, role, name, local)
            if made is None:
                type = types[physical]
                only_keys = column.type.name == "text"
                found.add(
                    codes.column_type(
                        span,
                        source=source,
                        column=physical,
                        found=_plain_type(type),
                        declared=str(column.type),
                        fitting=_fitting(type) if not (only_keys and role == "key") else None,
                    )
                )
            else:
                conversions.append((column, role, physical, made))
        if len(conversions) < len(wanted):
            return
        self._create(source, relation, conversions, "VIEW")
        self._check_values(source, relation, conversions, span, found)

    def _bind_csv(
        self,
        source: str,
        relation: str,
        wanted: Sequence[tuple[Column, Role, str]],
        zone: str | None,
        span: Span,
        found: Problems,
    ) -> None:
        name, local = self._zone(zone)
        raw = quote(f"raw_{source}")
        physical_names = ", ".join(quote(physical) for physical in dict.fromkeys(p for _, _, p in wanted))
        self.connection.execute(f"CREATE TEMPORARY TABLE {raw} AS SELECT {physical_names} FROM {relation}")
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
                convert_text(physical, column.type, role, name, local, offsets.get(physical, False)),
            )
            for column, role, physical in wanted
        ]
        self._check_values(source, raw, conversions, span, found, rows=relation)
        if not found.has_errors:
            self._create(source, raw, conversions, "TABLE")
        self.connection.execute(f"DROP TABLE {raw}")

    def _create(
        self,
        source: str,
        relation: str,
        conversions: Iterable[tuple[Column, Role, str, Conversion]],
        kind: str,
    ) -> None:
        columns = []
        for column, role, _, conversion in conversions:
            columns.append(f"{conversion.sql} AS {quote(column.name)}")
            if role == "time":
                self.clocks[source] = conversion.clock
        self.connection.execute(
            f"CREATE TEMPORARY {kind} {quote(source_relation(source))} AS SELECT {', '.join(columns)} FROM {relation}"
        )

    # -- what can be wrong with the data ------------------------------------------------------------------

    def _check_values(
        self,
        source: str,
        relation: str,
        conversions: Sequence[tuple[Column, Role, str, Conversion]],
        span: Span,
        found: Problems,
        rows: str | None = None,
    ) -> None:
        """Report the values that do not fit. `rows` is where row numbers can be told, if not in the relation."""
        checks = [
            (column, physical, fault, condition)
            for column, _, physical, conversion in conversions
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
            first = self.connection.execute(
                f"SELECT row, value FROM (SELECT row_number() OVER () AS row, CAST({quote(physical)} AS VARCHAR) AS "
                f"value, {condition} AS bad FROM {rows or relation}) WHERE bad ORDER BY row LIMIT 1"
            ).fetchone()
            row, value = first if first is not None else (0, "")
            facts = {"source": source, "column": physical, "declared": declared, "count": count, "row": row}
            match fault:
                case "unreadable":
                    found.add(codes.value_unreadable(span, **facts, value=str(value)[:60]))
                case "not-finite":
                    found.add(codes.value_not_finite(span, **facts))
                case "out-of-range":
                    found.add(codes.value_out_of_range(span, **facts, value=str(value)[:60]))

    def _check_keys(self, found: Problems) -> None:
        entity = self.ruleset.entity
        if not entity.distinct:
            self._check_key(entity.source, entity.key.name, True, found)
        for events in self.ruleset.events.values():
            if events.key is not None:
                self._check_key(events.name, events.key.name, False, found)

    def _check_key(self, source: str, column: str, required: bool, found: Problems) -> None:
        relation, key = quote(source_relation(source)), quote(column)
        span = self.profile.binding(source).span
        counted = self.connection.execute(
            f"SELECT count(*), count({key}), count(DISTINCT {key}) FROM {relation}"
        ).fetchone()
        assert counted is not None
        rows, present, distinct = counted
        if required and present < rows:
            first = self.connection.execute(
                f"SELECT row FROM (SELECT row_number() OVER () AS row, {key} AS value FROM {relation}) "
                "WHERE value IS NULL ORDER BY row LIMIT 1"
            ).fetchone()
            row = first[0] if first is not None else 0
            found.add(codes.key_missing(span, source=source, column=column, count=rows - present, row=row))
        if distinct < present:
            repeated = self.connection.execute(
                f"SELECT CAST(value AS VARCHAR), count(*) OVER () FROM (SELECT {key} AS value FROM {relation} "
                f"WHERE {key} IS NOT NULL GROUP BY {key} HAVING count(*) > 1) ORDER BY value LIMIT 3"
            ).fetchall()
            examples = ", ".join(str(row[0]) for row in repeated)
            found.add(codes.key_repeated(span, source=source, column=column, count=repeated[0][1], examples=examples))

    # -- running ----------------------------------------------------------------------------------------

    def _findings(self, program: Program) -> Findings:
        run = self.connection.execute
        customers = run("SELECT count(*) FROM customers").fetchone()
        assert customers is not None
        report: Sequence[int] = ()
        if program.drafts or program.classes:
            report = run("SELECT * FROM result_report").fetchone() or ()
        sources = []
        for counts in program.event_counts:
            row = run(counts.tree.sql(dialect="duckdb")).fetchone()
            assert row is not None
            sources.append(
                SourceCounts(
                    source=counts.source,
                    events=row[0],
                    without_customer=row[1],
                    of_unknown_customers=row[2],
                    without_time=row[3],
                    unknown_filters=tuple(
                        (text, count) for text, count in zip(counts.filters, row[4:], strict=True) if count
                    ),
                )
            )
        drafts = len(program.drafts)
        return Findings(
            customers=customers[0],
            sources=tuple(sources),
            drafts=tuple(
                DraftCount(kind=kind, name=name, value=value, customers=count)
                for (kind, name, value), count in zip(program.drafts, report[:drafts], strict=True)
            ),
            unknown_classes=tuple(
                (name, count) for name, count in zip(program.classes, report[drafts:], strict=True) if count
            ),
        )

    def _overflow(self, failed: Plan, error: duckdb.Error) -> Problem:
        """Which metric, or else which rule, computes a number that is too large: each is tried alone."""
        ruleset = failed.ruleset
        for name, metric in ruleset.metrics.items():
            value = MetricValue(type=metric.type, nullable=metric.expression.nullable, metric=name, span=metric.span)
            test = IsMissing(type=BOOLEAN, operand=value, span=metric.span)
            if name in failed.metrics and self._fails(failed, _probe(ruleset, test)):
                return codes.overflow(metric.span, name=f"`{name}`")
        for rule in ruleset.order:
            alone = replace(
                ruleset,
                tags={rule.name: replace(rule, draft=False)} if isinstance(rule, Tag) else {},
                ladders={} if isinstance(rule, Tag) else {rule.name: replace(rule, draft=False)},
            )
            if self._fails(failed, alone):
                return codes.overflow(rule.span, name=f"“{rule.name}”")
        return self._failed(error)

    def _fails(self, failed: Plan, ruleset: Ruleset) -> bool:
        try:
            for statement in emit(plan(ruleset, failed.as_of), self.clocks).statements:
                self.connection.execute(statement.sql(pretty=False))
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            return True
        return False

    def _failed(self, error: duckdb.Error) -> Problem:
        return codes.engine_failed(None, reason=_reason(error), directory=str(self._spill.parent))


def _probe(ruleset: Ruleset, condition: IsMissing) -> Ruleset:
    """The ruleset with one tag only, which reads what the condition reads."""
    tag = Tag(
        name="probe",
        draft=False,
        when=condition,
        unless=None,
        because=None,
        owner=None,
        review_by=None,
        hash="",
        span=condition.span,
    )
    return replace(ruleset, tags={"probe": tag}, ladders={}, order=(tag,))


def relation_of(profile: Profile, source: str) -> str:
    """SQL that reads the files of a source as they are: every cell of a CSV file as text, an empty one missing."""
    files = profile.files(source)
    names = ", ".join(literal(str(file.absolute())) for file in files)
    if files[0].suffix == ".csv":
        return f"read_csv([{names}], all_varchar = true, header = true, nullstr = '', union_by_name = true)"
    return f"read_parquet([{names}], union_by_name = true)"


def default_clocks(ruleset: Ruleset) -> dict[str, Clock]:
    """How times lie where the data cannot be asked: naive, in the declared zone."""
    return {
        name: "local" if events.zone is None or events.zone == ruleset.timezone else "instant"
        for name, events in ruleset.events.items()
    }


def _columns(events: Events) -> list[tuple[Column, Role]]:
    columns: list[tuple[Column, Role]] = [(events.customer, "key"), (events.at, "time")]
    if events.key is not None:
        columns.append((events.key, "key"))
    columns.extend((column, "plain") for column in events.columns)
    return columns


def _reason(error: duckdb.Error) -> str:
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
