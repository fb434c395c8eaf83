"""Why a customer is what he is in a version, and is not what he is not."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from ruleengine.checking.check import check
from ruleengine.checking.expressions import (
    Attribute,
    Comparison,
    Constant,
    HasTag,
    Junction,
    LadderIs,
    MetricValue,
    Not,
    ParameterValue,
)
from ruleengine.checking.ruleset import Because, Ladder, Rule, Ruleset, Tag
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.interpreter import Facts, LadderTrace, TagTrace, Trace, shortest_way
from ruleengine.interpreter import explain as trace
from ruleengine.schema import Manifest
from ruleengine.source import Source
from ruleengine.store.records import GIVEN, Key, Kind, StoredValues, Version
from ruleengine.store.refusals import NotKeptError
from ruleengine.store.store import Store
from ruleengine.types import Value
from ruleengine.verbs import published
from ruleengine.verbs.outcome import NotThereError


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A value that a condition looked at, by the name that the rule gives it."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """How far a comparison is from the answer it would need."""

    amount: int | Decimal | float
    unit: Literal["number", "days"]
    direction: Literal["more", "less"]
    """Of the left side, or of `side`; of a date, later or earlier."""
    beyond: bool
    """The amount itself is not enough, anything past it is."""
    side: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition with what it came to for the customer."""

    kind: Literal["and", "or", "not", "condition"]
    text: str
    """As the rule file has it."""
    answer: bool | None
    """None: unknown, for a value is missing."""
    wanted: bool
    """The answer that works towards the rule: false beneath `not` and in `unless`."""
    reads: tuple[Read, ...]
    distance: Distance | None
    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A level of a tier, or a line of a class."""

    value: str
    decides: bool
    condition: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleExplanation:
    kind: Kind
    name: str
    value: str | None
    """The level or value that the customer has; `given` for a tag; None for none."""
    since: date | None
    because: str | None
    """The reason of a tag that is given, its holes filled."""
    when: Condition | None
    unless: Condition | None
    lines: tuple[Line, ...]
    otherwise: str | None
    nearest: tuple[Condition, ...]
    """Of a tag that is not given: the fewest conditions that would have to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    ruleset: str
    entity: str
    customer: Key
    version: int
    as_of: date
    current: bool
    rules: tuple[RuleExplanation, ...]


def explain(path: Path, profile: str, customer: str, name: str | None = None, number: int | None = None) -> Explanation:
    """Every rule of a version for one customer, or that of a name; ProblemError where any is not there."""
    with published.opened(path, profile) as (manifest, store):
        key = published.key_of(store, customer)
        answer = store.customer(key, number)
        if answer.document is None:
            raise NotThereError(codes.customer_unknown(None, customer=customer, version=answer.version))
        version = store.version(answer.version)
        ruleset = _ruleset_of(manifest, store, version)
        current = store.current()
        return Explanation(
            ruleset=manifest.name,
            entity=published.identity_of(store).entity,
            customer=key,
            version=version.number,
            as_of=version.as_of,
            current=current is not None and current.number == version.number,
            rules=explained_in(store, ruleset, version, key, _asked_for(ruleset, name, version.number)),
        )


def explained_in(
    store: Store, ruleset: Ruleset, version: Version, key: Key, rules: Iterable[Rule]
) -> tuple[RuleExplanation, ...]:
    """Rules of a version's ruleset for a customer who is in it; NotKeptError where his values are no longer kept."""
    values = store.values(key, version.number)
    if values is None:
        raise NotKeptError(codes.values_not_kept(None, version=version.number))
    document = json.loads(store.customer(key, version.number).document or b"{}")
    facts = _facts(ruleset, values)
    return tuple(explained(trace(ruleset, facts, version.as_of, (rule.kind, rule.name)), document) for rule in rules)


def explained_now(
    ruleset: Ruleset, values: StoredValues, as_of: date, kind: Kind, name: str, value: str | None
) -> RuleExplanation | None:
    """Why a customer of these values would have a tag, level or value, or none; None where no rule decides it."""
    rule = ruleset.tags.get(name) if kind == "tag" else ruleset.ladders.get(name)
    if rule is None or rule.kind != kind or rule.draft:
        return None
    held = value is not None
    document = {
        "tags": [{"name": name}] if held and kind == "tag" else [],
        "tiers": {name: {"level": value}} if held and kind == "tier" else {},
        "classes": {name: {"value": value}} if held and kind == "class" else {},
    }
    return explained(trace(ruleset, _facts(ruleset, values), as_of, (kind, name)), document)


def _facts(ruleset: Ruleset, values: StoredValues) -> Facts:
    return Facts(
        attributes={name: value for name, value in values.items() if name not in ruleset.metrics},
        metrics={name: value for name, value in values.items() if name in ruleset.metrics},
    )


def _ruleset_of(manifest: Manifest, store: Store, version: Version) -> Ruleset:
    """The ruleset that a version was computed with."""
    computed = published.computed(store, version)
    texts = store.ruleset_texts(computed.ruleset_hash) or {}
    report = computed.report if isinstance(computed.report, Mapping) else {}
    overrides: Any = report.get("set") or {}
    sources = [Source(file, text) for file, text in texts.items()]
    checked = check(sources, manifest.name, manifest.timezone, overrides=overrides)
    if checked.ruleset is None:
        raise ProblemError(*checked.problems)
    return checked.ruleset


