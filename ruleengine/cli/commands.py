"""The commands: each reads its arguments, asks a verb, and shows the answer."""

import shlex
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Literal

import click

from ruleengine import __version__
from ruleengine.cli import arguments, terminal
from ruleengine.cli import program as shared
from ruleengine.cli.database import db
from ruleengine.cli.program import GOOD, HELD, PROBLEMS, Program, print_json
from ruleengine.cli.terminal import Terminal
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.settings import Scope
from ruleengine.verbs.shapes import as_json


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show where an internal error arose.")
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Of messages; default: that of the rule files.")
@click.version_option(__version__, prog_name="ruleengine", message="%(prog)s %(version)s")
def program(debug: bool, lang: str | None) -> None:
    """Customer tags and tiers as rules in plain text: checked, explained, versioned, served.

    RULESET is the folder of a ruleset, or its ruleset.toml; left out, it is the working folder.
    """


@program.command()
@arguments.ruleset
@click.option("--profile", metavar="NAME", help="Whose data to look for texts in; default: default, if there is one.")
@click.option("--no-proofs", is_flag=True, help="Do not look for rules that never apply or repeat others.")
@arguments.formats("text", "json", "github", "sarif")
@click.pass_context
def check(ctx: click.Context, ruleset: Path, profile: str | None, no_proofs: bool, form: str) -> None:
    """Find what is wrong with the rules, all of it at once."""
    from ruleengine.cli import checks
    from ruleengine.verbs.check import check

    checked = check(ruleset, profile, proofs=not no_proofs)
    match form:
        case "json":
            print_json({**as_json(checked), "problems": shared.shown_as_json(checked.problems)})
        case "sarif":
            print_json(shared.shown_as_sarif(checked.problems))
        case _:
            if checked.problems and form == "github":
                click.echo(shared.shown_to_github(checked.problems), nl=False)
            elif checked.problems:
                click.echo(shared.shown_as_text(checked.problems, shared.coloured(ctx)) + "\n")
            click.echo(checks.check(checked, terminal.of_stream()))
    ctx.exit(PROBLEMS if checked.errors else GOOD)


@program.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[RULESET | FILE.rules]...")
@click.option("--check", "only_check", is_flag=True, help="Only tell what would change (exit 1).")
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Write the words of the language in English or Chinese.")
@arguments.report_format
@click.pass_context
def fmt(ctx: click.Context, paths: tuple[Path, ...], only_check: bool, lang: str | None, form: str) -> None:
    """Lay rule files out in the one way."""
    from ruleengine.verbs.fmt import fmt

    formatted = fmt(paths or (Path("."),), only_check, lang)
    if form == "json":
        print_json(
            {
                "changed": formatted.changed,
                "unchanged": formatted.unchanged,
                "problems": shared.shown_as_json(formatted.problems),
            }
        )
    else:
        for path in formatted.changed:
            click.echo(f"{'would change' if only_check else 'changed'} {path}")
        if formatted.problems:
            click.echo(shared.shown_as_text(formatted.problems, shared.coloured(ctx)), err=True)
    ctx.exit(PROBLEMS if formatted.problems or (only_check and formatted.changed) else GOOD)


@program.command()
@click.argument("directory", type=click.Path(path_type=Path))
def new(directory: Path) -> None:
    """Start a ruleset in a new folder, with data that was made up for it."""
    from datetime import UTC, datetime

    from ruleengine.verbs.new import new

    scaffold = new(directory, datetime.now(UTC).date())
    click.echo(f"Made {scaffold.directory}:")
    for file in scaffold.files:
        click.echo(f"  {file}")
    shown = shlex.quote(scaffold.directory)
    click.echo(
        f"\nNext:\n"
        f"  ruleengine check {shown}        what is wrong with the rules: nothing yet\n"
        f"  ruleengine test {shown}         ask the rules what the examples beside them expect\n"
        f"  ruleengine run {shown}          tag every customer, and publish version 1\n"
        f"  ruleengine explain {shown} 7    why customer 7 is what he is\n"
        f"\nThen write rules of your own into {Path(scaffold.directory, 'value.rules')}, and bind your own data in "
        f"{Path(scaffold.directory, 'ruleset.toml')}."
    )


