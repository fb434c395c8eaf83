"""Customers who are forgotten: nothing of them is left, and all the others have what they had."""

import json
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from ruleengine.planning.memory import ManualMemory, Memory, TagMemory
from ruleengine.store import open_store
from ruleengine.store.jobs import Jobs
from ruleengine.store.records import GIVEN, Change, Key, ManualWrite, RunState, Version, VersionKind
from ruleengine.store.refusals import NotThereError, RefusedError
from ruleengine.store.replies import Known, Replies, Reply
from ruleengine.store.store import Store
from tests.store.conftest import again
from tests.store.tables import IDENTITY, Held, Rules, header, held, hold, identity_of, publish

VIP = TagMemory(tag="VIP", formerly=(), held="held", matched="matched")
SLEEPING = ManualMemory(kind="tag", name="Sleeping", formerly=(), column="by_hand")
RULES = Rules(memory=Memory(tags=(VIP,), manual=(SLEEPING,)))
CITY = "Ville-Introuvable-7f3d9a"
"""What the rules read of him alone."""


@dataclass(frozen=True)
class Whom:
    key: Key
    rules: Rules
    others: tuple[Key, ...]
    late: Key
    """Somebody who comes later."""

    @property
    def identity(self) -> Any:
        return identity_of(self.rules)

    @property
    def needles(self) -> list[bytes]:
        """Bytes that stand for him, and would not occur by chance."""
        if isinstance(self.key, str):
            return [self.key.encode(), CITY.encode()]
        as_number = [self.key.to_bytes(8, order, signed=True) for order in ("little", "big")]
        return [str(self.key).encode(), *as_number, self.key.to_bytes(6, "big"), CITY.encode()]


NUMBER = Whom(0x5A7D3C91E6B4, RULES, (1, 2, 3), 77)
TEXT = Whom('客户-𝟟f3d9a/"it\'s"-é' + "x" * 80, replace(RULES, key_type="text"), ("a", "é", "z"), "late")


def life(store: Store, whom: Whom) -> list[str]:
    """Everything that can happen to him; answers the runs that are held."""
    others: dict[Key, Held] = {key: held("VIP", loyalty="Gold", city="Paris") for key in whom.others}

    def his(*tags: str, **ladders: str) -> dict[Key, Held]:
        return {whom.key: replace(held(*tags, city=CITY), ladders=ladders, matched={"VIP": date(2025, 12, 31)})}

    def run(day: str, customers: dict[Key, Held]) -> None:
        publish(store, day, customers, rules=whom.rules)

    late: dict[Key, Held] = {whom.late: held("New")}
    run("2026-01-01", others | his("VIP", loyalty="Gold"))
    run("2026-01-02", others | late | his("New", loyalty="Silver", abc="B"))
    run("2026-01-03", dict(list(others.items())[1:]))
    run("2026-01-04", others | his("VIP", abc="A"))
    by_hand(store, whom, GIVEN)
    run("2026-01-02", his("VIP"))
    held_run = hold(store, "2026-01-05", others | his("New"), rules=whom.rules)
    detached = hold(store, "2026-01-03", others | his("New"), rules=whom.rules)
    with store.writer("tester", whom.identity) as writer:
        writer.fail(writer.begin(header("2026-01-05")), f"key “{whom.key}” occurs twice")
        writer.rollback(2, "wrong")
    jobs = Jobs(store.book)
    for kind in ("run", "plan"):
        job = jobs.new(kind, "anna", {})
        jobs.add(job)
        jobs.finish(job, {"state": "failed", "reasons": [str(whom.key)]}, {"samples": [whom.key], "city": CITY})
    return [held_run.run.id, detached.run.id]


def by_hand(store: Store, whom: Whom, value: str | None) -> None:
    current = store.current()
    assert current is not None
    with store.writer("tester", whom.identity) as writer:
        writer.set_manual(
            ManualWrite(
                customer=whom.key,
                kind="tag",
                name="Sleeping",
                value=value,
                expires_on=None,
                changes=(
                    Change(
                        customer=whom.key,
                        kind="tag",
                        name="Sleeping",
                        old=None if value else GIVEN,
                        new=value,
                        since=current.as_of if value else None,
                        rule_hash=None,
                        evidence={"city": CITY},
                    ),
                ),
                memory=(),
                report={},
                reason="asked for it",
            )
        )


