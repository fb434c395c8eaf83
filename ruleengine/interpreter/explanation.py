"""Why a customer has a tag, a level or a value, or not, and how far he is from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal, assert_never, cast

from ruleengine.checking.expressions import (
    Comparison,
    Conditional,
    Constant,
    Default,
    Expression,
    Junction,
    LadderIs,
    Not,
    OneOf,
    ParameterValue,
    children,
    walk,
)
from ruleengine.checking.ruleset import Ladder, Rule, Ruleset, Tag
from ruleengine.interpreter.arithmetic import WIDE, Number, Truth, absolute, ceiling, double, floor
from ruleengine.interpreter.evaluation import Evaluation, Facts, NeedsPopulation, Overrides, overflow_of
from ruleengine.interpreter.memory import TagDecision, TierDecision
from ruleengine.types import BOOLEAN, Kind, Value

OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """How far a comparison is from the answer the rule asks for: `side` needs `amount` more, or less."""

    side: Expression
    """The side that would have to move: the left one, unless that is a constant."""
    amount: Number
    unit: Literal["number", "days"]
    """Days lie between two dates: more is later, less is earlier."""
    direction: Literal["more", "less"]
    beyond: bool
    """Not the amount itself, but anything past it, is enough. Whole numbers and dates need no such thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """An expression of a rule with what it came to, and all beneath it that counted."""

    expression: Expression
    answer: Value
    """For a condition its truth: true, false, or None for unknown."""
    wanted: bool | None
    """For a condition, the answer that works towards the rule: FALSE beneath `not` and in `unless`."""
    operands: tuple[Value, ...]
    """Of a list its values stand here too; of `tier … is …` the level the customer has."""
    children: tuple["Trace", ...]
    gap: Gap | None
    """Of a comparison of numbers or dates whose answer is not the wanted one, with nothing missing."""

    @property
    def text(self) -> str:
        """As the rule file has it."""
        return self.expression.span.text

    @property
    def is_as_wanted(self) -> bool:
        return self.answer is self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class TagTrace:
    rule: Tag
    answer: Truth
    """The tag is given if TRUE, and its budget reaches so far."""
    when: Trace
    unless: Trace | None
    until: Trace | None
    decision: TagDecision
    because: tuple[Value, ...]
    """The values for the holes in the tag's reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderTrace:
    rule: Ladder
    answer: str | None
    lines: tuple[Trace, ...]
    """The condition of every level, in the order written."""
    keeping: tuple[Trace | None, ...]
    """What `keep while` says of each."""
    decided_by: int | None
    """The line that gave the value, or that was unknown and so blocked it; of a tier that of the level that is earned;
    None: no line did."""
    decision: TierDecision | None
    """Of a tier."""
    short_of: tuple[Trace, ...]
    """Of who has earned less than the level he holds: the fewest conditions that would have to change to earn it."""


def explain(
    ruleset: Ruleset,
    facts: Facts,
    as_of: date,
    rule: str | tuple[str, str],
    overrides: Overrides | None = None,
) -> TagTrace | LadderTrace:
    """Why one rule answers as it does; `rule` is a name, or its kind (tag, tier, class) and name.

    Raises Overflow, and NeedsPopulation where the rule reads a ranking that is not given.
    """
    found = _find(ruleset, rule)
    evaluation = Evaluation(ruleset, facts, as_of, overrides)
    evaluation.run()
    if (found.kind, found.name) in evaluation.unanswered:
        raise NeedsPopulation(evaluation.unanswered[found.kind, found.name])
    return explain_rule(found, evaluation)


def explain_rule(rule: Rule, evaluation: Evaluation) -> TagTrace | LadderTrace:
    """Why a rule answers as it does in an evaluation that has answered it; raises Overflow."""
    with overflow_of(rule.kind, rule.name):
        match rule:
            case Tag():
                return _explain_tag(rule, evaluation)
            case Ladder():
                return _explain_ladder(rule, evaluation)
            case _:
                assert_never(rule)


def _explain_tag(tag: Tag, evaluation: Evaluation) -> TagTrace:
    tracer = _Tracer(evaluation)
    return TagTrace(
        rule=tag,
        answer=evaluation.tags[tag.name],
        when=tracer.trace(tag.when, True),
        unless=tracer.trace(tag.unless, False) if tag.unless else None,
        until=tracer.trace(tag.until, False) if tag.until else None,
        decision=evaluation.decisions[tag.name],
        because=tuple(map(evaluation.value, tag.because.values)) if tag.because else (),
    )


def _explain_ladder(ladder: Ladder, evaluation: Evaluation) -> LadderTrace:
    tracer = _Tracer(evaluation)
    lines = tuple(tracer.trace(level.when, True) for level in ladder.levels)
    keeping = tuple(tracer.trace(level.keep_while, True) if level.keep_while else None for level in ladder.levels)
    decision = evaluation.standings.get(ladder.name)
    named = [level.value for level in ladder.levels]
    short_of: tuple[Trace, ...] = ()
    if decision is None:
        decided_by = next((number for number, line in enumerate(lines) if line.answer in (True, None)), None)
    else:
        decided_by = named.index(decision.earned) if decision.earned in named else None
        if decision.now.below is not None and decision.now.level in named:
            held = named.index(decision.now.level)
            ways = [shortest_way(trace) for trace in (keeping[held], lines[held]) if trace is not None]
            short_of = min(ways, key=len)
    return LadderTrace(
        rule=ladder,
        answer=evaluation.ladders[ladder.name],
        lines=lines,
        keeping=keeping,
        decided_by=decided_by,
        decision=decision,
        short_of=short_of,
    )


def trace(evaluation: Evaluation, condition: Expression, wanted: bool) -> Trace:
    """A condition of somebody whose metrics and rules are worked out, as far as it reads them."""
    return _Tracer(evaluation).trace(condition, wanted)


def shortest_way(trace: Trace) -> tuple[Trace, ...]:
    """The fewest conditions that would have to change for the wanted answer; the first of equally few.

    One without a gap turns on a text, a missing value or another rule.
    """
    if trace.is_as_wanted:
        return ()
    match trace.expression:
        case Not():
            return shortest_way(trace.children[0])
        case Junction(operator=operator):
            ways = [shortest_way(child) for child in trace.children]
            if (operator == "and") == trace.wanted:
                return tuple(step for way in ways for step in way)
            return min(ways, key=len)
        case _:
            return (trace,)


def _find(ruleset: Ruleset, rule: str | tuple[str, str]) -> Rule:
    kind, name = (None, rule) if isinstance(rule, str) else rule
    for found in (ruleset.tags.get(name), ruleset.ladders.get(name)):
        if found is not None and kind in (None, found.kind):
            return found
    raise KeyError(rule)


@dataclass(frozen=True, slots=True)
class _Tracer:
    evaluation: Evaluation

    def trace(self, expression: Expression, wanted: bool = True) -> Trace:
        answer = self.evaluation.value(expression)
        beneath = tuple(self._beneath(expression, wanted))
        return Trace(
            expression=expression,
            answer=answer,
            wanted=wanted if expression.type == BOOLEAN else None,
            operands=self._operands(expression, beneath),
            children=beneath,
            gap=_gap(expression, beneath, wanted) if answer is (not wanted) else None,
        )

    def _beneath(self, expression: Expression, wanted: bool) -> Iterator[Trace]:
        match expression:
            case Not():
                yield self.trace(expression.operand, not wanted)
            case Junction():
                yield from (self.trace(item, wanted) for item in expression.items)
            case Conditional():
                condition = self.trace(expression.condition)
                yield condition
                yield self.trace(expression.then if condition.answer else expression.otherwise, wanted)
            case Default():
                operand = self.trace(expression.operand, wanted)
                yield operand
                if operand.answer is None:
                    yield self.trace(expression.value, wanted)
            case _:
                yield from (self.trace(child) for child in children(expression))

    def _operands(self, expression: Expression, beneath: tuple[Trace, ...]) -> tuple[Value, ...]:
        match expression:
            case LadderIs():
                return (self.evaluation.ladders[expression.ladder],)
            case OneOf():
                choices = self.evaluation.choices(expression)
                return (beneath[0].answer, *(value for value, _ in choices))
            case _:
                return tuple(child.answer for child in beneath)


def _gap(expression: Expression, sides: tuple[Trace, ...], wanted: bool) -> Gap | None:
    if not isinstance(expression, Comparison):
        return None
    sign = expression.operator if wanted else OPPOSITE[expression.operator]
    left, right = expression.left, expression.right
    rise = _difference(sides[1].answer, sides[0].answer)
    if sign == "!=" or rise is None:
        return None
    moves_right = _is_fixed(left) and not _is_fixed(right)
    side = right if moves_right else left
    more = rise > 0 if sign == "=" else sign in (">", ">=")
    amount, beyond = absolute(rise), sign in ("<", ">")
    if side.type.is_integer or side.type.kind is Kind.DATE:
        # It moves in whole steps: from 1 to above 2.5 takes 2.
        if beyond:
            amount, beyond = floor(amount) + 1, False
        elif sign != "=":
            amount = ceiling(amount)
    return Gap(
        side=side,
        amount=amount,
        unit="days" if side.type.kind is Kind.DATE else "number",
        direction="more" if more is not moves_right else "less",
        beyond=beyond,
    )


def _difference(above: Value, below: Value) -> Number | None:
    match above, below:
        case (bool(), _) | (_, bool()):
            return None
        case date(), date():
            return (above - below).days
        case int(), int():
            return above - below
        case (int() | Decimal() | float(), float()) | (float(), int() | Decimal()):
            return double(cast(Number, above)) - double(cast(Number, below))
        case int() | Decimal(), int() | Decimal():
            return WIDE.subtract(Decimal(above), Decimal(below))
        case _:
            return None


def _is_fixed(expression: Expression) -> bool:
    """Whether the same for every customer."""
    ends = [part for part in walk(expression) if not any(children(part))]
    return all(isinstance(end, Constant | ParameterValue) for end in ends)
