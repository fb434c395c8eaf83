"""One run: rules and data in; a published version, a held run or a failed one out."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from ruleengine import settings
from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.messages import wording
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.diagnostics.render import render_json
from ruleengine.engines import opening as engines
from ruleengine.engines.engine import DraftCount
from ruleengine.engines.forgotten import Forgotten
from ruleengine.schema import Profile
from ruleengine.store.jobs import Job, Jobs, cancelled
from ruleengine.store.records import Counts, Delta, Json, Movement, Run, RunHeader, RunState, Version
from ruleengine.store.refusals import StoreUnusableError
from ruleengine.store.store import Store, Writer
from ruleengine.verbs import guards, opening, published
from ruleengine.verbs.attending import Attempt, attended, patiently
from ruleengine.verbs.checkout import checkout
from ruleengine.verbs.computing import Clock, Computed, LeftOut, Phase, computed, not_usable
from ruleengine.verbs.fingerprint import UNKNOWN, Fingerprint, take
from ruleengine.verbs.guards import CheckResult
from ruleengine.verbs.opening import Opened
from ruleengine.verbs.shapes import as_json

Outcome = Literal["published", "detached", "unchanged", "held"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    ruleset: str
    profile: str
    outcome: Outcome
    run: str | None
    """None where nothing was computed, for nothing is new."""
    version: int | None
    """That was made, or that stands; None of a held run before the first version."""
    base: int | None
    """What it was compared with."""
    as_of: date
    saw_part_of_day: bool
    """The run was for today, or for a day that is still to come."""
    ruleset_hash: str
    fingerprint: str | None
    counts: Counts
    movement: Movement | None
    """Against the base; None where nothing is new."""
    left_out: tuple[LeftOut, ...]
    forgotten: int
    """Customers of the data who were forgotten, and so are nowhere counted."""
    drafts: tuple[DraftCount, ...]
    unknown_classes: Mapping[str, int]
    """By class: customers without a value because it could not be said whether a line holds."""
    suppressed: Mapping[str, int]
    """By tag: customers who are not given it for another one that comes before it in `at most one of`."""
    over_budget: Mapping[str, int]
    """By tag: customers who are not given it for its `limit` alone."""
    checks: tuple[CheckResult, ...]
    """Those of the data, then those of the answers; none where nothing is new."""
    reasons: tuple[str, ...]
    """Why it was held."""
    warnings: tuple[Problem, ...]
    phases: tuple[Phase, ...]


def run(
    path: Path,
    profile: str,
    *,
    as_of: date | None = None,
    parameters: Mapping[str, str] | None = None,
    actor: str | None = None,
    progress: Callable[[str], None] = lambda phase: None,
) -> RunReport:
    """Check, compute, compare and publish, or hold; ProblemError where it cannot, and then nothing changes."""
    name = settings.actor(actor)
    clock = Clock(progress)
    with clock.phase("checking"):
        opened = opening.opened(path, parameters)
    with published.opened(path, profile) as (manifest, store):
        work = _work(opened, manifest.profile(profile), as_of, parameters or {}, clock)
        jobs = Jobs(store.book)
        with store.writer(name, published.identity_for(opened.ruleset)) as writer:
            job = jobs.new("run", name, {"as_of": work.day.isoformat(), "set": dict(work.parameters)})
            jobs.add(job)
            with attended(jobs, job, clock) as attempt:
                report = work.do(store, writer, attempt)
                attempt.ended(outcome_of(report), kept(report))
                return report


def run_as(job: Job, path: Path, profile: str, store: Store, attempt: Attempt, clock: Clock) -> RunReport:
    """The same for a job that was asked for; StoreLockedError where somebody else writes for long."""
    with clock.phase("checking"):
        opened = opening.opened(path, job.asked["set"])
    day = date.fromisoformat(job.asked["as_of"])
    work = _work(opened, opened.manifest.profile(profile), day, job.asked["set"], clock)
    with patiently(store, job.actor, published.identity_for(opened.ruleset)) as writer:
        return work.do(store, writer, attempt)


def run_into(
    store: Store,
    opened: Opened,
    profile: Profile,
    as_of: date,
    parameters: Mapping[str, str],
    forgotten: Forgotten | None = None,
) -> RunReport:
    """One run of rules that are checked, with the parameters that they were checked with, on a profile's data; without
    customers who were forgotten in another store than this one."""
    work = _work(opened, profile, as_of, parameters, Clock(), forgotten)
    with store.writer("ruleengine test", published.identity_for(opened.ruleset)) as writer:
        return work.do(store, writer, Attempt())


def outcome_of(report: RunReport) -> Mapping[str, Any]:
    """What a job keeps of it in short."""
    state = RunState.PUBLISHED if report.outcome == "detached" else RunState(report.outcome)
    return {"state": state.value, "reasons": list(report.reasons), "version": report.version}


def kept(report: RunReport) -> Mapping[str, Any]:
    """The report as JSON, without rows of the data, which would outlast the customers whose they are."""
    checks = tuple(replace(check, rows=()) for check in report.checks)
    return {**as_json(replace(report, checks=checks)), "warnings": render_json(report.warnings)}


def _work(
    opened: Opened,
    profile: Profile,
    as_of: date | None,
    parameters: Mapping[str, str],
    clock: Clock,
    forgotten: Forgotten | None = None,
) -> "_Work":
    manifest, ruleset = opened.manifest, opened.ruleset
    today = datetime.now(manifest.zone).date()
    day = as_of or today
    warnings = list(opened.warnings)
    if day > today:
        warnings.append(codes.as_of_ahead(None, as_of=str(day), today=str(today)))
    return _Work(
        ruleset=ruleset,
        profile=profile,
        day=day,
        partial=day >= today,
        parameters=parameters,
        clock=clock,
        warnings=warnings,
        forgotten=forgotten,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    ruleset: Ruleset
    profile: Profile
    day: date
    partial: bool
    parameters: Mapping[str, str]
    """The texts of `--set`."""
    clock: Clock
    warnings: list[Problem]
    forgotten: Forgotten | None
    """Whom to leave out, if not those whom the store says."""

    def do(self, store: Store, writer: Writer, attempt: Attempt) -> RunReport:
        header = self._header()
        try:
            with self.clock.phase("reading the data"):
                header = replace(header, engine=engines.release(self.profile))
                data = self._fingerprint()
        except (ProblemError, OSError) as error:
            with _recorded(writer, writer.begin(header, attempt.run_id), attempt):
                raise not_usable(error) from error
        header = replace(header, fingerprint=data.hash)
        if (current := writer.same_as_current(header)) is not None:
            attempt.settle()
            return self._unchanged(header, current, published.ordered(store, current))
        begun = writer.begin(header, attempt.run_id)
        with _recorded(writer, begun, attempt):
            with computed(self.ruleset, self.profile, self.day, self.clock, store, forgotten=self.forgotten) as found:
                self.warnings.extend(found.warnings)
                data.refuse_changes()
                with self.clock.phase("comparing"):
                    delta = writer.stage(begun, found.connection, found.layout)
            report = self._report(header, delta, found)
            attempt.settle()
            if report.reasons:
                writer.hold(delta, report.reasons, report=self._kept(report))
                return replace(report, phases=tuple(self.clock.phases))
            with self.clock.phase("publishing"):
                version = writer.publish(delta, report=self._kept(report))
            return replace(report, version=version.number, phases=tuple(self.clock.phases))

    def _header(self) -> RunHeader:
        directory = self.profile.directory
        found = checkout(directory)
        in_force = {name: it.on(self.day) for name, it in self.ruleset.parameters.items()}
        return RunHeader(
            as_of=self.day,
            ruleset_hash=self.ruleset.hash,
            timezone=self.ruleset.timezone,
            texts={source.path: source.text for source in self.ruleset.sources},
            parameters={
                name: as_json(values if self.ruleset.parameters[name].is_list else values[0])
                for name, values in in_force.items()
            },
            fingerprint=None,
            engine=self.profile.engine,
            git_commit=found.commit,
            git_author=found.author,
        )

    def _fingerprint(self) -> Fingerprint:
        if self.profile.dsn is not None:
            return UNKNOWN
        return take({name: (self.profile.binding(name), self.profile.files(name)) for name in self.ruleset.bound})

    def _unchanged(self, header: RunHeader, current: Version, counts: Counts) -> RunReport:
        return RunReport(
            ruleset=self.ruleset.name,
            profile=self.profile.name,
            outcome="unchanged",
            run=None,
            version=current.number,
            base=current.base,
            as_of=self.day,
            saw_part_of_day=self.partial,
            ruleset_hash=header.ruleset_hash,
            fingerprint=header.fingerprint,
            counts=counts,
            movement=None,
            left_out=(),
            forgotten=0,
            drafts=(),
            unknown_classes={},
            suppressed={},
            over_budget={},
            checks=(),
            reasons=(),
            warnings=tuple(self.warnings),
            phases=tuple(self.clock.phases),
        )

    def _report(self, header: RunHeader, delta: Delta, found: Computed) -> RunReport:
        checks = found.checks(delta)
        reasons = found.reasons(delta, checks)
        return RunReport(
            ruleset=self.ruleset.name,
            profile=self.profile.name,
            outcome="held" if reasons else "detached" if delta.detached else "published",
            run=delta.run.id,
            version=delta.base.number if delta.base and reasons else None,
            base=delta.base.number if delta.base else None,
            as_of=self.day,
            saw_part_of_day=self.partial,
            ruleset_hash=header.ruleset_hash,
            fingerprint=header.fingerprint,
            counts=published.in_order(delta.counts, published.order_of(self.ruleset)),
            movement=delta.movement,
            left_out=found.left_out,
            forgotten=found.forgotten,
            drafts=found.findings.drafts,
            unknown_classes=found.findings.unknown_classes,
            suppressed=found.findings.suppressed,
            over_budget=found.findings.over_budget,
            checks=checks,
            reasons=reasons,
            warnings=tuple(self.warnings),
            phases=tuple(self.clock.phases),
        )

    def _kept(self, report: RunReport) -> Json:
        """What stays with the version beside its header; `set` is how to check its rules again."""
        kept: Json = {
            "saw_part_of_day": report.saw_part_of_day,
            "left_out": as_json(report.left_out),
            "customers_left_out": report.forgotten,
            "drafts": as_json(report.drafts),
            "unknown_classes": dict(report.unknown_classes),
            "suppressed": dict(report.suppressed),
            "over_budget": dict(report.over_budget),
            "checks": guards.kept(report.checks),
            "set": dict(self.parameters),
            "order": published.order_of(self.ruleset),
        }
        return kept


@contextmanager
def _recorded(writer: Writer, run: Run, attempt: Attempt) -> Iterator[None]:
    """Whatever goes wrong within is kept with the run as why it failed."""
    try:
        yield
    except (KeyboardInterrupt, ProblemError) as error:
        # Where the store itself is the trouble, its next writer finds the run and says so.
        with suppress(StoreUnusableError):
            if attempt.cancelled is not None:  # A connection that broke over it may have had the last word.
                writer.fail(run, *cancelled(attempt.cancelled)["reasons"], cancelled=True)
            elif isinstance(error, ProblemError):
                writer.fail(run, "; ".join(wording(problem).message for problem in error.problems))
        raise
