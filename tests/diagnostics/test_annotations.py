"""Problems as GitHub and code scanning take them."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.annotations import render_github, render_sarif
from ruleengine.diagnostics.codes import CODES
from ruleengine.diagnostics.problem import Fix, Place, Problem
from ruleengine.source import Source, Span

TEXT = '# 高价值\ntag "A" wen x > 1\n'
SOURCE = Source("rule sets/a,b:100%.rules", TEXT)


def at(part: str, source: Source = SOURCE) -> Span:
    start = source.text.index(part)
    return Span(source, start, start + len(part))


def typo(source: Source = SOURCE) -> Problem:
    wen = at("wen", source)
    return codes.unknown_word(wen, Place(at("x", source), "before"), fix=Fix(wen, "when"), written="wen", near="when")


def read_command(line: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as the runner reads it."""
    found = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line)
    assert found
    properties = dict(each.split("=", 1) for each in found[2].split(","))
    return found[1], {name: unquote(value) for name, value in properties.items()}, unquote(found[3])


def test_github_reads_back_what_was_written() -> None:
    kind, properties, message = read_command(render_github([typo()]).rstrip("\n"))

    assert kind == "error"
    assert properties == {
        "file": "rule sets/a,b:100%.rules",
        "line": "2",
        "endLine": "2",
        "col": "9",
        "endColumn": "12",
        "title": "unknown-word",
    }
    assert message.startswith("`wen` is not known here.")


def test_a_message_of_several_lines_stays_one_command() -> None:
    problem = codes.file_unreadable(None, path="a.rules", reason="50%\r\n::error::fooled")

    (line,) = render_github([problem]).splitlines()

    assert line.startswith("::error title=file-unreadable::")
    assert read_command(line)[2].endswith("::error::fooled.")


def test_columns_are_told_of_one_line_only() -> None:
    problem = codes.odd_character(Span(SOURCE, 0, len(TEXT)), character="x")

    _, properties, _ = read_command(render_github([problem]).rstrip("\n"))

    assert (properties["line"], properties["endLine"]) == ("1", "3")
    assert not {"col", "endColumn"} & properties.keys()


def test_files_are_named_from_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inside, outside = (typo(Source(str(folder / "a.rules"), TEXT)) for folder in (tmp_path / "shop", tmp_path.parent))

    assert read_command(render_github([inside]).rstrip("\n"))[1]["file"] == "shop/a.rules"
    uris = [
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in run_of(render_sarif([inside, outside]))["results"]
    ]
    assert uris == ["shop/a.rules", f"file://{tmp_path.parent}/a.rules"]


# What SARIF 2.1.0 (section 3) allows of the objects that are written here: property → its kind, ! where it must be
# there. A list stands for an array of its item, a text for the object of that name or a plain kind.
SARIF: dict[str, dict[str, Any]] = {
    "sarifLog": {"$schema": "string", "version!": "string", "runs!": ["run"]},
    "run": {"tool!": "tool", "columnKind": "string", "results": ["result"]},
    "tool": {"driver!": "toolComponent"},
    "toolComponent": {"name!": "string", "version": "string", "rules": ["reportingDescriptor"]},
    "reportingDescriptor": {
        "id!": "string",
        "shortDescription": "message",
        "help": "message",
        "defaultConfiguration": "reportingConfiguration",
    },
    "reportingConfiguration": {"level": "level"},
    "result": {
        "ruleId": "string",
        "ruleIndex": "number",
        "level": "level",
        "message!": "message",
        "locations": ["location"],
        "relatedLocations": ["location"],
        "partialFingerprints": "strings",
        "fixes": ["fix"],
    },
    "message": {"text!": "string"},
    "location": {"id": "number", "physicalLocation": "physicalLocation", "message": "message"},
    "physicalLocation": {"artifactLocation": "artifactLocation", "region": "region"},
    "artifactLocation": {"uri": "string"},
    "region": {"startLine": "place", "startColumn": "place", "endLine": "place", "endColumn": "place"},
    "fix": {"description": "message", "artifactChanges!": ["artifactChange"]},
    "artifactChange": {"artifactLocation!": "artifactLocation", "replacements!": ["replacement"]},
    "replacement": {"deletedRegion!": "region", "insertedContent": "message"},
}


