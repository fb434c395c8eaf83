"""The ways in which a verb can end without its result, beside those of the store."""

from collections.abc import Mapping

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError


class NotUsableError(ProblemError):
    """The data cannot be used."""


class NotThereError(ProblemError):
    """Nothing has that name."""


class CancelledError(ProblemError):
    """Somebody cancelled it."""

    def __init__(self, by: Mapping[str, str]) -> None:
        super().__init__(codes.job_cancelled(None, actor=by["actor"], reason=by["reason"]))
