"""Functions of the whole population: where each customer stands among all that count."""

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, TypeVar, assert_never

from ruleengine.checking.expressions import Ranking
from ruleengine.checking.ruleset import Limit, Ruleset, Tag
from ruleengine.functions.rankings import RankingFunction
from ruleengine.interpreter.arithmetic import Exact, quotient, units
from ruleengine.interpreter.evaluation import Evaluation, Facts, Outcome, Overrides, overflow_of
from ruleengine.types import Value

Key = TypeVar("Key", bound=Hashable)


def evaluate_all(
    ruleset: Ruleset,
    customers: Mapping[Key, Facts],
    as_of: date,
    overrides: Overrides | None = None,
    *,
    make: Callable[[Ruleset, Facts, date, Overrides | None], Evaluation] = Evaluation,
) -> dict[Key, Outcome]:
    """The outcomes of all customers who exist, ranked among each other; raises Overflow.

    `make` may watch how a customer is evaluated.
    """
    everyone = {key: make(ruleset, facts, as_of, overrides) for key, facts in customers.items()}
    existing = {key: evaluation for key, evaluation in everyone.items() if evaluation.exists()}
    for metric in ruleset.metrics.values():
        if isinstance(metric.expression, Ranking):
            with overflow_of("metric", metric.name):
                answers = _rank(metric.expression, list(existing.values()))
            for evaluation, answer in answers:
                evaluation.metrics.setdefault(metric.name, answer)
        else:
            for evaluation in existing.values():
                evaluation.work_out(metric)
    for rule in ruleset.order:
        for evaluation in existing.values():
            evaluation.answer(rule)
        if isinstance(rule, Tag) and rule.limit is not None:
            with overflow_of(rule.kind, rule.name):
                _spend(rule, rule.limit, list(existing.values()))
    return {key: evaluation.outcome() for key, evaluation in existing.items()}


def _spend(tag: Tag, limit: Limit, customers: Sequence[Evaluation]) -> None:
    """Leave the tag to the best of those who would be given it; missing values last, then the lowest key."""
    everyone = [_Ranked(each, each.value(limit.value)) for each in customers]
    ranked = [each for each in everyone if each.evaluation.tags[tag.name] is True]
    known = sorted((each for each in ranked if each.value is not None), key=lambda each: each.key)
    known.sort(key=lambda each: each.value, reverse=not limit.lowest)
    missing = sorted((each for each in ranked if each.value is None), key=lambda each: each.key)
    for each in [*known, *missing][limit.count :]:
        each.evaluation.tags[tag.name] = False


@dataclass(frozen=True, slots=True)
class _Ranked:
    evaluation: Evaluation
    value: Any

    @property
    def key(self) -> Any:
        return self.evaluation.customer


def _rank(ranking: Ranking, customers: Sequence[Evaluation]) -> list[tuple[Evaluation, Value]]:
    """The answer for each customer; missing for those who do not count."""
    groups: dict[Value, list[_Ranked]] = defaultdict(list)
    answers: dict[int, Value] = {}
    for evaluation in customers:
        value = evaluation.value(ranking.value)
        group = evaluation.value(ranking.within) if ranking.within else True
        # Asked of everybody, so that an overflow does not depend on the order.
        is_among = ranking.among is None or evaluation.truth(ranking.among)
        if value is not None and group is not None and is_among:
            groups[group].append(_Ranked(evaluation, value))
    for members in groups.values():
        for place, one in enumerate(_best_first(ranking, members)):
            answers[id(one.evaluation)] = _answer(ranking, one, place, members)
    return [(evaluation, answers.get(id(evaluation))) for evaluation in customers]


def _best_first(ranking: Ranking, members: Sequence[_Ranked]) -> list[_Ranked]:
    """From best to worst, equal ones in the order of their keys."""
    by_key = sorted(members, key=lambda one: one.key)
    return sorted(by_key, key=lambda one: one.value, reverse=not ranking.lowest)


def _answer(ranking: Ranking, one: _Ranked, place: int, members: Sequence[_Ranked]) -> Value:
    def is_better(other: _Ranked, than: _Ranked) -> bool:
        return bool(other.value < than.value if ranking.lowest else other.value > than.value)

    everyone = len(members)
    better = [other for other in members if is_better(other, one)]
    worse = [other for other in members if is_better(one, other)]
    match ranking.function:
        case RankingFunction.RANK:
            return 1 + (place if ranking.split else len(better))
        case RankingFunction.NTILE if ranking.split:
            # SQL's: the first buckets hold one more, from the worst on, and equal ones follow their keys.
            equal = [other for other in members if other.value == one.value]
            before = len(worse) + sum(other.key < one.key for other in equal)
            return _bucket(before, everyone, ranking.buckets)
        case RankingFunction.NTILE:
            return 1 + ranking.buckets * len(worse) // everyone
        case RankingFunction.PERCENTILE:
            return quotient(everyone - len(better), everyone)
        case RankingFunction.CUMULATIVE_SHARE:
            return _share(ranking, one.value, [other.value for other in better], [other.value for other in members])
        case RankingFunction.TOP:
            limit = ranking.limit
            most = limit if isinstance(limit, int) else math.ceil(Fraction(limit) * everyone)
            return 1 + len(better) <= most
        case _:
            assert_never(ranking.function)


def _bucket(before: int, everyone: int, buckets: int) -> int:
    small, larger = divmod(everyone, buckets)
    if before < larger * (small + 1):
        return 1 + before // (small + 1)
    return 1 + larger + (before - larger * (small + 1)) // small


def _share(ranking: Ranking, value: Exact, better: Sequence[Exact], members: Sequence[Exact]) -> float | None:
    """What the better ones hold over what all hold; who holds nothing gets all of it."""

    def held(values: Sequence[Exact]) -> int:
        whole = [units(each, ranking.value.type.scale) for each in values]
        return sum(each for each in whole if each > 0)

    return quotient(held(better), held(members)) if held([value]) > 0 else 1.0
