"""The commands that change what is published, or keep it going."""

import sys
from datetime import date
from pathlib import Path
from typing import get_args

import click

from ruleengine.cli import arguments, terminal
from ruleengine.cli import program as shared
from ruleengine.cli.program import GOOD, HELD, print_json, tell, tell_warned
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.settings import LogFormat, LogLevel
from ruleengine.verbs.shapes import as_json


@click.command()
@arguments.ruleset
@arguments.as_of
@arguments.profile
@arguments.setting
@arguments.actor
@arguments.report_format
@click.pass_context
def run(
    ctx: click.Context,
    ruleset: Path,
    as_of: date | None,
    profile: str,
    pairs: tuple[tuple[str, str], ...],
    actor: str | None,
    form: str,
) -> None:
    """Tag every customer and publish the answers as a version."""
    from ruleengine.cli import runs
    from ruleengine.verbs.run import run

    with terminal.progress() as progress:
        report = run(
            ruleset,
            profile,
            as_of=as_of,
            parameters=arguments.settings(pairs),
            actor=actor,
            progress=progress.phase,
        )
    tell_warned(ctx, form, report, lambda screen: runs.run(report, ruleset, screen))
    ctx.exit(HELD if report.outcome == "held" else GOOD)


@click.command()
@arguments.words("CUSTOMER NAME")
@click.option("--level", metavar="TEXT", help="Of a tier that people may set.")
@click.option("--expires", type=arguments.Day(), metavar="DATE", help="The first day without it.")
@arguments.reason
@arguments.actor
@arguments.profile
@arguments.report_format
def tag(
    words: tuple[str, ...],
    level: str | None,
    expires: date | None,
    reason: str,
    actor: str | None,
    profile: str,
    form: str,
) -> None:
    """Set a manual tag, or the level of a tier, for a customer."""
    from ruleengine.cli import customers as shown
    from ruleengine.verbs import by_hand

    path, customer, name = arguments.split(words, "CUSTOMER", "NAME")
    report = by_hand.tag(path, profile, customer, name, level=level, expires=expires, reason=reason, actor=actor)
    tell(form, report, lambda screen: shown.set_by_hand(report, screen))


@click.command()
@arguments.words("CUSTOMER NAME")
@arguments.reason
@arguments.actor
@arguments.profile
@arguments.report_format
def untag(words: tuple[str, ...], reason: str, actor: str | None, profile: str, form: str) -> None:
    """Take away what was set by hand for a customer."""
    from ruleengine.cli import customers as shown
    from ruleengine.verbs import by_hand

    path, customer, name = arguments.split(words, "CUSTOMER", "NAME")
    report = by_hand.untag(path, profile, customer, name, reason=reason, actor=actor)
    tell(form, report, lambda screen: shown.set_by_hand(report, screen))


@click.command()
@arguments.words("CUSTOMER...")
@arguments.reason
@arguments.actor
@arguments.profile
@arguments.report_format
def forget(words: tuple[str, ...], reason: str, actor: str | None, profile: str, form: str) -> None:
    """Keep nothing of customers any more, and leave them out of runs."""
    from ruleengine.cli import customers as shown
    from ruleengine.verbs.forget import forget

    path, *customers = arguments.split(words, "CUSTOMER", optional=words)
    report = forget(path, profile, [each for each in customers if each is not None], reason=reason, actor=actor)
    tell(form, report, lambda screen: shown.forgotten(report, screen))


@click.command()
@arguments.words("RUN")
@arguments.reason
@arguments.actor
@arguments.profile
@arguments.report_format
def publish(words: tuple[str, ...], reason: str, actor: str | None, profile: str, form: str) -> None:
    """Publish a held run all the same."""
    from ruleengine.cli import versions as shown
    from ruleengine.verbs.versions import publish

    path, run = arguments.split(words, "RUN")
    version = publish(path, profile, run, reason, actor)
    tell(form, version, lambda screen: [shown.published(version, screen)])


