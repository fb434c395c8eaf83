"""Disks that are full: a file that may not grow, or a file system without room."""

import random
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ruleengine.store import open_store
from ruleengine.store.store import Store
from tests.lives import begin
from tests.store.child import where
from tests.torture import people, world
from tests.torture.crashes import failures, left_behind, told
from tests.torture.stores import NewStore
from tests.torture.world import Ack

FULL = "store-unusable"
STEP = 64 * 1024
MOST = 40
"""Acts after which any small disk is full."""


def torture(new_store: NewStore, acts: Sequence[str], seed: int, *, before: int = 10) -> Counter[str]:
    """Writers whose files may have so many bytes, and so many more, until all that they do has room."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    with new_store() as store:
        acks = [ack for ack in (world.act(store, random_) for _ in range(before)) if ack]
        (folder,) = store.directories
        with people.watched(where(store), 2) as ended:
            for act in acts:
                largest, room = 0, False
                while not room:
                    largest += STEP
                    full = counts["full"]
                    _starved(store, acks, counts, random_, act, largest)
                    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
                    room = counts["full"] == full and largest > max(sizes)
            asked, wrong = ended()
        counts["reads"] += asked
        told(counts, "mixed", wrong, f"seed {seed}")
        _at_last(store, acks, counts, random_)
    return counts


def on_small_disks(sizes: Sequence[int], seed: int) -> Counter[str]:
    """Writers on a file system of so many bytes, until it is full. OSError where none may be mounted here."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    for size in sizes:
        with _mounted(size) as folder, closing(open_store(folder / "store")) as store:
            acks: list[Ack] = []
            for _ in range(MOST):
                before = counts["full"]
                _starved(store, acks, counts, random_, None, None)
                if counts["full"] > before:
                    break
            told(counts, "mixed", list(world.Reader(store).wrong()) if acks else [], f"seed {seed}")
            subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
            _at_last(store, acks, counts, random_)
    return counts


def _starved(
    store: Store,
    acks: list[Ack],
    counts: Counter[str],
    random_: random.Random,
    act: str | None,
    largest: int | None,
) -> None:
    """A writer that does as much as there is room for."""
    life = begin(people.write, where(store), random_.randrange(1 << 30), 1, act, largest)
    said = list(life.heard())
    life.ended()
    acks += [each for each in said if isinstance(each, Ack)]
    codes = failures(said)
    counts["full"] += codes.count(FULL)
    counts["writes"] += 1
    told(counts, "not told", [code for code in codes if code != FULL], f"{act}, limit {largest}")
    told(counts, "not told", [] if said[-1:] == ["done"] else [f"died after {said}"], f"{act}, limit {largest}")
    told(counts, "lost", world.lost(store, acks), f"{act}, limit {largest}")


def _at_last(store: Store, acks: list[Ack], counts: Counter[str], random_: random.Random) -> None:
    """There is room again."""
    while (made := world.act(store, random_)) is None:
        pass
    acks.append(made)
    told(counts, "torn", list(world.history_wrong(store, acks)), "in the end")
    told(counts, "orphans", left_behind(store), "in the end")


@contextmanager
def _mounted(size: int) -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        if (done := subprocess.run(mount, capture_output=True, text=True, check=False)).returncode:
            raise OSError(done.stderr.strip())
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
