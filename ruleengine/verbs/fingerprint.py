"""What a run computes from: the same contents give the same fingerprint wherever the files lie."""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruleengine.diagnostics import codes
from ruleengine.schema import Binding
from ruleengine.verbs.outcome import NotUsableError

Look = tuple[int, int, int] | None
"""What tells two states of a file apart without reading it: inode, size, time; None: it is not there."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The hash of all files of all sources, and how the files looked while they were read."""

    hash: str | None
    """None where the data lies in a database, which a run reads once, in one state."""
    files: Mapping[Path, Look]

    def refuse_changes(self) -> None:
        """ProblemError where a file is not as it was: a run must not see two states of its data."""
        for path, look in self.files.items():
            if _look(path) != look:
                raise NotUsableError(codes.data_changed(None, file=str(path)))


UNKNOWN = Fingerprint(None, {})


def watched(files: Iterable[Path]) -> Fingerprint:
    """How files look, without reading them."""
    return Fingerprint(None, {file: _look(file) for file in files})


def take(sources: Mapping[str, tuple[Binding, Sequence[Path]]]) -> Fingerprint:
    """Read every file of every source once."""
    whole = hashlib.sha256()
    looks: dict[Path, Look] = {}
    for name, (binding, files) in sorted(sources.items()):
        _add(whole, name)
        for pair in sorted(binding.columns.items()):
            _add(whole, "\0".join(pair))
        for file in files:
            before = _look(file)
            with open(file, "rb") as opened:
                _add(whole, file.suffix + hashlib.file_digest(opened, "sha256").hexdigest())
            looks[file] = before
    found = Fingerprint(whole.hexdigest(), looks)
    found.refuse_changes()
    return found


def _look(path: Path) -> Look:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _add(whole: "hashlib._Hash", text: str) -> None:
    data = text.encode("utf-8", "surrogateescape")
    whole.update(len(data).to_bytes(8, "big") + data)
