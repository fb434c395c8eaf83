"""Tags and levels that people set: versions of one customer, and what becomes of them in runs and rollbacks."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ruleengine.planning.memory import ManualMemory, Memory
from ruleengine.store.records import GIVEN, Key, Remembered, VersionKind
from ruleengine.store.refusals import NotThereError, RefusedError
from ruleengine.store.store import Store
from tests import duck
from tests.store.asking import document
from tests.store.by_hand import DAY, RULES, block, change, remembered, standing, write
from tests.store.tables import IDENTITY, Held, Rules, Standing, held, hold, publish

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
