"""Processes that add keys of the API and are killed, while others look keys up."""

import random
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.store import open_store
from ruleengine.store.records import ApiKey
from tests.lives import begin
from tests.torture.crashes import told

LATEST = 0.03
"""Seconds within which a process is killed, from its first key on."""


def torture(kills: int, seed: int) -> Counter[str]:
    """Kill so many; ask before and after each death."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    with TemporaryDirectory() as folder, closing(open_store(Path(folder))) as store:
        added: list[str] = []
        for number in range(kills):
            life = begin(add, folder, number)
            added.append(next(life.heard()))
            for after in (False, True):
                if after:
                    time.sleep(random_.random() * LATEST)
                    counts["kills"] += life.kill()
                    added += life.heard(0)
                try:
                    known = store.keys()
                except ProblemError as error:
                    told(counts, "failed", [str(error.problems)], f"seed {seed}, life {number}")
                else:
                    counts["reads"] += 1
                    told(counts, "lost", sorted({*added} - {key.id for key in known}), f"seed {seed}, life {number}")
        told(counts, "torn", [str(problem) for problem in store.damage()], f"seed {seed}")
    return counts


def add(pipe: Connection, folder: str, number: int) -> None:
    """Add one key after another, and say of each that it is there."""
    store = open_store(Path(folder))
    for each in count():
        key = ApiKey(
            id=f"{number}-{each}",
            digest=f"digest of {number}-{each}",
            name="till",
            scopes=("tags:read",),
            actor="torture",
            created_at=datetime.now(UTC),
            expires_on=None,
            revoked_at=None,
        )
        store.add_key(key)
        pipe.send(key.id)
