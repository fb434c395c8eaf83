"""docs/diagnostics.md is written from the codes and their words: `pytest tests/diagnostics --update-corpus`."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.codes import CODES
from ruleengine.diagnostics.messages import messages

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "diagnostics.md"

INTRODUCTION = """\
# Diagnostics

Every problem has a code that never changes its meaning. Errors stop a ruleset from running; warnings do not.
This page is written from the messages themselves; words in braces stand for those of a problem.
"""


def sections() -> list[tuple[str, list[str]]]:
    """The codes under the headings of codes.py."""
    text = Path(codes.__file__).read_text("utf-8")
    found: list[tuple[str, str]] = []
    heading = ""
    for line in text.splitlines():
        if match := re.match(r"# -- (.*?)\s*-*$", line):
            heading = match[1]
        elif match := re.match(r"\w+ = _(?:error|warning)\(\"([a-z0-9-]+)\"\)", line):
            found.append((heading, match[1]))
    return [(heading, [slug for _, slug in group]) for heading, group in groupby(found, key=lambda pair: pair[0])]


def reference() -> str:
    parts = [INTRODUCTION]
    for heading, slugs in sections():
        area, _, meaning = heading.partition(": ")
        parts.append(f"## {area[:1].upper()}{area[1:]}\n\n{meaning[:1].upper()}{meaning[1:]}.\n")
        for slug in slugs:
            message = messages().of_code[slug]
            lines = [f"### {slug}\n", f"{message.title} ({CODES[slug].severity}).\n", f"> {message.message}\n"]
            if message.hints:
                lines.append("".join(f"- {hint}\n" for hint in message.hints))
            if message.help:
                lines.append(f"{message.help.strip()}\n")
            parts.append("\n".join(lines))
    return "\n".join(parts)


def test_every_code_stands_under_a_heading() -> None:
    assert {slug for _, slugs in sections() for slug in slugs} == CODES.keys()


def test_the_reference_is_up_to_date(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-corpus"):
        REFERENCE.write_text(reference(), "utf-8")

    assert REFERENCE.read_text("utf-8") == reference()
