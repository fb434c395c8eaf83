"""Changes of the rules, one by one: thresholds, operators, windows, clauses and order."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import date
from itertools import islice
from typing import Any, TypeVar

from ruleengine.checking.expressions import (
    Expression,
    is_expression,
)
from ruleengine.checking.ruleset import Duration, Level, Limit, Metric, Parameter, ParameterConstant, Rule, Ruleset, Tag
from ruleengine.source import Span
from ruleengine.types import BOOLEAN
from ruleengine.verbs.testing.cases import Owner, reached
from ruleengine.verbs.testing.changes import NUMBER, Change, Kind, Within, beside, changes, left_out

_COMMENT = re.compile(r"#[^\n]*")
_TEXT = re.compile('"(?:[^"]|"")*"|“[^”]*”')
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """The rules with one change."""

    kind: Kind
    span: Span
    before: str
    """What the change is about, as it is written."""
    after: str
    """What stands there instead; empty: nothing."""
    owners: frozenset[Owner]
    """What is changed."""
    ruleset: Ruleset


def mutants(ruleset: Ruleset) -> Iterator[Mutant]:
    """Every change of what the answers of rules are made from, in the order of files and lines."""
    found = [*_of_entity(ruleset), *_of_parameters(ruleset), *_of_metrics(ruleset), *_of_rules(ruleset)]
    seen = set()
    for mutant in sorted(found, key=lambda each: (each.span.source.path, each.span.start, each.span.end)):
        key = mutant.span.source.path, mutant.span.start, mutant.span.end, mutant.before, mutant.after
        if key not in seen:
            seen.add(key)
            yield mutant


# -- where changes are made ------------------------------------------------------------------------------------


def _of_entity(ruleset: Ruleset) -> Iterator[Mutant]:
    """Changes of who is a customer at all."""
    entity = ruleset.entity
    if entity.where is None:
        return
    inside = changes(entity.where, True, Within(ruleset, windows=True))
    for change, where in (
        (left_out(entity.where, "where "), None),
        *((change, change.expression) for change in inside),
    ):
        yield Mutant(
            kind=change.kind,
            span=change.span,
            before=change.before,
            after=change.after,
            owners=frozenset([("entity", entity.name)]),
            ruleset=replace(ruleset, entity=replace(entity, where=where)),
        )


def _of_parameters(ruleset: Ruleset) -> Iterator[Mutant]:
    used = reached(ruleset, ((rule.kind, rule.name) for rule in ruleset.order))
    for parameter in ruleset.parameters.values():
        if ("let", parameter.name) not in used:
            continue
        for number, places in enumerate(_literals(parameter)):
            for place, span in enumerate(places):
                for kind, before, after, values in _beside(parameter, number, place, span.text):
                    steps = list(parameter.steps)
                    steps[number] = (steps[number][0], values)
                    parameters = {**ruleset.parameters, parameter.name: replace(parameter, steps=tuple(steps))}
                    yield Mutant(
                        kind=kind,
                        span=span,
                        before=before,
                        after=after,
                        owners=frozenset([("let", parameter.name)]),
                        ruleset=replace(ruleset, parameters=parameters),
                    )


def _beside(
    parameter: Parameter, number: int, place: int, text: str
) -> Iterator[tuple[Kind, str, str, tuple[ParameterConstant, ...]]]:
    """A value one step below and above; a list without an entry."""
    values = parameter.steps[number][1]
    if not parameter.is_list:
        for value, after in beside(values[0], text):
            yield "number", f"{parameter.name} = {text}", f"{parameter.name} = {after}", (value,)
    elif len(values) > 1:
        yield "clause", text, "", (*values[:place], *values[place + 1 :])


def _literals(parameter: Parameter) -> Iterator[list[Span]]:
    """Where the values of each step of a `let` are written: they stand before the date from which they hold."""
    source, first = parameter.span.source, parameter.steps[0][1][0]
    text = _COMMENT.sub(_blanked, source.text)
    if isinstance(first, str):
        found = _TEXT.finditer(source.text, parameter.span.end)
    elif isinstance(first, date):
        found = _DATE.finditer(text, parameter.span.end)
    else:
        found = NUMBER.finditer(_DATE.sub(_blanked, text), parameter.span.end)
    for start, values in parameter.steps:
        yield [Span(source, match.start(), match.end()) for match in islice(found, len(values))]
        if start is not None and isinstance(first, date):
            next(found)


def _blanked(match: re.Match[str]) -> str:
    return " " * len(match[0])


def _of_metrics(ruleset: Ruleset) -> Iterator[Mutant]:
    """Changes of definitions, in every window through which a metric is seen at once."""
    used = reached(ruleset, ((rule.kind, rule.name) for rule in ruleset.order))
    families: dict[str, list[Metric]] = {}
    for metric in ruleset.metrics.values():
        families.setdefault(metric.declared or metric.name, []).append(metric)
    for name, family in families.items():
        if not any(("metric", metric.name) in used for metric in family):
            continue
        base = next((metric for metric in family if metric.name == name), family[0])
        others = [metric for metric in family if metric is not base]
        lists = [
            list(changes(each.expression, each.type == BOOLEAN, Within(ruleset, windows=each is base)))
            for each in (base, *others)
        ]
        own = lists[0]
        for number, change in enumerate(own):
            changed = {base.name: replace(base, expression=change.expression)}
            for metric, theirs in zip(others, lists[1:], strict=True):
                if len(theirs) == len(own):
                    changed[metric.name] = replace(metric, expression=theirs[number].expression)
            yield Mutant(
                kind=change.kind,
                span=change.span,
                before=change.before,
                after=change.after,
                owners=frozenset(("metric", each) for each in changed),
                ruleset=_with_metrics(ruleset, changed, change.made),
            )


def _of_rules(ruleset: Ruleset) -> Iterator[Mutant]:
    for rule in ruleset.order:
        for change, changed in _rule_changes(ruleset, rule):
            order = tuple(changed if each is rule else each for each in ruleset.order)
            tags = {name: changed if each is rule else each for name, each in ruleset.tags.items()}
            ladders = {name: changed if each is rule else each for name, each in ruleset.ladders.items()}
            yield Mutant(
                kind=change.kind,
                span=change.span,
                before=change.before,
                after=change.after,
                owners=frozenset([(rule.kind, rule.name)]),
                ruleset=_with_metrics(
                    replace(ruleset, order=order, tags=tags, ladders=ladders),  # type: ignore[arg-type]
                    {},
                    change.made,
                ),
            )


def _rule_changes(ruleset: Ruleset, rule: Rule) -> Iterator[tuple[Change, Rule]]:
    within = Within(ruleset, windows=True)
    for name, expression in _conditions(rule):
        for change in changes(expression, True, within):
            yield change, _with(rule, name, change.expression)
    yield from _clauses(rule)
    if isinstance(rule, Tag):
        return
    for number, level in enumerate(rule.levels):
        for name, expression in _conditions(level):
            for change in changes(expression, True, within):
                changed = _with(level, name, change.expression)
                yield change, replace(rule, levels=(*rule.levels[:number], changed, *rule.levels[number + 1 :]))
        if level.keep_while is not None:
            lapsing = replace(level, keep_while=None)
            levels = (*rule.levels[:number], lapsing, *rule.levels[number + 1 :])
            yield left_out(level.keep_while, "keep while "), replace(rule, levels=levels)
    for number in range(len(rule.levels) - 1):
        one, two = rule.levels[number : number + 2]
        before, after = f'"{one.value}" before "{two.value}"', f'"{two.value}" before "{one.value}"'
        change = Change("order", one.span, before, after, one.when)
        yield change, replace(rule, levels=(*rule.levels[:number], two, one, *rule.levels[number + 2 :]))


def _clauses(rule: Rule) -> Iterator[tuple[Change, Rule]]:
    """Clauses left out, and lengths of time and budgets that are larger or smaller by one."""
    if isinstance(rule, Tag):
        if rule.unless is not None:
            yield left_out(rule.unless, "unless "), replace(rule, unless=None)
        if rule.until is not None:
            yield left_out(rule.until, "until "), replace(rule, until=None)
        for before, after, keep_for in _lengths("keep for", rule.keep_for):
            yield _clause(rule, before, after), replace(rule, keep_for=keep_for)
        if rule.if_unknown_keep:
            yield _clause(rule, "if unknown keep"), replace(rule, if_unknown_keep=False)
        for before, after, limit in _budgets(rule.limit):
            yield _clause(rule, before, after), replace(rule, limit=limit)
        return
    for before, after, hold in _lengths("hold for", rule.hold):
        yield _clause(rule, before, after), replace(rule, hold=hold)
    for before, after, grace in _lengths("grace", rule.grace):
        yield _clause(rule, before, after), replace(rule, grace=grace)
    if rule.fall is not None:
        yield _clause(rule, "fall " + rule.fall), replace(rule, fall=None)
    if rule.review is not None:
        yield _clause(rule, "review"), replace(rule, review=None)


def _lengths(words: str, duration: Duration | None) -> Iterator[tuple[str, str, Duration | None]]:
    if duration is None:
        return
    before = f"{words} {_long(duration)}"
    yield before, "", None
    for count in (duration.count - 1, duration.count + 1):
        if count > 0:
            near = replace(duration, count=count)
            yield before, f"{words} {_long(near)}", near


def _long(duration: Duration) -> str:
    return f"{duration.count} {duration.unit}{'' if duration.count == 1 else 's'}"


def _budgets(limit: Limit | None) -> Iterator[tuple[str, str, Limit | None]]:
    if limit is None:
        return
    before = f"limit {limit.count}"
    yield before, "", None
    for count in (limit.count - 1, limit.count + 1):
        if count > 0:
            yield before, f"limit {count}", replace(limit, count=count)
    yield before, "the worst instead of the best", replace(limit, lowest=not limit.lowest)


def _clause(rule: Rule, before: str, after: str = "") -> Change:
    """A change of a clause without a condition, told at its rule."""
    condition = rule.when if isinstance(rule, Tag) else rule.levels[0].when
    return Change("clause", rule.span, before, after, condition)


_Statement = TypeVar("_Statement", Rule, Level)


def _with(statement: _Statement, name: str, expression: Expression) -> _Statement:
    changes: Any = {name: expression}
    return replace(statement, **changes)


def _conditions(statement: Rule | Level) -> Iterator[tuple[str, Expression]]:
    for part in fields(statement):
        value = getattr(statement, part.name)
        if is_expression(value):
            yield part.name, value


def _with_metrics(ruleset: Ruleset, changed: dict[str, Metric], made: Iterable[Metric]) -> Ruleset:
    """Metrics that were made come first: of the others they read none but their kind."""
    metrics = {metric.name: metric for metric in made}
    metrics |= {name: changed.get(name, metric) for name, metric in ruleset.metrics.items()}
    return replace(ruleset, metrics=metrics)