@click.command()
@arguments.words("VERSION")
@arguments.reason
@arguments.actor
@arguments.profile
@arguments.report_format
def rollback(words: tuple[str, ...], reason: str, actor: str | None, profile: str, form: str) -> None:
    """Publish the answers of an earlier version as a new one."""
    from ruleengine.cli import versions as shown
    from ruleengine.verbs.versions import rollback

    path, number = arguments.split(words, "VERSION")
    version = rollback(path, profile, arguments.whole(number, "VERSION"), reason, actor)
    tell(form, version, lambda screen: [shown.published(version, screen)])


@click.command()
@arguments.words("FILE...")
@click.option("--replace", "over", is_flag=True, help="Rows that are there go; those of the files take their place.")
@arguments.profile
@arguments.report_format
@click.pass_context
def load(ctx: click.Context, words: tuple[str, ...], over: bool, profile: str, form: str) -> None:
    """Load files into the tables of a database, to try a ruleset there."""
    from ruleengine.cli import moves
    from ruleengine.verbs.load import load

    path, files = arguments.split_files(words)
    with terminal.progress() as progress:
        report = load(path, files, profile, over=over, progress=progress.phase)
    tell_warned(ctx, form, report, lambda _: moves.loaded(report))


@click.command()
@arguments.ruleset
@click.option("--from", "source", required=True, metavar="PROFILE", help="Whose store is carried, and left as it is.")
@click.option("--to", "target", required=True, metavar="PROFILE", help="Whose store is still empty.")
@arguments.actor
@arguments.report_format
def move(ruleset: Path, source: str, target: str, actor: str | None, form: str) -> None:
    """Carry all that a store keeps to another: from a folder into a database, or back."""
    from ruleengine.cli import moves
    from ruleengine.verbs.move import move

    with terminal.progress() as progress:
        report = move(ruleset, source, target, actor=actor, progress=progress.phase)
    tell(form, report, lambda screen: moves.moved(report, ruleset, screen))


@click.command()
@arguments.ruleset
@arguments.profile
@arguments.report_format
@click.pass_context
def doctor(ctx: click.Context, ruleset: Path, profile: str, form: str) -> None:
    """Look at what is installed, and at a ruleset's store."""
    from ruleengine.cli import diagnosis
    from ruleengine.verbs.doctor import doctor

    found = doctor(ruleset, profile)
    if form == "json":
        print_json({**as_json(found), "problems": shared.shown_as_json(found.problems)})
    else:
        for line in diagnosis.diagnosis(found, terminal.of_stream()):
            click.echo(line)
        if found.problems:
            click.echo(shared.shown_as_text(found.problems, shared.coloured(ctx, sys.stderr)), err=True)
    ctx.exit(shared.exit_code(ProblemError(*found.problems)) if found.problems else GOOD)


@click.command()
@arguments.ruleset
@click.option("--host", default="127.0.0.1", show_default=True, help="The default is this machine alone.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that answer.")
@click.option("--rate", type=click.IntRange(1), default=1000, show_default=True, help="Requests a second for each key.")
@click.option(
    "--log-level",
    type=click.Choice(get_args(LogLevel)),
    default="info",
    show_default=True,
    help="info: a line for each request; warning: only what goes wrong.",
)
@click.option("--log-format", type=click.Choice(get_args(LogFormat)), default="json", show_default=True)
@arguments.profile
def serve(
    ruleset: Path,
    host: str,
    port: int,
    workers: int,
    rate: int,
    log_level: LogLevel,
    log_format: LogFormat,
    profile: str,
) -> None:
    """Answer over HTTP."""
    from ruleengine.serving import serve
    from ruleengine.settings import Serving

    serve(
        Serving(
            ruleset=ruleset,
            profile=profile,
            host=host,
            port=port,
            workers=workers,
            rate=rate,
            log_level=log_level,
            log_format=log_format,
        )
    )
