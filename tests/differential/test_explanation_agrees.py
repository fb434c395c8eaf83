"""What an explanation says is what the run said, and its gaps are as wide as they say."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ruleengine.checking.check import check
from ruleengine.checking.expressions import Attribute, Comparison, Constant, MetricValue, ParameterValue, Ranking
from ruleengine.checking.ruleset import Ruleset
from ruleengine.interpreter import (
    Facts,
    Gap,
    Overflow,
    TagTrace,
    Trace,
    evaluate_all,
    explain,
    shortest_way,
)
from ruleengine.interpreter.arithmetic import WIDE
from ruleengine.source import Source
from ruleengine.types import Value
from tests.differential.data import Case
from tests.differential.strategies import cases


def walk(trace: Trace) -> list[Trace]:
    return [trace, *(below for child in trace.children for below in walk(child))]


def moved(value: Value, gap: Gap) -> Any:
    """The value that a gap asks for; None where the calendar, or the type, does not reach so far."""
    sign = 1 if gap.direction == "more" else -1
    try:
        match value, gap.amount:
            case date(), int() as step:
                return value + timedelta(days=sign * step)
            case int(), int() as step:
                return value + sign * step
            case Decimal(), int() | Decimal() as step:
                scale = value.as_tuple().exponent
                sum_of_both = WIDE.add(value, WIDE.multiply(Decimal(step), Decimal(sign)))
                return sum_of_both if sum_of_both.as_tuple().exponent == scale else None
            case _:
                return None
    except OverflowError:
        return None


def check_gap(trace: Trace, ruleset: Ruleset, facts: Facts, case: Case, tag: str) -> None:
    """A metric that is given what it needs makes its comparison come out as wanted."""
    comparison, gap = trace.expression, trace.gap
    assert isinstance(comparison, Comparison)
    assert gap is not None
    is_left = gap.side is comparison.left
    other = comparison.right if is_left else comparison.left
    wanted = moved(trace.operands[0 if is_left else 1], gap)
    fixed = isinstance(other, Constant | ParameterValue | Attribute)
    if gap.beyond or wanted is None or not isinstance(gap.side, MetricValue) or not fixed:
        return
    given = replace(facts, metrics={**facts.metrics, gap.side.metric: wanted})
    again = explain(ruleset, given, case.as_of, ("tag", tag))
    assert isinstance(again, TagTrace)
    traces = [*walk(again.when), *(walk(again.unless) if again.unless else [])]
    assert all(found.answer is trace.wanted for found in traces if found.expression is comparison)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(), st.booleans())
def test_explanations(case: Case, from_values: bool) -> None:
    ruleset = check([Source("made.rules", case.rules)], "made", case.timezone).ruleset
    assert ruleset is not None
    customers = case.customers()
    try:
        for key, outcome in evaluate_all(ruleset, customers, case.as_of).items():
            # As versions are explained: ranks are given, and often everything is, without events.
            ranks = {name: value for name, value in outcome.metrics.items() if is_ranking(ruleset, name)}
            facts = replace(customers[key], metrics=ranks)
            if from_values:
                facts = Facts(attributes=facts.attributes, metrics=outcome.metrics)
            facts = replace(facts, budgets=frozenset(name for name, given in outcome.tags.items() if given))
            for name, answer in outcome.tags.items():
                if name in ruleset.manual_tags:
                    continue  # no rule decides it
                trace = explain(ruleset, facts, case.as_of, ("tag", name))
                assert isinstance(trace, TagTrace)
                assert trace.answer is answer
                for top in (trace.when, trace.unless):
                    if top is not None:
                        assert (shortest_way(top) == ()) == top.is_as_wanted
                        for part in walk(top):
                            if part.gap is not None:
                                check_gap(part, ruleset, facts, case, name)
            for name, value in outcome.ladders.items():
                assert explain(ruleset, facts, case.as_of, (ruleset.ladders[name].kind, name)).answer == value
    except Overflow:
        assume(False)


def is_ranking(ruleset: Ruleset, metric: str) -> bool:
    return isinstance(ruleset.metrics[metric].expression, Ranking)
