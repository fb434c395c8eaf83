"""An independent check of a store's audit chain, written from the words in `ruleengine.store.leaves` alone.

Nothing of the product is imported. DuckDB and SQLite only read the files.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import apsw

from tests import duck


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
    return root_over(
        len(leaves), [hashed("node", "".join(leaves[at : at + 1024])) for at in range(0, len(leaves), 1024)]
    )


def root_over(count: int, level: list[str]) -> str:
    while len(level) > 1:
        level = [hashed("node", "".join(level[at : at + 1024])) for at in range(0, len(level), 1024)]
    return hashed("root", str(count), level[0] if level else None)


def fields_of(*fields: str | None) -> str:
    return "".join("-:" if field is None else f"{len(field.encode())}:{field}" for field in fields)


def carried(part: str, nonce: str, texts: list[str]) -> str:
    blocks = [hashed("block", "".join(texts[at : at + 1024])) for at in range(0, len(texts), 1024)]
    return hashed("carried", part, nonce, root_over(len(texts), blocks))


def handed_on(folder: Path, base: int | None, kind: str) -> dict[str, list[str]]:
    """The rows of a version's arrivals and memory."""
    arrivals = []
    if kind in ("run", "rollback"):
        file = folder / ("state.parquet" if base is None else "arrivals.parquet")
        arrivals = [fields_of(text(row["customer"]), str(row.get("here", True)).lower()) for row in rows(file)]
    memory = []
    if (folder / "memory.parquet").exists():
        names = ("customer", "kind", "name", "matched", "level", "reached", "below")
        memory = [fields_of(*(text(row[name]) for name in names)) for row in rows(folder / "memory.parquet")]
    return {"arrivals": arrivals, "memory": memory}


def rules_hash(name: str, timezone: str, texts: dict[str, str]) -> str:
    parts = [name, timezone, *(part for path in sorted(texts) for part in (path, texts[path]))]
    return sha256(b"".join(len(part.encode()).to_bytes(8, "big") + part.encode() for part in parts)).hexdigest()


def rows(path: Path) -> Iterator[dict[str, Any]]:
    with duck.database() as connection:
        answer = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in answer.description or []]
        found = answer.fetchall()
    for row in found:
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
    wanted = {}
    for number, _, header, *_ in versions:
        said = json.loads(header)
        wanted[number] = said.get("carried")
        for other, hashes in ((said["report"] or {}).get("forgotten") or {"carried": {}})["carried"].items():
            wanted[int(other)] = hashes
    for expected, (number, run, header, previous_hash, root, version_hash) in enumerate(versions, 1):
        said = json.loads(header)
        if wanted[number] is not None:
            (staged,) = ledger.execute("SELECT staged FROM runs WHERE id = ?", (run,)).fetchone()
            folder = store / "runs" / folders.get(run, run)
            for part, texts in handed_on(folder, said["base"], said["kind"]).items():
                if carried(part, json.loads(staged)["nonce"], texts) != wanted[number][part]:
                    wrong.append(f"version {number}: {part} were changed")
        if said.get("timezone") is not None:
            kept = ledger.execute("SELECT path, text FROM texts WHERE hash = ?", (said["ruleset_hash"],)).fetchall()
            if rules_hash(said["identity"]["ruleset"], said["timezone"], dict(kept)) != said["ruleset_hash"]:
                wrong.append(f"version {number}: the texts of its rules were changed")
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
