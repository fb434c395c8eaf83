"""Whether the rules answer as the examples beside them, and the suites in their folder, expect."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ruleengine.checking.ruleset import Ruleset
from ruleengine.verbs import opening
from ruleengine.verbs.testing import examples
from ruleengine.verbs.testing.examples import ExampleReport

if TYPE_CHECKING:
    from ruleengine.verbs.testing.suites import SuiteReport, Tested


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReport:
    ruleset: str
    hash: str
    examples: int
    passed: int
    failed: int
    results: tuple[ExampleReport, ...]
    """Of the examples."""
    suites: "tuple[SuiteReport, ...]"

    __test__ = False  # no test, whatever pytest thinks of its name

    @property
    def good(self) -> bool:
        """Whether everything holds, and there is something; a test of nothing is none."""
        return self.tests > 0 and self.failed == 0 and all(suite.passed for suite in self.suites)

    @property
    def tests(self) -> int:
        return self.examples + len(self.suites)


def test(path: Path, *, update: bool) -> TestReport:
    """Every example and suite of a ruleset; ProblemError where the rules have errors.

    With `update` the expectations of suites are written anew.
    """
    opened = opening.opened(path)
    directory = opened.manifest.directory
    tested: list[Tested] = []
    if folders := _folders(directory):
        from ruleengine.verbs.testing import suites  # and DuckDB with it

        tested = [suites.tested(folder, opened, update=update) for folder in folders]
    return answered(opened.ruleset, directory, tested)


def answered(ruleset: Ruleset, directory: Path, suites: "Sequence[Tested]" = ()) -> TestReport:
    """Every example of a ruleset whose files lie in a folder, beside its suites."""
    results = examples.answered(ruleset, directory)
    passed = sum(result.passed for result in results)
    return TestReport(
        ruleset=ruleset.name,
        hash=ruleset.hash,
        examples=len(results),
        passed=passed,
        failed=len(results) - passed,
        results=results,
        suites=tuple(each.report for each in suites),
    )


def _folders(directory: Path) -> tuple[Path, ...]:
    """The folders of all suites, in order of their names."""
    root = directory / "tests"
    found = root.iterdir() if root.is_dir() else ()
    return tuple(sorted(path for path in found if path.is_dir() and not path.name.startswith((".", "_"))))
