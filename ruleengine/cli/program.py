"""The one way in which commands fail, and the exit codes."""

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, Protocol, TextIO

import click

from ruleengine.cli import terminal
from ruleengine.cli.terminal import Terminal
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.verbs import outcome
from ruleengine.verbs.shapes import as_json

GOOD, PROBLEMS, WRONG_USE, HELD, LOCKED, NOT_USABLE = range(6)
INTERNAL = 70  # EX_SOFTWARE
STOPPED = 130
BROKEN_PIPE = 141

_WRONG_USE = {
    codes.ruleset_missing,
    codes.ruleset_not_a_folder,
    codes.manifest_missing,
    codes.profile_unknown,
    codes.actor_unreadable,
    codes.folder_not_empty,
    codes.not_formattable,
    codes.load_file_unknown,
    codes.load_without_database,
    codes.system_refused,  # of an option; what the system refuses a run is NotUsableError
}
_NOT_USABLE = {codes.store_file_changed, codes.store_file_missing, codes.store_file_outdated}


def exit_code(error: ProblemError) -> int:
    from ruleengine.store import refusals  # and DuckDB with it

    match error:
        case refusals.StoreLockedError():
            return LOCKED
        case outcome.CancelledError():
            return STOPPED
        case refusals.StoreUnusableError() | refusals.WrongStoreError() | outcome.NotUsableError():
            return NOT_USABLE
        case refusals.NotThereError() | refusals.NotKeptError() | refusals.RefusedError() | outcome.NotThereError():
            return WRONG_USE
        case _:
            pass
    if any(problem.code in _WRONG_USE for problem in error.problems):
        return WRONG_USE
    if any(problem.code in _NOT_USABLE for problem in error.problems):
        return NOT_USABLE
    return PROBLEMS


class Program(click.Group):
    """The one place where an error becomes a message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except ProblemError as error:
            fail(ctx, error)
        except KeyboardInterrupt:
            click.echo("Stopped.", err=True)
            ctx.exit(STOPPED)
        except BrokenPipeError:
            # Nobody reads on: what is still to be flushed at exit must not complain either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(BROKEN_PIPE)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except OSError as error:
            where = os.fsdecode(error.filename) if error.filename is not None else "the system"
            problem = codes.system_refused(None, path=where, reason=error.strerror or str(error))
            fail(ctx, outcome.NotUsableError(problem))
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            report = _report(error)
            click.echo(
                f"Internal error ({type(error).__name__}), a mistake of ruleengine. Please report it"
                + (f", with {report}" if report else "")
                + ".",
                err=True,
            )
            ctx.exit(INTERNAL)


def fail(ctx: click.Context, error: ProblemError) -> NoReturn:
    """Tell the problems in the format that was asked for, and exit."""
    match ctx.meta.get("ruleengine.format"):
        case "json":
            print_json({"problems": shown_as_json(error.problems)})
        case "github":
            click.echo(shown_to_github(error.problems), nl=False)
        case "sarif":
            print_json(shown_as_sarif(error.problems))
        case _:
            click.echo(shown_as_text(error.problems, coloured(ctx, sys.stderr)), err=True)
    ctx.exit(exit_code(error))


def coloured(ctx: click.Context, stream: TextIO | None = None) -> bool:
    """Whether standard output, or another stream, takes colours."""
    return (stream or sys.stdout).isatty() and ctx.find_root().color is not False


def shown_as_text(problems: Sequence[Problem], colour: bool) -> str:
    from ruleengine.diagnostics.render import render_text

    return render_text(problems, colour=colour, language=_language(problems)).rstrip("\n")


def shown_as_json(problems: Sequence[Problem]) -> Any:
    from ruleengine.diagnostics.render import render_json

    return render_json(problems, language=_language(problems))


def shown_to_github(problems: Sequence[Problem]) -> str:
    from ruleengine.diagnostics.annotations import render_github

    return render_github(problems, language=_language(problems))


def shown_as_sarif(problems: Sequence[Problem]) -> Any:
    from ruleengine.diagnostics.annotations import render_sarif

    return render_sarif(problems, language=_language(problems))


def _language(problems: Sequence[Problem]) -> str:
    """The language that was asked for, or else that of the rule files that problems are in."""
    from ruleengine.syntax.chinese import language_of
    from ruleengine.syntax.scan import scan

    context = click.get_current_context(silent=True)
    if context is not None and (chosen := context.find_root().params.get("lang")):
        return str(chosen)
    sources = {problem.span.source for problem in problems if problem.span}
    languages = [language_of(scan(source).tokens) for source in sources]
    return "zh" if languages.count("zh") > languages.count("en") else "en"


def print_json(value: object) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def tell(form: str, report: object, lines: Callable[[Terminal], Iterable[str]]) -> None:
    """Show an answer: as JSON, or in these lines of text."""
    if form == "json":
        print_json(as_json(report))
        return
    for line in lines(terminal.of_stream()):
        click.echo(line)


class Warned(Protocol):
    """A report with warnings of its own."""

    @property
    def warnings(self) -> Sequence[Problem]: ...


def tell_warned(ctx: click.Context, form: str, report: Warned, lines: Callable[[Terminal], Iterable[str]]) -> None:
    """As `tell`, after the warnings, which are not for standard output but in JSON."""
    if form == "json":
        print_json({**as_json(report), "warnings": shown_as_json(report.warnings)})
        return
    if report.warnings:
        click.echo(shown_as_text(report.warnings, coloured(ctx, sys.stderr)), err=True)
    tell(form, report, lines)


def _report(error: Exception) -> str | None:
    try:
        descriptor, name = tempfile.mkstemp(prefix="ruleengine-error-", suffix=".log", text=True)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        return None
    return name
