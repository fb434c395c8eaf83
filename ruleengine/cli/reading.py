"""The commands that look at what is published: each reads its arguments, asks a verb, and shows the answer."""

from pathlib import Path

import click

from ruleengine.cli import arguments, terminal
from ruleengine.cli.program import tell


@click.command()
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
        tell(form, listed, lambda screen: shown.versions(listed, screen))
    else:
        found = verb.version(path, profile, arguments.whole(number, "VERSION"))
        tell(form, found, lambda screen: shown.version(found, screen))


@click.command()
@arguments.words("CUSTOMER")
@arguments.profile
@arguments.report_format
def history(words: tuple[str, ...], profile: str, form: str) -> None:
    """Tell everything that ever changed for a customer."""
    from ruleengine.cli import customers as shown
    from ruleengine.verbs.history import history

    path, customer = arguments.split(words, "CUSTOMER")
    report = history(path, profile, customer)
    tell(form, report, lambda screen: shown.history(report, screen))


@click.command()
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
    tell(form, report, lambda screen: shown.explanation(report, screen))


@click.command()
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
        tell(form, changes, lambda screen: blocks.as_text(plans.changes(changes, screen), screen))
        return
    path, a, b = arguments.split(words, "A", "B")
    report = diff(path, profile, arguments.whole(a, "A"), arguments.whole(b, "B"), limit)
    tell(form, report, lambda screen: shown.difference(report, screen))


@click.command()
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
    tell(form, done, lambda _: [f"{terminal.counted(done.rows, 'row')} in {done.file}"])
