"""The same metrics and rules in SQL by hand, as well as I can write it for each engine and this very data."""

from collections.abc import Iterable
from datetime import date, timedelta

from ruleengine.checking.expressions import Last
from ruleengine.planning.windows import days_of
from tests.bench.data import CATEGORIES, CHANNELS, Shop
from tests.bench.rules import READ, Rules

TAGS_PER_WORD = 60


class DuckDB:
    """How the metrics are written for DuckDB and Parquet files."""

    create = "CREATE OR REPLACE TEMP TABLE"
    ending = ""

    def __init__(self, shop: Shop) -> None:
        self.customers = f"read_parquet('{shop.customers_file.absolute()}')"
        self.orders = f"read_parquet('{shop.orders_file.absolute()}')"

    def over(self, function: str, value: str, condition: str) -> str:
        """An aggregate over the orders that meet a condition."""
        return f"{function}(CASE WHEN {condition} THEN {value} END)"

    def texts(self, texts: Iterable[str]) -> str:
        return f"[{_quoted(texts)}]"

    def latest_channel(self, channels: str) -> str:
        """As a number, found by one number of time and order_id."""
        order = "epoch_us(ordered_at)::HUGEINT * 18446744073709551616 + order_id"
        return f"arg_max(list_position({channels}, channel), {order})"

    def categories(self, categories: str) -> str:
        """The few of them are bits of a number."""
        return f"bit_count(bit_or(1::BIGINT << list_position({categories}, category)))"


class Postgres(DuckDB):
    """The same for Postgres: numbers are as the table has them."""

    create = "CREATE TEMPORARY TABLE"
    ending = " AS found"
    customers = "shop.customers"
    orders = "shop.orders"

    def __init__(self) -> None:
        """The shop's tables are there."""

    def over(self, function: str, value: str, condition: str) -> str:
        return f"{function}({value}) FILTER (WHERE {condition})"

    def texts(self, texts: Iterable[str]) -> str:
        return f"(ARRAY[{_quoted(texts)}])"

    def latest_channel(self, channels: str) -> str:
        """As a number: what follows time and order_id in a text that sorts as they do. Nothing is missing, no time is
        before 2000, and no order_id below zero."""
        order = "encode(timestamp_send(ordered_at) || int8send(order_id), 'hex')"
        return f'array_position({channels}, substr(max({order} || channel COLLATE "C"), 33))'

    def categories(self, categories: str) -> str:
        return f"bit_count(bit_or(1 << (array_position({categories}, category)))::bit(32))"


