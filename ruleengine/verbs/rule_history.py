"""Who changed a rule: the versions in which it came to mean something else."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

from ruleengine.diagnostics import codes
from ruleengine.schema import Manifest
from ruleengine.store.records import Version, VersionKind
from ruleengine.store.refusals import NotThereError, no_version
from ruleengine.store.store import Store
from ruleengine.verbs import published
from ruleengine.verbs.explain import ruleset_of
from ruleengine.verbs.opening import Opened
from ruleengine.verbs.rule_changes import StatementChange, rule_changes, value_changes


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVersion:
    """A version with whose rules a rule changed."""

    version: int
    kind: VersionKind
    as_of: date
    created_at: datetime
    begun_by: str | None
    """Who began its run."""
    actor: str
    """Who published it."""
    reason: str | None
    git_commit: str | None
    git_author: str | None
    """Of the commit that the rules lay in."""
    changes: tuple[StatementChange, ...]
    """The rule itself, and what it builds on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHistory:
    """The versions that changed a rule."""

    ruleset: str
    rule: str
    entries: tuple[RuleVersion, ...]
    """Oldest first."""


def rule_history(path: Path, profile: str, rule: str) -> RuleHistory:
    """Every version that was ever current in which a statement of this name, or what it builds on, was not what it was
    in the version before; NotThereError where none has it. A name that it had before it was renamed is followed."""
    with published.opened(path, profile) as (manifest, store):
        versions = [version for version in store.versions() if not version.detached]
        if not versions:
            raise no_version()
        rules = _Rules(manifest, store)
        entries = tuple(_entries(rules, versions, rule))
        if not entries:
            known = sorted({change.name for change in rule_changes(None, rules.of(versions[-1]))})
            near = difflib.get_close_matches(rule, known, n=1)
            raise NotThereError(
                codes.rule_unknown(
                    None,
                    name=rule,
                    version=versions[-1].number,
                    near=near[0] if near else None,
                    known=", ".join(known) or None,
                )
            )
        return RuleHistory(ruleset=manifest.name, rule=rule, entries=entries[::-1])


class _Rules:
    """The rules of versions, each checked once."""

    def __init__(self, manifest: Manifest, store: Store) -> None:
        self._manifest = manifest
        self._store = store
        self._known: dict[int, Opened] = {}

    def of(self, version: Version) -> Opened:
        computed = published.computed(self._store, version)
        if computed.number not in self._known:
            manifest = replace(self._manifest, timezone=computed.timezone or self._manifest.timezone)
            ruleset = ruleset_of(manifest, self._store, computed)
            self._known[computed.number] = Opened(manifest, ruleset, (), None)
        return self._known[computed.number]


def _entries(rules: _Rules, versions: Sequence[Version], name: str) -> Iterator[RuleVersion]:
    """The latest first."""
    for before, version in reversed(list(pairwise([None, *versions]))):
        assert version is not None
        found = tuple(_changes(rules, before, version, name))
        if not found:
            continue
        yield RuleVersion(
            version=version.number,
            kind=version.kind,
            as_of=version.as_of,
            created_at=version.created_at,
            begun_by=version.begun_by,
            actor=version.actor,
            reason=version.reason,
            git_commit=version.git_commit,
            git_author=version.git_author,
            changes=found,
        )
        name = next((each.formerly for each in found if each.name == name and each.formerly is not None), name)


def _changes(rules: _Rules, before: Version | None, version: Version, name: str) -> Iterator[StatementChange]:
    if before is None:
        yield from (change for change in rule_changes(None, rules.of(version)) if change.name == name)
        return
    found: list[StatementChange] = []
    if before.ruleset_hash != version.ruleset_hash:
        found += rule_changes(rules.of(before), rules.of(version))
    if before.parameters != version.parameters:
        said = {change.name for change in found if change.kind == "parameter"}
        values = value_changes(rules.of(version), before.parameters, version.parameters)
        found += [change for change in values if change.name not in said]
    for change in found:
        if name in (change.name, change.formerly, *(each.name for each in change.reaches)):
            yield change
