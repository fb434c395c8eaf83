"""Mistakes that show only in a whole phrase. Where a phrase can be read in two ways, both are shown."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Fix, Place
from ruleengine.source import Span
from ruleengine.syntax import nodes
from ruleengine.syntax.token import Token
from ruleengine.syntax.wording import format_expression

Parts = list[Any]

LONGEST_READING = 160


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The word that was probably meant; None where none comes near."""
    candidates = list(words)
    if len(word) > 40:
        return None
    swapped = {
        word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1)
    }  # two letters changed places, which difflib counts as much
    return next((w for w in candidates if w in swapped), None) or next(
        iter(get_close_matches(word, candidates, 1, 0.7)), None
    )


def clip(text: str, most: int = LONGEST_READING) -> str:
    """The text in one line of at most so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _text(part: Any) -> str:
    match part:
        case Token():
            return part.text
        case nodes.Node():
            return format_expression(part)  # type: ignore[arg-type]
        case _:
            return " ".join(token.text for token in part.values)


def _joined(parts: Iterable[Any]) -> str:
    return " ".join(_text(part) for part in parts).replace("( ", "(").replace(" )", ")").replace(" ,", ",")


def mixed_junction(parts: Parts) -> nodes.Expression:
    """Report `a and b or c` with both readings; answers the one in which `and` binds closer."""
    first = parts[1]
    other = next(word for word in parts[1::2] if word.type != first.type)
    other.reading.problems.append(
        codes.mixed_and_or(
            other.span,
            Place(first.span, "other-word", {"word": first.text}),
            word=other.text,
            other=first.text,
            first=clip(_runs(parts, "AND")),
            second=clip(_runs(parts, "OR")),
        )
    )
    groups: list[Parts] = [[parts[0]]]
    for word, item in zip(parts[1::2], parts[2::2], strict=True):
        if word.type == "AND":
            groups[-1].append(item)
        else:
            groups.append([item])
    return nodes.Junction(_whole(parts), "or", tuple(_all(group) for group in groups))


def _all(items: Parts) -> nodes.Expression:
    return nodes.Junction(_whole(items), "and", tuple(items)) if len(items) > 1 else items[0]


def _whole(parts: Parts) -> Span:
    return Span(parts[0].span.source, parts[0].span.start, parts[-1].span.end)


def _runs(parts: Parts, terminal: str) -> str:
    """The phrase with parentheses around each run of one of its words."""
    runs: list[Parts] = [[parts[0]]]
    words: list[str] = []
    for word, item in zip(parts[1::2], parts[2::2], strict=True):
        if word.type == terminal:
            runs[-1] += [word, item]
        else:
            words.append(word.text)
            runs.append([item])
    texts = [f"({_joined(run)})" if len(run) > 1 else _joined(run) for run in runs]
    return " ".join([texts[0], *(f"{word} {text}" for word, text in zip(words, texts[1:], strict=True))])


def several_comparisons(parts: Parts) -> None:
    """Report `1 < x < 5` with the same as two comparisons."""
    pairs = [parts[i : i + 3] for i in range(0, len(parts) - 2, 2)]
    joined = " and ".join(_joined(pair) for pair in pairs)
    signs = [relation.word.type for relation in parts[1::2]]
    between = None
    if signs == ["LESS_OR_EQUAL"] * 2:
        between = f"{_text(parts[2])} between {_text(parts[0])} and {_text(parts[4])}"
    elif signs == ["MORE_OR_EQUAL"] * 2:
        between = f"{_text(parts[2])} between {_text(parts[4])} and {_text(parts[0])}"
    span = _whole(parts)
    parts[3].word.reading.problems.append(
        codes.chained_comparison(
            parts[3].span,
            Place(parts[1].span, "first-comparison"),
            fix=Fix(span, between or joined),
            joined=clip(joined),
            between=clip(between) if between else None,
        )
    )


def default_beside(parts: Parts) -> None:
    """Report `x default 0` beside an operator, with both readings."""
    for at, part in enumerate(parts):
        if not isinstance(part, nodes.Default):
            continue
        before, after = _joined(parts[:at]), _joined(parts[at + 1 :])
        before += " " if before not in ("", "-") else ""
        operand, value = format_expression(part.operand), format_expression(part.value)
        second = None
        if not before:
            second = f"{operand} default ({value} {after})"
        elif not after:
            second = f"({before}{operand}) default {value}"
        token = next(p if isinstance(p, Token) else p.word for p in parts if not isinstance(p, nodes.Node))
        token.reading.problems.append(
            codes.default_beside(
                part.span,
                first=clip(f"{before}({operand} default {value}) {after}".strip()),
                second=clip(second) if second else None,
            )
        )
