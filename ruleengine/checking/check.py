"""The checker: rule files in, one ruleset and every problem out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from ruleengine.checking.context import Context
from ruleengine.checking.examples import check_examples
from ruleengine.checking.expressions import Attribute, MetricValue
from ruleengine.checking.guards import check_guards
from ruleengine.checking.parameters import check_parameters, override
from ruleengine.checking.remembering import check_former_names, manual_tags, manual_tiers, preferences
from ruleengine.checking.rules import check_ladder, check_tag, entity_condition, order
from ruleengine.checking.ruleset import Entity, Ladder, Parameter, Rule, Ruleset, Tag, ruleset_hash
from ruleengine.checking.scope import Scope, declare, near
from ruleengine.checking.typing import Typing
from ruleengine.checking.uses import Reader, follow, is_used, nothing_else, replaced, standing
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, Problems, Word
from ruleengine.source import Source, Span
from ruleengine.syntax.nodes import CheckStatement, ExampleStatement, Name, Reference, TagStatement

MEASURE = "--metric"
"""Where problems of the measure are."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What the checker found: the ruleset, unless there are errors, and all problems in the order of places."""

    ruleset: Ruleset | None
    problems: tuple[Problem, ...]
    measure: MetricValue | Attribute | None = None
    """The number that was asked for beside what rules read."""


def check(
    files: Sequence[Source],
    name: str,
    timezone: str,
    *,
    overrides: Mapping[str, str] | None = None,
    today: date | None = None,
    read: Reader = nothing_else,
    measure: str | None = None,
) -> Checked:
    """Check the rule files of one ruleset together, and those that they use.

    `overrides` are the texts of `--set`; with `today`, rules past their `review by` are warned of; `read` finds a file
    that is used, is not shipped and is not among the given ones. `measure` names a metric or attribute that is a
    number, as a rule would: `monetary_12m`.
    """
    problems = Problems()
    uses = follow(files, read, problems)
    trees = standing(uses.files)
    for each in uses.parsed:
        problems.extend(each.problems)
    # What a broken statement declares is not known, so names would seem unknown that are not.
    broken = problems.has_errors
    found = Problems()
    scope = declare(trees, found)
    parameters = check_parameters(scope, found)
    for parameter, text in (overrides or {}).items():
        _override(parameters, parameter, text, scope, found)
    typing = Typing(scope, parameters, found)
    entity = _entity(scope, typing, broken)
    for metric in scope.metrics:
        typing.book.instance(metric, None, "")
    measured = _measure(measure, typing) if measure is not None and not broken else None
    rules: dict[tuple[str, str], Rule] = {}
    check_former_names(scope, found)
    preferred, by_hand = preferences(scope, found), manual_tiers(scope, found)
    for tag_statement in scope.tags.values():
        tag = check_tag(tag_statement, typing, today, preferred.get(tag_statement.name.value, ()))
        if tag is not None:
            rules["tag", tag.name] = tag
    for ladder_statement in scope.ladders.values():
        ladder = check_ladder(ladder_statement, typing, by_hand.get(ladder_statement.name.text))
        if ladder is not None:
            rules["ladder", ladder.name] = ladder
    for repeated in scope.repeated:
        if isinstance(repeated, TagStatement):
            check_tag(repeated, typing, today)
        else:
            check_ladder(repeated, typing)
    statements: list[object] = [statement for tree in trees for statement in tree.statements]
    checks = check_guards((each for each in statements if isinstance(each, CheckStatement)), typing)
    ordered = order(rules, typing)
    sound = not broken and not found.has_errors
    examples = check_examples(
        [each for each in statements if isinstance(each, ExampleStatement)],
        rules,
        typing,
        timezone,
        replaced=check_parameters(replace(scope, parameters=dict(replaced(uses.files))), found),
        sound=sound,
    )
    if not broken and not found.has_errors:
        _warn_unused(scope, typing)
    silenced = {"unknown-name", "unknown-events", "unknown-tag", "unknown-ladder", "no-entity"} if broken else set()
    problems.extend(problem for problem in found if problem.code.name not in silenced)
    if not files or (not broken and not any(tree.statements for tree in trees)):
        problems = Problems([codes.no_rules(None)])
    problems = Problems(uses.told(problem) for problem in problems)
    if problems.has_errors or entity is None:
        return Checked(None, tuple(problems))
    ruleset = Ruleset(
        name=name,
        timezone=timezone,
        entity=entity,
        events=scope.events,
        parameters=parameters,
        metrics=typing.book.instances,
        tags={rule.name: rule for rule in rules.values() if isinstance(rule, Tag)},
        manual_tags=manual_tags(scope),
        ladders={rule.name: rule for rule in rules.values() if isinstance(rule, Ladder)},
        order=ordered,
        sources=uses.sources,
        hash=ruleset_hash(name, timezone, {source.path: source.text for source in uses.sources}),
        uses=uses.brought,
        examples=examples,
        checks=checks,
    )
    return Checked(ruleset, tuple(problems), measured)


def _measure(name: str, typing: Typing) -> MetricValue | Attribute | None:
    span = Span(Source(MEASURE, name), 0, len(name))
    made = typing.expression(Reference(span, None, Name(span, name)), Context(place="rule"))
    if isinstance(made, MetricValue | Attribute) and made.type.is_number:
        return made
    if made is not None:
        typing.problems.add(codes.not_measurable(span, name=name))
    return None


def _entity(scope: Scope, typing: Typing, broken: bool) -> Entity | None:
    if scope.entity is None or scope.entity_statement is None:
        if not broken:
            typing.problems.add(codes.no_entity(None))
        return None
    where = entity_condition(scope.entity_statement, typing)
    return replace(scope.entity, where=where)


def _override(parameters: dict[str, Parameter], name: str, text: str, scope: Scope, problems: Problems) -> None:
    declared = scope.parameter(name)
    if declared is None:
        problems.add(codes.unknown_parameter(None, name=name, near=near(name, scope.parameters)))
        return
    if declared not in parameters:
        return
    changed = override(parameters[declared], text)
    if changed is None:
        wanted = Word("text" if parameters[declared].type.kind == "text" else "value")
        problems.add(codes.wrong_parameter_value(None, name=name, value=text, type=wanted))
        return
    parameters[declared] = changed


def _warn_unused(scope: Scope, typing: Typing) -> None:
    """Warn of metrics and parameters of the ruleset's own that no rule reads, directly or through a metric."""
    used = set(typing.used)
    for kind, names in (("metric", scope.metrics), ("parameter", scope.parameters)):
        for name, statement in names.items():
            span: Span = statement.name.span
            if name not in used and not is_used(span.source):
                typing.problems.add(codes.unused(span, kind=Word(kind), name=name))
