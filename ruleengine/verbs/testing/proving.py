"""What the prover knows of tests: which answers no customer can have, and which changes make no difference."""

from dataclasses import dataclass, replace

import z3

from ruleengine.checking.expressions import Expression, MetricValue, OneOf, ParameterValue, walk
from ruleengine.checking.proofs.terms import Terms
from ruleengine.checking.proofs.world import Term
from ruleengine.checking.rules import conditions, is_decided
from ruleengine.checking.ruleset import Ladder, Rule, Ruleset, Tag
from ruleengine.verbs.testing.cases import reached
from ruleengine.verbs.testing.changes import mapped
from ruleengine.verbs.testing.conditions import Root
from ruleengine.verbs.testing.mutants import Mutant


class Possible:
    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
        self.terms = Terms(ruleset)

    def answer(self, root: Root, condition: Expression, answer: str) -> bool:
        """Whether a customer may have an answer to a condition of an expression; only FALSE is certain."""
        if root.owner[0] == "entity":
            return True
        truth, leaves = self.terms.condition(condition)
        unknown = z3.Not(z3.Or(truth.true, truth.false))
        so = [{"true": truth.true, "false": truth.false, "unknown": unknown}[answer]]
        kind, name = root.owner
        if root.before and is_decided(self.ruleset.ladders[name]):
            for level in root.before:
                above, read = self.terms.condition(level.when)
                so.append(above.false if kind == "class" else z3.Not(above.true))
                leaves = {**leaves, **read}
        return not self.terms.impossible(leaves, *so)


OTHER = "other: "
"""How the names of metrics and parameters begin that are those of changed rules."""


def makes_no_difference(ruleset: Ruleset, mutant: Mutant) -> bool:
    """Whether no customer gets anything else by a change, as far as the prover knows; only TRUE is certain."""
    if ("entity", ruleset.entity.name) in mutant.owners:
        return False
    touched = [
        (one, other)
        for one, other in zip(ruleset.order, mutant.ruleset.order, strict=True)
        if _is_touched(ruleset, one, mutant)
    ]
    # Of the rules only those that count, so that the size of the rest does not.
    parts = reached(ruleset, ((rule.kind, rule.name) for rule, _ in touched))
    names = {name for kind, name in parts if kind == "metric"}
    read = _closed(ruleset, names) | _closed(mutant.ruleset, names)
    changed = _changed(ruleset, mutant)
    other = _Renaming(changed, {name for kind, name in mutant.owners if kind == "let"})
    metrics = {
        OTHER + name: replace(metric, name=OTHER + name, expression=other.expression(metric.expression))
        for name, metric in mutant.ruleset.metrics.items()
        if name in changed and (name in read or name not in ruleset.metrics)
    }
    parameters = {OTHER + name: replace(mutant.ruleset.parameters[name], name=OTHER + name) for name in other.lets}
    order = [rule for rule in ruleset.order if (rule.kind, rule.name) in parts]
    both = replace(
        ruleset,
        metrics={**{name: it for name, it in ruleset.metrics.items() if name in read}, **metrics},
        parameters={**ruleset.parameters, **parameters},
        order=(*order, *(other.rule(changed_rule) for _, changed_rule in touched)),
    )
    terms = Terms(both)
    return all(_same(terms, one, other.rule(changed_rule)) for one, changed_rule in touched)


def _changed(ruleset: Ruleset, mutant: Mutant) -> set[str]:
    """Metrics that may be worth something else by a change; what is no other is the same to the prover."""
    found = set[str]()
    for name, metric in mutant.ruleset.metrics.items():  # which read none that comes later
        if ruleset.metrics.get(name) is not metric or any(
            (isinstance(part, MetricValue) and part.metric in found)
            or (isinstance(part, ParameterValue) and ("let", part.parameter) in mutant.owners)
            or (isinstance(part, OneOf) and ("let", part.choices) in mutant.owners)
            for part in walk(metric.expression)
        ):
            found.add(name)
    return found


def _closed(ruleset: Ruleset, names: set[str]) -> set[str]:
    """Metrics with all that they read, what they rank included."""
    found, open_ = set[str](), sorted(names)
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            parts = walk(ruleset.metrics[name].expression)
            open_.extend(part.metric for part in parts if isinstance(part, MetricValue))
    return found


def _is_touched(ruleset: Ruleset, rule: Rule, mutant: Mutant) -> bool:
    """Whether a change is of a rule itself, or of what its conditions compute; other rules only see its answer."""
    if (rule.kind, rule.name) in mutant.owners:
        return True
    names = {name for _, name in mutant.owners}
    open_, seen = list(conditions(rule)), set[str]()
    while open_:
        for part in walk(open_.pop()):
            if isinstance(part, ParameterValue) and part.parameter in names:
                return True
            if isinstance(part, OneOf) and part.choices in names:
                return True
            if isinstance(part, MetricValue) and part.metric not in seen:
                if part.metric in names:
                    return True
                seen.add(part.metric)
                open_.append(ruleset.metrics[part.metric].expression)
    return False


def _same(terms: Terms, one: Rule, other: Rule) -> bool:
    if not (is_decided(one) and is_decided(other)):
        return False
    differ, leaves = terms.reading(lambda: _differ(terms, one, other))
    return terms.impossible(leaves, differ)


def _differ(terms: Terms, one: Rule, other: Rule) -> Term:
    """That a customer gets another answer."""
    match one, other:
        case Tag(), Tag():
            return terms.given(one) != terms.given(other)
        case Ladder(), Ladder():
            before, after = _by_value(terms, one), _by_value(terms, other)
            return z3.Or([before[value] != after[value] for value in before])
        case _:
            return terms.world.truth(True)


def _by_value(terms: Terms, ladder: Ladder) -> dict[str | None, Term]:
    """For each value when a customer gets it."""
    lines = terms.reached(ladder)
    named = [*(level.value for level in ladder.levels), ladder.otherwise]
    return {
        value: z3.Or([line for line, each in zip(lines, named, strict=True) if each == value])
        for value in sorted(set(named), key=str)
    }


@dataclass(frozen=True, slots=True)
class _Renaming:
    """Reads what changed under its other name."""

    metrics: set[str]
    lets: set[str]

    def expression(self, expression: Expression) -> Expression:
        match expression:
            case MetricValue(metric=name) if name in self.metrics:
                return replace(expression, metric=OTHER + name)
            case ParameterValue(parameter=name) if name in self.lets:
                return replace(expression, parameter=OTHER + name)
            case OneOf(choices=str(name), operand=operand) if name in self.lets:
                return replace(expression, choices=OTHER + name, operand=self.expression(operand))
            case _:
                return mapped(expression, self.expression)

    def rule(self, rule: Rule) -> Rule:
        if isinstance(rule, Tag):
            unless = self.expression(rule.unless) if rule.unless is not None else None
            return replace(rule, when=self.expression(rule.when), unless=unless)
        levels = tuple(replace(level, when=self.expression(level.when)) for level in rule.levels)
        return replace(rule, levels=levels)
