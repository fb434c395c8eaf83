"""The syntax tree: what was written, with its place. Places take no part in equality."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

from ruleengine.source import Span
from ruleengine.types import ColumnType


@dataclass(frozen=True, slots=True)
class Node:
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A bare word, in NFC."""

    text: str


@dataclass(frozen=True, slots=True)
class Text(Node):
    """A quoted text, as written between its quotes (a doubled quote is one)."""

    value: str


# -- windows ------------------------------------------------------------------------------------------

Unit = Literal["day", "week", "month", "quarter", "year"]


@dataclass(frozen=True, slots=True)
class LastWindow(Node):
    """`last 90 days`, or with `previous` the 90 days before those."""

    count: int
    unit: Unit  # day, week, month, year
    previous: bool = False


@dataclass(frozen=True, slots=True)
class CalendarWindow(Node):
    """`this month`, `previous quarter`."""

    unit: Unit  # month, quarter, year
    previous: bool = False


@dataclass(frozen=True, slots=True)
class RangeWindow(Node):
    """`2026-11-01 to 2026-11-11`, both inclusive."""

    first: date
    last: date


Window = LastWindow | CalendarWindow | RangeWindow

# -- expressions --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reference(Node):
    """`monetary_90d` or `orders.amount`."""

    qualifier: Name | None
    name: Name


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number literal: `10_000`, `0.5`, `20%`. `value` is exact, a percentage already divided."""

    value: Decimal
    text: str = field(compare=False)  # as written, for the formatter


@dataclass(frozen=True, slots=True)
class Day(Node):
    """A date literal."""

    value: date


@dataclass(frozen=True, slots=True)
class Truth(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Group(Node):
    """Parentheses. The span includes them."""

    inner: "Expression"


@dataclass(frozen=True, slots=True)
class Minus(Node):
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    operator: Literal["+", "-", "*", "/"]
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """`is` and `is not` are kept apart from `=` and `!=` only because they were written so."""

    operator: Literal["=", "!=", "<", "<=", ">", ">=", "is", "is not"]
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Membership(Node):
    """`country in ("DE", "FR")`, `city not in big_cities`: the choices, or one bare name of a list parameter."""

    operand: "Expression"
    negated: bool
    choices: "tuple[Expression, ...] | Name"


@dataclass(frozen=True, slots=True)
class Between(Node):
    """Both ends inclusive."""

    operand: "Expression"
    negated: bool
    low: "Expression"
    high: "Expression"


@dataclass(frozen=True, slots=True)
class Presence(Node):
    """`x is missing` (known=False), `x is known` (known=True); `is not missing` is known, and the other way round."""

    operand: "Expression"
    known: bool


@dataclass(frozen=True, slots=True)
class TextTest(Node):
    operator: Literal["starts with", "ends with", "contains"]
    operand: "Expression"
    negated: bool
    text: "Expression"


@dataclass(frozen=True, slots=True)
class Not(Node):
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Junction(Node):
    """Two or more conditions joined by one word; mixing both words without parentheses is a problem of the parser."""

    operator: Literal["and", "or"]
    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """`if c then a else b`."""

    condition: "Expression"
    then: "Expression"
    otherwise: "Expression"


@dataclass(frozen=True, slots=True)
class During(Node):
    operand: "Expression"
    window: Window


@dataclass(frozen=True, slots=True)
class Default(Node):
    operand: "Expression"
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Modifiers(Node):
    """`lowest best within country ties split among frequency > 0`: how a function of the population ranks."""

    lowest: bool
    within: "Expression | None"
    split: bool
    among: "Expression | None"


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`sum(orders.amount where status = "paid")`, `count(distinct orders.category)`, `round(x, 2)`,
    `quintile(recency lowest best)`."""

    function: Name
    distinct: bool
    arguments: "tuple[Expression, ...]"
    where: "Expression | None"
    modifiers: Modifiers | None = None
    """None where none is written."""


@dataclass(frozen=True, slots=True)
class Top(Node):
    """`top 500 by spend`, `bottom 10% by spend among (frequency > 0)`."""

    bottom: bool
    amount: Number
    """A number of customers, or a share of them where its text ends in %."""
    value: "Expression"
    modifiers: Modifiers | None


@dataclass(frozen=True, slots=True)
class Sample(Node):
    """`sample 10% "spring-2027"`."""

    share: Number
    salt: Text


@dataclass(frozen=True, slots=True)
class Days(Node):
    """`days since d`, `days until d`, `days until anniversary of d`."""

    direction: Literal["since", "until", "until anniversary of"]
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class HasTag(Node):
    tag: Text


