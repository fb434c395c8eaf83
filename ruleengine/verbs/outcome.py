"""The ways in which a verb can end without its result, beside those of the store."""

from ruleengine.diagnostics.problem import ProblemError


class NotUsableError(ProblemError):
    """The data cannot be used."""


class NotThereError(ProblemError):
    """Nothing has that name."""
