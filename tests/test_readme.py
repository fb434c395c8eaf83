"""README.md says what is so: its rules stand in the worked ruleset, its commands run and print what it shows."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from ruleengine import schema, serving
from ruleengine.checking.check import check
from ruleengine.cli import program as ends
from ruleengine.cli.commands import program
from ruleengine.diagnostics.render import render_text
from ruleengine.source import Source
from ruleengine.store import open_store

ROOT = Path(__file__).parents[1]
GROCERY = ROOT / "rulesets" / "grocery"
README = (ROOT / "README.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "ruleengine" / "ARCHITECTURE.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def blocks(*kinds: str) -> Iterator[tuple[str, str]]:
    for block in re.finditer(r"^```([^\n]*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        if block[1] in kinds:
            yield block[1], block[2]


def section(title: str) -> str:
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


# -- rules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [text for _, text in blocks("rules")])
def test_the_rules_stand_in_the_worked_ruleset(text: str) -> None:
    assert any(text in path.read_text("utf-8") for path in GROCERY.glob("*.rules"))


def test_the_mistake_is_told_so() -> None:
    ((_, shown),) = blocks("text problems")
    texts = {path.name: path.read_text("utf-8") for path in sorted(GROCERY.glob("*.rules"))}
    texts["value.rules"] = texts["value.rules"].replace("monetary_12m", "montary_12m", 1)
    sources = [Source(name, text) for name, text in texts.items()]

    assert render_text(check(sources, "grocery", "America/New_York").problems) == shown


# -- commands ---------------------------------------------------------------------------------------------


def test_the_commands_run_and_print_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ignored = shutil.ignore_patterns(".ruleengine")
    shutil.copytree(GROCERY, tmp_path / "rulesets" / "grocery", ignore=ignored)
    monkeypatch.chdir(tmp_path)
    printed: list[str] = []
    for kind, text in blocks("sh", "text"):
        if kind == "sh":
            printed = [line for command in text.splitlines() for line in said(command).splitlines()]
        else:
            assert_shown(text.splitlines(), printed)


def said(command: str) -> str:
    name, *arguments = shlex.split(command)
    if name == "make":
        assert f"\n{arguments[0]}:" in MAKEFILE
        return ""
    assert name == "ruleengine"
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 0, f"{command}\n{result.output}"
    return result.stdout


def assert_shown(wanted: list[str], printed: list[str]) -> None:
    """Each line begins a line that was printed, in order; `…` leaves lines out."""
    rest = iter(printed)
    for line in wanted:
        if line != "…":
            assert any(found.startswith(line) for found in rest), line


def test_every_verb_is_listed() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", section("The verbs"), re.MULTILINE)

    assert sorted(listed) == sorted(program.commands)


def test_every_exit_code_is_told() -> None:
    told = re.search(r"Exit codes: (.*?)\n\n", section("The verbs") + "\n\n", re.DOTALL)
    assert told

    assert [int(code) for code in re.findall(r"\b\d\b", told[1])] == [
        ends.GOOD,
        ends.PROBLEMS,
        ends.WRONG_USE,
        ends.HELD,
        ends.LOCKED,
        ends.NOT_USABLE,
    ]


def test_every_target_of_make_is_told() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert targets

    told = {*re.findall(r"`make ([\w-]+)`", README), "venv"}  # `make` alone

    assert told == set(targets[1].split())


# -- the API ----------------------------------------------------------------------------------------------


def test_every_route_is_listed(tmp_path: Path) -> None:
    listed = set(re.findall(r"`(GET|POST|PUT|DELETE) (/\S+)`", section("The API")))
    store = open_store(tmp_path / "store")
    try:
        app = serving.app(store, schema.load(GROCERY))
        paths = TestClient(app, base_url="http://localhost").get("/openapi.json").json()["paths"]
    finally:
        store.close()

    assert listed == {(method.upper(), path) for path, methods in paths.items() for method in methods}


# -- links, and the house -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["README.md", "ruleengine/ARCHITECTURE.md", "rulesets/grocery/README.md"])
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text("utf-8"))

    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_architecture_names_what_is_there() -> None:
    named = {
        name
        for name in re.findall(r"`([\w./]+(?:\.py|\.lark|\.toml|\.md|/))`", ARCHITECTURE)
        if name not in ("ruleset.toml", "ledger.db")
    }

    assert [
        name for name in sorted(named) if not (ROOT / name).exists() and not (ROOT / "ruleengine" / name).exists()
    ] == []
    assert len(named) > 20
