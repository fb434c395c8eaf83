"""Processes that may be killed, and cost little.

They are forked from a server that has imported everything and opened nothing.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from tests import postgres

CRASH_AT = "RULEENGINE_CRASH_AT"
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.torture.people"])


@dataclass(frozen=True)
class Life:
    """A process, and what it says before it ends."""

    process: BaseProcess
    pipe: Connection

    def heard(self, seconds: float | None = 60) -> Iterator[Any]:
        """All that it says, until it is silent for so long, or ends."""
        with suppress(EOFError, ConnectionResetError):
            while self.pipe.poll(seconds):
                yield self.pipe.recv()

    def kill(self) -> bool:
        """Whether it was still there to be killed: it ends, whoever waits for it, and does not die twice."""
        self.process.kill()
        return self.ended() == -signal.SIGKILL

    def ended(self, seconds: float | None = 60) -> int | None:
        """How it ended: an exit code, or the signal that killed it, below zero; None where it goes on."""
        self.process.join(seconds)
        return self.process.exitcode


def begin(work: Callable[..., None], *arguments: object, crash_at: str = "") -> Life:
    """A process that does some work with a pipe and these arguments, and dies at a step of it if it is to."""
    here, there = _context.Pipe()
    environment = {postgres.STORE: os.environ.get(postgres.STORE, ""), CRASH_AT: crash_at}
    process = _context.Process(target=_live, args=(environment, work, there, *arguments), daemon=True)
    process.start()
    there.close()
    return Life(process, here)


def _live(environment: Mapping[str, str], work: Callable[..., None], *arguments: object) -> None:
    os.environ.update(environment)  # The server that forks was started when it was another.
    work(*arguments)
