"""`ruleset.toml`: the ruleset's name and clock, and the profiles that bind its sources to data."""

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from glob import escape, glob
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Code, Problem, ProblemError, Problems
from ruleengine.source import Source, Span

MANIFEST = "ruleset.toml"
RULE_FILES = "*.rules"
DEFAULT_PROFILE = "default"
MAX_BYTES = 1_000_000
"""Of a ruleset.toml: nobody writes a larger one."""
MAX_DOTS = 1_000
"""In a line of it: of a name with many parts, the time to read it grows with their square."""
LANGUAGE = 1
"""The number of the rule language that this release reads; it also reads all lower ones."""
FORMAT = 1
"""The number of the layout of ruleset.toml, likewise."""
LONGEST_SCHEMA = 63
"""Bytes that a name may have in Postgres."""

EngineName = Literal["duckdb", "postgres", "spark"]
ENGINES_BUILT = frozenset({"duckdb", "postgres"})


# -- what everything else sees --------------------------------------------------------------------------


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
                codes.source_unbound(self.span, source=source, profile=self.name, near=_near(source, self.sources))
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
                codes.profile_unknown(self.span, profile=name, known=known, near=_near(name, self.profiles))
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
    return parse(directory, Source(str(file), _without_secrets(text)), text)


def document(source: Source, text: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """The tables of a TOML text; ProblemError, placed in `source`, where it is none."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > MAX_DOTS:
            reason = f"a line has over {MAX_DOTS:_} dots"
            raise ProblemError(codes.manifest_syntax(_line_span(source, number), reason=reason))
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except tomllib.TOMLDecodeError as error:
        raise ProblemError(_syntax_problem(source, error)) from None
    except RecursionError:
        raise ProblemError(codes.manifest_syntax(_line_span(source, 1), reason="too deeply nested")) from None
    except ValueError:  # of int(), which minds the time it takes
        raise ProblemError(codes.manifest_syntax(_line_span(source, 1), reason="a number is too long")) from None


def parse(directory: Path, source: Source, text: str) -> Manifest:
    """Read a manifest's text; places are shown in `source`, which holds the text without secrets."""
    tables = document(source, text)
    places = Places(source, text)
    try:
        table = _ManifestTable.model_validate(tables)
    except ValidationError as errors:
        problems = Problems(_problem(places, error) for error in errors.errors(include_url=False))
        raise ProblemError(*problems) from None
    return Manifest(
        directory=directory,
        name=table.ruleset.name,
        timezone=table.ruleset.timezone,
        stale_after_days=_days(table.ruleset.stale_after),
        profiles={name: _profile(directory, places, name, it) for name, it in table.profiles.items()},
        span=places.span(("ruleset",)),
    )


def _profile(directory: Path, places: "Places", name: str, table: "_ProfileTable") -> Profile:
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
        timeout=_seconds(table.timeout),
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


# -- the tables as pydantic reads them --------------------------------------------------------------------


def _refuse(code: Code, **facts: str | None) -> PydanticCustomError:
    """A problem of ours, on its way through pydantic."""
    return PydanticCustomError(code.name, "{code}", {"code": code.name, **facts})


def _plain(text: str) -> str:
    if not text.strip():
        raise _refuse(codes.setting_empty)
    if "${" in text:
        raise _refuse(codes.environment_misplaced)
    if "\0" in text:
        raise _refuse(codes.setting_unreadable, value=text.replace("\0", "␀"))
    return text


def _schema(text: str) -> str:
    if (found := len(text.encode())) > LONGEST_SCHEMA:  # which Postgres would cut off
        raise _refuse(codes.schema_too_long, schema=text, bytes=str(found))
    return text


def _timezone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # one for each way of not being there
        near = _near(text, sorted(available_timezones()))
        raise _refuse(codes.timezone_unknown, timezone=text, near=near) from None
    return text


def _data_file(text: str) -> str:
    if not text.endswith((".csv", ".parquet")):
        raise _refuse(codes.source_file_kind, file=text)
    return text


def _stale_after(text: str) -> str:
    if not _DURATION.fullmatch(text):
        raise _refuse(codes.duration_unreadable, value=text)
    return text


def _memory(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,8}(\.\d+)? ?[KMGT]i?B", text):
        raise _refuse(codes.memory_unreadable, value=text)
    return text


def _timeout(text: str) -> str:
    if not _TIME_LIMIT.fullmatch(text):
        raise _refuse(codes.time_limit_unreadable, value=text)
    return text


def _dsn(text: str) -> str:
    # The text itself stays out of the message: it may hold a password.
    if not re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", text):
        raise _refuse(codes.dsn_written_out)
    return text


def _language(number: int) -> int:
    if number > LANGUAGE:
        raise _refuse(codes.language_newer, number=str(number), known=str(LANGUAGE))
    return number


def _format(number: int) -> int:
    if number > FORMAT:
        raise _refuse(codes.format_newer, number=str(number), known=str(FORMAT))
    return number


_DURATION = re.compile(r"([1-9]\d{0,4}) (day|week)s?")
_TIME_LIMIT = re.compile(r"([1-9]\d{0,5}) (second|minute|hour)s?")
_Text = Annotated[str, AfterValidator(_plain)]


def _days(duration: str | None) -> int | None:
    found = _DURATION.fullmatch(duration or "")
    return int(found[1]) * (7 if found[2] == "week" else 1) if found else None


def _seconds(limit: str | None) -> int | None:
    found = _TIME_LIMIT.fullmatch(limit or "")
    return int(found[1]) * {"second": 1, "minute": 60, "hour": 3600}[found[2]] if found else None


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _RulesetTable(_Table):
    name: _Text
    timezone: Annotated[_Text, AfterValidator(_timezone)]
    stale_after: Annotated[_Text, AfterValidator(_stale_after)] | None = None
    language: Annotated[int, Field(ge=1), AfterValidator(_language)] = LANGUAGE
    format: Annotated[int, Field(ge=1), AfterValidator(_format)] = FORMAT


class _BindingTable(_Table):
    file: Annotated[_Text, AfterValidator(_data_file)] | None = None
    table: _Text | None = None
    sql: _Text | None = None
    columns: dict[str, _Text] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: object) -> object:
        if isinstance(value, str):
            return {"file": value}
        if not isinstance(value, dict):
            raise _refuse(codes.binding_unreadable)
        return value

    @model_validator(mode="after")
    def _one_place(self) -> "_BindingTable":
        if sum(place is not None for place in (self.file, self.table, self.sql)) != 1:
            raise _refuse(codes.binding_unreadable)
        return self


