"""One writer at a time.

The lock is the kernel's (flock), so that it ends with its process and never goes stale. It is on the folder, which
nobody removes by mistake; the file in it only tells who holds the lock.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ruleengine.store.refusals import Holder, StoreLockedError


@contextmanager
def hold(path: Path, actor: str) -> Iterator[Holder]:
    """Hold the lock, or raise StoreLockedError at once."""
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        for left in reversed(range(5)):
            if _taken(descriptor):
                break
            named = _read_holder(path)
            if named or not left:  # Without a name somebody has just let go.
                raise StoreLockedError(named)
        holder = Holder(
            actor=actor,
            pid=os.getpid(),
            host=socket.gethostname(),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with suppress(OSError):  # A full disk: the lock holds, only nameless.
            path.write_text(json.dumps(asdict(holder)))
        yield holder
        with suppress(OSError):
            os.truncate(path, 0)
    finally:
        os.close(descriptor)  # This lets go of the lock too.


def refuse_held(path: Path) -> None:
    """Raise StoreLockedError where somebody holds the lock, and leave it to others otherwise."""
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreLockedError(_read_holder(path)) from None
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    for again in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if again < 4:
                time.sleep(0.002)  # It may be somebody who only looks.
    return False


def _read_holder(path: Path) -> Holder | None:
    # The winner may hold the lock already and not have written its name yet.
    for _ in range(20):
        try:
            return Holder(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            time.sleep(0.005)
    return None
