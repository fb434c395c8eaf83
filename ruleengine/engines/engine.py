"""What every engine does: it binds sources, computes plans on them, and says what it found."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar, Self

import duckdb
from sqlglot import exp

from ruleengine.checking.expressions import IsMissing, MetricValue
from ruleengine.checking.guards import FreshCheck, SourceCheck
from ruleengine.checking.ruleset import Ruleset, Tag
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError, Problems
from ruleengine.planning.layout import Layout
from ruleengine.planning.plan import Plan, plan
from ruleengine.schema import Profile
from ruleengine.sql import build
from ruleengine.sql.dialect import Clock, Dialect
from ruleengine.sql.guards import GuardQuery, Guards
from ruleengine.sql.known import MOST_TEXTS, Known, wanted_texts
from ruleengine.sql.scans import Scans, source_relation
from ruleengine.sql.statements import Counted, Program, emit
from ruleengine.types import BOOLEAN

if TYPE_CHECKING:
    import psycopg

Progress = Callable[[str], None]
"""Told the purpose of each step as it begins."""
Rows = list[tuple[Any, ...]]

FIRST_LOOK = 50_000
"""So many events show whether it is worth looking if a column holds few texts."""
LONGEST_TEXTS = 4_000
"""Characters of all texts of a column, which are written into statements."""


class TooLarge(Exception):  # noqa: N818  # the mistake is in the data
    """A statement computed a number that does not fit.

    `otherwise` is what to say where it cannot be told which metric or rule computes it.
    """

    def __init__(self, otherwise: Problem) -> None:
        super().__init__(otherwise.code.name)
        self.otherwise = otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCounts:
    """The events of one source up to the run's date, and what was left out of them."""

    source: str
    events: int
    without_customer: int
    of_unknown_customers: int
    """Events whose customer the entity does not hold."""
    without_time: int
    unknown_filters: tuple[tuple[str, int], ...]
    """Filters, as written, and for how many events each is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftCount:
    """How many customers a draft would take."""

    kind: str
    name: str
    value: str | None
    customers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    customers: int
    sources: tuple[SourceCounts, ...]
    counts: tuple[tuple[Counted, int], ...]
    """Of customers, as the program asked for them."""

    @property
    def drafts(self) -> tuple[DraftCount, ...]:
        return tuple(
            DraftCount(kind=of.kind, name=of.name, value=of.value, customers=count)
            for of, count in self.counts
            if of.what == "draft"
        )

    @property
    def unknown_classes(self) -> dict[str, int]:
        """Classes, and how many customers got no value because a line was unknown."""
        return dict(self._named("unknown"))

    @property
    def suppressed(self) -> dict[str, int]:
        """Tags in `at most one of`, and how many customers are not given them for another that is preferred."""
        return dict(self._named("suppressed"))

    @property
    def over_budget(self) -> dict[str, int]:
        """Tags with a limit, and how many customers are not given them for that alone."""
        return dict(self._named("over budget"))

    def _named(self, what: str) -> Iterator[tuple[str, int]]:
        return ((of.name, count) for of, count in self.counts if of.what == what and count)


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


class Engine(ABC):
    """A connection whose sources are bound and checked, on which plans can be computed.

    Making one raises ProblemError with every problem of the data that the declared columns have. `problems` keeps the
    warnings.
    """

    dialect: ClassVar[Dialect]

    def __init__(self, ruleset: Ruleset, profile: Profile) -> None:
        self.ruleset = ruleset
        self.profile = profile
        self.clocks: Mapping[str, Clock] = {}
        """By events source, how its times lie."""
        self.every_key: Set[str] = frozenset()
        """Events sources of which every event has a key, which no other has."""
        self.problems = Problems()
        self.left_out = 0
        """Customers of the data who were forgotten, and of whom nothing is seen."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- what engines do each in its way ----------------------------------------------------------------

    @abstractmethod
    def query(self, sql: str) -> tuple[list[str], Rows]:
        """Execute a statement of ours; the names of its columns, and its rows, none of a statement that has none.

        Raises TooLarge where a number does not fit, and ProblemError where the engine cannot finish.
        """

    @abstractmethod
    def remember(self, tell: Callable[[duckdb.DuckDBPyConnection], object]) -> None:
        """Have the tables of `planning.memory` for the next run, as somebody makes them on a connection of DuckDB's."""

    @abstractmethod
    def results(self, layout: Layout) -> duckdb.DuckDBPyConnection:
        """The tables of `planning.layout` that were computed last, for a store that lies in files.

        The connection may read and write the folders that the engine was made with, and is open as long as it is.
        """

    @abstractmethod
    def close(self) -> None: ...

    @property
    def database(self) -> "psycopg.Connection[tuple[object, ...]] | None":
        """The connection to the database that it computes in, in a transaction; None where it computes in none."""
        return None

    def keep(self) -> None:  # noqa: B027  # nothing to do where there is no database
        """Keep what was made on `database` since the sources were bound."""

    def interruptible(self) -> AbstractContextManager[None]:
        """Within, Ctrl-C ends the statement at work and arises as KeyboardInterrupt."""
        return nullcontext()

    @abstractmethod
    def begin_again(self) -> None:
        """Forget what was computed before, where new tables do not replace the old ones."""

    # -- looking at the data ----------------------------------------------------------------------------

    def known(self, plan: Plan) -> dict[str, Known]:
        """What the statements of a plan can make use of."""
        texts: dict[str, dict[str, tuple[str, ...]]] = {}
        for source, column in wanted_texts(plan, self.dialect):
            found = self._few_texts(source, column)
            if found is not None:
                texts.setdefault(source, {})[column] = found
        return {
            source: Known(every_key=source in self.every_key, texts=texts.get(source, {}))
            for source in plan.ruleset.events
        }

    def _few_texts(self, source: str, column: str) -> tuple[str, ...] | None:
        """All that a column holds, by code point; None where that is many or long."""
        value = build.column("value")
        values = exp.Select(expressions=[build.named(build.column(column), "value")])
        values = values.from_(build.table(source_relation(source)))
        rows: Rows = []
        for some in (values.limit(FIRST_LOOK), values):
            asked = exp.Select(expressions=[value]).distinct()
            asked = asked.from_(exp.Subquery(this=some, alias=exp.TableAlias(this=build.name("some"))))
            asked = asked.where(build.is_known(value)).limit(MOST_TEXTS + 1)
            _, rows = self.query(self.dialect.sql(asked))
            if len(rows) > MOST_TEXTS:
                return None
        texts = sorted(text for (text,) in rows)
        if sum(map(len, texts)) > LONGEST_TEXTS or any("\0" in text for text in texts):
            return None
        return tuple(texts)

    # -- computing --------------------------------------------------------------------------------------

    def run(self, plan: Plan, progress: Progress = lambda step: None) -> Findings:
        """Compute the result tables of a plan (see `planning.layout`) and count what was left out.

        Raises ProblemError where a number overflows, naming the metric, or where the engine cannot finish.
        """
        try:
            program = emit(plan, self.dialect, self.clocks, self.known(plan))
            self._compute(program, progress)
            progress("Counting what was left out")
            return self._findings(program)
        except TooLarge as error:
            raise ProblemError(self._overflow(plan) or error.otherwise) from error

    def examine(self, plan: Plan, progress: Progress = lambda step: None) -> tuple[Tally, ...]:
        """Ask what the checks of the sources want to know; a run need not have computed anything.

        Raises ProblemError where a number overflows, naming the check, or where the engine cannot finish.
        """
        tallies = []
        for query in Guards(plan, Scans(plan, self.dialect, self.clocks)).queries():
            progress(query.check.text)
            try:
                tallies.append(self._tally(query))
            except TooLarge as error:
                problem = codes.overflow(query.check.span, name=f"`{query.check.text}`")
                raise ProblemError(problem) from error
        return tuple(tallies)

    def _compute(self, program: Program, progress: Progress) -> None:
        self.begin_again()
        for statement in program.statements:
            progress(statement.purpose)
            self.query(statement.sql(pretty=False))

    def _tally(self, query: GuardQuery) -> Tally:
        check = query.check
        _, ((first, rows),) = self.query(self.dialect.sql(query.counts))
        if isinstance(check, FreshCheck):
            return Tally(check=check, met=None, rows=rows, latest=first, offending=())
        offending: tuple[dict[str, Any], ...] = ()
        if query.rows is not None and first < rows:
            names, found = self.query(self.dialect.sql(query.rows))
            offending = tuple(dict(zip(names, row, strict=True)) for row in found)
        return Tally(check=check, met=first, rows=rows, latest=None, offending=offending)

    def _findings(self, program: Program) -> Findings:
        _, ((customers,),) = self.query("SELECT count(*) FROM customers")
        report: Sequence[int] = ()
        if program.counted:
            _, (report,) = self.query("SELECT * FROM result_report")
        sources = []
        for counts in program.event_counts:
            _, (row,) = self.query(self.dialect.sql(counts.tree))
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
        return Findings(
            customers=customers,
            sources=tuple(sources),
            counts=tuple(zip(program.counted, report, strict=True)),
        )

    def _overflow(self, failed: Plan) -> Problem | None:
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
        return None

    def _fails(self, failed: Plan, ruleset: Ruleset) -> bool:
        try:
            self._compute(emit(plan(ruleset, failed.as_of), self.dialect, self.clocks), lambda step: None)
        except TooLarge:
            return True
        return False


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
