"""From what the grammar recognised of conditions and calculations to nodes."""

from datetime import date
from typing import Any

from lark import Transformer

from ruleengine.diagnostics.problem import Word
from ruleengine.syntax import nodes
from ruleengine.syntax.parts import Clause, Parts, by_word, exact, has, length, name_of, span_of, unquoted, value_of
from ruleengine.syntax.phrases import default_beside, mixed_junction, several_comparisons
from ruleengine.syntax.token import Token

OPERATORS: dict[str, Any] = {
    "PLUS": "+",
    "MINUS": "-",
    "TIMES": "*",
    "OVER": "/",
    "EQUAL": "=",
    "UNEQUAL": "!=",
    "LESS": "<",
    "LESS_OR_EQUAL": "<=",
    "MORE": ">",
    "MORE_OR_EQUAL": ">=",
    "IS": "is",
}


class Expressions(Transformer[Any, Any]):
    """One method per rule of the grammar. It has no state: problems go to the reading that the tokens are of."""

    # -- literals and names

    def number(self, parts: Parts) -> nodes.Number:
        (token,) = parts
        return nodes.Number(token.span, exact(token.text), token.text)

    def text(self, parts: Parts) -> nodes.Text:
        (token,) = parts
        return nodes.Text(token.span, unquoted(token.text))

    def day(self, parts: Parts) -> nodes.Day:
        (token,) = parts
        return nodes.Day(token.span, date.fromisoformat(token.text))

    def truth(self, parts: Parts) -> nodes.Truth:
        (token,) = parts
        return nodes.Truth(token.span, token.type == "TRUE")

    def reference(self, parts: Parts) -> nodes.Reference:
        qualifier = name_of(parts[0]) if len(parts) == 3 else None
        return nodes.Reference(span_of(parts), qualifier, name_of(parts[-1]))

    # -- expressions

    def group(self, parts: Parts) -> nodes.Group:
        return nodes.Group(span_of(parts), parts[1])

    def minus(self, parts: Parts) -> nodes.Minus:
        default_beside(parts)
        return nodes.Minus(span_of(parts), parts[1])

    def arithmetic(self, parts: Parts) -> nodes.Arithmetic:
        default_beside(parts)
        left, operator, right = parts
        return nodes.Arithmetic(span_of(parts), OPERATORS[operator.type], left, right)

    def days(self, parts: Parts) -> nodes.Days:
        default_beside(parts)
        direction: Any = parts[1].type.lower() if len(parts) == 3 else "until anniversary of"
        return nodes.Days(span_of(parts), direction, parts[-1])

    def during(self, parts: Parts) -> nodes.During:
        return nodes.During(span_of(parts), parts[0], parts[2])

    def default(self, parts: Parts) -> nodes.Default:
        return nodes.Default(span_of(parts), parts[0], parts[2])

    def relation(self, parts: Parts) -> Clause:
        return Clause(parts[0], parts, span_of(parts))

    def comparison(self, parts: Parts) -> nodes.Comparison:
        default_beside(parts)
        if len(parts) > 3:
            several_comparisons(parts)
        left, relation, right = parts[:3]
        operator: Any = "is not" if len(relation.values) == 2 else OPERATORS[relation.word.type]
        return nodes.Comparison(span_of(parts), operator, left, right)

    def presence(self, parts: Parts) -> nodes.Presence:
        default_beside(parts)
        return nodes.Presence(span_of(parts), parts[0], has(parts, "KNOWN") != has(parts, "NOT"))

    def membership(self, parts: Parts) -> nodes.Membership:
        default_beside(parts)
        operand, *rest = parts
        negated = has(rest, "NOT")
        if isinstance(rest[-1], Token) and rest[-1].type == "NAME":
            return nodes.Membership(span_of(parts), operand, negated, name_of(rest[-1]))
        choices = tuple(part for part in rest if not isinstance(part, Token))
        return nodes.Membership(span_of(parts), operand, negated, choices)

    def between(self, parts: Parts) -> nodes.Between:
        default_beside(parts)
        return nodes.Between(span_of(parts), parts[0], has(parts, "NOT"), parts[-3], parts[-1])

    def text_test(self, parts: Parts) -> nodes.TextTest:
        default_beside(parts)
        operator: Any = "starts with" if has(parts, "STARTS") else "ends with" if has(parts, "ENDS") else "contains"
        return nodes.TextTest(span_of(parts), operator, parts[0], has(parts, "NOT"), parts[-1])

    def has_tag(self, parts: Parts) -> nodes.HasTag:
        return nodes.HasTag(span_of(parts), parts[-1])

    def ladder_is(self, parts: Parts) -> nodes.LadderIs:
        kind: Any = parts[0].type.lower()
        return nodes.LadderIs(
            span_of(parts), kind, name_of(parts[1]), has(parts, "NOT"), has(parts, "LEAST"), parts[-1]
        )

    def history(self, parts: Parts) -> Clause:
        word, number, unit_word = parts
        days, _ = length(number, unit_word, Word("a-length-of-time"))
        return Clause(word, [days], span_of(parts))

    def had_tag(self, parts: Parts) -> nodes.HadTag:
        return nodes.HadTag(span_of(parts), parts[2], value_of(by_word(parts), "WITHIN"))

    def ladder_was(self, parts: Parts) -> nodes.LadderWas:
        kind: Any = parts[0].type.lower()
        return nodes.LadderWas(
            span_of(parts),
            kind=kind,
            ladder=name_of(parts[1]),
            negated=has(parts, "NOT"),
            at_least=has(parts, "LEAST"),
            value=next(part for part in parts if isinstance(part, nodes.Text)),
            within_days=value_of(by_word(parts), "WITHIN"),
        )

    def negation(self, parts: Parts) -> nodes.Not:
        return nodes.Not(span_of(parts), parts[1])

    def junction(self, parts: Parts) -> nodes.Expression:
        if any(word.type != parts[1].type for word in parts[3::2]):
            return mixed_junction(parts)
        return nodes.Junction(span_of(parts), parts[1].type.lower(), tuple(parts[::2]))

    def conditional(self, parts: Parts) -> nodes.Conditional:
        return nodes.Conditional(span_of(parts), parts[1], parts[3], parts[5])

    def call(self, parts: Parts) -> nodes.Call:
        arguments = [part for part in parts if not isinstance(part, Token | nodes.Modifiers)]
        where = arguments.pop() if has(parts, "WHERE") else None
        distinct = has(parts, "DISTINCT")
        return nodes.Call(span_of(parts), name_of(parts[0]), distinct, tuple(arguments), where, _modifiers(parts))

    # -- the whole population

    def top(self, parts: Parts) -> nodes.Top:
        return nodes.Top(span_of(parts), parts[0].type == "BOTTOM", parts[1], parts[3], _modifiers(parts))

    def sample(self, parts: Parts) -> nodes.Sample:
        return nodes.Sample(span_of(parts), parts[1], parts[2])

    def modifiers(self, parts: Parts) -> nodes.Modifiers:
        clauses = {part.word.type: part for part in parts}
        within, among = value_of(clauses, "WITHIN"), value_of(clauses, "AMONG")
        return nodes.Modifiers(span_of(parts), "LOWEST" in clauses, within, "TIES" in clauses, among)

    top_modifiers = modifiers

    # -- windows

    def counted_window(self, parts: Parts) -> nodes.LastWindow:
        word, number, unit_word = parts
        count, unit = length(number, unit_word, Word("a-window"))
        return nodes.LastWindow(span_of(parts), count, unit, word.type == "PREVIOUS")

    def calendar_window(self, parts: Parts) -> nodes.CalendarWindow:
        unit: Any = parts[1].type.lower()
        return nodes.CalendarWindow(span_of(parts), unit, parts[0].type == "PREVIOUS")

    def range_window(self, parts: Parts) -> nodes.RangeWindow:
        return nodes.RangeWindow(span_of(parts), parts[0].value, parts[2].value)

    def duration(self, parts: Parts) -> nodes.Duration:
        number, unit_word = parts
        return nodes.Duration(span_of(parts), *length(number, unit_word, Word("a-length-of-time")))

    def clause(self, parts: Parts) -> Clause:
        return Clause(parts[0], parts[1:], span_of(parts))

    lowest = within = split = among = group_among = clause


def _modifiers(parts: Parts) -> nodes.Modifiers | None:
    return next((part for part in parts if isinstance(part, nodes.Modifiers)), None)
