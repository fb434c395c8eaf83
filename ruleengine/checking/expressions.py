"""Checked expressions: every name resolved, every type known, every window where it takes effect.

`type` is what the expression is worth, `nullable` whether it can be missing (for conditions: unknown). Places take
no part in equality, so that the same aggregate written twice is the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from typing import Literal, TypeGuard

from ruleengine.functions.aggregates import Aggregation
from ruleengine.functions.rankings import RankingFunction
from ruleengine.source import Span
from ruleengine.types import Type

# -- windows: as written, but without places; the run's date turns them into days ---------------------------


SpanUnit = Literal["day", "week", "month", "year"]
Period = Literal["month", "quarter", "year"]


@dataclass(frozen=True, slots=True)
class Last:
    """`last 90 days`: (D − 90, D]; with `previous` the same span again before that."""

    count: int
    unit: SpanUnit
    previous: bool = False


@dataclass(frozen=True, slots=True)
class Calendar:
    """`this month` up to D, or the whole `previous` one."""

    unit: Period
    previous: bool = False


@dataclass(frozen=True, slots=True)
class Between:
    first: date
    last: date


Window = Last | Calendar | Between

# -- expressions --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    type: Type
    nullable: bool = field(default=False)
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant(Typed):
    value: bool | int | Decimal | str | date


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterValue(Typed):
    """A `let` of one value; the run's date, or --set, decides which."""

    parameter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute(Typed):
    """A column of the entity, the key among them."""

    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventValue(Typed):
    """A column of the event that an aggregate looks at (only inside an aggregate)."""

    source: str
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricValue(Typed):
    """A metric, by the name of its instance in `Ruleset.metrics`: `monetary_90d` is one, `monetary` another."""

    metric: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate(Typed):
    """An aggregate over the events of one customer up to the run's date, or within a window.

    `argument` is None for those over events as such (`count(orders)`, `latest(orders)`, `active_days(orders)`).
    `where` may read the event, the entity's attributes, parameters and constants.
    """

    function: Aggregation
    source: str
    argument: "Expression | None"
    where: "Expression | None"
    window: Window | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Negation(Typed):
    operand: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic(Typed):
    operator: Literal["+", "-", "*", "/"]
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Typed):
    operator: Literal["=", "!=", "<", "<=", ">", ">="]
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf(Typed):
    """`x in (…)`: the choices are constants or parameters, or the name of one parameter that is a list."""

    operand: "Expression"
    choices: "tuple[Expression, ...] | str"


@dataclass(frozen=True, slots=True, kw_only=True)
class IsMissing(Typed):
    """TRUE or FALSE, never unknown."""

    operand: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTest(Typed):
    operator: Literal["starts with", "ends with", "contains"]
    operand: "Expression"
    text: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Not(Typed):
    operand: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Junction(Typed):
    """Kleene's `and` and `or`, of two or more. `between` is an `and` of two comparisons."""

    operator: Literal["and", "or"]
    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditional(Typed):
    """`then` where the condition is TRUE, `otherwise` where it is false or unknown; both of the expression's type."""

    condition: "Expression"
    then: "Expression"
    otherwise: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Default(Typed):
    operand: "Expression"
    value: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar(Typed):
    """`abs floor ceil round least greatest` of one row's values; missing if an argument is."""

    function: Literal["abs", "floor", "ceil", "round", "least", "greatest"]
    arguments: "tuple[Expression, ...]"
    places: int = 0
    """Of `round`: digits behind the point to keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Days(Typed):
    direction: Literal["since", "until", "until anniversary of"]
    operand: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking(Typed):
    """A function of the whole population; always the whole expression of a metric instance.

    Customers whose value is missing, or for whom `among` is not TRUE, or whose `within` is missing, have no answer and
    are not counted.
    """

    function: RankingFunction
    value: "Expression"
    lowest: bool
    """Whether the lowest value is the best one; without it the highest is."""
    buckets: int = 0
    """Of NTILE."""
    limit: int | Decimal = 0
    """Of TOP: a number of customers, or a share of them."""
    within: "Expression | None" = None
    among: "Expression | None" = None
    split: bool = False
    """Whether equal values may get different answers, in the order of keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points(Typed):
    """A score: the points of every line that is TRUE."""

    lines: "tuple[ScoreLine, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreLine(Typed):
    points: int | Decimal
    when: "Expression"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample(Typed):
    """TRUE for a share of all keys, by a hash of key and salt: always the same ones, whatever else there is."""

    key: "Expression"
    share: Decimal
    salt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HasTag(Typed):
    """Whether the same run gives the tag; never unknown."""

    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderIs(Typed):
    """Whether the same run gives the customer one of these values of a tier or class; never unknown."""

    ladder: str
    value: str  # as written
    at_least: bool
    values: tuple[str, ...]  # for `at least`: the level and all above it


@dataclass(frozen=True, slots=True, kw_only=True)
class HadTag(Typed):
    """Whether published history gave the tag before this run; unknown where no version then declared it."""

    tag: str
    names: tuple[str, ...]  # its own and former ones
    within: int | None  # days before the run's; None: ever


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderWas(Typed):
    """Whether published history had the customer at one of these values of a tier or class before this run."""

    ladder: str
    kind: Literal["tier", "class"]
    value: str  # as written
    at_least: bool
    values: tuple[str, ...]  # for `at least`: the level and all above it; with the former names of each
    within: int | None


Past = HadTag | LadderWas

Expression = (
    Constant
    | ParameterValue
    | Attribute
    | EventValue
    | MetricValue
    | Aggregate
    | Negation
    | Arithmetic
    | Comparison
    | OneOf
    | IsMissing
    | TextTest
    | Not
    | Junction
    | Conditional
    | Default
    | Scalar
    | Days
    | Ranking
    | Points
    | ScoreLine
    | Sample
    | HasTag
    | LadderIs
    | HadTag
    | LadderWas
)


def is_expression(value: object) -> TypeGuard[Expression]:
    """Expression is the union of all subclasses of Typed."""
    return isinstance(value, Typed)


def children(expression: Expression) -> Iterator[Expression]:
    """The expressions directly beneath one, in reading order."""
    for part in fields(expression):
        value = getattr(expression, part.name)
        if is_expression(value):
            yield value
        elif isinstance(value, tuple):
            yield from (item for item in value if is_expression(item))


def walk(expression: Expression) -> Iterator[Expression]:
    """An expression and all beneath it, parents first."""
    yield expression
    for child in children(expression):
        yield from walk(child)
