"""What every store promises of versions, of runs on their way to be one, and of who makes them."""

from datetime import date
from pathlib import Path

import duckdb
import pytest

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.store.previewing import Asked
from ruleengine.store.records import GIVEN, Identity, RunState, VersionKind
from ruleengine.store.refusals import (
    NotKeptError,
    NotThereError,
    RefusedError,
    StoreLockedError,
    WrongStoreError,
)
from ruleengine.store.store import Store
from tests.store.asking import code_of, document, exported
from tests.store.conftest import again
from tests.store.tables import FIRST, IDENTITY, RULES, SECOND, Rules, fill, header, held, hold, publish

# -- which versions there are ------------------------------------------------------------------------------


def test_the_same_run_makes_no_new_version(store: Store) -> None:
    first = publish(store, "2026-01-01", FIRST, fingerprint="data 1")

    again = publish(store, "2026-01-01", FIRST, fingerprint="data 1")
    assert again == first
    assert [run.state for run in store.runs()] == [RunState.UNCHANGED, RunState.PUBLISHED]
    assert store.runs()[0].version == 1
    with store.writer("tester", IDENTITY) as writer:
        assert writer.same_as_current(header("2026-01-01", fingerprint="data 1")) == first
        assert writer.same_as_current(header("2026-01-01", fingerprint="data 2")) is None
        assert writer.same_as_current(header("2026-01-02", fingerprint="data 1")) is None
        assert writer.same_as_current(header("2026-01-01", fingerprint="data 1", rules="rules 2")) is None
        assert writer.same_as_current(header("2026-01-01")) is None


def test_other_data_makes_a_version_even_without_a_change(store: Store) -> None:
    publish(store, "2026-01-01", FIRST, fingerprint="data 1")

    second = publish(store, "2026-01-01", FIRST, fingerprint="data 2")

    assert (second.number, second.base, second.movement.rows) == (2, 1, 0)


def test_a_run_for_an_earlier_day_is_detached(store: Store, tmp_path: Path) -> None:
    publish(store, "2026-01-01", FIRST)
    publish(store, "2026-03-01", SECOND)

    version = publish(store, "2026-02-01", {1: held("VIP", loyalty="Member")})

    assert (version.number, version.detached, version.base) == (3, True, 1)
    assert store.current() == store.version(2)
    assert store.line() == (2, 1)
    assert version.movement.vanished == 2
    assert document(store, 1)["tiers"]["loyalty"]["level"] == "Silver"
    assert document(store, 1, 3)["tiers"]["loyalty"] == {"level": "Member", "since": "2026-02-01"}
    assert document(store, 1, 3)["tags"] == [{"name": "VIP", "since": "2026-01-01"}]
    assert document(store, 2, 3) is None
    assert [row[4] for row in exported(store, tmp_path / "d.csv", version=3)[1:]] == ["2026-01-01", "2026-02-01"]
    assert [row.customer for row in store.diff(2, 3).rows] == [1, 1, 3, 4, 4]
    assert {entry.version: entry.in_line for entry in store.history(1)} == {1: True, 2: True, 3: False}
    with pytest.raises(NotKeptError):
        store.members("tag", "VIP", version=3)


def test_a_day_before_everything_is_compared_with_nothing(store: Store) -> None:
    publish(store, "2026-03-01", SECOND)

    version = publish(store, "2026-01-01", FIRST)

    assert (version.detached, version.base, version.movement.arrived) == (True, None, 3)
    assert document(store, 2, version.number)["tags"] == [{"name": "New", "since": "2026-01-01"}]
    assert publish(store, "2026-04-01", SECOND).base == 1


def test_the_version_in_force_on_a_day_is_the_later_of_equal_ones(store: Store) -> None:
    for day in ("2026-01-01", "2026-02-01", "2026-02-01", "2026-03-01"):
        publish(store, day, FIRST)

    def in_force(day: date) -> int | None:
        found = store.in_force(day)
        return found.number if found else None

    assert in_force(date(2025, 12, 31)) is None
    assert in_force(date(2026, 1, 31)) == 1
    assert in_force(date(2026, 2, 1)) == 3
    assert in_force(date(2027, 1, 1)) == 4


