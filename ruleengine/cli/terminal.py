"""Text for people: colours, marks, bars, columns and progress, as far as the terminal can show them."""

import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import click

from ruleengine.diagnostics.render import visible

Colour = Literal["red", "green", "yellow", "cyan", "bright_black"]
_EIGHTHS = " ▏▎▍▌▋▊▉"
BAR_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Terminal:
    """What the place can show that results are written to."""

    colour: bool
    unicode: bool

    @property
    def yes(self) -> str:
        return self.paint("✓" if self.unicode else "+", "green")

    @property
    def no(self) -> str:
        return self.paint("✗" if self.unicode else "-", "red")

    @property
    def unknown(self) -> str:
        return self.paint("?", "yellow")

    @property
    def dot(self) -> str:
        return " · " if self.unicode else " | "

    @property
    def dash(self) -> str:
        return "—" if self.unicode else "-"

    @property
    def arrow(self) -> str:
        return "→" if self.unicode else "->"

    def paint(self, text: str, colour: Colour) -> str:
        return click.style(text, fg=colour) if self.colour else text

    def bold(self, text: str) -> str:
        return click.style(text, bold=True) if self.colour else text

    def faint(self, text: str) -> str:
        return self.paint(text, "bright_black")

    def bar(self, part: int, whole: int, width: int = BAR_WIDTH) -> str:
        """A bar of part in whole; anything above nothing can be seen."""
        if not whole or not part:
            return ""
        eighths = max(1, round(8 * width * part / whole))
        if self.unicode:
            return self.paint("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip(), "cyan")
        return "#" * max(1, eighths // 8)


def of_stream() -> Terminal:
    """The terminal, file or pipe that standard output is."""
    encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower().replace("-", "")
    # https://no-color.org
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Terminal(colour=colour, unicode=encoding.startswith("utf"))


def plain(text: str) -> str:
    """Text from data on one line, with what a terminal would obey spelled out."""
    return " ".join(visible(text).split())


def counted(n: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def percent(part: int, whole: int) -> str:
    """One digit behind the point; what is not nothing never reads as 0.0%, nor what is not all as 100.0%."""
    if not whole:
        return ""
    if 0 < 2000 * part < whole:
        return "<0.1%"
    if whole > part and 2000 * (whole - part) < whole:
        return ">99.9%"
    return f"{100 * part / whole:.1f}%"


def width(text: str) -> int:
    """Columns that a text takes on a terminal: Chinese characters take two."""
    text = click.unstyle(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset(), indent: int = 0) -> list[str]:
    """Rows as aligned lines; the columns numbered in `right` end flush."""
    # What ends a line needs no room beside it.
    widths = [
        max((width(row[i]) for row in rows if any(row[i + 1 :]) or i in right), default=0)
        for i in range(len(rows[0]) if rows else 0)
    ]
    lines = []
    for row in rows:
        cells = []
        for i, cell in enumerate(row):
            blank = " " * (widths[i] - width(cell))
            cells.append(blank + cell if i in right else cell + blank)
        lines.append(" " * indent + "  ".join(cells).rstrip())
    return lines


class Progress:
    """The phases of long work, shown on a terminal while they last."""

    def phase(self, name: str) -> None:
        """The work enters a phase."""


@contextmanager
def progress() -> Iterator[Progress]:
    """Shows phases on standard error if that is a terminal, and is quiet otherwise."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Progress()
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:

        class Shown(Progress):
            def phase(self, name: str) -> None:
                status.update(f"{name} …")

        yield Shown()
