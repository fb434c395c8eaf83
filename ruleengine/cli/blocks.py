"""A report as headings, lines and tables, which a terminal and a pull request show each in its own way."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from ruleengine.cli.terminal import Terminal, columns, of_stream, plain


@dataclass(frozen=True, slots=True)
class Heading:
    text: str
    first: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as plain text; columns are set to the right unless they are named in `left`."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: frozenset[int] = field(default=frozenset({0}))


Block = Heading | Table | str
"""A text is a paragraph of its own."""


def shown(form: str, blocks: Callable[[Terminal], Iterable[Block]]) -> Iterator[str]:
    """The lines of a report as `text`, for standard output, or as `markdown`."""
    screen = of_stream()
    if form == "markdown":
        return as_markdown(blocks(Terminal(colour=False, unicode=True)))
    return as_text(blocks(replace(screen, colour=False)), screen)


def as_text(blocks: Iterable[Block], terminal: Terminal) -> Iterator[str]:
    for number, block in enumerate(blocks):
        if number and isinstance(block, Heading):
            yield ""
        match block:
            case Heading(text=text):
                yield terminal.bold(plain(text))
            case Table(head=head, rows=rows, left=left):
                right = frozenset(range(len(head))) - left
                first, *rest = columns([head, *rows] if any(head) else rows, right=right, indent=2)
                yield terminal.faint(first) if any(head) else first
                yield from rest
            case str():
                yield f"  {plain(block)}"


def as_markdown(blocks: Iterable[Block]) -> Iterator[str]:
    """GitHub's and GitLab's Markdown. Nothing in a name or a value can be read as markup, or calls somebody."""
    for number, block in enumerate(blocks):
        if number:
            yield ""
        match block:
            case Heading(text=text, first=first):
                yield f"{'##' if first else '###'} {escaped(text)}"
            case Table(head=head, rows=rows, left=left):
                for place, row in enumerate([head, *rows]):
                    yield f"| {' | '.join(map(escaped, row))} |"
                    if not place:
                        yield f"|{'|'.join('---' if column in left else '--:' for column in range(len(head)))}|"
            case str():
                yield escaped(block)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    marked = re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", plain(text))
    return marked.replace("@", "@\u200b")
