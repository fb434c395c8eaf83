"""`ruleengine key`: who may use the API."""

from datetime import date
from pathlib import Path

import click

from ruleengine.cli import arguments
from ruleengine.cli.program import tell
from ruleengine.settings import Scope


@click.group()
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
    tell(form, report, lambda screen: shown.created(report, screen))


@key.command("list")
@arguments.ruleset
@arguments.profile
@arguments.report_format
def key_list(ruleset: Path, profile: str, form: str) -> None:
    """List the keys that were ever given."""
    from ruleengine.cli import keys as shown
    from ruleengine.verbs import keys

    report = keys.listed(ruleset, profile)
    tell(form, report, lambda screen: shown.listed(report, screen))


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
    tell(form, report, lambda screen: shown.revoked(report, screen))