def test_a_rollback_brings_back_a_version_with_its_dates(store: Store, tmp_path: Path) -> None:
    publish(store, "2026-01-01", FIRST, fingerprint="data 1")
    publish(store, "2026-02-01", SECOND)
    publish(store, "2026-03-01", {1: held("New"), 5: held("VIP")})

    with store.writer("anna", IDENTITY) as writer:
        version = writer.rollback(1, "wrong file")

    assert (version.number, version.kind, version.base, version.replaces) == (4, VersionKind.ROLLBACK, 1, 3)
    assert (version.actor, version.reason, version.as_of) == ("anna", "wrong file", date(2026, 1, 1))
    assert store.line() == (4, 1)
    for key in range(1, 7):
        assert document(store, key) == document(store, key, 1)
    one, four = (exported(store, tmp_path / f"{number}.csv", version=number) for number in (1, 4))
    assert [row[:5] for row in one] == [row[:5] for row in four]
    assert version.counts == store.version(1).counts
    restored = [entry for entry in store.history(1) if entry.version == 4]
    assert [(each.change.name, each.change.new, each.change.since) for each in restored] == [
        ("New", None, None),
        ("VIP", GIVEN, date(2026, 1, 1)),
        ("loyalty", "Gold", date(2026, 1, 1)),
    ]
    assert {entry.version: entry.in_line for entry in store.history(1)} == {1: True, 2: False, 3: False, 4: True}
    assert store.values(1) == store.values(1, 1)
    # The same run as the version brought back is the current version again.
    assert publish(store, "2026-01-01", FIRST, fingerprint="data 1").number == 4
    # And what was a day in the past is ahead again.
    later = publish(store, "2026-02-15", SECOND)
    assert (later.detached, later.base) == (False, 4)
    assert store.line() == (5, 4, 1)


def test_a_rollback_brings_back_since_when_even_of_what_is_held_now(store: Store) -> None:
    publish(store, "2026-01-01", {1: held("VIP")})
    publish(store, "2026-02-01", {1: held()})
    publish(store, "2026-03-01", {1: held("VIP")})

    with store.writer("tester", IDENTITY) as writer:
        version = writer.rollback(1, "wrong")

    assert document(store, 1)["tags"] == [{"name": "VIP", "since": "2026-01-01"}]
    assert version.movement.rows == 0
    assert store.members("tag", "VIP").customers == (1,)


