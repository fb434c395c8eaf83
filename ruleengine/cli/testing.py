"""What tests expected and what came out, as text for people."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ruleengine.cli.program import shown_as_json
from ruleengine.cli.terminal import Terminal, columns, counted, plain
from ruleengine.diagnostics.problem import Problem
from ruleengine.verbs.shapes import as_json
from ruleengine.verbs.test import TestReport
from ruleengine.verbs.testing.cases import Answer
from ruleengine.verbs.testing.coverage import Coverage
from ruleengine.verbs.testing.examples import ExampleReport, Expected
from ruleengine.verbs.testing.mutation import Mutation, Survivor

if TYPE_CHECKING:
    from ruleengine.verbs.testing.suites import RowReport, SuiteReport

Shown = Callable[[tuple[Problem, ...]], str]


def as_document(report: TestReport) -> Any:
    """The report as JSON, problems of suites among it."""
    document = as_json(report)
    for suite, table in zip(report.suites, document["suites"], strict=True):
        table["problems"] = shown_as_json(suite.problems)
    return document


def tested(report: TestReport, terminal: Terminal, shown: Shown) -> Iterator[str]:
    """What does not hold, each with the reasons of the rules, then how much there is; `shown` tells problems."""
    name = plain(report.ruleset)
    if not report.tests:
        yield f"{terminal.no} {name}: there are no examples, so nothing was tested"
        return
    for result in report.results:
        if not result.passed:
            yield from _failed(result, terminal)
            yield ""
    for suite in report.suites:
        if not suite.passed or suite.updated:
            yield from _suite(suite, terminal, shown)
            yield ""
    mark = terminal.yes if report.good else terminal.no
    yield f"{mark} {name}: {terminal.dot.join((*_counts(report), _verdict(report)))}"


def covered(found: Coverage, terminal: Terminal, annotate: bool) -> Iterator[str]:
    """What the tests saw, the rule files before it if they are to be annotated."""
    from ruleengine.cli import coverage

    yield ""
    if annotate:
        yield from coverage.listing(found, terminal)
    yield from coverage.coverage(found, terminal)


def mutated(found: Mutation, terminal: Terminal) -> Iterator[str]:
    """The changes that no test noticed, each with the example that would, then how many were."""
    yield ""
    by_example: dict[str | None, list[Survivor]] = {}
    for survivor in found.survivors:
        by_example.setdefault(survivor.example, []).append(survivor)
    for example, survivors in sorted(by_example.items(), key=lambda item: item[0] is None):
        for one in survivors:
            after = plain(one.after) if one.after is not None else "left out"
            where = f"{plain(one.file)}:{one.line}:{one.column}"
            yield f"{terminal.no} {where}: {plain(one.before)} {terminal.arrow} {after}"
        yield ""
        if example is not None:
            yield from (f"    {line}" if line else "" for line in example.splitlines())
            yield ""
    mark = terminal.no if found.survivors else terminal.yes
    yield f"{mark} mutation {found.percent:.1f}%: {found.noticed:,} of {counted(found.changes, 'change')} noticed"


def _counts(report: TestReport) -> Iterator[str]:
    if report.examples:
        yield counted(report.examples, "example")
    if report.suites:
        customers = sum(len({row.customer for row in suite.rows}) for suite in report.suites)
        yield f"{counted(len(report.suites), 'suite')} with {counted(customers, 'customer')}"


def _verdict(report: TestReport) -> str:
    failed = report.failed + sum(not suite.passed for suite in report.suites)
    if failed:
        return f"{failed:,} failed"
    return "all hold" if report.tests > 1 else "it holds"


def _failed(result: ExampleReport, terminal: Terminal) -> Iterator[str]:
    day = [f"as of {result.as_of}"] if result.as_of else []
    where = f"{plain(result.file)}:{result.line}"
    yield f"{terminal.no} {terminal.dot.join((terminal.bold(_quoted(result.name, terminal)), *day, where))}"
    yield from (f"  {line}" for line in example_lines(result, terminal))


def example_lines(result: ExampleReport, terminal: Terminal) -> Iterator[str]:
    """What an example expected and did not get, and why."""
    if result.error is not None:
        yield f"no answer: {plain(result.error)}"
        return
    for expected in result.expectations:
        if not expected.met:
            yield missed(expected)
            yield from _explained(expected, terminal)


def missed(expected: Expected) -> str:
    """`expected tag "VIP", got no tag "VIP"`."""
    wanted = _said(expected, expected.wanted, expected.value)
    return f"expected {wanted}, got {_said(expected, expected.got or 'no', expected.got_value)}"


def _suite(suite: "SuiteReport", terminal: Terminal, shown: Shown) -> Iterator[str]:
    mark = terminal.yes if suite.passed else terminal.no
    parts = [terminal.bold(f"suite {_quoted(suite.name, terminal)}"), plain(suite.folder)]
    if suite.updated:
        parts.append("expected.csv was written anew: read it over")
    yield f"{mark} {terminal.dot.join(parts)}"
    if suite.problems:
        yield from (f"  {line}".rstrip() for line in shown(suite.problems).splitlines())
    yield from (f"  {line}" for line in row_lines(suite.rows, terminal))


def row_lines(rows: "Iterable[RowReport]", terminal: Terminal) -> Iterator[str]:
    """A table of what customers of a suite were expected to have and have not, each line with its reasons."""
    missed = [(row, each) for row in rows for each in row.expectations if not each.met]
    if not missed:
        return
    cells = [
        (
            plain(row.customer),
            str(row.as_of),
            plain(f"{each.kind} {each.name}"),
            _cell(each.kind, each.value, each.wanted == "given"),
            _cell(each.kind, each.got_value, each.got == "given"),
            f"line {row.line}",
        )
        for row, each in missed
    ]
    header, *lines = columns([("customer", "as of", "name", "expected", "got", ""), *cells])
    yield terminal.faint(header)
    for line, (_, each) in zip(lines, missed, strict=True):
        yield line
        yield from _explained(each, terminal)


def _cell(kind: str, value: str | None, given: bool) -> str:
    if kind == "tag":
        return "yes" if given else "no"
    return plain(value) if value is not None else "-"


def _explained(expected: Expected, terminal: Terminal) -> Iterator[str]:
    if expected.explanation is not None:
        from ruleengine.cli.customers import rule_explanation

        yield from (f"  {line}" for line in rule_explanation(expected.explanation, terminal))


def _quoted(name: str, terminal: Terminal) -> str:
    return f"“{plain(name)}”" if terminal.unicode else f'"{plain(name)}"'


def _said(expected: Expected, answer: Answer, value: str | None) -> str:
    rule = f'tag "{plain(expected.name)}"' if expected.kind == "tag" else f"{expected.kind} {plain(expected.name)}"
    if value is not None:
        rule += f' "{plain(value)}"'
    return rule if answer == "given" else f"{answer} {rule}"
