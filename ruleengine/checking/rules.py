"""Tags, tiers and classes, and the order in which they can be answered."""

import re
from collections.abc import Iterable
from dataclasses import fields
from datetime import date

from ruleengine.checking import expressions as checked
from ruleengine.checking.context import Context
from ruleengine.checking.remembering import duration, review, statement_hash
from ruleengine.checking.ruleset import Because, Ladder, Level, Limit, ManualTier, Rule, Tag
from ruleengine.checking.scope import near, word
from ruleengine.checking.typing import Typing
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Word
from ruleengine.source import Span
from ruleengine.syntax import nodes
from ruleengine.types import Kind

_HOLE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")
_RULE = Context(place="rule")
MAX_STEPS = 100
"""Layers of answers on answers. Engines take the longer for each the more there are."""


def check_tag(
    statement: nodes.TagStatement, typing: Typing, today: date | None, preferred: tuple[str, ...] = ()
) -> Tag | None:
    when = typing.condition(statement.when, _RULE)
    unless = typing.condition(statement.unless, _RULE) if statement.unless is not None else None
    until = typing.condition(statement.until, _RULE) if statement.until is not None else None
    limit = _limit(statement.limit, typing) if statement.limit is not None else None
    because = _because(statement.because, typing) if statement.because is not None else None
    if unless is not None and statement.unless is not None:
        typing.warn_missing(unless, statement.unless.span, unless=True)
    if statement.review_by is not None and today is not None and statement.review_by.value < today:
        typing.problems.add(
            codes.review_overdue(
                statement.review_by.span,
                Place(statement.name.span, "declared-here"),
                name=f"“{statement.name.value}”",
                date=str(statement.review_by.value),
                owner=statement.owner.value if statement.owner else None,
            )
        )
    for written, made in ((statement.unless, unless), (statement.until, until), (statement.limit, limit)):
        if written is not None and made is None:
            return None
    if when is None:
        return None
    return Tag(
        name=statement.name.value,
        draft=statement.draft,
        when=when,
        unless=unless,
        because=because,
        owner=statement.owner.value if statement.owner else None,
        review_by=statement.review_by.value if statement.review_by else None,
        hash=statement_hash(statement),
        span=statement.span,
        until=until,
        keep_for=duration(statement.keep_for),
        if_unknown_keep=statement.if_unknown_keep,
        limit=limit,
        preferred=preferred,
        formerly=tuple(former.value for former in statement.formerly),
    )


def _limit(node: nodes.Limit, typing: Typing) -> Limit | None:
    value = typing.value(node.value, _RULE)
    if value is None:
        return None
    if not value.type.is_number and value.type.kind is not Kind.DATE:
        problem = codes.not_a_number(node.value.span, operator="limit", type=word(value.type.kind), text=None)
        typing.problems.add(problem)
        return None
    return Limit(count=node.count, value=value, lowest=node.lowest)


def check_ladder(statement: nodes.LadderStatement, typing: Typing, manual: ManualTier | None = None) -> Ladder | None:
    problems = typing.problems
    seen: dict[str, Span] = {}
    named = [level.value for level in statement.levels]
    for value in [*named, *([statement.otherwise] if statement.otherwise is not None else [])]:
        if value.value in seen:
            problems.add(codes.duplicate_name(value.span, Place(seen[value.value], "first-declared"), name=value.value))
        seen.setdefault(value.value, value.span)
        if not value.value.strip():
            problems.add(codes.empty_name(value.span, kind=Word("level")))
    levels = []
    for level in statement.levels:
        when = typing.condition(level.when, _RULE)
        keep_while = typing.condition(level.keep_while, _RULE) if level.keep_while is not None else None
        if when is not None and (level.keep_while is None or keep_while is not None):
            levels.append(
                Level(
                    value=level.value.value,
                    when=when,
                    span=level.span,
                    keep_while=keep_while,
                    formerly=tuple(former.value for former in level.formerly),
                )
            )
    reviewed = review(statement.review, typing.scope, problems)
    if len(levels) < len(statement.levels):
        return None
    return Ladder(
        name=statement.name.text,
        kind=statement.kind,
        draft=statement.draft,
        levels=tuple(levels),
        otherwise=statement.otherwise.value if statement.otherwise is not None else None,
        hash=statement_hash(statement),
        span=statement.span,
        hold=duration(statement.hold),
        grace=duration(statement.grace),
        fall=None if statement.fall == "to earned" else statement.fall,
        review=reviewed,
        manual=manual,
    )


def _because(text: nodes.Text, typing: Typing) -> Because | None:
    """A reason's texts and the values in its holes; `{{` and `}}` are braces."""
    texts, values = [""], []
    start = text.span.start + 1  # behind the opening quote
    position = 0
    sound = True
    for match in _HOLE.finditer(text.value):
        texts[-1] += text.value[position : match.start()]
        position = match.end()
        if match[1] is None:
            texts[-1] += match[0][0]
            continue
        name = match[1].strip()
        hole = Span(text.span.source, start + match.start(1), start + match.end(1))
        known = typing.scope.names()
        if name in typing.scope.events or not (name in known or typing.scope.windowed(name) is not None or "." in name):
            typing.problems.add(codes.unknown_name(hole, name=name, near=near(name, known)))
            sound = False
            continue
        qualifier, _, bare = name.rpartition(".")
        reference = nodes.Reference(hole, nodes.Name(hole, qualifier) if qualifier else None, nodes.Name(hole, bare))
        value = typing.expression(reference, _RULE)
        if value is None:
            sound = False
        else:
            values.append(value)
            texts.append("")
    texts[-1] += text.value[position:]
    return Because(texts=tuple(texts), values=tuple(values)) if sound else None


