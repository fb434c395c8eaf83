"""From text to the syntax tree."""

from dataclasses import dataclass

from lark import UnexpectedToken

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, Problems
from ruleengine.source import Source, Span
from ruleengine.syntax import chinese, language, mistakes, nodes
from ruleengine.syntax.nesting import begins_as, begins_statement, is_statement_word
from ruleengine.syntax.scan import Scan, scan
from ruleengine.syntax.token import END, Token

MAX_PROBLEMS = 200
"""Behind so many, reading a file stops: it is probably no rule file at all."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a text says, as far as it could be read, and all that is wrong with how it is written."""

    file: nodes.File
    comments: tuple[Span, ...]
    problems: tuple[Problem, ...]
    language: str = "en"
    """Of most of its words: `en` or `zh`."""

    @property
    def has_errors(self) -> bool:
        return any(problem.is_error for problem in self.problems)


def parse(source: Source) -> Parsed:
    """Read a rule file: every statement that is written well, one problem for each mistake. Takes any text."""
    scanned = scan(source)
    statements = _Statements(scanned).read()
    file = nodes.File(Span(source, 0, len(source.text)), tuple(statements))
    problems = list(Problems(scanned.reading.problems))
    if len(problems) > MAX_PROBLEMS:
        last = problems[MAX_PROBLEMS - 1]
        problems[MAX_PROBLEMS:] = [codes.too_many_mistakes(last.span, most=MAX_PROBLEMS)]
    return Parsed(file, scanned.comments, tuple(problems), chinese.language_of(scanned.tokens))


def read_tokens(source: Source) -> list[Token]:
    """The tokens of a rule file, each with the terminal that it turned out to be where it stands."""
    scanned = scan(source)
    _Statements(scanned).read()
    return scanned.tokens


class _Statements:
    """Reads one statement after another. Behind a mistake it goes on where the next statement begins."""

    def __init__(self, scanned: Scan) -> None:
        self.tokens = scanned.tokens
        self.problems = scanned.reading.problems
        self.found: list[nodes.Statement] = []

    def read(self) -> list[nodes.Statement]:
        at = 0
        while at < len(self.tokens) and len(self.problems) <= MAX_PROBLEMS:
            at = self._statement(at)
        return self.found

    def _statement(self, start: int) -> int:
        """Read the statement that begins here. Returns where the next one begins."""
        first = self.tokens[start]
        if not is_statement_word(first):
            self.problems.append(mistakes.explain_beginning(self.tokens, start))
            return self._next_statement(start)
        parser = language.Parser()
        at = start
        found = len(self.problems)
        while at < len(self.tokens):
            token = self.tokens[at]
            if at > start and self._begins(start, at):
                break
            terminal = _terminal(self.tokens, at, parser)
            if terminal is None and self._may_begin(at) and END in parser.choices():
                break
            if terminal is None or not parser.feed(token.read_as(terminal)):
                # What was wrong with its parts may only have been so because of this.
                self.problems[found:] = [mistakes.explain(self.tokens, start, at, self._expected(start, at))]
                return self._next_statement(start, at)
            at += 1
        try:
            statement = parser.end()
        except UnexpectedToken:
            self.problems[found:] = [mistakes.explain_end(self.tokens, start, at, self._expected(start, at))]
        else:
            if statement is not None:
                self.found.append(statement)
        return at

    def _begins(self, start: int, at: int) -> bool:
        """Whether a statement begins here beyond doubt. In an example a tag may stand on a line of its own."""
        listed = self.tokens[start].word == "example" and self.tokens[at - 1].word in (",", "given", "expect")
        return begins_statement(self.tokens, at) and not listed

    def _may_begin(self, at: int) -> bool:
        """Whether a statement may begin with a word that cannot stand in the one before it."""
        token = self.tokens[at]
        if is_statement_word(token):
            return token.word != "at" or begins_as(self.tokens, at, "at")
        return token.begins_line and mistakes.misspelled_beginning(self.tokens, at) is not None

    def _expected(self, start: int, at: int) -> set[str]:
        """What could stand at `at`. A second parser is asked: the first may have gone on before it saw the mistake."""
        found = len(self.problems)
        parser = language.Parser()
        for token in self.tokens[start:at]:
            parser.feed(token)
        del self.problems[found:]
        return parser.expected()

    def _next_statement(self, start: int, at: int | None = None) -> int:
        """Where to go on behind a mistake at `at` in the statement that began at `start`."""
        source = self.tokens[start].reading.source
        _, column = source.position(self.tokens[start].start)
        for later in range(max(start + 1, at or 0), len(self.tokens)):
            token = self.tokens[later]
            if not token.begins_line:
                continue
            if self._begins(start, later) or mistakes.misspelled_beginning(self.tokens, later):
                return later
            if not is_statement_word(token):
                continue
            if source.position(token.start)[1] <= column and not _is_operand(self.tokens, later):
                return later
        return len(self.tokens)


def _is_operand(tokens: list[Token], at: int) -> bool:
    """Whether these may be words of a statement: `tier loyalty is …`, `at ordered_at`."""
    follower = tokens[at + 2] if at + 2 < len(tokens) else None
    in_condition = follower is not None and follower.word in ("is", "was")
    if tokens[at].word == "at":
        return not begins_as(tokens, at, "at")
    return tokens[at].word in ("tier", "class") and in_condition


def _is_followed(tokens: list[Token], at: int, *types: str) -> bool:
    return at + 1 < len(tokens) and tokens[at + 1].type in types


def _terminal(tokens: list[Token], at: int, parser: language.Parser) -> str | None:
    """What a token is where it stands; None where it cannot stand."""
    token = tokens[at]
    choices = parser.choices()
    if token.type != "NAME":
        return token.type if token.type in choices else None
    meant = chinese.meanings().get(token.text, ()) if not token.text.isascii() else ()
    words = dict.fromkeys((token.word, *(words[0] for words in meant if len(words) == 1)))
    possible = [word for word in words if language.terminal_of_word().get(word) in choices]
    if len(possible) > 1:
        expected = parser.expected()
        possible = [word for word in possible if language.terminal_of_word()[word] in expected]
    if possible and not (possible[0] == "sample" and not _is_followed(tokens, at, "NUMBER", "QUOTED")):
        token.word = possible[0]
        return language.terminal_of_word()[token.word]
    reserved = "NUMBER" in choices and mistakes.is_reserved(tokens, at)
    if "NAME" not in choices or reserved or chinese.touches(tokens, at):
        return None
    return "NAME"
