"""Tables in examples: rows of cells between `|`."""

import re
import unicodedata
from itertools import zip_longest

from ruleengine.diagnostics import codes
from ruleengine.source import Span
from ruleengine.syntax import nodes
from ruleengine.syntax.token import Token

_CELL = re.compile(r'\|([^\S\r\n]*+"(?:[^"\r\n]|"")*+"[^\S\r\n]*+(?=\|)|[^|\r\n]*+)(?=\|)')
_COLUMN = re.compile(r"[^\W\d]\w*")

Rows = tuple[tuple[nodes.Text, ...], ...]


def table(rows: list[Token]) -> tuple[tuple[nodes.Name, ...], Rows]:
    """The columns and rows of a table. A column without a name is a problem; how long rows are is for the checker."""
    head, *body = rows
    columns = _cells(head)
    for column in columns:
        if not _COLUMN.fullmatch(column.value):
            at = column.span if column.value else head.span
            head.reading.problems.append(codes.table_header(at, written=column.value or None))
    names = tuple(nodes.Name(column.span, unicodedata.normalize("NFC", column.value)) for column in columns)
    return names, tuple(_cells(row) for row in body)


def _cells(row: Token) -> tuple[nodes.Text, ...]:
    """The cells as written, without the blanks around them."""
    found = []
    for match in _CELL.finditer(row.text):
        text = row.span.text[match.start(1) : match.end(1)]
        start = row.start + match.start(1) + len(text) - len(text.lstrip())
        text = text.strip()
        found.append(nodes.Text(Span(row.reading.source, start, start + len(text)), text))
    return tuple(found)


def aligned(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """The lines of a table, its cells below one another."""
    lines = [head, *rows]
    widths = [max(map(_width, column)) for column in zip_longest(*lines, fillvalue="")]
    return [
        f"| {' | '.join(cell + ' ' * (width - _width(cell)) for cell, width in zip(line, widths, strict=False))} |"
        for line in lines
    ]


def _width(text: str) -> int:
    """Columns on a screen, where East Asian characters take two and combining ones none."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)
