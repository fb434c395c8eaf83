"""How much work a publication is: rows and files, not seconds."""

from pathlib import Path

import duckdb
import pytest

from ruleengine.planning.layout import LadderSlot, Layout, TagSlot, ValueColumn
from ruleengine.store import open_store, sqlite
from ruleengine.store.records import Version
from ruleengine.store.store import Store
from ruleengine.types import COLUMN_TYPES, exact
from tests.store import verifier
from tests.store.tables import IDENTITY, header

STORES = ("embedded",)

CUSTOMERS = 200_000
LAYOUT = Layout(
    key_type=COLUMN_TYPES["integer"],
    values=tuple(ValueColumn(column=f"v{n}", name=f"metric_{n}", type=exact(18, 4)) for n in range(10)),
    tags=tuple(
        TagSlot(name=f"Tag {n}", word=n // 60, bit=n % 60, reads=(f"v{n % 10}", "v3"), rule_hash=f"{n:064}")
        for n in range(100)
    ),
    ladders=(
        LadderSlot(name="loyalty", kind="tier", column="l0", values=("A", "B", "C"), reads=("v1",), rule_hash="e" * 64),
        LadderSlot(name="abc", kind="class", column="l1", values=("A", "B", "C"), reads=("v1",), rule_hash="f" * 64),
    ),
)


def run(store: Store, day: str, share: float) -> Version:
    """A run in which this share of the customers has another value of `loyalty` than in the first one."""
    connection = duckdb.connect()
    connection.execute(
        f"CREATE TABLE result_assignments AS SELECT c AS customer, 1::BIGINT << (c % 60) AS w0, "
        f"1::BIGINT << (c % 40) AS w1, (1 + (c + (c % 1000 < {share * 1000})::INT) % 3)::SMALLINT AS l0, "
        f"(1 + c % 3)::SMALLINT AS l1 FROM range({CUSTOMERS}) t(c) ORDER BY hash(c)"
    )
    columns = ", ".join(f"(hash(c + {n}) % 100000)::DECIMAL(18, 4) AS v{n}" for n in range(10))
    connection.execute(
        f"CREATE TABLE result_values AS SELECT c AS customer, {columns} FROM range({CUSTOMERS}) t(c) ORDER BY hash(c)"
    )
    with store.writer("tester", IDENTITY) as writer:
        return writer.publish(writer.stage(writer.begin(header(day)), connection, LAYOUT))


@pytest.mark.slow
def test_a_small_change_is_a_small_publication(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path / "store")
    batches: list[str] = []
    first = run(store, "2026-01-01", 0)
    monkeypatch.setattr("ruleengine.store.documents.reach", batches.append)
    before = (tmp_path / "store" / "ledger.db").stat().st_size

    second = run(store, "2026-01-02", 0.01)

    changed = CUSTOMERS // 100
    assert first.movement.rows == 4 * CUSTOMERS
    assert (second.movement.rows, second.movement.customers) == (changed, changed)
    ledger = sqlite.writer(tmp_path / "store" / "ledger.db", 5)
    serials = [serial for (serial,) in ledger.execute("SELECT serial FROM versions ORDER BY number")]
    for table, rows in (("documents", changed), ("members", changed)):
        for column in ("from_serial", "to_serial"):
            written = f"SELECT count(*) FROM {table} WHERE {column} = ?"
            assert ledger.execute(written, (serials[1],)).fetchone() == (rows,)
    # One batch each of documents, and of members who left and came.
    assert batches.count("documents-batch") == 1
    assert batches.count("members-batch") == 2
    assert (tmp_path / "store" / "ledger.db").stat().st_size - before < 0.1 * before
    folder = tmp_path / "store" / "runs" / second.run
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.parquet" for name in ("values", "state", "arrivals", "changes")
    }
    sizes = {path.stem: path.stat().st_size for path in folder.iterdir()}
    # Most of a change is its leaf and what its rule read.
    assert sizes["changes"] < 150 * changed
    assert sizes["arrivals"] < 1_000
    groups = "SELECT max(row_group_num_rows) FROM parquet_metadata(?)"
    assert duckdb.connect().execute(groups, [str(folder / "state.parquet")]).fetchone() == (30_720,)
    assert verifier.check(tmp_path / "store") == []


@pytest.mark.slow
def test_states_that_are_kept_for_good_are_few(tmp_path: Path) -> None:
    """As many changes as half of the customers lie between two of them."""
    store = open_store(tmp_path / "store")
    for day, share in enumerate((0, 0.3, 0, 0.3, 0, 0.3, 0, 0.3), 1):
        run(store, f"2026-01-{day:02}", share)

    ledger = sqlite.writer(tmp_path / "store" / "ledger.db", 5)
    snapshots = [n for (n,) in ledger.execute("SELECT number FROM versions WHERE snapshot ORDER BY number")]
    assert snapshots == [1, 3, 5, 7]
    kept = {path.parent.name for path in (tmp_path / "store").rglob("state.parquet")}
    assert kept == {version.run for version in store.versions() if version.number in (1, 3, 5, 6, 7, 8)}
    for number in (2, 4):
        assert store.export(tmp_path / "all.parquet", version=number) == 4 * CUSTOMERS
