"""The corpus pages about fixture suites: rules, a suite and its data in; what is wrong with it, or `test` prints, out.

A suite called `page` is made of the blocks `suite` (suite.toml; by default a run for 2026-03-31), `csv NAME` (a data
file each, with the end of its name) and `expected` (expected.csv).
"""

from collections.abc import Callable, Sequence
from contextlib import chdir
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ruleengine.cli.terminal import Terminal
from ruleengine.cli.testing import tested
from ruleengine.diagnostics.problem import Problem
from ruleengine.diagnostics.render import render_text
from ruleengine.verbs.test import TestReport, test

if TYPE_CHECKING:
    from tests.test_corpus import Page

FOLDER = Path("tests", "page")


def problems_of_suites(page: "Page") -> Sequence[Problem]:
    return [problem for suite in _report(page, page.text).suites for problem in suite.problems]


def answers_of_suites(page: "Page") -> dict[str, Callable[[], str]]:
    return {"tested": lambda: _tested(page)} if page.area == "suites" else {}


def _tested(page: "Page") -> str:
    lines = tested(_report(page, page.text), Terminal(colour=False, unicode=True), render_text)
    return "".join(f"{line}\n" for line in lines)


@cache
def _report(page: "Page", text: str) -> TestReport:
    with TemporaryDirectory() as folder, chdir(folder):
        FOLDER.mkdir(parents=True)
        Path("ruleset.toml").write_text('[ruleset]\nname = "page"\ntimezone = "UTC"\n')
        (FOLDER / "suite.toml").write_text("as_of = 2026-03-31\n")
        names = {"suite": "suite.toml", "expected": "expected.csv"}
        for kind in ("rules", "suite", "csv", "expected"):
            for block in page.blocks(kind):
                name = block.name if kind == "rules" else names.get(kind) or block.options[0]
                file = Path(name) if kind == "rules" else FOLDER / name
                file.write_text(block.text, "utf-8")
        return test(Path(), update=False, coverage=False, mutation=False)
