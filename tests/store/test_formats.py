"""Stores that earlier formats left. They are kept in `kept/`, packed; each was written by the program of its time."""

import shutil
import tarfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ruleengine.planning.memory import ManualMemory, Memory, TagMemory
from ruleengine.store import open_store, sqlite
from ruleengine.store.store import Store
from ruleengine.store.versions import FORMAT
from tests import duck
from tests.store import verifier
from tests.store.tables import IDENTITY, held, publish

STORES = ("embedded",)

KEPT = Path(__file__).with_name("kept")
ASKED = Memory(
    tags=(TagMemory(tag="VIP", formerly=(), held="held", matched="matched"),),
    manual=(ManualMemory(kind="tag", name="VIP", formerly=(), column="by_hand"),),
)


@pytest.fixture
def old(tmp_path: Path) -> Store:
    """Four runs and more in a row, one for an earlier day, one that was held, and a rollback."""
    return unpacked(1, tmp_path)


@pytest.fixture
def last(tmp_path: Path) -> Store:
    """The same of format 2, with a tag set by hand, a run that is still held, and a key."""
    return unpacked(2, tmp_path)


def unpacked(number: int, folder: Path) -> Store:
    with tarfile.open(KEPT / f"format-{number}.tar.xz") as packed:
        packed.extractall(folder, filter="data")
    shutil.move(folder / f"format-{number}", folder / "store")
    return open_store(folder / "store")


def remembered(store: Store, day: date) -> list[tuple[object, ...]]:
    with duck.database() as connection:
        store.recall(connection, ASKED, day)
        return connection.execute("SELECT * FROM remembered ORDER BY customer").fetchall()


def test_an_older_store_is_read_as_it_is(old: Store, tmp_path: Path) -> None:
    assert [version.number for version in old.versions()] == list(range(1, 10))
    assert old.line() == (9, 8, 7, 6, 5, 4, 1)
    assert old.export(tmp_path / "rows.csv") == 4
    assert [entry.version for entry in old.history(4)] == [2, 2, 4, 4]
    assert remembered(old, date(2026, 3, 5)) == [(key, True, date(2026, 3, 4), None) for key in (1, 2)]
    assert verifier.check(tmp_path / "store") == []


def test_an_older_store_is_written_in_todays_format_from_then_on(old: Store, tmp_path: Path) -> None:
    before = old.versions()

    with old.writer("tester", IDENTITY) as writer:
        writer.rollback(2, "back")
    version = publish(old, "2026-04-01", {1: held("VIP")})

    assert (version.number, version.base) == (11, 10)
    assert old.versions()[:9] == before
    assert remembered(old, date(2026, 4, 2)) == [(1, True, date(2026, 4, 1), None)]
    ledger = sqlite.writer(tmp_path / "store" / "ledger.db", 5)
    assert ledger.execute("SELECT value FROM meta WHERE name = 'format'").fetchone() == (str(FORMAT),)
    assert verifier.check(tmp_path / "store") == []


def test_a_store_without_checksums_is_read_as_it_is(last: Store, tmp_path: Path) -> None:
    assert last.line() == (9, 3, 2, 1)
    assert last.export(tmp_path / "rows.csv") == 25
    assert last.key("d" * 64) is not None
    assert last.damage() == ()
    assert verifier.check(tmp_path / "store") == []


def test_a_store_has_checksums_from_the_first_write_on(last: Store, tmp_path: Path) -> None:
    before, held_run = last.versions(), last.runs()[0]
    reading = open_store(tmp_path / "store")
    assert reading.customer(5).version == 9

    with last.writer("tester", IDENTITY) as writer:
        made = writer.rollback(7, "back")
    last.revoke_key("k1", datetime(2026, 4, 1, tzinfo=UTC))

    assert (made.number, last.versions()[:9]) == (10, before)
    assert last.run(held_run.id) == held_run
    assert last.damage() == ()
    # Somebody who read all the while goes on reading.
    assert reading.customer(5).version == 10
    for name in ("ledger.db", "keys.db"):
        path = tmp_path / "store" / name
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    assert {problem.facts["file"] for problem in open_store(tmp_path / "store").damage()} == {"ledger.db", "keys.db"}


@pytest.mark.parametrize("number", [1, 2])
def test_an_older_store_moves_as_it_is(number: int, tmp_path: Path) -> None:
    source, target = unpacked(number, tmp_path), open_store(tmp_path / "moved")
    with source.packed("mover") as content:
        target.unpack(content, "mover")

    assert target.versions() == source.versions()
    assert target.runs() == source.runs()
    assert target.keys() == source.keys()
    assert [target.history(key) for key in range(1, 6)] == [source.history(key) for key in range(1, 6)]
    for version in source.versions():
        for store, name in ((source, "old"), (target, "new")):
            store.export(tmp_path / f"{name}.csv", version=version.number)
        assert (tmp_path / "old.csv").read_bytes() == (tmp_path / "new.csv").read_bytes()
    assert remembered(target, date(2026, 3, 5)) == remembered(source, date(2026, 3, 5))
    assert verifier.check(tmp_path / "moved") == []
    assert target.damage() == ()


def test_a_store_of_format_2_forgets_from_then_on(last: Store, tmp_path: Path) -> None:
    before = last.version(9).counts.customers

    with last.writer("tester", IDENTITY) as writer:
        writer.forget([5], "asked to")

    assert last.version(10).counts.customers == before - 1
    assert last.history(5) == ()
    assert [last.customer(5, number).document for number in range(1, 11)] == [None] * 10
    assert last.damage() == ()
    assert verifier.check(tmp_path / "store") == []
