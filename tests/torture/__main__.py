"""The long form: `make torture`, or `python -m tests.torture MINUTES`. Prints what was done and what was wrong."""

import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from ruleengine.store.steps import ROLLBACK_STEPS, STEPS
from tests import postgres
from tests.torture import crashes, damage, disks, races

KILLS_AT_EACH_STEP = 20
KILLS = 500
ROUNDS = 200
DAMAGES = 200
"""Of each kind, for each sort of file."""
WRONG: tuple[str, ...] = ("lost", "mixed", "torn", "orphans", "failed", "not told", "wrong history", "wrong exports")
WRONG += ("wrong answers", "not named")

Part = Callable[[float], Counter[str]]


def parts(folder: Path, resources: ExitStack) -> dict[str, tuple[float, Part]]:
    """By name: their share of the time, and what they do until a moment."""

    def stores(name: str) -> Path:
        (folder / name).mkdir()
        return folder / name

    steps = [*dict.fromkeys([*STEPS, *ROLLBACK_STEPS])]
    at_steps, at_random, raced, limited = (
        crashes.folders(stores(name)) for name in ("steps", "kills", "races", "limits")
    )
    schemas = crashes.schemas(resources)
    return {
        "kill -9 at each step, folder": (
            3,
            lambda until: crashes.torture(at_steps, KILLS_AT_EACH_STEP * len(steps), 1, steps, until=until),
        ),
        "kill -9 at any moment, folder": (4, lambda until: crashes.torture(at_random, KILLS, 2, until=until)),
        "kill -9 at any moment, Postgres": (4, lambda until: crashes.torture(schemas, KILLS, 3, until=until)),
        "writers at once, folder": (3, lambda until: races.torture(raced, ROUNDS, 4, until=until)),
        "writers at once, Postgres": (3, lambda until: races.torture(schemas, ROUNDS, 5, until=until)),
        "files that may not grow": (1, lambda until: disks.torture(limited, 64 * 1024, 6)),
        "a small file system": (
            1,
            lambda until: disks.on_small_disks(folder / "disk", range(200_000, 1_000_001, 100_000), 7),
        ),
        "damaged files": (6, lambda until: damage.torture(folder / "damage", DAMAGES, 8, until=until)),
    }


def main(minutes: float) -> int:
    wrong = 0
    with TemporaryDirectory() as folder, ExitStack() as resources:
        resources.callback(postgres.stop)
        of = parts(Path(folder), resources)
        left = sum(share for share, _ in of.values())
        end = time.monotonic() + 60 * minutes
        for name, (share, part) in of.items():
            now = time.monotonic()
            counts = part(now + max(0, end - now) * share / left)
            left -= share
            wrong += sum(counts[what] for what in WRONG)
            told = ", ".join(f"{what} {number:,}" for what, number in sorted(counts.items()))
            print(f"{name:34}{time.monotonic() - now:6.0f} s  {told}", flush=True)
    print("nothing is wrong" if not wrong else f"{wrong} WRONG", flush=True)
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if sys.argv[1:] else 24 * 60))
