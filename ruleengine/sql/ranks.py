"""Functions of the whole population, as SQL: one narrow pass over the customers for each value that is ranked."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from sqlglot import exp

from ruleengine.checking import expressions as checked
from ruleengine.functions.rankings import RankingFunction
from ruleengine.planning.plan import MetricColumn
from ruleengine.sql import build
from ruleengine.sql.dialect import Dialect
from ruleengine.sql.expressions import Lowering
from ruleengine.types import literal_digits


def ranking_scans(layer: Iterable[MetricColumn]) -> list[list[MetricColumn]]:
    """The rankings of a layer, those of the same value among the same customers together."""
    grouped: dict[tuple[object, ...], list[MetricColumn]] = {}
    for column in layer:
        ranking = column.metric.expression
        if isinstance(ranking, checked.Ranking):
            grouped.setdefault((ranking.value, ranking.among, ranking.within), []).append(column)
    return list(grouped.values())


def rank(frame: Lowering, source: str, columns: Sequence[MetricColumn]) -> exp.Select:
    """SELECT customer, answers FROM (customer, value, group of those who are ranked)."""
    first = columns[0].metric.expression
    assert isinstance(first, checked.Ranking)
    inner = exp.Select(expressions=[build.column("customer"), build.named(frame.lower(first.value), "value")])
    inner = inner.from_(build.table(source), copy=False)
    wanted = [build.is_known(frame.lower(first.value))]
    if first.within is not None:
        group = frame.lower(first.within)
        inner = inner.select(build.named(group, "group"), copy=False)
        wanted.append(build.is_known(group.copy()))
    if first.among is not None:
        wanted.append(frame.lower(first.among))
    where = build.all_of(wanted)
    assert where is not None
    inner = inner.where(where, copy=False)
    answers: list[exp.Expression] = [build.column("customer")]
    for column in columns:
        ranking = column.metric.expression
        assert isinstance(ranking, checked.Ranking)
        answers.append(build.named(_answer(frame.dialect, ranking), column.column))
    select = exp.Select(expressions=answers)
    return select.from_(exp.Subquery(this=inner, alias=exp.TableAlias(this=build.name("ranked"))))


def _answer(dialect: Dialect, ranking: checked.Ranking) -> exp.Expression:
    match ranking.function:
        case RankingFunction.RANK:
            return _place(ranking, best_first=True)
        case RankingFunction.NTILE:
            if ranking.split:
                return _over(ranking, build.call("ntile", build.number(ranking.buckets)), best_first=False)
            worse: exp.Expression = exp.Sub(this=_place(ranking, best_first=False), expression=build.number(1))
            part = build.binary(exp.Mul, build.number(ranking.buckets), worse)
            quotient = dialect.whole_quotient(part, _everybody(ranking))
            return exp.Add(this=build.number(1), expression=build.wrapped(quotient))
        case RankingFunction.PERCENTILE:
            better: exp.Expression = exp.Sub(this=_place(ranking, best_first=True), expression=build.number(1))
            no_better = build.binary(exp.Sub, _everybody(ranking), better)
            return build.binary(exp.Div, build.cast(no_better, "DOUBLE"), build.cast(_everybody(ranking), "DOUBLE"))
        case RankingFunction.CUMULATIVE_SHARE:
            return _cumulative_share(dialect, ranking)
        case RankingFunction.TOP:
            place = _place(ranking, best_first=True)
            if isinstance(ranking.limit, int):
                return exp.LTE(this=place, expression=build.number(ranking.limit))
            # rank <= ceil(N * share), in whole numbers.
            _, scale = literal_digits(ranking.limit)
            better = build.wrapped(exp.Sub(this=place, expression=build.number(1)))
            left = build.binary(exp.Mul, better, build.number(10**scale))
            right = build.binary(exp.Mul, _everybody(ranking), build.number(int(ranking.limit * Decimal(10) ** scale)))
            return exp.LT(this=left, expression=right)


def _place(ranking: checked.Ranking, *, best_first: bool) -> exp.Expression:
    """1 + how many are strictly better, or worse; where ties are split, the place in the order of value and key."""
    function = "row_number" if ranking.split else "rank"
    return _over(ranking, build.call(function), best_first=best_first)


def _over(
    ranking: checked.Ranking, function: exp.Expression, *, best_first: bool, frame: exp.WindowSpec | None = None
) -> exp.Expression:
    order = [exp.Ordered(this=build.column("value"), desc=best_first != ranking.lowest)]
    if ranking.split:
        order.append(exp.Ordered(this=build.column("customer"), desc=False))
    return exp.Window(this=function, partition_by=_groups(ranking), order=exp.Order(expressions=order), spec=frame)


def _groups(ranking: checked.Ranking) -> list[exp.Expression]:
    return [build.column("group")] if ranking.within is not None else []


def _everybody(ranking: checked.Ranking) -> exp.Expression:
    return exp.Window(this=build.call("count", exp.Star()), partition_by=_groups(ranking))


def _cumulative_share(dialect: Dialect, ranking: checked.Ranking) -> exp.Expression:
    """What the strictly better hold over what all hold, both as whole numbers of one scale, then as doubles."""
    scale = ranking.value.type.scale
    zero = build.number(0)
    held = build.call("sum", build.call("greatest", build.column("value"), zero))
    before = exp.WindowSpec(
        kind="GROUPS", start="UNBOUNDED", start_side="PRECEDING", end=build.number(1), end_side="PRECEDING"
    )
    better = exp.Coalesce(this=_over(ranking, held, best_first=True, frame=before), expressions=[zero.copy()])
    total = exp.Window(this=held.copy(), partition_by=_groups(ranking))

    def whole(part: exp.Expression) -> exp.Expression:
        return dialect.whole_double(build.cast(part, f"DECIMAL(38, {scale})"), scale)

    nothing = exp.Or(
        this=exp.LTE(this=build.column("value"), expression=zero.copy()),
        expression=exp.EQ(this=build.wrapped(total), expression=zero.copy()),
    )
    one = build.cast(build.number(1), "DOUBLE")
    return build.case((nothing, one), otherwise=build.binary(exp.Div, whole(better), whole(total.copy())))
