"""Tags, and levels of tiers, that people set: what then changes for that customer, at once."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from ruleengine import settings
from ruleengine.checking.ruleset import Ladder, ManualTag, Ruleset, Tag
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Word
from ruleengine.interpreter import Facts, Outcome, evaluate
from ruleengine.planning.layout import LadderSlot, TagSlot
from ruleengine.planning.plan import plan
from ruleengine.planning.recall import recalled
from ruleengine.planning.reviews import later
from ruleengine.schema import Manifest
from ruleengine.store.canonical import plain
from ruleengine.store.records import (
    GIVEN,
    Change,
    Json,
    Key,
    Kind,
    ManualWrite,
    Remembered,
    Setting,
    StoredValues,
    Version,
)
from ruleengine.store.refusals import NotKeptError, RefusedError, no_version
from ruleengine.store.store import Store
from ruleengine.verbs import published
from ruleengine.verbs.explain import facts_of, overflows_told, ruleset_of

Settable = Literal["tag", "tier"]

Held = Mapping[tuple[Kind, str], tuple[str, date]]
"""What a customer has, by kind and name: the value (GIVEN of a tag), and since when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHandReport:
    ruleset: str
    customer: Key
    version: int
    as_of: date
    setting: Setting | None
    """What is set now; None where it was taken away."""
    changes: tuple[Change, ...]
    """All that changed for the customer, what was set among it."""


def tag(
    path: Path,
    profile: str,
    customer: str,
    name: str,
    *,
    level: str | None = None,
    expires: date | None = None,
    reason: str,
    actor: str | None = None,
) -> ByHandReport:
    """Set a manual tag, or the level of a tier that people may set, and evaluate the customer again.

    Without `expires` it lasts as long as the rules say, counted from the current version's as-of. ProblemError where
    there is no such customer, tag or level, or where a run is at work.
    """
    return _write(path, profile, customer, name, level=level, sets=True, expires=expires, reason=reason, actor=actor)


def untag(path: Path, profile: str, customer: str, name: str, *, reason: str, actor: str | None = None) -> ByHandReport:
    """Take away what was set, and evaluate the customer again."""
    return _write(path, profile, customer, name, level=None, sets=False, expires=None, reason=reason, actor=actor)


def _write(
    path: Path,
    profile: str,
    customer: str,
    name: str,
    *,
    level: str | None,
    sets: bool,
    expires: date | None,
    reason: str,
    actor: str | None,
) -> ByHandReport:
    who = settings.actor(actor)
    with published.opened(path, profile) as (manifest, store):
        return write_in(
            store, manifest, customer, name, level=level, sets=sets, expires=expires, reason=reason, actor=who
        )


def write_in(
    store: Store,
    manifest: Manifest,
    customer: str,
    name: str,
    *,
    kind: Settable | None = None,
    level: str | None,
    sets: bool,
    expires: date | None,
    reason: str,
    actor: str,
    check: Callable[[Version], None] = lambda current: None,
) -> ByHandReport:
    """As `tag` and `untag`, in a store that is open, and, where a kind is named, only of that one. `check` may refuse
    the version that is current."""
    key = published.key_of(store, customer)
    with store.writer(actor, published.identity_of(store)) as writer:
        current = store.current()
        if current is None:
            raise no_version()
        check(current)
        ruleset = ruleset_of(manifest, store, current)
        target = _target(ruleset, name, level, sets=sets, kind=kind)
        now = _held(store, key, current)
        if now is None:
            raise published.unknown(store, customer, key, current.number)
        before = store.manual(key)
        if not sets and _setting(before, target) is None:
            raise RefusedError(codes.not_set_by_hand(None, name=name, customer=customer))
        value = None if not sets else GIVEN if isinstance(target, ManualTag) else level
        declared = target if isinstance(target, ManualTag) else target.manual
        if sets and expires is None and declared is not None and declared.expires_after is not None:
            expires = later(current.as_of, declared.expires_after)
        if expires is not None and expires <= current.as_of:
            raise RefusedError(codes.expires_too_early(None, expires=str(expires), as_of=str(current.as_of)))
        then = [each for each in before if each is not _setting(before, target)]
        then.extend(_wanted(target, value, current.as_of, actor))
        made = _Evaluated.of(store, ruleset, current, key, now, then)
        version = writer.set_manual(
            ManualWrite(
                customer=key,
                kind=target.kind if isinstance(target, ManualTag) else "tier",
                name=target.name,
                value=value,
                expires_on=expires,
                changes=tuple(made.changes()),
                memory=tuple(made.memory()),
                report={},
                reason=reason,
            )
        )
    return ByHandReport(
        ruleset=manifest.name,
        customer=key,
        version=version.number,
        as_of=version.as_of,
        setting=_setting(store.manual(key), target),
        changes=tuple(made.changes()),
    )


