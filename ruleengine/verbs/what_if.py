"""What rules would say of a customer of whom everything is given: nothing is read, and nothing is written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from ruleengine.checking.ruleset import Rule, Ruleset, Tag
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.interpreter import Cell, Facts, Overflow
from ruleengine.interpreter.evaluation import Evaluation
from ruleengine.interpreter.explanation import explain_rule
from ruleengine.interpreter.memory import Recollection
from ruleengine.schema import Manifest
from ruleengine.types import ColumnType, Kind, Type, Value
from ruleengine.verbs import opening
from ruleengine.verbs.check import CheckReport, checked_texts
from ruleengine.verbs.explain import RuleExplanation, explained


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A customer as plain JSON: exact numbers as numbers or text, days and moments as ISO text."""

    attributes: Mapping[str, Any]
    events: Mapping[str, Sequence[Mapping[str, Any]]]
    """By events source its rows."""
    metrics: Mapping[str, Any]
    """They replace what would be computed."""
    tags: Sequence[str]
    """Manual tags that are set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unanswered:
    kind: str
    name: str
    metric: str
    """That ranks customers, and was not given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    as_of: date
    ruleset_hash: str
    tags: tuple[str, ...]
    tiers: Mapping[str, str]
    classes: Mapping[str, str]
    metrics: Mapping[str, Value]
    unanswered: tuple[Unanswered, ...]
    rules: tuple[RuleExplanation, ...]


class GivenError(Exception):
    """Something that is given cannot be, or leads to a number that is too large."""

    def __init__(self, where: Sequence[str | int], wrong: str) -> None:
        super().__init__(wrong)
        self.where = where
        self.wrong = wrong


def ruleset_from(manifest: Manifest, files: Mapping[str, str]) -> Ruleset:
    """The ruleset of these rule files; ProblemError with all that is wrong with them."""
    report, ruleset = _checked(manifest, files, proofs=False)
    if ruleset is None:
        raise ProblemError(*report.problems)
    return ruleset


def check_files(manifest: Manifest, files: Mapping[str, str], *, proofs: bool) -> CheckReport:
    """Everything found in these rule files. What they `use` by a path lies in the manifest's folder."""
    return _checked(manifest, files, proofs=proofs)[0]


def _checked(manifest: Manifest, files: Mapping[str, str], *, proofs: bool) -> tuple[CheckReport, Ruleset | None]:
    return checked_texts(manifest, opening.sources_of(files), opening.reader_inside(manifest), proofs=proofs)


def evaluate(ruleset: Ruleset, given: Given, as_of: date) -> WhatIf:
    """What the rules say of a customer whom no earlier version knew; GivenError where that cannot be said."""
    facts = Facts(
        attributes=dict(_attributes(ruleset, given.attributes)),
        events=dict(_events(ruleset, given.events)),
        metrics=dict(_metrics(ruleset, given.metrics)),
        memory=Recollection(manual_tags=frozenset(_tags(ruleset, given.tags))),
    )
    evaluation = Evaluation(ruleset, facts, as_of)
    try:
        evaluation.run()
        rules = tuple(_explained(ruleset, evaluation))
    except Overflow as overflow:
        raise GivenError((), f"leads to a number that is too large: {overflow}") from None
    held = {(rule.kind, rule.name): rule.value for rule in rules if rule.value is not None}
    return WhatIf(
        as_of=as_of,
        ruleset_hash=ruleset.hash,
        tags=(*given.tags, *(name for kind, name in held if kind == "tag")),
        tiers={name: value for (kind, name), value in held.items() if kind == "tier"},
        classes={name: value for (kind, name), value in held.items() if kind == "class"},
        metrics=dict(evaluation.metrics),
        unanswered=tuple(
            Unanswered(kind=kind, name=name, metric=metric) for (kind, name), metric in evaluation.unanswered.items()
        ),
        rules=rules,
    )


