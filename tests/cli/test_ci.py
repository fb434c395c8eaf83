"""docs/ci.md and .pre-commit-hooks.yaml, tried in a git repository in which somebody breaks a rule."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import FILES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ci.md").read_text("utf-8")
HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text("utf-8")
EXAMPLE = 'example "money alone makes no VIP"\n    given monetary_90d = 5_000, frequency = 1\n    expect no tag "VIP"\n'
MISTAKE = ("frequency >= 2", "frequenci >= 2")
PLACE = "file=rulesets/shop/value.rules,line=4,endLine=4,col=39,endColumn=48,title=unknown-name"

pytestmark = pytest.mark.slow  # every step is a process of its own


def block(name: str) -> str:
    found = re.search(rf"^```\w+ {name}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found, name
    return found[1]


def commands(recipe: str) -> Iterator[str]:
    """What a recipe runs, less what installs the package."""
    for line in block(recipe).splitlines():
        if (found := re.match(r"\s*- (?:run: )?((?:pip|git|cat|ruleengine) .*)", line)) and found[1][:3] != "pip":
            yield found[1]


class Repository:
    """A git repository with a ruleset, and somebody who works in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rules = folder / "rulesets" / "shop" / "value.rules"
        for name, text in (FILES | {"examples.rules": EXAMPLE}).items():
            file = folder / "rulesets" / "shop" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        self.sh("ruleengine fmt rulesets/shop")
        self.sh("git init -q -b main . && git add . && git commit -q -m 'Begin'")

    def sh(self, script: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a script as a step of a workflow is run."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        someone = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        answer = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=self.folder,
            env={**kept, **someone, "PATH": path, "GIT_CONFIG_GLOBAL": os.devnull, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert answer.returncode == code, f"{script}\n{answer.stdout}{answer.stderr}"
        return answer

    def write(self, old: str, new: str) -> None:
        text = self.rules.read_text("utf-8")
        assert old in text
        self.rules.write_text(text.replace(old, new), "utf-8")

    def hook(self, script: str) -> None:
        file = self.folder / ".git" / "hooks" / "pre-commit"
        file.parent.mkdir(exist_ok=True)
        file.write_text(script)
        file.chmod(0o755)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def offered() -> Mapping[str, Mapping[str, str]]:
    """The hooks that pre-commit finds here."""
    entries = [dict(re.findall(r"^(?:- |  )(\w+): (.*)$", each, re.M)) for each in re.split(r"(?m)^(?=- id)", HOOKS)]
    return {entry["id"]: entry for entry in entries if entry}


def as_pre_commit() -> str:
    """A hook that does what pre-commit does with the documented configuration."""
    lines = ["#!/bin/sh", "failed=0"]
    for name, listed in re.findall(r"- id: (\S+)\n(?:\s+args: \[(.*?)\])?", block("pre-commit")):
        hook = offered()[name]
        staged = f"files=$(git diff --cached --name-only | grep -E {shlex.quote(hook['files'])})"
        files = "" if hook.get("pass_filenames") == "false" else "$files"
        command = " ".join([hook["entry"], *listed.split(", ")])
        lines.append(f"if {staged}; then {command} {files} || failed=1; fi")
    return "\n".join([*lines, "exit $failed", ""])


@pytest.mark.parametrize("hook", [block("hook"), as_pre_commit()], ids=["plain", "pre-commit"])
def test_a_broken_rule_is_not_committed(repository: Repository, hook: str) -> None:
    repository.hook(hook)
    repository.write(*MISTAKE)

    refused = repository.sh("git commit -q -a -m 'Change who is a VIP'", code=1)
    assert "rulesets/shop/value.rules:4:39: error[unknown-name]" in refused.stdout + refused.stderr

    repository.write(*reversed(MISTAKE))
    repository.write("monetary_90d > vip_floor", "monetary_90d  >  vip_floor")
    refused = repository.sh("git commit -q -a -m 'Spread it out'", code=1)
    assert "would change rulesets/shop/value.rules" in refused.stdout + refused.stderr

    repository.sh("ruleengine fmt rulesets/shop")
    repository.write("1_000", "1_500")
    repository.sh("git commit -q -a -m 'Raise the floor'")
    assert repository.sh("git log --format=%s").stdout.splitlines() == ["Raise the floor", "Begin"]


def test_only_commits_with_rules_ask_for_the_rules(repository: Repository) -> None:
    repository.hook(as_pre_commit())
    repository.write(*MISTAKE)

    (repository.folder / "README").write_text("A shop.")
    repository.sh("git add README && git commit -q -m 'Say what this is'")


@pytest.mark.parametrize("recipe", ["github", "sarif", "gitlab"])
def test_recipes_pass_what_is_right(repository: Repository, recipe: str) -> None:
    for command in commands(recipe):
        repository.sh(command)


def test_github_is_told_where_the_mistake_is(repository: Repository) -> None:
    repository.write(*MISTAKE)
    layout, check, test = commands("github")

    repository.sh(layout)
    lines = repository.sh(check, code=1).stdout.splitlines()
    repository.sh(test, code=1)

    assert lines[0] == f"::error {PLACE}::`frequenci` is not known here.%0A`frequency` might be meant."
    assert not lines[1].startswith("::")


def test_a_manifest_that_cannot_be_read_is_annotated_too(repository: Repository) -> None:
    (repository.folder / "rulesets" / "shop" / "ruleset.toml").write_text("[ruleset\n")

    (line,) = repository.sh("ruleengine check rulesets/shop --format github", code=1).stdout.splitlines()

    assert line.startswith("::error file=rulesets/shop/ruleset.toml,line=1,")


def test_code_scanning_gets_a_log_and_the_step_fails(repository: Repository) -> None:
    repository.write(*MISTAKE)
    (check,) = commands("sarif")

    repository.sh(check, code=1)

    (run,) = json.loads((repository.folder / "rules.sarif").read_text("utf-8"))["runs"]
    (result,) = run["results"]
    (place,) = result["locations"]
    assert (result["ruleId"], result["level"]) == ("unknown-name", "error")
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "rulesets/shop/value.rules"
    assert place["physicalLocation"]["region"]["startLine"] == 4


def test_a_pull_request_is_told_whom_it_moves(repository: Repository, tmp_path: Path) -> None:
    repository.sh("git update-ref refs/remotes/origin/main HEAD")
    repository.write("monetary_90d > vip_floor and frequency >= 2", "frequency >= 2")
    repository.sh("git commit -q -a -m 'Ask for two orders only'")
    for command in commands("plan"):
        repository.sh(command, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))

    told = (tmp_path / "summary.md").read_text("utf-8")
    assert "changed: when | monetary\\_90d \\> vip\\_floor and frequency \\>= 2 | frequency \\>= 2 |" in told
    assert '| "VIP" | 0 | 1 | +1 |' in told

    guards = repository.rules.with_name("guards.rules")
    guards.write_text('check tag "VIP" covers 90% to 100% else fail\n')
    _, plan, _ = commands("plan")
    repository.sh(plan, code=3)
    assert "a run would be held" in (repository.folder / "plan.md").read_text("utf-8")


def test_gitlab_fails_where_rules_are_broken_or_answer_otherwise(repository: Repository) -> None:
    layout, check, test = commands("gitlab")
    repository.write(*MISTAKE)
    repository.sh(layout)
    assert "value.rules:4:39: error[unknown-name]" in repository.sh(check, code=1).stdout

    repository.write(*reversed(MISTAKE))
    repository.write("frequency >= 2", "frequency >= 1")
    repository.sh(check)
    assert "money alone makes no VIP" in repository.sh(test, code=1).stdout
    assert "money alone makes no VIP" in (repository.folder / "rules.xml").read_text("utf-8")
