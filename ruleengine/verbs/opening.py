"""From a folder to a manifest, rule texts and a checked ruleset."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ruleengine import schema
from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.schema import Manifest
from ruleengine.source import Source
from ruleengine.syntax.scan import read_source


@dataclass(frozen=True, slots=True)
class Opened:
    """A ruleset without errors, and where it lies."""

    manifest: Manifest
    ruleset: Ruleset
    warnings: tuple[Problem, ...]


def read(path: Path) -> tuple[Manifest, tuple[Source, ...]]:
    """The manifest and the texts of the rule files; ProblemError where one cannot be read."""
    manifest = schema.load(path)
    found = [read_source(file) for file in manifest.rule_files()]
    problems = [problem for problem in found if isinstance(problem, Problem)]
    if problems:
        raise ProblemError(*problems)
    return manifest, tuple(source for source in found if isinstance(source, Source))


def opened(path: Path, overrides: Mapping[str, str] | None = None) -> Opened:
    """The ruleset, parameters overridden; ProblemError with all that was found if any of it is an error."""
    manifest, sources = read(path)
    result = check(sources, manifest.name, manifest.timezone, overrides=overrides)
    if result.ruleset is None or any(problem.is_error for problem in result.problems):
        raise ProblemError(*result.problems)
    return Opened(manifest, result.ruleset, result.problems)
