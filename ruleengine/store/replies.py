"""What was answered to requests that name an Idempotency-Key, so that asking again does nothing twice.

A request that was refused changed nothing, so nothing is kept of it, and its key is free again.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from ruleengine.store import naming
from ruleengine.store.book import Book
from ruleengine.store.versions import moment_text

KEPT = timedelta(hours=24)
ANSWERED_WITHIN = timedelta(minutes=1)
"""A request that has no answer by then lost its server, and may be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, as it is sent again."""

    status: int
    headers: Mapping[str, str]
    body: str


class Known(Enum):
    """What is known of a key that has no reply to give."""

    NEW = "new"
    """From now on it is the request's."""
    OTHER = "other"
    """It was another request's."""
    UNANSWERED = "unanswered"
    """The same request is being answered."""


class Replies:
    """The replies that a store keeps, by owner and key."""

    def __init__(self, book: Book, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._book = book
        self._now = clock

    def take(self, owner: str, key: str, request: str) -> Reply | Known:
        """The reply to a request, by its digest, that was made before; or take the key for it."""
        now = self._now()
        with self._book.writing() as rows:
            rows("DELETE FROM replies WHERE asked_at < ?", moment_text(now - KEPT))
            rows("DELETE FROM replies WHERE asked_at < ? AND reply IS NULL", moment_text(now - ANSWERED_WITHIN))
            found = rows("SELECT request, reply FROM replies WHERE owner = ? AND key = ?", owner, key)
            if not found:
                sql = "INSERT INTO replies (owner, key, request, asked_at) VALUES (?, ?, ?, ?)"
                rows(sql, owner, key, request, moment_text(now))
                return Known.NEW
        ((asked, reply),) = found
        if asked != request:
            return Known.OTHER
        return Known.UNANSWERED if reply is None else Reply(**json.loads(reply))

    def keep(self, owner: str, key: str, reply: Reply) -> None:
        told = json.dumps({"status": reply.status, "headers": dict(reply.headers), "body": reply.body})
        with self._book.writing() as rows:
            rows("UPDATE replies SET reply = ? WHERE owner = ? AND key = ?", told, owner, key)

    def forget(self, names: re.Pattern[str]) -> None:
        """Keep no reply that names customers."""
        with self._book.reading() as rows:
            if rows is None:
                return
        with self._book.writing() as rows:
            for owner, key, reply in rows("SELECT owner, key, reply FROM replies WHERE reply IS NOT NULL"):
                if naming.is_said(json.loads(reply), names):
                    rows("DELETE FROM replies WHERE owner = ? AND key = ?", owner, key)

    def release(self, owner: str, key: str) -> None:
        with self._book.writing() as rows:
            rows("DELETE FROM replies WHERE owner = ? AND key = ? AND reply IS NULL", owner, key)
