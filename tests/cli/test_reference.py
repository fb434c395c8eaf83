"""docs/cli.md names every verb and option, and shows JSON as it is."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from ruleengine.cli.commands import program
from tests.cli.conftest import DAY, Ask

REFERENCE = Path(__file__).parents[2] / "docs" / "cli.md"
BLOCK = re.compile(r"^```json (\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = {
    "check": ["check", "SHOP"],
    "fmt": ["fmt", "SHOP"],
    "test": ["test", "TESTED", "--coverage", "--mutate"],
    "compile": ["compile", "SHOP", "--as-of", DAY],
    "run": ["run", "SHOP", "--as-of", "2026-04-30", "--set", "vip_floor=9_000"],
    "plan": ["plan", "PLANNED", "--as-of", DAY, "--against", "SHOP", "--metric", "monetary_12m"],
    "backtest": ["plan", "SHOP", "--as-of", DAY, "--as-of", "2026-06-30"],
    "versions": ["versions", "SHOP"],
    "version": ["versions", "SHOP", "1"],
    "history": ["history", "SHOP", "1"],
    "explain": ["explain", "SHOP", "1", "VIP"],
    "diff": ["diff", "SHOP", "1", "2"],
    "changes": ["diff", "SHOP", "PLANNED"],
    "export": ["export", "SHOP", "-o", "answers.csv"],
    "verify": ["audit", "verify", "SHOP"],
    "anchor": ["audit", "anchor", "SHOP", "-o", "anchors.jsonl"],
    "rule": ["audit", "rule", "SHOP", "VIP"],
    "created": ["key", "create", "SHOP", "--name", "crm", "--scope", "tags:read", "--expires", "2099-01-01"],
    "keys": ["key", "list", "SHOP"],
    "doctor": ["doctor", "SHOP"],
    "move": ["move", "GROWN", "--from", "default", "--to", "larger"],
    "forget": ["forget", "SHOP", "4", "--reason", "asked"],
}


EXAMPLE = """\
example "a refund is no order" as of 2026-03-31
    given orders
        | ordered_at       | amount | status   |
        | 2026-03-01 10:00 | 20000  | refunded |
    expect tag "VIP"
"""


def shape(value: Any) -> Any:
    """The fields and kinds of values; of a list that of its first item."""
    match value:
        case dict():
            return {name: shape(item) for name, item in value.items()}
        case list():
            return [shape(item) for item in value[:1]]
        case bool() | None | str():
            return type(value).__name__
        case _:
            return "number"


def brief(value: Any) -> Any:
    """As `shape` takes it, with long texts cut."""
    match value:
        case dict():
            return {name: brief(item) for name, item in value.items()}
        case list():
            return [brief(item) for item in value[:1]]
        case str() if len(value) > 60:
            return value[:58] + "…"
        case _:
            return value


def test_the_reference_shows_json_as_it_is(
    ask: Ask, published: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(published.parent)
    tested = shutil.copytree(published, published.parent / "tested")
    (tested / "examples.rules").write_text(EXAMPLE)
    planned = shutil.copytree(published, published.parent / "planned") / "value.rules"
    planned.write_text(planned.read_text("utf-8").replace("frequency >= 2", "frequency >= 1"), "utf-8")
    with (shutil.copytree(published, published.parent / "grown") / "ruleset.toml").open("a") as manifest:
        manifest.write('[profiles.larger]\nengine = "duckdb"\nstore = "larger"\n')
    suite = shutil.copytree(tested / "data", tested / "tests" / "quiet")
    (suite / "suite.toml").write_text(f"as_of = {DAY}\n")
    (suite / "expected.csv").write_text("customer_id,tier loyalty\n1,Gold\n")
    answers = {
        name: ask(
            *(word.lower() if word in ("SHOP", "TESTED", "PLANNED", "GROWN") else word for word in words),
            "--format",
            "json",
        ).json
        for name, words in SHOWN.items()
    }
    broken = published / "more.rules"
    broken.write_text('tag "A" when frequenc > 1\n')
    answers["problem"] = ask("check", "shop", "--format", "json").json["problems"][0]
    text = REFERENCE.read_text("utf-8")
    if request.config.getoption("--update-corpus"):

        def renewed(block: re.Match[str]) -> str:
            shown = json.dumps(brief(answers[block[1]]), ensure_ascii=False, indent=2)
            return f"```json {block[1]}\n{shown}\n```"

        text = BLOCK.sub(renewed, text)
        REFERENCE.write_text(text, "utf-8")

    documented = {block[1]: json.loads(block[2]) for block in BLOCK.finditer(text)}

    assert documented.keys() == answers.keys()
    for name, answer in answers.items():
        assert shape(documented[name]) == shape(answer), name


@pytest.mark.parametrize("name", sorted(program.commands))
def test_the_reference_names_every_verb_and_option(name: str) -> None:
    found = re.search(rf"^\*\*`{name}.*?(?=^\*\*`|^## |^Every verb)", REFERENCE.read_text("utf-8"), re.M | re.S)

    assert found, f"{name} is missing"
    for option in program.commands[name].params:
        for spelling in option.opts:
            if spelling.startswith("-") and spelling != "--format":
                assert spelling in found[0], spelling
