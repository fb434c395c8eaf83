"""Tags, tiers and classes that rules ask for: in the same run, and in published history."""

from typing import TYPE_CHECKING, Literal

from ruleengine.checking import expressions as checked
from ruleengine.checking.context import Context, Made
from ruleengine.checking.scope import Scope, near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Problem, Problems, Word
from ruleengine.syntax import nodes
from ruleengine.types import BOOLEAN

if TYPE_CHECKING:
    from ruleengine.checking.typing import Typing

RuleReference = nodes.HasTag | nodes.LadderIs | nodes.HadTag | nodes.LadderWas


def may_refer(typing: "Typing", node: RuleReference, context: Context) -> bool:
    """Whether tags, tiers and classes can be asked for in this place; says why not."""
    what = Word("a-tag" if isinstance(node, nodes.HasTag | nodes.HadTag) else "a-tier-or-class")
    if context.events is not None:
        typing.problems.add(codes.not_beside_events(node.span, name=node.span.text, what=what))
    elif context.window is not None:
        typing.problems.add(codes.nothing_to_window(node.span, name=node.span.text))
    elif context.place in ("entity", "metric"):
        place = Word("the-entity" if context.place == "entity" else "a-metric")
        typing.problems.add(codes.wrong_place(node.span, what=what, place=place))
    else:
        return True
    return False


def rule_reference(typing: "Typing", node: nodes.HasTag | nodes.LadderIs, context: Context) -> Made:
    scope = typing.scope
    if not may_refer(typing, node, context):
        return None
    if isinstance(node, nodes.HasTag):
        if node.tag.value not in scope.tags and node.tag.value not in scope.manual_tags:
            typing.problems.add(unknown_tag(scope, node.tag))
            return None
        return checked.HasTag(type=BOOLEAN, tag=node.tag.value, span=node.span)
    ladder = known_ladder(scope, typing.problems, node.kind, node.ladder)
    if ladder is None:
        return None
    if node.at_least and ladder.kind == "class":  # whose values have no order
        typing.problems.add(codes.wrong_place(node.span, what="`at least`", place=Word("class")))
        return None
    matching = known_value(ladder, node.value, typing.problems, at_least=node.at_least)
    if matching is None:
        return None
    made = checked.LadderIs(
        type=BOOLEAN,
        ladder=ladder.name.text,
        value=node.value.value,
        at_least=node.at_least,
        values=matching,
        span=node.span,
    )
    return checked.Not(type=BOOLEAN, operand=made, span=node.span) if node.negated else made


def unknown_tag(scope: Scope, tag: nodes.Text) -> Problem:
    """That there is no such tag; its new name, where it was renamed."""
    statements: list[nodes.TagStatement | nodes.ManualTagStatement]
    statements = [*scope.tags.values(), *scope.manual_tags.values()]
    renamed = [it.name.value for it in statements if tag.value in (former.value for former in it.formerly)]
    close = renamed[0] if renamed else near(tag.value, [it.name.value for it in statements])
    return codes.unknown_tag(tag.span, name=tag.value, near=close)


def known_ladder(
    scope: Scope, problems: Problems, kind: Literal["tier", "class"], name: nodes.Name
) -> nodes.LadderStatement | None:
    """The tier or class of a name; says so where there is none."""
    ladder = scope.ladders.get(name.text)
    if ladder is not None and ladder.kind == kind:
        return ladder
    same_kind = [other.name.text for other in scope.ladders.values() if other.kind == kind]
    problems.add(
        codes.unknown_ladder(
            name.span,
            kind=Word(kind),
            name=name.text,
            other=Word(ladder.kind) if ladder else None,
            near=None if ladder else near(name.text, same_kind),
        )
    )
    return None


def known_value(
    ladder: nodes.LadderStatement, value: nodes.Text, problems: Problems, *, at_least: bool = False
) -> tuple[str, ...] | None:
    """A value of a ladder, and with `at_least` those above it; None where it has no such value, and says so."""
    values = [level.value.value for level in ladder.levels]
    if ladder.otherwise is not None:
        values.append(ladder.otherwise.value)
    if value.value in values:
        return tuple(values[: values.index(value.value) + 1]) if at_least else (value.value,)
    problems.add(
        codes.unknown_value(
            value.span,
            Place(ladder.name.span, "declared-here"),
            kind=Word(ladder.kind),
            ladder=ladder.name.text,
            name=value.value,
            near=near(value.value, values),
            known=", ".join(f"“{known}”" for known in values),
        )
    )
    return None


def history(typing: "Typing", node: nodes.HadTag | nodes.LadderWas, context: Context) -> Made:
    """`had tag "A" within 90 days`, `tier loyalty was at least "Gold"`."""
    scope, problems = typing.scope, typing.problems
    if not may_refer(typing, node, context):
        return None
    if isinstance(node, nodes.HadTag):
        name = node.tag.value
        statement = scope.tags.get(name) or scope.manual_tags.get(name)
        if statement is None:
            problems.add(unknown_tag(scope, node.tag))
            return None
        if isinstance(statement, nodes.TagStatement) and statement.draft:
            _never_published(typing, node, statement.name)
            return None
        names = (name, *(former.value for former in statement.formerly))
        return checked.HadTag(
            type=BOOLEAN, nullable=True, tag=name, names=names, within=node.within_days, span=node.span
        )
    ladder = known_ladder(scope, problems, node.kind, node.ladder)
    if ladder is None:
        return None
    if ladder.draft:
        _never_published(typing, node, ladder.name)
        return None
    if node.at_least and ladder.kind == "class":  # whose values have no order
        problems.add(codes.wrong_place(node.span, what="`at least`", place=Word("class")))
        return None
    formers = {level.value.value: [former.value for former in level.formerly] for level in ladder.levels}
    matching = known_value(ladder, node.value, problems, at_least=node.at_least)
    if matching is None:
        return None
    made = checked.LadderWas(
        type=BOOLEAN,
        nullable=True,
        ladder=ladder.name.text,
        kind=ladder.kind,
        value=node.value.value,
        at_least=node.at_least,
        values=tuple(name for value in matching for name in (value, *formers.get(value, ()))),
        within=node.within_days,
        span=node.span,
    )
    return checked.Not(type=BOOLEAN, nullable=True, operand=made, span=node.span) if node.negated else made


def _never_published(typing: "Typing", node: nodes.Node, name: nodes.Name | nodes.Text) -> None:
    place = Place(name.span, "declared-here")
    typing.problems.add(codes.wrong_place(node.span, place, what=Word("a-draft"), place=Word("published-history")))
