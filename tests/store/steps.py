"""The steps that writers reach, in their order: see `ruleengine.store.steps`."""

_STAGED = ("salts-renamed", "changes-written", "changes-renamed", "staged")
_PUBLISHED = (
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

STEPS = (
    "run-begun",
    "values-written",
    "values-renamed",
    "state-written",
    "state-renamed",
    "memory-renamed",
    "arrivals-renamed",
    *_STAGED,
    *_PUBLISHED,
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

ROLLBACK_STEPS = ("run-begun", "overlay-renamed", "state-renamed", "arrivals-renamed", *_STAGED, *_PUBLISHED)
"""Of a rollback over what is set by hand."""

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