def _target(
    ruleset: Ruleset, name: str, level: str | None, *, sets: bool, kind: Settable | None = None
) -> ManualTag | Ladder:
    """The manual tag of a name, or the tier whose level may be set; says why there is none."""
    if kind != "tier" and (tag := ruleset.manual_tags.get(name)) is not None:
        if level is not None:
            raise RefusedError(codes.tag_without_level(None, name=name))
        return tag
    tier = ruleset.ladders.get(name)
    if kind != "tag" and tier is not None and tier.manual is not None:
        if sets and level is None:
            raise RefusedError(codes.level_missing(None, name=name, known=_listed(tier.values)))
        if level is not None and level not in tier.values:
            raise RefusedError(
                codes.level_unknown(
                    None, name=name, level=level, near=near(level, tier.values), known=_listed(tier.values)
                )
            )
        return tier
    tiers = [each.name for each in ruleset.ladders.values() if each.manual is not None]
    known = [*ruleset.manual_tags, *tiers]
    is_rule = name in ruleset.tags or name in ruleset.ladders
    spoken = None if not is_rule else Word("tag") if name in ruleset.tags else Word(ruleset.ladders[name].kind)
    close = near(name, known)
    new = None if is_rule or close else name
    raise RefusedError(
        codes.not_by_hand(None, name=name, kind=spoken, near=close, known=_listed(known) or None, new=new)
    )


def _listed(names: Any) -> str:
    return ", ".join(f"“{name}”" for name in names)


def _setting(settings: Any, target: ManualTag | Ladder) -> Setting | None:
    names = (target.name, *target.formerly) if isinstance(target, ManualTag) else (target.name,)
    return next((each for each in settings if each.kind == target.kind and each.name in names), None)


def _wanted(target: ManualTag | Ladder, value: str | None, day: date, actor: str) -> Iterator[Setting]:
    """What will be set, as far as an evaluation cares."""
    if value is not None:
        kind: Any = target.kind
        yield Setting(
            kind=kind, name=target.name, value=value, as_of=day, expires_on=None, version=0, actor=actor, reason=None
        )


