"""What could stand at a place, in words: never the names of terminals."""

from collections.abc import Sequence

from ruleengine.syntax import language
from ruleengine.syntax.token import Token


def expects_operand(expected: set[str]) -> bool:
    return {"NAME", "NUMBER", "QUOTED"} <= expected


def in_words(expected: set[str], before: Sequence[Token], opened: bool) -> str:
    """What could stand behind these tokens of a statement, as a phrase."""
    first = before[0]
    choices: list[str] = []
    words = {name: language.spelled(name, first) for name in language.keywords()}
    rest = set(expected)
    if expects_operand(rest):
        choices.append("a value (a metric, a number, a quoted text or a date)")
        rest &= {"DISTINCT", "CLOSE"}
    elif "NUMBER" in rest and "QUOTED" in rest:
        choices.append("a number, a quoted text, a date, `true` or `false`")
        rest = set()
    if "PLUS" in rest:
        choices.append("an operator such as `>`")
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
        choices.append("`days`, `weeks`, `months` or `years`")
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
        choices.append(f"another part of the {first.text}, such as `{words[(unused or clauses)[0]]}`")
    if "CLOSE" in rest and opened:
        choices.append("`)`")
    if not choices:
        return f"the end of the `{first.text}` statement"
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


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
    "NAME": "a name",
    "QUOTED": "a text in quotes",
    "NUMBER": "a number",
    "DATE": "a date such as 2026-01-31",
    "ROW": "a row of a table, cells between `|`",
    "EQUAL": "`=`",
    "OPEN": "`(`",
    "COMMA": "`,`",
    "DOT": "`.`",
    "MINUS": "`-`",
}
