"""The canonical layout of rule files: the same meaning, the same comments, one way to write them."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.source import Source, Span
from ruleengine.syntax import nodes
from ruleengine.syntax.layout import lay_out
from ruleengine.syntax.lines import Comments, Line
from ruleengine.syntax.parse import Parsed, parse
from ruleengine.syntax.scan import scan
from ruleengine.syntax.token import Token
from ruleengine.syntax.translate import to_chinese
from ruleengine.syntax.wording import format_expression, format_window, quoted

__all__ = ["format_expression", "format_file", "format_statement", "format_window", "quoted"]

_SETTLED_BY = 8


def format_statement(statement: nodes.Statement) -> str:
    """The canonical text of one statement, without its comments. It parses to the same tree."""
    return "\n".join(map(str, lay_out(statement)))


def format_file(parsed: Parsed, language: str | None = None) -> str:
    """The canonical text of a rule file, comments and paragraphs kept; formatting it again changes nothing.

    It is written in the language named, `en` or `zh`, or else in that of most of its words.
    Raises ProblemError where the file has errors, because what could not be read could not be written either.
    """
    errors = [problem for problem in parsed.problems if problem.is_error]
    if errors:
        raise ProblemError(*errors)
    text, settled = _format(parsed)
    # A comment inside of a statement can come to stand outside, and then the statement may fit on one line.
    for _ in range(_SETTLED_BY):
        if settled:
            break
        before = text
        text, settled = _format(parse(Source(parsed.file.span.source.path, text)))
        settled = settled or text == before
    return to_chinese(text) if (language or parsed.language) == "zh" else text


def _format(parsed: Parsed) -> tuple[str, bool]:
    """The text, and whether formatting it again surely leaves it so."""
    source = parsed.file.span.source
    statements, comments = parsed.file.statements, parsed.comments
    inner = [_inside(statement, comments) for statement in statements]
    settled = not any(inner)
    tokens = [] if settled else scan(source).tokens
    inside = {comment.start for group in inner for comment in group}
    outer = [comment for comment in comments if comment.start not in inside]
    items: list[nodes.Statement | Span] = sorted(
        (*statements, *outer), key=lambda item: item.start if isinstance(item, Span) else item.span.start
    )
    within = {statement.span.start: group for statement, group in zip(statements, inner, strict=True)}
    lines: list[str] = []
    end = 0
    commented = False  # whether the last line ends with a comment
    for item in items:
        span = item if isinstance(item, Span) else item.span
        gap = source.text[end : span.start]
        if isinstance(item, Span) and lines and "\n" not in gap and not commented:
            lines[-1] += f"  {_text(item)}"
            commented = True
        else:
            if lines and gap.count("\n") > 1:
                lines.append("")
            if isinstance(item, Span):
                lines.append(_text(item))
                commented = True
            else:
                new, commented = _lines(item, within[span.start], tokens)
                lines += new
        end = span.end
    return "\n".join(lines) + "\n" if lines else "", settled


def _inside(statement: nodes.Statement, comments: Sequence[Span]) -> Sequence[Span]:
    """The comments inside of a statement."""
    first = bisect_left(comments, statement.span.start, key=lambda comment: comment.start)
    last = bisect_left(comments, statement.span.end, key=lambda comment: comment.start)
    return comments[first:last]


def _text(comment: Span) -> str:
    return comment.text.rstrip()


def _lines(statement: nodes.Statement, comments: Sequence[Span], tokens: Sequence[Token]) -> tuple[list[str], bool]:
    """The lines of a statement, the comments inside of it where they were: at a line's end, or above one.

    Also whether the last one ends with a comment.
    """
    lines = lay_out(statement, Comments([comment.start for comment in comments], tokens))
    if not comments:
        return [str(line) for line in lines], False
    starts = [_start(line, tokens) for line in lines]
    # A comment behind the word that joins two lines belongs to the upper one.
    contents = [start if line.closes else line.at for line, start in zip(lines, starts, strict=True)]
    above: dict[int, list[str]] = {}
    behind: dict[int, str] = {}
    for comment in comments:
        follower = bisect_left(tokens, comment.start, key=lambda token: token.start)
        if "\n" in comment.source.text[tokens[follower - 1].end : comment.start]:
            number = bisect_right(starts, tokens[follower].start) - 1
        else:
            number = bisect_right(contents, comment.start) - 1
            if number not in behind and number + 1 not in above:
                behind[number] = _text(comment)
                continue
            number += 1
        above.setdefault(number, []).append(_text(comment))
    found: list[str] = []
    for number, line in enumerate(lines):
        found += [" " * line.indent + comment for comment in above.get(number, ())]
        found.append(f"{line}  {behind[number]}" if number in behind else str(line))
    found += above.get(len(lines), ())
    return found, len(lines) - 1 in behind or len(lines) in above


def _start(line: Line, tokens: Sequence[Token]) -> int:
    """Where in the source the first word of a line stands."""
    index = bisect_left(tokens, line.at, key=lambda token: token.start)
    if line.closes:
        while tokens[index].type != "CLOSE":
            index += 1
    return tokens[index - line.back].start
