"""What tests saw of the rules, as text for people."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from ruleengine.cli.terminal import Terminal, columns, counted, plain
from ruleengine.diagnostics.render import visible
from ruleengine.verbs.testing.coverage import Coverage, Covered

_NUMBERS = 5
"""Columns for the number of a line."""


def coverage(found: Coverage, terminal: Terminal) -> Iterator[str]:
    """How much of each file was seen, then every answer that was not, then how much in all."""
    rows = [(plain(file.file), f"{file.seen:,}", "of", f"{file.asked:,}") for file in found.files]
    yield from columns(rows, right=frozenset({1, 3}))
    yield ""
    unseen = [place for place in found.places if place.unseen]
    for place in unseen:
        yield f"{terminal.no} {plain(place.file)}:{place.line}:{place.column}: `{plain(place.text)}` {never(place)}"
    if unseen:
        yield ""
    mark = terminal.no if unseen else terminal.yes
    yield f"{mark} coverage {found.percent:.1f}%: {found.seen:,} of {counted(found.asked, 'answer')} seen"


def never(place: Covered) -> str:
    """`was never false, never unknown`."""
    if place.kind == "level":
        return "was never given"
    return f"was {', '.join(f'never {answer}' for answer in place.unseen)}"


def listing(found: Coverage, terminal: Terminal) -> Iterator[str]:
    """The rule files line by line: a mark where something is to be seen, and beneath it what was not."""
    for file in found.files:
        yield terminal.bold(plain(file.file))
        places = [place for place in found.places if place.file == file.file]
        for number, line in enumerate(Path(file.file).read_text("utf-8").splitlines(), 1):
            yield from _line(number, line, [place for place in places if place.line == number], terminal)
        yield ""


def _line(number: int, line: str, places: Sequence[Covered], terminal: Terminal) -> Iterator[str]:
    unseen = [place for place in places if place.unseen]
    mark = " " if not places else terminal.no if unseen else terminal.yes
    yield f"{mark} {number:>{_NUMBERS}} | {visible(line)}".rstrip()
    for place in unseen:
        end = place.end_column if place.end_line == number else len(line) + 1
        blank = "".join("\t" if letter == "\t" else " " for letter in line[: place.column - 1])
        under = "^" * max(1, end - place.column)
        yield f"  {'':>{_NUMBERS}} | {blank}{terminal.paint(under, 'red')} {never(place)}"