class _StoreTable(_Table):
    folder: _Text | None = None
    """Written alone: `store = "folder"`."""
    schema_: Annotated[_Text, AfterValidator(_schema)] | None = Field(default=None, alias="schema")

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: object) -> object:
        if isinstance(value, str):
            return {"folder": value}
        if not isinstance(value, dict) or set(value) != {"schema"}:
            raise _refuse(codes.store_unreadable)
        return value


class _ProfileTable(_Table):
    engine: EngineName
    store: _StoreTable = Field(default_factory=lambda: _StoreTable.model_validate(".ruleengine"))
    dsn: Annotated[str, AfterValidator(_dsn)] | None = None
    memory: Annotated[_Text, AfterValidator(_memory)] | None = None
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    timeout: Annotated[_Text, AfterValidator(_timeout)] | None = None
    sources: dict[str, _BindingTable] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _of_its_engine(self) -> "_ProfileTable":
        files = self.engine == "duckdb"
        if files and self.dsn is not None:
            raise _refuse(codes.dsn_without_database, at="dsn")
        if self.engine == "postgres" and self.dsn is None:
            raise _refuse(codes.dsn_missing)
        if files and self.store.schema_ is not None:
            raise _refuse(codes.setting_of_another_engine, at="store", engine=self.engine)
        for key in ("timeout",) if files else ("memory", "threads"):
            if getattr(self, key) is not None:
                raise _refuse(codes.setting_of_another_engine, at=key, engine=self.engine)
        for source, binding in self.sources.items():
            if files and binding.file is None:
                kind = "table" if binding.table is not None else "sql"
                raise _refuse(codes.binding_needs_database, at=f"sources\0{source}", source=source, kind=kind)
            if self.engine == "postgres" and binding.file is not None:
                raise _refuse(codes.binding_needs_files, at=f"sources\0{source}", source=source)
        return self


class _ManifestTable(_Table):
    ruleset: _RulesetTable
    profiles: dict[str, _ProfileTable] = Field(default_factory=dict)


# -- from pydantic's words to ours -------------------------------------------------------------------------

_KEYS: dict[str, type[_Table]] = {"ruleset": _RulesetTable, "profile": _ProfileTable, "source": _BindingTable}
_WRONG_TYPE = {
    "string_type": codes.setting_not_text,
    "int_type": codes.setting_not_whole,
    "greater_than_equal": codes.setting_not_whole,
    "less_than_equal": codes.setting_not_whole,
    "model_type": codes.setting_not_table,
    "dict_type": codes.setting_not_table,
}


def _problem(places: "Places", error: ErrorDetails) -> Problem:
    path = tuple(str(part) for part in error["loc"] if part != "folder")  # which is not written
    key = path[-1] if path else MANIFEST
    kind = error["type"]
    if kind in codes.CODES:
        facts: dict[str, Any] = {k: v for k, v in error["ctx"].items() if k not in ("code", "at")}
        path += tuple(at.split("\0")) if (at := error["ctx"].get("at")) else ()
        return codes.CODES[kind](places.span(path), key=path[-1], **facts)
    if kind == "missing":
        missing = codes.section_missing if len(path) == 1 else codes.setting_missing
        return missing(places.span(path[:-1]), key=key, section=".".join(path[:-1]) or None)
    if kind == "extra_forbidden":
        known = _known_keys(path)
        return codes.setting_unknown(places.span(path), key=key, near=_near(key, known), known=", ".join(known) or None)
    if kind == "literal_error":
        return codes.engine_unknown(
            places.span(path), engine=str(error["input"]), near=_near(str(error["input"]), ENGINES_BUILT)
        )
    return _WRONG_TYPE.get(kind, codes.setting_not_text)(places.span(path), key=key)