def forget(store: Store, whom: Whom, reason: str = "asked to be forgotten") -> Version:
    with store.writer("anna", whom.identity) as writer:
        return writer.forget([whom.key], reason)


def told(store: Store, whom: Whom, folder: Path) -> dict[str, Any]:
    """All that a store says of the others, version by version."""
    said: dict[str, Any] = {}
    for number in range(1, 8):
        said[f"document of {number}"] = store.customer(whom.others[1], number).document
        file = folder / "rows.jsonl"
        store.export(file, version=number)
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        said[f"rows of {number}"] = [row for row in rows if row["customer_id"] != whom.key]
        changes = store.changes(number, 0, 10_000)
        said[f"changes of {number}"] = [change for change in changes if change and change.customer != whom.key]
        said[f"differences of {number}"] = [row for row in store.diff(1, number).rows if row.customer != whom.key]
    said["history"] = [store.history(key) for key in whom.others]
    said["values"] = [store.values(key) for key in whom.others]
    page = store.members("tag", "New", limit=1000)
    said["members"] = [key for key in page.customers if key != whom.key]
    return said


@pytest.mark.parametrize("whom", [NUMBER, TEXT], ids=["number", "text"])
def test_nobody_is_told_of_him_in_any_version_and_the_others_have_what_they_had(
    store: Store, whom: Whom, tmp_path: Path
) -> None:
    held_runs = life(store, whom)
    before = told(store, whom, tmp_path)
    current = store.current()
    assert current is not None

    version = forget(store, whom)

    assert (version.number, version.kind, version.base, version.as_of) == (8, VersionKind.FORGET, 7, current.as_of)
    assert (version.actor, version.reason) == ("anna", "asked to be forgotten")
    assert version.counts.customers == current.counts.customers - 1
    for reader in (store, again(store)):
        after = told(reader, whom, tmp_path)
        assert after == before
        for number in range(1, 9):
            assert reader.customer(whom.key, number).document is None
            reader.export(tmp_path / "all.csv", version=number)
            assert str(whom.key) not in (tmp_path / "all.csv").read_text()
            assert whom.key not in {change.customer for change in reader.changes(number, 0, 10_000) if change}
        for name in ("VIP", "New", "Sleeping"):
            assert whom.key not in reader.members("tag", name, version=7, limit=1000).customers
        assert reader.customers([whom.key], 7).documents == ((whom.key, None),)
        assert reader.history(whom.key) == ()
        assert reader.values(whom.key) is None
        assert reader.manual(whom.key) == ()
        assert whom.key in reader.forgotten()
        assert not reader.erasing()
    assert [store.run(run).state for run in held_runs] == [RunState.FAILED] * 2
    assert not any(str(whom.key) in reason for run in store.runs() for reason in run.reasons)


def test_he_is_not_brought_back_by_anything(store: Store) -> None:
    held_runs = life(store, NUMBER)
    forget(store, NUMBER)

    with store.writer("tester", IDENTITY) as writer:
        for run in held_runs:
            with pytest.raises(RefusedError):
                writer.publish_held(run, "all the same")
        writer.rollback(4, "it was better")
        writer.rollback(7, "back")
        writer.rollback(8, "back")
    with pytest.raises(NotThereError):
        by_hand(store, NUMBER, GIVEN)
    with pytest.raises(RefusedError) as refused:
        forget(store, NUMBER)

    assert refused.value.problems[0].code.name == "customer-forgotten"
    for number in range(9, 12):
        assert store.customer(NUMBER.key, number).document is None
    connection = duckdb.connect()
    store.recall(connection, RULES.memory, date(2026, 6, 1))
    assert connection.execute("SELECT * FROM remembered WHERE customer = ?", [NUMBER.key]).fetchall() == []


def test_counts_go_on_from_a_version_that_still_counts_him(store: Store, tmp_path: Path) -> None:
    life(store, NUMBER)
    forget(store, NUMBER)
    others: dict[Key, Held] = {key: held("VIP", loyalty="Gold") for key in NUMBER.others}

    version = publish(store, "2026-01-01", others, rules=RULES)

    assert version.detached
    assert version.base is not None
    assert store.version(version.base).counts.customers == 1 + len(others)
    assert version.counts.customers == len(others)
    assert (version.counts.tags["VIP"], version.counts.tiers["loyalty"]["Gold"]) == (len(others), len(others))
    assert store.export(tmp_path / "rows.csv", version=version.number) == 2 * len(others)


