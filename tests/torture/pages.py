"""Which bytes of a file of SQLite nobody reads, by the description of its format (sqlite.org/fileformat2.html)."""

from collections.abc import Collection
from pathlib import Path

PAGE = 4096
LOG, FRAME = 32, 24
"""Bytes of the headers of a log, and of each of its frames, which has a page."""


def unread(path: Path, kind: str, at: int) -> bool:
    """Whether nothing is lost where the byte `at` is flipped, or all from it on are truncated."""
    size = path.stat().st_size
    if path.name.endswith(".db-wal"):
        return at >= end_of_log(path.read_bytes())
    if not path.name.endswith(".db"):
        return False
    first, last = at // PAGE, at // PAGE if kind == "flipped" else (size - 1) // PAGE
    if kind == "truncated" and at % PAGE:
        return False  # A page that is there in part is always told.
    content, log = path.read_bytes(), Path(f"{path}-wal")
    anew = in_log(log.read_bytes()) if log.exists() else set()
    # Which pages are free now, is told by the first page as it is now.
    free = set() if anew else free_pages(content)
    return all(number in anew or number in free for number in range(first + 1, last + 2))


def free_pages(content: bytes) -> Collection[int]:
    """Those that hold nothing, by number from 1; not those that list them, which are read."""
    found: set[int] = set()
    trunk = int.from_bytes(content[32:36])
    while trunk:
        page = content[(trunk - 1) * PAGE : trunk * PAGE]
        listed = int.from_bytes(page[4:8])
        found |= {int.from_bytes(page[8 + 4 * each : 12 + 4 * each]) for each in range(listed)}
        trunk = int.from_bytes(page[:4])
    return found


def in_log(log: bytes) -> Collection[int]:
    """Pages that a log has anew, by number."""
    return {number for number, _ in _frames(log[: end_of_log(log)])}


def end_of_log(log: bytes) -> int:
    """Where the last transaction ends that was committed; what comes after it counts for nothing."""
    ends = [LOG + (place + 1) * (FRAME + PAGE) for place, (_, is_last) in enumerate(_frames(log)) if is_last]
    return max(ends, default=0)


def _frames(log: bytes) -> list[tuple[int, bool]]:
    """The number of each page, and whether a transaction ends with it: of as many as belong to the log as it is now,
    which all have its salt."""
    found = []
    for start in range(LOG, len(log) - PAGE - FRAME + 1, PAGE + FRAME):
        if log[start + 8 : start + 16] != log[16:24]:
            break
        found.append((int.from_bytes(log[start : start + 4]), log[start + 4 : start + 8] != bytes(4)))
    return found
