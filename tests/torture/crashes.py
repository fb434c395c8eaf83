"""Writers that are killed, at a step of what they do or at any moment, and servers under them that crash."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from unittest import mock

import psycopg

from ruleengine.store.store import Store
from tests import postgres
from tests.faults.cluster import Cluster, cluster
from tests.lives import begin
from tests.store.child import where
from tests.store.steps import (
    FORGET_STEPS,
    MANUAL_STEPS,
    POSTGRES_EDIT_STEPS,
    POSTGRES_STEPS,
    ROLLBACK_STEPS,
    STEPS,
)
from tests.store.tables import IDENTITY
from tests.torture import people, world
from tests.torture.stores import NewStore, in_schema, orphans
from tests.torture.world import Ack

LIVES = 20
"""Of writers, after which a new store is taken: one with many versions is slow to check."""
LATEST = 2
"""So many acts would take the time within which a writer is killed at any moment."""
AT_WORK = 0.5
"""Seconds that a writer has at most, before the server crashes and after."""
ATTEMPTS = 12
"""What may be done to come to a step that not every act has."""

Step = tuple[str, str]
"""What is done, and where in it the process dies."""


def of(steps: Mapping[str, Sequence[str]]) -> Sequence[Step]:
    return [(what, step) for what, all_of in steps.items() for step in all_of]


FOLDER_STEPS = of(
    {
        "run": STEPS,
        "held": STEPS[STEPS.index("serving-begun") :],
        # A customer's memory of what is set by hand has a file only where rules ask for more than the torture's do.
        "by hand": [step for step in MANUAL_STEPS if step != "memory-renamed"],
        "rollback": ROLLBACK_STEPS,
        "forget": FORGET_STEPS,
    }
)
SCHEMA_STEPS = of(
    {
        "run": POSTGRES_STEPS,
        "held": POSTGRES_EDIT_STEPS[1:],
        **dict.fromkeys(("by hand", "rollback", "forget"), POSTGRES_EDIT_STEPS),
    }
)


def torture(
    new_store: NewStore, kills: int, seed: int, steps: Sequence[Step] = (), *, readers: int = 4
) -> Counter[str]:
    """Kill writers so often, each at one of the steps in turn, or at a random moment of its work; ask all the while."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    for start in range(0, kills, LIVES):
        with new_store() as store:
            begun = time.monotonic()
            acks: list[Ack] = [ack for ack in [world.act(store, random_)] if ack]
            latest = LATEST * (time.monotonic() - begun)
            with people.watched(where(store), readers) as ended:
                for number in range(start, min(start + LIVES, kills)):
                    what, step = steps[number % len(steps)] if steps else ("", "")
                    if step:
                        acks += _die_at(store, counts, random_, what, step)
                    else:
                        acks += _die(store, counts, random_, random_.random() * latest)
                    told(counts, "lost", world.lost(store, acks), f"seed {seed}, life {number}")
                    if number % 2:  # Every other one is left to the next writer to tidy up after, who is killed too.
                        told(counts, "orphans", left_behind(store), f"seed {seed}, life {number}")
                asked, wrong = ended()
            counts["reads"] += asked
            told(counts, "mixed", wrong, f"seed {seed}")
            told(counts, "torn", list(world.history_wrong(store, acks)), f"seed {seed}")
            counts["versions"] += len(store.versions())
    return counts


def _die_at(store: Store, counts: Counter[str], random_: random.Random, what: str, step: str) -> list[Ack]:
    """A writer that ends at a step, and what it was told until then."""
    said: list[object] = []
    for _ in range(3):
        life = begin(people.write, where(store), random_.randrange(1 << 30), ATTEMPTS, what, crash_at=step)
        said += life.heard()
        if life.ended() == -signal.SIGKILL:
            counts["kills"] += 1
            break
    else:
        told(counts, "not reached", [f"{what}: {step}"], "steps")
    return _acks(counts, said, step)


