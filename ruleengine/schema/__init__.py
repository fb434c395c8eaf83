"""`ruleset.toml`: the ruleset's name and clock, and the profiles that bind its sources to data."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from glob import escape, glob
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError, Problems
from ruleengine.schema.mistakes import line_span, problem, syntax_problem, without_secrets
from ruleengine.schema.places import Places
from ruleengine.schema.tables import ENGINES_BUILT, EngineName, ManifestTable, ProfileTable, in_days, in_seconds, near
from ruleengine.schema.tables import MANIFEST as MANIFEST
from ruleengine.source import Source, Span

RULE_FILES = "*.rules"
DEFAULT_PROFILE = "default"
MAX_BYTES = 1_000_000
"""Of a ruleset.toml: nobody writes a larger one."""
MAX_DOTS = 1_000
"""In a line of it: of a name with many parts, the time to read it grows with their square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Where the rows of one source lie: exactly one of `file`, `table` and `sql` is given."""

    source: str
    file: str | None = None
    """A path or glob that ends in .csv or .parquet, relative to the ruleset's folder."""
    table: str | None = None
    sql: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    """Declared name of a column → its name in the data, where the two differ."""
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One way to run the ruleset: an engine, a store and what the sources are bound to."""

    name: str
    engine: EngineName
    directory: Path
    """The ruleset's folder, to which all paths are relative."""
    store: Path
    """The folder of the store, where it does not lie in a database."""
    schema: str | None
    """The schema of the database that the store lies in."""
    dsn: str | None
    """`${NAME}` of an environment variable; never the address itself."""
    memory: str | None
    threads: int | None
    timeout: int | None
    """Seconds that a statement of a database may take; None: as long as its server lets it."""
    sources: Mapping[str, Binding]
    span: Span = field(compare=False, repr=False)

    def binding(self, source: str) -> Binding:
        """What a source is bound to; ProblemError where the profile does not say."""
        if source not in self.sources:
            raise ProblemError(
                codes.source_unbound(self.span, source=source, profile=self.name, near=near(source, self.sources))
            )
        return self.sources[source]

    def files(self, source: str) -> tuple[Path, ...]:
        """The files that a source is bound to, in order of their names; ProblemError without any."""
        binding = self.binding(source)
        assert binding.file is not None, f"{source} is not bound to files"
        anchor = "" if Path(binding.file).is_absolute() else f"{escape(str(self.directory))}/"
        found = sorted(map(Path, glob(anchor + binding.file, recursive=True)))
        for path in found:
            if not path.is_file() and (not path.is_dir() or len(found) == 1):  # a pipe or a device may never end
                reason = "it is no file."
                if path.is_dir():
                    reason = f"it is a folder. Name the files in it: {binding.file}/*{path.suffix}"
                elif not path.exists():
                    reason = "it is a link that leads nowhere."
                raise ProblemError(codes.source_unreadable(binding.span, source=source, file=path.name, reason=reason))
        files = tuple(path for path in found if path.is_file())
        if not files:
            raise ProblemError(codes.source_file_missing(binding.span, source=source, file=binding.file))
        return files


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A `ruleset.toml` without problems."""

    directory: Path
    name: str
    timezone: str
    stale_after_days: int | None
    """The API calls an answer stale when its as-of date is further back than this."""
    profiles: Mapping[str, Profile]
    span: Span = field(compare=False, repr=False)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def profile(self, name: str = DEFAULT_PROFILE) -> Profile:
        """A profile by name; ProblemError where there is none or its engine is not built yet."""
        profile = self.profiles.get(name)
        if profile is None:
            known = ", ".join(self.profiles) or None
            raise ProblemError(
                codes.profile_unknown(self.span, profile=name, known=known, near=near(name, self.profiles))
            )
        if profile.engine not in ENGINES_BUILT:
            raise ProblemError(codes.engine_not_yet(profile.span, profile=name, engine=profile.engine))
        return profile

    def rule_files(self) -> tuple[Path, ...]:
        """Every rule file of the ruleset's folder (not of folders in it), in order of their names.

        A link that leads nowhere is one as well: whoever reads it says so.
        """
        return tuple(sorted(path for path in self.directory.glob(RULE_FILES) if not path.is_dir()))


def load(path: Path) -> Manifest:
    """Read the ruleset in a folder (or whose ruleset.toml is named); ProblemError with all problems found."""
    directory = path.parent if path.name == MANIFEST and not path.is_dir() else path
    file = directory / MANIFEST
    if not directory.is_dir():
        missing = codes.ruleset_not_a_folder if directory.exists() else codes.ruleset_missing
        raise ProblemError(missing(None, path=str(directory)))
    if not file.is_file():
        raise ProblemError(codes.manifest_missing(None, path=str(directory)))
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProblemError(codes.manifest_not_utf8(None, path=str(file))) from None
    except OSError as error:
        raise ProblemError(codes.file_unreadable(None, path=str(file), reason=error.strerror or str(error))) from None
    if len(data) > MAX_BYTES:
        raise ProblemError(codes.file_unreadable(None, path=str(file), reason=f"It has over {MAX_BYTES:_} bytes"))
    return parse(directory, Source(str(file), without_secrets(text)), text)


def document(source: Source, text: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """The tables of a TOML text; ProblemError, placed in `source`, where it is none."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > MAX_DOTS:
            reason = f"a line has over {MAX_DOTS:_} dots"
            raise ProblemError(codes.manifest_syntax(line_span(source, number), reason=reason))
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except tomllib.TOMLDecodeError as error:
        raise ProblemError(syntax_problem(source, error)) from None
    except RecursionError:
        raise ProblemError(codes.manifest_syntax(line_span(source, 1), reason="too deeply nested")) from None
    except ValueError:  # of int(), which minds the time it takes
        raise ProblemError(codes.manifest_syntax(line_span(source, 1), reason="a number is too long")) from None


def parse(directory: Path, source: Source, text: str) -> Manifest:
    """Read a manifest's text; places are shown in `source`, which holds the text without secrets."""
    tables = document(source, text)
    places = Places(source, text)
    try:
        table = ManifestTable.model_validate(tables)
    except ValidationError as errors:
        problems = Problems(problem(places, error) for error in errors.errors(include_url=False))
        raise ProblemError(*problems) from None
    return Manifest(
        directory=directory,
        name=table.ruleset.name,
        timezone=table.ruleset.timezone,
        stale_after_days=in_days(table.ruleset.stale_after),
        profiles={name: _profile(directory, places, name, it) for name, it in table.profiles.items()},
        span=places.span(("ruleset",)),
    )


def _profile(directory: Path, places: Places, name: str, table: ProfileTable) -> Profile:
    path = ("profiles", name)
    return Profile(
        name=name,
        engine=table.engine,
        directory=directory,
        store=directory / (table.store.folder or ".ruleengine"),
        schema=table.store.schema_,
        dsn=table.dsn,
        memory=table.memory,
        threads=table.threads,
        timeout=in_seconds(table.timeout),
        sources={
            source: Binding(
                source=source,
                file=binding.file,
                table=binding.table,
                sql=binding.sql,
                columns=binding.columns,
                span=places.span((*path, "sources", source)),
            )
            for source, binding in table.sources.items()
        },
        span=places.span(path),
    )