def _explained(ruleset: Ruleset, evaluation: Evaluation) -> Iterator[RuleExplanation]:
    rules: list[Rule] = [*ruleset.tags.values(), *ruleset.ladders.values()]
    for rule in rules:
        if rule.draft or (rule.kind, rule.name) in evaluation.unanswered:
            continue
        document: dict[str, Any] = {"tags": [], "tiers": {}, "classes": {}}
        if isinstance(rule, Tag):
            document["tags"] = [{"name": rule.name}] if evaluation.tags[rule.name] is True else []
        elif (value := evaluation.ladders[rule.name]) is not None:
            of = "tiers" if rule.kind == "tier" else "classes"
            document[of][rule.name] = {"level" if rule.kind == "tier" else "value": value}
        yield explained(explain_rule(rule, evaluation), document)


# -- what is given -------------------------------------------------------------------------------------------


def _attributes(ruleset: Ruleset, given: Mapping[str, Any]) -> Iterator[tuple[str, Cell]]:
    for name, value in given.items():
        column = ruleset.attribute(name)
        if column is None:
            raise GivenError(("attributes", name), f"is no column of {ruleset.entity.name}")
        yield name, _cell(value, column.type, ("attributes", name))


def _events(
    ruleset: Ruleset, given: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[tuple[str, list[dict[str, Cell]]]]:
    for name, rows in given.items():
        events = ruleset.events.get(name)
        if events is None:
            raise GivenError(("events", name), "are no events of the ruleset")
        found: list[dict[str, Cell]] = []
        for index, row in enumerate(rows):
            cells: dict[str, Cell] = {}
            for column_name, value in row.items():
                where = ("events", name, index, column_name)
                column = events.column(column_name)
                if column is None or column is events.customer:
                    raise GivenError(where, f"is no column of {name} that can be given")
                cells[column_name] = _cell(value, column.type, where)
            if events.key is not None:
                cells.setdefault(events.key.name, index if events.key.type.name == "integer" else str(index))
            found.append(cells)
        yield name, found


def _metrics(ruleset: Ruleset, given: Mapping[str, Any]) -> Iterator[tuple[str, Value]]:
    for name, value in given.items():
        metric = ruleset.metrics.get(name)
        if metric is None:
            raise GivenError(("metrics", name), "is no metric that a rule reads")
        yield name, _value(value, metric.type, ("metrics", name))


def _tags(ruleset: Ruleset, given: Sequence[str]) -> Iterator[str]:
    for index, name in enumerate(given):
        if name not in ruleset.manual_tags:
            raise GivenError(("tags", index), "is no manual tag")
        yield name


def _cell(value: Any, type_: ColumnType, where: Sequence[str | int]) -> Cell:
    if type_.name != "timestamp" or value is None:
        return _value(value, type_.value, where)
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise GivenError(where, "must be a moment, such as 2026-03-31T10:00:00") from None


def _value(value: Any, type_: Type, where: Sequence[str | int]) -> Value:
    """A value as rules see it, from JSON."""
    if value is None:
        return None
    match type_.kind:
        case Kind.TEXT if isinstance(value, str):
            return value
        case Kind.BOOLEAN if isinstance(value, bool):
            return value
        case Kind.DATE if isinstance(value, str):
            try:
                return date.fromisoformat(value)
            except ValueError:
                raise GivenError(where, "must be a day, such as 2026-03-31") from None
        case Kind.EXACT | Kind.DOUBLE if isinstance(value, int | Decimal | str) and not isinstance(value, bool):
            return _number(value, type_, where)
        case kind:
            raise GivenError(where, f"must be {_WORDS[kind]}")


_WORDS = {
    Kind.TEXT: "a text",
    Kind.BOOLEAN: "true or false",
    Kind.DATE: "a day, such as 2026-03-31",
    Kind.EXACT: "a number",
    Kind.DOUBLE: "a number",
}


def _number(value: int | Decimal | str, type_: Type, where: Sequence[str | int]) -> Value:
    try:
        number = Decimal(value)
        if not number.is_finite():
            raise InvalidOperation
        if type_.kind is Kind.DOUBLE:
            if not isfinite(nearest := float(number)):
                raise InvalidOperation
            return nearest
        shift = Decimal(1).scaleb(-type_.scale)
        fits = not number or number.adjusted() < type_.digits - type_.scale
        exact = number.quantize(shift) if fits else None
    except InvalidOperation:
        raise GivenError(where, "must be a number") from None
    if exact is None or exact != number:
        raise GivenError(where, f"must be a number of at most {type_.digits} digits, {type_.scale} behind the point")
    return int(exact) if type_.scale == 0 else exact
