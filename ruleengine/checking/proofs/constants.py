"""Constants as terms of the prover."""

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction

import z3

from ruleengine.checking.expressions import Constant, ParameterValue, walk
from ruleengine.checking.proofs.world import Term, World
from ruleengine.checking.rules import conditions
from ruleengine.checking.ruleset import ParameterConstant, Ruleset
from ruleengine.types import TEXT, Kind, Type


class Constants:
    """Those of one ruleset, whose texts are whole numbers in their order."""

    def __init__(self, ruleset: Ruleset, world: World) -> None:
        self._ruleset = ruleset
        self._world = world
        self.texts = {text: number for number, text in enumerate(sorted(set(_texts(ruleset))))}

    def term(self, value: ParameterConstant, to: Type) -> Term:
        context = self._world.context
        match value:
            case bool():
                return self._world.truth(value)
            case str():
                return z3.RealVal(self.texts[value], context)
            case int() | Decimal():
                if to.kind is Kind.DOUBLE:
                    return z3.RealVal(str(Fraction(float(value))), context)
                return z3.IntVal(scaled(value, to.scale), context)
            case _:
                return z3.IntVal(value.toordinal(), context)

    def parameter(self, expression: ParameterValue, to: Type) -> Term:
        """What a parameter is today."""
        steps = self._ruleset.parameters[expression.parameter].steps
        value = self.term(steps[0][1][0], to)
        for start, later in steps[1:]:
            assert start is not None
            value = z3.If(self._world.today >= start.toordinal(), self.term(later[0], to), value)
        return value

    def in_force(self, start: date | None, following: Sequence[tuple[date | None, object]]) -> Term:
        """Whether today is one of the days of a parameter's step, given those that follow it."""
        parts = [self._world.truth(True)]
        if start is not None:
            parts.append(self._world.today >= start.toordinal())
        for end, _ in following[:1]:
            assert end is not None
            parts.append(self._world.today < end.toordinal())
        return z3.And(parts)


def scaled(value: int | Decimal, scale: int) -> int:
    """A number in units of its scale."""
    scaled: Fraction = Fraction(value) * 10**scale
    assert scaled.denominator == 1
    return scaled.numerator


def _texts(ruleset: Ruleset) -> Iterator[str]:
    """Every text that rules and metrics know."""
    for parameter in ruleset.parameters.values():
        if parameter.type == TEXT:
            for _, values in parameter.steps:
                yield from (str(value) for value in values)
    expressions = [metric.expression for metric in ruleset.metrics.values()]
    expressions.extend(condition for rule in ruleset.order for condition in conditions(rule))
    if ruleset.entity.where is not None:
        expressions.append(ruleset.entity.where)
    for expression in expressions:
        for part in walk(expression):
            if isinstance(part, Constant) and isinstance(part.value, str):
                yield part.value
