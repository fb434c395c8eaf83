"""What every store promises of answers; the fixture says which stores."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from ruleengine.store.records import GIVEN, ApiKey, DiffRow, Key, RunState, VersionKind
from ruleengine.store.refusals import (
    NotThereError,
    RefusedError,
)
from ruleengine.store.store import Store
from tests.store.asking import code_of, document, exported
from tests.store.tables import FIRST, IDENTITY, SECOND, Held, Rules, held, publish, rules_hash

# -- an empty store ----------------------------------------------------------------------------------------


def test_a_store_that_was_never_written_is_empty(store: Store) -> None:
    assert store.identity() is None
    assert store.current() is None
    assert store.versions() == ()
    assert store.runs() == ()
    assert store.line() == ()
    assert store.history(1) == ()
    assert store.in_force(date(2026, 1, 1)) is None
    assert store.ruleset_texts(rules_hash("rules 1")) is None


@pytest.mark.parametrize("ask", ["customer", "customers", "members", "export", "diff", "values"])
def test_asking_an_empty_store_for_answers_says_that_it_is_empty(store: Store, tmp_path: Path, ask: str) -> None:
    questions: dict[str, Callable[[], object]] = {
        "customer": lambda: store.customer(1),
        "customers": lambda: store.customers([1]),
        "members": lambda: store.members("tag", "VIP"),
        "export": lambda: store.export(tmp_path / "all.csv"),
        "diff": lambda: store.diff(1, 2),
        "values": lambda: store.values(1),
    }

    with pytest.raises(NotThereError) as error:
        questions[ask]()

    assert code_of(error) == "store-empty"


# -- publishing and reading --------------------------------------------------------------------------------


def test_a_version_tells_what_it_is_of(store: Store) -> None:
    version = publish(store, "2026-01-01", FIRST)

    assert version == store.current() == store.version(1)
    assert (version.number, version.kind, version.base) == (1, VersionKind.RUN, None)
    assert version.as_of == date(2026, 1, 1)
    assert version.parameters == {"vip_floor": 10_000}
    assert version.counts.customers == 3
    assert version.counts.tags == {"VIP": 1, "New": 1, "Sleeping": 0}
    assert version.counts.tiers == {"loyalty": {"Gold": 1, "Silver": 0, "Member": 0}}
    assert version.movement.arrived == 3
    assert version.movement.rows == 4
    assert store.ruleset_texts(rules_hash("rules 1")) == {"value.rules": "# rules 1"}
    assert store.run(version.run).state is RunState.PUBLISHED


def test_customers_are_read_whole(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    publish(store, "2026-02-01", SECOND)

    assert document(store, 1) == {
        "tags": [{"name": "Sleeping", "since": "2026-02-01"}, {"name": "VIP", "since": "2026-01-01"}],
        "tiers": {"loyalty": {"level": "Silver", "since": "2026-02-01"}},
        "classes": {},
    }
    assert document(store, 1, 1)["tiers"] == {"loyalty": {"level": "Gold", "since": "2026-01-01"}}
    assert document(store, 3) == {
        "tags": [],
        "tiers": {},
        "classes": {"abc": {"value": "C", "since": "2026-02-01"}},
    }


def test_a_customer_without_anything_is_not_an_unknown_one(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)

    assert document(store, 3) == {"tags": [], "tiers": {}, "classes": {}}
    for unknown in (99, "99", "three", "03", "", 2**70, "4\x00"):
        assert document(store, unknown) is None
    assert document(store, "3") == document(store, 3)


def test_many_customers_are_answered_in_the_order_they_were_asked_for(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)

    answers = store.customers([3, 99, "1"])

    assert [key for key, _ in answers.documents] == [3, 99, "1"]
    assert [content is not None for _, content in answers.documents] == [True, False, True]


def test_customers_who_left_lose_everything_and_return_as_new(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    left = publish(store, "2026-02-01", SECOND)
    assert left.movement.vanished == 1
    assert document(store, 2) is None

    back = publish(store, "2026-03-01", SECOND | {2: FIRST[2]})

    assert back.movement.arrived == 1
    assert document(store, 2)["tags"] == [{"name": "New", "since": "2026-03-01"}]


def test_members_come_in_pages_and_in_key_order(store: Store) -> None:
    publish(store, "2026-01-01", {key: held("VIP", abc="B") for key in (10, 9, 100, 1, 25)})

    page = store.members("tag", "VIP", limit=2)
    assert (page.customers, page.next) == ((1, 9), 9)
    page = store.members("tag", "VIP", after=page.next, limit=2)
    assert (page.customers, page.next) == ((10, 25), 25)
    page = store.members("tag", "VIP", after=25, limit=2)
    assert (page.customers, page.next) == ((100,), None)
    assert store.members("class", "abc", "B").customers == (1, 9, 10, 25, 100)
    for kind, name, value in (("class", "abc", "A"), ("tag", "Unheard of", None), ("tier", "abc", "B")):
        assert store.members(kind, name, value).customers == ()  # type: ignore[arg-type]


def test_a_page_stays_with_its_version(store: Store) -> None:
    publish(store, "2026-01-01", {key: held("VIP") for key in range(1, 6)})
    first = store.members("tag", "VIP", limit=2)
    publish(store, "2026-02-01", {key: held("VIP") if key in (2, 9) else held() for key in range(1, 10)})

    rest = store.members("tag", "VIP", version=first.version, after=first.next)

    assert first.customers + rest.customers == (1, 2, 3, 4, 5)
    assert store.members("tag", "VIP").customers == (2, 9)


def test_text_keys_are_ordered_by_code_point(store: Store) -> None:
    rules = Rules(key_type="text")
    keys: list[Key] = ["ä", "a", "Z", "上", "🙂", "￿", "a'b", 'a"b', "1", "10", "2"]
    publish(store, "2026-01-01", {key: held("VIP") for key in keys}, rules=rules)

    assert list(store.members("tag", "VIP").customers) == sorted(keys, key=str)
    for key in keys:
        assert document(store, key) is not None
        assert len(store.history(key)) == 1
        assert store.values(key) is not None


def test_history_is_every_change_with_what_the_rule_read(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    publish(store, "2026-02-01", SECOND)

    entries = store.history(1)

    told = [(e.version, e.change.kind, e.change.name, e.change.old, e.change.new, e.change.since) for e in entries]
    assert told == [
        (1, "tag", "VIP", None, GIVEN, date(2026, 1, 1)),
        (1, "tier", "loyalty", None, "Gold", date(2026, 1, 1)),
        (2, "tag", "Sleeping", None, GIVEN, date(2026, 2, 1)),
        (2, "tier", "loyalty", "Gold", "Silver", date(2026, 2, 1)),
    ]
    assert entries[0].change.evidence == {"frequency": 7, "monetary_90d": "12500.5000"}
    assert entries[0].change.rule_hash == "hash of VIP"
    assert entries[1].change.evidence == {"monetary_90d": "12500.5000", "signed_up": "2020-02-29"}
    assert all(entry.in_line for entry in entries)


def test_a_customer_who_is_gone_lost_by_no_rule(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    publish(store, "2026-02-01", SECOND)

    lost = [entry.change for entry in store.history(2) if entry.version == 2]

    assert [(change.name, change.new, change.since) for change in lost] == [("abc", None, None), ("New", None, None)]
    assert all(change.rule_hash is None and change.evidence is None for change in lost)


def test_values_are_typed_and_kept_for_the_last_versions(store: Store) -> None:
    for month in range(1, 7):
        publish(store, date(2026, month, 1), FIRST)

    assert store.values(1) == {
        "monetary_90d": Decimal("12500.5000"),
        "frequency": 7,
        "city": None,
        "signed_up": date(2020, 2, 29),
    }
    kept = [number for number in range(1, 7) if store.values(1, number) is not None]
    assert kept == [3, 4, 5, 6]
    assert store.values(99) is None


def test_an_export_is_sorted_and_names_since_and_version(store: Store, tmp_path: Path) -> None:
    publish(store, "2026-01-01", FIRST)
    publish(store, "2026-02-01", SECOND)

    assert exported(store, tmp_path / "all.csv") == [
        ["customer_id", "kind", "name", "value", "since", "version"],
        ["1", "tag", "Sleeping", "", "2026-02-01", "2"],
        ["1", "tag", "VIP", "", "2026-01-01", "2"],
        ["1", "tier", "loyalty", "Silver", "2026-02-01", "2"],
        ["3", "class", "abc", "C", "2026-02-01", "2"],
        ["4", "tag", "New", "", "2026-02-01", "2"],
        ["4", "tier", "loyalty", "Member", "2026-02-01", "2"],
    ]
    assert [row[2] for row in exported(store, tmp_path / "old.csv", version=1)[1:]] == [
        "VIP",
        "loyalty",
        "abc",
        "New",
    ]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_export_is_the_same_bytes_each_time(store: Store, tmp_path: Path, kind: str) -> None:
    publish(store, "2026-01-01", {key: held("VIP", "New", loyalty="Gold") for key in range(300)})

    assert store.export(tmp_path / f"one.{kind}") == 900
    store.export(tmp_path / f"two.{kind}")

    assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    read = duckdb.connect().execute("SELECT count(*), count(value) FROM '" + str(tmp_path / f"one.{kind}") + "'")
    assert read.fetchone() == (900, 300)


def test_an_export_that_fails_leaves_the_old_file(store: Store, tmp_path: Path) -> None:
    publish(store, "2026-01-01", FIRST)
    target = tmp_path / "all.csv"
    target.write_text("precious")

    with pytest.raises(NotThereError):
        store.export(target, version=9)
    with pytest.raises(RefusedError) as error:
        store.export(tmp_path / "all.xlsx")

    assert code_of(error) == "export-unknown-kind"
    assert target.read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} - {"store"} == {"all.csv"}


def test_a_difference_is_between_any_two_versions(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    publish(store, "2026-02-01", SECOND)
    publish(store, "2026-03-01", FIRST)

    there, back = store.diff(1, 2), store.diff(2, 1)

    rows = list(there.rows)
    assert rows[0] == DiffRow(customer=1, kind="tag", name="Sleeping", old=None, new=GIVEN)
    assert [(row.customer, row.name, row.new, row.old) for row in back.rows] == [
        (row.customer, row.name, row.old, row.new) for row in rows
    ]
    assert there.movement.rows == len(rows)
    assert (there.movement.arrived, there.movement.vanished) == (1, 1)
    assert list(store.diff(1, 3).rows) == []


def test_the_changes_of_a_version_are_told_from_any_place_on(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    version = publish(store, "2026-02-01", SECOND)

    every = store.changes(2)

    assert [(each.customer, each.name, each.old, each.new) for each in every if each] == [
        (row.customer, row.name, row.old, row.new) for row in store.diff(1, 2).rows
    ]
    assert len(every) == version.movement.rows == 7
    assert store.changes(2, 3, 2) == every[3:5]
    assert store.changes(2, 6) == every[6:]
    assert store.changes(2, 7) == ()
    with pytest.raises(NotThereError):
        store.changes(3)


# -- keys --------------------------------------------------------------------------------------------------


def test_keys_are_kept_by_digest_and_revoked_once(store: Store) -> None:
    moment = datetime(2026, 3, 31, 12, tzinfo=UTC)
    assert (store.keys(), store.key("d1")) == ((), None)
    first = ApiKey(
        id="one",
        digest="d1",
        name="客户 app",
        scopes=("tags:read", "admin"),
        actor="tester",
        created_at=moment,
        expires_on=date(2027, 1, 1),
        revoked_at=None,
    )
    second = replace(first, id="another", digest="d2", created_at=moment + timedelta(seconds=1), expires_on=None)

    with store.writer("a run at work", IDENTITY):
        store.add_key(first)
        store.add_key(second)
        gone = store.revoke_key("one", moment + timedelta(days=1))

    assert gone == replace(first, revoked_at=moment + timedelta(days=1))
    assert store.revoke_key("one", moment + timedelta(days=9)) == gone
    assert (store.key("d1"), store.key("d2"), store.key("d3")) == (gone, second, None)
    assert store.keys() == (gone, second)
    with pytest.raises(NotThereError) as error:
        store.revoke_key("none", moment)
    assert code_of(error) == "key-unknown"


# -- rules that change -------------------------------------------------------------------------------------


def test_names_may_move_come_and_go_between_versions(store: Store) -> None:
    many = tuple(f"Tag {number}" for number in range(70))
    before = Rules(tags=many)
    after = Rules(
        tags=("Fresh", *reversed(many[5:])),
        tiers={"loyalty": ("Platinum", "Gold", "Silver", "Member")},
        classes={},
    )
    first: dict[Key, Held] = {
        1: held("Tag 0", "Tag 5", "Tag 63", loyalty="Gold", abc="B"),
        2: held("Tag 69", loyalty="Member"),
        3: held("Tag 7"),
    }
    publish(store, "2026-01-01", first, rules=before)
    second: dict[Key, Held] = {
        1: held("Tag 5", "Tag 63", "Fresh", loyalty="Gold"),
        2: held("Tag 69", loyalty="Platinum"),
        3: held("Tag 7"),
    }

    version = publish(store, "2026-02-01", second, rules=after)

    rows = [(row.customer, row.name, row.old, row.new) for row in store.diff(1, 2).rows]
    assert rows == [
        (1, "abc", "B", None),
        (1, "Fresh", None, GIVEN),
        (1, "Tag 0", GIVEN, None),
        (2, "loyalty", "Member", "Platinum"),
    ]
    assert document(store, 1)["tiers"] == {"loyalty": {"level": "Gold", "since": "2026-01-01"}}
    assert {tag["name"]: tag["since"] for tag in document(store, 1)["tags"]} == {
        "Fresh": "2026-02-01",
        "Tag 5": "2026-01-01",
        "Tag 63": "2026-01-01",
    }
    assert "abc" not in version.counts.classes
    assert version.counts.tags["Tag 63"] == 1
    removed = [entry.change for entry in store.history(1) if entry.change.name == "Tag 0"][-1]
    assert (removed.new, removed.rule_hash, removed.evidence) == (None, None, None)


def test_names_may_hold_anything(store: Store, tmp_path: Path) -> None:
    names = ("it's", 'a "quoted" one', "back\\slash", "标签", "Gold", "gold", "{brace}", "tab\there", "a, b")
    rules = Rules(tags=names, tiers={"or'de\"r": ("a'", 'b"')}, classes={"gold": ("x\\", "{}")})
    everything = {"or'de\"r": 'b"', "gold": "x\\"}

    publish(store, "2026-01-01", {1: Held(tags=frozenset(names), ladders=everything)}, rules=rules)

    assert [tag["name"] for tag in document(store, 1)["tags"]] == sorted(names)
    assert document(store, 1)["tiers"]["or'de\"r"]["level"] == 'b"'
    assert {entry.change.name for entry in store.history(1)} == {*names, "or'de\"r", "gold"}
    assert store.members("tag", "it's").customers == (1,)
    assert {row[2] for row in exported(store, tmp_path / "all.csv")[1:]} == {*names, "or'de\"r", "gold"}


def test_a_ruleset_may_have_no_tags_or_no_ladders_or_nothing(store: Store) -> None:
    publish(store, "2026-01-01", {1: held(), 2: held()}, rules=Rules(tags=(), tiers={}, classes={}))
    publish(store, "2026-01-02", {1: held("VIP")}, rules=Rules(tiers={}, classes={}))
    publish(store, "2026-01-03", {1: held(abc="A")}, rules=Rules(tags=(), tiers={}))

    assert [document(store, 1, number)["tags"] for number in (1, 2, 3)] == [
        [],
        [{"name": "VIP", "since": "2026-01-02"}],
        [],
    ]
    assert [store.version(number).movement.rows for number in (1, 2, 3)] == [0, 1, 2]


def test_nobody_at_all_can_be_published(store: Store, tmp_path: Path) -> None:
    publish(store, "2026-01-01", {})
    publish(store, "2026-01-02", FIRST)
    publish(store, "2026-01-03", {})

    assert document(store, 1) is None
    assert document(store, 1, 2) is not None
    assert exported(store, tmp_path / "none.csv")[1:] == []