@program.command()
@arguments.ruleset
@click.option("--update", is_flag=True, help="Write what came out into the suites' expected.csv, to be read over.")
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Also write the results as JUnit XML.",
)
@click.option("--coverage", is_flag=True, help="Tell which conditions the tests saw true, false and unknown.")
@click.option("--annotate", is_flag=True, help="Also list the rule files, with what was not seen; means --coverage.")
@click.option(
    "--fail-under",
    type=click.FloatRange(0, 100),
    metavar="PERCENT",
    help="Fail if coverage, or the share of changes that --mutate sees noticed, is less.",
)
@click.option("--mutate", is_flag=True, help="Change the rules one by one, and list the changes that no test notices.")
@arguments.report_format
@click.pass_context
def test(
    ctx: click.Context,
    ruleset: Path,
    update: bool,
    junit: Path | None,
    coverage: bool,
    annotate: bool,
    fail_under: float | None,
    mutate: bool,
    form: str,
) -> None:
    """Ask the rules what the examples beside them, and the suites in tests/, expect."""
    from ruleengine.cli import testing as shown
    from ruleengine.verbs.test import test

    coverage = coverage or annotate or (fail_under is not None and not mutate)
    report = test(ruleset, update=update, coverage=coverage, mutation=mutate)
    if junit is not None:
        from ruleengine.cli.junit import as_junit

        junit.write_text(as_junit(report), "utf-8")
    if form == "json":
        print_json(shown.as_document(report))
    else:
        colour = shared.coloured(ctx)
        screen = terminal.of_stream()
        for line in shown.tested(report, screen, lambda found: shared.shown_as_text(found, colour)):
            click.echo(line)
        if report.coverage is not None:
            for line in shown.covered(report.coverage, screen, annotate):
                click.echo(line)
        if report.mutation is not None:
            for line in shown.mutated(report.mutation, screen):
                click.echo(line)
    scores = [found.percent for found in (report.coverage, report.mutation) if found is not None]
    ctx.exit(GOOD if report.good and min(scores, default=100) >= (fail_under or 0) else PROBLEMS)


@program.command()
@arguments.ruleset
@arguments.as_of
@click.option("--engine", type=click.Choice(["duckdb", "postgres"]), default="duckdb", show_default=True)
@arguments.report_format
def compile(ruleset: Path, as_of: date | None, engine: Literal["duckdb", "postgres"], form: str) -> None:
    """Print the SQL that a run would execute."""
    from ruleengine.verbs.compile import compile

    compiled = compile(ruleset, as_of, engine)
    parts = [f"{macro.rstrip(';')};" for macro in compiled.macros]
    parts += [f"-- {statement.purpose}\n{statement.sql};" for statement in compiled.statements]
    _tell(form, compiled, lambda _: ["\n\n".join(parts)])


@program.command()
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
    if form == "json":
        print_json({**as_json(report), "warnings": shared.shown_as_json(report.warnings)})
    else:
        if report.warnings:
            click.echo(shared.shown_as_text(report.warnings, shared.coloured(ctx, sys.stderr)), err=True)
        for line in runs.run(report, ruleset, terminal.of_stream()):
            click.echo(line)
    ctx.exit(HELD if report.outcome == "held" else GOOD)


