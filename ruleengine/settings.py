"""What the environment says, as against the ruleset and the command."""

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError

ACTOR = "RULEENGINE_ACTOR"
LONGEST_ACTOR = 200

Scope = Literal["tags:read", "tags:write", "runs:execute", "rules:read", "audit:read", "admin"]
"""What a key of the API is good for; `admin` is good for everything."""

LogLevel = Literal["info", "warning"]
"""Which lines a server logs: one for each request, too, or only what went wrong."""
LogFormat = Literal["json", "text"]


def actor(given: str | None = None, environment: Mapping[str, str] = os.environ) -> str:
    """Who is to be recorded as the author of a change: as given, else RULEENGINE_ACTOR, else `os:LOGIN`."""
    name = given if given is not None else environment.get(ACTOR) or f"os:{_login()}"
    if not name.strip() or len(name) > LONGEST_ACTOR or not name.isprintable():
        raise ProblemError(codes.actor_unreadable(None, longest=LONGEST_ACTOR))
    return name.strip()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What a server is started with."""

    ruleset: Path
    profile: str
    host: str = "127.0.0.1"
    port: int = 8000
    rate: int = 1000
    """Requests a second for each key, of each worker."""
    workers: int = 1
    """Processes that answer."""
    log_level: LogLevel = "info"
    log_format: LogFormat = "json"
