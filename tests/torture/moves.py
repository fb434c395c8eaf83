"""Stores that are moved by processes which are killed: the target is empty or whole, and the source as it was."""

import random
import time
from collections import Counter
from multiprocessing.connection import Connection

from ruleengine.store.store import Store
from tests.lives import begin
from tests.store.child import opened, where
from tests.torture import world
from tests.torture.crashes import left_behind, told
from tests.torture.stores import NewStore
from tests.torture.world import Ack

VERSIONS = 8


def torture(new_source: NewStore, new_target: NewStore, kills: int, seed: int) -> Counter[str]:
    """Kill so many moves at any moment; one that was done before is no kill."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    with new_source() as source:
        acks: list[Ack] = []
        while len(acks) < VERSIONS:
            acks += [ack for ack in [world.act(source, random_)] if ack]
        with new_target() as target:
            latest = _moved(source, target)
        while counts["kills"] < kills:
            with new_target() as target:
                while counts["kills"] < kills and not target.versions():
                    counts["kills"] += _killed(source, target, random_.random() * latest)
                    told(counts, "lost", world.lost(source, acks), f"seed {seed}, from")
                    told(counts, "broken", broken(source, target), f"seed {seed}, to")
                if not target.versions():
                    _moved(source, target)
                acks_there = [*acks, *(ack for ack in [world.act(target, random_)] if ack)]
                told(counts, "torn", list(world.history_wrong(target, acks_there)), f"seed {seed}, to")
                told(counts, "orphans", left_behind(target), f"seed {seed}, to")
                counts["moved"] += 1
        told(counts, "torn", list(world.history_wrong(source, acks)), f"seed {seed}, from")
    return counts


def move(pipe: Connection, source: str, target: str) -> None:
    """Says how many seconds it took."""
    begun = time.monotonic()
    with opened(source).packed("torture") as content:
        opened(target).unpack(content, "torture")
    pipe.send(time.monotonic() - begun)


def _moved(source: Store, target: Store) -> float:
    (seconds,) = begin(move, where(source), where(target)).heard()
    assert isinstance(seconds, float)
    return seconds


def _killed(source: Store, target: Store, seconds: float) -> bool:
    """Whether a move was killed before it was done."""
    life = begin(move, where(source), where(target))
    life.pipe.poll(seconds)
    return life.kill() and not list(life.heard(0))


def broken(source: Store, target: Store) -> list[str]:
    """What is in a target that is neither empty nor a copy."""
    there = [version.hash for version in target.versions()]
    whole = [version.hash for version in source.versions()]
    return [f"{len(there)} versions of {len(whole)}"] if there not in ([], whole) else []
