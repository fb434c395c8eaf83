"""Lines of a statement: what stands on each, how far in, and where in the source it begins."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from ruleengine.source import Span
from ruleengine.syntax import nodes
from ruleengine.syntax.token import Token
from ruleengine.syntax.wording import format_expression, quoted

WIDTH = 100
INDENT = 4


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a statement: it begins `back` tokens before the offset `at`; with `closes`, at the `)` behind."""

    indent: int
    text: str
    at: int
    back: int = 0
    closes: bool = False

    @property
    def fits(self) -> bool:
        return self.indent + len(self.text) <= WIDTH

    def __str__(self) -> str:
        return " " * self.indent + self.text


@dataclass(frozen=True, slots=True)
class Comments:
    """Where the comments inside of a statement begin. What holds one is broken into lines, as it was written."""

    starts: Sequence[int] = ()
    tokens: Sequence[Token] = ()
    """Those of the source; needed only where there are comments."""

    def __bool__(self) -> bool:
        return bool(self.starts)

    def within(self, first: Span, last: Span) -> bool:
        return bisect_right(self.starts, first.start) < bisect_left(self.starts, last.end)

    def find(self, behind: int, *words: str) -> int:
        """Where these words begin behind an offset."""
        first = bisect_left(self.tokens, behind, key=lambda token: token.start)
        for at in range(first, len(self.tokens) - len(words) + 1):
            if all(token.word == word for token, word in zip(self.tokens[at:], words, strict=False)):
                return self.tokens[at].start
        return behind


NONE = Comments()


def expression_lines(
    prefix: str,
    expression: nodes.Expression,
    indent: int,
    at: int,
    back: int = 0,
    suffix: str = "",
    comments: Comments = NONE,
) -> list[Line]:
    """An expression behind its first words; where it is too long, a line for each of its parts."""
    gap = "" if prefix.endswith("(") or not prefix else " "
    line = Line(indent, f"{prefix}{gap}{format_expression(expression)}{suffix}", at, back)
    deeper = indent + INDENT
    match expression:
        case nodes.Junction(operator=operator, items=items) if not line.fits or comments.within(
            items[0].span, items[-1].span
        ):
            lines = expression_lines(prefix, items[0], indent, at, back, comments=comments)
            for item in items[1:]:
                end = suffix if item is items[-1] else ""
                lines += expression_lines(operator, item, deeper, item.span.start, 1, end, comments)
            return lines
        case nodes.Group(inner=inner) if not line.fits or comments.within(inner.span, inner.span):
            return expression_lines(f"{prefix}{gap}(", inner, indent, at, back, f"){suffix}", comments)
        case nodes.Not(operand=operand) if not line.fits or comments.within(operand.span, operand.span):
            return expression_lines(f"{prefix}{gap}not", operand, indent, at, back, suffix, comments)
        case nodes.Conditional(condition=condition, then=then, otherwise=otherwise) if not line.fits or comments.within(
            condition.span, otherwise.span
        ):
            return [
                *expression_lines(f"{prefix}{gap}if", condition, indent, at, back, comments=comments),
                *expression_lines("then", then, deeper, then.span.start, 1, comments=comments),
                *expression_lines("else", otherwise, deeper, otherwise.span.start, 1, suffix, comments),
            ]
        case _:
            return [line]


def one_line(lines: Sequence[Line], start: int, indent: int = 0, back: int = 0) -> Line:
    return Line(indent, " ".join(line.text for line in lines), start, back)


def value_lines(head: str, values: Sequence[nodes.Expression], indent: int, at: int, back: int) -> list[Line]:
    """Values in a row, as many on a line as fit."""
    lines: list[Line] = []
    text = head
    for index, value in enumerate(values):
        piece = format_expression(value) + ("," if index < len(values) - 1 else "")
        if index and indent + len(text) + len(piece) > WIDTH:
            lines.append(Line(indent, text.rstrip(), at, back))
            text, at, back, indent = "", value.span.start, 0, indent if lines[1:] else indent + INDENT
        text += f"{piece} "
    lines.append(Line(indent, text.rstrip(), at, back))
    return lines


def format_formerly(names: Sequence[nodes.Text]) -> str:
    return f" formerly {', '.join(quoted(name.value) for name in names)}" if names else ""
