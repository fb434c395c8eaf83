"""Writers that come at once: one after the other in the end, and those who lose know at once to whom."""

import math
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.store import Store
from tests.store.child import where
from tests.torture import people, world
from tests.torture.crashes import told
from tests.torture.world import Ack

ROUNDS = 20
"""After which a new store is taken."""


def torture(
    stores: Callable[[], Store], rounds: int, seed: int, *, readers: int = 2, until: float = math.inf
) -> Counter[str]:
    """So often, two to eight processes do something at once; in every fourth round one of them is killed."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    slowest = 0.0
    for start in range(0, rounds, ROUNDS):
        if time.monotonic() > until:
            break
        store = stores()
        acks: list[Ack] = [ack for ack in [world.act(store, random_)] if ack]
        with people.watched(where(store), readers) as ended:
            for number in range(start, min(start + ROUNDS, rounds)):
                leave_behind(store)
                lives = [
                    people.begin(people.write, where(store), random_.randrange(1 << 30), 1)
                    for _ in range(random_.randint(2, 8))
                ]
                if number % 4 == 3:
                    lives[0].process.join(random_.random() / 2)
                    lives[0].kill()
                    counts["kills"] += 1
                for life in lives:
                    for said in life.heard():
                        match said:
                            case Ack():
                                acks.append(said)
                            case (float() as seconds, bool() as named):
                                counts["refused"] += 1
                                counts["without a name"] += not named
                                slowest = max(slowest, seconds)
                            case "ready" | "done":
                                pass
                            case _:
                                told(counts, "failed", [str(said)], f"seed {seed}, round {number}")
                counts["rounds"] += 1
            asked, wrong = ended()
        counts["reads"] += asked
        told(counts, "mixed", wrong, f"seed {seed}")
        told(counts, "wrong history", list(world.history_wrong(store, acks)), f"seed {seed}")
        line = store.line()
        told(counts, "wrong exports", list(world.exports_wrong(store, line[:12])), f"seed {seed}")
        counts["told as done"] += len(acks)
        counts["versions"] += len(store.versions())
        store.close()
    counts["slowest refusal in ms"] = round(1000 * slowest)
    return counts


def leave_behind(store: Store) -> None:
    """What a machine leaves that crashed: the name of a holder whose number is another process's now."""
    if isinstance(store, PostgresStore):
        return
    (folder,) = store.directories
    Path(folder, "writer.lock").write_text('{"actor": "nightly", "pid": 1, "host": "batch-1", "started": "2026-01-01"}')
