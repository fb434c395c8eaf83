"""`ruleengine audit`: whether the store still holds what was published, and who changed a rule."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ruleengine.cli import arguments, terminal
from ruleengine.cli import program as shared
from ruleengine.cli.program import GOOD, PROBLEMS, print_json, tell
from ruleengine.cli.terminal import Terminal, counted, plain
from ruleengine.verbs.shapes import as_json

if TYPE_CHECKING:
    from ruleengine.verbs.audit import Anchored, MadeKey, Verified
    from ruleengine.verbs.rule_history import RuleHistory


@click.group()
def audit() -> None:
    """Tell whether the store still holds what was published, and who changed a rule."""


_file = click.Path(dir_okay=False, path_type=Path)


@audit.command()
@arguments.ruleset
@click.option("--anchor", "anchors", type=_file, metavar="FILE", help="Compare with the anchors in a file.")
@click.option("--public-key", type=_file, metavar="FILE", help="Every anchor has to be signed with its private key.")
@arguments.profile
@arguments.report_format
@click.pass_context
def verify(
    ctx: click.Context, ruleset: Path, anchors: Path | None, public_key: Path | None, profile: str, form: str
) -> None:
    """Recompute every version from what is kept, and name the first bad one."""
    from ruleengine.verbs.audit import verify

    if public_key is not None and anchors is None:
        raise click.UsageError("--public-key is for anchors: name their file with --anchor.")
    with terminal.progress() as progress:
        progress.phase("hashing")
        report = verify(ruleset, profile, anchors, public_key)
    _tell(ctx, report, form)


@audit.command()
@arguments.ruleset
@click.option("-o", "--output", "file", type=_file, required=True, metavar="FILE", help="To append to; elsewhere.")
@click.option("--key", "private_key", type=_file, metavar="FILE", help="A private key to sign with: see audit key.")
@arguments.profile
@arguments.report_format
@click.pass_context
def anchor(ctx: click.Context, ruleset: Path, file: Path, private_key: Path | None, profile: str, form: str) -> None:
    """Verify, and write the last version's hash into a file that lies elsewhere."""
    from ruleengine.verbs.audit import Verified, anchor

    with terminal.progress() as progress:
        progress.phase("hashing")
        report = anchor(ruleset, profile, file, private_key)
    if isinstance(report, Verified):
        _tell(ctx, report, form)
    else:
        tell(form, report, lambda screen: _anchored(report, screen))


@audit.command()
@click.option("-o", "--output", "file", type=_file, required=True, metavar="FILE", help="Of the private key.")
@arguments.report_format
def key(file: Path, form: str) -> None:
    """Make a key to sign anchors with, and FILE.pub to check them."""
    from ruleengine.verbs.audit import make_key

    made = make_key(file)
    tell(form, made, lambda screen: _made(made, screen))


@audit.command()
@arguments.words("RULE")
@arguments.profile
@arguments.report_format
def rule(words: tuple[str, ...], profile: str, form: str) -> None:
    """Tell who changed a rule, or what it builds on: when, from what to what."""
    from ruleengine.verbs.rule_history import rule_history

    path, name = arguments.split(words, "RULE")
    report = rule_history(path, profile, name)
    tell(form, report, lambda screen: _changed(report, screen))


def _tell(ctx: click.Context, report: "Verified", form: str) -> None:
    problems = [found.problem for found in report.findings]
    if form == "json":
        shown = zip(report.findings, shared.shown_as_json(problems), strict=True)
        print_json({**as_json(report), "findings": [{"version": found.version, **each} for found, each in shown]})
    else:
        for line in _verified(report, terminal.of_stream()):
            click.echo(line)
        if problems:
            click.echo("\n" + shared.shown_as_text(problems, shared.coloured(ctx)))
    ctx.exit(GOOD if report.good else PROBLEMS)


_SIGNATURES = {
    "valid": "signed, as the public key tells",
    "bad": "not all signed with this key",
    "none": "not signed",
    "unchecked": "signatures not checked: name the key with --public-key",
}


def _verified(report: "Verified", screen: Terminal) -> Iterator[str]:
    facts = screen.dot.join(
        (screen.bold(plain(report.ruleset)), counted(report.versions, "version"), counted(report.changes, "change"))
    )
    if report.good:
        yield f"{screen.yes} {facts}{screen.dot}all as published"
    elif report.first_bad is not None:
        yield f"{screen.no} {facts}{screen.dot}not as published from version {report.first_bad} on"
    else:
        yield f"{screen.no} {facts}{screen.dot}not as published"
    if report.anchors is not None and report.signatures is not None:
        yield f"  {counted(report.anchors, 'anchor')}{screen.dot}{_SIGNATURES[report.signatures]}"
    if report.good and report.hash:
        yield f"  hash of version {report.versions}: {report.hash}"


def _anchored(report: "Anchored", screen: Terminal) -> Iterator[str]:
    signed = "signed" if report.signed else "not signed: whoever can write the file can write another"
    yield screen.dot.join((f"{screen.yes} anchored version {report.version} in {plain(report.file)}", signed))
    yield f"  {report.hash}"


def _changed(report: "RuleHistory", screen: Terminal) -> Iterator[str]:
    from ruleengine.cli.blocks import Block, Heading, as_text
    from ruleengine.cli.plans import changes_table
    from ruleengine.cli.versions import moment

    blocks: list[Block] = []
    for entry in report.entries:
        blocks.append(Heading(f"version {entry.version}{screen.dot}as of {entry.as_of}", first=not blocks))
        blocks.append(f"{entry.kind} published by {entry.actor}, {moment(entry.created_at)}")
        if entry.begun_by not in (None, entry.actor):
            blocks.append(f"begun by {entry.begun_by}")
        if entry.reason:
            blocks.append(f"reason: {entry.reason}")
        if entry.git_commit:
            blocks.append(f"commit {entry.git_commit[:40]} by {entry.git_author or 'nobody known'}")
        blocks.append(changes_table(entry.changes))
    yield from as_text(blocks, screen)


def _made(report: "MadeKey", screen: Terminal) -> Iterator[str]:
    yield f"{screen.yes} {plain(report.private)} signs anchors: keep it where nobody can who changes the store"
    yield f"{screen.yes} {plain(report.public)} checks them: give it to whoever audits"
