"""`ruleengine audit`: whether the store still holds what was published."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ruleengine.cli import arguments, terminal
from ruleengine.cli import program as shared
from ruleengine.cli.program import GOOD, PROBLEMS, print_json
from ruleengine.cli.terminal import Terminal, counted, plain
from ruleengine.verbs.shapes import as_json

if TYPE_CHECKING:
    from ruleengine.verbs.audit import Verified


@click.group()
def audit() -> None:
    """Tell whether the store still holds what was published."""


@audit.command()
@arguments.ruleset
@arguments.profile
@arguments.report_format
@click.pass_context
def verify(ctx: click.Context, ruleset: Path, profile: str, form: str) -> None:
    """Recompute every version from what is kept, and name the first bad one."""
    from ruleengine.verbs.audit import verify

    with terminal.progress() as progress:
        progress.phase("hashing")
        report = verify(ruleset, profile)
    if form == "json":
        problems = shared.shown_as_json([found.problem for found in report.findings])
        findings = [
            {"version": found.version, **problem} for found, problem in zip(report.findings, problems, strict=True)
        ]
        print_json({**as_json(report), "findings": findings})
    else:
        for line in _verified(report, terminal.of_stream()):
            click.echo(line)
        if report.findings:
            problems = [found.problem for found in report.findings]
            click.echo("\n" + shared.shown_as_text(problems, shared.coloured(ctx)))
    ctx.exit(GOOD if report.good else PROBLEMS)


def _verified(report: "Verified", screen: Terminal) -> Iterator[str]:
    facts = screen.dot.join(
        (screen.bold(plain(report.ruleset)), counted(report.versions, "version"), counted(report.changes, "change"))
    )
    if report.good:
        yield f"{screen.yes} {facts}{screen.dot}all as published"
        if report.hash:
            yield f"  hash of version {report.versions}: {report.hash}"
    elif report.first_bad is not None:
        yield f"{screen.no} {facts}{screen.dot}not as published from version {report.first_bad} on"
    else:
        yield f"{screen.no} {facts}{screen.dot}not as published"
