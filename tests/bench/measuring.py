"""Seconds by the clock and of the processors, always beside those of a yardstick done at about the same time."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from tempfile import TemporaryFile
from time import perf_counter, process_time

Work = Callable[[], object]
Busy = Callable[[], float]
"""How many seconds processors have been busy until now."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What some work took."""

    clock: float
    processors: float
    """Seconds of all threads: hardly more when others are at work on the machine, too."""

    def over(self, other: "Taken") -> "Taken":
        return Taken(self.clock / other.clock, self.processors / other.processors)

    def times(self, factor: float) -> "Taken":
        return Taken(self.clock * factor, self.processors * factor)


class Stopwatch:
    """Told the name of each part of a work as it begins."""

    def __init__(self, busy: Busy = process_time) -> None:
        self._busy = busy
        self._marks: list[tuple[str, float, float]] = []

    def __call__(self, part: str) -> None:
        self._marks.append((part, perf_counter(), self._busy()))

    def parts(self) -> dict[str, Taken]:
        """What each part took; the last one ends now."""
        self("")
        found: dict[str, Taken] = {}
        for (name, clock, processors), (_, later, busier) in zip(self._marks, self._marks[1:], strict=False):
            before = found.get(name, Taken(0, 0))
            found[name] = Taken(before.clock + later - clock, before.processors + busier - processors)
        return found


@dataclass(frozen=True, slots=True)
class Process:
    """What a command took, and how much memory at most."""

    taken: Taken
    mebibytes: float


def take(work: Work, busy: Busy = process_time) -> Taken:
    watch = Stopwatch(busy)
    watch("")
    work()
    return watch.parts()[""]


def take_command(*arguments: str) -> Process:
    """Run Python in a process of its own."""
    start = perf_counter()
    with TemporaryFile() as said, subprocess.Popen([sys.executable, *arguments], stdout=said, stderr=said) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(arguments)}\n{said.read().decode()}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Process(Taken(perf_counter() - start, usage.ru_utime + usage.ru_stime), usage.ru_maxrss * unit / 2**20)


def middle(several: Sequence[Taken]) -> Taken:
    return Taken(median(each.clock for each in several), median(each.processors for each in several))


def mean(one: Taken, other: Taken) -> Taken:
    return Taken((one.clock + other.clock) / 2, (one.processors + other.processors) / 2)


def in_turn(yardstick: Work, works: Mapping[str, Work], rounds: int, busy: Busy = process_time) -> dict[str, Taken]:
    """Each work in multiples of the yardstick: the median of rounds in which all are done, one after another.

    The yardstick is done before and after each work, so that a machine that slows down in between slows both. One
    round before does not count.
    """
    found: dict[str, list[Taken]] = {name: [] for name in works}
    for number in range(rounds + 1):
        before = take(yardstick, busy)
        for name, work in works.items():
            taken = take(work, busy)
            after = take(yardstick, busy)
            if number:
                found[name].append(taken.over(mean(before, after)))
            before = after
    return {name: middle(several) for name, several in found.items()}
