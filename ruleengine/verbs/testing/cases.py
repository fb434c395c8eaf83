"""Tests as they can be asked again: of rules that were changed, or with somebody who watches."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Literal

from ruleengine.checking.expressions import HadTag, Past
from ruleengine.checking.reach import Givens, Reach
from ruleengine.checking.rules import asks_history
from ruleengine.checking.ruleset import Example, Expectation, Ruleset
from ruleengine.interpreter import Facts, NeedsPopulation, Outcome, Overflow, Truth, evaluate_all
from ruleengine.interpreter.evaluation import Evaluation, Overrides
from ruleengine.interpreter.memory import Recollection, recollected

ANY_DAY = date(2000, 1, 1)
"""For examples whose answers are the same on every day."""

Owner = tuple[str, str]
"""What has conditions, or a value, of its own, by kind and name: a tag, tier, class, metric, let or the entity."""
Answer = Literal["given", "no", "unknown"]
Make = Callable[[Ruleset, Facts, date, Overrides | None], Evaluation]


def reach(ruleset: Ruleset, rules: Iterable[Owner], givens: Givens) -> Reach:
    keyed: dict[tuple[str, str], Any] = {("tag", name): tag for name, tag in ruleset.tags.items()}
    keyed |= {("ladder", name): ladder for name, ladder in ruleset.ladders.items()}
    found = Reach(givens, keyed, ruleset.metrics, ruleset.parameters)
    found.follow(("tag" if kind == "tag" else "ladder", name) for kind, name in rules)
    return found


def reached(ruleset: Ruleset, rules: Iterable[Owner]) -> frozenset[Owner]:
    """Everything that the answers of rules are made from, other customers' included; the rules are among it."""
    givens = Givens()
    found = reach(ruleset, rules, givens)
    found.follow_rankings()
    return _owners(ruleset, found, givens)


