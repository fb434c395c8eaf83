"""The meaning of a ruleset for one customer, in plain Python: what every engine has to agree with."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from hashlib import sha256
from typing import Any, assert_never, cast
from zoneinfo import ZoneInfo

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
    HadTag,
    HasTag,
    IsMissing,
    Junction,
    LadderIs,
    LadderWas,
    MetricValue,
    Negation,
    Not,
    OneOf,
    ParameterValue,
    Points,
    Ranking,
    Sample,
    Scalar,
    ScoreLine,
    TextTest,
)
from ruleengine.checking.ruleset import Ladder, Metric, ParameterConstant, Rule, Ruleset, Tag
from ruleengine.interpreter.arithmetic import (
    Number,
    TooLarge,
    Truth,
    absolute,
    calculate,
    ceiling,
    compare,
    conjunction,
    convert,
    disjunction,
    factor,
    floor,
    negation,
    negative,
    rounded,
    scaled,
    units,
)
from ruleengine.interpreter.events import Cell, Event, aggregate, events_until, read
from ruleengine.interpreter.memory import NOWHERE, Recollection, TagDecision, TierDecision, decide_tag, decide_tier
from ruleengine.planning.windows import days_of
from ruleengine.types import Kind, Type, Value

Overrides = Mapping[str, tuple[ParameterConstant, ...]]
"""Parameters set for a run, by name: one value, or those of a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one customer."""

    attributes: Mapping[str, Cell] = field(default_factory=dict)
    """Columns of the entity, the key among them; one that is absent is missing."""
    events: Mapping[str, Sequence[Mapping[str, Cell]]] = field(default_factory=dict)
    """By events source its rows; the `for` column may be left out, other absent columns are missing."""
    metrics: Mapping[str, Value] = field(default_factory=dict)
    """Given metric instances, which replace the computed ones everywhere."""
    memory: Recollection = field(default_factory=Recollection)
    """What earlier versions say of the customer."""
    budgets: frozenset[str] | None = None
    """Tags whose `limit` reaches the customer; None: limits are ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run for a date says about one customer."""

    exists: bool
    """Whether the entity holds the customer at that date; the rest is what it would be if so."""
    metrics: Mapping[str, Value]
    tags: Mapping[str, Truth]
    """Only TRUE gives the tag; those set by hand are among them."""
    ladders: Mapping[str, str | None]
    unknown_lines: Mapping[str, int]
    """Of classes without a value because of an unknown line: which line, from 0."""
    unanswered: Mapping[tuple[str, str], str]
    """Metrics, tags, tiers and classes, by kind and name, that are in none of the above: they read the metric
    that stands here, which ranks customers and was not given."""
    decisions: Mapping[str, TagDecision]
    """By rule tag; budgets aside."""
    standings: Mapping[str, TierDecision]
    """By tier; levels set by hand aside."""


class Overflow(Exception):  # noqa: N818  # a word of the language
    """A number grew too large; says where."""

    def __init__(self, kind: str, name: str, reason: str) -> None:
        super().__init__(f"{kind} {name}: {reason}")
        self.kind = kind  # metric, tag, tier, class, entity
        self.name = name
        self.reason = reason


class NeedsPopulation(Exception):  # noqa: N818  # a word of the language
    """What ranks a customer among all others cannot be told of one alone, unless it is given."""

    def __init__(self, metric: str) -> None:
        super().__init__(f"{metric} ranks a customer among all others, so it has to be given")
        self.metric = metric


def evaluate(ruleset: Ruleset, facts: Facts, as_of: date, overrides: Overrides | None = None) -> Outcome:
    """Every metric, tag and ladder of one customer in a run for a date; raises Overflow."""
    evaluation = Evaluation(ruleset, facts, as_of, overrides)
    evaluation.run()
    return evaluation.outcome()


def exists(ruleset: Ruleset, facts: Facts, as_of: date, overrides: Overrides | None = None) -> bool:
    """Whether the entity holds the customer in a run for a date; an overflow of nobody else counts."""
    return Evaluation(ruleset, facts, as_of, overrides).exists()


class Evaluation:
    """One customer in one run."""

    def __init__(self, ruleset: Ruleset, facts: Facts, as_of: date, overrides: Overrides | None = None) -> None:
        self.ruleset = ruleset
        self.facts = facts
        self.as_of = as_of
        self.overrides = overrides or {}
        self.home = ZoneInfo(ruleset.timezone)
        self.customer = self.attribute(ruleset.entity.key.name)
        self.events = {
            name: events_until(as_of, declared, facts.events.get(name, ()), self.home, self.customer)
            for name, declared in ruleset.events.items()
        }
        self.metrics: dict[str, Value] = {
            name: convert(value, ruleset.metrics[name].type)
            for name, value in facts.metrics.items()
            if name in ruleset.metrics
        }
        self.memory = facts.memory
        self.tags: dict[str, Truth] = {name: name in self.memory.manual_tags for name in ruleset.manual_tags}
        self.decisions: dict[str, TagDecision] = {}
        self.standings: dict[str, TierDecision] = {}
        self.ladders: dict[str, str | None] = {}
        self.unknown_lines: dict[str, int] = {}
        self.unanswered: dict[tuple[str, str], str] = {}

    def run(self) -> None:
        """Work out every metric and rule, each after those it reads."""
        for metric in self.ruleset.metrics.values():
            self.work_out(metric)
        for rule in self.ruleset.order:
            self.answer(rule)

    def work_out(self, metric: Metric) -> None:
        if metric.name not in self.metrics:
            with self._answering("metric", metric.name):
                if isinstance(metric.expression, Ranking):
                    raise NeedsPopulation(metric.name)
                self.metrics[metric.name] = self.value(metric.expression)

    def answer(self, rule: Rule) -> None:
        with self._answering(rule.kind, rule.name):
            match rule:
                case Tag():
                    self.tags[rule.name] = self._tag(rule)
                case Ladder():
                    self.ladders[rule.name] = self._ladder(rule)
                case _:
                    assert_never(rule)

    def outcome(self) -> Outcome:
        return Outcome(
            exists=self.exists(),
            metrics=self.metrics,
            tags=self.tags,
            ladders=self.ladders,
            unknown_lines=self.unknown_lines,
            unanswered=self.unanswered,
            decisions=self.decisions,
            standings=self.standings,
        )

    @contextmanager
    def _answering(self, kind: str, name: str) -> Iterator[None]:
        try:
            with overflow_of(kind, name):
                yield
        except NeedsPopulation as needed:
            self.unanswered[kind, name] = needed.metric

    def exists(self) -> bool:
        entity = self.ruleset.entity
        if entity.distinct and not self.events[entity.source]:
            return False
        if entity.since is not None:
            since = self.attribute(entity.since)
            if not isinstance(since, date) or since > self.as_of:
                return False
        with overflow_of("entity", entity.name):
            return entity.where is None or self.truth(entity.where) is True

    # -- rules ----------------------------------------------------------------------------------------------

    def _tag(self, tag: Tag) -> Truth:
        for other in tag.preferred:
            self._ask("tag", other)
        decision = self.decisions[tag.name] = decide_tag(
            tag,
            when=self.truth(tag.when),
            unless=self.truth(tag.unless) if tag.unless is not None else False,
            until=self.truth(tag.until) if tag.until is not None else None,
            preferred=[other for other in tag.preferred if self.tags[other] is True],
            held=tag.name in self.memory.tags,
            last_match=self.memory.tags.get(tag.name),
            day=self.as_of,
        )
        beyond = tag.limit is not None and self.facts.budgets is not None and tag.name not in self.facts.budgets
        return False if beyond and decision.given is True else decision.given

    def _ladder(self, ladder: Ladder) -> str | None:
        if ladder.kind == "class":
            return self._class(ladder)
        anniversary = None
        if ladder.review is not None and ladder.review.anniversary_of is not None:
            anniversary = self.attribute(ladder.review.anniversary_of)
        decision = self.standings[ladder.name] = decide_tier(
            ladder,
            met=lambda level: self.truth(level.when),
            kept=lambda level: self.truth(level.keep_while) if level.keep_while is not None else False,
            before=self.memory.tiers.get(ladder.name, NOWHERE),
            anniversary_of=cast(date | None, anniversary),
            day=self.as_of,
        )
        by_hand = self.memory.manual_tiers.get(ladder.name) if ladder.manual is not None else None
        by_hand = ladder.formerly.get(by_hand, by_hand) if by_hand is not None else None
        return by_hand if by_hand in ladder.values else decision.now.level

    def _class(self, ladder: Ladder) -> str | None:
        for number, level in enumerate(ladder.levels):
            met = self.truth(level.when)
            if met:
                return level.value
            if met is None:
                self.unknown_lines[ladder.name] = number
                return None
        return ladder.otherwise

    # -- values ---------------------------------------------------------------------------------------------

    def attribute(self, name: str) -> Value:
        column = self.ruleset.attribute(name)
        assert column is not None
        return read(self.facts.attributes.get(name), column.type.value, None, self.home)

    def parameter(self, name: str) -> tuple[ParameterConstant, ...]:
        """The value of a `let` in this run, or the values of its list."""
        return self.overrides.get(name, self.ruleset.parameters[name].on(self.as_of))

    def truth(self, condition: Expression, event: Event | None = None) -> Truth:
        answer = self.value(condition, event)
        assert answer is None or isinstance(answer, bool)
        return answer

    def value(self, expression: Expression, event: Event | None = None) -> Value:
        """What an expression is worth; inside an aggregate, for one event."""
        match expression:
            case Constant():
                return convert(expression.value, expression.type)
            case ParameterValue():
                return convert(self.parameter(expression.parameter)[0], expression.type)
            case Attribute():
                return self.attribute(expression.column)
            case EventValue():
                assert event is not None
                return event.values[expression.column]
            case MetricValue():
                self._ask("metric", expression.metric)
                return self.metrics[expression.metric]
            case Aggregate():
                return self._aggregate(expression)
            case Negation():
                operand = self.value(expression.operand, event)
                return None if operand is None else negative(cast(Number, operand))
            case Arithmetic(operator=operator, left=left, right=right):
                a, b = self.value(left, event), self.value(right, event)
                if a is None or b is None:
                    if operator == "*" and expression.type.kind is Kind.EXACT:
                        for side, present in ((left, a), (right, b)):
                            if present is not None:
                                factor(cast(Number, present), side.type)
                    return None
                return calculate(operator, cast(Number, a), left.type, cast(Number, b), right.type)
            case Comparison(operator=operator, left=left, right=right):
                return compare(operator, self.value(left, event), left.type, self.value(right, event), right.type)
            case OneOf():
                operand = self.value(expression.operand, event)
                return disjunction(
                    compare("=", operand, expression.operand.type, choice, choice_type)
                    for choice, choice_type in self.choices(expression)
                )
            case IsMissing():
                return self.value(expression.operand, event) is None
            case TextTest():
                text, part = self.value(expression.operand, event), self.value(expression.text, event)
                return _text_test(expression.operator, cast(str | None, text), cast(str | None, part))
            case Not():
                return negation(self.truth(expression.operand, event))
            case Junction():
                # All of them, so that an overflow does not depend on the order.
                truths = [self.truth(item, event) for item in expression.items]
                return conjunction(truths) if expression.operator == "and" else disjunction(truths)
            case Conditional():
                # Only the side that is taken: `if x < 1000 then x * x else 0` cannot overflow.
                met = self.truth(expression.condition, event)
                return convert(self.value(expression.then if met else expression.otherwise, event), expression.type)
            case Default():
                operand = self.value(expression.operand, event)
                return convert(self.value(expression.value, event) if operand is None else operand, expression.type)
            case Scalar():
                return self._scalar(expression, [self.value(each, event) for each in expression.arguments])
            case Days():
                day = self.value(expression.operand, event)
                return None if day is None else _days(expression.direction, cast(date, day), self.as_of)
            case Points():
                scale = expression.type.scale
                return scaled(sum(units(cast(Number, self.value(line)), scale) for line in expression.lines), scale)
            case ScoreLine():
                return expression.points if self.truth(expression.when, event) else 0
            case Sample():
                return _is_sampled(self.value(expression.key), expression)
            case Ranking():
                raise AssertionError("a ranking is a metric of its own")
            case HasTag():
                self._ask("tag", expression.tag)
                return self.tags[expression.tag] is True
            case LadderIs():
                self._ask(self.ruleset.ladders[expression.ladder].kind, expression.ladder)
                return self.ladders[expression.ladder] in expression.values
            case HadTag() | LadderWas():
                return self.memory.past.get(expression)
            case _:
                assert_never(expression)

    def _ask(self, kind: str, name: str) -> None:
        """Whether there is an answer; else whoever reads it has none either."""
        if (kind, name) in self.unanswered:
            raise NeedsPopulation(self.unanswered[kind, name])

    def choices(self, membership: OneOf) -> list[tuple[Value, Type]]:
        if isinstance(membership.choices, str):
            listed = self.ruleset.parameters[membership.choices].type
            return [(value, listed) for value in self.parameter(membership.choices)]
        return [(self.value(choice), choice.type) for choice in membership.choices]

    def _aggregate(self, expression: Aggregate) -> Value:
        events: Sequence[Event] = self.events[expression.source]
        if expression.window is not None:
            first, last = days_of(expression.window, self.as_of)
            events = [event for event in events if (first is None or first <= event.day) and event.day <= last]
        if expression.where is not None:
            events = [event for event in events if self.truth(expression.where, event)]
        argument = expression.argument
        values = [self.value(argument, event) for event in events] if argument else []
        return aggregate(expression.function, events, values, argument.type if argument else expression.type)

    def _scalar(self, expression: Scalar, arguments: list[Value]) -> Value:
        if None in arguments:
            return None
        number = cast(Number, arguments[0])
        match expression.function:
            case "least" | "greatest":
                among: list[Any] = [convert(argument, expression.type) for argument in arguments]
                return cast(Value, min(among) if expression.function == "least" else max(among))
            case "abs":
                return absolute(number)
            case "floor":
                return floor(number)
            case "ceil":
                return ceiling(number)
            case "round":
                to = expression.arguments[0].type
                return convert(rounded(number, to, expression.places), expression.type)
            case _:
                assert_never(expression.function)


@contextmanager
def overflow_of(kind: str, name: str) -> Iterator[None]:
    try:
        yield
    except TooLarge as problem:
        raise Overflow(kind, name, str(problem)) from None


def _is_sampled(key: Value, sample: Sample) -> bool:
    digest = sha256(f"{key}|{sample.salt}".encode()).hexdigest()
    return int(digest[:8], 16) < Fraction(sample.share) * 2**32


def _text_test(operator: str, text: str | None, part: str | None) -> Truth:
    if text is None or part is None:
        return None
    if operator == "starts with":
        return text.startswith(part)
    return text.endswith(part) if operator == "ends with" else part in text


def _days(direction: str, day: date, as_of: date) -> int:
    if direction == "since":
        return (as_of - day).days
    if direction == "until":
        return (day - as_of).days
    this_year = _anniversary(day, as_of.year)
    return ((this_year if this_year >= as_of else _anniversary(day, as_of.year + 1)) - as_of).days


def _anniversary(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:  # 29 February in a common year
        return date(year, 2, 28)
