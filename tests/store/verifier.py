"""An independent check of a store's audit chain, written from the words in `ruleengine.store.leaves` alone.

Nothing of the product is imported. DuckDB and SQLite only read the files.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw
import duckdb


def hashed(*fields: str | None) -> str:
    content = b""
    for field in fields:
        if field is None:
            content += b"-:"
        else:
            encoded = field.encode("utf-8")
            content += str(len(encoded)).encode() + b":" + encoded
    return sha256(content).hexdigest()


def merkle_root(leaves: list[str]) -> str:
    level, count = leaves, len(leaves)
    if not level:
        return hashed("root", "0", None)
    while True:
        level = [hashed("node", "".join(level[at : at + 1024])) for at in range(0, len(level), 1024)]
        if len(level) == 1:
            return hashed("root", str(count), level[0])


def rows(path: Path) -> Iterator[dict[str, Any]]:
    answer = duckdb.connect().execute("SELECT * FROM read_parquet(?)", [str(path)])
    names = [column[0] for column in answer.description or []]
    for row in answer.fetchall():
        yield dict(zip(names, row, strict=True))


def text(value: object) -> str | None:
    return None if value is None else str(value)


def check(store: Path) -> list[str]:
    """What is wrong; nothing, if all is well."""
    wrong: list[str] = []
    ledger: Any = apsw.Connection(str(store / "ledger.db"), flags=apsw.SQLITE_OPEN_READONLY)
    folders = {}
    if ledger.execute("SELECT 1 FROM sqlite_master WHERE name = 'folders'").fetchone():
        folders = dict(ledger.execute("SELECT run, folder FROM folders").fetchall())
    salts = {
        row["customer"]: row["salt"]
        for (piece,) in ledger.execute("SELECT path FROM salt_pieces")
        for row in rows(store / piece)
    }
    previous: str | None = None
    versions = ledger.execute(
        "SELECT number, run, header, previous_hash, root, hash FROM versions ORDER BY number"
    ).fetchall()
    blanked = {
        (version, first + place)
        for _, _, header, *_ in versions
        for version, first, count in ((json.loads(header)["report"] or {}).get("forgotten") or {"leaves": ()})["leaves"]
        for place in range(count)
    }
    for expected, (number, run, header, previous_hash, root, version_hash) in enumerate(versions, 1):
        leaves, order = [], []
        for place, row in enumerate(rows(store / "runs" / folders.get(run, run) / "changes.parquet")):
            is_blank = {value is None for name, value in row.items() if name != "leaf"} == {True}
            if is_blank != ((number, place) in blanked):
                wrong.append(f"version {number}: a row was blanked, or one was not that should be: {place}")
            if is_blank:
                leaves.append(row["leaf"].hex())
                continue
            fields = ("customer", "kind", "name", "old", "new", "since", "rule_hash", "evidence")
            leaf = hashed("leaf", salts[row["customer"]].hex(), str(number), *(text(row[field]) for field in fields))
            if leaf != row["leaf"].hex():
                wrong.append(f"version {number}: a row was changed: {row['customer']} {row['name']}")
            leaves.append(row["leaf"].hex())
            order.append((row["customer"], row["kind"], row["name"]))
        if order != sorted(set(order)):
            wrong.append(f"version {number}: rows are not in order, or twice")
        if number != expected:
            wrong.append(f"version {expected} is missing")
        if merkle_root(leaves) != root or len(leaves) != json.loads(header)["leaves"]:
            wrong.append(f"version {number}: rows were added, removed or moved")
        if previous_hash != previous or hashed("version", previous, root, header) != version_hash:
            wrong.append(f"version {number}: the header was changed, or an earlier one")
        previous = version_hash
    return wrong
