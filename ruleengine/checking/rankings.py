"""Functions of the whole population, top and bottom, samples and scores."""

from decimal import Decimal
from typing import TYPE_CHECKING

from ruleengine.checking import expressions as checked
from ruleengine.checking.context import Context, Made
from ruleengine.checking.parameters import constant
from ruleengine.checking.scope import word
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Word
from ruleengine.functions.rankings import RANKINGS, RankingFunction
from ruleengine.syntax import nodes
from ruleengine.types import BOOLEAN, COUNT, DOUBLE, Kind, Type, common, exact

if TYPE_CHECKING:
    from ruleengine.checking.typing import Typing

MOST_BUCKETS = 1000


def is_ranking(node: nodes.Expression) -> bool:
    """Whether an expression is a function of the population, and nothing around it."""
    return isinstance(node, nodes.Top) or (isinstance(node, nodes.Call) and node.function.text in RANKINGS)


def ranking(typing: "Typing", node: nodes.Call | nodes.Top, context: Context) -> checked.Ranking | None:
    """A function of the population as it stands; it becomes the whole expression of a metric instance."""
    if not _may_stand(typing, node, context):
        return None
    inside = Context(place="metric")
    function, buckets, limit = _function(typing, node)
    if function is None:
        return None
    value_node = node.value if isinstance(node, nodes.Top) else node.arguments[0]
    modifiers = node.modifiers
    value = typing.value(value_node, inside)
    within = typing.value(modifiers.within, inside) if modifiers and modifiers.within is not None else None
    among = typing.condition(modifiers.among, inside) if modifiers and modifiers.among is not None else None
    if value is None or (modifiers and ((modifiers.within and not within) or (modifiers.among and not among))):
        return None
    name = "top" if isinstance(node, nodes.Top) else node.function.text
    if value.type.kind in (Kind.TEXT, Kind.BOOLEAN):
        typing.problems.add(codes.not_a_number(value_node.span, operator=name, type=word(value.type.kind)))
        return None
    if function is RankingFunction.CUMULATIVE_SHARE and value.type.kind is not Kind.EXACT:
        if value.type.kind is Kind.DOUBLE:
            typing.problems.add(codes.inexact_argument(value_node.span, function=name))
        else:
            typing.problems.add(codes.not_a_number(value_node.span, operator=name, type=word(value.type.kind)))
        return None
    split = modifiers is not None and modifiers.split
    if split and function not in (RankingFunction.NTILE, RankingFunction.RANK):
        assert modifiers is not None
        typing.problems.add(codes.wrong_place(modifiers.span, what="`ties split`", place=f"`{name}`"))
        return None
    lowest = modifiers is not None and modifiers.lowest
    if isinstance(node, nodes.Top) and node.bottom:
        lowest = not lowest
    return checked.Ranking(
        type=_type(function, buckets),
        nullable=value.nullable or among is not None or (within is not None and within.nullable),
        function=function,
        value=value,
        lowest=lowest,
        buckets=buckets,
        limit=limit,
        within=within,
        among=among,
        split=split,
        span=node.span,
    )


def _may_stand(typing: "Typing", node: nodes.Call | nodes.Top, context: Context) -> bool:
    name = "top" if isinstance(node, nodes.Top) else node.function.text
    if context.events is not None:
        typing.problems.add(codes.not_beside_events(node.span, name=name, what=Word("a-ranking")))
    elif context.place == "entity":
        typing.problems.add(codes.wrong_place(node.span, what=Word("a-ranking"), place=Word("the-entity")))
    elif context.window is not None:
        typing.problems.add(codes.nothing_to_window(node.span, name=name))
    else:
        return True
    return False


def _function(typing: "Typing", node: nodes.Call | nodes.Top) -> tuple[RankingFunction | None, int, int | Decimal]:
    """What is computed, into how many parts, and up to where."""
    if isinstance(node, nodes.Top):
        amount = node.amount
        percent = amount.text.rstrip().endswith("%")
        if percent and 0 < amount.value <= 1:
            return RankingFunction.TOP, 0, amount.value
        if not percent and amount.value > 0 and amount.value == int(amount.value):
            return RankingFunction.TOP, 0, int(amount.value)
        typing.problems.add(codes.wrong_share(amount.span, text=amount.text))
        return None, 0, 0
    function = RANKINGS[node.function.text]
    wants_buckets = function.computes is RankingFunction.NTILE and function.buckets is None
    buckets = function.buckets or 0
    sound = len(node.arguments) == (2 if wants_buckets else 1) and node.where is None and not node.distinct
    if sound and wants_buckets:
        parts = node.arguments[1]
        sound = isinstance(parts, nodes.Number) and parts.value in range(2, MOST_BUCKETS + 1)
        buckets = int(parts.value) if isinstance(parts, nodes.Number) else 0
    if not sound:
        wanted = Word("ranking-ntile" if wants_buckets else "ranking-plain")
        example = f"{function.name}(spend, 20)" if wants_buckets else f"{function.name}(spend)"
        typing.problems.add(codes.wrong_arguments(node.span, function=function.name, wanted=wanted, example=example))
        return None, 0, 0
    return function.computes, buckets, 0


def _type(function: RankingFunction, buckets: int) -> Type:
    match function:
        case RankingFunction.RANK:
            return COUNT
        case RankingFunction.NTILE:
            return exact(len(str(buckets)))
        case RankingFunction.PERCENTILE | RankingFunction.CUMULATIVE_SHARE:
            return DOUBLE
        case RankingFunction.TOP:
            return BOOLEAN


def sample(typing: "Typing", node: nodes.Sample, context: Context) -> Made:
    if context.events is not None:
        typing.problems.add(codes.not_beside_events(node.span, name=node.span.text, what=Word("a-sample")))
        return None
    if not (node.share.text.rstrip().endswith("%") and 0 < node.share.value <= 1):
        typing.problems.add(codes.wrong_share(node.share.span, text=node.share.text))
        return None
    entity = typing.scope.entity
    if entity is None:
        return None
    key = checked.Attribute(type=entity.key.type.value, column=entity.key.name, span=node.span)
    return checked.Sample(type=BOOLEAN, key=key, share=node.share.value, salt=node.salt.value, span=node.span)


def score(typing: "Typing", statement: nodes.ScoreStatement, context: Context) -> Made:
    """The points of a score as one expression."""
    if context.window is not None:
        typing.problems.add(codes.nothing_to_window(statement.name.span, name=statement.name.text))
        return None
    lines: list[checked.ScoreLine] = []
    type: Type | None = None
    for line in statement.lines:
        points = constant(line.points)
        when = typing.condition(line.when, context)
        if points is None or when is None:
            continue
        value, own = points
        assert isinstance(value, int | Decimal)
        lines.append(checked.ScoreLine(type=own, points=value, when=when, span=line.span))
        type = own if type is None else common(type, own)
    if type is None or len(lines) < len(statement.lines):
        return None
    wide = exact(type.digits + len(str(len(lines))), type.scale)
    return checked.Points(type=wide, lines=tuple(lines), span=statement.span)
