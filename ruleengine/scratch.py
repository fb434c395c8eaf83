"""Folders for what is only needed while a process works: copies of data, and what does not fit into memory.

They hold rows of customers. Each is locked by the process that made it, so that anybody can tell whether one was left
behind by a process that died, and take it away.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "ruleengine-scratch-"


class Scratch:
    """A folder of the system's temporary one, until it is closed."""

    def __init__(self) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._lock = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if self.path.exists():
                return
            os.close(self._lock)  # Swept just before it was locked.

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


_OF_PROCESS: dict[int, Scratch] = {}


def of_process() -> Path:
    """One folder for all of a process, until it ends."""
    pid = os.getpid()
    if pid not in _OF_PROCESS:
        _OF_PROCESS[pid] = Scratch()
        atexit.register(_end)
    return _OF_PROCESS[pid].path


def _end() -> None:
    if (mine := _OF_PROCESS.pop(os.getpid(), None)) is not None:  # That of a parent is not ours to take away.
        mine.close()


@contextmanager
def folder() -> Iterator[Path]:
    """One folder, until the end of the block."""
    scratch = Scratch()
    try:
        yield scratch.path
    finally:
        scratch.close()


def sweep() -> None:
    """Take away what processes of this user left behind that died."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
            finally:
                os.close(lock)
