"""What can be proved of rules without looking at data: that they can never apply, always do, or repeat each other."""

from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics.problem import Problem


def prove(ruleset: Ruleset) -> tuple[Problem, ...]:
    """Warnings of what is so for every customer there could be, whatever the date and the data.

    The same for the same ruleset: work is bounded by the prover's own count of steps, never by the clock, and what
    cannot be proved within it is not claimed.
    """
    from ruleengine.checking.proofs.findings import findings  # and z3 with it

    return findings(ruleset)
