"""Places of customers among each other, as terms: of which all that is known is how they bound one another."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, assert_never

from ruleengine.checking.expressions import Ranking
from ruleengine.checking.proofs.leaves import Leaves
from ruleengine.checking.proofs.world import Term, World, Worth
from ruleengine.functions.rankings import RankingFunction
from ruleengine.types import COUNT


class Rankings:
    """Those of one ruleset: a customer has one place in each, wherever it is asked for."""

    def __init__(self, world: World, leaves: Leaves) -> None:
        self._world = world
        self._leaves = leaves
        self._shares: dict[Any, list[tuple[Decimal, Term]]] = {}
        """Of one ranking, shares that some `top` asks for, and how many places that makes."""

    def worth(self, expression: Ranking, absent: Term) -> Worth:
        """`absent`: that the customer is not among those who are ranked."""
        key = expression.value, expression.lowest, expression.within, expression.among, expression.split
        match expression.function:
            case RankingFunction.RANK:
                return self._rank(key, absent)
            case RankingFunction.TOP:
                return Worth(self._rank(key, absent).value <= self._places(key, expression.limit), absent)
            case RankingFunction.NTILE:
                return self._leaf(expression, absent, lambda value: [value >= 1, value <= expression.buckets])
            case RankingFunction.PERCENTILE:
                return self._leaf(expression, absent, lambda value: [value > 0, value <= 1])
            case RankingFunction.CUMULATIVE_SHARE:
                return self._leaf(expression, absent, lambda value: [value >= 0, value <= 1])
            case _:
                assert_never(expression.function)

    def _leaf(self, expression: Ranking, absent: Term, bounds: Callable[[Term], list[Term]]) -> Worth:
        return self._leaves.unknown(expression, expression.type, absent, bounds)

    def _rank(self, key: Any, missing: Term) -> Worth:
        return self._leaves.unknown(("rank", *key), COUNT, missing, lambda value: [value >= 1])

    def _places(self, key: Any, limit: int | Decimal) -> Term:
        """How many places a `top` has: as many as it says, or a share of so many customers as there are."""
        if isinstance(limit, int):
            return self._world.number(limit)

        def facts(value: Term) -> list[Term]:
            others = self._shares.setdefault(key, [])
            found = [value >= 1]
            found.extend(value <= places if limit <= share else value >= places for share, places in others)
            others.append((limit, value))
            return found

        return self._leaves.unknown(("places", *key, limit), COUNT, self._world.truth(False), facts).value
