"""The rows of a folder, hashed again: what `auditing` compares with the chain."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from ruleengine.diagnostics.problem import Problem
from ruleengine.engines.columns import literal
from ruleengine.store import carried, integrity, ledger, salts
from ruleengine.store.auditing import Audit, Edited, Entry, Finding, Kept, Leaves, audit
from ruleengine.store.carried import BATCH_FILES
from ruleengine.store.files import Folder
from ruleengine.store.forgetting import SECRET
from ruleengine.store.leaves import FAN_OUT, ROW_FIELDS, leaf_sql
from ruleengine.store.records import Identity
from ruleengine.store.refusals import DamagedError
from ruleengine.store.replaying import Replay, first_line
from ruleengine.store.sqlite import Connection

BATCH_ROWS = 1_000_000


def prove(duck: duckdb.DuckDBPyConnection, connection: Connection, folder: Folder, identity: Identity) -> Audit:
    """Audit one state of the ledger, and the files that it speaks of."""
    entries = [
        Entry(number, run, base, bool(detached), as_of, header, previous_hash, root, hash_)
        for number, run, base, detached, as_of, header, previous_hash, root, hash_ in connection.execute(
            "SELECT number, run, base, detached, as_of, header, previous_hash, root, hash FROM versions ORDER BY number"
        )
    ]
    pointer = ledger.pointer(connection)
    key_type = identity.key_sql
    runs = {row["id"]: dict(row) for row in connection.execute("SELECT * FROM runs")}
    texts: dict[str, dict[str, str]] = {}
    for hash_, path, text in connection.execute("SELECT hash, path, text FROM texts ORDER BY path"):
        texts.setdefault(hash_, {})[path] = text
    kept = Kept(
        identity=identity,
        entries=entries,
        leaves=_leaves(duck, connection, folder, entries, key_type),
        runs=runs,
        carried=carried.blocks(duck, folder, carried.published(runs.values())),
        texts=texts,
        secret=ledger.noted(connection, SECRET),
        current=pointer["version"] if pointer else None,
        damaged=[Finding(_version(problem), problem) for problem in integrity.problems(connection, folder)],
    )

    def following(sound: Sequence[Entry], is_all: bool) -> Iterator[Finding]:
        return Replay(duck, connection, folder, sound, key_type).findings(served=is_all)

    return audit(kept, following)


def _version(problem: Problem) -> int | None:
    number = problem.facts.get("version")
    return number if isinstance(number, int) else None


def _leaves(
    duck: duckdb.DuckDBPyConnection,
    connection: Connection,
    folder: Folder,
    entries: Sequence[Entry],
    key_type: str,
) -> dict[int, Leaves]:
    _make_salts(duck, connection, folder, key_type)
    found = {entry.number: Leaves() for entry in entries}
    for batch in _batches(connection, folder):
        try:
            _hash(duck, batch, found)
        except (duckdb.Error, OSError):
            # One of the files is to blame: look at each by itself.
            for number, path in batch.items():
                found[number] = Leaves()
                try:
                    _hash(duck, {number: path}, found)
                except (duckdb.Error, OSError) as error:
                    found[number] = Leaves(unreadable=f"{path.relative_to(folder.root)}: {first_line(error)}")
    return found


def _batches(connection: Connection, folder: Folder) -> Iterator[dict[int, Path]]:
    """The files of changes by version, so many at a time that what is hashed at once has a bound."""
    batch: dict[int, Path] = {}
    rows = 0
    for number, run, size in connection.execute("SELECT number, run, changes FROM versions ORDER BY number").fetchall():
        if batch and (rows + size > BATCH_ROWS or len(batch) == BATCH_FILES):
            yield batch
            batch, rows = {}, 0
        batch[number] = folder.changes(run)
        rows += size
    if batch:
        yield batch


def _make_salts(duck: duckdb.DuckDBPyConnection, connection: Connection, folder: Folder, key_type: str) -> None:
    """Make `audit_salts`. A file of them that cannot be read is missed by the rows of its customers."""
    duck.execute(f"CREATE OR REPLACE TEMP TABLE audit_salts (customer {key_type}, salt BLOB)")
    for (piece,) in connection.execute("SELECT path FROM salt_pieces ORDER BY path").fetchall():
        try:
            # With others' salts in it, one that is damaged would put rows of earlier versions in the wrong.
            path = integrity.intact(connection, folder, folder.root / piece)
            duck.execute(f"INSERT INTO audit_salts SELECT customer, salt FROM {salts.files_sql([path])}")
        except (duckdb.Error, OSError, DamagedError):
            continue


def _hash(duck: duckdb.DuckDBPyConnection, files: dict[int, Path], found: dict[int, Leaves]) -> None:
    listed = ", ".join(literal(str(path)) for path in files.values())
    numbers = ", ".join(f"({literal(str(path))}, {number})" for number, path in files.items())
    rows = (
        f"(SELECT f.*, version FROM read_parquet([{listed}], filename = true, file_row_number = true) f "
        f"JOIN (VALUES {numbers}) AS files (filename, version) USING (filename))"
    )
    for number, _, leaf_count, node in duck.execute(
        f"SELECT version, file_row_number // {FAN_OUT} AS place, count(*), "
        f"sha256('4:node' || (64 * count(*)) || ':' || string_agg(lower(hex(leaf)), '' ORDER BY file_row_number)) "
        f"FROM {rows} GROUP BY version, place ORDER BY version, place"
    ).fetchall():
        found[number].rows += leaf_count
        found[number].nodes.append(node)
    emptied = " AND ".join(f"{name} IS NULL" for name in ROW_FIELDS)
    odd = (
        f"SELECT version, file_row_number, {emptied}, customer, kind, name "
        f"FROM (SELECT c.*, s.salt FROM {rows} c LEFT JOIN audit_salts s ON s.customer = c.customer) "
        f"WHERE salt IS NULL OR leaf IS DISTINCT FROM unhex({leaf_sql('version::VARCHAR')}) "
        f"ORDER BY version, file_row_number"
    )
    for number, place, is_blank, *row in duck.execute(odd).fetchall():
        if is_blank:
            found[number].blank.append(place)
        else:
            found[number].edited.append(Edited(*row))
