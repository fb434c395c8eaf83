"""Where an expression stands, and what became of it."""

from dataclasses import dataclass
from typing import Literal

from ruleengine.checking import expressions as checked
from ruleengine.checking.ruleset import Events


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Where an expression stands."""

    place: Literal["rule", "metric", "entity"]
    events: Events | None = None
    """Inside an aggregate: the events it looks at."""
    window: checked.Window | None = None
    window_text: str = ""
    """`during last 7 days`, as the formatter writes it."""


Made = checked.Expression | None
"""None where a problem was reported; what stands above says nothing more about it."""
