"""Problems where reviewers see them: as annotations of a GitHub workflow, and as a SARIF log for code scanning."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ruleengine import __version__
from ruleengine.diagnostics.messages import Wording, fields, messages, note, wording
from ruleengine.diagnostics.problem import Code, Fix, Problem
from ruleengine.diagnostics.render import visible
from ruleengine.source import Span

SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def render_github(problems: Iterable[Problem], language: str = "en") -> str:
    """A workflow command per problem: `::error file=…,line=…,title=…::message`, with the hints below the message."""
    return "".join(f"{_command(problem, language)}\n" for problem in problems)


def render_sarif(problems: Iterable[Problem], language: str = "en") -> dict[str, Any]:
    """Problems as a SARIF 2.1.0 log of one run, columns counted in characters."""
    found = list(problems)
    used = list(dict.fromkeys(problem.code for problem in found))
    marks = _fingerprints(found)
    return {
        "$schema": SARIF_SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "ruleengine",
                        "version": __version__,
                        "rules": [_rule(code, language) for code in used],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [
                    _result(problem, used.index(problem.code), mark, language)
                    for problem, mark in zip(found, marks, strict=True)
                ],
            }
        ],
    }


# -- GitHub ---------------------------------------------------------------------------------------------------


def _command(problem: Problem, language: str) -> str:
    properties: dict[str, str | int] = {}
    if problem.span:
        line, column = problem.span.source.position(problem.span.start)
        end_line, end_column = problem.span.source.position(problem.span.end)
        properties = {"file": _path(problem.span), "line": line, "endLine": end_line}
        if end_line == line:  # columns count only within one line
            properties |= {"col": column, "endColumn": end_column}
    properties["title"] = problem.code.name
    listed = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in properties.items())
    return f"::{problem.code.severity} {listed}::{_escaped(_text(wording(problem, language)))}"


def _escaped(text: str, more: str = "") -> str:
    """What would end a workflow command, or one of its properties, written as %XX."""
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _text(words: Wording) -> str:
    return "\n".join("\n".join(visible(line) for line in text.split("\n")) for text in (words.message, *words.hints))


def _path(span: Span) -> str:
    """A file as it is found from the working folder."""
    path = Path(span.source.path)
    if path.is_absolute() and path.is_relative_to(here := Path.cwd()):
        path = path.relative_to(here)
    return path.as_posix()


# -- SARIF ----------------------------------------------------------------------------------------------------


def _rule(code: Code, language: str) -> dict[str, Any]:
    words = messages(language).of_code[code.name]
    rule: dict[str, Any] = {
        "id": code.name,
        "shortDescription": {"text": words.title},
        "defaultConfiguration": {"level": str(code.severity)},
    }
    if words.help and not fields(words.help):
        rule["help"] = {"text": words.help.strip()}
    return rule


def _result(problem: Problem, rule: int, mark: str, language: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": problem.code.name,
        "ruleIndex": rule,
        "level": str(problem.code.severity),
        "message": {"text": _text(wording(problem, language))},
        "partialFingerprints": {"primaryLocationLineHash": mark},
    }
    if problem.span:
        result["locations"] = [_location(problem.span)]
    if problem.places:
        result["relatedLocations"] = [
            {"id": number, **_location(place.span), "message": {"text": visible(note(place, language))}}
            for number, place in enumerate(problem.places, 1)
        ]
    if problem.fix:
        result["fixes"] = [_fix(problem.fix, messages(language).words["try"])]
    return result


def _location(span: Span) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": _artifact(span), "region": _region(span)}}


def _artifact(span: Span) -> dict[str, str]:
    path = _path(span)
    return {"uri": f"file://{quote(path)}" if path.startswith("/") else quote(path)}


def _region(span: Span) -> dict[str, int]:
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _fix(fix: Fix, words: str) -> dict[str, Any]:
    replacement = {"deletedRegion": _region(fix.span), "insertedContent": {"text": fix.replacement}}
    return {
        "description": {"text": f"{words} {visible(fix.replacement)}"},
        "artifactChanges": [{"artifactLocation": _artifact(fix.span), "replacements": [replacement]}],
    }


def _fingerprints(problems: Sequence[Problem]) -> list[str]:
    """What stays the same of a problem when lines above it come and go: its code, file and line, and which it is of
    those that share them."""
    seen: Counter[str] = Counter()
    found = []
    for problem in problems:
        place = [problem.code.name]
        if problem.span:
            line, _ = problem.span.source.position(problem.span.start)
            place += [_path(problem.span), " ".join(problem.span.source.line(line).split())]
        mark = hashlib.sha256("\0".join(place).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        seen[mark] += 1
        found.append(f"{mark}:{seen[mark]}")
    return found
