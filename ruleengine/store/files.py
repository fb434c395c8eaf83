"""The files of a store: one folder per run, every file whole or not there."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LEDGER = "ledger.db"
PARTIAL = ".partial"


class Folder:
    """
    ledger.db           versions, runs, names, and the rows that are served
    keys.db             keys of the API
    jobs.db             what was asked of servers and runs
    jobs/               a file for each job at work, locked by its process
    ledger.seen         how far the ledger was; keys.seen likewise: see `seen`
    writer.lock         who writes
    runs/RUN/           changes.parquet; of a run arrivals.parquet, state.parquet, values.parquet, salts.parquet;
                        memory.parquet where it has something to remember; of a rollback overlay.parquet where
                        something is set by hand that was not, or the other way round
    salts/              salts of many runs, merged
    moving.db           a ledger to be, while another store is moved here

    A file never changes. Where a customer is forgotten, the files of a run are written anew into another folder, and
    the ledger says that they lie there.
    """

    def __init__(self, root: Path, moved: Mapping[str, str] | None = None) -> None:
        """`moved`: the folders of runs that are not called like their run."""
        self.root = root
        self._moved = moved or {}
        self.ledger = root / LEDGER
        self.moving = root / "moving.db"
        self.keys = root / "keys.db"
        self.jobs = root / "jobs.db"
        self.jobs_at_work = root / "jobs"
        self.lock = root / "writer.lock"
        self.runs = root / "runs"
        self.salts = root / "salts"

    @property
    def is_used(self) -> bool:
        """Whether somebody began a run here. A store that was being moved here was none yet."""
        return self.runs.is_dir() and any(self.runs.iterdir()) and not self.moving.exists()

    def name(self, path: Path) -> str:
        """A path as it is told: from the store on."""
        return path.relative_to(self.root).as_posix()

    @staticmethod
    def run_of(path: Path) -> str:
        """The run whose file it is, whatever folder it lies in."""
        return path.parent.name.partition(".")[0]

    def at(self, moved: Mapping[str, str]) -> "Folder":
        """The same, in a state of the ledger that says where files lie."""
        return Folder(self.root, moved) if moved or self._moved else self

    def create(self) -> None:
        for folder in (self.root, self.runs, self.salts):
            if not folder.is_dir():
                # For its owner alone: it holds who has which tag, and why.
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                sync_folder(folder.parent)

    def run(self, run_id: str) -> Path:
        return self.runs / self._moved.get(run_id, run_id)

    def changes(self, run_id: str) -> Path:
        return self.run(run_id) / "changes.parquet"

    def arrivals(self, run_id: str) -> Path:
        return self.run(run_id) / "arrivals.parquet"

    def state(self, run_id: str) -> Path:
        return self.run(run_id) / "state.parquet"

    def values(self, run_id: str) -> Path:
        return self.run(run_id) / "values.parquet"

    def memory(self, run_id: str) -> Path:
        return self.run(run_id) / "memory.parquet"

    def overlay(self, run_id: str) -> Path:
        return self.run(run_id) / "overlay.parquet"

    def run_salts(self, run_id: str) -> Path:
        return self.run(run_id) / "salts.parquet"

    def remove_run(self, run_id: str) -> None:
        shutil.rmtree(self.run(run_id), ignore_errors=True)


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    sync(path)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to; the file gets its own name once it is complete and on the disk."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        yield partial
        sync(partial)
        partial.replace(path)
        sync_folder(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def copy(source: Path, target: Path) -> None:
    """The same immutable file under a second name; a true copy where the file system has no links."""
    try:
        os.link(source, target)
        sync_folder(target.parent)
    except OSError:
        with whole(target) as partial:
            shutil.copyfile(source, partial)
