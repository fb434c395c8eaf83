"""The reference interpreter: what a ruleset means for one customer, independent of any SQL."""

from ruleengine.interpreter.arithmetic import Truth
from ruleengine.interpreter.evaluation import Facts, Outcome, Overflow, evaluate, exists
from ruleengine.interpreter.events import Cell
from ruleengine.interpreter.explanation import Gap, LadderTrace, TagTrace, Trace, explain, shortest_way

__all__ = [
    "Cell",
    "Facts",
    "Gap",
    "LadderTrace",
    "Outcome",
    "Overflow",
    "TagTrace",
    "Trace",
    "Truth",
    "evaluate",
    "exists",
    "explain",
    "shortest_way",
]
