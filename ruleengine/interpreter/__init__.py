"""The reference interpreter: what a ruleset means, customer by customer, independent of any SQL."""

from ruleengine.interpreter.arithmetic import Truth
from ruleengine.interpreter.evaluation import Facts, NeedsPopulation, Outcome, Overflow, evaluate, exists
from ruleengine.interpreter.events import Cell
from ruleengine.interpreter.explanation import Gap, LadderTrace, TagTrace, Trace, explain, shortest_way
from ruleengine.interpreter.population import evaluate_all

__all__ = [
    "Cell",
    "Facts",
    "Gap",
    "LadderTrace",
    "NeedsPopulation",
    "Outcome",
    "Overflow",
    "TagTrace",
    "Trace",
    "Truth",
    "evaluate",
    "evaluate_all",
    "exists",
    "explain",
    "shortest_way",
]
