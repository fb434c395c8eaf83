"""What was carried, as text for people."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from ruleengine.cli.terminal import Terminal, counted, plain
from ruleengine.cli.versions import HASH
from ruleengine.verbs.load import LoadReport
from ruleengine.verbs.move import Moved


def loaded(report: LoadReport) -> Iterator[str]:
    for table in report.tables:
        what = (
            ["a new table"] if table.made else [f"{counted(table.replaced, 'row')} replaced"] if table.replaced else []
        )
        yield ", ".join([f"{plain(table.table)}: {counted(table.rows, 'row')}", *what])


def moved(report: Moved, ruleset: Path, terminal: Terminal) -> Iterator[str]:
    way = f"{report.source} {terminal.arrow} {report.target}"
    yield terminal.dot.join((terminal.bold(plain(report.ruleset)), plain(way), counted(report.versions, "version")))
    beside = [
        counted(report.changes, "change"),
        counted(report.held_runs, "held run"),
        f"{counted(report.by_hand, 'line')} set by hand",
        counted(report.keys, "API key"),
    ]
    yield f"  {terminal.dot.join(beside)}"
    if report.head is not None:
        yield f"  {terminal.yes} the chain of hashes holds up to {report.head[:HASH]}"
    yield ""
    shown = f"ruleengine run {shlex.quote(str(ruleset))} --profile {shlex.quote(report.target)}"
    yield f"From now on: {shown}; serve with that profile too."
    yield (
        f"The store of {plain(report.source)} is left as it was. Take it away once nobody reads it: "
        f"what is published there from now on is not in {plain(report.target)}."
    )