@program.command()
@arguments.ruleset
@click.option(
    "--as-of", "days", type=arguments.Day(), multiple=True, metavar="DATE", help="Default: today. Several: a backtest."
)
@click.option("--against", type=click.Path(path_type=Path), metavar="DIR", help="Rules to compare with, on this data.")
@click.option("--metric", metavar="NAME", help="What to sum up over those who move: monetary_12m.")
@click.option("--samples", type=click.IntRange(0, 100), default=3, show_default=True, help="Customers of each move.")
@arguments.profile
@arguments.setting
@arguments.formats("text", "json", "markdown")
@click.pass_context
def plan(
    ctx: click.Context,
    ruleset: Path,
    days: tuple[date, ...],
    against: Path | None,
    metric: str | None,
    samples: int,
    profile: str,
    pairs: tuple[tuple[str, str], ...],
    form: str,
) -> None:
    """Tell what a run would change, for whom and why, and write nothing."""
    from ruleengine.cli import blocks, plans
    from ruleengine.verbs import backtest
    from ruleengine.verbs import plan as verb

    parameters = arguments.settings(pairs)
    report: backtest.Backtest | verb.PlanReport
    if len(set(days)) > 1:
        if against is not None or metric is not None:
            raise click.UsageError("With several --as-of there is neither --against nor --metric.")
        with terminal.progress() as progress:
            report = backtest.backtest(ruleset, profile, days, parameters=parameters, progress=progress.phase)
    else:
        with terminal.progress() as progress:
            report = verb.plan(
                ruleset,
                profile,
                as_of=days[0] if days else None,
                parameters=parameters,
                metric=metric,
                samples=samples,
                against=against,
                progress=progress.phase,
            )
    if form == "json":
        print_json({**as_json(report), "warnings": shared.shown_as_json(report.warnings)})
    else:
        if report.warnings:
            click.echo(shared.shown_as_text(report.warnings, shared.coloured(ctx, sys.stderr)), err=True)
        for line in blocks.shown(form, lambda screen: plans.told(report, screen)):
            click.echo(line)
    ctx.exit(HELD if report.held else GOOD)


# -- what is published -----------------------------------------------------------------------------------------


@program.command()
@arguments.words("[VERSION]")
@arguments.profile
@arguments.report_format
def versions(words: tuple[str, ...], profile: str, form: str) -> None:
    """List what was published, or show one version in full."""
    from ruleengine.cli import versions as shown
    from ruleengine.verbs import versions as verb

    path, number = arguments.split(words, optional=("VERSION",))
    if number is None:
        listed = verb.versions(path, profile)
        _tell(form, listed, lambda screen: shown.versions(listed, screen))
    else:
        found = verb.version(path, profile, arguments.whole(number, "VERSION"))
        _tell(form, found, lambda screen: shown.version(found, screen))


@program.command()
@arguments.words("CUSTOMER")
@arguments.profile
@arguments.report_format
def history(words: tuple[str, ...], profile: str, form: str) -> None:
    """Tell everything that ever changed for a customer."""
    from ruleengine.cli import customers as shown
    from ruleengine.verbs.history import history

    path, customer = arguments.split(words, "CUSTOMER")
    report = history(path, profile, customer)
    _tell(form, report, lambda screen: shown.history(report, screen))


@program.command()
@arguments.words("CUSTOMER [NAME]")
@click.option("--version", "number", type=click.IntRange(min=1), metavar="N", help="If not the current one.")
@arguments.profile
@arguments.report_format
def explain(words: tuple[str, ...], number: int | None, profile: str, form: str) -> None:
    """Explain why a customer has a tag, level or value, or has not; NAME is that of a tag, tier or class."""
    from ruleengine.cli import customers as shown
    from ruleengine.verbs.explain import explain

    path, customer, name = arguments.split(words, "CUSTOMER", optional=("NAME",))
    report = explain(path, profile, customer, name, number)
    _tell(form, report, lambda screen: shown.explanation(report, screen))


@program.command()
@arguments.words("A B")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Rows to show.")
@arguments.profile
@arguments.report_format
def diff(words: tuple[str, ...], limit: int, profile: str, form: str) -> None:
    """Compare version B with version A, or the rules in folder B with those in folder A."""
    from ruleengine.cli import blocks, plans
    from ruleengine.cli import versions as shown
    from ruleengine.verbs.diff import diff
    from ruleengine.verbs.rule_changes import diff_rulesets

    if len(words) == 2 and all(map(arguments.is_ruleset, words)):
        changes = diff_rulesets(Path(words[0]), Path(words[1]))
        _tell(form, changes, lambda screen: blocks.as_text(plans.changes(changes, screen), screen))
        return
    path, a, b = arguments.split(words, "A", "B")
    report = diff(path, profile, arguments.whole(a, "A"), arguments.whole(b, "B"), limit)
    _tell(form, report, lambda screen: shown.difference(report, screen))


