"""Whether the rules answer as the examples beside them expect."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ruleengine.checking.ruleset import Example, Expectation, Ruleset
from ruleengine.interpreter import Facts, NeedsPopulation, Outcome, Overflow, evaluate, explain
from ruleengine.interpreter.memory import recollected
from ruleengine.verbs.opening import found_at

if TYPE_CHECKING:
    from ruleengine.verbs.explain import RuleExplanation

ANY_DAY = date(2000, 1, 1)
"""For examples whose answers are the same on every day."""

Answer = Literal["given", "no", "unknown"]


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
    facts = Facts(
        attributes=example.attributes,
        events=example.events,
        metrics=example.metrics,
        memory=recollected(ruleset, example.history, example.as_of or ANY_DAY),
    )
    expectations: tuple[Expected, ...]
    error = None
    try:
        outcome = evaluate(ruleset, facts, example.as_of or ANY_DAY, example.parameters)
    except Overflow as overflow:
        error = str(overflow)
        expectations = tuple(_expected(each, None, None) for each in example.expectations)
    else:
        expectations = tuple(_compared(ruleset, example, facts, outcome, each) for each in example.expectations)
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


def _compared(ruleset: Ruleset, example: Example, facts: Facts, outcome: Outcome, expectation: Expectation) -> Expected:
    got, value = _answer(outcome, expectation)
    expected = _expected(expectation, got, value)
    if expected.met:
        return expected
    return _expected(expectation, got, value, _explained(ruleset, example, facts, expectation, got, value))


def _answer(outcome: Outcome, expectation: Expectation) -> tuple[Answer, str | None]:
    name = expectation.name
    if expectation.kind == "tag":
        given = outcome.tags[name]
        return ("unknown" if given is None else "given" if given else "no"), None
    value = outcome.ladders[name]
    if value is not None:
        return "given", value
    return ("unknown" if name in outcome.unknown_lines else "no"), None


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
        met=_is_met(expectation, got, value),
        explanation=explanation,
    )


def _is_met(expectation: Expectation, got: Answer | None, value: str | None) -> bool:
    if expectation.wanted == "no":  # not given, for whatever reason
        return got in ("no", "unknown")
    return got == expectation.wanted and (expectation.value is None or value == expectation.value)


def _explained(
    ruleset: Ruleset, example: Example, facts: Facts, expectation: Expectation, got: Answer, value: str | None
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
        traced = explain(ruleset, facts, example.as_of or ANY_DAY, rule, example.parameters)
    except (Overflow, NeedsPopulation):  # of a reason's number, which no answer turns on
        return None
    return explained(traced, document)
