"""Damaged files: what is asked is answered as before, or refused by the name of the file; the doctor names it, and an
audit its version."""

import json
import logging
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ruleengine.store import sqlite
from tests.torture import shop
from tests.torture.crashes import told
from tests.torture.pages import unread

DATABASES = ("ledger", "keys", "jobs")
NOTHING = ("writer.lock", "ledger.db-shm", "keys.db-shm", "jobs.db-shm")
"""Files that say nothing: the name of a holder who is gone, and what SQLite makes anew."""
NO_VERSION = ("jobs.db", "jobs.db-wal", "ledger.seen", "keys.seen")
"""Files without which, or with an older copy of which, nothing of a version is lost."""
ASKED = 2
"""So many questions at every second damage; an audit at the others."""


@dataclass(frozen=True)
class Damage:
    root: Path
    kind: str
    path: Path
    at: int = 0
    """The byte that is flipped, or from which on all are gone."""
    bit: int = 0
    by: Path | None = None
    """The file whose content it has instead."""

    @property
    def name(self) -> str:
        return self.path.relative_to(self.root / ".ruleengine").as_posix()

    @property
    def content(self) -> bytes | None:
        """What the file then holds; None: it is gone."""
        if self.by is not None:
            return self.by.read_bytes()
        content = bytearray(self.path.read_bytes())
        if self.kind == "deleted":
            return None
        if self.kind == "flipped":
            content[self.at] ^= 1 << self.bit
        else:
            del content[self.at :]
        return bytes(content)

    @property
    def is_mixed(self) -> bool:
        """Whether a database and the log beside it are of different times: each page is as it was written then."""
        log = self.path.with_name(f"{self.path.name}-wal")
        return self.kind == "older" and log.exists() and log.stat().st_size > 0

    @property
    def is_harmless(self) -> bool:
        """Whether nobody need notice: by what the file is for, or since nobody reads those bytes."""
        if self.name in NOTHING or (self.name in NO_VERSION and self.kind in ("deleted", "older")):
            return True
        if self.name == "jobs.db-wal":  # What it then lacks is as in an older jobs.db.
            return True
        return self.kind in ("flipped", "truncated") and unread(self.path, self.kind, self.at)


@dataclass
class Stores:
    """What is damaged: a store at rest, and one whose last writer died after its commit, so that its log is full."""

    folder: Path
    expected: dict[Path, dict[str, object]] = field(default_factory=dict)
    versions: Mapping[str, int | None] = field(default_factory=dict)
    """Of the files that belong to one: see `integrity`."""
    key: str = ""

    @classmethod
    def made(cls, folder: Path) -> "Stores":
        folder.mkdir()
        made = cls(folder)
        shop.made(made.whole)
        shutil.copytree(made.whole, made.older)
        shop.done("untag", made.whole, "7", "Blocked", "--reason", "because", "--actor", "tests")
        shop.done("run", made.whole, "--as-of", "2026-04-01", "--actor", "tests")
        made.key = shop.done("key", "create", made.whole, "--name", "desk", "--scope", "admin", "--actor", "tests")
        made.key = made.key.split()[0]
        shutil.copytree(made.whole, made.cut)
        _killed_after_commit(made.cut)
        for root in (made.whole, made.cut):
            made.versions = {**made.versions, **_versions(root)}
            with closing(shop.Shop(root, made.key)) as asked:
                made.expected[root] = {name: ask(asked) for name, ask in shop.QUESTIONS.items()}
            assert shop.DAMAGED not in made.expected[root].values(), root
            assert shop.named(root) == set(), root
        return made

    @property
    def whole(self) -> Path:
        return self.folder / "whole"

    @property
    def older(self) -> Path:
        """The same, two versions ago."""
        return self.folder / "older"

    @property
    def cut(self) -> Path:
        return self.folder / "cut"


def _killed_after_commit(folder: Path) -> None:
    died = subprocess.run(
        [Path(sys.executable).with_name("ruleengine"), "run", folder, "--as-of", "2026-04-02", "--actor", "tests"],
        env={**os.environ, "RULEENGINE_CRASH_AT": "noted"},
        check=False,
    )
    assert died.returncode < 0, died


def _versions(root: Path) -> dict[str, int | None]:
    with closing(sqlite.reader(root / ".ruleengine" / "ledger.db", 10)) as ledger:
        of_runs = dict(ledger.execute("SELECT id, version FROM runs").fetchall())
        names = [name for (name,) in ledger.execute("SELECT path FROM files")]
    return {name: of_runs.get(Path(name).parent.name) for name in names}


