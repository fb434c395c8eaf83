"""The chain of hashes, checked by a program that knows only its description."""

from pathlib import Path

import pytest

from ruleengine.store import leaves, open_store, sqlite
from ruleengine.store.store import Store
from tests import duck
from tests.store import verifier
from tests.store.tables import IDENTITY, Rules, held, hold, publish

STORES = ("embedded",)


@pytest.fixture
def folder(store: Store, tmp_path: Path) -> Path:
    """Runs, a detached version, a rollback and a held run that was published after another version came."""
    publish(store, "2026-01-01", {key: held("VIP", loyalty="Gold", city="日本") for key in range(600)})
    publish(store, "2026-02-01", {key: held("New", abc="A", money="0.1000") for key in range(300, 900)})
    publish(store, "2026-01-15", {1: held("Sleeping")})
    delta = hold(store, "2026-03-01", {1: held("VIP"), 2000: held("New")})
    publish(store, "2026-01-20", {2000: held("Sleeping"), 2001: held()})
    with store.writer("tester", IDENTITY) as writer:
        writer.publish_held(delta.run.id, "checked")
        writer.rollback(2, "wrong")
    publish(store, "2026-04-01", {})
    return tmp_path / "store"


def test_a_store_proves_itself(folder: Path) -> None:
    assert verifier.check(folder) == []
    assert len(open_store(folder).versions()) == 7


def test_text_keys_and_odd_names_prove_themselves(store: Store, tmp_path: Path) -> None:
    rules = Rules(tags=("it's", "标签", "{}"), key_type="text")
    publish(store, "2026-01-01", {"ä:1": held("it's"), "-:": held("标签", loyalty="Gold"), "": held("{}")}, rules=rules)
    publish(store, "2026-01-02", {"ä:1": held(city='\x1f"\\')}, rules=rules)

    assert verifier.check(tmp_path / "store") == []


def rewrite(folder: Path, file: str, statement: str) -> None:
    """Change the rows of a file of version 2."""
    path = folder / "runs" / open_store(folder).version(2).run / f"{file}.parquet"
    with duck.database() as connection:
        connection.execute(f"CREATE TABLE rows AS SELECT * FROM '{path}'")
        connection.execute(statement)
        connection.execute(f"COPY rows TO '{path}' (FORMAT parquet)")


def test_a_change_of_a_row_is_found(folder: Path) -> None:
    rewrite(folder, "changes", "UPDATE rows SET new = 'B' WHERE customer = 301 AND name = 'abc'")

    assert verifier.check(folder) == ["version 2: a row was changed: 301 abc"]


def test_a_missing_row_is_found(folder: Path) -> None:
    rewrite(folder, "changes", "DELETE FROM rows WHERE customer = 301 AND name = 'abc'")

    assert verifier.check(folder) == ["version 2: rows were added, removed or moved"]


def test_a_change_of_a_header_is_found_and_named_first(folder: Path) -> None:
    ledger = sqlite.writer(folder / "ledger.db", 5)
    ledger.execute("UPDATE versions SET header = replace(header, 'tester', 'nobody') WHERE number = 3")

    assert verifier.check(folder) == ["version 3: the header was changed, or an earlier one"]


def test_a_change_of_what_is_handed_on_and_of_a_rule_text_is_found(folder: Path) -> None:
    rewrite(folder, "arrivals", "UPDATE rows SET customer = 5000 WHERE customer = 899")
    ledger = sqlite.writer(folder / "ledger.db", 5)
    ledger.execute("UPDATE texts SET text = text || ' '")

    found = verifier.check(folder)

    assert "version 2: arrivals were changed" in found
    assert "version 1: the texts of its rules were changed" in found


@pytest.mark.parametrize("count", [0, 1, 2, 1023, 1024, 1025, 2048, 2049])
def test_the_tree_is_the_same_however_it_is_built(count: int) -> None:
    hashes = [leaves.digest("leaf", str(number)) for number in range(count)]
    nodes = [leaves.node(hashes[start : start + 1024]) for start in range(0, count, 1024)]

    assert leaves.root(count, nodes) == verifier.merkle_root(hashes)


def test_nothing_passes_for_anything_else() -> None:
    one = leaves.digest("leaf", "a", None)
    assert (
        len({one, leaves.digest("leaf", "a", ""), leaves.digest("leaf", "a-:"), leaves.digest("node", "a", None)}) == 4
    )
    # A tree with one leaf is not that leaf, and its count is part of it.
    assert leaves.root(1, [leaves.node([one])]) != leaves.root(2, [leaves.node([one])])


def test_a_salt_is_kept_for_a_customer_and_never_repeated(store: Store, tmp_path: Path) -> None:
    for month in range(1, 6):
        publish(store, f"2026-0{month}-01", {key: held("VIP" if month % 2 else "New") for key in range(50)})

    pieces = "','".join(str(path) for path in (tmp_path / "store").rglob("salts.parquet"))
    with duck.database() as connection:
        counted = connection.execute(
            f"SELECT count(*), count(DISTINCT customer), count(DISTINCT salt), min(octet_length(salt)) "
            f"FROM read_parquet(['{pieces}'])"
        )
        assert counted.fetchone() == (50, 50, 50, 16)


def test_many_pieces_of_salts_are_merged(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ruleengine.store.salts.MOST_PIECES", 3)
    for day in range(1, 8):
        publish(store, f"2026-01-0{day}", {key: held("VIP") for key in range(day)})

    ledger = sqlite.writer(tmp_path / "store" / "ledger.db", 5)
    assert ledger.execute("SELECT count(*) FROM salt_pieces").fetchone()[0] <= 4
    assert verifier.check(tmp_path / "store") == []
