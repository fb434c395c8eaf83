"""SQL as DuckDB says it; the language's numbers are macros."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from sqlglot import exp

from ruleengine.sql import build
from ruleengine.sql.build import BIGINT_DIGITS, EXACT_DOUBLE_DIGITS
from ruleengine.sql.dialect import Dialect, End, Order, TextOperator

_TEXT_TESTS: dict[TextOperator, str] = {
    "starts with": "starts_with",
    "ends with": "ends_with",
    "contains": "contains",
}

_MACROS = (
    # DuckDB divides a decimal by its power of ten as doubles, which is the nearest double only up to 15 digits.
    """CREATE OR REPLACE TEMPORARY MACRO nearest_double(x, bound) AS
  CASE WHEN abs(CAST(x AS DOUBLE)) < bound THEN CAST(x AS DOUBLE) ELSE CAST(CAST(x AS VARCHAR) AS DOUBLE) END""",
    # 12.50 with factor 100 is 1250; whole numbers of more than 18 digits are read from their text. Up to 15 digits
    # rounding finds the very number, many times faster than a product of decimals of 38 digits.
    """CREATE OR REPLACE TEMPORARY MACRO whole_double(x, factor, bound) AS
  CASE WHEN abs(CAST(x AS DOUBLE)) < bound // 1000 THEN round(CAST(x AS DOUBLE) * factor)
       WHEN abs(x) < bound THEN CAST(CAST(x * factor AS BIGINT) AS DOUBLE)
       ELSE CAST(replace(CAST(x AS VARCHAR), '.', '') AS DOUBLE) END""",
    # The median of a list: the middle value, or the mean of the middle two.
    """CREATE OR REPLACE TEMPORARY MACRO middle(low, high, factor, bound) AS
  CASE WHEN low = high THEN nearest_double(low, bound / 1000)
       ELSE whole_double(low + high, factor, bound) / CAST(2 * factor AS DOUBLE) END""",
)


class DuckDB(Dialect):
    """See `Dialect`."""

    name: ClassVar[str] = "duckdb"
    prelude: ClassVar[tuple[str, ...]] = _MACROS
    counts_apart: ClassVar[bool] = True
    sorts_for_ends: ClassVar[bool] = False
    filters: ClassVar[bool] = False

    def create(self, name: str, query: exp.Expression, kind: Literal["TABLE", "VIEW"]) -> exp.Expression:
        temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
        return exp.Create(this=build.table(name), kind=kind, replace=True, expression=query, properties=temporary)

    def create_missing(self, name: str, query: exp.Expression) -> exp.Expression:
        temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
        return exp.Create(this=build.table(name), kind="TABLE", exists=True, expression=query, properties=temporary)

    def layer(self, query: exp.Select) -> exp.Select:
        return query

    def text(self, literal: exp.Expression) -> exp.Expression:
        return literal

    def text_test(self, operator: TextOperator, operand: exp.Expression, text: exp.Expression) -> exp.Expression:
        return build.call(_TEXT_TESTS[operator], operand, text)

    def place(self, texts: Sequence[str], value: exp.Expression) -> exp.Expression:
        return build.call("list_position", _list(texts), value)

    def text_at(self, texts: Sequence[str], place: exp.Expression) -> exp.Expression:
        return build.call("list_extract", _list(texts), place)

    def hashed(self, text: exp.Expression) -> exp.Expression:
        digits = build.call("left", build.call("sha256", text), build.number(8))
        return build.cast(build.call("concat", build.text("0x"), digits), "BIGINT")

    def nearest_double(self, number: exp.Expression, scale: int) -> exp.Expression:
        return build.call("nearest_double", number, build.number(10 ** (EXACT_DOUBLE_DIGITS - scale)))

    def whole_double(self, number: exp.Expression, scale: int) -> exp.Expression:
        return build.call("whole_double", number, *_factor(scale))

    def rounded_double(self, number: exp.Expression, places: int) -> exp.Expression:
        return build.call("round", number, build.number(places))

    def whole_quotient(self, dividend: exp.Expression, divisor: exp.Expression) -> exp.Expression:
        return exp.IntDiv(this=build.wrapped(dividend), expression=build.wrapped(divisor))

    def days_between(self, first: exp.Expression, last: exp.Expression) -> exp.Expression:
        return build.binary(exp.Sub, last, first)

    def date_part(self, part: Literal["month", "day"], date: exp.Expression) -> exp.Expression:
        return build.call(part, date)

    def lower_median(self, value: exp.Expression) -> exp.Expression:
        return build.call("quantile_disc", value, exp.Literal.number("0.5"))

    def middle(self, low: exp.Expression, high: exp.Expression, scale: int) -> exp.Expression:
        return build.call("middle", low, high, *_factor(scale))

    def different(self, place: exp.Expression, condition: exp.Expression | None) -> exp.Expression:
        bits = build.bits(build.cast(place, "BIGINT"))
        if condition is not None:
            # Within CASE every row's text would be looked up, not only every text of a dictionary.
            bits = exp.Filter(this=bits, expression=exp.Where(this=condition))
        return build.cast(build.call("bit_count", bits), "BIGINT")

    def at_end(
        self, end: End, value: exp.Expression, condition: exp.Expression | None, order: Sequence[exp.Expression]
    ) -> exp.Expression:
        first, *more = order
        parts = [first]
        for part in more:
            parts.extend((build.is_known(part.copy()), part))
        place = build.call("row", *parts) if more else first
        if condition is not None:
            place = build.case((condition, place), otherwise=None)
        return build.call("arg_min_null" if end == "first" else "arg_max_null", value, place)

    def at_one_end(
        self, end: End, value: exp.Expression, type: str, condition: exp.Expression | None, order: Order
    ) -> exp.Expression:
        # As one number.
        moment = build.cast(build.call("epoch_us", order.at), "HUGEINT")
        number = exp.Add(this=exp.Mul(this=moment, expression=build.number(1 << 64)), expression=order.tie)
        return self.at_end(end, value, condition, [number])

    def most_frequent(self, value: exp.Expression, times: exp.Expression) -> exp.Expression:
        often = [exp.Ordered(this=times, desc=True), exp.Ordered(this=value.copy(), desc=False)]
        first = build.call("first", exp.Order(this=value, expressions=often))
        occurs = exp.GT(this=times.copy(), expression=build.number(0))
        return exp.Filter(this=first, expression=exp.Where(this=occurs))

    def of_latest(self, value: exp.Expression, day: exp.Expression) -> exp.Expression:
        return build.call("arg_max", value, day)


def _list(texts: Sequence[str]) -> exp.Expression:
    return exp.Array(expressions=[build.text(text) for text in texts])


def _factor(scale: int) -> tuple[exp.Expression, exp.Expression]:
    """What a decimal is multiplied with to be a whole number, and below what it then is a BIGINT."""
    return build.number(10**scale), build.number(10 ** (BIGINT_DIGITS - scale))


DUCKDB = DuckDB()
