"""Whether the files of the store are as they were written.

The ledger has the digest of every Parquet file that belongs to a version or to a held run, and so is also the list of
those that must be there. A process looks at a file when it first uses it, and again once somebody has touched it.
Of the ledger itself every page has a checksum (see `sqlite`), and `seen` knows how far it was.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.store.files import Folder
from ruleengine.store.records import RunState
from ruleengine.store.refusals import changed, missing
from ruleengine.store.sqlite import Connection, plain

TABLE = """
-- Of every file that a version or a held run has, by its path in the store: SHA-256, in hex.
CREATE TABLE files (path TEXT PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
"""

_MOST_KNOWN = 100_000
_known: dict[Path, tuple[tuple[int, ...], str]] = {}


def digest(path: Path) -> str:
    """From memory where this process has read the file, and it was not touched since."""
    status = path.stat()
    identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    known = _known.get(path)
    if known is not None and known[0] == identity:
        return known[1]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[path] = identity, found
    return found


# -- writing: in the transaction of the caller -------------------------------------------------------------


def record(ledger: Connection, folder: Folder, paths: Iterable[Path]) -> None:
    """Note what these files are like, before somebody may read them."""
    rows = [(folder.name(path), digest(path)) for path in paths]
    ledger.executemany("INSERT OR REPLACE INTO files VALUES (?, ?)", rows)


def record_run(ledger: Connection, folder: Folder, run: str, linked: Mapping[Path, Path] | None = None) -> None:
    """Note what all files of a run are like. `linked` are, by their path, files that only have a second name in it."""
    linked = linked or {}
    record(ledger, folder, [path for path in sorted(folder.run(run).glob("*.parquet")) if path not in linked])
    ledger.executemany(
        "INSERT OR REPLACE INTO files SELECT ?, digest FROM files WHERE path = ?",
        [(folder.name(path), folder.name(source)) for path, source in linked.items()],
    )


def drop(ledger: Connection, folder: Folder, paths: Iterable[Path]) -> None:
    """The files will be gone."""
    ledger.executemany("DELETE FROM files WHERE path = ?", [(folder.name(path),) for path in paths])


def drop_run(ledger: Connection, folder: Folder, run: str) -> None:
    ledger.execute("DELETE FROM files WHERE path GLOB ?", (_all_of(folder, run),))


def record_all(ledger: Connection, folder: Folder) -> None:
    """Note what all files are like, as they are now."""
    runs = ledger.execute("SELECT id FROM runs WHERE state IN (?, ?)", (RunState.PUBLISHED, RunState.HELD))
    for (run,) in runs.fetchall():
        record_run(ledger, folder, run)
    record(ledger, folder, sorted(folder.salts.glob("*.parquet")))


# -- reading -----------------------------------------------------------------------------------------------


def intact(ledger: Connection, folder: Folder, path: Path) -> Path:
    """The path of a file; DamagedError where it is not as it was written, or gone. Without a digest, that of an older
    format or of a run that is being published, it only has to be there."""
    name = folder.name(path)
    rows = _rows(ledger, "path = ?", name)
    _check(ledger, folder, name, rows[0][1] if rows else None)
    return path


def check_run(ledger: Connection, folder: Folder, run: str) -> None:
    """DamagedError where a file of a run is not as it was written, or gone."""
    for name, wanted in _rows(ledger, "path GLOB ?", _all_of(folder, run)):
        _check(ledger, folder, name, wanted)


def problems(ledger: Connection, folder: Folder) -> Iterator[Problem]:
    """Of all files, each of which is read."""
    _known.clear()
    for name, wanted in _rows(ledger):
        try:
            _check(ledger, folder, name, wanted)
        except ProblemError as error:
            yield from error.problems


def _rows(ledger: Connection, where: str = "true", *values: str) -> Sequence[tuple[str, str]]:
    if not ledger.table_exists(None, "files"):
        return ()
    rows = plain(ledger).execute(f"SELECT path, digest FROM files WHERE {where} ORDER BY path", values)
    return cast(list[tuple[str, str]], rows.fetchall())


def _all_of(folder: Folder, run: str) -> str:
    return f"{folder.name(folder.run(run))}/*"


def _check(ledger: Connection, folder: Folder, name: str, wanted: str | None) -> None:
    path = folder.root / name
    try:
        whole = path.exists() if wanted is None else digest(path) == wanted
    except FileNotFoundError:
        whole = False
    if not whole:
        raise (changed if path.exists() else missing)(name, _version(ledger, name))


def _version(ledger: Connection, name: str) -> int | None:
    """The version that a file belongs to; None of salts of many, and of a held run."""
    row = ledger.execute("SELECT version FROM runs WHERE id = ?", (Folder.run_of(Path(name)),)).fetchone()
    return row[0] if row else None
