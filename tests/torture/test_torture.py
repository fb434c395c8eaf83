"""The short forms: a few of everything in `make test`, more in `make test-slow`."""

import os
import random
from collections import Counter

import pytest

from tests.lives import begin
from tests.store.steps import STEPS
from tests.torture import commands, crashes, damage, disks, keys, moves, races, world
from tests.torture.long import WRONG
from tests.torture.pages import end_of_log
from tests.torture.stores import in_database, in_folder


def nothing_wrong(counts: Counter[str]) -> bool:
    assert {what: counts[what] for what in WRONG if counts[what]} == {}
    return True


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> damage.Stores:
    return damage.Stores.made(tmp_path_factory.mktemp("damage") / "stores")


@pytest.mark.parametrize("times", [pytest.param(12, id="few"), pytest.param(100, id="more", marks=pytest.mark.slow)])
def test_a_damaged_file_is_named_and_never_answered_from(stores: damage.Stores, times: int) -> None:
    every = list(damage.damages(stores, 5, random.Random(1)))
    chosen = random.Random(2).sample([each for each in every if not each.is_harmless], times)

    counts = damage.torture(stores, chosen, 3)

    assert nothing_wrong(counts)
    assert counts["named"] == times


def test_bytes_that_nobody_reads_are_told_from_others(stores: damage.Stores) -> None:
    ledger, log = (stores.cut / ".ruleengine" / name for name in ("ledger.db", "ledger.db-wal"))
    every = list(damage.damages(stores, 40, random.Random(1)))
    unread = [each for each in every if each.path == ledger and each.is_harmless]
    end = end_of_log(log.read_bytes())

    counts = damage.torture(stores, unread[:4], 3)

    assert nothing_wrong(counts)
    assert counts["of no account"] == 4
    assert damage.Damage(stores.cut, "truncated", log, end).is_harmless
    assert not damage.Damage(stores.cut, "truncated", log, end - 1).is_harmless
    assert not all(each.is_harmless for each in every if each.path == ledger and each.kind == "flipped")


@pytest.mark.parametrize("kills", [pytest.param(3, id="few"), pytest.param(40, id="more", marks=pytest.mark.slow)])
def test_whoever_is_killed_leaves_whole_versions_in_a_folder(kills: int) -> None:
    counts = crashes.torture(in_folder, kills, 2, readers=1 if kills < 10 else 4)

    assert nothing_wrong(counts)
    assert (counts["kills"], counts["reads"] > 0) == (kills, True)


@pytest.mark.slow
def test_whoever_is_killed_at_a_step_leaves_whole_versions() -> None:
    steps = crashes.FOLDER_STEPS

    assert nothing_wrong(crashes.torture(in_folder, len(steps), 3, steps))
    assert nothing_wrong(crashes.torture(in_database, len(crashes.SCHEMA_STEPS), 3, crashes.SCHEMA_STEPS))


@pytest.mark.slow
def test_whoever_is_killed_leaves_whole_versions_in_postgres() -> None:
    assert nothing_wrong(crashes.torture(in_database, 20, 4))


@pytest.mark.slow
def test_a_server_that_crashes_keeps_what_it_said() -> None:
    counts = crashes.of_servers(4, 5)

    assert nothing_wrong(counts)
    assert counts["crashes"] == 4


@pytest.mark.slow
def test_a_move_that_is_killed_leaves_all_or_nothing() -> None:
    assert nothing_wrong(moves.torture(in_folder, in_database, 3, 6))
    assert nothing_wrong(moves.torture(in_database, in_folder, 3, 7))


def test_keys_are_found_whoever_is_killed() -> None:
    assert nothing_wrong(keys.torture(5, 8))


@pytest.mark.slow
def test_commands_that_are_killed_leave_whole_versions() -> None:
    counts = commands.torture(8, 9)

    assert nothing_wrong(counts)
    assert counts["kills"] >= 4


@pytest.mark.parametrize("rounds", [pytest.param(2, id="few"), pytest.param(10, id="more", marks=pytest.mark.slow)])
def test_writers_at_once_come_one_after_another_in_a_folder(rounds: int) -> None:
    counts = races.torture(in_folder, rounds, 5)

    assert nothing_wrong(counts)
    assert counts["refused"] > 0


@pytest.mark.slow
def test_writers_at_once_come_one_after_another_in_postgres() -> None:
    assert nothing_wrong(races.torture(in_database, 8, 6))


@pytest.mark.slow
def test_files_that_may_not_grow_are_told() -> None:
    counts = disks.torture(in_folder, world.ACTS, 7)

    assert nothing_wrong(counts)
    assert counts["full"] >= len(world.ACTS)


@pytest.mark.slow
def test_a_disk_without_room_is_told() -> None:
    try:
        counts = disks.on_small_disks([300_000, 600_000], 8)
    except OSError as error:
        if "CI" in os.environ:  # There, nothing is left out.
            raise
        pytest.skip(f"only root can mount a small file system: {error}")
    assert nothing_wrong(counts)


def test_whoever_has_ended_cannot_be_killed() -> None:
    ended = begin(print)
    assert ended.ended() == 0

    assert not ended.kill()


def test_a_step_that_is_named_is_reached() -> None:
    """Or a kill at it would prove nothing."""
    assert {step for what, step in crashes.FOLDER_STEPS if what == "run"} == set(STEPS)
