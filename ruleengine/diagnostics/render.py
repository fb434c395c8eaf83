"""Problems for eyes (text) and for programs (JSON)."""

import unicodedata
from collections.abc import Iterable
from typing import Any

from ruleengine.diagnostics.messages import messages, note, wording
from ruleengine.diagnostics.problem import Fix, Problem, Severity
from ruleengine.source import Span

WIDTH = 100
"""Columns of a source line that are shown; a longer one is cut around the place."""

_TAB = "    "
_COLOURS = {"error": "1;31", "warning": "1;33", "place": "34", "strong": "1", "hint": "36"}


def render_text(problems: Iterable[Problem], colour: bool = False, language: str = "en") -> str:
    """Problems as a compiler prints them: place and message, the line underlined, other places, hints, the fix."""
    return "\n".join(_Printer(colour, language).problem(problem) for problem in problems)


def render_json(problems: Iterable[Problem], language: str = "en") -> list[dict[str, Any]]:
    """Problems as plain values, stable in shape.

    Each has code, severity, message, hints, file, line, column, end_line, end_column (from 1, in characters, the
    end exclusive; null where the problem has no place), places (the same five and a note) and fix (the same five
    and a replacement, or null).
    """
    return [_plain(problem, language) for problem in problems]


def visible(text: str) -> str:
    """The text with whatever could fool a reader or a terminal written out, as <U+202E>."""
    return "".join(map(_visible, text)) if not (text.isascii() and text.isprintable()) else text


def _plain(problem: Problem, language: str) -> dict[str, Any]:
    words = wording(problem, language)
    return {
        "code": problem.code.name,
        "severity": str(problem.code.severity),
        "message": words.message,
        "hints": list(words.hints),
        **_where(problem.span),
        "places": [{**_where(place.span), "note": note(place, language)} for place in problem.places],
        "fix": {**_where(problem.fix.span), "replacement": problem.fix.replacement} if problem.fix else None,
    }


def _where(span: Span | None) -> dict[str, str | int | None]:
    if span is None:
        return dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.path,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


class _Printer:
    def __init__(self, colour: bool, language: str) -> None:
        self.colour = colour
        self.language = language
        self.words = messages(language).words
        self.gap = " " if self.words["hint"].isascii() else ""

    def problem(self, problem: Problem) -> str:
        words = wording(problem, self.language)
        kind = "error" if problem.code.severity is Severity.ERROR else "warning"
        head = self.paint(f"{self.words[kind]}[{problem.code.name}]", kind)
        lines = [f"{head}: {self.paint(_lines(words.message), 'strong')}"]
        if problem.span:
            lines[0] = f"{self.paint(visible(str(problem.span)), 'strong')}: {lines[0]}"
            lines += self.snippet(problem.span, "^", kind)
        for place in problem.places:
            lines.append(f"  {visible(str(place.span))}: {_lines(note(place, self.language))}")
            lines += self.snippet(place.span, "-", "place")
        lines += [f"  {self.paint(self.words['hint'], 'hint')}{self.gap}{_lines(hint, '  ')}" for hint in words.hints]
        if problem.fix:
            lines.append(f"  {self.paint(self.words['try'], 'hint')}{self.gap}{_mended(problem.fix)}")
        return "\n".join(lines) + "\n"

    def snippet(self, span: Span, mark: str, kind: str) -> list[str]:
        """The line of a place, and a line that underlines it."""
        number, column = span.source.position(span.start)
        text = span.source.line(number)
        if not text.strip() and span.start == span.end:
            return []
        length = max(1, min(span.end - span.start, len(text) - column + 1))
        cells, first, last = _shown(text, column - 1, length)
        gutter = f"{number:>4}"
        before, under = _width(cells[:first]), max(1, _width(cells[first:last]))
        return [
            f"{self.paint(gutter + ' |', 'place')} {''.join(cells).rstrip()}",
            f"{self.paint(' ' * len(gutter) + ' |', 'place')} {' ' * before}{self.paint(mark * under, kind)}",
        ]

    def paint(self, text: str, kind: str) -> str:
        return f"\x1b[{_COLOURS[kind]}m{text}\x1b[0m" if self.colour else text


def _lines(text: str, indent: str = "") -> str:
    """A message of one or several lines, each made visible."""
    return f"\n{indent}".join(visible(line) for line in text.split("\n"))


def _mended(fix: Fix) -> str:
    """The line as it would read with the fix."""
    source, span = fix.span.source, fix.span
    number, column = source.position(span.start)
    line = source.line(number)
    end_line, end_column = source.position(span.end)
    behind = source.line(end_line)[end_column - 1 :]
    cells, _, _ = _shown(line[: column - 1] + fix.replacement + behind, column - 1, len(fix.replacement))
    return "".join(cells).strip()


def _shown(line: str, first: int, length: int) -> tuple[list[str], int, int]:
    """A line as it is shown, cut around a place, and where the place stands in it."""
    start = max(0, first - 2 * WIDTH)
    near = line[start : first + 3 * WIDTH]
    cells = [_visible(character) for character in near]
    if start:
        cells[0] = "…"
    if first + 3 * WIDTH < len(line):
        cells.append("…")
    return _cut([*cells, " "], first - start, min(first - start + length, len(cells) + 1))


def _cut(cells: list[str], first: int, last: int) -> tuple[list[str], int, int]:
    """So much of a line as can be shown, and where the place then stands in it."""
    if _width(cells) <= WIDTH:
        return cells, first, last
    start = max(0, first - WIDTH // 3) if _width(cells[:last]) > WIDTH - 1 else 0
    end = start
    room = WIDTH - 2
    while end < len(cells) and room >= _width(cells[end : end + 1]):
        room -= _width(cells[end : end + 1])
        end += 1
    shown = cells[start:end]
    if start:
        shown[0] = "…"
    if end < len(cells):
        shown.append("…")
    return shown, first - start, min(last, end) - start


def _visible(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else _TAB if character == "\t" else f"<U+{ord(character):04X}>"
    if unicodedata.category(character)[0] == "C" or character in "\u2028\u2029\u034f\u115f\u1160\u3164\uffa0":
        return f"<U+{ord(character):04X}>"
    return character


def _width(cells: list[str]) -> int:
    """Columns on a terminal, where East Asian characters take two and combining ones none."""
    text = "".join(cells)
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)
