"""Connections to read a store by: one per thread, which stays."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ruleengine.diagnostics.problem import Problem
from ruleengine.schema import Profile
from ruleengine.store.postgres import session
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Identity
from ruleengine.store.refusals import StoreUnusableError

READ = "ISOLATION LEVEL REPEATABLE READ"
"""Temporary tables are made in it."""
PAUSE = 1.0
"""Seconds for which a server that could not be reached is taken to be so: not all who ask have to wait for it."""


class Connections:
    """Those of one process to the store of a profile."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._local = threading.local()
        self._opened: list[Session] = []
        self._refused: tuple[float, Sequence[Problem]] = (0.0, ())
        """Until when nobody tries to connect, and why."""
        self.identity: Identity | None = None
        """Whose store it is, as soon as `reading` found one."""

    @contextmanager
    def reading(self) -> Iterator[Ledger | None]:
        """One state of the store; None where there is none."""
        session = self._session()
        try:
            session.run(f"BEGIN {READ}")
        except StoreUnusableError:
            session.connection.close()
            session = self._session()  # The server was started anew, say.
            session.run(f"BEGIN {READ}")
        try:
            if self.identity is None and (found := self._found(session)) is not None:
                self.identity = found
            yield None if self.identity is None else Ledger(session)
        finally:
            session.undo()

    def close(self) -> None:
        for opened in self._opened:
            opened.connection.close()
        self._opened.clear()
        self._local = threading.local()

    def _session(self) -> Session:
        kept: tuple[int, Session] | None = getattr(self._local, "session", None)
        if kept is not None:
            pid, found = kept
            if pid == os.getpid() and not found.connection.closed:
                return found
        until, problems = self._refused
        if time.monotonic() < until:
            raise StoreUnusableError(*problems)
        try:
            made = session.opened(self._profile)
        except StoreUnusableError as error:
            self._refused = (time.monotonic() + PAUSE, error.problems)
            raise
        self._local.session = (os.getpid(), made)
        self._opened = [each for each in self._opened if not each.connection.closed] + [made]
        return made

    @staticmethod
    def _found(opened: Session) -> Identity | None:
        return None if session.found_format(opened) is None else session.identity(opened)
