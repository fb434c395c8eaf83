"""What is set by hand along any line of runs, rollbacks and manual versions, against a model of it."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruleengine.planning.memory import Memory
from ruleengine.store.records import GIVEN, Key, Remembered
from ruleengine.store.store import Store
from tests import duck
from tests.store.asking import document
from tests.store.by_hand import (
    DAY,
    PAST,
    RULES,
    change,
    remembered,
    write,
)
from tests.store.conftest import NewStore
from tests.store.tables import IDENTITY, Held, Standing, held, publish

LEVELS = ("Gold", "Silver", "Member")
Holding = dict[str, tuple[str, date]]
"""By name: the value and since when."""


class Logged(NamedTuple):
    version: int
    customer: Key
    name: str
    value: str | None
    expires_on: date | None
    as_of: date


@dataclass
class Made:
    as_of: date
    base: int | None
    detached: bool
    state: Mapping[Key, Holding]
    computed: Mapping[Key, tuple[str | None, date | None]]
    """Level and since when, whatever was set."""


@dataclass
class Model:
    made: dict[int, Made] = field(default_factory=dict)
    log: list[Logged] = field(default_factory=list)
    current: int | None = None

    def line(self, before: date = date.max) -> list[int]:
        found, number = [], self.current
        while number is not None:
            found.append(number)
            number = self.made[number].base
        return [number for number in found if self.made[number].as_of < before]

    def latest(self, key: Key, name: str, day: date = date.max) -> Logged | None:
        mine = [each for each in self.log if (each.customer, each.name) == (key, name) and each.as_of <= day]
        return max(mine, key=lambda each: each.version, default=None)

    def set(self, key: Key, name: str, day: date, now: date | None = None) -> str | None:
        found = self.latest(key, name, day)
        return found.value if found and (found.expires_on is None or found.expires_on > (now or day)) else None

    def published(self, key: Key, what: Held, day: date) -> Held:
        """What a run comes to, with what is set by hand."""
        level = self.set(key, "loyalty", day) or what.ladders.get("loyalty")
        tags = {*what.tags, "Blocked"} if self.set(key, "Blocked", day) else what.tags
        return replace(what, tags=frozenset(tags), ladders={"loyalty": level} if level else {})

    def run(self, customers: Mapping[Key, Held], day: date) -> dict[Key, Held]:
        """The same with what the run leaves for the next; the version is made."""
        line = self.line(day)
        before = self.made[line[0]] if line else None
        state: dict[Key, Holding] = {}
        computed: dict[Key, tuple[str | None, date | None]] = {}
        whole: dict[Key, Held] = {}
        for key, what in customers.items():
            had = before.state.get(key, {}) if before else {}
            mine = self.published(key, what, day)
            names = dict.fromkeys(mine.tags, GIVEN) | dict(mine.ladders)
            state[key] = {n: (v, had[n][1] if n in had and had[n][0] == v else day) for n, v in names.items()}
            level = what.ladders.get("loyalty")
            was = before.computed.get(key, (None, None)) if before else (None, None)
            computed[key] = was if was[0] == level else (level, day if level else None)
            whole[key] = replace(mine, standing={"loyalty": Standing(*computed[key])})
        base = next((n for n in self.line() if self.made[n].as_of <= day), None)
        detached = self.current is not None and day < self.made[self.current].as_of
        number = len(self.made) + 1
        self.made[number] = Made(day, base, detached, state, computed)
        if not detached:
            self.current = number
            for key in {each.customer for each in self.log} - customers.keys():
                for name in ("Blocked", "loyalty"):
                    found = self.latest(key, name)
                    if found and found.value:
                        self.log.append(Logged(number, key, name, None, None, day))
        return whole

    def write(self, key: Key, name: str, value: str | None, expires_on: date | None) -> tuple[str | None, str | None]:
        """Set something; answers old and new value, and the version is made."""
        assert self.current is not None
        now = self.made[self.current]
        old = now.state[key].get(name, (None, None))[0]
        new, since = value, now.as_of
        if value is None and name == "loyalty":
            level, reached = now.computed[key]
            new, since = level, reached or now.as_of
        state = {each: dict(holding) for each, holding in now.state.items()}
        if old != new:
            state[key].pop(name, None)
            if new:
                state[key][name] = (new, since)
        number = len(self.made) + 1
        self.made[number] = Made(now.as_of, self.current, False, state, now.computed)
        self.current = number
        self.log.append(Logged(number, key, name, value, expires_on, now.as_of))
        return old, new

    def rollback(self, to: int) -> None:
        assert self.current is not None
        of, now = self.made[to], self.made[self.current].as_of
        state = {}
        for key, held_then in of.state.items():
            mine = dict(held_then)
            for name in ("Blocked", "loyalty"):
                wanted: tuple[str | None, date | None] = (self.set(key, name, date.max, now), of.as_of)
                if wanted[0] is None and name == "loyalty":
                    wanted = of.computed[key]
                if mine.get(name, (None, None))[0] != wanted[0]:
                    mine.pop(name, None)
                    value, since = wanted
                    if value:
                        assert since is not None
                        mine[name] = value, since
            state[key] = mine
        number = len(self.made) + 1
        for key in {each.customer for each in self.log}:
            for name in ("Blocked", "loyalty"):
                found = self.latest(key, name)
                if found and found.as_of > of.as_of:
                    self.log.append(found._replace(version=number, as_of=of.as_of))
        self.made[number] = Made(of.as_of, to, False, state, of.computed)
        self.current = number


days = st.integers(0, 5).map(lambda days: DAY + timedelta(days=days))
whats = st.builds(
    lambda vip, level: held(*(["VIP"] if vip else []), **({"loyalty": level} if level else {})),
    st.booleans(),
    st.sampled_from(LEVELS) | st.none(),
)
steps = st.one_of(
    st.tuples(st.just("run"), days, st.dictionaries(st.integers(1, 3), whats)),
    st.tuples(
        st.just("write"),
        st.integers(1, 3),
        st.one_of(
            st.tuples(st.just("Blocked"), st.sampled_from([GIVEN, None])),
            st.tuples(st.just("loyalty"), st.sampled_from(LEVELS) | st.none()),
        ),
        st.none() | st.integers(1, 4),
    ),
    st.tuples(st.just("rollback"), st.integers(1, 8)),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=2, max_size=9))
def test_what_is_set_by_hand_is_there_and_nothing_else_is(
    new_store: NewStore, tmp_path: Path, story: list[Any]
) -> None:
    model = Model()
    with new_store() as store:
        for step in story:
            _take(store, model, step)
        if not model.made:
            return
        assert store.line() == tuple(model.line())
        for number, made in model.made.items():
            _check_version(store, tmp_path, number, made)
        assert model.current is not None
        for key in range(1, 4):
            found = {(each.name, each.value, each.version) for each in store.manual(key)}
            now = model.made[model.current].as_of
            wanted = {
                (name, value, latest.version)
                for name in ("Blocked", "loyalty")
                if (value := model.set(key, name, now)) and (latest := model.latest(key, name, now))
            }
            assert found == wanted
        for days in range(-1, 8):
            _check_memory(store, model, DAY + timedelta(days=days))


def _take(store: Store, model: Model, step: Any) -> None:
    match step:
        case ("run", day, customers):
            publish(store, day, model.run(customers, day), rules=RULES)
        case ("write", key, (name, value), lasts) if model.current and key in model.made[model.current].state:
            now = model.made[model.current]
            expires_on = now.as_of + timedelta(days=lasts) if lasts and value else None
            old, new = model.write(key, name, value, expires_on)
            since = model.made[model.current].state[key].get(name, (None, None))[1]
            level, reached = now.computed[key]
            left = (Remembered(kind="tier", name="loyalty", level=level, reached=reached),)
            write(store, change(key, name, old, new, since), value=value, expires_on=expires_on, memory=left)
        case ("rollback", number) if (
            number in model.made and not model.made[number].detached and number != model.current
        ):
            model.rollback(number)
            with store.writer("tester", IDENTITY) as writer:
                writer.rollback(number, "because")


def _check_version(store: Store, folder: Path, number: int, made: Made) -> None:
    store.export(folder / "rows.csv", version=number)
    with (folder / "rows.csv").open(newline="") as file:
        rows = [tuple(row[:5]) for row in csv.reader(file)][1:]
    assert rows == [
        (str(key), _kind(name), name, "" if name != "loyalty" else value, str(since))
        for key, holding in sorted(made.state.items())
        for name, (value, since) in sorted(holding.items(), key=lambda item: (_kind(item[0]), item[0]))
    ]
    version = store.version(number)
    for tag in ("VIP", "Blocked"):
        assert version.counts.tags[tag] == sum(tag in holding for holding in made.state.values())
    for level in LEVELS:
        held_by = sum(holding.get("loyalty", ("", None))[0] == level for holding in made.state.values())
        assert version.counts.tiers["loyalty"][level] == held_by
    for key in range(1, 4):
        found = document(store, key, number)
        holding = made.state.get(key)
        if holding is None:
            assert found is None
            continue
        assert {tag["name"]: tag["since"] for tag in found["tags"]} == {
            name: str(since) for name, (_, since) in holding.items() if name != "loyalty"
        }
        assert found["tiers"] == {
            name: {"level": level, "since": str(since)} for name, (level, since) in holding.items() if name == "loyalty"
        }
    if store.current() == version:
        for tag in ("VIP", "Blocked"):
            assert store.members("tag", tag).customers == tuple(k for k in sorted(made.state) if tag in made.state[k])


def _kind(name: str) -> Literal["tag", "tier"]:
    return "tier" if name == "loyalty" else "tag"


def _check_memory(store: Store, model: Model, day: date) -> None:
    told = remembered(store, day)
    line = model.line(day)
    before = model.made[line[0]] if line else None
    for key in range(1, 4):
        mine = told.get(key, {})
        assert (mine.get("blocked"), mine.get("by_hand")) == (
            True if model.set(key, "Blocked", day) else None,
            model.set(key, "loyalty", day),
        )
        level, reached = before.computed.get(key, (None, None)) if before else (None, None)
        assert (mine.get("level"), mine.get("reached")) == (level, reached)
        vip = before is not None and "VIP" in before.state.get(key, {})
        assert mine.get("vip_held") == (True if vip else None)
    with duck.database() as connection:
        store.recall(connection, Memory(past=(PAST,)), day)
        were = {key for (key,) in connection.execute("SELECT customer FROM remembered WHERE was_blocked").fetchall()}
    assert were == {
        key
        for each in range(-1, (day - DAY).days)
        for number in model.line(DAY + timedelta(days=each + 1))[:1]
        for key, holding in model.made[number].state.items()
        if "Blocked" in holding
    }
