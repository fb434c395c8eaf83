"""Processes that write to one store, and that read from it."""

import random
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.store.refusals import NotKeptError, StoreLockedError, StoreUnusableError
from ruleengine.store.store import Store
from tests.lives import begin
from tests.store.child import opened
from tests.torture.world import Ack, Reader, act, exports_wrong

READERS = 4
PAUSE = 0.3
"""Seconds at most between two questions of a reader: who asks without a pause takes the time of those who write."""
EXPORTS = 0.03
"""The share of questions that are for an export and a history."""


def write(
    pipe: Connection, place: str, seed: int, times: int, what: str | None = None, largest: int | None = None
) -> None:
    """Do so many things one after another, the first of which may be a certain one, and say of each what it came to:
    an Ack; the seconds after which somebody else turned out to hold the lock, and whether he was named; or the code
    of a problem."""
    if largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
    random_ = random.Random(seed)
    store = opened(place)
    pipe.send("ready")
    for _ in range(times):
        said = _done(pipe, store, random_, what)
        while isinstance(said, tuple) and not isinstance(said, Ack):
            pipe.send(said)
            time.sleep(random_.random() / 20)
            said = _done(pipe, store, random_, what)
        if said is not None:
            pipe.send(said)
        what = None
    store.close()
    pipe.send("done")


def _done(pipe: Connection, store: Store, random_: random.Random, what: str | None) -> object:
    begun = time.monotonic()
    try:
        return act(store, random_, what)
    except StoreLockedError as error:
        return time.monotonic() - begun, error.holder is not None
    except ProblemError as error:
        return error.problems[0].code.name


def read(pipe: Connection, place: str, seed: int, may_be_away: bool) -> None:
    """Ask until told to stop, and say what was wrong and how often was asked."""
    random_ = random.Random(seed)
    store = opened(place)
    reader, asked, wrong = Reader(store), 0, list[str]()
    while not pipe.poll(random_.random() * PAUSE):
        try:
            if store.current() is None:
                continue
            if random_.random() < EXPORTS:
                wrong += exports_wrong(store, [random_.choice(store.line()[:8])])
                store.history(3)
            else:
                wrong += random_.choice(reader.questions)()
            asked += 1
        except NotKeptError:
            pass
        except StoreUnusableError as error:
            if not (may_be_away and all(problem.code.name.startswith("database-") for problem in error.problems)):
                wrong.append(str(error.problems))
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
    pipe.send((asked, wrong))


@contextmanager
def watched(
    place: str, readers: int = READERS, *, may_be_away: bool = False
) -> Iterator[Callable[[], tuple[int, list[str]]]]:
    """Others read all the while, of a server that may be away now and then. Answers how often they were answered, and
    what they found wrong."""
    lives = [begin(read, place, seed, may_be_away) for seed in range(readers)]

    def end() -> tuple[int, list[str]]:
        for life in lives:
            life.pipe.send("stop")
        said = [next(life.heard(120)) for life in lives]
        return sum(asked for asked, _ in said), [each for _, wrong in said for each in wrong]

    try:
        yield end
    finally:
        for life in lives:
            if life.ended(5) is None:
                life.kill()
