"""A word, literal or sign of a text, and the reading that it belongs to."""

from dataclasses import dataclass, field

from ruleengine.diagnostics.problem import Problem
from ruleengine.source import Source, Span


@dataclass(slots=True)
class Reading:
    """One source being read, and what was found wrong with it."""

    source: Source
    problems: list[Problem] = field(default_factory=list)


class Token:
    """One word, literal or sign. Its type is its terminal: of words NAME, until the parser knows better."""

    __slots__ = ("begins_line", "end", "reading", "start", "text", "type", "why", "word")

    def __init__(
        self,
        terminal: str,
        text: str,
        start: int,
        end: int,
        begins_line: bool,
        reading: Reading,
        why: Problem | None = None,
        word: str | None = None,
    ) -> None:
        self.type = terminal
        self.text = text
        """As it is read: full-width forms outside quotes are plain."""
        self.word = word or text
        """Of a word of the language: its first spelling in English, whatever language it is written in."""
        self.start = start
        self.end = end
        self.begins_line = begins_line
        self.reading = reading
        self.why = why
        """Of a BROKEN token: what is wrong with it."""

    def read_as(self, terminal: str) -> "Token":
        self.type = terminal
        return self

    @property
    def span(self) -> Span:
        return Span(self.reading.source, self.start, self.end)

    def __repr__(self) -> str:
        return f"{self.type}({self.text!r})"


BROKEN = "BROKEN"
"""The type of what is no word of the language; it carries its problem in `why`."""
END = "$END"
