"""A connection that breaks, wherever it may."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ruleengine.store.records import RunState
from tests import postgres
from tests.faults.shop import FIRST, INSIDE, Shop, shop, terminate
from tests.faults.wire import Where, Wire, wire

WAYS: Sequence[Where] = ("before", "answer", "amid", "ended")
STORES = {"inside": INSIDE, "folder": '".store"'}


@pytest.fixture(params=STORES)
def at(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    with shop(tmp_path, STORES[request.param]) as made:
        yield made


@pytest.fixture
def inside(tmp_path: Path) -> Iterator[Shop]:
    with shop(tmp_path) as made:
        yield made


@pytest.fixture
def through() -> Iterator[Wire]:
    with wire(postgres.server(), terminate) as made:
        yield made


def broken_everywhere(
    at: Shop, through: Wire, places: Sequence[tuple[int, Where]] | None = None, after: bytes = b""
) -> int:
    """Run with the connection cut at each place, at every one there is without; answers how many runs failed.

    A run that fails says so, leaves the last version as it is, and is tidied up after by the next; one that does not
    has published.
    """
    address = through.address(postgres.owner())
    expected = at.expected()
    current, published, failed = at.current(), 1, 0
    for place, where in places or [(nth, way) for nth in range(1, 10_000) for way in WAYS[nth % 2 :: 2]]:
        if at.state == published:
            at.change(1 - published)
        through.begin(place, where, after)
        code, said = at.run(address=address)
        if not through.was_cut:
            assert code == 0, said
            break
        assert code in (0, 5), (place, where, said)
        if code:
            assert "database-lost" in said or "database-unreachable" in said, (place, where, said)
            failed += 1
        else:
            published, current = 1 - published, current + 1
        assert at.current() == current, (place, where, said)
        assert at.answers() == expected[published], (place, where)
    at.change(1 - published)
    assert at.run()[0] == 0
    assert at.answers() == expected[1 - published]
    assert set(at.runs()) <= {RunState.PUBLISHED, RunState.FAILED}
    return failed


def test_it_breaks_somewhere_in_a_run(at: Shop, through: Wire) -> None:
    at.run(FIRST)
    through.begin()
    assert at.run(address=through.address(postgres.owner()))[0] == 0
    chosen = random.Random(0).sample(range(1, len(through.heard) * 3 // 4), 4)
    assert broken_everywhere(at, through, [(place, WAYS[place % 4]) for place in chosen]) == len(chosen)


@pytest.mark.slow
def test_it_breaks_anywhere_in_a_run(at: Shop, through: Wire) -> None:
    assert broken_everywhere(at, through) > 80


PUBLISHED = b"finished_at = $2, version = $3, staged"
COMMIT = 2
"""The statement after that."""


def test_it_breaks_while_a_version_is_committed(inside: Shop, through: Wire) -> None:
    """Whether it is there is asked on another connection."""
    places: list[tuple[int, Where]] = [(COMMIT, "before"), (COMMIT, "ended"), (COMMIT, "answer")]

    assert broken_everywhere(inside, through, places, PUBLISHED) == 2
    assert b"COMMIT" in through.heard[COMMIT - 1]


def test_it_breaks_while_a_version_is_committed_and_nobody_can_be_asked(inside: Shop, through: Wire) -> None:
    inside.run(FIRST)
    through.begin(COMMIT, "answer", PUBLISHED)
    before, through.for_good = inside.current(), True

    code, told = inside.run(address=through.address(postgres.owner()))

    assert code == 5
    assert "version-in-doubt" in told
    assert f"version {before + 1} was being published" in told
    assert inside.current() == before + 1  # It was done, and nobody was told.
    assert inside.ask("doctor")[0] == 0
    assert inside.run()[0] == 0