def metrics(written: DuckDB, as_of: date) -> str:
    """One pass over the orders of the last twelve months, one over those before, driven from the customers.

    No order is read twice: what looks at all time is added up from both passes.
    """
    end = f"TIMESTAMP '{as_of + timedelta(days=1)}'"
    year = f"TIMESTAMP '{days_of(Last(12, 'month'), as_of)[0]}'"
    new_year = f"ordered_at >= TIMESTAMP '{as_of.year}-01-01'"
    customers, orders = written.customers, written.orders

    def last(days: int) -> str:
        return f"ordered_at >= TIMESTAMP '{as_of - timedelta(days=days - 1)}'"

    def total(condition: str) -> str:
        return written.over("sum", "amount", condition)

    def count(condition: str) -> str:
        return written.over("count", "1", condition)

    paid, refunded = "status = 'paid'", "status = 'refunded'"
    online = f"{paid} AND channel IN ('web', 'app')"
    channels, categories = written.texts(CHANNELS), written.texts(CATEGORIES)
    of_all_time = f"""
        {written.over("max", "ordered_at", paid)} AS latest_paid, min(ordered_at) AS first_order,
        {total(paid)} AS monetary_12m, {count(paid)} AS frequency_12m, {count(refunded)} AS returns_12m,
        {written.over("max", "amount", paid)} AS largest_12m, {written.latest_channel(channels)} AS last_channel"""

    def both(name: str) -> str:
        return f"coalesce(recent.{name}, 0) + coalesce(before.{name}, 0)"

    return f"""
{written.create} hand_metrics AS
WITH before AS (
    SELECT customer_id, {of_all_time} FROM {orders} WHERE ordered_at < {year} GROUP BY 1
), recent AS (
    SELECT customer_id, {of_all_time},
        {total(f"{paid} AND {last(30)}")} AS monetary_30d,
        {total(f"{paid} AND {last(90)}")} AS monetary_90d,
        {total(f"{paid} AND {last(180)}")} AS monetary_180d,
        {total(f"{paid} AND {new_year}")} AS monetary_ytd,
        {total(f"{paid} AND {last(180)} AND NOT {last(90)}")} AS before,
        {count(f"{paid} AND {last(7)}")} AS frequency_7d,
        {count(f"{paid} AND {last(30)}")} AS frequency_30d,
        {count(f"{paid} AND {last(90)}")} AS frequency_90d,
        {count(f"{paid} AND {last(180)}")} AS frequency_180d,
        {count(f"{refunded} AND {last(90)}")} AS returns_90d,
        count(*) AS orders_12m,
        {count(f"{online} AND {last(90)}")} AS online_90d,
        {count(online)} AS online_12m,
        {count(f"{paid} AND channel = 'store'")} AS in_store_12m,
        {total(f"{paid} AND category IN ('c03', 'c07')")} AS gadgets_12m,
        {written.categories(categories)} AS categories_12m
    FROM {orders} WHERE ordered_at >= {year} AND ordered_at < {end} GROUP BY 1
)
SELECT *, monetary::double precision / nullif(frequency, 0) AS basket FROM (
    SELECT
        c.customer_id AS customer, c.country, DATE '{as_of}' - c.birthday AS age,
        {both("monetary_12m")} AS monetary, {both("frequency_12m")} AS frequency, {both("returns_12m")} AS returns,
        DATE '{as_of}' - greatest(recent.latest_paid, before.latest_paid)::date AS recency,
        DATE '{as_of}' - least(recent.first_order, before.first_order)::date AS tenure,
        greatest(recent.largest_12m, before.largest_12m) AS largest, recent.largest_12m,
        {channels}[coalesce(recent.last_channel, before.last_channel)] AS last_channel,
        recent.monetary_90d::double precision / nullif(frequency_90d, 0) AS basket_90d,
        recent.monetary_12m::double precision / nullif(recent.frequency_12m, 0) AS basket_12m,
        recent.returns_12m::double precision / nullif(orders_12m, 0) AS returned_12m,
        {", ".join(f"coalesce(recent.{name}, 0) AS {name}" for name in ZERO)}
    FROM {customers} c
    LEFT JOIN before USING (customer_id) LEFT JOIN recent USING (customer_id)
){written.ending}"""


ZERO = (
    *("monetary_30d", "monetary_90d", "monetary_180d", "monetary_12m", "monetary_ytd", "before"),
    *("frequency_7d", "frequency_30d", "frequency_90d", "frequency_180d", "frequency_12m"),
    *("returns_90d", "returns_12m", "online_90d", "online_12m", "in_store_12m", "gadgets_12m", "categories_12m"),
)


def assignments(rules: Rules) -> str:
    """Tags as bits of words, ladders as numbers: the layout that the product has, too."""
    columns = ["customer"]
    for word in range(0, len(rules.tags), TAGS_PER_WORD):
        bits = [
            f"CASE WHEN {tag.sql} THEN {1 << bit} ELSE 0 END::BIGINT"
            for bit, tag in enumerate(rules.tags[word : word + TAGS_PER_WORD])
        ]
        columns.append(f"({' + '.join(bits)})::BIGINT AS w{word // TAGS_PER_WORD}")
    columns.extend(f"({ladder.sql})::SMALLINT AS l{index}" for index, ladder in enumerate(rules.ladders))
    return f"SELECT {', '.join(columns)} FROM hand_metrics"


def differences(rules: Rules, number: str = "{}") -> str:
    """How many customers have other values or other answers than by the product, whose tables must be there. `number`
    is what a quotient is to be, so that it can be rounded."""
    values = ", ".join(["customer", *(_comparable(name, number) for name in READ)])
    answers = ["customer", *(f"w{word}" for word in range(-(-len(rules.tags) // TAGS_PER_WORD)))]
    answers += [f"l{index}" for index in range(len(rules.ladders))]
    return " UNION ALL ".join(
        f"SELECT count(*) FROM (SELECT {columns} FROM {ours} EXCEPT SELECT {columns} FROM {theirs})"
        for columns, ours, theirs in (
            (values, "metrics", "hand_metrics"),
            (", ".join(answers), "result_assignments", "hand_assignments"),
        )
    )


def _comparable(name: str, number: str) -> str:
    """By hand quotients are not the same to the last bit."""
    return f"round({number.format(name)}, 9)" if name.startswith(("basket", "returned")) else name


def _quoted(texts: Iterable[str]) -> str:
    return ", ".join(f"'{text}'" for text in texts)
