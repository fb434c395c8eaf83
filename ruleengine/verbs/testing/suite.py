"""A fixture suite as it lies in its folder: `suite.toml`, a data file for each source, and `expected.csv`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from glob import escape
from pathlib import Path
from typing import Any

from ruleengine import schema
from ruleengine.checking.ruleset import Events, Ruleset
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError, Problems
from ruleengine.engines import csv_files
from ruleengine.schema import Binding, Profile
from ruleengine.schema.places import Places
from ruleengine.source import Source, Span
from ruleengine.syntax.scan import read_source
from ruleengine.verbs import opening
from ruleengine.verbs.opening import Opened
from ruleengine.verbs.testing.expected import Table, read_table

SETTINGS = "suite.toml"
EXPECTED = "expected.csv"
_KEYS = ("as_of", "full", "set")
_KINDS = (".csv", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A suite whose files are all there, and what it is about."""

    folder: Path
    days: tuple[date, ...]
    """Run in sequence."""
    opened: Opened
    """The ruleset, with the suite's parameters."""
    parameters: Mapping[str, str]
    profile: Profile
    """Its sources are the suite's own files."""
    full: bool
    """Every customer of every date and every rule stands in the table."""
    table: Table
    span: Span
    """Where the suite says when it runs."""

    @property
    def name(self) -> str:
        return self.folder.name


def read(folder: Path, opened: Opened, store: Path, *, renew: bool = False) -> Suite:
    """A suite that keeps its versions in `store`; ProblemError with all that is wrong with its files.

    To `renew` a suite, its table of expectations need not be there.
    """
    source, document = _document(folder / SETTINGS)
    places = Places(source, source.text)
    found = Problems()
    for key in document.keys() - set(_KEYS):
        span = places.span((key,))
        found.add(codes.setting_unknown(span, key=key, near=near(key, _KEYS), known=", ".join(_KEYS)))
    days = _days(document.get("as_of"))
    if days is None:
        found.add(codes.suite_dates(places.span(("as_of",))))
    if not isinstance(full := document.get("full", False), bool):
        found.add(codes.suite_setting(places.span(("full",)), key="full", form="true"))
    parameters = _parameters(document.get("set", {}))
    if parameters is None:
        found.add(codes.suite_setting(places.span(("set",)), key="set", form="[set]"))
    elif parameters:
        opened = _with_parameters(opened, parameters, places, found)
    bindings = dict(_bindings(folder, opened.ruleset, source, found))
    table = None
    if days is not None:
        table = read_table(folder / EXPECTED, opened.ruleset, days, found, needed=not renew)
    if found.has_errors or days is None or table is None or parameters is None:
        raise ProblemError(*found)
    manifest = opened.manifest
    profile = Profile(
        name=folder.name,
        engine="duckdb",
        directory=manifest.directory,
        store=store,
        schema=None,
        dsn=None,
        memory=None,
        threads=None,
        timeout=None,
        sources=bindings,
        span=places.span(()),
    )
    return Suite(
        folder=folder,
        days=days,
        opened=opened,
        parameters=parameters,
        profile=profile,
        full=bool(full),
        table=table,
        span=places.span(("as_of",)),
    )


def _document(file: Path) -> tuple[Source, dict[str, Any]]:
    source = read_source(file)
    if isinstance(source, Problem):
        raise ProblemError(source)
    return source, schema.document(source, source.text, parse_float=Decimal)


def _days(value: object) -> tuple[date, ...] | None:
    """The dates, if that is what they are and each is later than the one before."""
    listed = value if isinstance(value, list) else [value]
    days = [day for day in listed if isinstance(day, date) and not isinstance(day, datetime)]
    whole = days and len(days) == len(listed) and all(1900 <= day.year <= 2999 for day in days)
    return tuple(days) if whole and days == sorted(set(days)) else None


def _parameters(table: object) -> dict[str, str] | None:
    """Parameters as `--set` has them."""
    if not isinstance(table, dict):
        return None
    texts = {}
    for name, value in table.items():
        match value:
            case bool():
                texts[name] = str(value).lower()
            case str() | int() | date():
                texts[name] = str(value)
            case Decimal() if value.is_finite():
                texts[name] = f"{value:f}"
            case _:
                return None
    return texts


def _with_parameters(opened: Opened, parameters: Mapping[str, str], places: Places, found: Problems) -> Opened:
    try:
        return opening.opened(opened.manifest.directory, parameters)
    except ProblemError as error:
        for problem in error.problems:
            name = str(problem.facts.get("name", ""))
            found.add(problem if problem.span else replace(problem, span=places.span(("set", name))))
        return opened


# -- data files ------------------------------------------------------------------------------------------------


def _bindings(folder: Path, ruleset: Ruleset, settings: Source, found: Problems) -> Iterator[tuple[str, Binding]]:
    """The file of each source; files that are of none are problems."""
    span = Span(settings, 0, 0)
    files: dict[str, list[Path]] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix in _KINDS and file.name != EXPECTED and not file.name.startswith("."):
            files.setdefault(file.stem, []).append(file)
    for name in files.keys() - set(ruleset.bound):
        known = ", ".join(ruleset.bound)
        shown = files[name][0]
        found.add(codes.suite_source_unknown(span, file=shown.name, near=near(name, ruleset.bound), known=known))
    for name in ruleset.bound:
        own = files.get(name, [])
        if not own:
            columns = ",".join(dict.fromkeys(_columns(ruleset, name)))
            found.add(codes.suite_source_missing(span, source=name, columns=columns))
        elif len(own) > 1:
            found.add(codes.suite_source_twice(span, source=name, one=own[0].name, other=own[1].name))
        else:
            header = _header(own[0])
            _check_columns(own[0], header, name, ruleset, found)
            first = Span(header, 0, len(header.text))
            yield name, Binding(source=name, file=escape(str(own[0].absolute())), span=first)


def _columns(ruleset: Ruleset, source: str) -> Iterator[str]:
    """The columns that a source is declared to have."""
    entity = ruleset.entity
    if not entity.distinct and entity.source == source:
        yield from (column.name for column in (entity.key, *entity.columns))
    for events in ruleset.events.values():
        if events.source == source:
            yield from _columns_of(events)


def _columns_of(events: Events) -> Iterator[str]:
    key = [events.key] if events.key else []
    yield from (column.name for column in (*key, events.customer, events.at, *events.columns))


def _header(file: Path) -> Source:
    """The first line of a CSV file, to show what is wrong with it."""
    if file.suffix != ".csv" or not file.is_file():
        return Source(str(file), "")
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as text:
        return Source(str(file), text.readline(csv_files.LONGEST_ROW).rstrip("\r\n"))


def _check_columns(file: Path, header: Source, source: str, ruleset: Ruleset, found: Problems) -> None:
    """A column that the rules do not declare may be another one misspelt."""
    if file.suffix != ".csv" or not file.is_file():
        return
    try:
        names = csv_files.header(file)
    except (csv_files.UnreadableError, OSError):
        return  # the run tells
    declared = list(dict.fromkeys(_columns(ruleset, source)))
    for name in names:
        if name not in declared:
            start = max(header.text.find(name), 0)
            left = [column for column in declared if column not in names]
            found.add(
                codes.suite_column_unknown(
                    Span(header, start, start + len(name)),
                    column=name,
                    source=source,
                    near=near(name, left),
                    known=", ".join(declared),
                )
            )