def damages(stores: Stores, times: int, random_: random.Random) -> Iterator[Damage]:
    """`times` of each kind for each sort of file, where there are so many ways. Of the store whose writer died, only
    what another store has not: a log, and a ledger that lacks what stands in it."""
    for root, only in ((stores.whole, ()), (stores.cut, ("ledger.db", "ledger.db-wal", "jobs.db", "jobs.db-wal"))):
        store = root / ".ruleengine"
        sorts: dict[str, list[Path]] = {}
        for path in sorted(store.rglob("*")):
            if path.is_file() and path.stat().st_size and (path.name in only or not only):
                sorts.setdefault(path.name if path.parent != store / "salts" else "salts/", []).append(path)
        for paths in sorts.values():
            for _ in range(times):
                path = random_.choice(paths)
                size = path.stat().st_size
                yield Damage(root, "flipped", path, random_.randrange(size), random_.randrange(8))
                path = random_.choice(paths)
                yield Damage(root, "truncated", path, random_.randrange(path.stat().st_size))
            for path in random_.sample(paths, min(times, len(paths))):
                yield Damage(root, "deleted", path)
            for _ in range(min(times, len(paths) * (len(paths) - 1))):
                path, other = random_.sample(paths, 2)
                if path.read_bytes() != other.read_bytes():
                    yield Damage(root, "swapped", path, by=other)
            for path in random_.sample(paths, min(times, len(paths))):
                older = stores.older / path.relative_to(root)
                if older.exists() and older.read_bytes() != path.read_bytes():
                    yield Damage(root, "older", path, by=older)


def torture(stores: Stores, chosen: Iterable[Damage], seed: int) -> Counter[str]:
    """Damage a file, and ask."""
    logging.getLogger("ruleengine.api").addHandler(logging.NullHandler())
    random_ = random.Random(seed)
    counts: Counter[str] = Counter()
    for number, damage in enumerate(chosen):
        content = damage.content
        with TemporaryDirectory() as folder:
            target = Path(folder) / "trial"
            _copy(damage.root, target, damage.path.relative_to(damage.root))
            if content is not None:
                (target / damage.path.relative_to(damage.root)).write_bytes(content)
            counts[damage.kind] += 1
            if (number % 2 == 0 or damage.name not in stores.versions) and not damage.is_mixed:
                asked = shop.Shop(target, stores.key)
                wrong = list(_answered_wrong(asked, stores.expected[damage.root], damage, random_))
                told(counts, "wrong answers", wrong, f"seed {seed}: {damage}")
            if number % 2 and damage.name in stores.versions:
                counts["audits"] += 1
                told(counts, "wrong audits", _audited_wrong(target, stores.versions, damage.name), f"{damage}")
            found = shop.named(target)
        is_named = any(_sort(name) == _sort(damage.name) for name in found)
        counts["named"] += is_named
        counts["of no account"] += not found and damage.is_harmless
        if not is_named and not (damage.is_harmless and not found):
            told(counts, "not named", [f"{found or 'nothing'}"], f"{damage}")
    return counts


def _sort(name: str) -> str:
    """A database, its log and its note tell of one another."""
    return next((each for each in DATABASES if name.startswith(f"{each}.")), name)


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


def _answered_wrong(
    damaged: shop.Shop, expected: Mapping[str, object], damage: Damage, random_: random.Random
) -> Iterator[str]:
    """What was answered otherwise than before, and what was refused though nothing it needs is damaged."""
    served = random_.choice(sorted(shop.SERVED))
    with closing(damaged) as asked:
        for question in [served, *random_.sample(sorted(shop.QUESTIONS.keys() - shop.SERVED), ASKED)]:
            answer = shop.QUESTIONS[question](asked)
            if answer == shop.DAMAGED:
                if question in shop.SERVED and damage.name.endswith(".parquet"):
                    yield f"{question} was refused"
            elif answer != expected[question]:
                yield f"{question} is {answer}"


def _audited_wrong(folder: Path, versions: Mapping[str, int | None], name: str) -> Sequence[str]:
    code, out, err = shop.command("audit", "verify", folder, "--format", "json")
    first = json.loads(out)["first_bad"] if code == 1 else None
    # Salts of many versions, and files of a run that is held, belong to none.
    is_right = code == 1 and versions[name] in (None, first)
    return [] if is_right else [f"{code}, version {first}, {versions[name]}: {err}"]


def pieces(folder: Path, times: int, size: int, seed: int) -> list[Callable[[], Counter[str]]]:
    """All damages, in an order of chance, so many at a time."""
    random_ = random.Random(seed)
    stores = Stores.made(folder)
    every = list(damages(stores, times, random_))
    random_.shuffle(every)
    return [partial(torture, stores, every[start : start + size], start) for start in range(0, len(every), size)]
