"""Where statements begin, and how deep their expressions go, found before anything is parsed."""

import sys

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem
from ruleengine.syntax.token import Token

MAX_DEPTH = 32
MAX_OPERANDS = 100
# Passes walk trees by recursion, some frames for each level: of a rule as deep as these allow, and of the metrics that
# it names in turn. Python's usual 1,000 frames would end before the limits of the language do.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))

STATEMENTS = frozenset(
    {
        "entity",
        "events",
        "let",
        "metric",
        "score",
        "tag",
        "manual",
        "at",
        "tier",
        "class",
        "draft",
        "check",
        "example",
        "use",
    }
)

_ARITHMETIC = frozenset({"PLUS", "MINUS", "TIMES", "OVER"})
_OPERANDS = frozenset({"NAME", "NUMBER", "QUOTED", "DATE", "CLOSE"})
_PREFIXES = frozenset({"not", "days"})
_JOINTS = frozenset(
    {
        "and",
        "or",
        "then",
        "else",
        "when",
        "unless",
        "where",
        "between",
        "in",
        "is",
        "default",
        "by",
        "within",
        "among",
        "add",
        "until",
        "while",
        "check",
    }
)
_BEHIND_OPERANDS = frozenset(
    {"and", "or", "then", "else", "when", "unless", "until", "where", "is", "was", "in", "between", "not", "starts"}
    | {"ends", "contains", "during", "default", "otherwise", "by", "within", "among", "lowest", "ties", "keep", "if"}
    | {"limit", "because", "owner", "review", "add", "to", "for", "exists", "text", "integer"}
    | {"decimal", "boolean", "date", "timestamp"}
)
"""Words that stand behind a name, and so show that the word before them is one."""
_CONDITIONS = frozenset({"when", "unless", "until", "while", "add"})
_COMPARISONS = frozenset({"EQUAL", "UNEQUAL", "LESS", "LESS_OR_EQUAL", "MORE", "MORE_OR_EQUAL"})


def is_statement_word(token: Token) -> bool:
    return token.type == "NAME" and token.word in STATEMENTS


def begins_statement(tokens: list[Token], at: int) -> bool:
    """Whether a statement begins here beyond doubt: on a new line, with words that stand nowhere else."""
    return tokens[at].begins_line and is_statement_word(tokens[at]) and begins_as(tokens, at, tokens[at].word)


def begins_as(tokens: list[Token], at: int, word: str) -> bool:
    """Whether the tokens behind the first are those of a statement that begins with the word."""
    if at + 1 >= len(tokens):
        return False
    follower = tokens[at + 1]
    beyond = tokens[at + 2] if at + 2 < len(tokens) else None
    match word:
        case "tag" | "example" | "use":
            return follower.type == "QUOTED"
        case "draft" | "manual":
            return follower.word in ("tag", "tier", "class")
        case "tier" | "class":
            return follower.type == "NAME" and (
                beyond is None or beyond.type == "QUOTED" or (beyond.begins_line and beyond.word not in ("is", "was"))
            )
        case "metric" | "let":
            return follower.type == "NAME" and beyond is not None and beyond.type in ("EQUAL", "QUOTED")
        case "score":
            return follower.type == "NAME" and (beyond is None or beyond.type == "QUOTED" or beyond.word == "add")
        case "entity" | "events":
            return follower.type == "NAME" and beyond is not None and beyond.word == "from"
        case "at":
            return follower.word == "most" and beyond is not None and beyond.word == "one"
        case _:
            return follower.type == "NAME" and follower.word not in _BEHIND_OPERANDS


class _Level:
    """What stands between two parentheses."""

    __slots__ = ("chain", "highest", "ifs", "prefixes")

    def __init__(self) -> None:
        self.chain = 0
        """Operators in the calculation being read; each makes its tree one higher."""
        self.highest = 0
        self.ifs = 0
        self.prefixes = 0


def too_deep(tokens: list[Token]) -> Problem | None:
    """The first place that is nested deeper, or is a longer calculation, than any pass has to bear."""
    levels = [_Level()]
    level = levels[0]
    outside = 0  # the depth at which the level lies
    before = ""
    for at, token in enumerate(tokens):
        kind, text = token.type, token.word
        if token.begins_line and begins_statement(tokens, at):
            levels = [level := _Level()]
            outside = 0
            before = ""
        if kind == "OPEN":
            outside += 1 + level.prefixes + level.ifs
            levels.append(level := _Level())
        elif kind == "CLOSE":
            if len(levels) > 1:
                inner = levels.pop()
                level = levels[-1]
                outside -= 1 + level.prefixes + level.ifs
                level.prefixes = 0
                level.chain = max(level.chain, inner.chain + 1, inner.highest + 1)
        elif kind in _ARITHMETIC and before in _OPERANDS:
            level.prefixes = 0
            level.chain += 1
            if level.chain > MAX_OPERANDS:
                return codes.calculation_too_long(token.span, most=MAX_OPERANDS)
        elif kind == "MINUS" or (kind == "NAME" and text in _PREFIXES and before != "NUMBER"):
            level.prefixes += 1
            kind = ""
        elif kind == "NAME" and text == "if":
            level.ifs += 1
            kind = ""
        elif kind == "COMMA" or kind in _COMPARISONS or text in _JOINTS:
            level.highest = max(level.highest, level.chain)
            level.chain = level.prefixes = 0
            if kind == "COMMA" or text in _CONDITIONS:
                level.ifs = 0
            kind = ""
        else:
            level.prefixes = 0
        before = kind
        if outside + level.prefixes + level.ifs > MAX_DEPTH:
            return codes.too_deep(token.span, most=MAX_DEPTH)
    return None
