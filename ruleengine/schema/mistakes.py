"""What is wrong with a ruleset.toml: from pydantic's and tomllib's words to ours."""

import re
import tomllib
from typing import Any

from pydantic_core import ErrorDetails

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem
from ruleengine.schema.places import Places
from ruleengine.schema.tables import (
    ENGINES_BUILT,
    MANIFEST,
    BindingTable,
    ManifestTable,
    ProfileTable,
    RulesetTable,
    Table,
    near,
)
from ruleengine.source import Source, Span

_WRONG_TYPE = {
    "string_type": codes.setting_not_text,
    "int_type": codes.setting_not_whole,
    "greater_than_equal": codes.setting_not_whole,
    "less_than_equal": codes.setting_not_whole,
    "model_type": codes.setting_not_table,
    "dict_type": codes.setting_not_table,
}


def problem(places: Places, error: ErrorDetails) -> Problem:
    """One of pydantic's errors, as a problem at its place."""
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
        return codes.setting_unknown(places.span(path), key=key, near=near(key, known), known=", ".join(known) or None)
    if kind == "literal_error":
        return codes.engine_unknown(
            places.span(path), engine=str(error["input"]), near=near(str(error["input"]), ENGINES_BUILT)
        )
    return _WRONG_TYPE.get(kind, codes.setting_not_text)(places.span(path), key=key)


def _known_keys(path: tuple[str, ...]) -> tuple[str, ...]:
    """The keys that may stand where the last one of a path does not belong."""
    match path:
        case (_,):
            table: type[Table] = ManifestTable
        case ("ruleset", _):
            table = RulesetTable
        case ("profiles", _, _):
            table = ProfileTable
        case _:
            table = BindingTable
    return tuple(table.model_fields)


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


def syntax_problem(source: Source, error: tomllib.TOMLDecodeError) -> Problem:
    """Why a text is no TOML, as a problem at its line."""
    message = str(error)
    found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    reason = found[1] if found else message
    reason = next((words for said, words in _SYNTAX.items() if reason.startswith(said)), reason)
    line = int(found[2]) if found and found[2] else max(1, len(source.text.splitlines()))
    # tomllib tells the kind of a value or one character of it, never the value, so no secret is quoted.
    return codes.manifest_syntax(line_span(source, line), reason=reason[:1].lower() + reason[1:])


def line_span(source: Source, number: int) -> Span:
    """A line, from 1, without the blanks around it."""
    start = source.line_starts[min(number, len(source.line_starts)) - 1]
    line = source.line(number)
    if not line.strip():  # of control characters alone, say
        return Span(source, start, start + len(line))
    return Span(source, start + len(line) - len(line.lstrip()), start + len(line.rstrip()))


def without_secrets(text: str) -> str:
    """The text with the same places, but every written-out `dsn` masked."""
    return re.sub(
        r"""(\bdsn["']?\s*=\s*)(?!["']\$\{\w+\}["'])("[^"\n]*"?|'[^'\n]*'?|[^\s#]+)""",
        lambda found: found[1] + "*" * len(found[2]),
        text,
    )
