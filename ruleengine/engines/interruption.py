"""Ctrl-C during a statement of DuckDB, which swallows it otherwise and goes on to the end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol


class Connection(Protocol):
    def interrupt(self) -> None: ...


@contextmanager
def interruptible(connection: Connection) -> Iterator[None]:
    """Within, Ctrl-C ends the statement at work and arises as KeyboardInterrupt. Only the main thread is told."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        connection.interrupt()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    except Exception as error:
        if asked:  # DuckDB speaks of an interruption as of any other failure.
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
