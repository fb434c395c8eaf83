"""Functions of the whole population: where a customer stands among all."""

from dataclasses import dataclass
from enum import StrEnum


class RankingFunction(StrEnum):
    """What is computed; `r` strictly better and `w` strictly worse customers of `N`."""

    RANK = "rank"  # 1 + r
    NTILE = "ntile"  # 1 + floor(n × w / N)
    PERCENTILE = "percentile"  # (N − r) / N
    CUMULATIVE_SHARE = "cumulative share"  # what the r hold, over what all hold
    TOP = "top"  # rank within a number, or a share of N rounded up


@dataclass(frozen=True, slots=True)
class PopulationFunction:
    """How a rule calls a function of the population, and what it means."""

    name: str
    computes: RankingFunction
    meaning: str
    buckets: int | None = None
    """Of those that sort into so many; None: said in the call, or none."""


RANKINGS = {
    function.name: function
    for function in (
        PopulationFunction("rank", RankingFunction.RANK, "1 + how many customers are strictly better."),
        PopulationFunction("quartile", RankingFunction.NTILE, "The quarter, 4 the best.", 4),
        PopulationFunction("quintile", RankingFunction.NTILE, "The fifth, 5 the best.", 5),
        PopulationFunction("decile", RankingFunction.NTILE, "The tenth, 10 the best.", 10),
        PopulationFunction("ntile", RankingFunction.NTILE, "Which of n equal parts, n the best."),
        PopulationFunction("percentile", RankingFunction.PERCENTILE, "The share of customers who are no better."),
        PopulationFunction(
            "cumulative_share",
            RankingFunction.CUMULATIVE_SHARE,
            "The share of the total that the strictly better customers hold.",
        ),
    )
}
