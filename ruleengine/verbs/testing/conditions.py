"""The conditions of a ruleset, each where it stands: what tests have to see, and what can be changed."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from ruleengine.checking.expressions import (
    Aggregate,
    Comparison,
    Conditional,
    Constant,
    Expression,
    Junction,
    Not,
    Ranking,
    ScoreLine,
    children,
    is_expression,
)
from ruleengine.checking.ruleset import Ladder, Level, Rule, Ruleset
from ruleengine.types import BOOLEAN
from ruleengine.verbs.testing.cases import Owner, reached


@dataclass(frozen=True, slots=True)
class Root:
    """An expression that a rule, a metric or the entity consists of."""

    owner: Owner
    expression: Expression
    is_condition: bool
    before: tuple[Level, ...] = ()
    """Of a line of a ladder those above it, which are asked first."""


def roots(ruleset: Ruleset) -> Iterator[Root]:
    """Those that the answers of rules are made from, in no order that means anything."""
    entity = ruleset.entity
    if entity.where is not None:
        yield Root(("entity", entity.name), entity.where, True)
    used = reached(ruleset, ((rule.kind, rule.name) for rule in ruleset.order))
    for metric in ruleset.metrics.values():
        if ("metric", metric.name) in used:
            yield Root(("metric", metric.name), metric.expression, metric.type == BOOLEAN)
    for rule in ruleset.order:
        yield from _of_rule(rule)


def _of_rule(rule: Rule) -> Iterator[Root]:
    owner = rule.kind, rule.name
    yield from (Root(owner, expression, True) for expression in _expressions(rule))
    if isinstance(rule, Ladder):
        for number, level in enumerate(rule.levels):
            yield from (Root(owner, found, True, rule.levels[:number]) for found in _expressions(level))


def _expressions(statement: Rule | Level) -> Iterator[Expression]:
    for part in fields(statement):
        value = getattr(statement, part.name)
        if is_expression(value):
            yield value


def conditions(expression: Expression, is_condition: bool) -> Iterator[Expression]:
    """Every comparison, `and` and `or` in an expression: whatever is asked whether it is so. `not` only turns one."""
    match expression:
        case Constant():  # switched on or off, on purpose
            return
        case Not() if is_condition:
            yield from conditions(expression.operand, True)
        case Junction() if is_condition and not is_between(expression):
            yield expression
            for item in expression.items:
                yield from conditions(item, True)
        case Conditional():
            yield from conditions(expression.condition, True)
            yield from conditions(expression.then, is_condition)
            yield from conditions(expression.otherwise, is_condition)
        case Aggregate(argument=argument, where=where):
            if argument is not None:
                yield from conditions(argument, False)
            if where is not None:
                yield from conditions(where, True)
        case Ranking(value=value, among=among):
            yield from conditions(value, False)
            if among is not None:
                yield from conditions(among, True)
        case ScoreLine(when=when):
            yield from conditions(when, True)
        case _:
            if is_condition:
                yield expression
            for child in children(expression):
                yield from conditions(child, False)


def is_between(expression: Junction) -> bool:
    """Whether it is `x between a and b`, which is one condition to whoever wrote it."""
    operands = [item.left.span for item in expression.items if isinstance(item, Comparison)]
    return len(operands) == len(expression.items) and len(set(operands)) == 1
