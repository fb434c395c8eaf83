"""Any sequence of runs and rollbacks: what is read is what was computed, however it is put together."""

import csv
import json
import tempfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruleengine.store import open_store
from ruleengine.store.records import GIVEN, Key, Version
from ruleengine.store.store import Store
from tests.store import verifier
from tests.store.tables import IDENTITY, Held, Rules, publish

STORES = ("embedded",)

TAGS = ("a", "b", "c", "d")
LEVELS = ("x", "y", "z")
START = date(2026, 1, 1)

Holding = dict[tuple[str, str], tuple[str | None, date]]
"""By kind and name: the value and since when."""

rules = st.builds(
    Rules,
    tags=st.permutations(TAGS).flatmap(lambda tags: st.integers(0, 4).map(lambda n: tuple(tags[:n]))),
    tiers=st.one_of(st.just({}), st.permutations(LEVELS).map(lambda levels: {"t": tuple(levels)})),
    classes=st.one_of(st.just({}), st.permutations(LEVELS).map(lambda levels: {"t": tuple(levels[:2])})),
)


@st.composite
def runs(draw: st.DrawFn) -> tuple[int, Rules, dict[Key, Held]]:
    """A day, rules, and what each customer holds."""
    mine = draw(rules)
    customers: dict[Key, Held] = {}
    for key in draw(st.sets(st.integers(1, 5), max_size=5)):
        ladders = {
            name: draw(st.sampled_from(values))
            for name, values in (*mine.tiers.items(), *mine.classes.items())
            if draw(st.booleans())
        }
        # A tier and a class may share their name: then both have the value, if both know it.
        if "t" in ladders and any(ladders["t"] not in of.get("t", LEVELS) for of in (mine.tiers, mine.classes)):
            del ladders["t"]
        tags = draw(st.sets(st.sampled_from(mine.tags))) if mine.tags else set()
        customers[key] = Held(tags=frozenset(tags), ladders=ladders)
    return draw(st.integers(0, 6)), mine, customers


steps = st.lists(st.one_of(runs(), st.integers(1, 8)), min_size=2, max_size=7)


def expected(
    previous: Mapping[Key, Holding], mine: Rules, customers: Mapping[Key, Held], day: date
) -> dict[Key, Holding]:
    state: dict[Key, Holding] = {}
    for key, what in customers.items():
        holding: Holding = {}
        values = {("tag", tag): None for tag in what.tags} | {
            (kind, name): what.ladders[name]
            for kind, of in (("tier", mine.tiers), ("class", mine.classes))
            for name in of
            if name in what.ladders
        }
        for name, value in values.items():
            before = previous.get(key, {}).get(name)
            holding[name] = (value, before[1] if before and before[0] == value else day)
        state[key] = holding
    return state


def shown(content: bytes | None) -> Holding | None:
    if content is None:
        return None
    document = json.loads(content)
    holding: Holding = {("tag", tag["name"]): (None, date.fromisoformat(tag["since"])) for tag in document["tags"]}
    for kind, group, label in (("tier", "tiers", "level"), ("class", "classes", "value")):
        for name, value in document[group].items():
            holding[kind, name] = (value[label], date.fromisoformat(value["since"]))
    return holding


def check_version(store: Store, version: Version, state: Mapping[Key, Holding], folder: Path) -> None:
    store.export(folder / "x.csv", version=version.number)
    with (folder / "x.csv").open(newline="") as file:
        rows = [tuple(row) for row in csv.reader(file)][1:]
    assert rows == [
        (str(key), kind, name, value or "", since.isoformat(), str(version.number))
        for key, holding in sorted(state.items(), key=lambda item: int(item[0]))
        for (kind, name), (value, since) in sorted(holding.items())
    ]
    for key in range(1, 7):
        assert shown(store.customer(key, version.number).document) == state.get(key)
    assert version.counts.customers == len(state)
    for tag, size in version.counts.tags.items():
        assert size == sum(("tag", tag) in holding for holding in state.values())
    for kind, ladders in (("tier", version.counts.tiers), ("class", version.counts.classes)):
        for name, sizes in ladders.items():
            for value, size in sizes.items():
                assert size == sum(h.get((kind, name), ("", None))[0] == value for h in state.values())


