"""The program and its commands, by who uses them."""

import click

from ruleengine import __version__
from ruleengine.cli import authoring, operating, reading
from ruleengine.cli.api_keys import key
from ruleengine.cli.auditing import audit
from ruleengine.cli.database import db
from ruleengine.cli.program import Program


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show where an internal error arose.")
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Of messages; default: that of the rule files.")
@click.version_option(__version__, prog_name="ruleengine", message="%(prog)s %(version)s")
def program(debug: bool, lang: str | None) -> None:
    """Customer tags and tiers as rules in plain text: checked, explained, versioned, served.

    RULESET is the folder of a ruleset, or its ruleset.toml; left out, it is the working folder.
    """


for command in (
    authoring.check,
    authoring.fmt,
    authoring.new,
    authoring.test,
    authoring.compile,
    authoring.plan,
    operating.run,
    operating.tag,
    operating.untag,
    operating.forget,
    operating.publish,
    operating.rollback,
    operating.load,
    operating.move,
    operating.doctor,
    operating.serve,
    reading.versions,
    reading.history,
    reading.explain,
    reading.diff,
    reading.export,
    audit,
    key,
    db,
):
    program.add_command(command)
