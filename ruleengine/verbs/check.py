"""What is wrong with a ruleset, and what is in it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from ruleengine.checking.check import check as check_files
from ruleengine.checking.literals import text_literals
from ruleengine.checking.proofs import prove
from ruleengine.checking.ruleset import Ruleset
from ruleengine.checking.uses import Reader, led_to
from ruleengine.diagnostics.problem import Problem, ProblemError, Problems
from ruleengine.schema import DEFAULT_PROFILE, Manifest
from ruleengine.source import Source
from ruleengine.verbs import opening


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    ruleset: str
    hash: str | None
    """None where there are errors; so are the numbers of what it holds."""
    files: int
    metrics: int | None
    tags: int | None
    ladders: int | None
    errors: int
    warnings: int
    problems: tuple[Problem, ...]


def check(path: Path, profile: str | None = None, *, proofs: bool = True) -> CheckReport:
    """Everything found in a ruleset; ProblemError where there is nothing to check.

    Texts that rules compare with are looked for in the data of the profile, or of the default one if that has any.
    Without `proofs` nothing is said of conditions that can never be true, hidden levels and the like.
    """
    manifest, sources = opening.read(path)

    def never_seen(ruleset: Ruleset) -> list[Problem]:
        asked = profile is not None or DEFAULT_PROFILE in manifest.profiles
        return _never_seen(ruleset, manifest, profile) if asked else []

    report, _ = checked_texts(manifest, sources, opening.reader(manifest), proofs=proofs, also=never_seen)
    return replace(report, problems=opening.located(report.problems, manifest.directory))


def checked_texts(
    manifest: Manifest,
    sources: Sequence[Source],
    read: Reader,
    *,
    proofs: bool,
    also: Callable[[Ruleset], Iterable[Problem]] = lambda ruleset: (),
) -> tuple[CheckReport, Ruleset | None]:
    """Everything found in rule files, by their own names, and the ruleset where none of it is an error."""
    today = datetime.now(manifest.zone).date()
    checked = check_files(sources, manifest.name, manifest.timezone, today=today, read=read)
    ruleset = checked.ruleset
    problems = Problems(checked.problems)
    if ruleset:
        problems.extend(led_to(problem, ruleset.uses) for problem in also(ruleset))
    if ruleset and proofs:
        problems.extend(led_to(problem, ruleset.uses) for problem in prove(ruleset))
    errors = sum(problem.is_error for problem in problems)
    report = CheckReport(
        ruleset=manifest.name,
        hash=ruleset.hash if ruleset else None,
        files=len(sources),
        metrics=len({metric.declared for metric in ruleset.metrics.values()} - {None}) if ruleset else None,
        tags=len(ruleset.tags) if ruleset else None,
        ladders=len(ruleset.ladders) if ruleset else None,
        errors=errors,
        warnings=len(problems) - errors,
        problems=tuple(problems),
    )
    return report, None if errors else ruleset


def _never_seen(ruleset: Ruleset, manifest: Manifest, name: str | None) -> list[Problem]:
    literals = text_literals(ruleset)
    try:
        profile = manifest.profile(name or DEFAULT_PROFILE)
        literals = [each for each in literals if each.source in profile.sources]
        if profile.dsn is None:
            literals = [each for each in literals if profile.files(each.source)]
        if not literals:
            return []
        from ruleengine.engines.occurrence import never_seen  # and DuckDB with it

        return list(never_seen(profile, literals))
    except ProblemError:
        if name is not None:
            raise
        return []  # Rules can be checked where the data is not.
