"""Damaged files: what is asked is answered as before, or refused by the name of the file; and the doctor names it."""

import logging
import math
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tests.torture import shop

HARMLESS = {"writer.lock", "ledger.db-shm", "ledger.db-wal", "jobs.db-shm", "jobs.db-wal"}
"""Files that say nothing; SQLite makes the -shm anew. What is not named of a -wal was not committed."""
UNKNOWN = {"ledger.seen", "keys.seen", "jobs.db"}
"""Files without which, or with an older copy of which, nothing of a version is lost."""
ASKED = 4
"""So many questions at each damage, beside those that need no file but the ledger."""


class Stores:
    """What is damaged: a store at rest, and one whose last writer died after its commit, so that its log is full."""

    def __init__(self, folder: Path) -> None:
        self.whole = shop.made(folder / "whole")
        # What the files were like two versions ago.
        self.older = folder / "older"
        shutil.copytree(self.whole, self.older)
        shop.done("untag", self.whole, "7", "Blocked", "--reason", "because", "--actor", "tests")
        shop.done("run", self.whole, "--as-of", "2026-04-01", "--actor", "tests")
        key = shop.done("key", "create", self.whole, "--name", "desk", "--scope", "admin", "--actor", "tests")
        self.key = key.split()[0]
        self.cut = folder / "cut"
        shutil.copytree(self.whole, self.cut)
        _killed_after_commit(self.cut)
        self.expected: dict[Path, dict[str, object]] = {}
        for root in (self.whole, self.cut):
            with closing(shop.Shop(root, self.key)) as asked:
                self.expected[root] = {name: ask(asked) for name, ask in shop.QUESTIONS.items()}
        for root, answers in self.expected.items():
            assert shop.DAMAGED not in answers.values(), (root, answers)
            assert shop.named(root) == set(), root


def _killed_after_commit(folder: Path) -> None:
    died = subprocess.run(
        [Path(sys.executable).with_name("ruleengine"), "run", folder, "--as-of", "2026-04-02", "--actor", "tests"],
        env={**os.environ, "RULEENGINE_CRASH_AT": "committed"},
        check=False,
    )
    assert died.returncode < 0, died


def trials(stores: Stores, times: int, random_: random.Random) -> Iterator[tuple[Path, str, Path, bytes | None]]:
    """Store, kind of damage, file, and what it then holds (None: it is gone): `times` of each kind for each sort of
    file, where there are so many ways."""
    for root in (stores.whole, stores.cut):
        store = root / ".ruleengine"
        sorts: dict[str, list[Path]] = {}
        for path in sorted(store.rglob("*")):
            if path.is_file():
                sorts.setdefault(path.name if path.parent != store / "salts" else "salts/", []).append(path)
        for paths in sorts.values():
            for _ in range(times):
                path = random_.choice(paths)
                content = path.read_bytes()
                if content:
                    flipped = bytearray(content)
                    flipped[random_.randrange(len(content))] ^= 1 << random_.randrange(8)
                    yield root, "flipped", path, bytes(flipped)
                    yield root, "truncated", path, content[: random_.randrange(len(content))]
            for path in random_.sample(paths, min(times, len(paths))):
                yield root, "deleted", path, None
            for _ in range(min(times, len(paths) * (len(paths) - 1))):
                path, other = random_.sample(paths, 2)
                yield root, "swapped", path, other.read_bytes()
            for path in random_.sample(paths, min(times, len(paths))):
                older = stores.older / path.relative_to(root)
                if older.exists():
                    yield root, "older", path, older.read_bytes()


def torture(folder: Path, times: int, seed: int, *, most: int | None = None, until: float = math.inf) -> Counter[str]:
    """Damage a file, and ask."""
    logging.getLogger("ruleengine.api").addHandler(logging.NullHandler())
    random_ = random.Random(seed)
    folder.mkdir()
    stores = Stores(folder)
    counts: Counter[str] = Counter()
    drawn = list(trials(stores, times, random_))
    random_.shuffle(drawn)
    for number, (root, kind, path, content) in enumerate(drawn[:most]):
        if time.monotonic() > until:
            break
        if content == path.read_bytes():
            continue
        target = folder / "trial"
        _copy(root, target, path.relative_to(root))
        if content is not None:
            (target / path.relative_to(root)).write_bytes(content)
        counts[f"{kind}"] += 1
        name = path.relative_to(root / ".ruleengine").as_posix()
        for wrong in _asked(shop.Shop(target, stores.key), stores.expected[root], name, random_):
            counts["wrong answers"] += 1
            print(f"seed {seed}, damage {number}: {kind} {name}: {wrong}", flush=True)
        found = shop.named(target)
        if found:
            counts["named"] += 1
        elif name in HARMLESS or (name in UNKNOWN and kind in ("deleted", "older")):
            counts["of no account"] += 1
        elif name == "ledger.db" and kind == "flipped":
            counts["not read"] += 1  # Nobody notices a page that nobody reads, say one that the log has anew.
        else:
            counts["not named"] += 1
            print(f"seed {seed}, damage {number}: {kind} {name}: nobody notices", flush=True)
        shutil.rmtree(target)
    return counts


def _copy(root: Path, target: Path, without: Path) -> None:
    """Databases are copied, for SQLite may write into them; what is never written again has a second name."""

    def copy(source: str, destination: str) -> None:
        if Path(source).relative_to(root) == without:
            return
        if source.endswith(".parquet"):
            Path(destination).hardlink_to(source)
        else:
            shutil.copy2(source, destination)

    shutil.copytree(root, target, copy_function=copy)


def _asked(damaged: shop.Shop, expected: dict[str, object], name: str, random_: random.Random) -> Iterator[str]:
    """What was answered otherwise than before, and what was refused though nothing it needs is damaged."""
    some = random_.sample(sorted(shop.QUESTIONS.keys() - shop.SERVED), ASKED)
    with closing(damaged) as asked:
        for question in [*shop.SERVED, *some]:
            answer = shop.QUESTIONS[question](asked)
            if answer == shop.DAMAGED:
                if question in shop.SERVED and name.endswith(".parquet"):
                    yield f"{question} was refused"
            elif answer != expected[question]:
                yield f"{question} is {answer}"
