"""What a run would do: who would gain, lose or move, and why; with nothing written."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from ruleengine import scratch
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.engines.engine import DraftCount
from ruleengine.schema import Profile
from ruleengine.store import previewing
from ruleengine.store.previewing import Asked
from ruleengine.store.records import Amount, Counts, Key, Kind, Movement, Preview, Shift
from ruleengine.store.refusals import refuse_another
from ruleengine.store.store import Store
from ruleengine.verbs import opening, published
from ruleengine.verbs.computing import Clock, Computed, LeftOut, Phase, computed, not_usable
from ruleengine.verbs.explain import RuleExplanation, explained_now
from ruleengine.verbs.fingerprint import Fingerprint, watched
from ruleengine.verbs.guards import CheckResult
from ruleengine.verbs.opening import Opened
from ruleengine.verbs.rule_changes import StatementChange, rule_changes, with_former_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many customers hold a tag, level or value, and would."""

    value: str
    """`given` of a tag."""
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    customer: Key
    known: bool
    """False of a customer who is gone."""
    explanation: RuleExplanation | None
    """By the rules, and the customer's values, that the move is to; None where there is no rule, or no customer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Customers of whom a tag, level or value would change. Of a tag `old` and `new` are `given` or null."""

    old: str | None
    new: str | None
    customers: int
    stayed: int
    """Those of them who are there on both sides: not new, and not gone."""
    amount: Amount | None
    """Their metric in all, by its new value; None where none was asked for, or nobody has any."""
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMoves:
    kind: Kind
    name: str
    declared: bool
    """Whether the rules still have it."""
    sizes: tuple[Size, ...]
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    customers: int
    movement: Movement
    rules: tuple[RuleMoves, ...]
    """All that are published, as the rules list them, then those that are gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """The same data by other rules, so that what the rules change stands apart from what time and data do."""

    path: str
    ruleset_hash: str
    changes: tuple[StatementChange, ...]
    """Of the rules, statement by statement."""
    by_time: Comparison | None
    """From the published version to the other rules, on this day and data; None before the first version."""
    by_rules: Comparison
    """From the other rules to these, on the same day and data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    ruleset: str
    profile: str
    as_of: date
    saw_part_of_day: bool
    ruleset_hash: str
    base: int | None
    """The version that it is compared with; None before the first one."""
    base_as_of: date | None
    metric: str | None
    """What is summed up over those who move."""
    total: Amount | None
    """The metric of everybody."""
    counts: Counts
    compared: Comparison
    """With the published version."""
    against: Against | None
    held: bool
    """Whether a run would be held."""
    reasons: tuple[str, ...]
    """Why."""
    checks: tuple[CheckResult, ...]
    left_out: tuple[LeftOut, ...]
    forgotten: int
    """Customers of the data who were forgotten, and so are nowhere counted."""
    drafts: tuple[DraftCount, ...]
    unknown_classes: Mapping[str, int]
    suppressed: Mapping[str, int]
    over_budget: Mapping[str, int]
    warnings: tuple[Problem, ...]
    phases: tuple[Phase, ...]


def plan(
    path: Path,
    profile: str,
    *,
    as_of: date | None = None,
    parameters: Mapping[str, str] | None = None,
    metric: str | None = None,
    samples: int = 3,
    against: Path | None = None,
    progress: Callable[[str], None] = lambda phase: None,
) -> PlanReport:
    """Compute as a run would, and compare with what is published; `against` names another ruleset's folder.

    ProblemError where a run would have none.
    """
    clock = Clock(progress)
    with clock.phase("checking"):
        opened = opening.opened(path, parameters, metric)
        other = _other(against, metric) if against else None
    if other:
        theirs, ours = (str(each.ruleset.entity.key.type) for each in (other, opened))
        if theirs != ours:
            raise ProblemError(codes.keys_differ(None, path=str(against), found=theirs, wanted=ours))
    with published.opened(path, profile) as (_, store):
        return plan_in(
            store, opened, profile, as_of, metric=metric, samples=samples, other=other, against=against, clock=clock
        )


