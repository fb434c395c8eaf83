"""Tags and levels that people set: versions of one customer, and what becomes of them in runs and rollbacks."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruleengine.planning.memory import ManualMemory, Memory, Past, TagMemory, TierMemory
from ruleengine.store.records import GIVEN, Change, Key, ManualWrite, Remembered, Version, VersionKind
from ruleengine.store.refusals import NotThereError, RefusedError
from ruleengine.store.store import Store
from tests import duck
from tests.store.conftest import NewStore
from tests.store.tables import IDENTITY, Held, Rules, Standing, held, hold, publish

BLOCKED = ManualMemory(kind="tag", name="Blocked", formerly=(), column="blocked")
LEVEL = ManualMemory(kind="tier", name="loyalty", formerly=(), column="by_hand")
LOYALTY = TierMemory(tier="loyalty", level="level", reached="reached", below="below")
VIP = TagMemory(tag="VIP", formerly=(), held="vip_held", matched="vip_matched")
RULES = Rules(
    tags=("VIP", "Blocked"), classes={}, memory=Memory(tags=(VIP,), tiers=(LOYALTY,), manual=(BLOCKED, LEVEL))
)

PAST = Past(text="", column="was_blocked", kind="tag", names=("Blocked",), values=(), first=None)

DAY = date(2026, 1, 1)


def change(customer: Key, name: str, old: str | None, new: str | None, since: date | None = DAY) -> Change:
    return Change(
        customer=customer,
        kind="tier" if name == "loyalty" else "tag",
        name=name,
        old=old,
        new=new,
        since=since if new else None,
        rule_hash=f"hash of {name}",
        evidence={"monetary_90d": "1.5000"},
    )


def write(
    store: Store,
    *changes: Change,
    value: str | None = GIVEN,
    expires_on: date | None = None,
    memory: tuple[Remembered, ...] = (),
    actor: str = "anna",
    reason: str = "asked for it",
) -> Version:
    """Set what the first of the changes is about."""
    first = changes[0]
    assert first.kind != "class"
    with store.writer(actor, IDENTITY) as writer:
        return writer.set_manual(
            ManualWrite(
                customer=first.customer,
                kind=first.kind,
                name=first.name,
                value=value,
                expires_on=expires_on,
                changes=tuple(each for each in changes if each.old != each.new),
                memory=memory,
                report={"order": {"tags": ["VIP", "Blocked"]}},
                reason=reason,
            )
        )


def block(store: Store, customer: Key, **more: Any) -> Version:
    return write(store, change(customer, "Blocked", None, GIVEN), **more)


def document(store: Store, key: Key, version: int | None = None) -> Any:
    content = store.customer(key, version).document
    return None if content is None else json.loads(content)


def remembered(store: Store, day: date, customer: Key | None = None) -> dict[Key, dict[str, Any]]:
    with duck.database() as connection:
        store.recall(connection, RULES.memory, day, customer)
        answer = connection.execute("SELECT * FROM remembered")
        names = [column[0] for column in answer.description or ()]
        return {
            row[0]: {name: value for name, value in zip(names[1:], row[1:], strict=True) if value is not None}
            for row in answer.fetchall()
        }


def standing(what: Held, day: date = DAY) -> Held:
    """Whose level is what was computed for the day."""
    return replace(what, standing={"loyalty": Standing(what.ladders.get("loyalty"), day)})


# -- a version of its own ------------------------------------------------------------------------------------


def test_a_tag_is_set_in_a_version_of_its_own(store: Store, tmp_path: Path) -> None:
    first = publish(store, DAY, {1: held("VIP", loyalty="Gold"), 2: held()}, rules=RULES, fingerprint="data 1")

    version = block(store, 1, expires_on=date(2026, 6, 1))

    assert version == store.current()
    assert (version.number, version.kind, version.base, version.replaces) == (2, VersionKind.MANUAL, 1, 1)
    assert (version.as_of, version.actor, version.reason) == (DAY, "anna", "asked for it")
    assert (version.ruleset_hash, version.fingerprint) == (first.ruleset_hash, None)
    assert version.report == {
        "order": {"tags": ["VIP", "Blocked"]},
        "manual": {"kind": "tag", "name": "Blocked", "value": GIVEN, "expires_on": "2026-06-01"},
    }
    assert version.counts == replace(first.counts, tags={"VIP": 1, "Blocked": 1})
    assert (version.movement.rows, version.movement.customers) == (1, 1)
    assert version.movement.added == {"Blocked": 1}
    assert store.run(version.run).version == 2
    assert document(store, 1) == {
        "tags": [{"name": "Blocked", "since": "2026-01-01"}, {"name": "VIP", "since": "2026-01-01"}],
        "tiers": {"loyalty": {"level": "Gold", "since": "2026-01-01"}},
        "classes": {},
    }
    assert [tag["name"] for tag in document(store, 1, 1)["tags"]] == ["VIP"]
    assert store.members("tag", "Blocked").customers == (1,)
    assert store.members("tag", "Blocked", version=1).customers == ()
    assert store.values(1) == store.values(1, 1)
    assert store.export(tmp_path / "rows.csv") == 3
    told = store.history(1)[-1]
    assert (told.version, told.version_kind, told.in_line) == (2, VersionKind.MANUAL, True)
    assert told.change == change(1, "Blocked", None, GIVEN)


def test_everything_that_follows_is_in_the_same_version(store: Store) -> None:
    publish(store, DAY, {1: held("VIP", loyalty="Gold"), 2: held("VIP")}, rules=RULES)

    version = write(
        store, change(1, "Blocked", None, GIVEN), change(1, "VIP", GIVEN, None), change(1, "loyalty", "Gold", "Silver")
    )

    assert document(store, 1)["tags"] == [{"name": "Blocked", "since": "2026-01-01"}]
    assert document(store, 1)["tiers"] == {"loyalty": {"level": "Silver", "since": "2026-01-01"}}
    assert store.members("tag", "VIP").customers == (2,)
    assert store.members("tier", "loyalty", "Silver").customers == (1,)
    assert version.counts.tiers == {"loyalty": {"Gold": 0, "Silver": 1, "Member": 0}}
    assert (version.movement.removed, version.movement.tiers) == ({"VIP": 1}, {"loyalty": 1})


def test_a_document_is_written_as_any_run_would_write_it(store: Store) -> None:
    names = ("it's", 'a "quoted" one', "back\\slash", "标签", "tab\there", "Blocked")
    rules = Rules(tags=names, tiers={"loyalty": ("金", "Silver")}, classes={"abc": ("A", "B")})
    customers: dict[Key, Held] = {1: held("it's", "标签", loyalty="金", abc="B")}
    publish(store, DAY, customers, rules=rules)

    write(store, change(1, "Blocked", None, GIVEN), change(1, "loyalty", "金", "Silver"))

    by_hand = store.customer(1).document
    after = held("it's", "标签", "Blocked", loyalty="Silver", abc="B")
    run = publish(store, DAY, {1: after, 2: held()}, rules=rules)
    # A version that is not served any more is put together from its files.
    assert store.customer(1, run.number).document == by_hand


def test_who_is_not_there_cannot_be_given_anything(store: Store) -> None:
    with pytest.raises(NotThereError) as empty:
        block(store, 1)
    assert empty.value.problems[0].code.name == "store-empty"
    publish(store, DAY, {1: held()}, rules=RULES)
    with pytest.raises(NotThereError) as unknown:
        block(store, 9)
    assert unknown.value.problems[0].code.name == "customer-unknown"
    with pytest.raises(RefusedError) as silent:
        block(store, 1, reason=" ")
    assert silent.value.problems[0].code.name == "reason-missing"
    assert store.line() == (1,)


def test_the_next_run_is_never_a_repetition(store: Store) -> None:
    publish(store, DAY, {1: held("VIP")}, rules=RULES, fingerprint="data 1")
    block(store, 1)

    again = publish(store, DAY, {1: held("VIP", "Blocked")}, rules=RULES, fingerprint="data 1")

    assert (again.number, again.base, again.movement.rows) == (3, 2, 0)
    assert publish(store, DAY, {1: held("VIP", "Blocked")}, rules=RULES, fingerprint="data 1") == again


def test_a_held_run_was_compared_with_what_is_no_longer_current(store: Store) -> None:
    publish(store, DAY, {1: held()}, rules=RULES)
    run = hold(store, "2026-01-02", {1: held("VIP")}, rules=RULES).run.id
    block(store, 1)

    with store.writer("tester", IDENTITY) as writer, pytest.raises(RefusedError) as error:
        writer.publish_held(run, "fine")

    assert error.value.problems[0].code.name == "run-superseded"


def test_many_by_hand_leave_the_values_of_the_runs(store: Store) -> None:
    for day in range(1, 4):
        publish(store, f"2026-01-0{day}", {key: held(orders=day) for key in range(8)}, rules=RULES)
    for key in range(8):
        block(store, key)

    assert [store.values(0, number) is not None for number in (1, 2, 3, 4, 11)] == [True] * 5
    assert (store.values(0) or {})["frequency"] == 3
    assert store.line()[0] == 11


# -- what is set -----------------------------------------------------------------------------------------------


def test_what_is_set_is_told_with_who_and_why(store: Store) -> None:
    publish(store, DAY, {1: held(loyalty="Gold"), 2: held()}, rules=RULES)
    block(store, 1, expires_on=date(2026, 2, 1))
    write(store, change(1, "loyalty", "Gold", "Silver"), value="Silver", actor="ben", reason="a friend")

    assert [(each.name, each.value, each.version, each.actor, each.reason) for each in store.manual(1)] == [
        ("Blocked", GIVEN, 2, "anna", "asked for it"),
        ("loyalty", "Silver", 3, "ben", "a friend"),
    ]
    assert store.manual(1)[0].expires_on == date(2026, 2, 1)
    assert [each.name for each in store.manual(1, 2)] == ["Blocked"]
    assert store.manual(1, 1) == store.manual(2) == store.manual("nobody") == ()


def test_what_is_taken_away_or_expired_is_not_set(store: Store) -> None:
    customers: dict[Key, Held] = {key: held() for key in (1, 2, 3)}
    publish(store, DAY, customers, rules=RULES)
    block(store, 1)
    block(store, 2, expires_on=date(2026, 1, 3))
    write(store, change(1, "Blocked", GIVEN, None), value=None)

    assert store.manual(1) == ()
    assert remembered(store, date(2026, 1, 2)) == {2: {"blocked": True}}
    assert remembered(store, date(2026, 1, 3)) == {}
    # On a day before it was set it was not, however often that day is run.
    assert remembered(store, date(2025, 12, 31)) == {}


def test_a_tag_is_found_by_its_former_names(store: Store) -> None:
    publish(store, DAY, {1: held(), 2: held()}, rules=RULES)
    block(store, 1)
    block(store, 2)
    renamed = ManualMemory(kind="tag", name="Do not contact", formerly=("Blocked",), column="blocked")
    rules = replace(
        RULES, tags=("Do not contact",), formerly={"Do not contact": ("Blocked",)}, memory=Memory(manual=(renamed,))
    )
    publish(store, "2026-01-02", {1: held("Do not contact"), 2: held("Do not contact")}, rules=rules)
    assert document(store, 1)["tags"] == [{"name": "Do not contact", "since": "2026-01-01"}]
    write(store, change(2, "Do not contact", GIVEN, None), value=None)

    with duck.database() as connection:
        store.recall(connection, rules.memory, date(2026, 1, 3))

        assert connection.execute("SELECT * FROM remembered").fetchall() == [(1, True)]


def test_what_is_remembered_of_a_customer_is_replaced_by_a_manual_version(store: Store) -> None:
    customers: dict[Key, Held] = {
        key: replace(held("VIP"), matched={"VIP": date(2025, 12, key)}, standing={"loyalty": Standing(None, None)})
        for key in (1, 2, 3)
    }
    publish(store, DAY, customers, rules=RULES)
    write(
        store,
        change(1, "loyalty", None, "Gold"),
        value="Gold",
        memory=(
            Remembered(kind="tag", name="VIP", matched=date(2025, 11, 11)),
            Remembered(kind="tier", name="loyalty", level=None),
        ),
    )
    block(store, 2)

    told = remembered(store, date(2026, 1, 2))

    assert told == {
        1: {"vip_held": True, "vip_matched": date(2025, 11, 11), "by_hand": "Gold"},
        2: {"vip_held": True, "vip_matched": DAY, "blocked": True},
        3: {"vip_held": True, "vip_matched": date(2025, 12, 3)},
    }
    for key in (1, 2, 3):
        assert remembered(store, date(2026, 1, 2), key) == {key: told[key]}


def test_who_leaves_returns_as_new(store: Store) -> None:
    publish(store, DAY, {1: held(), 2: held()}, rules=RULES)
    block(store, 1)
    publish(store, "2026-01-02", {2: held()}, rules=RULES)

    assert remembered(store, date(2026, 1, 3)) == {}
    assert store.manual(1) == ()
    assert [each.version for each in store.manual(1, 2)] == [2]


def test_a_run_for_an_earlier_day_takes_nothing_away(store: Store) -> None:
    publish(store, DAY, {1: held(), 2: held()}, rules=RULES)
    publish(store, "2026-01-05", {1: held(), 2: held()}, rules=RULES)
    block(store, 1)

    assert publish(store, "2026-01-03", {2: held()}, rules=RULES).detached

    assert remembered(store, date(2026, 1, 6)) == {1: {"blocked": True}}
    assert remembered(store, date(2026, 1, 4)) == {}


def test_a_rollback_leaves_what_is_set_as_it_is(store: Store, tmp_path: Path) -> None:
    gold, silver = standing(held(loyalty="Gold")), standing(held(loyalty="Silver"))
    publish(store, DAY, {1: gold, 2: silver, 3: silver}, rules=RULES, fingerprint="data 1")
    write(
        store,
        change(1, "loyalty", "Gold", "Member"),
        value="Member",
        memory=(Remembered(kind="tier", name="loyalty", level="Gold", reached=DAY),),
    )
    block(store, 2)
    publish(store, "2026-01-05", {1: held(), 2: held(), 3: held()}, rules=RULES)
    write(store, change(1, "loyalty", None, None), value=None)
    block(store, 3)

    with store.writer("tester", IDENTITY) as writer:
        version = writer.rollback(3, "wrong")

    assert document(store, 1)["tiers"] == {"loyalty": {"level": "Gold", "since": "2026-01-01"}}
    assert [[tag["name"] for tag in document(store, key)["tags"]] for key in (1, 2, 3)] == [
        [],
        ["Blocked"],
        ["Blocked"],
    ]
    assert (version.counts.tags["Blocked"], version.counts.tiers["loyalty"]) == (
        2,
        {"Gold": 1, "Silver": 2, "Member": 0},
    )
    assert version.fingerprint is None
    # And so it does for the days from there on.
    assert {key: mine.get("blocked") for key, mine in remembered(store, date(2026, 1, 2)).items()} == {
        1: None,
        2: True,
        3: True,
    }
    assert remembered(store, date(2026, 1, 2))[1] == {"level": "Gold", "reached": DAY}
    assert store.manual(1) == ()


# -- any line ------------------------------------------------------------------------------------------------------

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
                    if wanted[0]:
                        mine[name] = wanted  # type: ignore[assignment]
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
