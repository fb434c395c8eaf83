"""All of it, in pieces, each of which has stores of its own: two processes do one after another, a little of everything
in turn, as long as there is time. Then it is told what was done and what was wrong."""

import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from itertools import chain, count, zip_longest
from multiprocessing.util import Finalize
from pathlib import Path
from tempfile import TemporaryDirectory

from tests import postgres
from tests.torture import commands, crashes, damage, disks, keys, moves, races, stores, world

AT_ONCE = 2
KILLS_AT_EACH_STEP = 20
KILLS = 500
CRASHES = 100
"""Of servers."""
MOVES = 100
"""Each way."""
COMMANDS = 40
ROUNDS = 200
DAMAGES = 200
"""Of each kind, for each sort of file."""
SIZES = range(200_000, 1_000_001, 50_000)
"""Of file systems."""
WRONG: tuple[str, ...] = (
    "lost",
    "mixed",
    "torn",
    "orphans",
    "failed",
    "not reached",
    "told no name",
    "told late",
    "not told",
)
WRONG += ("wrong history", "wrong exports", "wrong answers", "wrong audits", "not named", "broken")

Piece = Callable[[], Counter[str]]


def pieces(folder: Path, words: Sequence[str]) -> dict[str, list[Piece]]:
    """What is to be done, by name."""
    seeds = count(1)

    def cut(times: int, size: int, work: Callable[[int, int], Counter[str]]) -> list[Piece]:
        return [partial(work, min(size, times - done), next(seeds)) for done in range(0, times, size)]

    def at_steps(new_store: stores.NewStore, steps: Sequence[crashes.Step]) -> list[Piece]:
        parts = -(-len(steps) // crashes.LIVES)
        return [
            partial(crashes.torture, new_store, len(steps[part::parts]), next(seeds), steps[part::parts])
            for _ in range(KILLS_AT_EACH_STEP)
            for part in range(parts)
        ]

    folders, schemas = stores.in_folder, stores.in_database
    every: dict[str, Callable[[], list[Piece]]] = {
        "kill -9 at each step, folder": lambda: at_steps(folders, crashes.FOLDER_STEPS),
        "kill -9 at each step, Postgres": lambda: at_steps(schemas, crashes.SCHEMA_STEPS),
        "kill -9 at any moment, folder": lambda: cut(KILLS, crashes.LIVES, partial(crashes.torture, folders)),
        "kill -9 at any moment, Postgres": lambda: cut(KILLS, crashes.LIVES, partial(crashes.torture, schemas)),
        "kill -9 of a server's process": lambda: cut(CRASHES, crashes.LIVES, crashes.of_servers),
        "kill -9 of a move, to Postgres": lambda: cut(MOVES, 20, partial(moves.torture, folders, schemas)),
        "kill -9 of a move, to a folder": lambda: cut(MOVES, 20, partial(moves.torture, schemas, folders)),
        "kill -9 of who adds keys": lambda: cut(KILLS, 100, keys.torture),
        "kill -9 of the command line": lambda: cut(COMMANDS, 10, commands.torture),
        "writers at once, folder": lambda: cut(ROUNDS, races.ROUNDS, partial(races.torture, folders)),
        "writers at once, Postgres": lambda: cut(ROUNDS, races.ROUNDS, partial(races.torture, schemas)),
        "files that may not grow": lambda: [partial(disks.torture, folders, [act], next(seeds)) for act in world.ACTS],
        "small file systems": lambda: [partial(disks.on_small_disks, [size], next(seeds)) for size in SIZES],
        "damaged files": lambda: damage.pieces(folder / "damage", DAMAGES, 40, next(seeds)),
    }
    return {name: made() for name, made in every.items() if not words or any(word in name for word in words)}


def counted(piece: Piece, end: float) -> Counter[str]:
    """What a piece came to; nothing where there is no time left for it."""
    begun = time.monotonic()
    counts = piece() if begun < end else Counter()
    counts["seconds"] += round(time.monotonic() - begun)
    return counts


def main(minutes: float, words: Sequence[str]) -> int:
    end = time.monotonic() + 60 * minutes
    os.environ[postgres.RUN] = str(os.getpid())  # One server for all.
    with TemporaryDirectory() as folder:
        by_name = pieces(Path(folder), words)
        totals = {name: Counter[str]() for name in by_name}
        with ProcessPoolExecutor(AT_ONCE, multiprocessing.get_context("forkserver"), _stopping) as pool:
            in_turn = chain.from_iterable(zip_longest(*([(name, each) for each in of] for name, of in by_name.items())))
            begun = {pool.submit(counted, each, end): name for name, each in filter(None, in_turn)}
            for done in as_completed(begun):
                for what, number in done.result().items():
                    total = totals[begun[done]]
                    total[what] = max(total[what], number) if what == races.SLOWEST else total[what] + number
    for name, total in totals.items():
        told = ", ".join(f"{what} {number:,}" for what, number in sorted(total.items()) if number)
        print(f"{name:34}{told}", flush=True)
    wrong = sum(total[what] for total in totals.values() for what in WRONG)
    print("nothing is wrong" if not wrong else f"{wrong} WRONG", flush=True)
    return min(wrong, 1)


def _stopping() -> None:
    """Each process lets go of the server at its end."""
    Finalize(None, postgres.stop, exitpriority=100)
