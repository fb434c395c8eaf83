"""From a folder to a manifest, rule texts and a checked ruleset."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path

from ruleengine import schema
from ruleengine.checking.check import check
from ruleengine.checking.expressions import Attribute, MetricValue
from ruleengine.checking.ruleset import Ruleset
from ruleengine.checking.uses import SHIPPED, Reader
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.schema import Manifest
from ruleengine.source import Source, Span
from ruleengine.syntax.scan import read_source


@dataclass(frozen=True, slots=True)
class Opened:
    """A ruleset without errors, and where it lies."""

    manifest: Manifest
    ruleset: Ruleset
    warnings: tuple[Problem, ...]
    measure: MetricValue | Attribute | None

    @property
    def measure_name(self) -> str | None:
        match self.measure:
            case MetricValue(metric=name) | Attribute(column=name):
                return name
            case None:
                return None


def read(path: Path) -> tuple[Manifest, tuple[Source, ...]]:
    """The manifest and the texts of its own rule files; ProblemError where one cannot be read.

    Texts go by the names of their files, so that a ruleset is the same from wherever it is named; see `located`.
    """
    manifest = schema.load(path)
    found = [read_source(file) for file in manifest.rule_files()]
    problems = [problem for problem in found if isinstance(problem, Problem)]
    if problems:
        raise ProblemError(*problems)
    return manifest, tuple(
        Source(Path(source.path).name, source.text) for source in found if isinstance(source, Source)
    )


def reader(manifest: Manifest) -> Reader:
    """How `use` finds files in the ruleset's folder."""

    def found(name: str) -> Source | Problem | None:
        file = manifest.directory / name
        return read_source(file, name) if os.path.isfile(file) else None  # which never raises, whatever the name

    return found


def found_at(name: str, directory: Path) -> str:
    """A rule file of a ruleset as it is found from the working folder; a shipped one lies in none."""
    return name if name.startswith(SHIPPED) else str(directory / name)


def located(problems: Iterable[Problem], directory: Path) -> tuple[Problem, ...]:
    """Problems of rule files that lie in a folder, as they are found from the working folder."""

    @cache
    def moved(source: Source) -> Source:
        is_rule_file = source.path.endswith(Path(schema.RULE_FILES).suffix)
        return Source(found_at(source.path, directory), source.text) if is_rule_file else source

    def there(span: Span) -> Span:
        return Span(moved(span.source), span.start, span.end)

    return tuple(
        replace(
            problem,
            span=problem.span and there(problem.span),
            places=tuple(replace(place, span=there(place.span)) for place in problem.places),
            fix=problem.fix and replace(problem.fix, span=there(problem.fix.span)),
        )
        for problem in problems
    )


def opened(path: Path, overrides: Mapping[str, str] | None = None, measure: str | None = None) -> Opened:
    """The ruleset, parameters overridden; ProblemError with all that was found if any of it is an error.

    `measure` names a metric or attribute that is a number.
    """
    manifest, sources = read(path)
    try:
        found = _opened(manifest, sources, reader(manifest), overrides, measure)
    except ProblemError as error:
        raise ProblemError(*located(error.problems, manifest.directory)) from None
    return replace(found, warnings=located(found.warnings, manifest.directory))


def opened_where_it_lies(path: Path) -> Opened:
    """The same for somebody elsewhere: places are told by the names of files, without the folder that they lie in."""
    manifest, sources = read(path)
    return _opened(manifest, sources, reader(manifest), None, None)


def opened_texts(
    manifest: Manifest,
    files: Mapping[str, str],
    overrides: Mapping[str, str] | None = None,
    measure: str | None = None,
) -> Opened:
    """The same of rule texts, by the names of their files, in place of those in the manifest's folder."""
    return _opened(manifest, sources_of(files), reader_inside(manifest), overrides, measure)


def sources_of(files: Mapping[str, str]) -> tuple[Source, ...]:
    """Rule texts by the names of their files, as if they lay in one folder."""
    return tuple(Source(name, text) for name, text in sorted(files.items()))


def reader_inside(manifest: Manifest) -> Reader:
    """How `use` finds files in the ruleset's folder, and nowhere else."""
    inside = reader(manifest)
    return lambda name: None if name.startswith(("/", "../")) else inside(name)


def _opened(
    manifest: Manifest,
    sources: Iterable[Source],
    read: Reader,
    overrides: Mapping[str, str] | None,
    measure: str | None,
) -> Opened:
    today = datetime.now(manifest.zone).date()
    result = check(
        tuple(sources),
        manifest.name,
        manifest.timezone,
        overrides=overrides,
        today=today,
        read=read,
        measure=measure,
    )
    if result.ruleset is None or any(problem.is_error for problem in result.problems):
        raise ProblemError(*result.problems)
    return Opened(manifest, result.ruleset, tuple(result.problems), result.measure)