def _asked_for(ruleset: Ruleset, name: str | None, version: int) -> Iterator[Rule]:
    rules: list[Rule] = [*ruleset.tags.values(), *ruleset.ladders.values()]
    if name is None:
        yield from (rule for rule in rules if not rule.draft)
        return
    found = [rule for rule in rules if rule.name == name]
    if not found:
        known = [rule.name for rule in rules if not rule.draft]
        near = difflib.get_close_matches(name, known, n=1)
        raise NotThereError(
            codes.rule_unknown(
                None,
                name=name,
                version=version,
                near=near[0] if near else None,
                known=", ".join(known) or None,
            )
        )
    if all(rule.draft for rule in found):
        raise NotThereError(codes.rule_is_draft(None, name=name))
    yield from (rule for rule in found if not rule.draft)


def explained(traced: TagTrace | LadderTrace, document: Mapping[str, Any]) -> RuleExplanation:
    rule = traced.rule
    match traced:
        case TagTrace():
            held = next((tag for tag in document["tags"] if tag["name"] == rule.name), None)
            unless = _condition(traced.unless) if traced.unless else None
            steps = [] if held else [*shortest_way(traced.when)]
            if traced.unless and not held:
                steps.extend(shortest_way(traced.unless))
            assert isinstance(rule, Tag)
            return RuleExplanation(
                kind="tag",
                name=rule.name,
                value=GIVEN if held else None,
                since=_day(held),
                because=_filled(rule.because, traced.because) if held and rule.because else None,
                when=_condition(traced.when),
                unless=unless,
                lines=(),
                otherwise=None,
                nearest=tuple(map(_condition, steps)),
            )
        case LadderTrace():
            assert isinstance(rule, Ladder)
            tier = rule.kind == "tier"
            held = document["tiers" if tier else "classes"].get(rule.name)
            return RuleExplanation(
                kind=rule.kind,
                name=rule.name,
                value=held["level" if tier else "value"] if held else None,
                since=_day(held),
                because=None,
                when=None,
                unless=None,
                lines=tuple(
                    Line(value=level.value, decides=index == traced.decided_by, condition=_condition(line))
                    for index, (level, line) in enumerate(zip(rule.levels, traced.lines, strict=True))
                ),
                otherwise=rule.otherwise,
                nearest=(),
            )


def _day(held: Mapping[str, Any] | None) -> date | None:
    return date.fromisoformat(held["since"]) if held and held.get("since") else None


def _condition(traced: Trace) -> Condition:
    expression = traced.expression
    wanted = traced.wanted is not False
    answer = None if traced.answer is None else bool(traced.answer)
    # `between` is one condition to whoever wrote it.
    parts = traced.children if isinstance(expression, Junction | Not) else ()
    if isinstance(expression, Junction) and len({part.text for part in (traced, *parts)}) > 1:
        kind: Literal["and", "or", "not", "condition"] = expression.operator
    elif isinstance(expression, Not) and parts[0].text != traced.text:
        kind = "not"
    else:
        kind = "condition"
    distance = traced.gap or next((part.gap for part in parts if part.gap), None)
    return Condition(
        kind=kind,
        text=" ".join(traced.text.split()),
        answer=answer,
        wanted=wanted,
        reads=tuple(_reads(traced)) if kind == "condition" else (),
        distance=Distance(
            amount=distance.amount,
            unit=distance.unit,
            direction=distance.direction,
            beyond=distance.beyond,
            side=" ".join(distance.side.span.text.split()),
        )
        if distance and kind == "condition"
        else None,
        conditions=tuple(map(_condition, parts)) if kind != "condition" else (),
    )


def _reads(traced: Trace) -> Iterable[Read]:
    """The values beneath a condition, each once."""
    reads: dict[str, Value] = {}
    if isinstance(traced.expression, Comparison):
        # What was compared comes before what it was worked out from.
        for side in traced.children:
            if not isinstance(side.expression, Constant):
                reads[" ".join(side.text.split())] = side.answer
    waiting = [traced]
    while waiting:
        part = waiting.pop(0)
        match part.expression:
            case MetricValue() | Attribute() | ParameterValue():
                reads.setdefault(part.text, part.answer)
            case LadderIs(ladder=ladder):
                reads.setdefault(ladder, part.operands[0])
            case HasTag():
                reads.setdefault(part.text, part.answer)
            case _:
                waiting = [*part.children, *waiting]
    return (Read(name=name, value=value) for name, value in reads.items())


def _filled(because: Because, values: tuple[Value, ...]) -> str:
    holes = [*map(said, values), ""]
    return "".join(text + hole for text, hole in zip(because.texts, holes, strict=True))


def said(value: Value) -> str:
    """A value as it is read in a sentence: `8,750.00`, `2026-03-31`, `missing`."""
    match value:
        case None:
            return "missing"
        case bool():
            return "true" if value else "false"
        case int():
            return f"{value:,}"
        case Decimal():
            whole = value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()
            places = max(2, -int(whole.as_tuple().exponent)) if int(value.as_tuple().exponent) < 0 else 0
            return f"{value:,.{places}f}"
        case float():
            text = f"{value:,.4f}"
            return text[:-2] if text.endswith("00") else text.rstrip("0")
        case date():
            return value.isoformat()
        case str():
            return value