def plan_in(
    store: Store,
    opened: Opened,
    profile: str,
    as_of: date | None,
    *,
    metric: str | None,
    samples: int,
    clock: Clock,
    other: Opened | None = None,
    against: Path | None = None,
) -> PlanReport:
    """As `plan`, of rules that are checked; `other` are those of `against`, with keys of the same type."""
    manifest, ruleset = opened.manifest, opened.ruleset
    today = datetime.now(manifest.zone).date()
    day = as_of or today
    warnings = list(opened.warnings)
    if day > today:
        warnings.append(codes.as_of_ahead(None, as_of=str(day), today=str(today)))
    data = manifest.profile(profile)
    with scratch.folder() as folder:
        if identity := store.identity():
            refuse_another(identity, published.identity_for(ruleset))
        seen = _watched(data, {*ruleset.bound, *(other.ruleset.bound if other else ())})
        writable = (folder,) if other else ()
        by_time, kept = None, None
        changes: tuple[StatementChange, ...] = ()
        if other:
            changes = rule_changes(other, opened)
            with computed(other.ruleset, data, day, clock, store, other.measure, writable) as found:
                preview = store.preview(found.connection, found.layout, day, _asked(found, other, samples))
                by_time = _comparison(found, preview) if preview.base else None
                layout, counts = with_former_names(found.layout, preview.counts, changes)
                assert isinstance(found.connection, duckdb.DuckDBPyConnection)
                kept = previewing.keep(found.connection, layout, counts, folder / "answers.parquet")
        with computed(ruleset, data, day, clock, store, opened.measure, writable) as found:
            seen.refuse_changes()
            warnings.extend(found.warnings)
            asked = _asked(found, opened, samples)
            with clock.phase("comparing"):
                preview = store.preview(found.connection, found.layout, day, asked)
                compared = _comparison(found, preview)
                by_rules = None
                if kept:
                    assert isinstance(found.connection, duckdb.DuckDBPyConnection)
                    beside = previewing.between(found.connection, found.layout, day, kept, asked)
                    by_rules = _comparison(found, beside, kept.counts)
        checks = found.checks(preview)
        reasons = found.reasons(preview, checks)
        return PlanReport(
            ruleset=manifest.name,
            profile=profile,
            as_of=day,
            saw_part_of_day=day >= today,
            ruleset_hash=ruleset.hash,
            base=preview.base.number if preview.base else None,
            base_as_of=preview.base.as_of if preview.base else None,
            metric=metric,
            total=preview.total,
            counts=published.in_order(preview.counts, published.order_of(ruleset)),
            compared=compared,
            against=Against(
                path=str(against),
                ruleset_hash=other.ruleset.hash,
                changes=changes,
                by_time=by_time,
                by_rules=by_rules,
            )
            if other and by_rules
            else None,
            held=bool(reasons),
            reasons=reasons,
            checks=checks,
            left_out=found.left_out,
            forgotten=found.forgotten,
            drafts=found.findings.drafts,
            unknown_classes=found.findings.unknown_classes,
            suppressed=found.findings.suppressed,
            over_budget=found.findings.over_budget,
            warnings=tuple(warnings),
            phases=tuple(clock.phases),
        )


def _other(path: Path, metric: str | None) -> Opened:
    """The rules to compare with, which need not know the metric."""
    try:
        return opening.opened(path, measure=metric)
    except ProblemError as error:
        if metric is None or any(
            problem.span is None or problem.span.source.path != "--metric"
            for problem in error.problems
            if problem.is_error
        ):
            raise
        return opening.opened(path)


def _watched(profile: Profile, sources: Iterable[str]) -> Fingerprint:
    """The files of sources, which must stay as they are until all is computed."""
    try:
        return watched(file for source in sources if profile.dsn is None for file in profile.files(source))
    except ProblemError as error:
        raise not_usable(error) from error


def _asked(found: Computed, opened: Opened, samples: int) -> Asked:
    measure = next((each for each in found.layout.values if each.name == opened.measure_name), None)
    return Asked(measure=measure, samples=samples)


def _comparison(found: Computed, preview: Preview, before: Counts | None = None) -> Comparison:
    before = preview.base.counts if preview.base else before
    return Comparison(
        customers=preview.counts.customers,
        movement=preview.movement,
        rules=tuple(_rule_moves(found, preview, before)),
    )


def _rule_moves(found: Computed, preview: Preview, before: Counts | None) -> Iterator[RuleMoves]:
    old, new = published.sizes(before) if before else {}, published.sizes(preview.counts)
    order = published.sizes(published.in_order(preview.counts, published.order_of(found.ruleset)))
    for kind, name in dict.fromkeys((*order, *old)):
        was, will = old.get((kind, name), {}), new.get((kind, name), {})
        listed = dict.fromkeys((*order.get((kind, name), ()), *was))
        shifts = [shift for shift in preview.shifts if (shift.kind, shift.name) == (kind, name)]
        yield RuleMoves(
            kind=kind,
            name=name,
            declared=(kind, name) in order,
            sizes=tuple(Size(value=value, before=was.get(value, 0), after=will.get(value, 0)) for value in listed),
            moves=tuple(_move(found, preview, shift) for shift in shifts),
        )


def _move(found: Computed, preview: Preview, shift: Shift) -> Move:
    return Move(
        old=shift.old,
        new=shift.new,
        customers=shift.customers,
        stayed=shift.stayed,
        amount=shift.amount,
        samples=tuple(
            Sample(
                customer=key,
                known=key in preview.values,
                explanation=explained_now(
                    found.ruleset, preview.values[key], found.as_of, shift.kind, shift.name, shift.new
                )
                if key in preview.values
                else None,
            )
            for key in shift.samples
        ),
    )