@program.command()
@arguments.ruleset
@click.option("--version", "number", type=click.IntRange(min=1), metavar="N", help="If not the current one.")
@click.option("--run", metavar="RUN", help="A held run instead of a version.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Ends in .parquet, .csv or .jsonl.",
)
@arguments.profile
@arguments.report_format
def export(ruleset: Path, number: int | None, run: str | None, output: Path, profile: str, form: str) -> None:
    """Write who has which tag, level and value to a file."""
    from ruleengine.verbs.export import export

    if number is not None and run is not None:
        raise click.UsageError("--version and --run exclude each other.")
    with terminal.progress() as progress:
        progress.phase("writing")
        done = export(ruleset, profile, output, version=number, run=run)
    _tell(form, done, lambda _: [f"{terminal.counted(done.rows, 'row')} in {done.file}"])


@program.command()
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
    _tell(form, report, lambda screen: shown.set_by_hand(report, screen))


@program.command()
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
    _tell(form, report, lambda screen: shown.set_by_hand(report, screen))


@program.command()
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
    _tell(form, version, lambda screen: [shown.published(version, screen)])


@program.command()
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
    _tell(form, version, lambda screen: [shown.published(version, screen)])


@program.command()
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


@program.group()
def key() -> None:
    """Give, list and take away the keys by which applications ask the API."""


@key.command("create")
@arguments.ruleset
@click.option("--name", required=True, help="Who will use it; changes made with it are recorded under this name.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(arguments.SCOPES))
@click.option("--expires", type=arguments.Day(), help="The first day on which it does not count any more.")
@arguments.actor
@arguments.profile
@arguments.report_format
def key_create(
    ruleset: Path,
    name: str,
    scopes: tuple[Scope, ...],
    expires: date | None,
    actor: str | None,
    profile: str,
    form: str,
) -> None:
    """Give a key, and show its secret this once."""
    from ruleengine.cli import keys as shown
    from ruleengine.verbs import keys

    report = keys.create(ruleset, profile, name, scopes, expires=expires, actor=actor)
    _tell(form, report, lambda screen: shown.created(report, screen))


@key.command("list")
@arguments.ruleset
@arguments.profile
@arguments.report_format
def key_list(ruleset: Path, profile: str, form: str) -> None:
    """List the keys that were ever given."""
    from ruleengine.cli import keys as shown
    from ruleengine.verbs import keys

    report = keys.listed(ruleset, profile)
    _tell(form, report, lambda screen: shown.listed(report, screen))


@key.command("revoke")
@arguments.words("KEY")
@arguments.profile
@arguments.report_format
def key_revoke(words: tuple[str, ...], profile: str, form: str) -> None:
    """Take a key away, at once and for good."""
    from ruleengine.cli import keys as shown
    from ruleengine.verbs import keys

    path, key_id = arguments.split(words, "KEY")
    report = keys.revoke(path, profile, key_id)
    _tell(form, report, lambda screen: shown.revoked(report, screen))


@program.command()
@arguments.ruleset
@click.option("--host", default="127.0.0.1", show_default=True, help="The default is this machine alone.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--rate", type=click.IntRange(1), default=1000, show_default=True, help="Requests a second for each key.")
@arguments.profile
def serve(ruleset: Path, host: str, port: int, rate: int, profile: str) -> None:
    """Answer over HTTP."""
    from ruleengine.serving import serve
    from ruleengine.settings import Serving

    serve(Serving(ruleset=ruleset, profile=profile, host=host, port=port, rate=rate))


program.add_command(db)


def _tell(form: str, report: object, lines: Callable[[Terminal], Iterable[str]]) -> None:
    if form == "json":
        print_json(as_json(report))
        return
    for line in lines(terminal.of_stream()):
        click.echo(line)
