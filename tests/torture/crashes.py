"""Writers that are killed: at a step of a publication, or at any moment."""

import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from ruleengine.store import open_store
from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.store import Store
from tests.store.child import where
from tests.store.conftest import in_postgres
from tests.torture import people, world
from tests.torture.world import Ack

LIVES = 25
"""Of writers, after which a new store is taken: one with many versions is slow to check."""


def torture(
    stores: Callable[[], Store],
    kills: int,
    seed: int,
    steps: Sequence[str] = (),
    *,
    readers: int = 4,
    until: float = math.inf,
) -> Counter[str]:
    """Kill writers so often, each at one of the steps in turn, or at a random moment of its work; ask all the while."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    for start in range(0, kills, LIVES):
        if time.monotonic() > until:
            break
        store = stores()
        acks: list[Ack] = [ack for ack in [world.act(store, random_)] if ack]
        with people.watched(where(store), readers) as ended:
            for number in range(start, min(start + LIVES, kills)):
                step = steps[number % len(steps)] if steps else ""
                _live(store, acks, counts, random_, step)
                told(counts, "lost", _lost(store, acks), f"seed {seed}, life {number}")
            asked, wrong = ended()
        counts["reads"] += asked
        told(counts, "mixed", wrong, f"seed {seed}")
        while world.act(store, random_) is None:  # Whoever writes next tidies up.
            pass
        told(counts, "torn", list(world.history_wrong(store, acks)), f"seed {seed}")
        if not isinstance(store, PostgresStore):
            (folder,) = store.directories
            told(counts, "orphans", people.orphans(folder), f"seed {seed}")
        counts["versions"] += len(store.versions())
        store.close()
    return counts


def _live(store: Store, acks: list[Ack], counts: Counter[str], random_: random.Random, step: str) -> None:
    """A writer that writes until it is killed."""
    life = people.begin(people.write, where(store), random_.randrange(1 << 30), 1000, step)
    heard = life.heard()
    assert next(heard) == "ready"
    if step:
        # It ends by itself, unless what it does has no such step.
        until = time.monotonic() + 20
        while life.process.is_alive() and time.monotonic() < until:
            acks += [said for said in life.heard(0.05) if isinstance(said, Ack)]
            if not life.process.is_alive():
                break
    else:
        time.sleep(random_.random() * 1.5)
    if life.process.is_alive():
        life.kill()
        counts["not reached" if step else "kills"] += 1
    else:
        counts["kills"] += 1
    acks += [said for said in life.heard(0) if isinstance(said, Ack)]


def _lost(store: Store, acks: Sequence[Ack]) -> list[str]:
    """What was told as done and is not there."""
    versions = {version.number: version.hash for version in store.versions()}
    return [str(ack) for ack in acks if versions.get(ack.number) != ack.hash]


def told(counts: Counter[str], what: str, wrong: Sequence[str], where_: str) -> None:
    """Count what is wrong, and print some of it."""
    counts[what] += len(wrong)
    for each in wrong[:3]:
        print(f"{where_}: {what}: {each[:500]}", flush=True)


def folders(root: Path) -> Callable[[], Store]:
    """New stores in a folder."""
    numbers = count()
    return lambda: open_store(root / str(next(numbers)))


def schemas(resources: ExitStack) -> Callable[[], Store]:
    """New stores in a database, which last as long as the resources."""
    return lambda: resources.enter_context(in_postgres())
