"""What could stand at a place, in words: never the names of terminals."""

from ruleengine.syntax import language
from ruleengine.syntax.token import Token


def expects_operand(expected: set[str]) -> bool:
    return {"NAME", "NUMBER", "QUOTED"} <= expected


def in_words(expected: set[str], first: Token, opened: bool) -> str:
    """What could stand at a place of the statement that begins with `first`, as a phrase."""
    choices: list[str] = []
    words = language.keywords()
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
    for terminal, phrase in _PHRASES.items():
        if terminal in rest:
            choices.append(phrase)
            rest.discard(terminal)
    if not opened:
        rest.discard("CLOSE")
    choices += [f"`{words[name][0]}`" for name in words if name in rest]
    if "CLOSE" in rest and opened:
        choices.append("`)`")
    if not choices:
        return f"the end of the `{first.text}` statement"
    return choices[0] if len(choices) == 1 else f"{', '.join(choices[:-1])} or {choices[-1]}"


_PHRASES = {
    "NAME": "a name",
    "QUOTED": "a text in quotes",
    "NUMBER": "a number",
    "DATE": "a date such as 2026-01-31",
    "EQUAL": "`=`",
    "OPEN": "`(`",
    "COMMA": "`,`",
    "DOT": "`.`",
    "MINUS": "`-`",
}
