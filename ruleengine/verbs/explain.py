"""Why a customer is what he is in a version, and is not what he is not."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
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
from ruleengine.checking.ruleset import Because, ManualTag, Rule, Ruleset
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.interpreter import Facts, LadderTrace, Overflow, TagTrace, Trace, shortest_way
from ruleengine.interpreter import explain as trace
from ruleengine.interpreter.memory import from_values
from ruleengine.schema import Manifest
from ruleengine.source import Source
from ruleengine.store.records import GIVEN, Key, Kind, Setting, StoredValues, Version
from ruleengine.store.refusals import NotKeptError, RefusedError
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
    keep_while: Condition | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagMemory:
    """What a tag's answer has beside its conditions."""

    held: bool
    """The version before gave it."""
    last_match: date | None
    """Of who held it: the as-of of the last version in which its condition held."""
    kept_to: date | None
    """By `keep for`: the last day; None once that is over."""
    suppressed_by: tuple[str, ...]
    """Tags that the customer has, and for which alone he is not given this one."""
    beyond_limit: bool
    """Only the tag's budget keeps it from him."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierMemory:
    """Where a customer stands on a tier, a level set by hand left aside."""

    level: str | None
    reached: date | None
    earned: str | None
    below_since: date | None
    """The as-of from which less has been earned than is held."""
    held_until: date | None
    """Of who has earned less: the day before he would fall, if nothing changes."""
    short_of: tuple[Condition, ...]
    """The fewest conditions that would have to change for the level to be earned again."""


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
    until: Condition | None
    memory: TagMemory | TierMemory | None
    """Of rules that remember, or that others can suppress."""
    by_hand: Setting | None
    """Of a tag, or the level of a tier, that somebody set."""
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
        return explain_from(store, manifest, customer, name, number)


def explain_from(
    store: Store, manifest: Manifest, customer: str, name: str | None = None, number: int | None = None
) -> Explanation:
    """As `explain`, from a store that is open."""
    key = published.key_of(store, customer)
    answer = store.customer(key, number)
    if answer.document is None:
        raise published.unknown(store, customer, key, answer.version)
    version = store.version(answer.version)
    ruleset = ruleset_of(manifest, store, version)
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
    store: Store, ruleset: Ruleset, version: Version, key: Key, rules: Iterable[Rule | ManualTag]
) -> tuple[RuleExplanation, ...]:
    """Rules of a version's ruleset for a customer who is in it; NotKeptError where his values are no longer kept."""
    values = store.values(key, version.number)
    if values is None:
        raise NotKeptError(codes.values_not_kept(None, version=version.number))
    document = json.loads(store.customer(key, version.number).document or b"{}")
    settings = store.manual(key, version.number)
    budgets = frozenset(tag["name"] for tag in document["tags"])
    facts = replace(facts_of(ruleset, values, version.as_of, settings), budgets=budgets)
    made = []
    for rule in rules:
        by_hand = _setting(rule, settings)
        if isinstance(rule, ManualTag):
            made.append(_set_by_hand(rule, document, by_hand))
        else:
            with overflows_told(ruleset):
                found = trace(ruleset, facts, version.as_of, (rule.kind, rule.name))
            made.append(explained(found, document, by_hand))
    return tuple(made)


def _setting(rule: Rule | ManualTag, settings: Sequence[Setting]) -> Setting | None:
    names = (rule.name, *rule.formerly) if isinstance(rule, ManualTag) else (rule.name,)
    return next((each for each in settings if each.kind == rule.kind and each.name in names), None)


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
    with overflows_told(ruleset):
        found = trace(ruleset, facts_of(ruleset, values, as_of), as_of, (kind, name))
    return explained(found, document)


@contextmanager
def overflows_told(ruleset: Ruleset) -> Iterator[None]:
    """Numbers that are too large, as a problem: a run need not have met them, where another part had decided."""
    try:
        yield
    except Overflow as overflow:
        found = ruleset.metrics.get(overflow.name) if overflow.kind == "metric" else None
        if found is not None:
            raise RefusedError(codes.overflow(found.span, name=f"`{overflow.name}`")) from None
        span = next((rule.span for rule in ruleset.order if rule.name == overflow.name), None)
        raise RefusedError(codes.overflow(span, name=f"“{overflow.name}”")) from None


def facts_of(ruleset: Ruleset, values: StoredValues, as_of: date, settings: Sequence[Setting] | None = None) -> Facts:
    """What is known of a customer from the values that a run kept; what is set by hand can have changed since."""
    memory = from_values(ruleset, as_of, values)
    if settings is not None:
        memory = replace(
            memory,
            manual_tags=frozenset(
                tag.name for tag in ruleset.manual_tags.values() if _setting(tag, settings) is not None
            ),
            manual_tiers={each.name: each.value for each in settings if each.kind == "tier"},
        )
    return Facts(
        attributes={name: value for name, value in values.items() if ruleset.attribute(name) is not None},
        metrics={name: value for name, value in values.items() if name in ruleset.metrics},
        memory=memory,
    )