def check_members(store: Store, state: Mapping[Key, Holding]) -> None:
    for kind, name, value in [("tag", t, None) for t in TAGS] + [
        (k, "t", v) for k in ("tier", "class") for v in LEVELS
    ]:
        holders = [key for key, h in state.items() if (kind, name) in h and h[kind, name][0] == value]
        found = store.members(kind, name, value)  # type: ignore[arg-type]
        assert list(found.customers) == sorted(holders, key=int)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_what_was_computed_is_what_is_read(monkeypatch: pytest.MonkeyPatch, story: list[Any]) -> None:
    # Only the latest state is kept, so that every other one is folded from changes.
    monkeypatch.setattr("ruleengine.store.sweeping.KEPT_FILES", 1)
    monkeypatch.setattr("ruleengine.store.documents.KEPT", -1.0)
    states: dict[int, dict[Key, Holding]] = {}
    as_ofs: dict[int, date] = {}
    line: list[int] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(folder / "store")
        for step in story:
            if isinstance(step, int):
                if step not in states or store.version(step).detached or step == line[0]:
                    continue
                with store.writer("tester", IDENTITY) as writer:
                    version = writer.rollback(step, "because")
                states[version.number] = states[step]
                bases = {each.number: each.base for each in store.versions()}
                line, number = [version.number], bases[version.number]
                while number:
                    line.append(number)
                    number = bases[number]
            else:
                days, mine, customers = step
                day = START + timedelta(days=days)
                base = next((number for number in line if as_ofs[number] <= day), None)
                version = publish(store, day, customers, rules=mine)
                assert version.base == base
                assert version.detached == (bool(line) and day < as_ofs[line[0]])
                previous = next((number for number in line if as_ofs[number] < day), None)
                states[version.number] = expected(states[previous] if previous else {}, mine, customers, day)
                if not version.detached:
                    line.insert(0, version.number)
            as_ofs[version.number] = version.as_of
            assert store.line() == tuple(line)
            check_members(store, states[line[0]])
        for version in store.versions():
            check_version(store, version, states[version.number], folder)
        check_histories(store, states)
        check_differences(store, states)
        if states:
            assert verifier.check(folder / "store") == []
        store.close()


def check_histories(store: Store, states: Mapping[int, Mapping[Key, Holding]]) -> None:
    """The changes of the line, put together, are what a customer holds."""
    current = store.line()[0] if store.line() else None
    for key in range(1, 6):
        holding: Holding = {}
        for entry in store.history(key):
            change = entry.change
            if not entry.in_line or entry.version_kind == "rollback":
                continue
            if change.new is None:
                holding.pop((change.kind, change.name))
            else:
                assert change.since is not None
                holding[change.kind, change.name] = (None if change.new == GIVEN else change.new, change.since)
        if current:
            assert holding == states[current].get(key, {})


def check_differences(store: Store, states: Mapping[int, Mapping[Key, Holding]]) -> None:
    numbers = sorted(states)[-3:]
    for a in numbers:
        for b in numbers:
            rows = {(row.customer, row.kind, row.name): (row.old, row.new) for row in store.diff(a, b).rows}
            wanted = {}
            for key in states[a].keys() | states[b].keys():
                one, two = states[a].get(key, {}), states[b].get(key, {})
                for kind, name in one.keys() | two.keys():
                    old, new = (None if (kind, name) not in of else (of[kind, name][0] or GIVEN) for of in (one, two))
                    if old != new:
                        wanted[key, kind, name] = (old, new)
            assert rows == wanted
