"""What is wrong with a ruleset, and what is in it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ruleengine.checking.check import check as check_files
from ruleengine.diagnostics.problem import Problem
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


def check(path: Path) -> CheckReport:
    """Everything found in a ruleset; ProblemError where there is nothing to check."""
    manifest, sources = opening.read(path)
    checked = check_files(sources, manifest.name, manifest.timezone, today=datetime.now(manifest.zone).date())
    ruleset = checked.ruleset
    errors = sum(problem.is_error for problem in checked.problems)
    return CheckReport(
        ruleset=manifest.name,
        hash=ruleset.hash if ruleset else None,
        files=len(sources),
        metrics=len({metric.declared for metric in ruleset.metrics.values()} - {None}) if ruleset else None,
        tags=len(ruleset.tags) if ruleset else None,
        ladders=len(ruleset.ladders) if ruleset else None,
        errors=errors,
        warnings=len(checked.problems) - errors,
        problems=checked.problems,
    )