def references(rule: Rule) -> set[tuple[str, str]]:
    """The rules a rule waits for: ("tag", name) or ("ladder", name)."""
    found = {("tag", name) for name in rule.preferred} if isinstance(rule, Tag) else set()
    for condition in reads(rule):
        for part in checked.walk(condition):
            if isinstance(part, checked.HasTag):
                found.add(("tag", part.tag))
            elif isinstance(part, checked.LadderIs):
                found.add(("ladder", part.ladder))
    return found


def conditions(rule: Rule) -> tuple[checked.Expression, ...]:
    """Every condition of a rule."""
    if isinstance(rule, Tag):
        return tuple(each for each in (rule.when, rule.unless, rule.until) if each is not None)
    return tuple(each for level in rule.levels for each in (level.when, level.keep_while) if each is not None)


def reads(rule: Rule) -> tuple[checked.Expression, ...]:
    """All that decides a rule: its conditions, and what its budget ranks by."""
    return (*conditions(rule), rule.limit.value) if isinstance(rule, Tag) and rule.limit else conditions(rule)


_DECIDING = {"name", "kind", "value", "draft", "when", "unless", "levels", "otherwise"}
_SAYING = {"because", "owner", "review_by", "formerly", "hash", "span"}
"""Together what a rule can hold and still be decided by its conditions alone."""


def is_decided(rule: Rule) -> bool:
    """Whether conditions alone decide a rule: no clause that looks at what the customer had before, nor a budget."""
    parts: list[Tag | Ladder | Level] = [rule, *(rule.levels if isinstance(rule, Ladder) else ())]
    return not any(
        getattr(part, each.name) for part in parts for each in fields(part) if each.name not in _DECIDING | _SAYING
    )


def asks_history(rules: Iterable[Rule]) -> tuple[checked.Past, ...]:
    """What rules want to know of published history, each once."""
    parts = (part for rule in rules for expression in reads(rule) for part in checked.walk(expression))
    return tuple(dict.fromkeys(part for part in parts if isinstance(part, checked.Past)))


def order(rules: dict[tuple[str, str], Rule], typing: Typing) -> tuple[Rule, ...]:
    """Every rule after those it refers to; circles, and references of published rules to drafts, are problems."""
    ordered: list[Rule] = []
    done: set[tuple[str, str]] = set()
    path: list[tuple[str, str]] = []
    steps: dict[tuple[str, str], int] = {}
    """Of each rule that is done, how many layers it takes with all it refers to."""

    def visit(key: tuple[str, str]) -> None:
        if key in done:
            return
        if key in path:
            circle = [*path[path.index(key) :], key]
            typing.problems.add(
                codes.rule_cycle(
                    rules[key].span,
                    *(Place(rules[other].span, "refers-here") for other in circle[1:-1]),
                    circle=" → ".join(_spoken(rules[other]) for other in circle),
                )
            )
            return
        rule = rules[key]
        if len(path) > MAX_STEPS:
            steps[key] = MAX_STEPS
            return
        path.append(key)
        for target in sorted(references(rule)):
            if target not in rules:  # it has problems of its own
                continue
            if rules[target].draft and not rule.draft:
                typing.problems.add(
                    codes.draft_reference(
                        rule.span,
                        Place(rules[target].span, "declared-here"),
                        name=_spoken(rule),
                        target=_spoken(rules[target]),
                    )
                )
            visit(target)
        path.pop()
        done.add(key)
        ordered.append(rule)
        below = max((steps.get(target, 0) for target in references(rule)), default=0)
        steps[key] = _steps(rule) + below
        if below <= MAX_STEPS < steps[key]:  # those that wait for this one are not told as well
            typing.problems.add(codes.rule_chain(rule.span, name=_spoken(rule), most=MAX_STEPS))

    for key in rules:
        visit(key)
    return tuple(ordered)


def _steps(rule: Rule) -> int:
    """The layers that a rule's own answer takes (see `sql.answers`)."""
    if isinstance(rule, Tag):
        return 1 if rule.limit is None else 3
    return 1 if rule.kind == "class" else 5


def _spoken(rule: Rule) -> str:
    return f"“{rule.name}”" if isinstance(rule, Tag) else f"{rule.kind} {rule.name}"


def entity_condition(statement: nodes.EntityStatement, typing: Typing) -> checked.Expression | None:
    """Whom of the entity's rows the ruleset is about."""
    if statement.distinct:
        for column in statement.columns:  # Events have many values, of which none is the customer's.
            typing.problems.add(codes.wrong_place(column.span, what=Word("an-attribute"), place="from distinct"))
    if statement.where is None:
        return None
    if statement.distinct:
        typing.problems.add(codes.wrong_place(statement.where.span, what="`where`", place="from distinct"))
        return None
    return typing.condition(statement.where, Context(place="entity"))
