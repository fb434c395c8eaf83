"""What checks say of a run, as text for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ruleengine.cli.terminal import Terminal, plain
from ruleengine.verbs.guards import CheckResult, said


def checks(results: Sequence[CheckResult], terminal: Terminal) -> Iterator[str]:
    """Every check with what it found; where it found fault, with a few rows."""
    yield terminal.bold("checks")
    for result in results:
        mark = {"passed": terminal.yes, "warned": terminal.paint("!", "yellow"), "failed": terminal.no}[result.outcome]
        found = terminal.faint(f"{terminal.dot.strip()} {plain(said(result))}")
        yield f"  {mark} {plain(result.check)} {found}"
        if result.outcome != "passed":
            for row in result.rows:
                yield f"      {_row(row)}"


def _row(row: Mapping[str, Any]) -> str:
    values = (f"{plain(name)} {'missing' if value is None else _value(value)}" for name, value in row.items())
    return ", ".join(values)


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else plain(str(value))
