"""Processes that write to one store and read from it, and that may be killed.

They are forked from a server that has imported everything and opened nothing, so that a life costs little.
"""

import multiprocessing
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.store import sqlite
from ruleengine.store.refusals import NotKeptError, StoreLockedError, StoreUnusableError
from tests import postgres
from tests.store.child import opened
from tests.torture.world import Ack, Reader, act, exports_wrong

_people = multiprocessing.get_context("forkserver")
_people.set_forkserver_preload([__name__])
READERS = 4


@dataclass
class Life:
    """A process, and what it says before it ends."""

    process: BaseProcess
    pipe: Connection

    def heard(self, seconds: float | None = 60) -> Iterator[Any]:
        """All that it says, until it is silent for so long, or ends."""
        with suppress(EOFError, ConnectionResetError):
            while self.pipe.poll(seconds):
                yield self.pipe.recv()

    def kill(self) -> None:
        assert self.process.pid
        with suppress(ProcessLookupError):  # It may just have ended by itself.
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()


def begin(work: Callable[..., None], *arguments: object) -> Life:
    here, there = _people.Pipe()
    environment = {postgres.STORE: os.environ.get(postgres.STORE, "")}
    process = _people.Process(target=_live, args=(environment, work, there, *arguments), daemon=True)
    process.start()
    there.close()
    return Life(process, here)


def _live(environment: Mapping[str, str], work: Callable[..., None], *arguments: object) -> None:
    os.environ.update(environment)  # The server that forks was started when it was another.
    work(*arguments)


# -- what they do --------------------------------------------------------------------------------------------


def write(pipe: Connection, place: str, seed: int, times: int, crash_at: str = "", largest: int | None = None) -> None:
    """Do so many things one after another, and say of each what it came to: an Ack; the seconds after which somebody
    else turned out to hold the lock, and whether he was named; or the code of a problem."""
    if crash_at:
        os.environ["RULEENGINE_CRASH_AT"] = crash_at
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    random_ = random.Random(seed)
    store = opened(place)
    pipe.send("ready")
    left = times
    while left:
        begun = time.monotonic()
        try:
            said: object = act(store, random_)
            left -= 1
        except StoreLockedError as error:
            said = (time.monotonic() - begun, error.holder is not None)
        except ProblemError as error:
            said = error.problems[0].code.name
            left -= 1
        if said is not None:
            pipe.send(said)
        if isinstance(said, tuple) and not isinstance(said, Ack):
            time.sleep(random_.random() / 20)
    store.close()
    pipe.send("done")


def read(pipe: Connection, place: str, seed: int) -> None:
    """Ask until told to stop, and say what was wrong and how often all was asked."""
    random_ = random.Random(seed)
    store = opened(place)
    reader, asked, wrong = Reader(store), 0, list[str]()
    while not pipe.poll():
        try:
            if store.current() is None:
                continue
            wrong += reader.wrong()
            if random_.random() < 0.05:
                wrong += exports_wrong(store, [random_.choice(store.line()[:8])])
                store.history(3)
        except NotKeptError:
            pass
        except StoreUnusableError as error:
            wrong.append(str(error.problems))
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
        asked += 1
    pipe.send((asked, wrong))


@contextmanager
def watched(place: str, readers: int = READERS) -> Iterator[Callable[[], tuple[int, list[str]]]]:
    """Others read all the while. Answers how often they asked, and what they found wrong."""
    lives = [begin(read, place, seed) for seed in range(readers)]

    def end() -> tuple[int, list[str]]:
        for life in lives:
            life.pipe.send("stop")
        said = [next(life.heard(120)) for life in lives]
        return sum(asked for asked, _ in said), [each for _, wrong in said for each in wrong]

    try:
        yield end
    finally:
        for life in lives:
            life.process.join(5)
            if life.process.is_alive():
                life.kill()


def orphans(folder: Path) -> list[str]:
    """Files and rows of a folder that belong to no version and to no held run."""
    ledger = sqlite.reader(folder / "ledger.db", 10)
    kept = {path for (path,) in ledger.execute("SELECT path FROM files")}
    there = {path.relative_to(folder).as_posix() for of in ("runs", "salts") for path in (folder / of).rglob("*.*")}
    found = sorted(there ^ kept)
    for table in ("documents", "members"):
        rows = f"SELECT count(*) FROM {table}, pointer WHERE from_serial > serial OR to_serial > serial"
        if number := ledger.execute(rows).fetchone()[0]:
            found.append(f"{number} {table}")
    ledger.close()
    return found
