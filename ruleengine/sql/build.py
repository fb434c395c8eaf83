"""Small builders of sqlglot trees.

sqlglot prints a tree without the parentheses that its shape implies, so every operand that is not plainly an atom is
wrapped here, and only trees from here go into statements.
"""

from datetime import date
from decimal import Decimal

from sqlglot import exp

from ruleengine.types import Value

BIGINT_DIGITS = 18
"""So many digits always fit into a whole number of 64 bits."""
EXACT_DOUBLE_DIGITS = 15
"""Every whole number of so many digits is a double."""

_ATOMS = (exp.Column, exp.Literal, exp.Cast, exp.Paren, exp.Anonymous, exp.Boolean, exp.Null, exp.Func)
_TESTS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.In)


def name(text: str) -> exp.Identifier:
    """An identifier, quoted: whatever it says, it stays one."""
    return exp.Identifier(this=text, quoted=True)


def column(text: str, table: str | None = None) -> exp.Column:
    return exp.Column(this=name(text), table=name(table) if table else None)


def table(text: str, alias: str | None = None) -> exp.Table:
    return exp.Table(this=name(text), alias=exp.TableAlias(this=name(alias)) if alias else None)


def named(expression: exp.Expression, text: str) -> exp.Alias:
    return exp.Alias(this=expression, alias=name(text))


def call(function: str, *arguments: exp.Expression) -> exp.Anonymous:
    return exp.Anonymous(this=function, expressions=list(arguments))


def wrapped(expression: exp.Expression) -> exp.Expression:
    """As an operand: in parentheses unless it is an atom."""
    if isinstance(expression, exp.And | exp.Or | exp.Case) or not isinstance(expression, _ATOMS):
        return exp.Paren(this=expression)
    return expression


def condition(expression: exp.Expression) -> exp.Expression:
    """As an operand of AND and OR, which bind more loosely than any comparison."""
    return expression if isinstance(expression, _TESTS) else wrapped(expression)


def binary(kind: type[exp.Expression], left: exp.Expression, right: exp.Expression) -> exp.Expression:
    return kind(this=wrapped(left), expression=wrapped(right))


def all_of(parts: list[exp.Expression]) -> exp.Expression | None:
    return _joined(exp.And, parts)


def any_of(parts: list[exp.Expression]) -> exp.Expression | None:
    return _joined(exp.Or, parts)


def _joined(kind: type[exp.Expression], parts: list[exp.Expression]) -> exp.Expression | None:
    made: exp.Expression | None = None
    for part in parts:
        made = condition(part) if made is None else kind(this=made, expression=condition(part))
    return made


def negated(part: exp.Expression) -> exp.Expression:
    return exp.Not(this=exp.Paren(this=part) if not isinstance(part, exp.Paren) else part)


def is_null(expression: exp.Expression) -> exp.Expression:
    return exp.Is(this=wrapped(expression), expression=exp.Null())


def is_known(expression: exp.Expression) -> exp.Expression:
    return exp.Not(this=is_null(expression))


def counted(condition: exp.Expression) -> exp.Expression:
    """How many rows meet a condition."""
    return exp.Filter(this=call("count", exp.Star()), expression=exp.Where(this=condition.copy()))


def case(*branches: tuple[exp.Expression, exp.Expression], otherwise: exp.Expression | None) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=when, true=then) for when, then in branches], default=otherwise)


def cast(expression: exp.Expression, type: str) -> exp.Expression:
    return exp.Cast(this=expression, to=exp.DataType.build(type, dialect="duckdb"))


def bits(place: exp.Expression) -> exp.Expression:
    """A bit for each place that rows have."""
    return call("bit_or", binary(exp.BitwiseLeftShift, cast(number(1), "BIGINT"), place))


def number(value: int) -> exp.Expression:
    literal = exp.Literal.number(str(abs(value)))
    return exp.Paren(this=exp.Neg(this=literal)) if value < 0 else literal


def text(value: str) -> exp.Expression:
    return exp.Literal.string(value)


def day(value: date) -> exp.Expression:
    return cast(text(value.isoformat()), "DATE")


def constant(value: Value) -> exp.Expression:
    match value:
        case None:
            return exp.Null()
        case bool():
            return exp.Boolean(this=value)
        case int():
            return number(value)
        case Decimal():
            literal = exp.Literal.number(f"{value.copy_abs():f}")
            return exp.Paren(this=exp.Neg(this=literal)) if value < 0 else literal
        case str():
            return text(value)
        case date():
            return day(value)
        case float():
            return cast(text(repr(value)), "DOUBLE")


def comment(expression: exp.Expression, text: str) -> exp.Expression:
    """Say what a part serves. The text cannot end the comment."""
    safe = " ".join(text.replace("*/", "* /").replace("/*", "/ *").split())
    expression.add_comments([f" {safe} "])
    return expression
