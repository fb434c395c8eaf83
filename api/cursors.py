"""Where the next page of a list begins: opaque to clients, and bound to one list of one version."""

import base64
import hashlib
import json
from dataclasses import dataclass

from ruleengine.store.records import Key

from . import problems
from .provenance import dumped

CHECK = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    version: int
    hash: str
    """Of that version: its number may be another one's in a store that was made anew."""
    after: Key


def written(cursor: Cursor, of: tuple[str, ...]) -> str:
    """A cursor into a list, which is named by its kind and names."""
    body = dumped([cursor.version, cursor.hash, cursor.after])
    return base64.urlsafe_b64encode(_check(body, of) + body).decode().rstrip("=")


def read(text: str, of: tuple[str, ...]) -> Cursor:
    """Refused where it was cut, changed, or given out for another list."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        body = content[CHECK:]
        if content[:CHECK] != _check(body, of):
            raise ValueError
        version, hash_, after = json.loads(body)
    except ValueError:
        raise problems.cursor_invalid() from None
    return Cursor(version=version, hash=hash_, after=after)


def _check(body: bytes, of: tuple[str, ...]) -> bytes:
    return hashlib.sha256(dumped(of) + body).digest()[:CHECK]
