"""The bytes of a store in a folder, once a customer was forgotten; and whatever comes in between."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from ruleengine.store import open_store
from ruleengine.store.embedded import EmbeddedStore
from ruleengine.store.store import Store
from tests import duck
from tests.store import verifier
from tests.store.steps import FORGET_STEPS
from tests.store.tables import IDENTITY, held, publish
from tests.store.test_crashes import crash
from tests.store.test_forgetting import CITY, NUMBER, TEXT, Whom, by_hand, forget, life

STORES = ("embedded",)


def traces(folder: Path, whom: Whom) -> list[str]:
    """The files that say anything of him: in their bytes, in a value, or in what Parquet says of a column."""
    found = []
    with duck.database() as connection:
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            content = [file.read_bytes()]
            if ".parquet" in file.name:
                for query in ("SELECT * FROM read_parquet(?)", "SELECT * EXCLUDE (file_name) FROM parquet_metadata(?)"):
                    rows = connection.execute(query, [str(file)]).fetchall()
                    content.append("\n".join(str(value) for row in rows for value in row).encode())
            if any(needle in each for needle in whom.needles for each in content):
                found.append(file.name)
    return found


@pytest.mark.parametrize("whom", [NUMBER, TEXT], ids=["number", "text"])
def test_no_byte_of_any_file_tells_of_him(
    store: Store, tmp_path: Path, whom: Whom, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "store"
    monkeypatch.setattr("ruleengine.store.salts.MOST_PIECES", 1)
    life(store, whom)
    kinds = {"changes", "arrivals", "state", "values", "memory", "overlay"}
    before = {name.split(".")[0].split("-version")[0] for name in traces(folder, whom)}
    assert before >= kinds | {"ledger", "jobs", "to"}, "what looks for him does not find him"

    forget(store, whom)

    assert traces(folder, whom) == []
    assert verifier.check(folder) == []
    assert (folder / "ledger.db-wal").stat().st_size < 20_000


def test_rows_that_were_superseded_long_ago_are_not_left_in_free_pages(store: Store, tmp_path: Path) -> None:
    now = [0.0]
    store = EmbeddedStore(tmp_path / "store", clock=lambda: now[0])
    for day in range(1, 5):
        now[0] += 10_000
        tags = ("VIP",) if day % 2 else ("New",)
        publish(store, f"2026-01-0{day}", {key: held(*tags, city="Paris") for key in (*range(500), NUMBER.key)})

    forget(store, NUMBER)

    assert traces(tmp_path / "store", NUMBER) == []


def test_files_that_versions_share_are_shared_afterwards(store: Store, tmp_path: Path) -> None:
    publish(store, "2026-01-01", {key: held("VIP") for key in (*range(50), NUMBER.key)})
    other = replace(NUMBER, key=7)
    for value in ("given", None, "given"):
        by_hand(store, other, value)

    forget(store, NUMBER)

    values = list((tmp_path / "store").rglob("values.parquet"))
    assert len(values) == 5
    assert len({file.stat().st_ino for file in values}) == 1


def test_a_reader_that_began_before_keeps_the_log_until_the_next_write(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    brief(store)
    reader = apsw.Connection(str(folder / "ledger.db"), flags=apsw.SQLITE_OPEN_READONLY)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM documents").fetchall()

    forget(store, NUMBER)

    assert store.erasing()
    assert store.customer(NUMBER.key).document is None
    assert traces(folder, NUMBER)
    reader.execute("ROLLBACK")
    with store.writer("anybody", IDENTITY):
        pass
    assert not store.erasing()
    assert traces(folder, NUMBER) == []


def brief(store: Store) -> None:
    for day, tag in ((1, "VIP"), (2, "New")):
        publish(
            store,
            f"2026-01-0{day}",
            {key: held(tag, city=CITY if key == NUMBER.key else "Paris") for key in (1, NUMBER.key)},
        )


@pytest.mark.parametrize(
    "step",
    [
        step if step in ("before-commit", "committed") else pytest.param(step, marks=pytest.mark.slow)
        for step in FORGET_STEPS
    ],
)
def test_forgetting_that_dies_did_nothing_or_is_finished_by_the_next_writer(tmp_path: Path, step: str) -> None:
    folder = tmp_path / "store"
    store = open_store(folder)
    brief(store)
    had = store.history(NUMBER.key)

    crash(folder, step, "forget", str(NUMBER.key))

    committed = FORGET_STEPS.index(step) >= FORGET_STEPS.index("committed")
    assert store.history(NUMBER.key) == (() if committed else had)
    assert (NUMBER.key in store.forgotten()) == committed
    assert verifier.check(folder) == []
    with store.writer("next", IDENTITY):
        pass
    assert bool(traces(folder, NUMBER)) != committed
    if not committed:
        forget(store, NUMBER)
    assert traces(folder, NUMBER) == []
    assert not store.erasing()
    assert verifier.check(folder) == []


def test_a_reader_whose_files_are_written_anew_looks_again(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its look into the ledger was before, its opening of the files is after."""
    from ruleengine.store import archive

    brief(store)
    writer, times, read = open_store(tmp_path / "store"), iter([True]), archive.history

    def late(*arguments: Any) -> object:
        if next(times, False):
            forget(writer, NUMBER)
        return read(*arguments)

    monkeypatch.setattr(archive, "history", late)

    assert store.history(NUMBER.key) == ()
    assert len(store.history(1)) > 0


def test_a_row_that_nobody_forgot_cannot_be_blanked(store: Store, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    brief(store)
    forget(store, NUMBER)
    run = store.version(2).run
    (file,) = folder.glob(f"runs/{run}*/changes.parquet")
    columns = ("customer", "kind", "name", "old", "new", "since", "rule_hash", "evidence")
    blanks = ", ".join(f"{name} = NULL" for name in columns)
    with duck.database() as connection:
        connection.execute(f"CREATE TABLE rows AS SELECT * FROM '{file}'")
        first = "SELECT min(rowid) FROM rows WHERE customer IS NOT NULL"
        connection.execute(f"UPDATE rows SET {blanks} WHERE rowid = ({first})")
        connection.execute(f"COPY rows TO '{file}' (FORMAT parquet)")

    assert any("version 2: a row was blanked" in wrong for wrong in verifier.check(folder))