def amiss(value: Any, kind: Any, where: str = "sarifLog") -> list[str]:
    """What of a value SARIF does not allow."""
    match kind:
        case [item]:
            if not isinstance(value, list):
                return [where]
            return [each for number, one in enumerate(value) for each in amiss(one, item, f"{where}[{number}]")]
        case "string":
            return [] if isinstance(value, str) and value else [where]
        case "number":
            return [] if isinstance(value, int) and value >= 0 else [where]
        case "place":
            return [] if isinstance(value, int) and value >= 1 else [where]
        case "level":
            return [] if value in ("none", "note", "warning", "error") else [where]
        case "strings":
            return [] if all(isinstance(each, str) for each in value.values()) else [where]
        case _:
            pass
    allowed = {name.rstrip("!"): item for name, item in SARIF[kind].items()}
    found = [f"{where}.{name}" for name in value if name not in allowed]
    found += [f"{where}.{name}" for name in SARIF[kind] if name.endswith("!") and name[:-1] not in value]
    return found + [
        each for name, item in allowed.items() if name in value for each in amiss(value[name], item, f"{where}.{name}")
    ]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_problem_there_is_makes_a_log_that_sarif_allows(language: str) -> None:
    problems = [code(at("wen"), Place(at("x"), "before"), fix=Fix(at("wen"), "when")) for code in CODES.values()]
    log = json.loads(json.dumps(render_sarif([*problems, *(code(None) for code in CODES.values())], language)))

    assert amiss(log, "sarifLog") == []
    assert amiss(log | {"runs": [{"results": [{"level": "fatal"}]}]}, "sarifLog") == [
        "sarifLog.runs[0].tool!",
        "sarifLog.runs[0].results[0].message!",
        "sarifLog.runs[0].results[0].level",
    ]
    run = run_of(log)
    assert len({rule["id"] for rule in run["tool"]["driver"]["rules"]}) == len(CODES)


def run_of(log: Any) -> Any:
    (run,) = json.loads(json.dumps(log))["runs"]
    return run


def test_sarif_points_at_rules_places_and_fixes() -> None:
    run = run_of(render_sarif([codes.no_rules(None), typo()]))
    rules = run["tool"]["driver"]["rules"]
    nowhere, result = run["results"]

    assert run["columnKind"] == "unicodeCodePoints"
    assert [rules[each["ruleIndex"]]["id"] for each in run["results"]] == ["no-rules", "unknown-word"]
    assert all(rule["shortDescription"]["text"] for rule in rules)
    assert "locations" not in nowhere
    (place,) = result["locations"]
    region = {"startLine": 2, "startColumn": 9, "endLine": 2, "endColumn": 12}
    assert place["physicalLocation"]["region"] == region
    assert unquote(place["physicalLocation"]["artifactLocation"]["uri"]) == SOURCE.path
    assert ":" not in place["physicalLocation"]["artifactLocation"]["uri"]
    (related,) = result["relatedLocations"]
    assert related["physicalLocation"]["region"]["startColumn"] == 13
    assert related["message"]["text"]
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["replacements"] == [{"deletedRegion": region, "insertedContent": {"text": "when"}}]


def test_fingerprints_outlive_lines_above_and_tell_twins_apart() -> None:
    def marks(text: str) -> list[str]:
        source = Source("a.rules", text)
        starts = [found.start() for found in re.finditer("wen", text)]
        spans = [Span(source, start, start + 3) for start in starts]
        log = render_sarif([codes.unknown_word(span, written="wen") for span in spans])
        return [each["partialFingerprints"]["primaryLocationLineHash"] for each in run_of(log)["results"]]

    one = 'tag "A" wen x > 1\n'

    assert marks(f"# new\n\n{one}") == marks(one)
    assert len(set(marks(one + one))) == 2
    assert marks(one + one)[0] == marks(one)[0]
