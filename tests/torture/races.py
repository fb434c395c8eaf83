"""Writers that come at once: one after the other in the end, and those who lose know at once to whom."""

import random
from collections import Counter
from pathlib import Path

from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.store import Store
from tests.lives import begin
from tests.store.child import where
from tests.torture import people, world
from tests.torture.crashes import told
from tests.torture.stores import NewStore
from tests.torture.world import Ack

ROUNDS = 10
"""After which a new store is taken."""
SLOWEST = "slowest refusal in ms"
AT_ONCE = 1.0
"""Seconds within which a loser has to know."""


def torture(new_store: NewStore, rounds: int, seed: int, *, readers: int = 2) -> Counter[str]:
    """So often, two to eight processes do something at once; in every fourth round one of them is killed."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    for start in range(0, rounds, ROUNDS):
        with new_store() as store:
            acks: list[Ack] = [ack for ack in [world.act(store, random_)] if ack]
            with people.watched(where(store), readers) as ended:
                for number in range(start, min(start + ROUNDS, rounds)):
                    leave_behind(store)
                    acks += _round(store, counts, random_, kills=number % 4 == 3)
                    counts["rounds"] += 1
                asked, wrong = ended()
            counts["reads"] += asked
            told(counts, "mixed", wrong, f"seed {seed}")
            told(counts, "wrong history", list(world.history_wrong(store, acks)), f"seed {seed}")
            told(counts, "wrong exports", list(world.exports_wrong(store, store.line()[:6])), f"seed {seed}")
            counts["told as done"] += len(acks)
            counts["versions"] += len(store.versions())
    return counts


def _round(store: Store, counts: Counter[str], random_: random.Random, *, kills: bool) -> list[Ack]:
    acks = []
    lives = [begin(people.write, where(store), random_.randrange(1 << 30), 1) for _ in range(random_.randint(2, 8))]
    counts["processes"] += len(lives)
    if kills:
        lives[0].ended(random_.random() / 2)
        counts["kills"] += lives[0].kill()
    for life in lives:
        for said in life.heard():
            match said:
                case Ack():
                    acks.append(said)
                case (float() as seconds, bool() as named):
                    counts["refused"] += 1
                    counts["told no name"] += not named
                    counts["told late"] += seconds > AT_ONCE
                    counts[SLOWEST] = max(counts[SLOWEST], round(1000 * seconds))
                case "ready" | "done":
                    pass
                case _:
                    told(counts, "failed", [str(said)], "a round")
        life.ended()
    return acks


def leave_behind(store: Store) -> None:
    """What a machine leaves that crashed: the name of a holder whose number is another process's now."""
    if isinstance(store, PostgresStore):
        return
    (folder,) = store.directories
    Path(folder, "writer.lock").write_text('{"actor": "nightly", "pid": 1, "host": "batch-1", "started": "2026-01-01"}')
