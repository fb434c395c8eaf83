"""Disks that are full, files that are gone, stores of another time."""

from datetime import date
from pathlib import Path
from typing import Any

import apsw
import duckdb
import pytest

from ruleengine.store import archive, files, open_store, previewing, sqlite
from ruleengine.store.records import Preview, RunState
from ruleengine.store.refusals import StoreUnusableError
from ruleengine.store.store import Store
from tests.store.child import publish_generation
from tests.store.tables import IDENTITY, RULES, fill, held, publish
from tests.store.test_crashes import check_tidy, check_whole, child

STORES = ("embedded",)


@pytest.mark.parametrize("largest", [5_000, 40_000, 60_000])
def test_a_full_disk_is_a_failed_run(tmp_path: Path, largest: int) -> None:
    """Wherever the disk is full: in the files of the run, or in the ledger."""
    store = open_store(tmp_path / "store")
    publish_generation(store, 0)

    starved = child(tmp_path / "store", "publish-on-a-small-disk", "1", str(largest))

    assert starved.stdout.strip() == "store-unusable", starved.stderr
    check_whole(store, 1, tmp_path)
    publish_generation(store, 1)
    check_whole(store, 2, tmp_path)
    check_tidy(tmp_path, store)
    assert [run.state for run in store.runs()][-1] is RunState.PUBLISHED


@pytest.mark.parametrize("file", ["values", "state", "memory", "arrivals", "salts", "changes"])
def test_a_file_that_cannot_be_written_fails_the_run_and_says_why(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    publish_generation(store, 0)
    sync = files.sync

    def full(path: Path) -> None:
        if path.name.startswith(file):
            raise OSError(28, "No space left on device")
        sync(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync", full)
        with pytest.raises(StoreUnusableError) as error:
            publish_generation(store, 1)

    assert "No space left" in str(error.value.problems[0].facts["reason"])
    run = store.runs()[0]
    assert run.state is RunState.FAILED
    assert "No space left" in run.reasons[0]
    check_whole(store, 1, tmp_path)
    check_tidy(tmp_path, store)
    publish_generation(store, 1)
    check_whole(store, 2, tmp_path)


def test_a_failure_half_way_through_serving_is_undone_by_the_next_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_generation(store, 0)

    def full(step: str) -> None:
        if step == "members-batch":
            raise apsw.FullError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr("ruleengine.store.documents.reach", full)
        with pytest.raises(StoreUnusableError):
            publish_generation(store, 1)

    check_whole(store, 1, tmp_path)
    publish(store, "2026-01-02", {0: held("VIP")})
    assert store.members("tag", "VIP").customers == (0,)
    assert store.members("tag", "New").customers == ()
    assert store.customer(41).document is None


def test_an_export_to_where_nothing_can_be_written_says_so(store: Store, tmp_path: Path) -> None:
    publish_generation(store, 0)

    with pytest.raises(StoreUnusableError):
        store.export(tmp_path / "no such folder" / "all.csv")


@pytest.mark.parametrize(("name", "code"), [("format", "store-format-newer"), ("language", "store-language-newer")])
def test_a_newer_store_is_refused(tmp_path: Path, name: str, code: str) -> None:
    publish_generation(open_store(tmp_path / "store"), 0)
    ledger = sqlite.writer(tmp_path / "store" / "ledger.db", 5)
    known = int(ledger.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()[0])
    ledger.execute("UPDATE meta SET value = ? WHERE name = ?", (str(known + 1), name))

    store = open_store(tmp_path / "store")

    with pytest.raises(StoreUnusableError) as reading:
        store.current()
    with pytest.raises(StoreUnusableError) as writing, store.writer("me", IDENTITY):
        pass
    for error in (reading, writing):
        assert error.value.problems[0].code.name == code
        assert error.value.problems[0].facts == {"found": known + 1, "known": known}


def test_something_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "ledger.db").write_text("This is not a database, but long enough to be one. " * 100)

    with pytest.raises(StoreUnusableError):
        open_store(tmp_path / "store").current()


def test_a_file_that_was_taken_away_is_said_to_be_missing(store: Store, tmp_path: Path) -> None:
    publish_generation(store, 0)
    for state in (tmp_path / "store").rglob("state.parquet"):
        state.unlink()

    with pytest.raises(StoreUnusableError):
        store.export(tmp_path / "all.csv")


def test_a_reader_looks_again_when_a_file_was_pruned_under_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a reader's look into the ledger and its opening of a file, the file may go."""
    for number in range(4):
        publish(store, f"2026-01-0{number + 1}", {key: held("VIP") for key in range(50 + number)})
    real = archive.export
    calls: list[int] = []

    def slow(*arguments: Any) -> int:
        if not calls:
            monkeypatch.setattr("ruleengine.store.sweeping.KEPT_FILES", 1)
            publish(store, "2026-01-05", {})
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(archive, "export", slow)

    assert store.export(tmp_path / "x.csv", version=2) == 51
    assert len(calls) == 2


def test_a_preview_looks_again_when_a_version_was_published_under_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        publish(store, f"2026-01-0{number + 1}", {key: held("VIP") for key in range(50 + number)})
    real = previewing.compared
    calls: list[int] = []

    def slow(*arguments: Any) -> Preview:
        if not calls:
            monkeypatch.setattr("ruleengine.store.sweeping.KEPT_FILES", 1)
            publish(store, "2026-01-05", {1: held("VIP")})
        calls.append(1)
        return real(*arguments)

    monkeypatch.setattr(previewing, "compared", slow)
    connection = duckdb.connect()
    fill(connection, RULES, {1: held("VIP"), 2: held("New")})

    preview = store.preview(connection, RULES.layout, date(2026, 1, 6), previewing.Asked())

    assert len(calls) == 2
    assert preview.base == store.version(5)
    assert (preview.movement.arrived, preview.counts.customers) == (1, 2)


def test_what_was_committed_is_told_though_the_note_beside_it_cannot_be_written(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_generation(store, 0)
    sync = files.sync

    def full(path: Path) -> None:
        if path.name.startswith("ledger.seen"):
            raise OSError(28, "No space left on device")
        sync(path)

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync", full)
        publish_generation(store, 1)

    check_whole(store, 2, tmp_path)
    assert open_store(tmp_path / "store").damage() == ()
