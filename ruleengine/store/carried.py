"""What a version hands on to the next run beside its changes, sealed: who came and went, and what is remembered."""

import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb

from ruleengine.engines.columns import literal
from ruleengine.store import leaves, versions
from ruleengine.store.files import Folder
from ruleengine.store.records import EDITS, RunState, VersionKind
from ruleengine.store.versions import StagedFiles

NONCE_BYTES = 16
BATCH_FILES = 500

Blocks = tuple[int, list[str]]
"""How many rows there are, and the hashes of their blocks."""
Made = Mapping[str, Mapping[str, Blocks]]
"""By run and part; nothing of one that cannot be read."""


def seal(
    duck: duckdb.DuckDBPyConnection, folder: Folder, run: str, kind: VersionKind, base: int | None, staged: StagedFiles
) -> StagedFiles:
    """With a new nonce, and the hashes of what lies in a run's files."""
    return sealed(staged, blocks(duck, folder, {run: (kind, base, staged)})[run])


def sealed(staged: StagedFiles, made: Mapping[str, Blocks]) -> StagedFiles:
    """With a new nonce, and the hashes of what was made."""
    nonce = secrets.token_hex(NONCE_BYTES)
    return replace(staged, nonce=nonce, carried=hashes(nonce, made))


def hashes(nonce: str, made: Mapping[str, Blocks]) -> Mapping[str, str]:
    """By part."""
    return {part: leaves.carried(part, nonce, *of) for part, of in made.items()}


def published(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, tuple[VersionKind, int | None, StagedFiles]]:
    """The runs among these rows of the ledger whose versions seal what they carry, as far as the rows can be read."""
    found = {}
    for row in rows:
        with suppress(TypeError, ValueError, AttributeError):
            staged, kind = versions.staged(row["staged"]), VersionKind(row["kind"])
            if row["state"] == RunState.PUBLISHED and staged.nonce is not None:
                found[row["id"]] = kind, row["base"], staged
    return found


def blocks(
    duck: duckdb.DuckDBPyConnection,
    folder: Folder,
    runs: Mapping[str, tuple[VersionKind, int | None, StagedFiles]],
) -> Made:
    """What these runs carry: each with its kind, its base and what the ledger knows of its files."""
    made: dict[str, dict[str, Blocks]] = {run: {part: (0, []) for part in leaves.CARRIED} for run in runs}
    computed = {run: base for run, (kind, base, _) in runs.items() if kind not in EDITS}
    # The first version says by its state alone who is there.
    first = {folder.state(run): run for run, base in computed.items() if base is None}
    later = {folder.arrivals(run): run for run, base in computed.items() if base is not None}
    remembered = {folder.memory(run): run for run, (*_, staged) in runs.items() if staged.memory}
    for part, files, here in (
        ("arrivals", first, "true"),
        ("arrivals", later, "here"),
        ("memory", remembered, "here"),
    ):
        for run, found in _of_files(duck, part, files, here).items():
            if found is None:
                del made[run][part]
            else:
                made[run][part] = found
    return made


def _of_files(
    duck: duckdb.DuckDBPyConnection, part: str, files: Mapping[Path, str], here: str
) -> dict[str, Blocks | None]:
    """By run; None where its file cannot be read."""
    if not files:
        return {}
    if len(files) > BATCH_FILES:
        items = list(files.items())
        some, others = dict(items[:BATCH_FILES]), dict(items[BATCH_FILES:])
        return _of_files(duck, part, some, here) | _of_files(duck, part, others, here)
    listed = ", ".join(literal(str(path)) for path in files)
    found: dict[str, Blocks | None] = {}
    try:
        for name, rows, block in duck.execute(leaves.blocks_sql(part, listed, here)).fetchall():
            run = files[Path(name)]
            before, hashed = found.get(run) or (0, [])
            found[run] = before + rows, [*hashed, block]
    except (duckdb.Error, OSError):
        # One of the files is to blame: look at each by itself.
        if len(files) == 1:
            return dict.fromkeys(files.values())
        return {run: of for path, run in files.items() for run, of in _of_files(duck, part, {path: run}, here).items()}
    return found
