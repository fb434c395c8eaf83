"""The git commit that a ruleset lies in, where it lies in one."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Checkout:
    commit: str | None = None
    """With `+` behind it where the folder has changes that are not committed."""
    author: str | None = None


def checkout(directory: Path) -> Checkout:
    """The last commit and its author; of nothing where git is absent or has nothing to say."""
    last = _git(directory, "log", "-1", "--format=%H%x00%an <%ae>")
    if last is None or "\0" not in last:
        return Checkout()
    commit, author = last.split("\0", 1)
    changed = _git(directory, "status", "--porcelain", "--", "*.rules", "ruleset.toml")
    return Checkout(commit + ("+" if changed else ""), author)


def _git(directory: Path, *arguments: str) -> str | None:
    # What a git around this process was told of its own repository stays out.
    outside = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        answer = subprocess.run(
            ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", *arguments],
            cwd=directory,
            env={**outside, "GIT_TERMINAL_PROMPT": "0"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
