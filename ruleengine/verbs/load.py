"""Files loaded into a database, to try a ruleset there."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruleengine.checking.ruleset import Ruleset
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError, Problems
from ruleengine.engines.loading import Loaded
from ruleengine.engines.loading import load as fill
from ruleengine.schema import Binding, Manifest, Profile
from ruleengine.verbs import opening
from ruleengine.verbs.outcome import NotUsableError


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What was loaded where."""

    ruleset: str
    profile: str
    tables: tuple[Loaded, ...]
    warnings: tuple[Problem, ...]
    """About the data."""


def load(
    path: Path,
    files: Sequence[Path],
    profile: str,
    *,
    over: bool = False,
    progress: Callable[[str], None] = lambda phase: None,
) -> LoadReport:
    """Load files into the tables that a profile binds their sources to; `over` replaces the rows that are there.

    A file is of the source that another profile binds it to, or else of the one that it is named after."""
    opened = opening.opened(path)
    target = opened.manifest.profile(profile)
    if target.dsn is None:
        raise ProblemError(codes.load_without_database(target.span, profile=profile))
    bound = opened.ruleset.bound
    found = Problems()
    chosen: dict[str, list[Path]] = {}
    for file in files:
        source = _source_of(file, opened.manifest, bound)
        if source is None:
            close, known = near(file.stem, bound), ", ".join(bound)
            found.add(codes.load_file_unknown(None, file=file.name, near=close, known=known))
        elif file.suffix not in (".csv", ".parquet"):
            found.add(codes.source_file_kind(None, file=file.name))
        else:
            chosen.setdefault(source, []).append(file)
    for source in chosen:
        try:
            if target.binding(source).table is None:
                found.add(codes.load_into_query(target.binding(source).span, source=source))
        except ProblemError as error:
            found.extend(error.problems)
        found.extend(opening.located(_clocks(opened.ruleset, source), opened.manifest.directory))
    if found.has_errors:
        raise ProblemError(*found)
    progress("reading and loading")
    names = {source: _bindings(opened.manifest, source) for source in chosen}
    try:
        tables, warnings = fill(opened.ruleset, target, chosen, names, over=over)
    except ProblemError as error:
        raise NotUsableError(*error.problems) from error
    return LoadReport(ruleset=opened.manifest.name, profile=profile, tables=tables, warnings=warnings)


def _source_of(file: Path, manifest: Manifest, bound: Sequence[str]) -> str | None:
    for profile in manifest.profiles.values():
        for source, binding in profile.sources.items():
            if binding.file is not None and source in bound and file.resolve() in _files(profile, source):
                return source
    return file.stem if file.stem in bound else None


def _clocks(ruleset: Ruleset, source: str) -> Iterator[Problem]:
    """Events of one table would be read with one clock, whatever they declare."""
    found = {events.zone or ruleset.timezone: events for events in ruleset.events.values() if events.source == source}
    if len(found) > 1:
        *_, last = found.values()
        yield codes.load_zones_differ(last.span, source=source, zones=" and ".join(found))


def _files(profile: Profile, source: str) -> list[Path]:
    try:
        return [file.resolve() for file in profile.files(source)]
    except ProblemError:  # which has another profile's files
        return []


def _bindings(manifest: Manifest, source: str) -> tuple[Binding, ...]:
    """How profiles call the columns of a source, those that read files first."""
    found = [profile.sources[source] for profile in manifest.profiles.values() if source in profile.sources]
    return tuple(sorted(found, key=lambda binding: binding.file is None))
