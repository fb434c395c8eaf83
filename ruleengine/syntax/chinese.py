"""Chinese words of the language: what they mean, and where one ends that touches what follows."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from ruleengine.syntax import language
from ruleengine.syntax.token import Token

TOUCHING = frozenset(
    {
        "且",
        "并且",
        "或",
        "或者",
        "当",
        "除非",
        "直到",
        "因为",
        "否则",
        "如果",
        "则",
        "其中",
        "介于",
        "来自",
        "属于",
        "指标",
    }
    | {"期望", "给定", "限于", "排名前", "排名后", "有标签", "曾有标签", "距今天数", "剩余天数", "周年剩余天数"}
)
"""Words that no name begins with, so that they may touch a name behind them."""

_TOUCHING_NUMBERS = frozenset(
    {"加", "按", "至", "到", "和", "默认", "覆盖", "变动", "限额", "保留", "保级", "宽限", "有效期", "抽样", "更新于"}
    | {"占比至少", "至少", "至多", "最多", "期间"}
)
"""Words that may touch a number behind them."""

_UNITS = {"天": "days", "日": "day", "周": "weeks", "个月": "months", "月": "month", "年": "years"}
_PERIODS = {"月": "month", "个月": "month", "季": "quarter", "季度": "quarter", "个季度": "quarter", "年": "year"}


@dataclass(frozen=True, slots=True)
class Piece:
    """So many characters, and the words of the language that they mean."""

    length: int
    words: tuple[str, ...] = ()
    terminal: str = "NAME"
    """What it is; nothing at all where it only sounds better."""


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_ENDS = rf"(?=$|\W|{_any(TOUCHING)})"
_WITHIN = r"(?:以内|之内|内)?"
_COUNTED = re.compile(rf"(近|最近|过去|前)([0-9]+(?:_[0-9]+)*)({_any(_UNITS)}){_WITHIN}{_ENDS}")
_CALENDAR = re.compile(rf"(?:(本|上)({_any(_PERIODS)})|(今|去)(年)){_ENDS}")
_UNIT = re.compile(rf"({_any(_UNITS)}){_WITHIN}{_ENDS}")
_MEASURE = re.compile(rf"[名位]{_ENDS}")
_TOUCHES = re.compile(rf"(?:{_any(TOUCHING)})|(?:{_any(_TOUCHING_NUMBERS)})(?=[0-9])")
_DURING = re.compile(rf"期间(?={_COUNTED.pattern}|{_CALENDAR.pattern})")
_FIGURE = re.compile(r"[0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?(?:万亿|万|亿|%)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@cache
def meanings() -> dict[str, tuple[tuple[str, ...], ...]]:
    """What each Chinese word means: one of several words or phrases of the language."""
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for spellings in language.spellings().values():
        for word in spellings.get("zh", ()):
            found[word] = (*found.get(word, ()), (spellings["en"][0],))
    for word, meant in language.phrases().items():
        found[word] = (*found.get(word, ()), tuple(meant.split()))
    return found


def pieces(run: str, behind_number: bool) -> list[Piece]:
    """What a run of letters and digits begins with: words of the language, or as a whole a name."""
    if behind_number:
        if unit := _UNIT.match(run):
            return [Piece(unit.end(), (_UNITS[unit[1]],))]
        if measure := _MEASURE.match(run):
            return [Piece(measure.end(), terminal="")]
    if window := _COUNTED.match(run):
        first = Piece(len(window[1]), ("previous" if window[1] == "前" else "last",))
        end = window.end() - window.end(2)
        return [first, Piece(len(window[2]), terminal="NUMBER"), Piece(end, (_UNITS[window[3]],))]
    if calendar := _CALENDAR.match(run):
        which, period = calendar[1] or calendar[3], calendar[2] or calendar[4]
        this = "this" if which in "本今" else "previous"
        return [Piece(len(which), (this,)), Piece(calendar.end() - len(which), (_PERIODS[period],))]
    known = meanings()
    if run in known:
        return [Piece(len(run), known[run][0])]
    touching = _DURING.match(run) or _TOUCHES.match(run)
    if touching:
        return [Piece(touching.end(), known[touching[0]][0])]
    return [Piece(len(run))]


def touches(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word touches a name, which then seems to begin with it."""
    follower = tokens[at + 1] if at + 1 < len(tokens) else None
    joined = follower is not None and follower.type == "NAME" and follower.start == tokens[at].end
    return joined and tokens[at].text in TOUCHING


def number_before(text: str) -> int:
    """How many characters of a figure are a number, or a day, that a Chinese word touches; 0 where none does."""
    number = _DAY.match(text) or _FIGURE.match(text)
    rest = text[number.end() :] if number else ""
    if not number or not rest:
        return 0
    follows = _UNIT.match(rest) or _MEASURE.match(rest) or _TOUCHES.match(rest) or rest in meanings()
    return number.end() if follows else 0


def language_of(tokens: Sequence[Token]) -> str:
    """The language of most words of the language among the tokens."""
    chinese = sum(token.text in meanings() for token in tokens if not token.text.isascii())
    english = sum(token.text in language.terminal_of_word() for token in tokens if token.text.isascii())
    return "zh" if chinese > english else "en"
