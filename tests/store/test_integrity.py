"""Files that are not what was written, one by one; `tests/torture` damages all of them, at random."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ruleengine.diagnostics.problem import Problem
from ruleengine.store import integrity, open_store
from ruleengine.store.files import Folder
from ruleengine.store.refusals import DamagedError
from ruleengine.store.sqlite import Connection
from ruleengine.store.store import Store
from tests.store.child import generation, publish_generation
from tests.store.tables import IDENTITY, hold, publish

STORES = ("embedded",)


def told(error: pytest.ExceptionInfo[DamagedError]) -> dict[str, object]:
    (problem,) = error.value.problems
    return {"code": problem.code.name, **problem.facts}


@pytest.fixture
def folder(store: Store, tmp_path: Path) -> Path:
    """A store with two versions, at rest."""
    for number in range(2):
        publish_generation(store, number)
    store.close()
    return tmp_path / "store"


def test_a_file_is_named_with_its_version_and_what_does_not_need_it_is_answered(folder: Path, tmp_path: Path) -> None:
    store = open_store(folder)
    path = folder / "runs" / store.version(2).run / "state.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(DamagedError) as error:
        store.export(tmp_path / "all.csv")
    with pytest.raises(DamagedError):
        publish_generation(store, 2)

    name = path.relative_to(folder).as_posix()
    assert told(error) == {"code": "store-file-changed", "file": name, "version": 2}
    assert store.customer(5).version == 2
    assert store.export(tmp_path / "all.csv", version=1) > 0
    assert [problem.facts["file"] for problem in store.damage()] == [name]
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    publish_generation(store, 2)


def test_a_held_run_with_a_damaged_file_is_not_published(folder: Path) -> None:
    store = open_store(folder)
    run = hold(store, "2026-01-03", generation(2)).run.id
    (folder / "runs" / run / "values.parquet").unlink()

    with pytest.raises(DamagedError) as error, store.writer("tester", IDENTITY) as writer:
        writer.publish_held(run, "because")

    assert told(error) == {"code": "store-file-missing", "file": f"runs/{run}/values.parquet"}
    current = store.current()
    assert current is not None
    assert current.number == 2


def _gone(folder: Path) -> None:
    (folder / "ledger.db").unlink()


def _empty(folder: Path) -> None:
    (folder / "ledger.db").write_bytes(b"")


@pytest.mark.parametrize("lose", [_gone, _empty])
def test_a_store_that_lost_its_ledger_is_no_empty_store(folder: Path, lose: Callable[[Path], None]) -> None:
    """A run would otherwise take all its files for leftovers."""
    lose(folder)
    before = sorted(folder.rglob("*.parquet"))

    with pytest.raises(DamagedError) as reading:
        open_store(folder).current()
    with pytest.raises(DamagedError):
        publish(open_store(folder), "2026-01-03", generation(2))

    assert told(reading) == {"code": "store-file-missing", "file": "ledger.db"}
    assert sorted(folder.rglob("*.parquet")) == before


def test_an_older_ledger_is_not_taken_for_the_last_one(folder: Path) -> None:
    older = folder.with_name("older.db")
    shutil.copy(folder / "ledger.db", older)
    store = open_store(folder)
    publish_generation(store, 2)
    store.close()
    shutil.copy(older, folder / "ledger.db")

    with pytest.raises(DamagedError) as error:
        open_store(folder).current()
    with pytest.raises(DamagedError):
        publish_generation(open_store(folder), 2)

    assert told(error) == {"code": "store-file-outdated", "file": "ledger.db", "note": "ledger.seen", "version": 3}
    # The way out that is told: go on from what there is.
    (folder / "ledger.seen").unlink()
    publish_generation(open_store(folder), 2)
    assert open_store(folder).damage() == ()


@pytest.mark.parametrize("size", [1, 100, 5000, -1])
def test_a_ledger_that_is_cut_is_not_read(folder: Path, size: int) -> None:
    content = (folder / "ledger.db").read_bytes()
    (folder / "ledger.db").write_bytes(content[:size])

    with pytest.raises(DamagedError) as error:
        open_store(folder).current()

    assert told(error) == {"code": "store-file-changed", "file": "ledger.db"}


@pytest.mark.parametrize("file", ["values", "state", "changes", "memory", "arrivals", "salts"])
def test_an_audit_names_the_version_of_a_file_that_was_changed(folder: Path, file: str) -> None:
    store = open_store(folder)
    path = folder / "runs" / store.version(2).run / f"{file}.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    assert store.audit().first_bad == 2


def test_what_a_writer_prunes_meanwhile_is_no_damage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its look into the ledger was before, its opening of the files is after."""
    monkeypatch.setattr("ruleengine.store.sweeping.KEPT_FILES", 1)
    store, days = open_store(folder), iter((2, 3))
    damaged = integrity.problems

    def late(connection: Connection, of: Folder) -> Iterator[Problem]:
        for day in days:
            publish_generation(open_store(folder), day)
            break
        return damaged(connection, of)

    monkeypatch.setattr(integrity, "problems", late)

    assert store.audit().findings == ()
    assert store.damage() == ()
    assert next(days, None) is None
