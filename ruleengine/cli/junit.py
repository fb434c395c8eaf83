"""A test report as JUnit XML, which CI servers read."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from ruleengine.cli.program import shown_as_text
from ruleengine.cli.terminal import Terminal
from ruleengine.cli.testing import example_lines, missed, row_lines
from ruleengine.diagnostics.messages import wording
from ruleengine.verbs.test import TestReport
from ruleengine.verbs.testing.examples import Expected

if TYPE_CHECKING:
    from ruleengine.verbs.testing.suites import SuiteReport

_UNSPEAKABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot hold, even escaped."""
_PLAIN = Terminal(colour=False, unicode=True)


def as_junit(report: TestReport) -> str:
    """A <testsuite> for the examples, with a case for each, and one for each suite, with a case for each row."""
    root = Xml.Element("testsuites", name=_text(report.ruleset))
    if report.examples:
        suite = Xml.SubElement(root, "testsuite", name="examples")
        for result in report.results:
            case = _case(suite, "examples", result.name, result.file, result.line)
            if not result.passed:
                failed = "error" if result.error is not None else "failure"
                _say(case, failed, result.error or _missed(result.expectations), example_lines(result, _PLAIN))
    for tested in report.suites:
        _suite(Xml.SubElement(root, "testsuite", name=_text(tested.name)), tested)
    for element in [*root, root]:
        for count, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            element.set(count, str(sum(1 for _ in element.iter(tag))))
    Xml.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{Xml.tostring(root, encoding="unicode")}\n'


def _suite(suite: Xml.Element, tested: "SuiteReport") -> None:
    if tested.problems:
        case = _case(suite, tested.name, tested.name, tested.folder, None)
        first = wording(tested.problems[0])
        _say(case, "error", first.message, [shown_as_text(tested.problems, colour=False)])
    for row in tested.rows:
        case = _case(suite, tested.name, f"{row.customer} as of {row.as_of}", row.file, row.line)
        if not row.passed:
            _say(case, "failure", _missed(row.expectations), row_lines([row], _PLAIN))


def _case(suite: Xml.Element, within: str, name: str, file: str, line: int | None) -> Xml.Element:
    case = Xml.SubElement(suite, "testcase", classname=_text(within), name=_text(name), file=_text(file))
    if line is not None:
        case.set("line", str(line))
    return case


def _say(case: Xml.Element, tag: str, message: str, lines: Iterable[str]) -> None:
    said = Xml.SubElement(case, tag, message=_text(message), type=tag)
    said.text = _text("\n".join(lines))


def _missed(expectations: Iterable[Expected]) -> str:
    return "; ".join(missed(each) for each in expectations if not each.met)


def _text(text: str) -> str:
    return _UNSPEAKABLE.sub("\ufffd", text)
