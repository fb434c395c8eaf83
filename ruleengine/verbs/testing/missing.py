"""The example that would notice a change of the rules: looked for at the edges, by the interpreter."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import chain
from typing import Any

from ruleengine.checking.expressions import Expression, HasTag, Junction, LadderIs, walk
from ruleengine.checking.reach import Givens
from ruleengine.checking.rules import conditions
from ruleengine.checking.ruleset import Example, Expectation, Rule, Ruleset, Tag
from ruleengine.interpreter import NeedsPopulation, Overflow, shortest_way
from ruleengine.interpreter.explanation import trace
from ruleengine.verbs.testing.cases import Answer, ExampleCase, Owner, answer, is_met, reach, reached
from ruleengine.verbs.testing.edges import Edges, Given
from ruleengine.verbs.testing.mutants import Mutant
from ruleengine.verbs.testing.pasting import pasted

DAY = date(2026, 3, 31)
"""Of examples that no example beside the rules lends a date."""
MOST_TRIES = 1_000
"""For one change."""
MOST_IN_ALL = 12_000
MOST_RULES = 3
MOST_STARTS = 8
MOST_STEPS = 6
LONGEST_NAME = 80


Goal = tuple[tuple[Expression, bool], ...]
"""Conditions, and the answers that are wanted."""


@dataclass(slots=True)
class Search:
    """Looks for customers to whom changed rules give something else. Bounded by counts, never by the clock."""

    ruleset: Ruleset
    examples: Sequence[Example]
    tries: int = 0
    _parts: dict[Owner, frozenset[Owner]] = field(default_factory=dict)
    _remembering: dict[Owner, bool] = field(default_factory=dict)
    _found: dict[str, ExampleCase] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)
    _reached: dict[object, list[Given]] = field(default_factory=dict)

    def example(self, mutant: Mutant) -> str | None:
        """An example that the rules meet and the changed ones do not, as text; None where none was found.

        One that was found for another change does as well, if it can.
        """
        for text, case in self._found.items():
            if case.reaches & mutant.owners and not case.holds(mutant.ruleset):
                return text
        if self.tries >= MOST_IN_ALL:
            return None
        for rule in self._rules(mutant):
            example = self._told_apart(rule, mutant)
            if example is not None:
                text = pasted(example, self._name(f"{rule.name}: {mutant.before}"), self.ruleset, mutant.span.source)
                self._found[text] = ExampleCase.of(self.ruleset, example)
                return text
        return None

    def _name(self, about: str) -> str:
        """A name that no other example has."""
        short = about if len(about) <= LONGEST_NAME else f"{about[:LONGEST_NAME].rstrip()}…"
        number, name = 1, short
        while name in self._names:
            number += 1
            name = f"{short} ({number})"
        self._names.add(name)
        return name

    def _rules(self, mutant: Mutant) -> list[Rule]:
        """The rules that may answer otherwise, those with the fewest parts first."""
        touched = [rule for rule in self.ruleset.order if self._parts_of(rule) & mutant.owners]
        return sorted(touched, key=lambda rule: len(self._parts_of(rule)))[:MOST_RULES]

    def _parts_of(self, rule: Rule) -> frozenset[Owner]:
        key = rule.kind, rule.name
        if key not in self._parts:
            self._parts[key] = reached(self.ruleset, [key])
        return self._parts[key]

    def _remembers(self, rule: Rule) -> bool:
        key = rule.kind, rule.name
        if key not in self._remembering:
            self._remembering[key] = bool(reach(self.ruleset, [key], Givens()).history)
        return self._remembering[key]

    def _told_apart(self, rule: Rule, mutant: Mutant) -> Example | None:
        last = min(self.tries + MOST_TRIES, MOST_IN_ALL)
        both = (*self._read(self.ruleset, rule), *self._read(mutant.ruleset, _again(mutant.ruleset, rule)))
        history = reach(self.ruleset, [(rule.kind, rule.name)], Givens()).history
        everywhere = chain.from_iterable(
            self._given(rule, Edges(self.ruleset, mutant, both, day, history)) for day in self._days(mutant)
        )
        for given in everywhere:
            if self.tries >= last:
                return None
            self.tries += 1
            before, after = self._answer(self.ruleset, rule, given), self._answer(mutant.ruleset, rule, given)
            if before is None or before == after:
                continue
            example = self._expecting(rule, given, before)
            if example is not None and (after is None or not is_met(example.expectations[0], *after)):
                return example
        return None

    def _read(self, ruleset: Ruleset, rule: Rule) -> tuple[Any, ...]:
        """The conditions of a rule, and those of rules that it refers to."""
        found: list[Any] = list(conditions(rule))
        for part in [part for condition in found for part in walk(condition)]:
            if isinstance(part, HasTag) and part.tag in ruleset.tags:  # and not set by people
                found.extend(self._read(ruleset, ruleset.tags[part.tag]))
            elif isinstance(part, LadderIs):
                found.extend(self._read(ruleset, ruleset.ladders[part.ladder]))
        return tuple(found)

    def _days(self, mutant: Mutant) -> list[date]:
        """A date, and where a parameter is changed those about the days from which it has another value."""
        days = [example.as_of for example in self.examples if example.as_of is not None] or [DAY]
        starts = [
            start
            for name, parameter in self.ruleset.parameters.items()
            if ("let", name) in mutant.owners
            for start, _ in parameter.steps
            if start is not None
        ]
        return list(dict.fromkeys([days[0], *(near for day in starts for near in (day, day - timedelta(1)))]))

    # -- where to look ------------------------------------------------------------------------------------------

    def _given(self, rule: Rule, edges: Edges) -> Iterator[Given]:
        """First those at hand, then one step away from each, then two."""
        at_hand = (*self._of_examples(rule, edges.day), *self._reaching(rule, edges))
        starts = [self._fitting(given, edges) for given in at_hand]
        yield from starts
        for start in starts:
            yield from edges.beside(start)
        for start in starts:
            for near in edges.beside(start):
                yield from edges.beside(near)

    def _fitting(self, given: Given, edges: Edges) -> Given:
        """Without what would hide the change."""
        return replace(given, metrics={name: it for name, it in given.metrics.items() if name in edges.metrics})

    def _of_examples(self, rule: Rule, day: date) -> Iterator[Given]:
        asking = [
            example
            for example in self.examples
            if any((each.kind, each.name) == (rule.kind, rule.name) for each in example.expectations)
        ]
        for example in asking[:MOST_STARTS]:
            events = {name: tuple(rows) for name, rows in example.events.items()}
            attributes, metrics = dict(example.attributes), dict(example.metrics)
            yield Given(example.as_of or day, attributes, metrics, events, example.history)

    def _reaching(self, rule: Rule, edges: Edges) -> list[Given]:
        """A customer with nothing, and one for each way through the rule who comes as near as steps bring him."""
        key = rule.kind, rule.name, frozenset(edges.metrics), edges.day
        if key not in self._reached:
            nobody = Given(edges.day)
            self._reached[key] = [nobody, *(self._climbed(rule, goal, nobody, edges) for goal in _goals(rule))]
        return self._reached[key]

    def _climbed(self, rule: Rule, goal: Goal, given: Given, edges: Edges) -> Given:
        missing = self._missing(rule, goal, given)
        for _ in range(MOST_STEPS):
            if not missing:
                break
            # A table says more than a value, and is harder to read.
            better = self._better(rule, goal, missing, edges.values(given))
            better = better or self._better(rule, goal, missing, edges.tables(given))
            if better is None:
                break
            given, missing = better
        return given

    def _better(self, rule: Rule, goal: Goal, missing: int, steps: Iterable[Given]) -> tuple[Given, int] | None:
        """The step that leaves the fewest conditions missing, and how many; None where none leaves fewer."""
        best = None
        for near in steps:
            self.tries += 1
            left = self._missing(rule, goal, near)
            if left < missing:
                best, missing = (near, left), left
                if not left:
                    break
        return best

    def _missing(self, rule: Rule, goal: Goal, given: Given) -> int:
        """How many conditions would have to change."""
        try:
            evaluation = self._case(rule, given).evaluated(self.ruleset)
            return sum(len(shortest_way(trace(evaluation, condition, wanted))) for condition, wanted in goal)
        except (Overflow, NeedsPopulation, KeyError):
            return 1_000

    # -- what comes out -----------------------------------------------------------------------------------------

    def _case(self, rule: Rule, given: Given) -> ExampleCase:
        wanted = Expectation(kind=rule.kind, name=rule.name, wanted="no", value=None, span=rule.span)
        return ExampleCase(
            Example(
                name="",
                as_of=given.day,
                attributes=given.attributes,
                events=given.events,
                metrics=given.metrics,
                history=given.history,
                parameters={},
                expectations=(wanted,),
                span=rule.span,
            ),
            self._parts_of(rule),
            self._remembers(rule),
        )

    def _answer(self, ruleset: Ruleset, rule: Rule, given: Given) -> tuple[Answer, str | None] | None:
        case = self._case(rule, given)
        try:
            return answer(case.evaluated(ruleset), case.example.expectations[0])
        except (Overflow, NeedsPopulation, KeyError):
            return None

    def _expecting(self, rule: Rule, given: Given, got: tuple[Answer, str | None]) -> Example | None:
        """The example, with nothing in it that nobody reads; None where it would have to give more."""
        case = self._case(rule, given)
        wanted = replace(case.example.expectations[0], wanted=got[0], value=got[1])
        givens = Givens(dict(given.attributes), dict(given.events), dict(given.metrics), dict(given.history))
        found = reach(self.ruleset, [(rule.kind, rule.name)], givens)
        key = self.ruleset.entity.key.name
        if found.ranked or (key in found.attributes and key not in given.attributes):
            return None
        return replace(
            case.example,
            as_of=given.day if found.dated else None,
            attributes=_kept(given.attributes, found.attributes),
            events=_kept(given.events, found.events),
            metrics=_kept(given.metrics, found.metrics),
            history={key: before for key, before in given.history.items() if key in found.history},
            expectations=(wanted,),
        )


def _kept(given: Mapping[str, Any], read: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in read}


def _again(ruleset: Ruleset, rule: Rule) -> Rule:
    return ruleset.tags[rule.name] if rule.kind == "tag" else ruleset.ladders[rule.name]


def _goals(rule: Rule) -> Iterator[Goal]:
    """What has to be so for a rule to answer by each of its lines, and by each side of an `or` alone."""
    if isinstance(rule, Tag):
        lines = [(rule.when, [(rule.when, True), *([(rule.unless, False)] if rule.unless is not None else [])])]
    else:
        lines = [
            (level.when, [*((above.when, False) for above in rule.levels[:number]), (level.when, True)])
            for number, level in enumerate(rule.levels)
        ]
        yield tuple((level.when, False) for level in rule.levels)
    for condition, goal in lines:
        yield tuple(goal)
        for part in walk(condition):
            if isinstance(part, Junction) and part.operator == "or":
                for item in part.items:
                    yield (*goal, *((other, other is item) for other in part.items))
