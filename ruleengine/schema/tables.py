"""The tables of ruleset.toml, as pydantic reads them."""

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Code

MANIFEST = "ruleset.toml"
LANGUAGE = 1
"""The number of the rule language that this release reads; it also reads all lower ones."""
FORMAT = 1
"""The number of the layout of ruleset.toml, likewise."""
LONGEST_SCHEMA = 63
"""Bytes that a name may have in Postgres."""

EngineName = Literal["duckdb", "postgres", "spark"]
ENGINES_BUILT = frozenset({"duckdb", "postgres"})


def near(name: str, known: Iterable[str]) -> str | None:
    found = difflib.get_close_matches(name, list(known), n=1)
    return found[0] if found else None


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
        known = near(text, sorted(available_timezones()))
        raise _refuse(codes.timezone_unknown, timezone=text, near=known) from None
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


def in_days(duration: str | None) -> int | None:
    found = _DURATION.fullmatch(duration or "")
    return int(found[1]) * (7 if found[2] == "week" else 1) if found else None


def in_seconds(limit: str | None) -> int | None:
    found = _TIME_LIMIT.fullmatch(limit or "")
    return int(found[1]) * {"second": 1, "minute": 60, "hour": 3600}[found[2]] if found else None


class Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RulesetTable(Table):
    name: _Text
    timezone: Annotated[_Text, AfterValidator(_timezone)]
    stale_after: Annotated[_Text, AfterValidator(_stale_after)] | None = None
    language: Annotated[int, Field(ge=1), AfterValidator(_language)] = LANGUAGE
    format: Annotated[int, Field(ge=1), AfterValidator(_format)] = FORMAT


class BindingTable(Table):
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
    def _one_place(self) -> "BindingTable":
        if sum(place is not None for place in (self.file, self.table, self.sql)) != 1:
            raise _refuse(codes.binding_unreadable)
        return self


class StoreTable(Table):
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


class ProfileTable(Table):
    engine: EngineName
    store: StoreTable = Field(default_factory=lambda: StoreTable.model_validate(".ruleengine"))
    dsn: Annotated[str, AfterValidator(_dsn)] | None = None
    memory: Annotated[_Text, AfterValidator(_memory)] | None = None
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    timeout: Annotated[_Text, AfterValidator(_timeout)] | None = None
    sources: dict[str, BindingTable] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _of_its_engine(self) -> "ProfileTable":
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


class ManifestTable(Table):
    ruleset: RulesetTable
    profiles: dict[str, ProfileTable] = Field(default_factory=dict)
