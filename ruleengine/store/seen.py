"""A note beside a database of how far it was: without it, an older copy of the database would pass for the last one.

It is written after the database, so that it may be behind, and never ahead.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruleengine.store.files import whole

HowFar = Mapping[str, Any]


class Seen:
    """The note of one database."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_suffix(".seen")

    def write(self, how_far: HowFar) -> None:
        text = json.dumps(how_far)
        with whole(self.path) as partial:
            partial.write_text(_noted(text))

    def read(self) -> HowFar | None:
        """None where it is not there, or not what was written: then nobody can tell how far the database was."""
        try:
            content = self.path.read_text()
        except (OSError, ValueError):
            return None
        text = content.partition("\n")[0]
        found: HowFar | None = json.loads(text) if content == _noted(text) else None
        return found


def _noted(text: str) -> str:
    return f"{text}\n{hashlib.sha256(text.encode()).hexdigest()}\n"
