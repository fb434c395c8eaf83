"""What reaches beyond one rule and one run: tags and levels that people set, groups of tags, former names."""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from ruleengine.checking.references import known_ladder, unknown_tag
from ruleengine.checking.ruleset import Duration, ManualTag, ManualTier, Review
from ruleengine.checking.scope import Scope, near, word
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Problems, Word
from ruleengine.syntax import nodes
from ruleengine.syntax.format import format_statement
from ruleengine.types import Kind

_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def statement_hash(statement: nodes.Statement) -> str:
    """SHA-256 (hex) of a statement's canonical text."""
    return sha256(format_statement(statement).encode()).hexdigest()


def duration(node: nodes.Duration | None) -> Duration | None:
    match node:
        case None:
            return None
        case nodes.Duration(unit="day" | "week"):
            return Duration(node.count * (7 if node.unit == "week" else 1), "day")
        case _:
            return Duration(node.count * _MONTHS[node.unit], "month")


def manual_tags(scope: Scope) -> dict[str, ManualTag]:
    return {
        name: ManualTag(
            name=name,
            formerly=tuple(former.value for former in statement.formerly),
            expires_after=duration(statement.expires_after),
            hash=statement_hash(statement),
            span=statement.span,
        )
        for name, statement in scope.manual_tags.items()
    }


def manual_tiers(scope: Scope, problems: Problems) -> dict[str, ManualTier]:
    """By the tier's name."""
    found = {}
    for name, statement in scope.manual_tiers.items():
        ladder = known_ladder(scope, problems, "tier", statement.tier)
        if ladder is None:
            continue
        if ladder.draft:
            place = Place(ladder.name.span, "declared-here")
            problems.add(codes.wrong_place(statement.tier.span, place, what=Word("a-draft"), place="manual tier"))
            continue
        found[name] = ManualTier(
            expires_after=duration(statement.expires_after), hash=statement_hash(statement), span=statement.span
        )
    return found


def preferences(scope: Scope, problems: Problems) -> dict[str, tuple[str, ...]]:
    """Rule tags in `at most one of` → whoever has one of these tags is not given it: manual ones, then earlier ones."""
    found: dict[str, dict[str, None]] = {}
    for group in scope.groups:
        seen: dict[str, nodes.Text] = {}
        for tag in group.tags:
            if tag.value in seen:
                place = Place(seen[tag.value].span, "first-listed")
                problems.add(codes.listed_twice(tag.span, place, name=tag.value))
            elif tag.value not in scope.tags and tag.value not in scope.manual_tags:
                problems.add(unknown_tag(scope, tag))
            else:
                seen[tag.value] = tag
        before = [name for name in seen if name in scope.manual_tags]
        for name in seen:
            if name not in scope.manual_tags:
                found.setdefault(name, {}).update(dict.fromkeys(before))
                before.append(name)
    return {name: tuple(others) for name, others in found.items()}


def check_former_names(scope: Scope, problems: Problems) -> None:
    """A former name belongs to one thing, and is no longer in use."""
    tags: list[nodes.TagStatement | nodes.ManualTagStatement]
    tags = [*scope.tags.values(), *scope.manual_tags.values()]
    _check_formers({tag.name.value: tag.name for tag in tags}, (tag.formerly for tag in tags), problems)
    for ladder in scope.ladders.values():
        values = [level.value for level in ladder.levels] + ([ladder.otherwise] if ladder.otherwise else [])
        named = {value.value: value for value in values}
        _check_formers(named, (level.formerly for level in ladder.levels), problems)


def _check_formers(
    named: Mapping[str, nodes.Text], formers: Iterable[tuple[nodes.Text, ...]], problems: Problems
) -> None:
    taken = dict(named)
    for each in formers:
        for former in each:
            if former.value in taken:
                place = Place(taken[former.value].span, "declared-here" if former.value in named else "first-listed")
                problems.add(codes.former_name_taken(former.span, place, name=former.value))
            taken.setdefault(former.value, former)


def review(node: nodes.Review | None, scope: Scope, problems: Problems) -> Review | None:
    if node is None or node.every == "day":
        return None
    if node.anniversary_of is None:
        return Review(node.every)
    name = node.anniversary_of
    column = scope.attributes.get(name.text)
    if column is None:
        problems.add(codes.unknown_name(name.span, name=name.text, near=near(name.text, scope.attributes)))
    elif column.type.value.kind is not Kind.DATE:
        type = word(column.type.value.kind)
        problems.add(codes.not_a_date(name.span, operator="anniversary of", type=type))
    else:
        return Review("anniversary", column.name)
    return None