def _owners(ruleset: Ruleset, found: Reach, givens: Givens) -> frozenset[Owner]:
    return frozenset(
        [
            *(("tag" if kind == "tag" else ruleset.ladders[name].kind, name) for kind, name in found.rules),
            *(("metric", name) for name in found.metrics if name not in givens.metrics),
            *(("let", name) for name in found.parameters if name not in givens.parameters),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class ExampleCase:
    """One customer of whom everything is given."""

    example: Example
    reaches: frozenset[Owner]
    remembers: bool
    """Whether it counts what the customer had before."""

    @classmethod
    def of(cls, ruleset: Ruleset, example: Example) -> "ExampleCase":
        givens = Givens(
            attributes=dict(example.attributes),
            events=dict(example.events),
            metrics=dict(example.metrics),
            history=dict(example.history),
            parameters=dict(example.parameters),
        )
        found = reach(ruleset, ((each.kind, each.name) for each in example.expectations), givens)
        return cls(example, _owners(ruleset, found, givens), bool(found.history))

    def facts(self, ruleset: Ruleset) -> Facts:
        return Facts(
            attributes=self.example.attributes,
            events=self.example.events,
            metrics=self.example.metrics,
            memory=recollected(ruleset, self.example.history, self.day) if self.remembers else Recollection(),
        )

    @property
    def day(self) -> date:
        return self.example.as_of or ANY_DAY

    def evaluated(self, ruleset: Ruleset, make: Make = Evaluation) -> Evaluation:
        """Work out what the expectations turn on, and nothing else; raises Overflow.

        Metrics that the ruleset has beside those of the case's own are worked out too.
        """
        evaluation = make(ruleset, self.facts(ruleset), self.day, self.example.parameters)
        for metric in ruleset.metrics.values():
            if ("metric", metric.name) in self.reaches or metric.name.startswith(MADE):
                evaluation.work_out(metric)
        for rule in ruleset.order:
            if (rule.kind, rule.name) in self.reaches:
                evaluation.answer(rule)
        return evaluation

    def holds(self, ruleset: Ruleset) -> bool:
        try:
            evaluation = self.evaluated(ruleset)
            return all(is_met(each, *answer(evaluation, each)) for each in self.example.expectations)
        except (Overflow, NeedsPopulation, KeyError):
            return False


MADE = "made: "
"""How the names of metrics begin that stand for others in rules that were changed."""


@dataclass(frozen=True, slots=True, eq=False)
class SuiteCase:
    """The customers of a suite, on each of its dates."""

    customers: Mapping[Any, Facts]
    days: tuple[date, ...]
    expected: Mapping[date, Mapping[Any, Sequence[Expectation]]]
    parameters: Overrides
    reaches: frozenset[Owner]

    def watched(self, ruleset: Ruleset, make: Make) -> None:
        """Work out what the expectations turn on, by `make` of whom something is expected; raises Overflow."""
        for _ in self._days(ruleset, make):
            pass

    def holds(self, ruleset: Ruleset) -> bool:
        try:
            return all(self._holds_on(day, outcomes) for day, outcomes in self._days(ruleset, Evaluation))
        except (Overflow, NeedsPopulation, KeyError):
            return False

    def _days(self, ruleset: Ruleset, make: Make) -> Iterator[tuple[date, Mapping[Any, Outcome]]]:
        """What everybody has on each of the suite's dates, remembering those before it."""
        ruleset = self._read_of(ruleset)
        before: list[tuple[date, Mapping[Any, Outcome]]] = []
        for day in self.days:
            remembering = {
                key: replace(facts, memory=_recalled(ruleset, [(on, was.get(key)) for on, was in before], day))
                for key, facts in self.customers.items()
            }
            asked = {id(remembering[key]) for key in self.expected.get(day, ())}

            def chosen(
                rules: Ruleset, facts: Facts, day: date, overrides: Overrides | None, asked: set[int] = asked
            ) -> Evaluation:
                return (make if id(facts) in asked else Evaluation)(rules, facts, day, overrides)

            outcomes = evaluate_all(ruleset, remembering, day, self.parameters, make=chosen)
            before.append((day, outcomes))
            yield day, outcomes

    def _read_of(self, ruleset: Ruleset) -> Ruleset:
        """What the expectations turn on, and nothing else."""
        metrics = {
            name: metric
            for name, metric in ruleset.metrics.items()
            if ("metric", name) in self.reaches or name.startswith(MADE)
        }
        order = tuple(rule for rule in ruleset.order if (rule.kind, rule.name) in self.reaches)
        return replace(ruleset, metrics=metrics, order=order)

    def _holds_on(self, day: date, outcomes: Mapping[Any, Outcome]) -> bool:
        for key, expectations in self.expected.get(day, {}).items():
            outcome = outcomes.get(key)
            for each in expectations:
                if not is_met(each, *(answer(outcome, each) if outcome is not None else ("no", None))):
                    return False
        return True


def _recalled(ruleset: Ruleset, before: Sequence[tuple[date, Outcome | None]], day: date) -> Recollection:
    """What a customer brings along from earlier dates; None where he was none. Nobody has anything by hand."""
    last_day, last = before[-1] if before else (day, None)
    # Each date is in force until the day before the next one.
    ends = [on - timedelta(1) for on, _ in (*before[1:], (day, None))]
    past: dict[Past, Truth] = {}
    for asked in asks_history(ruleset.order):
        first = day - timedelta(asked.within) if asked.within is not None else date.min
        in_force = [outcome for (_, outcome), end in zip(before, ends, strict=False) if end >= first]
        if in_force:
            past[asked] = any(outcome is not None and _had(asked, outcome) for outcome in in_force)
    if last is None:
        return Recollection(past=past)
    return Recollection(
        tags={
            name: last_day if decision.matches is True or decision.last_match is None else decision.last_match
            for name, decision in last.decisions.items()
            if last.tags[name] is True
        },
        tiers={name: decision.now for name, decision in last.standings.items()},
        past=past,
    )


def _had(asked: Past, outcome: Outcome) -> bool:
    if isinstance(asked, HadTag):
        return outcome.tags.get(asked.tag) is True
    return outcome.ladders.get(asked.ladder) in asked.values


Case = ExampleCase | SuiteCase


def answer(outcome: Outcome | Evaluation, expectation: Expectation) -> tuple[Answer, str | None]:
    """`given`, `no` or `unknown`, and the level or value."""
    name = expectation.name
    if expectation.kind == "tag":
        given = outcome.tags[name]
        return ("unknown" if given is None else "given" if given else "no"), None
    value = outcome.ladders[name]
    if value is not None:
        return "given", value
    return ("unknown" if name in outcome.unknown_lines else "no"), None


def is_met(expectation: Expectation, got: str | None, value: str | None) -> bool:
    if expectation.wanted == "no":  # not given, for whatever reason
        return got in ("no", "unknown")
    return got == expectation.wanted and (expectation.value is None or value == expectation.value)
