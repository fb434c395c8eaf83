"""Where the next page of a list begins: opaque to clients, and bound to one list of one version."""

import base64
import hashlib
import json

from ruleengine.store.records import Key
from ruleengine.store.refusals import NotThereError

from . import problems
from .provenance import Published, dumped

CHECK = 6


def written(published: Published, of: tuple[str, ...], version: int, after: Key) -> str:
    """A cursor into a list, which is named by its kind and names."""
    # The version's hash is in it, for its number may be another one's in a store that was made anew.
    body = dumped([version, _mark(published, version), after])
    return base64.urlsafe_b64encode(_check(body, of) + body).decode().rstrip("=")


def read(published: Published, of: tuple[str, ...], text: str) -> tuple[int, Key]:
    """The version and what is already known of it; refused where it was cut, changed, or given out for another list."""
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        body = content[CHECK:]
        if content[:CHECK] != _check(body, of):
            raise ValueError
        version, mark, after = json.loads(body)
    except ValueError:
        raise problems.cursor_invalid() from None
    try:
        is_ours = _mark(published, version) == mark
    except NotThereError:
        is_ours = False
    if not is_ours:
        raise problems.version_not_kept(message=f"Version {version} of the cursor is not in this store any more.")
    return version, after


def _check(body: bytes, of: tuple[str, ...]) -> bytes:
    return hashlib.sha256(dumped(of) + body).digest()[:CHECK]


def _mark(published: Published, version: int) -> str:
    return published.store.version(version).hash[:12]