def test_a_rollback_can_be_rolled_back(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    publish(store, "2026-02-01", SECOND)
    with store.writer("tester", IDENTITY) as writer:
        writer.rollback(1, "wrong")
        writer.rollback(2, "it was right")

    assert store.line() == (4, 2, 1)
    for key in range(1, 5):
        assert document(store, key) == document(store, key, 2)


def test_what_cannot_be_rolled_back_to_is_refused(store: Store) -> None:
    publish(store, "2026-02-01", FIRST)
    publish(store, "2026-01-01", SECOND)

    with store.writer("tester", IDENTITY) as writer:
        for number, code in ((1, "version-current"), (2, "version-detached"), (7, "version-unknown")):
            with pytest.raises(ProblemError) as error:
                writer.rollback(number, "why not")
            assert code_of(error) == code
        with pytest.raises(RefusedError) as error:
            writer.rollback(1, " ")
        assert code_of(error) == "reason-missing"


# -- runs that are held or fail ----------------------------------------------------------------------------


def test_a_held_run_can_be_looked_at_and_published(store: Store, tmp_path: Path) -> None:
    publish(store, "2026-01-01", FIRST)

    delta = hold(store, "2026-02-01", SECOND)

    run = store.run(delta.run.id)
    assert (run.state, run.reasons, run.base, run.version) == (RunState.HELD, ("too many changes",), 1, None)
    assert document(store, 1)["tiers"]["loyalty"]["level"] == "Gold"
    assert [row[5] for row in exported(store, tmp_path / "held.csv", run=run.id)[1:]] == [""] * 6
    with store.writer("anna", IDENTITY) as writer:
        version = writer.publish_held(run.id, "checked by hand")
    assert (version.number, version.reason, version.actor) == (2, "checked by hand", "anna")
    # Sealed with it: who began the run, and why it was held.
    assert (version.begun_by, version.begun_at, version.held) == ("tester", run.started_at, ("too many changes",))
    assert (store.version(1).begun_by, store.version(1).held) == ("tester", ())
    assert document(store, 1)["tiers"]["loyalty"]["level"] == "Silver"
    assert document(store, 2) is None
    assert store.members("tag", "New").customers == (4,)


def test_a_held_run_is_superseded_by_another_version(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    delta = hold(store, "2026-02-01", SECOND)
    publish(store, "2026-02-01", FIRST)

    with store.writer("tester", IDENTITY) as writer, pytest.raises(RefusedError) as error:
        writer.publish_held(delta.run.id, "late")

    assert code_of(error) == "run-superseded"


def test_a_detached_version_does_not_supersede_a_held_run(store: Store) -> None:
    publish(store, "2026-02-01", FIRST)
    delta = hold(store, "2026-03-01", SECOND)
    publish(store, "2026-01-01", {8: held("VIP"), 4: held("Sleeping")})

    with store.writer("tester", IDENTITY) as writer:
        version = writer.publish_held(delta.run.id, "fine")

    assert (version.number, version.base) == (3, 1)
    assert document(store, 4)["tags"] == [{"name": "New", "since": "2026-03-01"}]


def test_the_first_run_can_be_held_too(store: Store) -> None:
    delta = hold(store, "2026-01-01", FIRST)
    other = hold(store, "2026-01-01", SECOND)
    assert store.current() is None

    with store.writer("tester", IDENTITY) as writer:
        assert writer.publish_held(delta.run.id, "fine").number == 1
        for run, code in ((other.run.id, "run-compared-with-nothing"), (delta.run.id, "run-not-held")):
            with pytest.raises(RefusedError) as error:
                writer.publish_held(run, "again")
            assert code_of(error) == code
        with pytest.raises(NotThereError):
            writer.publish_held("nothing", "again")
    assert document(store, 1) is not None


def test_a_run_that_raises_is_recorded_as_failed(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)

    def interrupted() -> None:
        with store.writer("tester", IDENTITY) as writer:
            writer.begin(header("2026-02-01"))
            raise ZeroDivisionError("over there")

    with pytest.raises(ZeroDivisionError):
        interrupted()

    run = store.runs()[0]
    assert (run.state, run.reasons) == (RunState.FAILED, ("ZeroDivisionError: over there",))
    assert store.line() == (1,)


# -- one writer, one ruleset, somebody who did it ----------------------------------------------------------


def test_a_second_writer_learns_at_once_who_is_at_work(store: Store) -> None:
    other = again(store)

    with store.writer("anna", IDENTITY), pytest.raises(StoreLockedError) as error, other.writer("ben", IDENTITY):
        pass

    assert error.value.holder is not None
    assert error.value.holder.actor == "anna"
    assert code_of(error) == "store-locked"
    with other.writer("ben", IDENTITY):
        pass


@pytest.mark.parametrize(
    "identity",
    [
        Identity(ruleset="wholesale", entity="customer", key_type="integer"),
        Identity(ruleset="retail", entity="shop", key_type="integer"),
        Identity(ruleset="retail", entity="customer", key_type="text"),
    ],
)
def test_another_rulesets_store_is_refused(store: Store, identity: Identity) -> None:
    publish(store, "2026-01-01", FIRST)

    with pytest.raises(WrongStoreError) as error, store.writer("tester", identity):
        pass

    assert code_of(error) == "store-of-another"
    assert store.identity() == IDENTITY


def test_no_actor_no_change(store: Store) -> None:
    with pytest.raises(RefusedError) as error, store.writer("  ", IDENTITY):
        pass

    assert code_of(error) == "actor-missing"
    assert store.identity() is None


# -- before anything is published --------------------------------------------------------------------------


def test_a_preview_finds_what_staging_would_and_writes_nothing(store: Store, tmp_path: Path) -> None:
    publish(store, "2026-01-01", FIRST)
    before = sorted(path for path in tmp_path.rglob("*.parquet"))
    connection = duckdb.connect()
    rules = Rules(tags=("Fresh", "VIP", "Sleeping", "New"))
    fill(connection, rules, SECOND | {1: held("VIP", "Sleeping", "Fresh", loyalty="Silver")})

    preview = store.preview(
        connection, rules.layout, date(2026, 2, 1), Asked(measure=rules.layout.values[1], samples=2)
    )

    assert preview.base == store.version(1)
    assert (preview.before, preview.stayed, preview.movement.vanished) == (3, 2, 1)
    assert [(move.name, move.old, move.new, move.customers) for move in preview.moves] == [
        ("loyalty", "Gold", "Silver", 1),
        ("abc", None, "C", 1),
    ]
    assert {(shift.name, shift.old, shift.new): shift.samples for shift in preview.shifts if 1 in shift.samples} == {
        ("Fresh", None, "given"): (1,),
        ("Sleeping", None, "given"): (1,),
        ("loyalty", "Gold", "Silver"): (1,),
    }
    assert preview.values[1]["frequency"] == 0
    assert preview.counts.tags == {"Fresh": 1, "VIP": 1, "Sleeping": 1, "New": 1}
    assert sorted(path for path in tmp_path.rglob("*.parquet")) == before
    assert len(store.runs()) == 1


def test_a_preview_needs_no_store(store: Store, tmp_path: Path) -> None:
    connection = duckdb.connect()
    fill(connection, RULES, FIRST)

    preview = store.preview(connection, RULES.layout, date(2026, 1, 1), Asked())

    assert (preview.base, preview.movement.arrived, sum(shift.customers for shift in preview.shifts)) == (None, 3, 4)
    assert list(tmp_path.iterdir()) == []


def test_staging_works_on_a_connection_that_is_locked_down(store: Store) -> None:
    publish(store, "2026-01-01", FIRST)
    with store.writer("tester", IDENTITY) as writer:
        connection = duckdb.connect()
        fill(connection, RULES, SECOND)
        folders = ", ".join(f"'{folder}'" for folder in store.directories)
        connection.execute(f"SET allowed_directories = [{folders}]")
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")

        delta = writer.stage(writer.begin(header("2026-02-01")), connection, RULES.layout)
        writer.publish(delta)

    assert store.line() == (2, 1)
    assert connection.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchone() == (0,)
