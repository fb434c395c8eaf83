"""How the rules would have behaved: run on one day after another, into a store that is thrown away."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ruleengine import scratch
from ruleengine.diagnostics.problem import Problem, Problems
from ruleengine.store import open_store
from ruleengine.store.records import Counts, Diff, Kind, Movement
from ruleengine.store.store import Store
from ruleengine.verbs import opening, published
from ruleengine.verbs.run import RunReport, run_into

ACTOR = "ruleengine plan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    as_of: date
    customers: int
    movement: Movement
    """Since the day before it in the list; on the first day everybody is new."""
    held: bool
    """Whether such a run would be held. The next day goes on from it all the same."""
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Who holds something on a day."""

    customers: int
    gained: int
    """Since the day before it; on the first day nobody."""
    lost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A tag, level or value over the days."""

    kind: Kind
    name: str
    value: str
    """`given` of a tag."""
    points: tuple[Point, ...]
    """One for each step."""
    stability: float | None
    """Of those who held it on any day but the last, the share that held it on the next one too; None of nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    ruleset: str
    profile: str
    ruleset_hash: str
    steps: tuple[Step, ...]
    courses: tuple[Course, ...]
    held: bool
    """Whether any of the runs would be held."""
    warnings: tuple[Problem, ...]


def backtest(
    path: Path,
    profile: str,
    days: Sequence[date],
    *,
    parameters: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda phase: None,
) -> Backtest:
    """Run on each day, the earliest first, as if nothing had ever been published before.

    Events are those of the day; attributes are as they are now. ProblemError where a run would have one.
    """
    overrides = parameters or {}
    opened = opening.opened(path, overrides)
    data = opened.manifest.profile(profile)
    steps: list[Step] = []
    sizes: list[Counts] = []
    diffs: list[Diff] = []
    warnings = Problems()
    with published.opened(path, profile) as (_, real):
        forgotten = real.forgotten()
    with scratch.folder() as folder, closing(open_store(folder / "store")) as store:
        last: int | None = None
        for day in sorted(set(days)):
            progress(f"as of {day}")
            report = run_into(store, opened, data, day, overrides, forgotten)
            warnings.extend(report.warnings)
            number = _published(store, opened, report)
            version = store.version(number)
            steps.append(
                Step(
                    as_of=day,
                    customers=version.counts.customers,
                    movement=version.movement,
                    held=report.outcome == "held",
                    reasons=report.reasons,
                )
            )
            sizes.append(published.in_order(version.counts, published.order_of(opened.ruleset)))
            if last is not None:
                diffs.append(store.diff(last, number))
            last = number
    return Backtest(
        ruleset=opened.manifest.name,
        profile=profile,
        ruleset_hash=opened.ruleset.hash,
        steps=tuple(steps),
        courses=tuple(_courses(sizes, diffs)),
        held=any(step.held for step in steps),
        warnings=tuple(warnings),
    )


def _published(store: Store, opened: opening.Opened, report: RunReport) -> int:
    if report.outcome != "held":
        assert report.version is not None
        return report.version
    assert report.run is not None
    with store.writer(ACTOR, published.identity_for(opened.ruleset)) as writer:
        return writer.publish_held(report.run, "to go on").number


def _courses(sizes: Sequence[Counts], diffs: Sequence[Diff]) -> Iterator[Course]:
    listed = [published.sizes(counts) for counts in sizes]
    for kind, name in listed[-1]:
        for value in listed[-1][kind, name]:
            points = [Point(customers=listed[0][kind, name][value], gained=0, lost=0)]
            for counts, diff in zip(listed[1:], diffs, strict=True):
                shifts = [shift for shift in diff.shifts if (shift.kind, shift.name) == (kind, name)]
                points.append(
                    Point(
                        customers=counts[kind, name][value],
                        gained=sum(shift.customers for shift in shifts if shift.new == value),
                        lost=sum(shift.customers for shift in shifts if shift.old == value),
                    )
                )
            held, lost = sum(point.customers for point in points[:-1]), sum(point.lost for point in points[1:])
            yield Course(
                kind=kind,
                name=name,
                value=value,
                points=tuple(points),
                stability=round(1 - lost / held, 4) if held else None,
            )
