"""SQL as Postgres says it, from version 15 on."""

from collections.abc import Sequence
from hashlib import sha256
from typing import ClassVar, Literal

from sqlglot import exp

from ruleengine.sql import build
from ruleengine.sql.dialect import Dialect, End, Order, TextOperator

LONGEST_NAME = 63
"""Bytes of an identifier; Postgres cuts off the rest, and then two names may be one."""

_RENAMED_ZONES = {
    "CET": "Europe/Brussels",
    "MET": "Europe/Brussels",
    "EET": "Europe/Athens",
    "WET": "Europe/Lisbon",
}
"""Zones that Postgres takes for abbreviations of one fixed distance from UTC, and what they are links to."""


class Postgres(Dialect):
    """See `Dialect`."""

    name: ClassVar[str] = "postgres"
    counts_apart: ClassVar[bool] = False
    sorts_for_ends: ClassVar[bool] = True
    filters: ClassVar[bool] = True

    def sql(self, tree: exp.Expression, *, pretty: bool = False) -> str:
        fitting = tree.copy()
        for identifier in fitting.find_all(exp.Identifier):
            identifier.set("this", short(identifier.name))
        return super().sql(fitting, pretty=pretty)

    def create(self, name: str, query: exp.Expression, kind: Literal["TABLE", "VIEW"]) -> exp.Expression:
        temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
        return exp.Create(this=build.table(name), kind=kind, expression=query, properties=temporary)

    def create_missing(self, name: str, query: exp.Expression) -> exp.Expression:
        temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
        return exp.Create(this=build.table(name), kind="TABLE", exists=True, expression=query, properties=temporary)

    def layer(self, query: exp.Select) -> exp.Select:
        # Without it the planner writes what a column is into each place that reads it: twice as much with each layer.
        return query.offset(0, copy=False)

    def text(self, literal: exp.Expression) -> exp.Expression:
        # Columns of sources have this collation, and what is computed of both has it then.
        return exp.Paren(this=exp.Collate(this=literal, expression=build.name("C")))

    def text_test(self, operator: TextOperator, operand: exp.Expression, text: exp.Expression) -> exp.Expression:
        match operator:
            case "starts with":
                return build.call("starts_with", operand, text)
            case "ends with":
                end = build.call("right", operand, build.call("length", text))
                return exp.EQ(this=end, expression=build.wrapped(text.copy()))
            case "contains":
                return exp.GT(this=build.call("strpos", operand, text), expression=build.number(0))

    def place(self, texts: Sequence[str], value: exp.Expression) -> exp.Expression:
        return build.call("array_position", _array(texts), value)

    def text_at(self, texts: Sequence[str], place: exp.Expression) -> exp.Expression:
        return self.text(exp.Bracket(this=_array(texts), expressions=[place], offset=1))

    def hashed(self, text: exp.Expression) -> exp.Expression:
        bytes = build.call("sha256", build.call("convert_to", text, build.text("UTF8")))
        digits = build.call("left", build.call("encode", bytes, build.text("hex")), build.number(8))
        return build.cast(build.cast(build.call("concat", build.text("x"), digits), "BIT(32)"), "BIGINT")

    def nearest_double(self, number: exp.Expression, scale: int) -> exp.Expression:
        return build.cast(number, "DOUBLE")

    def whole_double(self, number: exp.Expression, scale: int) -> exp.Expression:
        return build.cast(build.binary(exp.Mul, number, build.number(10**scale)), "DOUBLE")

    def rounded_double(self, number: exp.Expression, places: int) -> exp.Expression:
        # round() takes doubles half to even. The shortest text of a double, as a numeric, is on its side of every half.
        power = build.constant(float(10**places))
        text = build.cast(build.binary(exp.Mul, number, power), "TEXT")
        digits = exp.Cast(
            this=text, to=exp.DataType(this=exp.DataType.Type.DECIMAL)
        )  # of any size, not DuckDB's (18, 3)
        return build.binary(exp.Div, build.cast(build.call("round", digits), "DOUBLE"), power.copy())

    def whole_quotient(self, dividend: exp.Expression, divisor: exp.Expression) -> exp.Expression:
        # Typed, since sqlglot would make doubles of whole numbers, so that their quotient has a fraction.
        return exp.Div(this=build.wrapped(dividend), expression=build.wrapped(divisor), typed=True)

    def days_between(self, first: exp.Expression, last: exp.Expression) -> exp.Expression:
        # A difference of dates is a number of 32 bits.
        return build.cast(build.binary(exp.Sub, last, first), "BIGINT")

    def date_part(self, part: Literal["month", "day"], date: exp.Expression) -> exp.Expression:
        return build.cast(exp.Extract(this=exp.Var(this=part.upper()), expression=date), "INT")

    def zone(self, name: str) -> str:
        return _RENAMED_ZONES.get(name, name)

    def lower_median(self, value: exp.Expression) -> exp.Expression:
        half = build.call("percentile_disc", exp.Literal.number("0.5"))
        order = exp.Order(expressions=[exp.Ordered(this=value, desc=False)])
        return exp.WithinGroup(this=half, expression=order)

    def middle(self, low: exp.Expression, high: exp.Expression, scale: int) -> exp.Expression:
        whole = self.whole_double(exp.Add(this=low, expression=high), scale)
        mean = build.binary(exp.Div, whole, build.constant(float(2 * 10**scale)))
        same = exp.EQ(this=low.copy(), expression=high.copy())
        return build.case((same, self.nearest_double(low.copy(), scale)), otherwise=mean)

    def different(self, place: exp.Expression, condition: exp.Expression | None) -> exp.Expression:
        bits = build.bits(place)
        if condition is not None:
            bits = exp.Filter(this=bits, expression=exp.Where(this=condition))
        return build.call("bit_count", build.cast(bits, "BIT(64)"))

    def at_end(
        self, end: End, value: exp.Expression, condition: exp.Expression | None, order: Sequence[exp.Expression]
    ) -> exp.Expression:
        latest = end == "latest"
        return _first(value, [exp.Ordered(this=part, desc=latest, nulls_first=not latest) for part in order], condition)

    def at_one_end(
        self, end: End, value: exp.Expression, type: str, condition: exp.Expression | None, order: Order
    ) -> exp.Expression:
        # Nothing is sorted, and several processes may share the work: the least or the greatest of texts that begin
        # with both, as numbers of 64 bits without a sign (times before 2000 would have one), and end with the value.
        since = exp.Add(this=order.at, expression=build.cast(build.text("17532000 hours"), "INTERVAL"))
        moment = build.call("timestamp_send" if order.clock == "local" else "timestamptz_send", since)
        sign = build.cast(build.text(str(-(1 << 63))), "BIGINT")
        number = build.call("int8send", build.binary(exp.BitwiseXor, order.tie, sign))
        begin = build.call("encode", exp.DPipe(this=moment, expression=number), build.text("hex"))
        there = exp.DPipe(this=build.text("+"), expression=build.cast(value, "TEXT"))
        whole = exp.DPipe(this=begin, expression=exp.Coalesce(this=there, expressions=[build.text("-")]))
        found: exp.Expression = build.call("max" if end == "latest" else "min", self.text(build.wrapped(whole)))
        if condition is not None:
            found = exp.Filter(this=found, expression=exp.Where(this=condition.copy()))
        is_there = exp.EQ(this=build.call("substr", found, *map(build.number, (33, 1))), expression=build.text("+"))
        rest = build.call("substr", found.copy(), build.number(34))
        return build.case((is_there, build.cast(rest, type)), otherwise=None)

    def most_frequent(self, value: exp.Expression, times: exp.Expression) -> exp.Expression:
        often = [exp.Ordered(this=times, desc=True), exp.Ordered(this=value.copy(), desc=False)]
        return _first(value, often, exp.GT(this=times.copy(), expression=build.number(0)))

    def of_latest(self, value: exp.Expression, day: exp.Expression) -> exp.Expression:
        return _first(value, [exp.Ordered(this=day, desc=True)], None)


def short(name: str) -> str:
    """The name, or one as telling as fits and as different from all others."""
    data = name.encode()
    if len(data) <= LONGEST_NAME:
        return name
    mark = sha256(data).hexdigest()[:16]
    return f"{data[: LONGEST_NAME - 1 - len(mark)].decode(errors='ignore')}~{mark}"


def _array(texts: Sequence[str]) -> exp.Expression:
    return exp.Paren(this=exp.Array(expressions=[build.text(text) for text in texts]))


def _first(value: exp.Expression, order: Sequence[exp.Ordered], condition: exp.Expression | None) -> exp.Expression:
    """The value of the row that is first in an order."""
    all_values: exp.Expression = build.call("array_agg", exp.Order(this=value, expressions=list(order)))
    if condition is not None:
        all_values = exp.Filter(this=all_values, expression=exp.Where(this=condition.copy()))
    return exp.Bracket(this=exp.Paren(this=all_values), expressions=[build.number(1)], offset=1)


POSTGRES = Postgres()
