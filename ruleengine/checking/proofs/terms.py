"""Conditions as terms of the prover: exactly as they mean, and free wherever that would be too much.

A term never allows less than what can happen, so that what is impossible for terms is impossible for customers.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from typing import Any, assert_never

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
    walk,
)
from ruleengine.checking.proofs.world import Leaf, Term, Truth, World, Worth
from ruleengine.checking.rules import conditions
from ruleengine.checking.ruleset import Ladder, Level, ParameterConstant, Rule, Ruleset, Tag
from ruleengine.functions.rankings import RankingFunction
from ruleengine.types import BOOLEAN, COUNT, DOUBLE, TEXT, Kind, Type, common, exact

EFFORT = 300_000
"""Steps of the prover for one question. Beyond them nothing is claimed."""

MOST_LEAVES = 80
"""What a rule that others refer to may read; of one that reads more they only know that it is given or not."""

MOST_TEXTS = 64
EXACT_DIGITS = 15  # whole numbers of so many digits are doubles themselves


_DECIDING = {"name", "kind", "value", "draft", "when", "unless", "levels", "otherwise"}
_SAYING = {"because", "owner", "review_by", "formerly", "hash", "span"}
"""Together what a rule can hold and still be decided by its conditions; if it holds more, nothing is claimed."""


class Terms:
    """Terms of one ruleset. `reading` gathers what the terms that are made read."""

    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
        self.world = World(self.implies)
        self.reading: dict[Leaf, None] = {}
        self._leaves: dict[Any, Leaf] = {}
        self._made: dict[Any, tuple[Any, dict[Leaf, None]]] = {}
        self._caps: dict[Any, list[tuple[Decimal, Term]]] = {}
        self._entails: dict[tuple[Expression, Expression], bool] = {}
        self.texts = {text: number for number, text in enumerate(sorted(set(_texts(ruleset))))}
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
        return self._remembered(("condition", expression), lambda: self.truth(expression))

    def value(self, expression: Expression) -> tuple[Worth, dict[Leaf, None]]:
        return self._remembered(("value", expression), lambda: self.worth(expression))

    def _remembered(self, key: Any, make: Callable[[], Any]) -> tuple[Any, dict[Leaf, None]]:
        if key not in self._made:
            before, self.reading = self.reading, {}
            made = make()
            self._made[key] = made, self.reading
            self.reading = before
        return self._made[key]

    def _read(self, key: Any, make: Callable[[], Any]) -> Any:
        made, leaves = self._remembered(key, make)
        self.reading.update(leaves)
        return made

    # -- leaves ---------------------------------------------------------------------------------------------

    def leaf(self, key: Any, make: Callable[[], Leaf]) -> Leaf:
        if key not in self._leaves:
            self._leaves[key] = make()
        leaf = self._leaves[key]
        self.reading[leaf] = None
        return leaf

    def unknown(self, key: Any, type: Type, missing: Term, facts: Callable[[Term], list[Term]] | None = None) -> Worth:
        """A value of which nothing is known but that it is always the same one, and perhaps some bounds."""

        def make() -> Leaf:
            value = self.world.variable(type)
            return Leaf(Worth(value, missing), facts(value) if facts else [], free=False)

        return self.leaf(key, make).worth

    def opaque(self, expression: Expression) -> Worth:
        missing = self.world.flag() if expression.nullable else self.never
        return self.unknown(expression, expression.type, missing)

    def attribute(self, expression: Attribute | EventValue) -> Worth:
        def make() -> Leaf:
            value = self.world.variable(expression.type)
            missing = self.world.flag() if expression.nullable else self.never
            tame = (lambda: value >= 0) if expression.type.kind is Kind.EXACT else None
            leaf = Leaf(Worth(value, missing), tame=tame)
            if isinstance(expression, Attribute) and expression.column == self.ruleset.entity.since:
                leaf.facts.extend([z3.Not(missing), value <= self.world.today])
            return leaf

        return self.leaf(expression, make).worth

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
                truth = self.truth(operand)
                return Truth(truth.false, truth.true)
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
            one, other = self.truth(left), self.truth(right)
            same = z3.Or(z3.And(one.true, other.true), z3.And(one.false, other.false))
            different = z3.Or(z3.And(one.true, other.false), z3.And(one.false, other.true))
            return Truth(same, different) if operator == "=" else Truth(different, same)
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
                now = self._in_force(start, listed.steps[index + 1 :])
                truths.append(Truth(z3.And(now, among.true), z3.And(now, among.false)))
            return Truth(z3.Or([each.true for each in truths]), z3.Or([each.false for each in truths]))
        for choice in choices:
            if operand.type == BOOLEAN:
                same = Comparison(type=BOOLEAN, operator="=", left=operand, right=choice, span=expression.span)
                truths.append(self._comparison(same))
                continue
            to = common(operand.type, choice.type)
            assert to is not None
            truths.append(compared("=", self.as_type(operand, to), self.as_type(choice, to)))
        return disjunction(truths)

    def _equals(self, worth: Worth, value: ParameterConstant, type: Type, to: Type) -> Truth:
        if to == BOOLEAN:
            same = worth.value if value else z3.Not(worth.value)
            return Truth(z3.And(z3.Not(worth.missing), same), z3.And(z3.Not(worth.missing), z3.Not(same)))
        return compared("=", worth, Worth(self._constant(value, to), self.never))

    def _in_force(self, start: Any, later: Any) -> Term:
        parts = [self.world.truth(True)]
        if start is not None:
            parts.append(self.world.today >= start.toordinal())
        parts.extend(self.world.today < following.toordinal() for following, _ in later[:1])
        return z3.And(parts)

    def _text_test(self, expression: TextTest) -> Truth:
        operand, text = self.worth(expression.operand), self.worth(expression.text)

        def facts(value: Term) -> list[Term]:
            if not isinstance(expression.text, Constant) or len(self.texts) > MOST_TEXTS:
                return []
            part = str(expression.text.value)
            test = {"starts with": str.startswith, "ends with": str.endswith}.get(
                expression.operator, lambda whole, part: part in whole
            )
            return [
                z3.Implies(operand.value == number, value if test(whole, part) else z3.Not(value))
                for whole, number in self.texts.items()
            ]

        key = expression.operator, expression.operand, expression.text
        value = self.unknown(key, BOOLEAN, self.never, facts).value
        known = z3.Not(z3.Or(operand.missing, text.missing))
        return Truth(z3.And(known, value), z3.And(known, z3.Not(value)))

    def _sample(self, expression: Sample) -> Truth:
        drawn = self.unknown(
            ("sample", expression.salt), exact(10), self.never, lambda value: [value >= 0, value < 2**32]
        ).value
        # drawn < share × 2³², both sides brought to whole numbers
        above, below = (Fraction(expression.share) * 2**32).as_integer_ratio()
        true = drawn * below < above
        return Truth(true, z3.Not(true))

    # -- other rules ----------------------------------------------------------------------------------------

    def given(self, tag: Tag) -> Term:
        """Whether a run gives a tag."""
        when = self._read(("condition", tag.when), lambda: self.truth(tag.when))
        if tag.unless is None:
            return when.true
        unless = tag.unless
        return z3.And(when.true, self._read(("condition", unless), lambda: self.truth(unless)).false)

    def reached(self, ladder: Ladder) -> list[Term]:
        """For each line whether a run takes it."""
        taken, open = [], [self.world.truth(True)]
        for level in ladder.levels:
            truth = self._read(("condition", level.when), lambda when=level.when: self.truth(when))  # type: ignore[misc]
            taken.append(z3.And(*open, truth.true))
            # An unknown line of a class leaves the customer without a value; one of a tier does not count.
            open.append(truth.false if ladder.kind == "class" else z3.Not(truth.true))
        taken.append(z3.And(*open))
        return taken

    def _given(self, name: str) -> Truth:
        tag = self.ruleset.tags.get(name)
        if tag is None or not is_decided(tag):
            true = self.unknown(("given", name), BOOLEAN, self.never).value
        else:
            true = self._inlined(("tag", name), lambda: self.given(tag))
        return Truth(true, z3.Not(true))

    def _held(self, expression: LadderIs) -> Truth:
        ladder = self.ruleset.ladders[expression.ladder]
        if not is_decided(ladder):
            true = self.unknown(("held", expression), BOOLEAN, self.never).value
            return Truth(true, z3.Not(true))

        def value(wanted: str) -> Term:
            lines = self.reached(ladder)
            named = [*(level.value for level in ladder.levels), ladder.otherwise]
            return z3.Or([line for line, value in zip(lines, named, strict=True) if value == wanted])

        true = z3.Or(
            [
                self._inlined(("ladder", expression.ladder, wanted), lambda wanted=wanted: value(wanted))  # type: ignore[misc]
                for wanted in expression.values
            ]
        )
        return Truth(true, z3.Not(true))

    def _inlined(self, key: Any, make: Callable[[], Term]) -> Term:
        made, leaves = self._remembered(key, make)
        if len(leaves) > MOST_LEAVES:
            return self.unknown((*key, "opaque"), BOOLEAN, self.never).value
        self.reading.update(leaves)
        return made

    # -- values ---------------------------------------------------------------------------------------------

    def worth(self, expression: Expression) -> Worth:
        match expression:
            case Constant(value=value):
                return Worth(self._constant(value, expression.type), self.never)
            case ParameterValue():
                return self._parameter(expression, expression.type)
            case Attribute() | EventValue():
                return self.attribute(expression)
            case MetricValue(metric=name):
                metric = self.ruleset.metrics[name]
                if metric.type == BOOLEAN:
                    return self._as_worth(self._read(("metric", name), lambda: self.truth(metric.expression)))
                return self._read(("metric", name), lambda: self.worth(metric.expression))  # type: ignore[no-any-return]
            case Aggregate():
                return self.leaf(expression, lambda: self.world.aggregate(expression)).worth
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
                bounds = lambda value: [value >= 0, value <= 366]  # noqa: E731
                return self.unknown(expression, expression.type, day.missing, bounds)
            case Ranking():
                return self._ranking(expression)
            case Points(lines=lines):
                scale, total = expression.type.scale, self.world.number(0)
                for line in lines:
                    points = self.world.number(_scaled(line.points, scale))
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
            return self._parameter(expression, to)
        if isinstance(expression, Constant):
            return Worth(self._constant(expression.value, to), self.never)
        worth, own = self.worth(expression), expression.type
        if own.kind is Kind.EXACT and to.kind is Kind.EXACT:
            return worth if own.scale == to.scale else Worth(worth.value * 10 ** (to.scale - own.scale), worth.missing)
        if own.kind is Kind.EXACT and to.kind is Kind.DOUBLE:
            if own.scale == 0 and own.digits <= EXACT_DIGITS:
                return Worth(z3.ToReal(worth.value), worth.missing)
            # The nearest double is on the same side of zero.
            sides = lambda value: [  # noqa: E731
                z3.Implies(worth.value >= 0, value >= 0),
                z3.Implies(worth.value <= 0, value <= 0),
            ]
            return self.unknown(("double", expression), DOUBLE, worth.missing, sides)
        return worth

    def _constant(self, value: ParameterConstant, to: Type) -> Term:
        context = self.world.context
        match value:
            case bool():
                return self.world.truth(value)
            case str():
                return z3.RealVal(self.texts[value], context)
            case int() | Decimal():
                if to.kind is Kind.DOUBLE:
                    return z3.RealVal(str(Fraction(float(value))), context)
                return z3.IntVal(_scaled(value, to.scale), context)
            case _:
                return z3.IntVal(value.toordinal(), context)

    def _parameter(self, expression: ParameterValue, to: Type) -> Worth:
        steps = self.ruleset.parameters[expression.parameter].steps
        value = self._constant(steps[0][1][0], to)
        for start, later in steps[1:]:
            assert start is not None
            value = z3.If(self.world.today >= start.toordinal(), self._constant(later[0], to), value)
        return Worth(value, self.never)

    def _arithmetic(self, expression: Arithmetic) -> Worth:
        operator, left, right = expression.operator, expression.left, expression.right
        if operator == "/":
            return self._quotient(expression)
        if expression.type.kind is Kind.DOUBLE:
            one, other = self.as_type(left, DOUBLE), self.as_type(right, DOUBLE)
            return self.unknown(expression, DOUBLE, z3.Or(one.missing, other.missing))
        if operator == "*":
            one, other = self.worth(left), self.worth(right)
            missing = z3.Or(one.missing, other.missing)
            if z3.is_int_value(one.value) or z3.is_int_value(other.value):
                return Worth(one.value * other.value, missing)
            return self.unknown(expression, expression.type, missing)
        wide = replace(expression.type, digits=0)
        one, other = self.as_type(left, wide), self.as_type(right, wide)
        value = one.value + other.value if operator == "+" else one.value - other.value
        return Worth(value, z3.Or(one.missing, other.missing))

    def _quotient(self, expression: Arithmetic) -> Worth:
        to = common(expression.left.type, expression.right.type)
        assert to is not None
        above, below = self.as_type(expression.left, to), self.as_type(expression.right, to)
        a, b = above.value, below.value

        def facts(value: Term) -> list[Term]:
            # Rounding to a double passes neither 0 nor 1.
            return [
                z3.Implies(b > 0, z3.And(z3.Implies(a >= 0, value >= 0), z3.Implies(a <= 0, value <= 0))),
                z3.Implies(b > 0, z3.And(z3.Implies(a >= b, value >= 1), z3.Implies(a <= b, value <= 1))),
            ]

        missing = z3.Or(above.missing, below.missing, b == 0)
        return self.unknown(expression, DOUBLE, missing, facts)

    def _scalar(self, expression: Scalar) -> Worth:
        arguments = expression.arguments
        if expression.function in ("least", "greatest"):
            worths = [self.as_type(argument, expression.type) for argument in arguments]
            values, low = [worth.value for worth in worths], expression.function == "least"
            value = reduce(lambda a, b: z3.If(a <= b if low else a >= b, a, b), values)
            return Worth(value, z3.Or([worth.missing for worth in worths]))
        worth, own = self.worth(arguments[0]), arguments[0].type
        if expression.function == "abs":
            return Worth(z3.If(worth.value >= 0, worth.value, -worth.value), worth.missing)
        if own.kind is not Kind.EXACT:
            return self.unknown(expression, expression.type, worth.missing)
        if expression.function == "round":
            if expression.places >= own.scale:
                return worth
            step = 10 ** (own.scale - expression.places)
            half = step // 2
            away = z3.If(worth.value >= 0, (worth.value + half) / step, -((half - worth.value) / step))
            return Worth(away, worth.missing)
        step = 10**own.scale
        if step == 1:
            return worth
        return Worth(worth.value / step if expression.function == "floor" else -((-worth.value) / step), worth.missing)

    def _ranking(self, expression: Ranking) -> Worth:
        missing = [self.worth(expression.value).missing]
        if expression.among is not None:
            missing.append(z3.Not(self.truth(expression.among).true))
        if expression.within is not None and expression.within.type != BOOLEAN:
            missing.append(self.worth(expression.within).missing)
        elif expression.within is not None:
            missing.append(self._as_worth(self.truth(expression.within)).missing)
        absent = z3.Or(missing)
        key = expression.value, expression.lowest, expression.within, expression.among, expression.split
        match expression.function:
            case RankingFunction.RANK:
                return self._rank(key, absent)
            case RankingFunction.TOP:
                return Worth(self._rank(key, absent).value <= self._places(key, expression.limit), absent)
            case RankingFunction.NTILE:
                bounds = lambda value: [value >= 1, value <= expression.buckets]  # noqa: E731
            case RankingFunction.PERCENTILE:
                bounds = lambda value: [value > 0, value <= 1]  # noqa: E731
            case RankingFunction.CUMULATIVE_SHARE:
                bounds = lambda value: [value >= 0, value <= 1]  # noqa: E731
            case _:
                assert_never(expression.function)
        return self.unknown(expression, expression.type, absent, bounds)

    def _rank(self, key: Any, missing: Term) -> Worth:
        return self.unknown(("rank", *key), COUNT, missing, lambda value: [value >= 1])

    def _places(self, key: Any, limit: int | Decimal) -> Term:
        """How many places a `top` has: as many as it says, or a share of so many customers as there are."""
        if isinstance(limit, int):
            return self.world.number(limit)

        def facts(value: Term) -> list[Term]:
            others = self._caps.setdefault(key, [])
            found = [value >= 1]
            found.extend(value <= places if limit <= share else value >= places for share, places in others)
            others.append((limit, value))
            return found

        return self.unknown(("places", *key, limit), COUNT, self.never, facts).value


def is_decided(rule: Rule) -> bool:
    """Whether conditions alone decide a rule: no clause that looks at what the customer had before, nor a budget."""
    parts: list[Tag | Ladder | Level] = [rule, *(rule.levels if isinstance(rule, Ladder) else ())]
    return not any(
        getattr(part, each.name) for part in parts for each in fields(part) if each.name not in _DECIDING | _SAYING
    )


def compared(operator: str, left: Worth, right: Worth) -> Truth:
    a, b = left.value, right.value
    known = z3.Not(z3.Or(left.missing, right.missing))
    match operator:
        case "=":
            held = a == b
        case "!=":
            held = a != b
        case "<":
            held = a < b
        case "<=":
            held = a <= b
        case ">":
            held = a > b
        case _:
            held = a >= b
    return Truth(z3.And(known, held), z3.And(known, z3.Not(held)))


def conjunction(truths: list[Truth]) -> Truth:
    return Truth(z3.And([each.true for each in truths]), z3.Or([each.false for each in truths]))


def disjunction(truths: list[Truth]) -> Truth:
    return Truth(z3.Or([each.true for each in truths]), z3.And([each.false for each in truths]))


def _scaled(value: int | Decimal, scale: int) -> int:
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
