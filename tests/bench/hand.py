"""The same metrics and rules as SQL that a careful person would write by hand for DuckDB."""

from datetime import date, timedelta

from ruleengine.checking.expressions import Calendar, Last
from ruleengine.planning.windows import days_of
from tests.bench.data import Shop
from tests.bench.rules import Rules

TAGS_PER_WORD = 60


def metrics(shop: Shop, as_of: date) -> str:
    """Two scans, a narrow one of all orders and one of the last twelve months, driven from the customers."""
    end = f"TIMESTAMP '{as_of + timedelta(days=1)}'"
    orders = f"read_parquet('{shop.orders_file.absolute()}')"

    def since(window: Last | Calendar) -> str:
        return f"ordered_at >= TIMESTAMP '{days_of(window, as_of)[0]}'"

    def last(days: int) -> str:
        return since(Last(days, "day"))

    def total(condition: str, what: str = "amount", function: str = "sum") -> str:
        return f"{function}({what}) FILTER (WHERE {condition})"

    def count(condition: str) -> str:
        return f"count(*) FILTER (WHERE {condition})"

    paid = "status = 'paid'"
    online = f"{paid} AND channel IN ('web', 'app')"
    year = Last(12, "month")
    return f"""
CREATE OR REPLACE TEMP TABLE hand_metrics AS
WITH lifetime AS (
    SELECT customer_id,
        {total(paid)} AS monetary,
        {count(paid)} AS frequency,
        {total(paid, "ordered_at", "max")} AS latest_paid,
        min(ordered_at) AS first_order,
        {count("status = 'refunded'")} AS returns,
        {total(paid, "amount", "max")} AS largest,
        arg_max(channel, ordered_at) AS last_channel
    FROM {orders} WHERE ordered_at < {end} GROUP BY 1
), recent AS (
    SELECT customer_id,
        {total(f"{paid} AND {last(30)}")} AS monetary_30d,
        {total(f"{paid} AND {last(90)}")} AS monetary_90d,
        {total(f"{paid} AND {last(180)}")} AS monetary_180d,
        {total(paid)} AS monetary_12m,
        {total(f"{paid} AND {since(Calendar('year'))}")} AS monetary_ytd,
        {total(f"{paid} AND {last(180)} AND NOT {last(90)}")} AS before,
        {count(f"{paid} AND {last(7)}")} AS frequency_7d,
        {count(f"{paid} AND {last(30)}")} AS frequency_30d,
        {count(f"{paid} AND {last(90)}")} AS frequency_90d,
        {count(f"{paid} AND {last(180)}")} AS frequency_180d,
        {count(paid)} AS frequency_12m,
        {count(f"status = 'refunded' AND {last(90)}")} AS returns_90d,
        {count("status = 'refunded'")} AS returns_12m,
        count(*) AS orders_12m,
        {total(paid, "amount", "max")} AS largest_12m,
        {count(f"{online} AND {last(90)}")} AS online_90d,
        {count(online)} AS online_12m,
        {count(f"{paid} AND channel = 'store'")} AS in_store_12m,
        {total(f"{paid} AND category IN ('c03', 'c07')")} AS gadgets_12m
    FROM {orders} WHERE {since(year)} AND ordered_at < {end} GROUP BY 1
), categories AS (
    SELECT customer_id, count(*) AS categories_12m
    FROM (SELECT DISTINCT customer_id, category FROM {orders} WHERE {since(year)} AND ordered_at < {end})
    GROUP BY 1
)
SELECT
    c.customer_id AS customer, c.country, DATE '{as_of}' - c.birthday AS age,
    coalesce(monetary, 0) AS monetary, coalesce(frequency, 0) AS frequency, coalesce(returns, 0) AS returns,
    DATE '{as_of}' - latest_paid::DATE AS recency, DATE '{as_of}' - first_order::DATE AS tenure,
    largest, last_channel, largest_12m,
    monetary::DOUBLE / nullif(frequency, 0) AS basket,
    monetary_90d::DOUBLE / nullif(frequency_90d, 0) AS basket_90d,
    monetary_12m::DOUBLE / nullif(frequency_12m, 0) AS basket_12m,
    returns_12m::DOUBLE / nullif(orders_12m, 0) AS returned_12m,
    {", ".join(f"coalesce({name}, 0) AS {name}" for name in _ZERO)}
FROM read_parquet('{shop.customers_file.absolute()}') c
LEFT JOIN lifetime USING (customer_id) LEFT JOIN recent USING (customer_id) LEFT JOIN categories USING (customer_id)
"""


_ZERO = (
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
    return f"CREATE OR REPLACE TEMP TABLE hand_assignments AS SELECT {', '.join(columns)} FROM hand_metrics"
