"""What examples expected and what came out, as text for people."""

from collections.abc import Iterator

from ruleengine.cli.terminal import Terminal, counted, plain
from ruleengine.verbs.test import Answer, ExampleReport, ExamplesReport, Expected


def examples(report: ExamplesReport, terminal: Terminal) -> Iterator[str]:
    """The examples that do not hold, each with the reasons of the rules, then how many there are."""
    name = plain(report.ruleset)
    if not report.examples:
        yield f"{terminal.no} {name}: there are no examples, so nothing was tested"
        return
    for result in report.results:
        if not result.passed:
            yield from _failed(result, terminal)
            yield ""
    mark = terminal.yes if report.good else terminal.no
    verdict = f"{report.failed:,} failed" if report.failed else "all hold" if report.examples > 1 else "it holds"
    yield f"{mark} {name}: {counted(report.examples, 'example')}{terminal.dot}{verdict}"


def _failed(result: ExampleReport, terminal: Terminal) -> Iterator[str]:
    name = f"“{plain(result.name)}”" if terminal.unicode else f'"{plain(result.name)}"'
    day = [f"as of {result.as_of}"] if result.as_of else []
    yield f"{terminal.no} {terminal.dot.join((terminal.bold(name), *day, f'{plain(result.file)}:{result.line}'))}"
    if result.error is not None:
        yield f"  no answer: {plain(result.error)}"
        return
    for expected in result.expectations:
        if not expected.met:
            wanted = _said(expected, expected.wanted, expected.value)
            assert expected.got is not None
            yield f"  expected {wanted}, got {_said(expected, expected.got, expected.got_value)}"
            if expected.explanation is not None:
                from ruleengine.cli.customers import rule_explanation

                yield from (f"    {line}" for line in rule_explanation(expected.explanation, terminal))


def _said(expected: Expected, answer: Answer, value: str | None) -> str:
    rule = f'tag "{plain(expected.name)}"' if expected.kind == "tag" else f"{expected.kind} {plain(expected.name)}"
    if value is not None:
        rule += f' "{plain(value)}"'
    return rule if answer == "given" else f"{answer} {rule}"
