"""Text literals that are compared with columns, so that the data can say whether they ever occur."""

from collections.abc import Iterator
from dataclasses import dataclass

from ruleengine.checking import expressions as checked
from ruleengine.checking.rules import conditions
from ruleengine.checking.ruleset import Ruleset
from ruleengine.source import Span


@dataclass(frozen=True, slots=True)
class TextLiteral:
    """A text that a rule or metric compares with a column of a source."""

    source: str
    column: str
    text: str
    span: Span


def text_literals(ruleset: Ruleset) -> list[TextLiteral]:
    """Every literal after `=`, `!=` or `in`, beside a plain column; each place once."""
    expressions = [metric.expression for metric in ruleset.metrics.values()]
    expressions.extend(condition for rule in ruleset.order for condition in conditions(rule))
    if ruleset.entity.where is not None:
        expressions.append(ruleset.entity.where)
    found = (literal for expression in expressions for literal in _within(ruleset, expression))
    return list(dict.fromkeys(found))


def _within(ruleset: Ruleset, expression: checked.Expression) -> Iterator[TextLiteral]:
    for part in checked.walk(expression):
        match part:
            case checked.Comparison(operator="=" | "!=", left=left, right=right):
                pairs = [(left, right), (right, left)]
            case checked.OneOf(operand=operand, choices=tuple() as choices):
                pairs = [(operand, choice) for choice in choices]
            case _:
                continue
        for column, literal in pairs:
            if isinstance(literal, checked.Constant) and isinstance(literal.value, str):
                if isinstance(column, checked.EventValue):
                    yield TextLiteral(ruleset.events[column.source].source, column.column, literal.value, literal.span)
                elif isinstance(column, checked.Attribute) and not ruleset.entity.distinct:
                    yield TextLiteral(ruleset.entity.source, column.column, literal.value, literal.span)
