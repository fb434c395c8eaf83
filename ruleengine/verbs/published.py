"""The store of a ruleset, and what it takes to ask for something in it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ruleengine import schema
from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics import codes
from ruleengine.schema import Manifest
from ruleengine.store import store_of
from ruleengine.store.records import GIVEN, Counts, Identity, Key, Kind, Version, VersionKind
from ruleengine.store.refusals import WrongStoreError, no_version
from ruleengine.store.store import Store
from ruleengine.verbs.outcome import NotThereError


@contextmanager
def opened(path: Path, profile: str) -> Iterator[tuple[Manifest, Store]]:
    """The store of a ruleset, whose rules need not be right; WrongStoreError where it keeps another's answers."""
    manifest = schema.load(path)
    store = store_of(manifest.profile(profile))
    try:
        identity = store.identity()
        if identity is not None and identity.ruleset != manifest.name:
            raise WrongStoreError(
                codes.store_of_another(None, what="ruleset", found=identity.ruleset, wanted=manifest.name)
            )
        yield manifest, store
    finally:
        store.close()


def identity_for(ruleset: Ruleset) -> Identity:
    """What a store holds that keeps this ruleset's answers."""
    return Identity(ruleset=ruleset.name, entity=ruleset.entity.name, key_type=str(ruleset.entity.key.type))


def identity_of(store: Store) -> Identity:
    """What the store holds; ProblemError while it holds nothing."""
    identity = store.identity()
    if identity is None:
        raise no_version()
    return identity


def key_of(store: Store, text: str) -> Key:
    """A customer's key as the store has it; ProblemError where no key can be so."""
    if not identity_of(store).has_integer_keys:
        return text
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise NotThereError(codes.customer_not_a_number(None, customer=text))
    return int(text)


def unknown(store: Store, customer: str, key: Key, version: int) -> NotThereError:
    """That a version does not know a customer, or that nothing may be known."""
    if key in store.forgotten():
        return NotThereError(codes.customer_forgotten(None, customer=customer))
    return NotThereError(codes.customer_unknown(None, customer=customer, version=version))


def computed(store: Store, version: Version) -> Version:
    """The version of a run whose answers a version brought back, or changed by hand."""
    while version.kind is not VersionKind.RUN and version.base is not None:
        version = store.version(version.base)
    return version


def ordered(store: Store, version: Version) -> Counts:
    """The counts of a version, with tags, levels and values as the rules list them."""
    report = computed(store, version).report
    order: Any = report.get("order") if isinstance(report, Mapping) else None
    return in_order(version.counts, order) if order else version.counts


def order_of(ruleset: Ruleset) -> dict[str, Any]:
    """Tags, levels and values as the rules list them: what is stored by name has lost it."""
    ladders = [ladder for ladder in ruleset.ladders.values() if not ladder.draft]
    return {
        "tags": [*(tag.name for tag in ruleset.tags.values() if not tag.draft), *ruleset.manual_tags],
        "tiers": {it.name: list(it.values) for it in ladders if it.kind == "tier"},
        "classes": {it.name: list(it.values) for it in ladders if it.kind == "class"},
    }


def in_order(counts: Counts, order: Mapping[str, Any]) -> Counts:
    """The counts, listed as in an `order`: {"tags": [name], "tiers": {name: [level]}, "classes": {name: [value]}}."""
    return replace(
        counts,
        tags=_listed(counts.tags, order["tags"]),
        tiers=_ladders(counts.tiers, order["tiers"]),
        classes=_ladders(counts.classes, order["classes"]),
    )


def sizes(counts: Counts) -> Mapping[tuple[Kind, str], Mapping[str, int]]:
    """By tag, tier and class the customers of each value; that of a tag is GIVEN."""
    found: dict[tuple[Kind, str], Mapping[str, int]] = {("tag", name): {GIVEN: n} for name, n in counts.tags.items()}
    found |= {("tier", name): levels for name, levels in counts.tiers.items()}
    found |= {("class", name): values for name, values in counts.classes.items()}
    return found


def _listed(sizes: Mapping[str, int], names: Sequence[str]) -> Mapping[str, int]:
    return {name: sizes.get(name, 0) for name in [*names, *(name for name in sizes if name not in names)]}


def _ladders(
    ladders: Mapping[str, Mapping[str, int]], order: Mapping[str, Sequence[str]]
) -> Mapping[str, Mapping[str, int]]:
    names = [*order, *(name for name in ladders if name not in order)]
    return {name: _listed(ladders.get(name, {}), order.get(name, ())) for name in names}
