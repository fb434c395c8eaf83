"""Whether the rules answer as the examples beside them, and the suites in their folder, expect."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ruleengine.checking.ruleset import Ruleset
from ruleengine.checking.uses import SHIPPED
from ruleengine.verbs import opening
from ruleengine.verbs.testing import examples
from ruleengine.verbs.testing.cases import Case, ExampleCase
from ruleengine.verbs.testing.coverage import Coverage, cover
from ruleengine.verbs.testing.examples import ExampleReport
from ruleengine.verbs.testing.mutation import Mutation, mutate

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
    coverage: Coverage | None
    """If it was asked for."""
    mutation: Mutation | None
    """If it was asked for."""

    __test__ = False  # no test, whatever pytest thinks of its name

    @property
    def good(self) -> bool:
        """Whether everything holds, and there is something; a test of nothing is none."""
        return self.tests > 0 and self.failed == 0 and all(suite.passed for suite in self.suites)

    @property
    def tests(self) -> int:
        return self.examples + len(self.suites)


def test(path: Path, *, update: bool, coverage: bool, mutation: bool) -> TestReport:
    """Every example and suite of a ruleset; ProblemError where the rules have errors.

    With `update` the expectations of suites are written anew.
    """
    opened = opening.opened(path)
    directory = opened.manifest.directory
    tested: list[Tested] = []
    if folders := _folders(directory):
        from ruleengine.verbs.testing import suites  # and DuckDB with it

        tested = [suites.tested(folder, opened, update=update) for folder in folders]
    report = answered(opened.ruleset, directory, tested)
    if not (coverage or mutation):
        return report
    cases: list[Case] = [ExampleCase.of(opened.ruleset, example) for example in opened.ruleset.examples]
    cases += [each.case for each in tested if each.case is not None]
    # What came along by `use` of a shipped file is tested where it is shipped from.
    own = {source.path for source in opened.ruleset.sources if not source.path.startswith(SHIPPED)}
    return replace(
        report,
        coverage=cover(opened.ruleset, cases, directory, own) if coverage else None,
        mutation=mutate(opened.ruleset, cases, directory, own) if mutation else None,
    )


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
        coverage=None,
        mutation=None,
    )


def _folders(directory: Path) -> tuple[Path, ...]:
    """The folders of all suites, in order of their names."""
    root = directory / "tests"
    found = root.iterdir() if root.is_dir() else ()
    return tuple(sorted(path for path in found if path.is_dir() and not path.name.startswith((".", "_"))))
