"""The corpus pages about checks: rules and data in; what each check says of one run or several out.

Pages without data show what the checker says of the rules beside `model.rules`. Those with data are run: `rules` takes
`as-of=DATE[,DATE…]` (2026-03-31), a run for each date in turn; the data of a source stands in a block `csv NAME`.
`checks` is what a run tells of its checks, behind whether it was published.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ruleengine.checking.check import check
from ruleengine.cli.guards import checks
from ruleengine.cli.terminal import Terminal
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.engines.duckdb import DuckDB
from ruleengine.schema import load
from ruleengine.source import Source, Span
from ruleengine.verbs import opening
from ruleengine.verbs.run import run
from tests.corpus_checking import problems_of_rules
from tests.corpus_postgres import agree

if TYPE_CHECKING:
    from tests.test_corpus import Page

PLAIN = Terminal(colour=False, unicode=True)


def problems_of_guards(page: "Page") -> Sequence[Problem]:
    if not page.blocks("csv"):
        return problems_of_rules(page)
    sources = [source for block in page.blocks("rules") if isinstance(source := block.read(), Source)]
    return [*check(sources, "page", "UTC").problems, *_ran(page, page.text)[1]]


def answers_of_guards(page: "Page") -> dict[str, Callable[[], str]]:
    """What the blocks of a page about checks should say."""
    return {"checks": lambda: _ran(page, page.text)[0]} if page.area == "guards" else {}


def examine_in_postgres(page: "Page") -> None:
    """Ask Postgres what the page asks of its data."""
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        _write(page, directory)
        ruleset = opening.opened(directory).ruleset
        for day in _days(page):
            with DuckDB(ruleset, load(directory).profile()) as engine:
                agree(engine, date.fromisoformat(day))


@cache
def _ran(page: "Page", text: str) -> tuple[str, Sequence[Problem]]:
    lines: list[str] = []
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        _write(page, directory)
        for day in _days(page):
            try:
                report = run(directory, "default", as_of=date.fromisoformat(day), actor="tests")
            except ProblemError as error:
                return "", [_named(problem) for problem in error.problems]
            lines.append(f"{day}: {report.outcome}")
            lines.extend(checks(report.checks, PLAIN))
            lines.extend(f"  held: {reason}" for reason in report.reasons if not reason.startswith("check "))
    return "".join(f"{line}\n" for line in lines), ()


def _write(page: "Page", directory: Path) -> None:
    """The page as a ruleset."""
    sources = page.blocks("csv")
    for block in sources:
        (directory / f"{block.options[0]}.csv").write_text(block.text, "utf-8")
    for block in page.blocks("rules"):
        (directory / block.name).write_text(block.text, "utf-8")
    bound = "".join(f'{block.options[0]} = "{block.options[0]}.csv"\n' for block in sources)
    (directory / "ruleset.toml").write_text(
        '[ruleset]\nname = "page"\ntimezone = "UTC"\n[profiles.default]\nengine = "duckdb"\n'
        f"[profiles.default.sources]\n{bound}"
    )


def _days(page: "Page") -> list[str]:
    """The dates of its runs."""
    given = (block.option("as-of") for block in page.blocks("rules"))
    return next((found for found in given if found), "2026-03-31").split(",")


def _named(problem: Problem) -> Problem:
    """The problem as it would be said beside the file."""
    span = problem.span
    if span is None:
        return problem
    source = Source(Path(span.source.path).name, span.source.text)
    return replace(problem, span=Span(source, span.start, span.end))