def _held(store: Store, key: Key, version: Version | None) -> Held | None:
    """None: the version does not know the customer."""
    document = store.customer(key, version.number).document if version is not None else None
    if document is None:
        return None
    found: dict[str, Any] = json.loads(document)
    held: dict[tuple[Kind, str], tuple[str, date]] = {
        ("tag", each["name"]): (GIVEN, date.fromisoformat(each["since"])) for each in found["tags"]
    }
    for name, each in found["tiers"].items():
        held["tier", name] = (each["level"], date.fromisoformat(each["since"]))
    for name, each in found["classes"].items():
        held["class", name] = (each["value"], date.fromisoformat(each["since"]))
    return held


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evaluated:
    """A customer evaluated again, beside what the current version says of him."""

    ruleset: Ruleset
    current: Version
    key: Key
    values: StoredValues
    outcome: Outcome
    now: Held
    before: Held
    """In the version of the day before, on which what is held since when depends."""

    @classmethod
    def of(
        cls, store: Store, ruleset: Ruleset, current: Version, key: Key, now: Held, settings: list[Setting]
    ) -> "_Evaluated":
        values = store.values(key)
        if values is None:
            raise NotKeptError(codes.values_not_kept(None, version=current.number))
        # Budgets are spent anew by the next run: until then a tag with one goes to nobody else.
        budgets = frozenset(name for kind, name in now if kind == "tag")
        facts: Facts = replace(facts_of(ruleset, values, current.as_of, settings), budgets=budgets)
        previous = store.in_force(current.as_of - timedelta(days=1))
        with overflows_told(ruleset):
            outcome = evaluate(ruleset, facts, current.as_of)
        return cls(
            ruleset=ruleset,
            current=current,
            key=key,
            values={**values, **_labelled(ruleset, current.as_of, facts)},
            outcome=outcome,
            now=now,
            before=_held(store, key, previous) or {},
        )

    def _after(self) -> dict[tuple[Kind, str], str]:
        held: dict[tuple[Kind, str], str] = {}
        for tag, given in self.outcome.tags.items():
            if given and (tag in self.ruleset.manual_tags or not self.ruleset.tags[tag].draft):
                held["tag", tag] = GIVEN
        for name, value in self.outcome.ladders.items():
            ladder = self.ruleset.ladders[name]
            if value is not None and not ladder.draft:
                held[ladder.kind, name] = value
        return held

    def _since(self, kind: Kind, name: str, value: str) -> date:
        rule = (self.ruleset.tags.get(name) or self.ruleset.manual_tags.get(name)) if kind == "tag" else None
        names = (name, *rule.formerly) if rule is not None else (name,)
        formers: Mapping[str, str] = {} if kind == "tag" else self.ruleset.ladders[name].formerly
        for each in names:
            had = self.before.get((kind, each))
            if had is not None and formers.get(had[0], had[0]) == value:
                return had[1]
        return self.current.as_of

    def changes(self) -> Iterator[Change]:
        layout = plan(self.ruleset, self.current.as_of).layout
        slots: dict[tuple[Kind, str], TagSlot | LadderSlot] = {("tag", slot.name): slot for slot in layout.tags}
        slots |= {(slot.kind, slot.name): slot for slot in layout.ladders}
        labels = {column.column: column.name for column in layout.values}
        after = self._after()
        for kind, name in sorted({*self.now, *after}):
            old, new = self.now.get((kind, name), (None, None))[0], after.get((kind, name))
            if old == new:
                continue
            slot = slots.get((kind, name))
            evidence: dict[str, Json] | None = None
            if slot is not None:
                evidence = {labels[column]: plain(self.values.get(labels[column])) for column in slot.reads}
            yield Change(
                customer=self.key,
                kind=kind,
                name=name,
                old=old,
                new=new,
                since=self._since(kind, name, new) if new is not None else None,
                rule_hash=slot.rule_hash if slot is not None else None,
                evidence=evidence,
            )

    def memory(self) -> Iterator[Remembered]:
        """What the next run has to remember beside what is published."""
        after = self._after()
        for tag in self.ruleset.tags.values():
            decision = self.outcome.decisions.get(tag.name)
            if _remembers(tag) and decision and ("tag", tag.name) in after and decision.matches is not True:
                yield Remembered(kind="tag", name=tag.name, matched=decision.last_match)
        for tier in self.ruleset.ladders.values():
            if not tier.remembers or tier.draft:
                continue
            standing = self.outcome.standings[tier.name].now
            value = after.get(("tier", tier.name))
            since = self._since("tier", tier.name, value) if value is not None else None
            if standing.level != value or standing.reached != since or standing.below is not None:
                yield Remembered(
                    kind="tier", name=tier.name, level=standing.level, reached=standing.reached, below=standing.below
                )


def _remembers(tag: Tag) -> bool:
    return tag.remembers and not tag.draft


def _labelled(ruleset: Ruleset, day: date, facts: Facts) -> dict[str, bool | str | None]:
    """What is set by hand, as it stands among the values that rules read."""
    memory = facts.memory
    return {
        part.labels[0]: part.name in memory.manual_tags if part.kind == "tag" else memory.manual_tiers.get(part.name)
        for part in recalled(ruleset, day, lambda name: name).manual
    }
