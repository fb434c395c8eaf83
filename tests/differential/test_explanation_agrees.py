"""What an explanation says is what the run said, and its gaps are as wide as they say."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ruleengine.checking.check import check
from ruleengine.checking.expressions import Comparison, MetricValue
from ruleengine.checking.ruleset import Ruleset
from ruleengine.interpreter import (
    Facts,
    Gap,
    Overflow,
    TagTrace,
    Trace,
    evaluate,
    explain,
    shortest_way,
)
from ruleengine.source import Source
from ruleengine.types import Value
from tests.differential.data import Case
from tests.differential.strategies import cases


def walk(trace: Trace) -> list[Trace]:
    return [trace, *(below for child in trace.children for below in walk(child))]


def moved(value: Value, gap: Gap) -> Any:
    step: Any = gap.amount if gap.direction == "more" else -gap.amount
    if isinstance(value, date):
        return value + timedelta(days=step)
    assert isinstance(value, int | Decimal)
    return value + step


def check_gap(trace: Trace, ruleset: Ruleset, facts: Facts, case: Case, tag: str) -> None:
    """A metric that is given what it needs makes its comparison come out as wanted."""
    comparison, gap = trace.expression, trace.gap
    assert isinstance(comparison, Comparison)
    assert gap is not None
    other = comparison.right if gap.side is comparison.left else comparison.left
    value = trace.operands[0 if gap.side is comparison.left else 1]
    if (
        gap.beyond
        or not isinstance(gap.side, MetricValue)
        or isinstance(other, MetricValue)
        or isinstance(value, float)
    ):
        return
    given = Facts(
        attributes=facts.attributes,
        events=facts.events,
        metrics={**facts.metrics, gap.side.metric: moved(value, gap)},
    )
    again = explain(ruleset, given, case.as_of, ("tag", tag))
    assert isinstance(again, TagTrace)
    traces = [*walk(again.when), *(walk(again.unless) if again.unless else [])]
    assert any(found.expression is comparison and found.answer is trace.wanted for found in traces)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(cases(), st.booleans())
def test_explanations(case: Case, from_values: bool) -> None:
    ruleset = check([Source("made.rules", case.rules)], "made", case.timezone).ruleset
    assert ruleset is not None
    for facts in case.customers().values():
        try:
            outcome = evaluate(ruleset, facts, case.as_of)
            if from_values:
                # As published versions are explained: from what the rules read, without events.
                facts = Facts(attributes=facts.attributes, metrics=outcome.metrics)
            for name, answer in outcome.tags.items():
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
