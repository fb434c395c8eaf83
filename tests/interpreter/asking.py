"""Short questions to the interpreter, in the language itself."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Ruleset
from ruleengine.interpreter import Facts, Outcome, evaluate
from ruleengine.source import Source
from ruleengine.types import Value

MODEL = """
entity customer from customers key customer_id integer
    (country text, birthday date, signed_up timestamp, points integer, credit decimal, member boolean)
events orders from orders key order_id integer for customer_id at ordered_at
    (amount decimal, status text, channel text, pieces integer, delivered date, gift boolean)
"""
TODAY = date(2026, 3, 31)

Order = Mapping[str, Any]


def order(at: str | None, **columns: Any) -> Order:
    """An order at a time written as `2026-03-01` or `2026-03-01 10:00`."""
    return {"ordered_at": datetime.fromisoformat(at) if at else None, **columns}


def ruleset(rules: str, model: str = MODEL, timezone: str = "Asia/Shanghai") -> Ruleset:
    checked = check([Source("test.rules", model + rules + "\n")], "test", timezone)
    assert checked.ruleset is not None, [problem for problem in checked.problems if problem.is_error]
    return checked.ruleset


def outcome(
    rules: str,
    orders: Sequence[Order] = (),
    as_of: date = TODAY,
    metrics: Mapping[str, Value] | None = None,
    timezone: str = "Asia/Shanghai",
    **attributes: Any,
) -> Outcome:
    facts = Facts(attributes={"customer_id": 1, **attributes}, events={"orders": orders}, metrics=metrics or {})
    return evaluate(ruleset(rules, timezone=timezone), facts, as_of)


def worth(expression: str, orders: Sequence[Order] = (), as_of: date = TODAY, **attributes: Any) -> Value:
    """What an expression is worth for a customer."""
    return outcome(f"metric x = {expression}", orders, as_of, **attributes).metrics["x"]
