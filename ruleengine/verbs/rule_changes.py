"""How the rules of one ruleset differ from those of another, and which answers that reaches."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ruleengine.checking.differences import Difference, Part, compare
from ruleengine.checking.reach import Givens, Reach
from ruleengine.checking.ruleset import Rule, Ruleset
from ruleengine.checking.uses import standing
from ruleengine.planning.layout import Layout
from ruleengine.schema import MANIFEST
from ruleengine.store import canonical
from ruleengine.store.records import Counts, Json
from ruleengine.syntax.parse import parse
from ruleengine.verbs import opening
from ruleengine.verbs.opening import Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleReached:
    kind: Literal["tag", "tier", "class"]
    name: str


_Readers = Mapping[tuple[str, str], tuple[RuleReached, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementChange:
    """A statement that is not the same in both rulesets."""

    kind: str
    """`metric`, `parameter`, `tag`, `tier`, `class`, `check` and so on; `ruleset` for what ruleset.toml says."""
    name: str
    change: Literal["added", "removed", "changed", "renamed"]
    formerly: str | None
    """The name that it had, where it was renamed."""
    parts: tuple[Part, ...]
    """Its clauses that differ, as written on both sides."""
    reaches: tuple[RuleReached, ...]
    """Tags, tiers and classes that are decided by it; without the one that it declares itself."""
    file: str
    line: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesetDiff:
    a: str
    b: str
    changes: tuple[StatementChange, ...]


def diff_rulesets(a: Path, b: Path) -> RulesetDiff:
    """What ruleset `b` says otherwise than `a`; ProblemError where either has errors."""
    return RulesetDiff(a=str(a), b=str(b), changes=rule_changes(opening.opened(a), opening.opened(b)))


def rule_changes(old: Opened | None, new: Opened) -> tuple[StatementChange, ...]:
    """What the new rules say otherwise, in their order, then what is gone."""
    after = _readers(new.ruleset)
    before = after if old is None else _readers(old.ruleset)
    found = [_change(each, before if each.new is None else after, old or new, new) for each in _differences(old, new)]
    if old is not None and old.manifest.timezone != new.manifest.timezone:
        part = Part(clause="timezone", old=old.manifest.timezone, new=new.manifest.timezone)
        found.insert(0, _of_manifest(new, part))
    return tuple(found)


def value_changes(new: Opened, before: Mapping[str, Json], after: Mapping[str, Json]) -> tuple[StatementChange, ...]:
    """Parameters of the new rules that had another value in force before."""
    readers = _readers(new.ruleset)
    differing = [name for name, value in after.items() if name in before and before[name] != value]
    return tuple(
        StatementChange(
            kind="parameter",
            name=name,
            change="changed",
            formerly=None,
            parts=(Part(clause="in force", old=canonical.dump(before[name]), new=canonical.dump(after[name])),),
            reaches=readers.get(("parameter", name), ()),
            file=opening.found_at(parameter.span.source.path, new.manifest.directory),
            line=parameter.span.source.position(parameter.span.start)[0],
        )
        for name in differing
        if (parameter := new.ruleset.parameters.get(name)) is not None
    )


def with_former_names(layout: Layout, counts: Counts, changes: tuple[StatementChange, ...]) -> tuple[Layout, Counts]:
    """Answers by the new names of what was renamed."""
    names = {(change.kind, change.formerly): change.name for change in changes if change.formerly is not None}

    def now(kind: str, name: str) -> str:
        return names.get((kind, name), name)

    return (
        replace(
            layout,
            tags=tuple(replace(tag, name=now("tag", tag.name)) for tag in layout.tags),
            ladders=tuple(replace(each, name=now(each.kind, each.name)) for each in layout.ladders),
        ),
        replace(
            counts,
            tags={now("tag", name): size for name, size in counts.tags.items()},
            tiers={now("tier", name): sizes for name, sizes in counts.tiers.items()},
            classes={now("class", name): sizes for name, sizes in counts.classes.items()},
        ),
    )


def _differences(old: Opened | None, new: Opened) -> tuple[Difference, ...]:
    before, after = (
        standing([parse(source).file for source in each.ruleset.sources] if each else []) for each in (old, new)
    )
    return compare(before, after)


def _change(
    found: Difference, readers: Mapping[tuple[str, str], tuple[RuleReached, ...]], old: Opened, new: Opened
) -> StatementChange:
    key = found.new or found.old
    assert key is not None
    directory = (new if found.new else old).manifest.directory
    span = found.statement.span
    return StatementChange(
        kind=key[0],
        name=key[1],
        change=found.change,
        formerly=found.old[1] if found.change == "renamed" and found.old else None,
        parts=found.parts,
        reaches=readers.get(key, ()),
        file=opening.found_at(span.source.path, directory),
        line=span.source.position(span.start)[0],
    )


def _of_manifest(new: Opened, part: Part) -> StatementChange:
    rules: tuple[Rule, ...] = (*new.ruleset.tags.values(), *new.ruleset.ladders.values())
    return StatementChange(
        kind="ruleset",
        name=new.manifest.name,
        change="changed",
        formerly=None,
        parts=(part,),
        reaches=tuple(RuleReached(kind=rule.kind, name=rule.name) for rule in rules),
        file=str(new.manifest.directory / MANIFEST),
        line=None,
    )


def _readers(ruleset: Ruleset) -> _Readers:
    """By metric, parameter, events, tag, tier and class: the other rules that are decided by it."""
    rules: dict[tuple[str, str], Rule] = {("tag", name): tag for name, tag in ruleset.tags.items()}
    rules |= {("ladder", name): ladder for name, ladder in ruleset.ladders.items()}
    found: dict[tuple[str, str], list[RuleReached]] = {}
    for key, rule in rules.items():
        reach = Reach(Givens(), rules, ruleset.metrics, ruleset.parameters)
        reach.follow([key])
        keys = {("metric", ruleset.metrics[name].declared or "") for name in reach.metrics}
        keys |= {("parameter", name) for name in reach.parameters}
        keys |= {("events", name) for name in reach.events}
        keys |= {(rules[other].kind, rules[other].name) for other in reach.rules - {key}}
        keys.add(("entity", ruleset.entity.name))
        for each in keys:
            found.setdefault(each, []).append(RuleReached(kind=rule.kind, name=rule.name))
    return {key: tuple(reached) for key, reached in found.items()}