def ruleset_of(manifest: Manifest, store: Store, version: Version) -> Ruleset:
    """The ruleset that a version was computed with."""
    computed = published.computed(store, version)
    texts = store.ruleset_texts(computed.ruleset_hash) or {}
    report = computed.report if isinstance(computed.report, Mapping) else {}
    overrides: Any = report.get("set") or {}
    sources = [Source(file, text) for file, text in texts.items()]
    checked = check(sources, manifest.name, computed.timezone or manifest.timezone, overrides=overrides)
    if checked.ruleset is None:
        raise ProblemError(*checked.problems)
    return checked.ruleset


def _asked_for(ruleset: Ruleset, name: str | None, version: int) -> Iterator[Rule | ManualTag]:
    rules: list[Rule | ManualTag]
    rules = [*ruleset.tags.values(), *ruleset.manual_tags.values(), *ruleset.ladders.values()]
    if name is None:
        yield from (rule for rule in rules if not _is_draft(rule))
        return
    found = [rule for rule in rules if rule.name == name]
    if not found:
        known = [rule.name for rule in rules if not _is_draft(rule)]
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
    if all(map(_is_draft, found)):
        raise NotThereError(codes.rule_is_draft(None, name=name))
    yield from (rule for rule in found if not _is_draft(rule))


def _is_draft(rule: Rule | ManualTag) -> bool:
    return not isinstance(rule, ManualTag) and rule.draft


def explained(
    traced: TagTrace | LadderTrace, document: Mapping[str, Any], by_hand: Setting | None = None
) -> RuleExplanation:
    match traced:
        case TagTrace():
            return _tag(traced, document)
        case LadderTrace():
            return _ladder(traced, document, by_hand)


def _tag(traced: TagTrace, document: Mapping[str, Any]) -> RuleExplanation:
    rule, decision = traced.rule, traced.decision
    held = _held_tag(document, rule.name)
    steps = [] if held else [*shortest_way(traced.when)]
    if traced.unless and not held:
        steps.extend(shortest_way(traced.unless))
    memory = None
    if rule.remembers or rule.preferred or rule.limit:
        memory = TagMemory(
            held=decision.held,
            last_match=decision.last_match,
            kept_to=decision.kept_to,
            suppressed_by=decision.suppressed_by,
            beyond_limit=rule.limit is not None and decision.given is True and held is None,
        )
    return RuleExplanation(
        kind="tag",
        name=rule.name,
        value=GIVEN if held else None,
        since=_day(held),
        because=_filled(rule.because, traced.because) if held and rule.because else None,
        when=_condition(traced.when),
        unless=_condition(traced.unless) if traced.unless else None,
        until=_condition(traced.until) if traced.until else None,
        memory=memory,
        by_hand=None,
        lines=(),
        otherwise=None,
        nearest=tuple(map(_condition, steps)),
    )


def _ladder(traced: LadderTrace, document: Mapping[str, Any], by_hand: Setting | None) -> RuleExplanation:
    rule, decision = traced.rule, traced.decision
    tier = rule.kind == "tier"
    held = document["tiers" if tier else "classes"].get(rule.name)
    memory = None
    if decision is not None and (rule.remembers or by_hand):
        falls = decision.falls_on if decision.now.below is not None else None
        memory = TierMemory(
            level=decision.now.level,
            reached=decision.now.reached,
            earned=decision.earned,
            below_since=decision.now.below,
            held_until=falls - timedelta(days=1) if falls is not None else None,
            short_of=tuple(map(_condition, traced.short_of)),
        )
    return RuleExplanation(
        kind=rule.kind,
        name=rule.name,
        value=held["level" if tier else "value"] if held else None,
        since=_day(held),
        because=None,
        when=None,
        unless=None,
        until=None,
        memory=memory,
        by_hand=by_hand,
        lines=tuple(
            Line(
                value=level.value,
                decides=index == traced.decided_by,
                condition=_condition(line),
                keep_while=_condition(keeping) if keeping else None,
            )
            for index, (level, line, keeping) in enumerate(zip(rule.levels, traced.lines, traced.keeping, strict=True))
        ),
        otherwise=rule.otherwise,
        nearest=(),
    )


def _set_by_hand(tag: ManualTag, document: Mapping[str, Any], by_hand: Setting | None) -> RuleExplanation:
    held = _held_tag(document, tag.name)
    return RuleExplanation(
        kind="tag",
        name=tag.name,
        value=GIVEN if held else None,
        since=_day(held),
        because=by_hand.reason if held and by_hand else None,
        when=None,
        unless=None,
        until=None,
        memory=None,
        by_hand=by_hand,
        lines=(),
        otherwise=None,
        nearest=(),
    )


def _held_tag(document: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    return next((tag for tag in document["tags"] if tag["name"] == name), None)


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
