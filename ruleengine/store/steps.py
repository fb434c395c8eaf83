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
    "noted",
    "swept",
)
"""Of a run. One that is held reaches those up to `staged`, and its publication the others."""

MANUAL_STEPS = (
    "salts-renamed",
    "changes-written",
    "changes-renamed",
    "memory-renamed",
    "before-commit",
    "committed",
    "noted",
)
"""Of what is set by hand."""

ROLLBACK_STEPS = (
    "run-begun",
    "overlay-renamed",
    "state-renamed",
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
    "noted",
    "swept",
)
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
"""Of a run whose store lies in Postgres."""

POSTGRES_EDIT_STEPS = ("changes-written", "rows-ended", "rows-begun", "version-appended", "before-commit", "committed")
"""Of what is set by hand there, of a rollback, and of forgetting a customer."""

FORGET_STEPS = (
    "file-rewritten",
    "folder-written",
    "salts-renamed",
    "changes-written",
    "changes-renamed",
    "before-commit",
    "committed",
    "noted",
    "vacuumed",
    "swept",
)
"""Of forgetting a customer."""


def reach(step: str) -> None:
    """Say that a step was reached. Does nothing, unless RULEENGINE_CRASH_AT names it: then the process is killed."""
    if os.environ.get("RULEENGINE_CRASH_AT") == step:
        os.kill(os.getpid(), signal.SIGKILL)