def _known_keys(path: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that may stand where the last one of a path does not belong."""
    match path:
        case (_,):
            table: type[_Table] = _ManifestTable
        case ("ruleset", _):
            table = _RulesetTable
        case ("profiles", _, _):
            table = _ProfileTable
        case _:
            table = _BindingTable
    return tuple(table.model_fields)


def _near(name: str, known: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(name, list(known), n=1)
    return found[0] if found else None


_SYNTAX = {
    "Illegal character '\\n'": "a quote is not closed",
    "Unterminated string": "a quote is not closed",
    "Invalid value": "a text needs quotes, and a value must follow `=`",
    "Expected '='": "`=` is missing behind a name",
    "Invalid statement": "a name was expected here",
    "Cannot overwrite": "this was written before",
    "Cannot declare": "this section was written before",
    "Expected newline": "something stands behind the value",
    "Unclosed array": "a `[` is not closed",
    "Unclosed inline table": "a `{` is not closed",
    "Unescaped": "a `\\\\` in a text is written twice",
    "Expected ']'": "a `]` is missing",
}
"""How tomllib begins what it says, and what a person would say."""


def _syntax_problem(source: Source, error: tomllib.TOMLDecodeError) -> Problem:
    message = str(error)
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    reason = found[1] if found else message
    reason = next((words for said, words in _SYNTAX.items() if reason.startswith(said)), reason)
    line = int(found[2]) if found and found[2] else max(1, len(source.text.splitlines()))
    # tomllib tells the kind of a value or one character of it, never the value, so no secret is quoted.
    return codes.manifest_syntax(_line_span(source, line), reason=reason[:1].lower() + reason[1:])


def _line_span(source: Source, number: int) -> Span:
    start = source.line_starts[min(number, len(source.line_starts)) - 1]
    line = source.line(number)
    return Span(source, start + len(line) - len(line.lstrip()), start + max(len(line.rstrip()), 1))


def _without_secrets(text: str) -> str:
    """The text with the same places, but every written-out `dsn` masked."""
    return re.sub(
        r"""(\bdsn["']?\s*=\s*)(?!["']\$\{\w+\}["'])("[^"\n]*"?|'[^'\n]*'?|[^\s#]+)""",
        lambda found: found[1] + "*" * len(found[2]),
        text,
    )


# -- where in the text a key stands; tomllib does not say ---------------------------------------------------

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_STRING = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\n#]+")


class Places:
    """The place of every key and table header of a text that is valid TOML."""

    def __init__(self, source: Source, text: str) -> None:
        self._source = source
        self._text = text
        self._found: dict[tuple[str, ...], tuple[int, int]] = {}
        table: tuple[str, ...] = ()
        at = self._skip_blank(0)
        while at < len(self._text):
            if self._text[at] == "[":
                start = at
                brackets = 2 if self._text.startswith("[[", at) else 1
                table, at = self._key(at + brackets, ())
                at = self._text.index("]", at) + brackets
                self._note(table, 1, (start, at))
            else:
                at = self._pair(at, table)
            at = self._skip_blank(at)

    def span(self, path: tuple[str, ...]) -> Span:
        """Where a key stands, or the nearest table around it that is written."""
        while path and path not in self._found:
            path = path[:-1]
        start, end = self._found.get(path, (0, min(1, len(self._text))))
        return Span(self._source, start, end)

    def _pair(self, at: int, table: tuple[str, ...]) -> int:
        start = at
        path, at = self._key(at, table)
        end = at
        at = self._value(self._skip_blank(self._text.index("=", at) + 1), path)
        self._note(path, len(table) + 1, (start, end))
        return at

    def _note(self, path: tuple[str, ...], depth: int, place: tuple[int, int]) -> None:
        """A key stands where it is written; until it is, the tables that its path names stand there too."""
        for length in range(depth, len(path)):
            self._found.setdefault(path[:length], place)
        self._found[path] = place

    def _key(self, at: int, path: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
        while True:
            at = self._skip_blank(at)
            found = _BARE_KEY.match(self._text, at) or _STRING.match(self._text, at)
            assert found, self._text[at : at + 20]
            raw = found[0]
            path = (*path, tomllib.loads(f"key = {raw}")["key"] if raw[0] in "\"'" else raw)
            end = found.end()
            at = self._skip_blank(end)
            if not self._text.startswith(".", at):
                return path, end
            at += 1

    def _value(self, at: int, path: tuple[str, ...]) -> int:
        if found := _STRING.match(self._text, at):
            return found.end()
        closing = {"[": "]", "{": "}"}.get(self._text[at])
        if closing is None:
            scalar = _SCALAR.match(self._text, at)
            return scalar.end() if scalar else at + 1
        at = self._skip_blank(at + 1)
        while self._text[at] != closing:
            if self._text[at] == ",":
                at += 1
            elif closing == "}":
                at = self._pair(at, path)
            else:
                at = self._value(at, ())
            at = self._skip_blank(at)
        return at + 1

    def _skip_blank(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return found.end() if found else at