def test_several_are_forgotten_at_once_or_nobody(store: Store) -> None:
    publish(store, "2026-01-01", {key: held("VIP") for key in range(5)})

    with store.writer("anna", IDENTITY) as writer:
        with pytest.raises(NotThereError):
            writer.forget([1, 77], "both asked")
        assert store.customer(1).document is not None
        version = writer.forget([1, 3, 1], "both asked")

    assert store.members("tag", "VIP").customers == (0, 2, 4)
    assert (version.counts.customers, version.counts.tags["VIP"]) == (3, 3)
    report: Any = version.report
    assert report["forgotten"]["leaves"] == [[1, 1, 1], [1, 3, 1]]
    assert {1, 3} == {key for key in range(100) if key in store.forgotten()}


@pytest.mark.parametrize(
    ("reason", "names"),
    [
        ("17 asked", True),
        ("(17)", True),
        ("§17", True),
        ("客户17要求", True),
        ("2017 was long ago", False),
        ("no 17a", False),
        ("asked", False),
    ],
)
def test_a_reason_does_not_name_whom_it_is_about(store: Store, reason: str, names: bool) -> None:
    publish(store, "2026-01-01", {17: held("VIP")})

    with store.writer("anna", IDENTITY) as writer:
        if names:
            with pytest.raises(RefusedError) as refused:
                writer.forget([17], reason)
            assert refused.value.problems[0].code.name == "reason-names-customer"
            assert store.customer(17).document is not None
        else:
            writer.forget([17], reason)


def test_nothing_is_kept_of_what_jobs_and_requests_were_told_of_him(store: Store) -> None:
    publish(store, "2026-01-01", {1: held("VIP"), NUMBER.key: held("VIP")})
    jobs, replies = Jobs(store.book), Replies(store.book)
    told: dict[str, dict[str, Any]] = {
        "plan": {"samples": [NUMBER.key]},
        "run": {"problems": [{"message": f"“{NUMBER.key}” occurs twice"}]},
        "another": {"report": {"counts": {"customers": 2}}},
    }
    made = {what: jobs.new("plan" if what == "plan" else "run", "anna", {}) for what in told}
    for what, job in made.items():
        jobs.add(job)
        jobs.finish(job, {"state": "failed", "reasons": [f"no {NUMBER.key}"]}, told[what])
    under_way = jobs.new("plan", "anna", {})
    jobs.add(under_way)
    for key, body in (("one", f'["{NUMBER.key}"]'), ("other", "[1]")):
        replies.take("", key, "request")
        replies.keep("", key, Reply(status=200, headers={}, body=body))

    forget(store, NUMBER)

    assert jobs.find(made["plan"].id) is None
    assert jobs.result(made["run"]) is None
    assert jobs.result(made["another"]) == told["another"]
    assert [each.outcome["reasons"] for each in jobs.latest("run", 9) if each.outcome] == [["no …"]] * 2
    # What a plan comes to that is under way is not kept either.
    assert not jobs.settle(under_way)
    jobs.finish(under_way, {"state": "done", "reasons": []}, told["plan"])
    assert jobs.find(under_way.id) is None
    assert replies.take("", "one", "request") is Known.NEW
    assert replies.take("", "other", "request") == Reply(status=200, headers={}, body="[1]")


def test_there_is_no_way_to_forget_nobody(store: Store) -> None:
    with store.writer("anna", IDENTITY) as writer, pytest.raises(NotThereError):
        writer.forget([1], "asked")
    publish(store, "2026-01-01", {1: held("VIP")})
    with store.writer("anna", IDENTITY) as writer:
        with pytest.raises(NotThereError):
            writer.forget([2], "asked")
        with pytest.raises(RefusedError):
            writer.forget([1], " ")
    assert store.customer(1).document is not None


def test_who_was_forgotten_is_known_by_a_hash_that_no_other_store_has(store: Store, tmp_path: Path) -> None:
    other = open_store(tmp_path / "other")
    for each in (store, other):
        publish(each, "2026-01-01", {1: held("VIP")})
        with each.writer("anna", IDENTITY) as writer:
            writer.forget([1], "asked")

    assert store.forgotten().hashes.isdisjoint(other.forgotten().hashes)
    assert 1 in store.forgotten()
    assert 2 not in store.forgotten()
