"""The arguments and options that commands share."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, get_args

import click

from ruleengine.settings import Scope

MANIFEST = "ruleset.toml"
SCOPES = get_args(Scope)
Function = TypeVar("Function", bound=Callable[..., Any])


class Day(click.ParamType[date]):
    """A date: 2026-03-31."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        try:
            day = date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a date. Write it as 2026-03-31.", param, ctx)
        if day.isoformat() != value:
            self.fail(f"{value!r} is not written as 2026-03-31.", param, ctx)
        if not 1900 <= day.year <= 2999:  # windows reach back, and anniversaries forward, by a few years
            self.fail(f"{value!r} is out of reach: dates from 1900 to 2999 make sense here.", param, ctx)
        return day


class Setting(click.ParamType[tuple[str, str]]):
    """A parameter and its value: vip_floor=9000."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = value.partition("=")
        if not (name.strip() and equals and text.strip()):
            self.fail(f"{value!r} is not of the form name=value.", param, ctx)
        return name.strip(), text.strip()


def settings(pairs: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """The parameters of all `--set`, each at most once."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise click.BadParameter(f"{name!r} is set more than once.", param_hint="'--set'")
    return dict(pairs)


ruleset = click.argument("ruleset", type=click.Path(path_type=Path), default=Path("."))
"""The folder of the ruleset, or its ruleset.toml."""


def words(metavar: str) -> Callable[[Function], Function]:
    """Arguments of which the first, the ruleset, may be left out; `split` tells which ones were given."""
    return click.argument("words", nargs=-1, metavar=f"[RULESET] {metavar}")


def split(given: Sequence[str], *names: str, optional: Sequence[str] = ()) -> tuple[Any, ...]:
    """The ruleset (that of the working folder where it is left out), then one text for each name.

    What begins with a ruleset is read so; otherwise it was left out if the working folder is one.
    """
    rest = list(given)
    named = bool(rest) and (is_ruleset(rest[0]) or not is_ruleset("."))
    path = Path(rest.pop(0)) if named else Path(".")
    if len(rest) < len(names):
        raise click.UsageError(f"Missing argument '{names[len(rest)]}'.")
    if len(rest) > len(names) + len(optional):
        raise click.UsageError(f"Got an unexpected extra argument ({rest[len(names) + len(optional)]}).")
    return path, *rest, *[None] * (len(names) + len(optional) - len(rest))


def split_files(given: Sequence[str]) -> tuple[Path, list[Path]]:
    """The ruleset, likewise, and at least one file."""
    named = bool(given) and (is_ruleset(given[0]) or not is_ruleset("."))
    files = [Path(text) for text in given[named:]]
    if not files:
        raise click.UsageError("Missing argument 'FILE...'.")
    for file in files:
        if not file.is_file():
            raise click.BadParameter(f"{str(file)!r} is no file.", param_hint="'FILE...'")
    return (Path(given[0]) if named else Path(".")), files


def is_ruleset(text: str) -> bool:
    path = Path(text)
    return path.is_file() if path.name == MANIFEST else (path / MANIFEST).is_file()


def whole(text: str, name: str) -> int:
    """An argument that counts something from 1."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**12):
        raise click.BadParameter(f"{text!r} is not a whole number.", param_hint=f"'{name}'")
    return int(text)


def _note_format(ctx: click.Context, param: click.Parameter, value: str) -> str:
    ctx.meta["ruleengine.format"] = value
    return value


def formats(*names: str) -> Callable[[Function], Function]:
    """`--format`, of which the first name is the default."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(names),
        default=names[0],
        help="Of what is reported.",
        is_eager=True,
        callback=_note_format,
    )


report_format = formats("text", "json")
profile = click.option("--profile", default="default", metavar="NAME", help="A profile of ruleset.toml.")
as_of = click.option("--as-of", type=Day(), metavar="DATE", help="The run's date; default: today.")
actor = click.option("--actor", metavar="NAME", help="Who does this, if not RULEENGINE_ACTOR.")
reason = click.option("--reason", required=True, metavar="TEXT", help="Why; it is kept with the version.")
setting = click.option(
    "--set",
    "pairs",
    type=Setting(),
    multiple=True,
    metavar="NAME=VALUE",
    help="For this run alone.",
)
