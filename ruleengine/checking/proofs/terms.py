"""Conditions as terms of the prover: exactly as they mean, and free wherever that would be too much.

A term never allows less than what can happen, so that what is impossible for terms is impossible for customers.
"""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

import z3

from ruleengine.checking.expressions import (
    Aggregate,
    Arithmetic,
    Attribute,
    Comparison,
    Conditional,
    Constant,
    Days,
    Default,
    EventValue,
    Expression,
    HasTag,
    IsMissing,
    Junction,
    LadderIs,
    MetricValue,
    Negation,
    Not,
    OneOf,
    ParameterValue,
    Points,
    Ranking,
    Sample,
    Scalar,
    TextTest,
)
from ruleengine.checking.proofs import numbers
from ruleengine.checking.proofs.constants import Constants, scaled
from ruleengine.checking.proofs.leaves import Leaves
from ruleengine.checking.proofs.logic import compared, conjunction, disjunction, negation, same
from ruleengine.checking.proofs.rankings import Rankings
from ruleengine.checking.proofs.world import Leaf, Term, Truth, World, Worth
from ruleengine.checking.rules import is_decided
from ruleengine.checking.ruleset import Ladder, ParameterConstant, Ruleset, Tag
from ruleengine.types import BOOLEAN, DOUBLE, Kind, Type, common, exact

EFFORT = 300_000
"""Steps of the prover for one question. Beyond them nothing is claimed."""

MOST_LEAVES = 80
"""What a rule that others refer to may read; of one that reads more they only know that it is given or not."""

MOST_TEXTS = 64
EXACT_DIGITS = 15  # whole numbers of so many digits are doubles themselves


