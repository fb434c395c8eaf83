"""The embedded engine: DuckDB in memory, over CSV and Parquet files, locked down before a rule runs."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Self

import duckdb

from ruleengine.checking.expressions import IsMissing, MetricValue
from ruleengine.checking.guards import FreshCheck, SourceCheck
from ruleengine.checking.ruleset import Ruleset, Tag
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError, Problems
from ruleengine.engines.binding import Binder, reason_of
from ruleengine.engines.columns import literal, quote
from ruleengine.engines.engine import DraftCount, Findings, SourceCounts
from ruleengine.engines.interruption import interruptible
from ruleengine.planning.plan import Plan, plan
from ruleengine.schema import Profile
from ruleengine.sql.duckdb import DUCKDB
from ruleengine.sql.guards import GuardQuery, Guards
from ruleengine.sql.known import MOST_TEXTS, Known, wanted_texts
from ruleengine.sql.scans import Clock, Scans, source_relation
from ruleengine.sql.statements import Program, emit
from ruleengine.types import BOOLEAN

FIRST_LOOK = 50_000
"""So many events show whether it is worth looking if a column holds few texts."""
LONGEST_TEXTS = 4_000
"""Characters of all texts of a column, which are written into statements."""

Progress = Callable[[str], None]
"""Told the purpose of each step as it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many rows meet a check of a source."""

    check: SourceCheck
    met: int | None
    """Of a check of freshness none."""
    rows: int
    latest: date | None
    """Of a check of freshness the latest event's local day."""
    offending: tuple[dict[str, Any], ...]
    """A few rows that do not meet it: their key, and what the check reads."""


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
            with interruptible(self.connection):
                binder = Binder(self.connection, ruleset, profile, self._spill)
                self.clocks, warnings = binder.bind()
                self._every_key = binder.every_key
            self.problems.extend(warnings)
        except duckdb.Error as error:
            self.close()
            raise ProblemError(self._failed(error)) from error
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
        try:
            program = emit(plan, DUCKDB, self.clocks, self.known(plan))
            for statement in program.statements:
                progress(statement.purpose)
                self.connection.execute(statement.sql(pretty=False))
            progress("Counting what was left out")
            return self._findings(program)
        except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
            raise ProblemError(self._overflow(plan, error)) from error
        except duckdb.Error as error:
            raise ProblemError(self._failed(error)) from error

    def examine(self, plan: Plan, progress: Progress = lambda step: None) -> tuple[Tally, ...]:
        """Ask what the checks of the sources want to know; a run need not have computed anything.

        Raises ProblemError where a number overflows, naming the check, or where DuckDB cannot finish.
        """
        tallies = []
        for query in Guards(plan, Scans(plan, DUCKDB, self.clocks)).queries():
            progress(query.check.text)
            try:
                tallies.append(self._tally(query))
            except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
                problem = codes.overflow(query.check.span, name=f"`{query.check.text}`")
                raise ProblemError(problem) from error
            except duckdb.Error as error:
                raise ProblemError(self._failed(error)) from error
        return tuple(tallies)

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
        files = [str(file.absolute()) for source in self.ruleset.bound for file in self.profile.files(source)]
        run(f"SET allowed_paths = [{', '.join(map(literal, files))}]")
        folders = [str(folder.absolute()) for folder in (*writable, self._spill)]
        run(f"SET allowed_directories = [{', '.join(literal(folder + '/') for folder in folders)}]")
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")
        for macro in DUCKDB.prelude:
            run(macro)

    # -- checking ---------------------------------------------------------------------------------------

    def _tally(self, query: GuardQuery) -> Tally:
        check = query.check
        counts = self.connection.execute(DUCKDB.sql(query.counts)).fetchone()
        assert counts is not None
        first, rows = counts
        if isinstance(check, FreshCheck):
            return Tally(check=check, met=None, rows=rows, latest=first, offending=())
        offending: tuple[dict[str, Any], ...] = ()
        if query.rows is not None and first < rows:
            found = self.connection.execute(DUCKDB.sql(query.rows))
            names = [column[0] for column in found.description]
            offending = tuple(dict(zip(names, row, strict=True)) for row in found.fetchall())
        return Tally(check=check, met=first, rows=rows, latest=None, offending=offending)

    # -- running ----------------------------------------------------------------------------------------

    def known(self, plan: Plan) -> dict[str, Known]:
        """What the statements of a plan can make use of."""
        texts: dict[str, dict[str, tuple[str, ...]]] = {}
        for source, column in wanted_texts(plan):
            found = self._few_texts(source, column)
            if found is not None:
                texts.setdefault(source, {})[column] = found
        return {
            source: Known(every_key=source in self._every_key, texts=texts.get(source, {}))
            for source in plan.ruleset.events
        }

    def _few_texts(self, source: str, column: str) -> tuple[str, ...] | None:
        """All that a column holds, by code point; None where that is many or long."""
        values = f"(SELECT {quote(column)} AS value FROM {quote(source_relation(source))})"
        rows: list[tuple[str]] = []
        for some in (f"(SELECT * FROM {values} LIMIT {FIRST_LOOK})", values):
            rows = self.connection.execute(
                f"SELECT DISTINCT value FROM {some} WHERE value IS NOT NULL LIMIT {MOST_TEXTS + 1}"
            ).fetchall()
            if len(rows) > MOST_TEXTS:
                return None
        texts = sorted(text for (text,) in rows)
        if sum(map(len, texts)) > LONGEST_TEXTS or any("\0" in text for text in texts):
            return None
        return tuple(texts)

    def _findings(self, program: Program) -> Findings:
        run = self.connection.execute
        customers = run("SELECT count(*) FROM customers").fetchone()
        assert customers is not None
        report: Sequence[int] = ()
        if program.drafts or program.classes:
            report = run("SELECT * FROM result_report").fetchone() or ()
        sources = []
        for counts in program.event_counts:
            row = run(DUCKDB.sql(counts.tree)).fetchone()
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
            shown = replace(rule, draft=False)
            alone = replace(
                ruleset,
                tags={rule.name: shown} if isinstance(shown, Tag) else {},
                ladders={} if isinstance(shown, Tag) else {rule.name: shown},
                order=tuple(shown if other is rule else other for other in ruleset.order),
            )
            if self._fails(failed, alone):
                return codes.overflow(rule.span, name=f"“{rule.name}”")
        return self._failed(error)

    def _fails(self, failed: Plan, ruleset: Ruleset) -> bool:
        try:
            for statement in emit(plan(ruleset, failed.as_of), DUCKDB, self.clocks).statements:
                self.connection.execute(statement.sql(pretty=False))
        except (duckdb.ConversionException, duckdb.OutOfRangeException):
            return True
        return False

    def _failed(self, error: duckdb.Error) -> Problem:
        if isinstance(error, duckdb.CatalogException | duckdb.BinderException | duckdb.ParserException):
            raise error  # SQL of ours that is wrong is no problem of the user's
        return codes.engine_failed(None, reason=reason_of(error), directory=str(self._spill.parent))


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


def default_clocks(ruleset: Ruleset) -> dict[str, Clock]:
    """How times lie where the data cannot be asked: naive, in the declared zone."""
    return {
        name: "local" if events.zone is None or events.zone == ruleset.timezone else "instant"
        for name, events in ruleset.events.items()
    }
