"""What could stand at a place, in words: never the names of terminals."""

from collections.abc import Sequence
from typing import Any

from ruleengine.diagnostics.problem import Choices, Word
from ruleengine.syntax import language
from ruleengine.syntax.token import Token


def expects_operand(expected: set[str]) -> bool:
    return {"NAME", "NUMBER", "QUOTED"} <= expected


def in_words(expected: set[str], before: Sequence[Token], opened: bool) -> dict[str, Any]:
    """What could stand behind these tokens of a statement: the facts `expected`, and what it names."""
    first = before[0]
    choices: list[str] = []
    words = {name: language.spelled(name, first) for name in language.keywords()}
    rest = set(expected)
    if expects_operand(rest):
        choices.append(Word("expect-value"))
        rest &= {"DISTINCT", "CLOSE"}
    elif "NUMBER" in rest and "QUOTED" in rest:
        choices.append(Word("expect-literal"))
        rest = set()
    if "PLUS" in rest:
        choices.append(Word("expect-operator"))
        rest -= {
            "EQUAL",
            "UNEQUAL",
            "LESS",
            "LESS_OR_EQUAL",
            "MORE",
            "MORE_OR_EQUAL",
            "PLUS",
            "MINUS",
            "TIMES",
            "OVER",
        }
        rest -= {
            "IS",
            "IN",
            "BETWEEN",
            "STARTS",
            "ENDS",
            "CONTAINS",
            "NOT",
            "DEFAULT",
            "DURING",
            "OPEN",
            "DOT",
            "LOWEST",
            "WITHIN",
            "TIES",
            "AMONG",
        }
    if {"DAYS", "WEEKS"} <= rest:
        choices.append(Word("expect-unit"))
        rest -= {"DAY", "DAYS", "WEEK", "WEEKS", "MONTH", "MONTHS", "YEAR", "YEARS"}
    if "EQUAL" in rest:
        rest.discard("QUOTED")
    if "COMMA" in rest:
        rest.discard("OPEN")
    clauses = [name for name in words if name in rest & _CLAUSES]
    unused = [name for name in clauses if all(token.type != name for token in before)]
    if len(clauses) > 3:
        rest -= _CLAUSES
    for terminal, phrase in _PHRASES.items():
        if terminal in rest:
            choices.append(phrase)
            rest.discard(terminal)
    if not opened:
        rest.discard("CLOSE")
    choices += [f"`{words[name]}`" for name in words if name in rest]
    if len(clauses) > 3:
        choices.append(Word("expect-part"))
    if "CLOSE" in rest and opened:
        choices.append("`)`")
    if not choices:
        choices.append(Word("expect-end"))
    part = words[(unused or clauses)[0]] if clauses else ""
    return {"expected": Choices(choices), "statement": first.text, "part": part}


_CLAUSES = {
    "WHEN",
    "UNLESS",
    "UNTIL",
    "KEEP",
    "IF",
    "LIMIT",
    "FORMERLY",
    "BECAUSE",
    "OWNER",
    "REVIEW",
    "HOLD",
    "GRACE",
    "FALL",
    "NEVER",
}
"""Words that begin a part of a tag, tier or class."""

_PHRASES = {
    "NAME": Word("expect-name"),
    "QUOTED": Word("expect-text"),
    "NUMBER": Word("expect-number"),
    "DATE": Word("expect-date"),
    "ROW": Word("expect-row"),
    "EQUAL": "`=`",
    "OPEN": "`(`",
    "COMMA": "`,`",
    "DOT": "`.`",
    "MINUS": "`-`",
}
