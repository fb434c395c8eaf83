"""`ruleengine db`: the schema of a store in Postgres."""

from pathlib import Path

import click

from ruleengine.cli import arguments
from ruleengine.cli.program import print_json
from ruleengine.verbs.shapes import as_json


@click.group()
def db() -> None:
    """The schema of a store in Postgres."""


@db.command()
@arguments.ruleset
@arguments.profile
@arguments.report_format
def upgrade(ruleset: Path, profile: str, form: str) -> None:
    """Make the schema, or bring it up to date."""
    from ruleengine.verbs import database

    done = database.upgrade(ruleset, profile)
    if form == "json":
        print_json(as_json(done))
    elif done.applied:
        numbers = ", ".join(map(str, done.applied))
        click.echo(f"schema {done.schema}: migrations applied: {numbers}; it has format {done.format} now")
    else:
        click.echo(f"schema {done.schema}: up to date, format {done.format}")


@db.command()
@arguments.ruleset
@arguments.profile
def roles(ruleset: Path, profile: str) -> None:
    """Print the SQL that makes roles to read, to run and to administer."""
    from ruleengine.verbs import database

    click.echo(database.roles(ruleset, profile), nl=False)
