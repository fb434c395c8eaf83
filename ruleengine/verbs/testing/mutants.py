"""Changes of the rules, one by one: thresholds, operators, windows, clauses and order."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeVar

from ruleengine.checking.expressions import (
    Aggregate,
    Arithmetic,
    Between,
    Calendar,
    Comparison,
    Conditional,
    Constant,
    Expression,
    Junction,
    LadderIs,
    Last,
    MetricValue,
    Not,
    Ranking,
    ScoreLine,
    Typed,
    Window,
    children,
    walk,
)
from ruleengine.checking.ruleset import Duration, Level, Metric, Parameter, Rule, Ruleset, Tag
from ruleengine.interpreter.explanation import OPPOSITE
from ruleengine.source import Span
from ruleengine.types import BOOLEAN
from ruleengine.verbs.testing.cases import MADE, Owner, reached
from ruleengine.verbs.testing.conditions import is_between

Kind = Literal["operator", "number", "window", "order", "clause"]
_SIGN = re.compile("[<>=!]=?|[≥≤≠]|is not|is|[-+]")
_STRICTER = {">=": ">", ">": ">=", "<=": "<", "<": "<="}
_NUMBER = re.compile(r"[0-9][0-9_]*(?:\.([0-9]+))?(?:[ \t]*(%))?")
_COMMENT = re.compile(r"#[^\n]*")
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


@dataclass(frozen=True, slots=True)
class _Change:
    """An expression with one change somewhere in it."""

    kind: Kind
    span: Span
    before: str
    after: str
    expression: Expression
    negates: bool = False
    made: tuple[Metric, ...] = ()


def mutants(ruleset: Ruleset) -> Iterator[Mutant]:
    """Every change of what the answers of rules are made from, in the order of files and lines."""
    found = [*_of_parameters(ruleset), *_of_metrics(ruleset), *_of_rules(ruleset)]
    seen = set()
    for mutant in sorted(found, key=lambda each: (each.span.source.path, each.span.start, each.span.end)):
        key = mutant.span.source.path, mutant.span.start, mutant.span.end, mutant.before, mutant.after
        if key not in seen:
            seen.add(key)
            yield mutant


# -- where changes are made ------------------------------------------------------------------------------------


def _of_parameters(ruleset: Ruleset) -> Iterator[Mutant]:
    used = reached(ruleset, ((rule.kind, rule.name) for rule in ruleset.order))
    for parameter in ruleset.parameters.values():
        if parameter.is_list or ("let", parameter.name) not in used:
            continue
        places = _literals(parameter)
        for number, (start, values) in enumerate(parameter.steps):
            span = places[number]
            for value, after in _beside(values[0], span.text):
                steps = list(parameter.steps)
                steps[number] = (start, (value,))
                parameters = {**ruleset.parameters, parameter.name: replace(parameter, steps=tuple(steps))}
                yield Mutant(
                    kind="number",
                    span=span,
                    before=f"{parameter.name} = {span.text}",
                    after=f"{parameter.name} = {after}",
                    owners=frozenset([("let", parameter.name)]),
                    ruleset=replace(ruleset, parameters=parameters),
                )


def _literals(parameter: Parameter) -> list[Span]:
    """Where the values of a `let` are written: each stands before the date from which it holds."""
    source = parameter.span.source
    text = _COMMENT.sub(_blanked, source.text)
    if isinstance(parameter.steps[0][1][0], date):
        found = list(_DATE.finditer(text, parameter.span.end))
        found = [found[0], *found[1::2]]
    else:
        found = list(_NUMBER.finditer(_DATE.sub(_blanked, text), parameter.span.end))
    return [Span(source, match.start(), match.end()) for match in found[: len(parameter.steps)]]


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
            list(_changes(each.expression, each.type == BOOLEAN, _Within(ruleset, windows=each is base)))
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


def _rule_changes(ruleset: Ruleset, rule: Rule) -> Iterator[tuple[_Change, Rule]]:
    within = _Within(ruleset, windows=True)
    for name, expression in _conditions(rule):
        for change in _changes(expression, True, within):
            yield change, _with(rule, name, change.expression)
    yield from _clauses(rule)
    if isinstance(rule, Tag):
        return
    for number, level in enumerate(rule.levels):
        for name, expression in _conditions(level):
            for change in _changes(expression, True, within):
                changed = _with(level, name, change.expression)
                yield change, replace(rule, levels=(*rule.levels[:number], changed, *rule.levels[number + 1 :]))
        if level.keep_while is not None:
            lapsing = replace(level, keep_while=None)
            levels = (*rule.levels[:number], lapsing, *rule.levels[number + 1 :])
            yield _left_out(level.keep_while, "keep while "), replace(rule, levels=levels)
    for number in range(len(rule.levels) - 1):
        one, two = rule.levels[number : number + 2]
        before, after = f'"{one.value}" before "{two.value}"', f'"{two.value}" before "{one.value}"'
        change = _Change("order", one.span, before, after, one.when)
        yield change, replace(rule, levels=(*rule.levels[:number], two, one, *rule.levels[number + 2 :]))


def _clauses(rule: Rule) -> Iterator[tuple[_Change, Rule]]:
    """Clauses left out, and lengths of time that are longer or shorter by one."""
    if isinstance(rule, Tag):
        if rule.unless is not None:
            yield _left_out(rule.unless, "unless "), replace(rule, unless=None)
        if rule.until is not None:
            yield _left_out(rule.until, "until "), replace(rule, until=None)
        for after, keep_for in _lengths(rule.keep_for):
            yield _clause(rule, "keep for", rule.keep_for, after), replace(rule, keep_for=keep_for)
        if rule.if_unknown_keep:
            yield _clause(rule, "if unknown keep", None, None), replace(rule, if_unknown_keep=False)
        return
    for after, hold in _lengths(rule.hold):
        yield _clause(rule, "hold for", rule.hold, after), replace(rule, hold=hold)
    for after, grace in _lengths(rule.grace):
        yield _clause(rule, "grace", rule.grace, after), replace(rule, grace=grace)


def _lengths(duration: Duration | None) -> Iterator[tuple[str | None, Duration | None]]:
    if duration is None:
        return
    yield None, None
    for count in (duration.count - 1, duration.count + 1):
        if count > 0:
            near = replace(duration, count=count)
            yield _long(near), near


def _long(duration: Duration) -> str:
    return f"{duration.count} {duration.unit}{'' if duration.count == 1 else 's'}"


def _clause(rule: Rule, words: str, duration: Duration | None, after: str | None) -> _Change:
    """A change of a clause without a condition, told at its rule."""
    condition = rule.when if isinstance(rule, Tag) else rule.levels[0].when
    before = f"{words} {_long(duration)}" if duration is not None else words
    return _Change("clause", rule.span, before, f"{words} {after}" if after is not None else "", condition)


_Statement = TypeVar("_Statement", Rule, Level)


def _with(statement: _Statement, name: str, expression: Expression) -> _Statement:
    changes: Any = {name: expression}
    return replace(statement, **changes)


def _left_out(expression: Expression, word: str = "") -> _Change:
    return _Change("clause", expression.span, f"{word}{_shown(expression)}", "", expression)


def _conditions(statement: Rule | Level) -> Iterator[tuple[str, Expression]]:
    for part in fields(statement):
        value = getattr(statement, part.name)
        if isinstance(value, Typed):
            yield part.name, value  # type: ignore[misc]  # Expression is the union of all subclasses of Typed


def _with_metrics(ruleset: Ruleset, changed: dict[str, Metric], made: Iterable[Metric]) -> Ruleset:
    """Metrics that were made come first: of the others they read none but their kind."""
    metrics = {metric.name: metric for metric in made}
    metrics |= {name: changed.get(name, metric) for name, metric in ruleset.metrics.items()}
    return replace(ruleset, metrics=metrics)


# -- what is changed -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Within:
    ruleset: Ruleset
    windows: bool
    """Whether the windows of what stands here are written here."""
    compared: bool = False
    """Whether a comparison stands around it, so that its numbers are thresholds."""


def _changes(expression: Expression, is_condition: bool, within: _Within) -> Iterator[_Change]:
    yield from _own(expression, is_condition, within)
    for part in fields(expression):
        value = getattr(expression, part.name)
        for place, child in enumerate(value if isinstance(value, tuple) else (value,)):
            if not isinstance(child, Typed):
                continue
            asks = _asks(expression, part.name, is_condition)
            inside = replace(within, compared=True) if isinstance(expression, Comparison) else within
            for change in _changes(child, asks, inside):  # type: ignore[arg-type]
                if isinstance(expression, Not) and change.negates:
                    continue  # the same as leaving `not` out
                if isinstance(expression, Comparison) and change.kind == "number":
                    change = _in_context(change, expression)
                new: Any = change.expression
                if isinstance(value, tuple):
                    new = (*value[:place], new, *value[place + 1 :])
                yield replace(change, expression=replace(expression, **{part.name: new}), negates=False)


def _in_context(change: _Change, comparison: Comparison) -> _Change:
    """Told as a change of the comparison, since a number alone says little."""
    whole, text = comparison.span, comparison.span.source.text
    after = f"{text[whole.start : change.span.start]}{change.after}{text[change.span.end : whole.end]}"
    return replace(change, before=_shown(comparison), after=" ".join(after.split()))


def _asks(parent: Expression, name: str, is_condition: bool) -> bool:
    """Whether a part of an expression is asked whether it is so."""
    match parent:
        case Not() | Junction():
            return is_condition
        case Conditional():
            return is_condition or name == "condition"
        case Aggregate() | Ranking() | ScoreLine():
            return name in ("where", "among", "when")
        case _:
            return False


def _own(expression: Expression, is_condition: bool, within: _Within) -> Iterator[_Change]:
    """Changes of an expression itself, what stands beneath it left as it is."""

    def to(kind: Kind, after: str, new: Expression, negates: bool = False) -> _Change:
        return _Change(kind, expression.span, _shown(expression), after, new, negates)

    match expression:
        case Comparison(operator=operator):
            if operator in _STRICTER:
                sign: Any = _STRICTER[operator]
                yield to("operator", _with_sign(expression, sign), replace(expression, operator=sign))
            if is_condition:
                turned: Any = OPPOSITE[operator]
                yield to("operator", _with_sign(expression, turned), replace(expression, operator=turned), negates=True)
        case Junction(operator=operator, items=items) if is_condition and not is_between(expression):
            other: Any = "or" if operator == "and" else "and"
            yield to("operator", f" {other} ".join(map(_shown, items)), replace(expression, operator=other))
            for number, item in enumerate(items):
                rest = (*items[:number], *items[number + 1 :])
                left_over = rest[0] if len(rest) == 1 else replace(expression, items=rest)
                yield replace(_left_out(item), expression=left_over)
        case Not(operand=operand) if is_condition:
            yield to("operator", f"not ({_shown(expression)})", operand, negates=True)
        case Constant(value=value) if within.compared:
            for near, after in _beside(value, expression.span.text):
                yield to("number", after, replace(expression, value=near))
        case Arithmetic(operator="+" | "-" as operator):
            swapped: Any = "-" if operator == "+" else "+"
            yield to("operator", _with_sign(expression, swapped), replace(expression, operator=swapped))
        case Aggregate():
            if expression.where is not None:
                yield replace(_left_out(expression.where, "where "), expression=replace(expression, where=None))
            if within.windows and expression.window is not None:
                for window, text in _windows_beside(expression.window):
                    yield to("window", f"during {text}", replace(expression, window=window))
        case Ranking():
            yield to("order", "the best for the worst", replace(expression, lowest=not expression.lowest))
        case ScoreLine(points=points, when=when):
            change = replace(expression, points=points * 0)
            yield _Change("number", when.span, f"{points} when {_shown(when)}", "", change)
        case _ if is_condition and not isinstance(expression, Constant | Junction | Not | Conditional):
            if isinstance(expression, LadderIs) and expression.at_least:
                exact = replace(expression, at_least=False, values=(expression.value,))
                yield to("operator", f'{expression.ladder} is exactly "{expression.value}"', exact)
            yield to("operator", f"not ({_shown(expression)})", _negated(expression), negates=True)
    if isinstance(expression, MetricValue) and within.windows:
        yield from _other_windows(expression, within.ruleset)


def _with_sign(expression: Comparison | Arithmetic, sign: str) -> str:
    """Its text with another operator between the sides."""
    left, right = expression.left.span, expression.right.span
    between = expression.span.source.text[left.end : right.start]
    signs = list(_SIGN.finditer(between))
    if not signs or is_turned(left, right):
        return f"{_shown(expression.left)} {sign} {_shown(expression.right)}"
    text = f"{left.text}{between[: signs[-1].start()]}{sign}{between[signs[-1].end() :]}{right.text}"
    return " ".join(text.split())


def is_turned(left: Span, right: Span) -> bool:
    return right.start < left.end


def _negated(expression: Expression) -> Not:
    return Not(type=BOOLEAN, nullable=expression.nullable, operand=expression, span=expression.span)


def _shown(expression: Expression) -> str:
    return " ".join(expression.span.text.split())


def _beside(value: object, text: str) -> Iterator[tuple[Any, str]]:
    """The values one step below and above a number or date, the step being the last digit as it is written."""
    if isinstance(value, bool | str):
        return
    if isinstance(value, date):
        for day in (value - timedelta(1), value + timedelta(1)):
            yield day, str(day)
        return
    if not isinstance(value, int | Decimal):
        return
    match = _NUMBER.match(text.lstrip("-"))
    percent = match is not None and match[2] == "%"
    digits = len(match[1]) if match is not None and match[1] else 0
    step = Decimal(1).scaleb(-digits - (2 if percent else 0))
    for near in (Decimal(value) - step, Decimal(value) + step):
        kept = int(near) if isinstance(value, int) else near
        yield kept, f"{near * 100:f}%".replace(".00%", "%") if percent else f"{near:,f}".replace(",", "_")


# -- windows ---------------------------------------------------------------------------------------------------


def _windows_beside(window: Window) -> Iterator[tuple[Window, str]]:
    match window:
        case Last(count=count, unit=unit, previous=previous):
            which = "previous" if previous else "last"
            for near in (count - 1, count + 1):
                if near > 0:
                    yield replace(window, count=near), f"{which} {near} {unit}{'' if near == 1 else 's'}"
            if previous:
                yield replace(window, previous=False), f"last {count} {unit}{'' if count == 1 else 's'}"
        case Calendar(unit=unit, previous=previous):
            yield replace(window, previous=not previous), f"{'this' if previous else 'previous'} {unit}"
        case Between(first=first, last=last):
            day = timedelta(1)
            yield replace(window, first=first + day), f"{first + day} to {last}"
            yield replace(window, last=last - day), f"{first} to {last - day}"


def _other_windows(expression: MetricValue, ruleset: Ruleset) -> Iterator[_Change]:
    """The metric through windows beside the one that it is seen through, where that is written beside its name."""
    metric = ruleset.metrics[expression.metric]
    window = _window(metric, ruleset) if metric.declared not in (None, metric.name) else None
    if window is None:
        return
    for other, text in _windows_beside(window):
        made: dict[str, Metric] = {}
        name = _through(metric, window, other, ruleset, made)
        after = f"{metric.declared} during {text}"
        change = replace(expression, metric=name)
        yield _Change("window", expression.span, metric.name, after, change, made=tuple(made.values()))


def _window(metric: Metric, ruleset: Ruleset) -> Window | None:
    for part in walk(metric.expression):
        if isinstance(part, Aggregate) and part.window is not None:
            return part.window
        if isinstance(part, MetricValue):
            found = _window(ruleset.metrics[part.metric], ruleset)
            if found is not None:
                return found
    return None


def _through(metric: Metric, window: Window, other: Window, ruleset: Ruleset, made: dict[str, Metric]) -> str:
    """The name of a copy of a metric that looks through another window, and so do those beneath it."""
    name = f"{MADE}{metric.name} {other}"

    def seen(expression: Expression) -> Expression:
        if isinstance(expression, Aggregate) and expression.window == window:
            return replace(expression, window=other)
        if isinstance(expression, MetricValue):
            return replace(
                expression, metric=_through(ruleset.metrics[expression.metric], window, other, ruleset, made)
            )
        return mapped(expression, seen)

    if name not in made:
        expression = seen(metric.expression)
        made[name] = replace(metric, name=name, expression=expression)
    return name


def mapped(expression: Expression, change: Any) -> Expression:
    """An expression with `change` made of each expression directly beneath it."""
    if not any(children(expression)):
        return expression
    changed: dict[str, Any] = {}
    for part in fields(expression):
        value = getattr(expression, part.name)
        if isinstance(value, Typed):
            changed[part.name] = change(value)
        elif isinstance(value, tuple):
            changed[part.name] = tuple(change(item) if isinstance(item, Typed) else item for item in value)
    return replace(expression, **changed)
