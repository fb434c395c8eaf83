"""Every engine says what the reference interpreter says, to the bit."""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from ruleengine.checking.ruleset import Tag
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.interpreter import Outcome, Overflow, evaluate_all
from ruleengine.interpreter.evaluation import Evaluation
from ruleengine.interpreter.memory import from_values
from ruleengine.planning.memory import Memory
from ruleengine.planning.plan import plan
from ruleengine.types import Value
from tests.differential import duckdb_adapter, postgres_adapter
from tests.differential.answers import Answers, checked
from tests.differential.data import Case
from tests.differential.strategies import arithmetic_cases, cases

LONG_LITERAL = re.compile(r"\d(?:[_.]?\d){18}")
LOOK = settings(
    deadline=None,
    print_blob=True,
    max_examples=110,
    phases=[phase for phase in Phase if phase is not Phase.explain],  # as slow as it is helpful elsewhere
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
LOOK_LONG = settings(LOOK, max_examples=600)
# A case takes three times as long where tables have to be made on a server.
LOOK_AT_POSTGRES = settings(LOOK, max_examples=75)
LOOK_AT_POSTGRES_LONG = settings(LOOK, max_examples=300)


def bits(value: Value) -> tuple[str, object]:
    """A value such that only the same one of the same type is equal to it."""
    match value:
        case None | bool() | str() | date():
            return type(value).__name__, value
        case int() | Decimal():
            return "exact", Decimal(value)
        case float():
            return "double", (value, struct.pack(">d", value))


def differences(actual: Mapping[str, Value], expected: Mapping[str, Value]) -> dict[str, str]:
    return {
        name: f"{value!r}, not {expected[name]!r}"
        for name, value in actual.items()
        if bits(value) != bits(expected[name])
    }


Engine = Callable[[Case], dict[Any, Answers]]


def agree(case: Case, run_sql: Engine) -> None:
    ruleset = checked(case)
    customers = {
        key: replace(facts, memory=from_values(ruleset, case.as_of, case.remembered.of(key)))
        for key, facts in case.customers().items()
    }
    try:
        expected = evaluate_all(ruleset, customers, case.as_of)
    except Overflow as overflow:
        overflows(case, overflow, run_sql)
        return
    actual = run_sql(case)
    memory = plan(ruleset, case.as_of).memory
    assert set(actual) == set(expected)
    drafts = {rule.name for rule in ruleset.order if rule.draft and isinstance(rule, Tag)}
    for key, answers in actual.items():
        outcome = expected[key]
        evaluation = Evaluation(ruleset, customers[key], case.as_of)
        recalled = {label: None for part in memory.parts for label in part.labels} | case.remembered.of(key)
        others = answers.values.keys() - outcome.metrics.keys() - recalled.keys()
        attributes = {name: evaluation.attribute(name) for name in others}
        different = differences(answers.values, {**attributes, **recalled, **outcome.metrics})
        assert not different, (key, different)
        assert answers.tags == {name for name, given in outcome.tags.items() if given} - drafts, key
        assert answers.left == tuple(left_for_the_next_run(memory, outcome)), key
        assert answers.ladders == {name: outcome.ladders[name] for name in answers.ladders}, key


def left_for_the_next_run(memory: Memory, outcome: Outcome) -> Iterator[Value]:
    for tag in memory.tags:
        decision = outcome.decisions[tag.tag]
        yield decision.last_match if outcome.tags[tag.tag] is True and decision.matches is not True else None
    for tier in memory.tiers:
        now = outcome.standings[tier.tier].now
        yield from (now.level, now.reached, now.below)


def overflows(case: Case, expected: Overflow, run_sql: Engine) -> None:
    with pytest.raises(ProblemError) as caught:
        run_sql(case)
    (problem,) = caught.value.problems
    assert problem.code is codes.overflow
    assert expected.kind == "entity" or str(problem.facts["name"])[1:-1] == expected.name


def has_long_factor(case: Case) -> bool:
    """Whether a literal of more than 18 digits may be an operand of `*`: see what differs, in docs/postgres.md."""
    return any("*" in line and LONG_LITERAL.search(line) for line in case.rules.splitlines())


@LOOK
@given(cases())
def test_duckdb(case: Case) -> None:
    agree(case, duckdb_adapter.run_sql)


@LOOK
@given(arithmetic_cases())
def test_duckdb_calculates_alike(case: Case) -> None:
    agree(case, duckdb_adapter.run_sql)


@pytest.mark.slow
@LOOK_LONG
@given(cases())
def test_duckdb_at_length(case: Case) -> None:
    agree(case, duckdb_adapter.run_sql)


@pytest.mark.slow
@LOOK_LONG
@given(arithmetic_cases())
def test_duckdb_calculates_alike_at_length(case: Case) -> None:
    agree(case, duckdb_adapter.run_sql)


@LOOK_AT_POSTGRES
@given(cases())
def test_postgres(case: Case) -> None:
    agree(case, postgres_adapter.run_sql)


@LOOK_AT_POSTGRES
@given(arithmetic_cases())
def test_postgres_calculates_alike(case: Case) -> None:
    assume(not has_long_factor(case))
    agree(case, postgres_adapter.run_sql)


@pytest.mark.slow
@LOOK_AT_POSTGRES_LONG
@given(cases())
def test_postgres_at_length(case: Case) -> None:
    agree(case, postgres_adapter.run_sql)


@pytest.mark.slow
@LOOK_AT_POSTGRES_LONG
@given(arithmetic_cases())
def test_postgres_calculates_alike_at_length(case: Case) -> None:
    assume(not has_long_factor(case))
    agree(case, postgres_adapter.run_sql)
