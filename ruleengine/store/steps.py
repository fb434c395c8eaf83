"""The steps of a publication, by name, so that a test can end the process at every one of them."""

import os
import signal

STEPS = (
    "run-begun",
    "values-written",
    "values-renamed",
    "state-written",
    "state-renamed",
    "memory-renamed",
    "arrivals-renamed",
    "salts-renamed",
    "changes-written",
    "changes-renamed",
    "staged",
    "serving-begun",
    "documents-batch",
    "documents-written",
    "members-batch",
    "members-written",
    "before-commit",
    "committed",
    "swept",
)
"""Of a run."""

MANUAL_STEPS = ("salts-renamed", "changes-written", "changes-renamed", "memory-renamed", "before-commit", "committed")
"""Of what is set by hand."""

ROLLBACK_STEPS = ("overlay-renamed", "state-renamed", "staged", "documents-batch", "before-commit", "committed")
"""Of a rollback over what is set by hand."""

POSTGRES_STEPS = (
    "run-begun",
    "facts-written",
    "memory-written",
    "changes-written",
    "before-staged",
    "staged",
    "rows-ended",
    "rows-begun",
    "version-appended",
    "before-commit",
    "committed",
    "swept",
)
"""Of a run whose store lies in Postgres; what is set by hand and a rollback reach those from `changes-written` on."""

FORGET_STEPS = (
    "file-rewritten",
    "folder-written",
    "changes-renamed",
    "before-commit",
    "committed",
    "vacuumed",
    "swept",
)
"""Of forgetting a customer."""


def reach(step: str) -> None:
    """Say that a step was reached. Does nothing, unless RULEENGINE_CRASH_AT names it: then the process is killed."""
    if os.environ.get("RULEENGINE_CRASH_AT") == step:
        os.kill(os.getpid(), signal.SIGKILL)
