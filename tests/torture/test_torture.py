"""The short forms: a few of everything in `make test`, more in `make test-slow`."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from ruleengine.store.steps import STEPS
from ruleengine.store.store import Store
from tests.torture import crashes, damage, disks, races
from tests.torture.__main__ import WRONG

Stores = Callable[[], Store]


def nothing_wrong(counts: Counter[str]) -> bool:
    assert {what: counts[what] for what in WRONG if counts[what]} == {}
    return True


@pytest.mark.parametrize("times", [pytest.param(12, id="few"), pytest.param(100, id="more", marks=pytest.mark.slow)])
def test_a_damaged_file_is_named_and_never_answered_from(tmp_path: Path, times: int) -> None:
    counts = damage.torture(tmp_path / "damage", 5, 1, most=times)

    assert nothing_wrong(counts)
    assert counts["named"] > times / 4  # The rest hit files that say nothing of a version.


@pytest.mark.parametrize("kills", [pytest.param(3, id="few"), pytest.param(25, id="more", marks=pytest.mark.slow)])
def test_whoever_is_killed_leaves_whole_versions_in_a_folder(tmp_path: Path, kills: int) -> None:
    counts = crashes.torture(crashes.folders(tmp_path), kills, 2, readers=1 if kills < 10 else 4)

    assert nothing_wrong(counts)
    assert (counts["kills"], counts["reads"] > 0) == (kills, True)


@pytest.mark.slow
def test_whoever_is_killed_at_a_step_leaves_whole_versions(tmp_path: Path) -> None:
    assert nothing_wrong(crashes.torture(crashes.folders(tmp_path), len(STEPS), 3, STEPS))


@pytest.mark.slow
def test_whoever_is_killed_leaves_whole_versions_in_postgres() -> None:
    with ExitStack() as resources:
        assert nothing_wrong(crashes.torture(crashes.schemas(resources), 20, 4))


@pytest.mark.parametrize("rounds", [pytest.param(2, id="few"), pytest.param(12, id="more", marks=pytest.mark.slow)])
def test_writers_at_once_come_one_after_another_in_a_folder(tmp_path: Path, rounds: int) -> None:
    counts = races.torture(crashes.folders(tmp_path), rounds, 5)

    assert nothing_wrong(counts)
    assert counts["refused"] > 0


@pytest.mark.slow
def test_writers_at_once_come_one_after_another_in_postgres() -> None:
    with ExitStack() as resources:
        assert nothing_wrong(races.torture(crashes.schemas(resources), 8, 6))


@pytest.mark.slow
def test_a_disk_without_room_is_told(tmp_path: Path) -> None:
    assert nothing_wrong(disks.torture(crashes.folders(tmp_path), 64 * 1024, 7))
    assert nothing_wrong(disks.on_small_disks(tmp_path / "disk", range(300_000, 700_000, 200_000), 8))