@dataclass(frozen=True, slots=True)
class HadTag(Node):
    """`had tag "A"`, `had tag "A" within 90 days`: published history, before this run."""

    tag: Text
    within_days: int | None


@dataclass(frozen=True, slots=True)
class LadderWas(Node):
    """`tier loyalty was at least "Gold" within 180 days`: published history, before this run."""

    kind: Literal["tier", "class"]
    ladder: Name
    negated: bool
    at_least: bool
    value: Text
    within_days: int | None


@dataclass(frozen=True, slots=True)
class LadderIs(Node):
    """`tier loyalty is at least "Gold"`, `class lifecycle is not "New"`."""

    kind: Literal["tier", "class"]
    ladder: Name
    negated: bool
    at_least: bool
    value: Text


Expression = (
    Reference
    | Number
    | Text
    | Day
    | Truth
    | Group
    | Minus
    | Arithmetic
    | Comparison
    | Membership
    | Between
    | Presence
    | TextTest
    | Not
    | Junction
    | Conditional
    | During
    | Default
    | Call
    | Top
    | Sample
    | Days
    | HasTag
    | HadTag
    | LadderIs
    | LadderWas
)

# -- statements ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column(Node):
    """`amount decimal(12,2)` in a list of columns."""

    name: Name
    type: ColumnType


@dataclass(frozen=True, slots=True)
class EntityStatement(Node):
    """`entity customer from customers key customer_id integer (…) since signed_up where not is_test`."""

    name: Name
    source: Name
    distinct: bool  # from distinct EVENTS: the customers are those of an events source
    key: Name
    key_type: ColumnType  # text unless written
    columns: tuple[Column, ...]
    since: Name | None
    where: Expression | None


@dataclass(frozen=True, slots=True)
class EventsStatement(Node):
    """`events orders from orders key order_id for customer_id at ordered_at zone "UTC" (…)`."""

    name: Name
    source: Name
    key: Name | None
    key_type: ColumnType  # text unless written
    customer: Name  # the `for` column
    at: Name
    zone: Text | None
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class ParameterStep(Node):
    """One value, or a list of values, of a parameter, from a day on (None: from ever)."""

    values: tuple[Expression, ...]  # literals
    start: Day | None


@dataclass(frozen=True, slots=True)
class LetStatement(Node):
    name: Name
    label: Text | None
    steps: tuple[ParameterStep, ...]


@dataclass(frozen=True, slots=True)
class MetricStatement(Node):
    name: Name
    label: Text | None
    expression: Expression


@dataclass(frozen=True, slots=True)
class ScoreLine(Node):
    """`add -20 when recency > 180`."""

    points: Number | Minus
    when: Expression


@dataclass(frozen=True, slots=True)
class ScoreStatement(Node):
    """Additive points; a metric that is 0 when nothing applies."""

    name: Name
    label: Text | None
    lines: tuple[ScoreLine, ...]


@dataclass(frozen=True, slots=True)
class Duration(Node):
    """A length of time: `14 days`, `12 months`."""

    count: int
    unit: Unit


@dataclass(frozen=True, slots=True)
class Limit(Node):
    """`limit 500 by monetary_12m`, `limit 500 by lowest recency`."""

    count: int
    lowest: bool
    value: Expression


@dataclass(frozen=True, slots=True)
class TagStatement(Node):
    name: Text
    draft: bool
    when: Expression
    unless: Expression | None
    because: Text | None
    owner: Text | None
    review_by: Day | None
    formerly: tuple[Text, ...] = ()
    until: Expression | None = None
    keep_for: Duration | None = None
    if_unknown_keep: bool = False
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class ManualTagStatement(Node):
    """`manual tag "Do not contact" expires after 1 year`: set by people."""

    name: Text
    formerly: tuple[Text, ...]
    expires_after: Duration | None


@dataclass(frozen=True, slots=True)
class ManualTierStatement(Node):
    """`manual tier loyalty expires after 90 days`: people may set a level."""

    tier: Name
    expires_after: Duration | None


@dataclass(frozen=True, slots=True)
class AtMostOneStatement(Node):
    """`at most one of "VIP", "Sleeping VIP"`: the first listed wins."""

    tags: tuple[Text, ...]


@dataclass(frozen=True, slots=True)
class Level(Node):
    value: Text
    when: Expression
    formerly: tuple[Text, ...] = ()
    keep_while: Expression | None = None


@dataclass(frozen=True, slots=True)
class Review(Node):
    """`review daily|monthly|quarterly|yearly`, or `review on anniversary of vip_since`."""

    every: Literal["day", "month", "quarter", "year", "anniversary"]
    anniversary_of: Name | None


