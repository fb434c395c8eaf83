"""What the builders share: parts of what the grammar recognised, and clauses by their first word."""

import unicodedata
from collections.abc import Container, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Word
from ruleengine.source import Span
from ruleengine.syntax import nodes
from ruleengine.syntax.phrases import clip
from ruleengine.syntax.token import Reading, Token

Parts = list[Any]

_POWERS = {"%": -2, "万": 4, "亿": 8}
MOST_DAYS = 36_600
"""The longest window, about a hundred years."""
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 366}


COLUMN_TYPES_IN_CHINESE = {
    "文本": "text",
    "整数": "integer",
    "小数": "decimal",
    "布尔": "boolean",
    "日期": "date",
    "时间戳": "timestamp",
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One part of a statement, by its first word."""

    word: Token
    values: Parts
    span: Span


def span_of(parts: Parts) -> Span:
    first, last = parts[0].span, parts[-1].span
    return Span(first.source, first.start, last.end)


def name_of(token: Token) -> nodes.Name:
    text = token.text
    return nodes.Name(token.span, text if text.isascii() else unicodedata.normalize("NFC", text))


def has(parts: Parts, *terminals: str) -> bool:
    return any(isinstance(part, Token) and part.type in terminals for part in parts)


def exact(text: str) -> Decimal:
    """The value of a number as written: `10_000`, `0.5`, `20%`, `1万`."""
    plain = text.rstrip("%万亿")
    sign, digits, exponent = Decimal(plain.replace("_", "")).as_tuple()
    power = cast(int, exponent) + sum(_POWERS[sign] for sign in text[len(plain) :])
    if power > 0:
        digits, power = digits + (0,) * power, 0
    return Decimal((sign, digits, power))


def unquoted(text: str) -> str:
    inner = text[1:-1]
    return inner.replace('""', '"') if text[0] == '"' else inner


def by_word(parts: Parts) -> dict[str, Clause]:
    """The clauses by their first word; one that stands twice is a problem."""
    found: dict[str, Clause] = {}
    for part in parts:
        if isinstance(part, Clause):
            first = found.setdefault(part.word.type, part)
            if first is not part:
                part.word.reading.problems.append(
                    codes.repeated_clause(
                        part.span,
                        Place(first.span, "first-clause"),
                        word=part.word.text,
                        condition=part.word.text if part.word.type in ("WHEN", "UNLESS", "UNTIL", "WHERE") else None,
                    )
                )
    return found


def complete(reading: Reading, named: Span, clauses: Container[str], *needed: str) -> bool:
    """Whether a statement has the clauses it cannot do without; the first that lacks is a problem."""
    lacking = next((terminal for terminal in needed if terminal not in clauses), None)
    if lacking is not None:
        word = lacking.lower()
        statement = clip(named.text, 60)
        reading.problems.append(
            codes.missing_clause(named, statement=statement, word=Word(word), example=Word(f"example-{word}"))
        )
    return lacking is None


def value_of(clauses: Mapping[str, Clause], terminal: str) -> Any:
    return clauses[terminal].values[-1] if terminal in clauses else None


def texts_of(clauses: Mapping[str, Clause], terminal: str) -> tuple[nodes.Text, ...]:
    values = clauses[terminal].values if terminal in clauses else []
    return tuple(value for value in values if isinstance(value, nodes.Text))


def length(number: Token, unit_word: Token, what: Word) -> tuple[int, nodes.Unit]:
    """How many days, weeks, months or years; a problem where that is not a sensible whole number."""
    unit: Any = unit_word.type.lower().removesuffix("s")
    count = exact(number.text)
    most = MOST_DAYS // _DAYS[unit]
    if count == int(count) and 1 <= count <= most:
        return int(count), unit
    number.reading.problems.append(
        codes.window_length(number.span, what=what, written=number.text, unit=Word(unit), most=f"{most:_}")
    )
    return 1, unit


def whole(number: Token) -> int:
    """A whole number of customers; a problem where it is none."""
    count = exact(number.text)
    if not number.text.endswith("%") and count == int(count) and count >= 1:
        return int(count)
    number.reading.problems.append(codes.limit_number(number.span, written=number.text))
    return 1
