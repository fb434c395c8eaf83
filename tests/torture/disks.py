"""Disks that are full: a file that may not grow, or a file system without room."""

import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ruleengine.store import open_store
from ruleengine.store.store import Store
from tests.store.child import where
from tests.torture import people, world
from tests.torture.crashes import told
from tests.torture.world import Ack

LARGEST = 512 * 1024
ACTS = 4
FULL = "store-unusable"


def torture(stores: Callable[[], Store], every: int, seed: int) -> Counter[str]:
    """Writers whose files may have so many bytes, and so many more, and so on."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    store = stores()
    acks = [ack for ack in [world.act(store, random_)] if ack]
    with people.watched(where(store), 2) as ended:
        for largest in range(every, LARGEST, every):
            _starved(store, acks, counts, random_, largest)
        asked, wrong = ended()
    counts["reads"] += asked
    told(counts, "mixed", wrong, f"seed {seed}")
    _at_last(store, acks, counts, random_)
    store.close()
    return counts


def on_small_disks(folder: Path, sizes: range, seed: int) -> Counter[str]:
    """Writers on a file system of so many bytes; of no size where none may be mounted here."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    for size in sizes:
        with _mounted(folder, size) as is_mounted:
            if not is_mounted:
                counts["not mounted"] += 1
                continue
            store = open_store(folder / "store")
            acks: list[Ack] = []
            for _ in range(20):
                before = counts["full"]
                _starved(store, acks, counts, random_, None)
                if counts["full"] > before:
                    break
            told(counts, "mixed", list(world.Reader(store).wrong()) if acks else [], f"seed {seed}")
            subprocess.run(["mount", "-o", "remount,size=64m", folder], check=True)
            _at_last(store, acks, counts, random_)
            store.close()
    return counts


def _starved(store: Store, acks: list[Ack], counts: Counter[str], random_: random.Random, largest: int | None) -> None:
    """A writer that does as much as there is room for."""
    life = people.begin(people.write, where(store), random_.randrange(1 << 30), ACTS, "", largest)
    said = list(life.heard())
    life.process.join(20)
    acks += [each for each in said if isinstance(each, Ack)]
    codes = [each for each in said if each not in ("ready", "done") and isinstance(each, str)]
    counts["full"] += codes.count(FULL)
    told(counts, "not told", [code for code in codes if code != FULL], f"limit {largest}")
    told(counts, "not told", [] if said[-1:] == ["done"] else [f"died after {said}"], f"limit {largest}")
    told(counts, "lost", list(_missing(store, acks)), f"limit {largest}")


def _missing(store: Store, acks: list[Ack]) -> Iterator[str]:
    hashes = {version.number: version.hash for version in store.versions()}
    yield from (str(ack) for ack in acks if hashes.get(ack.number) != ack.hash)


def _at_last(store: Store, acks: list[Ack], counts: Counter[str], random_: random.Random) -> None:
    """There is room again."""
    while world.act(store, random_) is None:
        pass
    told(counts, "torn", list(world.history_wrong(store, acks)), "in the end")
    (folder,) = store.directories
    told(counts, "orphans", people.orphans(folder), "in the end")


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[bool]:
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
