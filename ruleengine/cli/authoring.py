"""The commands of who writes rules: each reads its arguments, asks a verb, and shows the answer."""

import shlex
from datetime import date
from pathlib import Path
from typing import Literal

import click

from ruleengine.cli import arguments, terminal
from ruleengine.cli import program as shared
from ruleengine.cli.program import GOOD, HELD, PROBLEMS, print_json, tell, tell_warned
from ruleengine.verbs.shapes import as_json


@click.command()
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


@click.command()
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


@click.command()
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


@click.command()
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


@click.command()
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
    tell(form, compiled, lambda _: ["\n\n".join(parts)])


@click.command()
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
    tell_warned(ctx, form, report, lambda _: blocks.shown(form, lambda screen: plans.told(report, screen)))
    ctx.exit(HELD if report.held else GOOD)


# -- what is published -----------------------------------------------------------------------------------------
