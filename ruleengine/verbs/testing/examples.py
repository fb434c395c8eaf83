"""Whether the rules answer as the examples beside them expect."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ruleengine.checking.ruleset import Example, Expectation, Ruleset
from ruleengine.interpreter import NeedsPopulation, Overflow, explain
from ruleengine.interpreter.evaluation import Evaluation
from ruleengine.verbs.opening import found_at
from ruleengine.verbs.testing.cases import Answer, ExampleCase, answer, is_met

if TYPE_CHECKING:
    from ruleengine.verbs.explain import RuleExplanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an example expects of a rule, and what the rule answered."""

    kind: Literal["tag", "tier", "class"]
    name: str
    wanted: Answer
    value: str | None
    """The level or value that is wanted."""
    got: Answer | None
    """`unknown` of a tag or class: a condition is. None: there is no answer, see the example's error."""
    got_value: str | None
    met: bool
    explanation: "RuleExplanation | None"
    """Of what is not met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleReport:
    name: str
    file: str
    line: int
    as_of: date | None
    passed: bool
    error: str | None
    """Why there is no answer: a number grew too large."""
    expectations: tuple[Expected, ...]


def answered(ruleset: Ruleset, directory: Path) -> tuple[ExampleReport, ...]:
    """Every example of a ruleset whose files lie in a folder, asked of the reference interpreter."""
    return tuple(_answered(ruleset, example, directory) for example in ruleset.examples)


def _answered(ruleset: Ruleset, example: Example, directory: Path) -> ExampleReport:
    case = ExampleCase.of(ruleset, example)
    expectations: tuple[Expected, ...]
    error = None
    try:
        evaluation = case.evaluated(ruleset)
    except Overflow as overflow:
        error = str(overflow)
        expectations = tuple(_expected(each, None, None) for each in example.expectations)
    else:
        expectations = tuple(_compared(ruleset, case, evaluation, each) for each in example.expectations)
    span = example.span
    return ExampleReport(
        name=example.name,
        file=found_at(span.source.path, directory),
        line=span.source.position(span.start)[0],
        as_of=example.as_of,
        passed=all(each.met for each in expectations),
        error=error,
        expectations=expectations,
    )


def _compared(ruleset: Ruleset, case: ExampleCase, evaluation: Evaluation, expectation: Expectation) -> Expected:
    got, value = answer(evaluation, expectation)
    expected = _expected(expectation, got, value)
    if expected.met:
        return expected
    return _expected(expectation, got, value, _explained(ruleset, case, expectation, got, value))


def _expected(
    expectation: Expectation,
    got: Answer | None,
    value: str | None,
    explanation: "RuleExplanation | None" = None,
) -> Expected:
    return Expected(
        kind=expectation.kind,
        name=expectation.name,
        wanted=expectation.wanted,
        value=expectation.value,
        got=got,
        got_value=value,
        met=is_met(expectation, got, value),
        explanation=explanation,
    )


def _explained(
    ruleset: Ruleset, case: ExampleCase, expectation: Expectation, got: Answer, value: str | None
) -> "RuleExplanation | None":
    from ruleengine.verbs.explain import explained  # and the store with it

    name, held = expectation.name, got == "given"
    document: dict[str, Any] = {"tags": [], "tiers": {}, "classes": {}}
    match expectation.kind:
        case "tag":
            document["tags"] = [{"name": name}] if held else []
        case "tier":
            document["tiers"] = {name: {"level": value}} if held else {}
        case "class":
            document["classes"] = {name: {"value": value}} if held else {}
    try:
        rule = (expectation.kind, name)
        traced = explain(ruleset, case.facts(ruleset), case.day, rule, case.example.parameters)
    except (Overflow, NeedsPopulation):  # of a reason's number, which no answer turns on
        return None
    return explained(traced, document)