@dataclass(frozen=True, slots=True)
class LadderStatement(Node):
    """A `tier` (levels highest first) or a `class` (the first line that matches)."""

    kind: Literal["tier", "class"]
    name: Name
    draft: bool
    levels: tuple[Level, ...]
    otherwise: Text | None
    hold: Duration | None = None
    grace: Duration | None = None
    fall: Literal["to earned", "one level at a time", "never"] | None = None
    """None where nothing is written: to the level that is earned."""
    review: Review | None = None
    """None where nothing is written: daily."""


# -- checks -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConditionCheck(Node):
    """`check orders.amount >= 0 for at least 99.9%`; without a share all rows must meet it."""

    condition: Expression
    at_least: Number | None


@dataclass(frozen=True, slots=True)
class UniqueCheck(Node):
    """`check orders.order_id is unique`."""

    column: Reference


@dataclass(frozen=True, slots=True)
class FreshCheck(Node):
    """`check orders is fresh within 2 days`."""

    source: Name
    within: Duration


@dataclass(frozen=True, slots=True)
class ExistsCheck(Node):
    """`check orders.customer_id exists in customers for at least 99%`."""

    column: Reference
    other: Name
    at_least: Number | None


@dataclass(frozen=True, slots=True)
class RuleName(Node):
    """`tag "VIP"`, `tier loyalty`, `class lifecycle` as checks and examples name them."""

    kind: Literal["tag", "tier", "class"]
    name: Name | Text


@dataclass(frozen=True, slots=True)
class CoversCheck(Node):
    """`check tag "VIP" covers 0.5% to 10%`; of a ladder with a value: `check tier loyalty "Gold" covers …`."""

    rule: RuleName
    value: Text | None
    low: Number
    high: Number


@dataclass(frozen=True, slots=True)
class ChangesCheck(Node):
    """`check tier loyalty changes at most 20%`."""

    rule: RuleName
    at_most: Number


@dataclass(frozen=True, slots=True)
class NeverMovesCheck(Node):
    """`check class lifecycle never moves "Churned" to "New"`."""

    rule: RuleName
    old: Text
    new: Text


Check = ConditionCheck | UniqueCheck | FreshCheck | ExistsCheck | CoversCheck | ChangesCheck | NeverMovesCheck


@dataclass(frozen=True, slots=True)
class CheckStatement(Node):
    check: Check
    otherwise: Literal["fail", "warn"]
    """`else fail`, also where nothing is written; `else warn`."""


# -- examples -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GivenValue(Node):
    """`monetary_90d = 12_000`, `country is missing`: a metric, attribute or parameter."""

    name: Reference
    value: Expression | None
    """A literal; None: missing."""


@dataclass(frozen=True, slots=True)
class GivenTable(Node):
    """Rows of an events source: a header line and lines of cells between `|`; an empty cell is missing."""

    source: Name
    columns: tuple[Name, ...]
    rows: tuple[tuple[Text, ...], ...]
    """The cells as written, quotes too, without the blanks around them."""


@dataclass(frozen=True, slots=True)
class GivenHistory(Node):
    """`tag "X"`, `tag "X" since 2026-01-01`, `tier loyalty was "Gold" since 2026-01-01`."""

    rule: RuleName
    value: Text | None
    since: Day | None


Given = GivenValue | GivenTable | GivenHistory


@dataclass(frozen=True, slots=True)
class Expectation(Node):
    """`tag "VIP"`, `no tag "VIP"`, `unknown tag "VIP"`, `tier loyalty "Gold"`, `no tier loyalty`."""

    rule: RuleName
    wanted: Literal["given", "no", "unknown"]
    value: Text | None


@dataclass(frozen=True, slots=True)
class ExampleStatement(Node):
    name: Text
    as_of: Day | None
    givens: tuple[Given, ...]
    expectations: tuple[Expectation, ...]


@dataclass(frozen=True, slots=True)
class UseStatement(Node):
    """`use "std/rfm"`: another rule file, shipped or relative."""

    path: Text


Statement = (
    EntityStatement
    | EventsStatement
    | LetStatement
    | MetricStatement
    | ScoreStatement
    | TagStatement
    | ManualTagStatement
    | ManualTierStatement
    | AtMostOneStatement
    | LadderStatement
    | CheckStatement
    | ExampleStatement
    | UseStatement
)


@dataclass(frozen=True, slots=True)
class File(Node):
    """One rule file."""

    statements: tuple[Statement, ...]
