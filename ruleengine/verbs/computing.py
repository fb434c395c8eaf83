"""What a run and a plan have in common: every customer computed on a day, and what is to be said of it."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path

from ruleengine.checking.expressions import Attribute, MetricValue
from ruleengine.checking.ruleset import Ruleset
from ruleengine.checking.uses import led_to
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.engines import opening as engines
from ruleengine.engines.engine import Findings, Tally
from ruleengine.engines.forgotten import Forgotten
from ruleengine.planning.layout import Layout
from ruleengine.planning.plan import plan
from ruleengine.schema import Profile
from ruleengine.store.records import Delta, Preview
from ruleengine.store.store import Store, Tables
from ruleengine.verbs import guards, opening
from ruleengine.verbs.guards import CheckResult
from ruleengine.verbs.outcome import NotUsableError

HELD_ABOVE = Decimal("0.01")
"""The share of orphan events, or of customers vanished since the last version, that holds a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Events of one source up to the run's date, and how many of them it did not use."""

    source: str
    events: int
    without_customer: int
    of_unknown_customers: int
    """Whose customer the entity does not hold."""
    without_time: int
    unknown_filters: Mapping[str, int]
    """By filter, as written: those for which it could not be said whether they count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    name: str
    seconds: float


@dataclass(slots=True)
class Clock:
    """What is being done, and how long each phase of it took."""

    told: Callable[[str], None] = lambda what: None
    phases: list[Phase] = field(default_factory=list)
    """Those that are over."""
    under_way: str | None = None
    """The phase that was entered last."""
    step: str | None = None
    """Of the phase, in words."""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.under_way, self.step = name, None
        self.told(name)
        start = time.perf_counter()
        yield
        self.phases.append(Phase(name=name, seconds=round(time.perf_counter() - start, 3)))
        self.step = None

    def progress(self, step: str) -> None:
        """A phase enters a step."""
        self.step = step
        self.told(step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed:
    """The result tables of `layout`, on a connection that is open as long as `computed` is."""

    ruleset: Ruleset
    as_of: date
    connection: Tables
    layout: Layout
    findings: Findings
    forgotten: int
    """Customers of the data who were forgotten; nothing else here knows of them."""
    warnings: tuple[Problem, ...]
    _tallies: tuple[Tally, ...]

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        return tuple(
            LeftOut(
                source=found.source,
                events=found.events,
                without_customer=found.without_customer,
                of_unknown_customers=found.of_unknown_customers,
                without_time=found.without_time,
                unknown_filters=dict(found.unknown_filters),
            )
            for found in self.findings.sources
        )

    def checks(self, compared: Delta | Preview) -> tuple[CheckResult, ...]:
        """Those of the data, then those of the answers, beside what these are compared with."""
        return (*guards.of_sources(self._tallies, self.as_of), *guards.of_answers(self.ruleset, compared))

    def reasons(self, compared: Delta | Preview, checks: Sequence[CheckResult]) -> tuple[str, ...]:
        """Why it is not to be published without somebody's saying so."""
        return (*guards.reasons(checks), *self._losses(compared))

    def _losses(self, compared: Delta | Preview) -> Iterator[str]:
        # Where a check says how many events may be of customers that are not there, its share counts.
        limited = guards.limited(self.ruleset)
        for found in self.findings.sources:
            orphans = found.of_unknown_customers
            if found.source not in limited and orphans > found.events * HELD_ABOVE:
                yield f"{_share(orphans, found.events)} {found.source} are of customers that are not there"
        for tier, levels in compared.base.counts.tiers.items() if compared.base else ():
            ladder = self.ruleset.ladders.get(tier)
            known = {*ladder.values, *ladder.formerly} if ladder is not None and not ladder.draft else set()
            for level, customers in levels.items():
                if customers and level not in known:
                    yield f"{customers:,} hold “{level}” of tier {tier}, which the rules do not know any more"
        vanished = compared.movement.vanished
        if vanished > compared.before * HELD_ABOVE:
            yield f"{_share(vanished, compared.before)} customers of the last version are gone"


@contextmanager
def computed(
    ruleset: Ruleset,
    profile: Profile,
    as_of: date,
    clock: Clock,
    store: Store,
    measure: MetricValue | Attribute | None = None,
    writable: Sequence[Path] = (),
    forgotten: Forgotten | None = None,
) -> Iterator[Computed]:
    """Compute every customer on a day; NotUsableError where the data does not fit, or a number overflows.

    The store says what is to be remembered, and who was forgotten, if nobody else does. `measure` stands among the
    values, too; results may be written into `writable` folders beside those of the store. Where the engine computes in
    the store's database, the tables stay there, unless there is such a folder.
    """
    try:
        with clock.phase("checking the data"):
            left_out = store.forgotten() if forgotten is None else forgotten
            engine = engines.opened(ruleset, profile, (*store.directories, *writable), left_out)
    except (ProblemError, OSError) as error:
        raise not_usable(error) from error
    with engine, engine.interruptible():
        work = plan(ruleset, as_of, measure)
        database = engine.database if not writable and store.inside(profile) else None
        try:
            tallies: tuple[Tally, ...] = ()
            if ruleset.checks:
                with clock.phase("asking the checks"):
                    tallies = engine.examine(work, clock.progress)
            with clock.phase("computing"):
                if work.memory.parts:
                    if database is not None:
                        store.recall(database, work.memory, as_of)
                        engine.keep()
                    else:
                        engine.remember(lambda connection: store.recall(connection, work.memory, as_of))
                findings = engine.run(work, clock.progress)
                results = database if database is not None else engine.results(work.layout)
        except ProblemError as error:
            raise NotUsableError(*_told(error.problems, ruleset, profile)) from error
        yield Computed(
            ruleset=ruleset,
            as_of=as_of,
            connection=results,
            layout=work.layout,
            findings=findings,
            forgotten=engine.left_out,
            warnings=_told(engine.problems, ruleset, profile),
            _tallies=tallies,
        )


def _told(problems: Iterable[Problem], ruleset: Ruleset, profile: Profile) -> tuple[Problem, ...]:
    return opening.located((led_to(problem, ruleset.uses) for problem in problems), profile.directory)


def not_usable(error: ProblemError | OSError) -> ProblemError:
    if isinstance(error, ProblemError):
        return NotUsableError(*error.problems)
    return NotUsableError(codes.file_unreadable(None, path=str(error.filename), reason=error.strerror or str(error)))


def _share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({100 * part / whole:.1f}%)"
