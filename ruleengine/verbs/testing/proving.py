"""What the prover knows of tests: which answers no customer can have, and which changes make no difference."""

from dataclasses import replace
from typing import Any

import z3

from ruleengine.checking.expressions import Expression, MetricValue, OneOf, ParameterValue, walk
from ruleengine.checking.proofs.terms import Terms, is_decided
from ruleengine.checking.rules import conditions
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
    metrics = {
        OTHER + name: replace(metric, name=OTHER + name, expression=_renamed(metric.expression))
        for name, metric in mutant.ruleset.metrics.items()
        if name in read or name not in ruleset.metrics
    }
    parameters = {OTHER + name: replace(it, name=OTHER + name) for name, it in mutant.ruleset.parameters.items()}
    order = [rule for rule in ruleset.order if (rule.kind, rule.name) in parts]
    both = replace(
        ruleset,
        metrics={**{name: it for name, it in ruleset.metrics.items() if name in read}, **metrics},
        parameters={**ruleset.parameters, **parameters},
        order=(*order, *(_with_renamed(other) for _, other in touched)),
    )
    terms = Terms(both)
    return all(_same(terms, one, _with_renamed(other)) for one, other in touched)


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
    terms.reading = {}
    match one, other:
        case Tag(), Tag():
            differ = terms.given(one) != terms.given(other)
        case Ladder(), Ladder():
            before, after = _by_value(terms, one), _by_value(terms, other)
            differ = z3.Or([before[value] != after[value] for value in before])
        case _:
            return False
    return terms.impossible(dict(terms.reading), differ)


def _with_renamed(rule: Rule) -> Rule:
    if isinstance(rule, Tag):
        unless = _renamed(rule.unless) if rule.unless is not None else None
        return replace(rule, when=_renamed(rule.when), unless=unless)
    return replace(rule, levels=tuple(replace(level, when=_renamed(level.when)) for level in rule.levels))


def _by_value(terms: Terms, ladder: Ladder) -> dict[str | None, Any]:
    """For each value when a customer gets it."""
    lines = terms.reached(ladder)
    named = [*(level.value for level in ladder.levels), ladder.otherwise]
    return {
        value: z3.Or([line for line, each in zip(lines, named, strict=True) if each == value])
        for value in sorted(set(named), key=str)
    }


def _renamed(expression: Expression) -> Expression:
    match expression:
        case MetricValue(metric=name):
            return replace(expression, metric=OTHER + name)
        case ParameterValue(parameter=name):
            return replace(expression, parameter=OTHER + name)
        case OneOf(choices=str(name), operand=operand):
            return replace(expression, choices=OTHER + name, operand=_renamed(operand))
        case _:
            return mapped(expression, _renamed)
