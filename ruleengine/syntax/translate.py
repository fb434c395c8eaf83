"""Rule text as the formatter lays it out, its English words to Chinese ones."""

from collections.abc import Sequence
from decimal import Decimal
from functools import cache

from ruleengine.source import Source
from ruleengine.syntax import language
from ruleengine.syntax.parse import read_tokens
from ruleengine.syntax.parts import COLUMN_TYPES_IN_CHINESE, exact
from ruleengine.syntax.token import Token

_UNITS = {
    "DAY": "天",
    "DAYS": "天",
    "WEEK": "周",
    "WEEKS": "周",
    "MONTH": "个月",
    "MONTHS": "个月",
    "YEAR": "年",
    "YEARS": "年",
}
_PERIODS = {"MONTH": "月", "QUARTER": "季度", "YEAR": "年"}
_TYPES = {name: word for word, name in COLUMN_TYPES_IN_CHINESE.items()}


def to_chinese(text: str) -> str:
    """The same rules in Chinese. What names and quotes hold, and comments, stays as it is."""
    tokens = read_tokens(Source("", text))
    out: list[str] = []
    end = at = 0
    first = ""
    between = False
    while at < len(tokens):
        token = tokens[at]
        if token.begins_line and token.type in _BEGINNINGS:
            first = token.type
        count, word = _word(tokens, at, first, between)
        between = token.type == "BETWEEN" or (between and token.type != "AND")
        out += [text[end : token.start], word]
        end = tokens[at + count - 1].end
        at += count
    return "".join([*out, text[end:]])


_BEGINNINGS = {
    "LET",
    "METRIC",
    "SCORE",
    "TAG",
    "TIER",
    "CLASS",
    "DRAFT",
    "CHECK",
    "EXAMPLE",
    "ENTITY",
    "EVENTS",
    "MANUAL",
}


def _word(tokens: Sequence[Token], at: int, first: str, between: bool) -> tuple[int, str]:
    """How many tokens become one Chinese word, and which."""
    token = tokens[at]
    types = [later.type for later in tokens[at : at + 6]]
    match types:
        case ["LAST" | "PREVIOUS", "NUMBER", unit, *_]:
            return 3, f"{'近' if token.type == 'LAST' else '前'}{tokens[at + 1].text}{_UNITS[unit]}"
        case ["WITHIN", "NUMBER", unit, *_] if unit in _UNITS:
            return 3, f"近{tokens[at + 1].text}{_UNITS[unit]}内"
        case ["THIS", unit, *_]:
            return 2, f"本{_PERIODS[unit]}"
        case ["PREVIOUS", unit, *_]:
            return 2, f"上{_PERIODS[unit]}" if unit != "YEAR" else "去年"
        case ["IS", "FRESH", "WITHIN", "NUMBER", unit, *_]:
            return 5, f"更新于 {tokens[at + 3].text}{_UNITS[unit]}内"
        case ["NUMBER", unit, *_] if unit in _UNITS:
            return 2, f"{token.text}{_UNITS[unit]}"
        case ["NUMBER", *_]:
            return 1, _number(token.text)
        case ["TYPE", *_]:
            return 1, _TYPES[token.text]
        case ["THEN", *_] if first == "LET":
            return 1, "此后"
        case ["FROM", "DATE", *_]:
            return 1, "从"
        case ["TO", "QUOTED", *_]:
            return 1, "变为"
        case ["AND", *_] if between:
            return 1, "和"
        case _:
            pass
    for terminals, phrase in _phrases():
        if types[: len(terminals)] == terminals:
            return len(terminals), phrase
    spellings = language.spellings().get(token.type, {}).get("zh")
    return 1, spellings[0] if spellings else token.span.text


@cache
def _phrases() -> list[tuple[list[str], str]]:
    """Terminals and the word for them, the most of them first."""
    found: dict[str, str] = {}
    for phrase, words in language.phrases().items():
        found.setdefault(words, phrase)
    terminal = language.terminal_of_word()
    pairs = [([terminal[word] for word in words.split()], phrase) for words, phrase in found.items()]
    return sorted(pairs, key=lambda pair: -len(pair[0]))


def _number(text: str) -> str:
    """A round number in 万 or 亿: 12_000 is 1.2万; 12000 stays, so that the way back leads there too."""
    if "%" in text or "." in text or "_" not in text or text != f"{(value := int(exact(text))):_}":
        return text
    for unit, sign in ((10**8, "亿"), (10**4, "万")):
        if value >= unit and value % (unit // 100) == 0:
            return f"{(value / Decimal(unit)).normalize():f}{sign}"
    return text
