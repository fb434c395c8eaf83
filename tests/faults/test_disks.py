"""A server whose disk is full: where its tables lie, and where its log does."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests.faults.cluster import Cluster, cluster
from tests.faults.shop import FIRST, INSIDE, Shop, meanwhile

MEGABYTES = 160
SEGMENT = 16 << 20
pytestmark = pytest.mark.slow


@pytest.fixture
def own() -> Iterator[Cluster]:
    try:
        with cluster(MEGABYTES) as made:
            yield made
    except OSError as error:
        if "CI" in os.environ:  # There, nothing is left out.
            raise
        pytest.skip(f"no small file system can be made here: {error}")


@pytest.fixture
def at(own: Cluster, tmp_path: Path) -> Shop:
    own.admin().execute("CREATE SCHEMA shop")
    made = Shop(tmp_path, own.admin, own.address, INSIDE)
    assert made.run(FIRST)[0] == 0
    return made


@pytest.mark.parametrize("left", [0, 200_000])
def test_no_room_for_rows(at: Shop, own: Cluster, left: int) -> None:
    before, answers = at.current(), at.answers()
    at.change(1)
    with own.filled(left):
        code, told = at.run()
        assert code == 5
        assert "No space left on device" in told
        assert (at.current(), at.answers()) == (before, answers)
    assert at.run()[0] == 0
    assert at.current() == before + 1


def test_no_room_for_the_log(at: Shop, own: Cluster) -> None:
    """The server goes down with it, and comes back with what was published."""
    before, answers = at.current(), at.answers()
    at.change(1)

    def use_up() -> None:
        with suppress(psycopg.Error), own.admin() as connection:
            for _ in range(MEGABYTES // 16):
                connection.execute("SELECT pg_logical_emit_message(false, 'more', 'log'), pg_switch_wal()")

    with own.filled(SEGMENT // 2), meanwhile('INTO "ours".assignments', use_up):
        code, told = at.run()
        assert code == 5
        assert "database-" in told
    own.start_again()
    assert (at.current(), at.answers()) == (before, answers)
    assert at.run()[0] == 0
    assert at.current() == before + 1