class Terms:
    """Terms of one ruleset."""

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
        self.world = World(self.implies)
        self.constants = Constants(ruleset, self.world)
        self._leaves = Leaves(self.world)
        self._rankings = Rankings(self.world, self._leaves)
        self._entails: dict[tuple[Expression, Expression], bool] = {}
        self.never = self.world.truth(False)

    # -- questions ------------------------------------------------------------------------------------------

    def solver(self, *terms: Term) -> z3.Solver:
        solver = z3.SimpleSolver(ctx=self.world.context)
        solver.set("rlimit", EFFORT)
        solver.add(*terms)
        return solver

    def impossible(self, leaves: dict[Leaf, None], *terms: Term) -> bool:
        """Whether no customer can be so."""
        return bool(self.solver(*self.facts(leaves), *terms).check() == z3.unsat)

    def facts(self, leaves: dict[Leaf, None]) -> list[Term]:
        """All that is known of what a condition reads; customers whom the entity leaves out are none."""
        where = self.ruleset.entity.where
        if where is None:
            return self.world.facts(leaves)
        truth, read = self.condition(where)
        if leaves.keys().isdisjoint(read):
            return self.world.facts(leaves)
        return [*self.world.facts({**leaves, **read}), truth.true]

    def implies(self, one: Expression, other: Expression) -> bool:
        """Whether every event that passes one filter passes another."""
        key = one, other
        if key not in self._entails:
            with_one, with_other = self.condition(one), self.condition(other)
            leaves = {**with_one[1], **with_other[1]}
            shared = with_one[1].keys() & with_other[1].keys()
            self._entails[key] = bool(shared) and self.impossible(leaves, with_one[0].true, z3.Not(with_other[0].true))
        return self._entails[key]

    def condition(self, expression: Expression) -> tuple[Truth, dict[Leaf, None]]:
        """A condition, and all that it reads."""
        return self._leaves.remembered(("condition", expression), lambda: self.truth(expression))

    def value(self, expression: Expression) -> tuple[Worth, dict[Leaf, None]]:
        """A value, and all that it reads."""
        return self._leaves.remembered(("value", expression), lambda: self.worth(expression))

    # -- leaves ---------------------------------------------------------------------------------------------

    def opaque(self, expression: Expression) -> Worth:
        missing = self.world.flag() if expression.nullable else self.never
        return self._leaves.unknown(expression, expression.type, missing)

    def attribute(self, expression: Attribute | EventValue) -> Worth:
        def make() -> Leaf:
            value = self.world.variable(expression.type)
            missing = self.world.flag() if expression.nullable else self.never
            tame = (lambda: value >= 0) if expression.type.kind is Kind.EXACT else None
            leaf = Leaf(Worth(value, missing), tame=tame)
            if isinstance(expression, Attribute) and expression.column == self.ruleset.entity.since:
                leaf.facts.extend([z3.Not(missing), value <= self.world.today])
            return leaf

        return self._leaves.leaf(expression, make)

    # -- conditions -----------------------------------------------------------------------------------------

    def truth(self, expression: Expression) -> Truth:
        match expression:
            case Constant(value=bool() as value):
                return Truth(self.world.truth(value), self.world.truth(not value))
            case Comparison():
                return self._comparison(expression)
            case OneOf():
                return self._membership(expression)
            case IsMissing(operand=operand):
                if operand.type == BOOLEAN:
                    truth = self.truth(operand)
                    missing = z3.Not(z3.Or(truth.true, truth.false))
                else:
                    missing = self.worth(operand).missing
                return Truth(missing, z3.Not(missing))
            case Not(operand=operand):
                return negation(self.truth(operand))
            case Junction(operator=operator, items=items):
                truths = [self.truth(item) for item in items]
                return conjunction(truths) if operator == "and" else disjunction(truths)
            case TextTest():
                return self._text_test(expression)
            case Sample():
                return self._sample(expression)
            case HasTag(tag=name):
                return self._given(name)
            case LadderIs():
                return self._held(expression)
            case _:
                worth = self.worth(expression)
                return Truth(
                    z3.And(z3.Not(worth.missing), worth.value), z3.And(z3.Not(worth.missing), z3.Not(worth.value))
                )

    def _comparison(self, expression: Comparison) -> Truth:
        left, right, operator = expression.left, expression.right, expression.operator
        if left.type == BOOLEAN:
            equal = same(self.truth(left), self.truth(right))
            return equal if operator == "=" else negation(equal)
        to = common(left.type, right.type)
        assert to is not None
        return compared(operator, self.as_type(left, to), self.as_type(right, to))

    def _membership(self, expression: OneOf) -> Truth:
        operand, choices = expression.operand, expression.choices
        truths = []
        if isinstance(choices, str):
            listed = self.ruleset.parameters[choices]
            to = common(operand.type, listed.type)
            assert to is not None
            worth = self.as_type(operand, to)
            for index, (start, values) in enumerate(listed.steps):
                among = disjunction([self._equals(worth, value, listed.type, to) for value in values])
                now = self.constants.in_force(start, listed.steps[index + 1 :])
                truths.append(Truth(z3.And(now, among.true), z3.And(now, among.false)))
            return Truth(z3.Or([each.true for each in truths]), z3.Or([each.false for each in truths]))
        for choice in choices:
            if operand.type == BOOLEAN:
                truths.append(same(self.truth(operand), self.truth(choice)))
                continue
            to = common(operand.type, choice.type)
            assert to is not None
            truths.append(compared("=", self.as_type(operand, to), self.as_type(choice, to)))
        return disjunction(truths)

    def _equals(self, worth: Worth, value: ParameterConstant, type: Type, to: Type) -> Truth:
        if to == BOOLEAN:
            same = worth.value if value else z3.Not(worth.value)
            return Truth(z3.And(z3.Not(worth.missing), same), z3.And(z3.Not(worth.missing), z3.Not(same)))
        return compared("=", worth, Worth(self.constants.term(value, to), self.never))

    def _text_test(self, expression: TextTest) -> Truth:
        operand, text = self.worth(expression.operand), self.worth(expression.text)

        def facts(value: Term) -> list[Term]:
            if not isinstance(expression.text, Constant) or len(self.constants.texts) > MOST_TEXTS:
                return []
            part = str(expression.text.value)
            test = {"starts with": str.startswith, "ends with": str.endswith}.get(
                expression.operator, lambda whole, part: part in whole
            )
            return [
                z3.Implies(operand.value == number, value if test(whole, part) else z3.Not(value))
                for whole, number in self.constants.texts.items()
            ]

        key = expression.operator, expression.operand, expression.text
        value = self._leaves.unknown(key, BOOLEAN, self.never, facts).value
        known = z3.Not(z3.Or(operand.missing, text.missing))
        return Truth(z3.And(known, value), z3.And(known, z3.Not(value)))

    def _sample(self, expression: Sample) -> Truth:
        drawn = self._leaves.unknown(
            ("sample", expression.salt), exact(10), self.never, lambda value: [value >= 0, value < 2**32]
        ).value
        # drawn < share × 2³², both sides brought to whole numbers
        above, below = (Fraction(expression.share) * 2**32).as_integer_ratio()
        true = drawn * below < above
        return Truth(true, z3.Not(true))

    # -- other rules ----------------------------------------------------------------------------------------

    def given(self, tag: Tag) -> Term:
        """Whether a run gives a tag."""
        when = self._shared(tag.when)
        return when.true if tag.unless is None else z3.And(when.true, self._shared(tag.unless).false)

    def reached(self, ladder: Ladder) -> list[Term]:
        """For each line whether a run takes it."""
        taken, open = [], [self.world.truth(True)]
        for level in ladder.levels:
            truth = self._shared(level.when)
            taken.append(z3.And(*open, truth.true))
            # An unknown line of a class leaves the customer without a value; one of a tier does not count.
            open.append(truth.false if ladder.kind == "class" else z3.Not(truth.true))
        taken.append(z3.And(*open))
        return taken

    def reading(self, make: Callable[[], Any]) -> tuple[Any, dict[Leaf, None]]:
        """Terms of rules that are made within, and all that they read."""
        return self._leaves.gathered(make)

    def _shared(self, condition: Expression) -> Truth:
        return self._leaves.shared(("condition", condition), lambda: self.truth(condition))

    def _given(self, name: str) -> Truth:
        tag = self.ruleset.tags.get(name)
        if tag is None or not is_decided(tag):
            true = self._leaves.unknown(("given", name), BOOLEAN, self.never).value
        else:
            true = self._inlined(("tag", name), lambda: self.given(tag))
        return Truth(true, z3.Not(true))

    def _held(self, expression: LadderIs) -> Truth:
        ladder = self.ruleset.ladders[expression.ladder]
        if is_decided(ladder):
            true = z3.Or([self._holds(ladder, wanted) for wanted in expression.values])
        else:
            true = self._leaves.unknown(("held", expression), BOOLEAN, self.never).value
        return Truth(true, z3.Not(true))

    def _holds(self, ladder: Ladder, wanted: str) -> Term:
        def make() -> Term:
            named = [*(level.value for level in ladder.levels), ladder.otherwise]
            return z3.Or([line for line, value in zip(self.reached(ladder), named, strict=True) if value == wanted])

        return self._inlined(("ladder", ladder.name, wanted), make)

    def _inlined(self, key: Any, make: Callable[[], Term]) -> Term:
        made = self._leaves.shared_if_small(key, make, MOST_LEAVES)
        return self._leaves.unknown((*key, "opaque"), BOOLEAN, self.never).value if made is None else made

    # -- values ---------------------------------------------------------------------------------------------

    def worth(self, expression: Expression) -> Worth:
        match expression:
            case Constant(value=value):
                return Worth(self.constants.term(value, expression.type), self.never)
            case ParameterValue():
                return Worth(self.constants.parameter(expression, expression.type), self.never)
            case Attribute() | EventValue():
                return self.attribute(expression)
            case MetricValue(metric=name):
                metric = self.ruleset.metrics[name]
                if metric.type == BOOLEAN:
                    return self._as_worth(self._leaves.shared(("metric", name), lambda: self.truth(metric.expression)))
                return self._leaves.shared(("metric", name), lambda: self.worth(metric.expression))
            case Aggregate():
                return self._leaves.leaf(expression, lambda: self.world.aggregate(expression))
            case Negation(operand=operand):
                worth = self.worth(operand)
                return Worth(-worth.value, worth.missing)
            case Arithmetic():
                return self._arithmetic(expression)
            case Conditional(condition=condition, then=then, otherwise=otherwise):
                when = self.truth(condition).true
                if expression.type == BOOLEAN:
                    one, other = self._as_worth(self.truth(then)), self._as_worth(self.truth(otherwise))
                else:
                    one, other = self.as_type(then, expression.type), self.as_type(otherwise, expression.type)
                return Worth(z3.If(when, one.value, other.value), z3.If(when, one.missing, other.missing))
            case Default(operand=operand, value=value):
                if expression.type == BOOLEAN:
                    one, other = self._as_worth(self.truth(operand)), self._as_worth(self.truth(value))
                else:
                    one, other = self.as_type(operand, expression.type), self.as_type(value, expression.type)
                return Worth(z3.If(one.missing, other.value, one.value), z3.And(one.missing, other.missing))
            case Scalar():
                return self._scalar(expression)
            case Days(direction=direction, operand=operand):
                day = self.worth(operand)
                if direction == "since":
                    return Worth(self.world.today - day.value, day.missing)
                if direction == "until":
                    return Worth(day.value - self.world.today, day.missing)
                return self._leaves.unknown(
                    expression, expression.type, day.missing, lambda value: [value >= 0, value <= 366]
                )
            case Ranking():
                return self._ranking(expression)
            case Points(lines=lines):
                scale, total = expression.type.scale, self.world.number(0)
                for line in lines:
                    points = self.world.number(scaled(line.points, scale))
                    total = total + z3.If(self.truth(line.when).true, points, self.world.number(0))
                return Worth(total, self.never)
            case Comparison() | OneOf() | IsMissing() | TextTest() | Not() | Junction():
                return self._as_worth(self.truth(expression))
            case Sample() | HasTag() | LadderIs():
                return self._as_worth(self.truth(expression))
            case _:
                # Of whatever else there is, only that it is the same wherever it is written the same.
                return self.opaque(expression)

    def _as_worth(self, truth: Truth | Worth) -> Worth:
        if isinstance(truth, Worth):
            return truth
        return Worth(truth.true, z3.Not(z3.Or(truth.true, truth.false)))

    def as_type(self, expression: Expression, to: Type) -> Worth:
        """A value as one of another type that it fits."""
        if isinstance(expression, ParameterValue):
            return Worth(self.constants.parameter(expression, to), self.never)
        if isinstance(expression, Constant):
            return Worth(self.constants.term(expression.value, to), self.never)
        worth, own = self.worth(expression), expression.type
        if own.kind is Kind.EXACT and to.kind is Kind.EXACT:
            return numbers.rescaled(worth, to.scale - own.scale)
        if own.kind is Kind.EXACT and to.kind is Kind.DOUBLE:
            if own.scale == 0 and own.digits <= EXACT_DIGITS:
                return Worth(z3.ToReal(worth.value), worth.missing)
            nearest = partial(numbers.same_side, worth.value)
            return self._leaves.unknown(("double", expression), DOUBLE, worth.missing, nearest)
        return worth

    def _arithmetic(self, expression: Arithmetic) -> Worth:
        operator, left, right = expression.operator, expression.left, expression.right
        if operator == "/":
            return self._quotient(expression)
        if expression.type.kind is Kind.DOUBLE:
            one, other = self.as_type(left, DOUBLE), self.as_type(right, DOUBLE)
            return self._leaves.unknown(expression, DOUBLE, z3.Or(one.missing, other.missing))
        if operator == "*":
            one, other = self.worth(left), self.worth(right)
            missing = z3.Or(one.missing, other.missing)
            if z3.is_int_value(one.value) or z3.is_int_value(other.value):
                return Worth(one.value * other.value, missing)
            return self._leaves.unknown(expression, expression.type, missing)
        wide = replace(expression.type, digits=0)
        one, other = self.as_type(left, wide), self.as_type(right, wide)
        value = one.value + other.value if operator == "+" else one.value - other.value
        return Worth(value, z3.Or(one.missing, other.missing))

    def _quotient(self, expression: Arithmetic) -> Worth:
        to = common(expression.left.type, expression.right.type)
        assert to is not None
        above, below = self.as_type(expression.left, to), self.as_type(expression.right, to)
        missing = z3.Or(above.missing, below.missing, below.value == 0)
        bounds = partial(numbers.of_quotient, above.value, below.value)
        return self._leaves.unknown(expression, DOUBLE, missing, bounds)

    def _scalar(self, expression: Scalar) -> Worth:
        arguments = expression.arguments
        if expression.function in ("least", "greatest"):
            worths = [self.as_type(argument, expression.type) for argument in arguments]
            return numbers.least(worths) if expression.function == "least" else numbers.greatest(worths)
        worth, own = self.worth(arguments[0]), arguments[0].type
        if expression.function == "abs":
            return numbers.absolute(worth)
        if own.kind is not Kind.EXACT:
            return self._leaves.unknown(expression, expression.type, worth.missing)
        match expression.function:
            case "round":
                return numbers.rounded(worth, own.scale - expression.places)
            case "floor":
                return numbers.floor(worth, own.scale)
            case _:
                return numbers.ceiling(worth, own.scale)

    def _ranking(self, expression: Ranking) -> Worth:
        missing = [self.worth(expression.value).missing]
        if expression.among is not None:
            missing.append(z3.Not(self.truth(expression.among).true))
        if expression.within is not None and expression.within.type != BOOLEAN:
            missing.append(self.worth(expression.within).missing)
        elif expression.within is not None:
            missing.append(self._as_worth(self.truth(expression.within)).missing)
        return self._rankings.worth(expression, z3.Or(missing))