def _die(store: Store, counts: Counter[str], random_: random.Random, seconds: float) -> list[Ack]:
    """A writer that writes until it is killed, after so long."""
    life = begin(people.write, where(store), random_.randrange(1 << 30), 1000)
    said = [next(life.heard())]
    time.sleep(seconds)
    counts["kills"] += life.kill()
    return _acks(counts, [*said, *life.heard(0)], "any moment")


def _acks(counts: Counter[str], said: Sequence[object], where_: str) -> list[Ack]:
    told(counts, "failed", failures(said), where_)
    return [each for each in said if isinstance(each, Ack)]


def failures(said: Sequence[object]) -> list[str]:
    """Codes of problems, of all that a writer said."""
    return [each for each in said if isinstance(each, str) and each not in ("ready", "done")]


def left_behind(store: Store) -> list[str]:
    """What there is in a store, after somebody tidied up, that belongs to nothing."""
    with store.writer("tidying", IDENTITY):
        pass
    return orphans(store)


# -- the server ----------------------------------------------------------------------------------------------


def of_servers(crashes: int, seed: int, *, readers: int = 4) -> Counter[str]:
    """Kill the server's process of a writer or a reader so often: then all of it crashes, and recovers by itself."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    with _server() as own, in_schema() as store:
        acks: list[Ack] = [ack for ack in [world.act(store, random_)] if ack]
        with people.watched(where(store), readers, may_be_away=True) as ended:
            for _ in range(crashes):
                life = begin(people.write, where(store), random_.randrange(1 << 30), 1000)
                said = [next(life.heard())]
                time.sleep(random_.random() * AT_WORK)
                counts["crashes"] += _crash(own, random_)
                store.close()
                told(counts, "lost", world.lost(store, acks), f"seed {seed}")
                # Who writes goes on by himself.
                said += list(life.heard(random_.random() * AT_WORK))
                life.kill()
                said += life.heard(0)
                known = [each for each in said if not (isinstance(each, str) and each.startswith("database-"))]
                acks += _acks(counts, known, f"seed {seed}")
            asked, wrong = ended()
        counts["reads"] += asked
        counts["told as done"] += len(acks)
        told(counts, "mixed", wrong, f"seed {seed}")
        told(counts, "orphans", left_behind(store), f"seed {seed}")
        told(counts, "torn", list(world.history_wrong(store, acks)), f"seed {seed}")
    return counts


@contextmanager
def _server() -> Iterator[Cluster]:
    """A server of one's own, to which what is said to be done need not have outlasted a crash by itself."""
    with cluster() as own:
        with own.admin() as admin:
            admin.execute("ALTER SYSTEM SET restart_after_crash = on")
            admin.execute("ALTER DATABASE postgres SET synchronous_commit = off")
        with mock.patch.dict(os.environ, {postgres.STORE: own.address}):
            yield own


def _crash(own: Cluster, random_: random.Random) -> int:
    """How many processes were killed: one, if anybody was connected; wait until the server is there again."""
    with own.admin() as admin:
        backends = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        found = [pid for (pid,) in admin.execute(backends)]
        begun = admin.execute("SELECT pg_postmaster_start_time()").fetchone()
        if not found:
            return 0
        pid = random_.choice(found)
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGKILL)
        # The server ends this connection as well, before it recovers.
        with suppress(psycopg.Error):
            while True:
                admin.execute("SELECT pg_sleep(0.01)")
    until = time.monotonic() + 60
    while True:
        try:
            with own.admin() as admin:
                assert admin.execute("SELECT pg_postmaster_start_time()").fetchone() == begun
                return 1
        except psycopg.OperationalError:
            assert time.monotonic() < until, "the server never came back"
            time.sleep(0.05)


def told(counts: Counter[str], what: str, wrong: Sequence[str], where_: str) -> None:
    """Count what is wrong, and print some of it."""
    counts[what] += len(wrong)
    for each in wrong[:3]:
        print(f"{where_}: {what}: {each[:500]}", flush=True)
