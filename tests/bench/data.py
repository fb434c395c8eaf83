"""Customers and orders of a shop, the same ones for the same size: made once, kept as Parquet files."""

import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from shutil import rmtree

import duckdb

KEPT = Path("build/bench")
SMALL = "0.1"
CUSTOMERS = 1_000_000
ORDERS = 20_000_000
FIRST_DAY = date(2023, 7, 1)
LAST_DAY = date(2026, 6, 30)
CHANNELS = ("app", "phone", "store", "web")
CATEGORIES = tuple(f"c{number:02}" for number in range(24))
FORM = 1
"""Raised whenever other data would be made for the same size."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Where the data lie, and how many there are."""

    folder: Path
    customers: int
    orders: int

    @property
    def customers_file(self) -> Path:
        return self.folder / "customers.parquet"

    @property
    def orders_file(self) -> Path:
        return self.folder / "orders.parquet"


def scale() -> float:
    """The size that is asked for."""
    asked = os.environ.get("SCALE", SMALL)
    return 1.0 if asked == "full" else float(asked)


def ruleset_of(made: Shop, folder: Path, rules: str) -> Path:
    """A ruleset over a shop, in a new folder."""
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "shop.rules").write_text(rules)
    sources = f'customers = "{made.customers_file.absolute()}"\norders = "{made.orders_file.absolute()}"\n'
    profile = '[profiles.default]\nengine = "duckdb"\n[profiles.default.sources]\n'
    (folder / "ruleset.toml").write_text(f'[ruleset]\nname = "shop"\ntimezone = "UTC"\n{profile}{sources}')
    return folder


def shop(scale: float, kept: Path) -> Shop:
    """A shop of this size; scale 1 has a million customers and twenty million orders."""
    customers, orders = round(CUSTOMERS * scale), round(ORDERS * scale)
    made = Shop(kept / f"shop-{FORM}-{customers}-{orders}", customers, orders)
    if not made.folder.exists():
        partial = made.folder.with_suffix(".partial")
        partial.mkdir(parents=True, exist_ok=True)
        _write(Shop(partial, customers, orders))
        partial.rename(made.folder)
    return made


def _write(shop: Shop) -> None:
    """Three years of orders in the order of time.

    Three customers of ten never order. Of the others a few order very often and most a few times, each between a
    first and a last day of his own.
    """
    buyers = round(shop.customers * 0.7)
    days = (LAST_DAY - FIRST_DAY).days + 1
    with duckdb.connect() as connection:
        connection.execute("SET threads = 1")  # the same rows in the same order
        # Hashing two numbers at once would make related ones of them.
        connection.execute("CREATE MACRO chance(i, what) AS (hash(i::BIGINT * 16 + what) >> 11) / 9007199254740992.0")
        connection.execute("CREATE MACRO one_of(words, u) AS words[1 + floor(u * len(words))::INTEGER]")
        connection.execute(
            f"""
            COPY (
                SELECT
                    i::BIGINT AS customer_id,
                    one_of(['DE', 'DE', 'DE', 'FR', 'FR', 'CN', 'CN', 'US', 'GB', 'ES', 'IT', NULL], chance(i, 0))
                        AS country,
                    DATE '1940-01-01' + floor(chance(i, 1) * 25000)::INTEGER AS birthday,
                    DATE '{FIRST_DAY}' + floor(chance(i, 6) * {days})::INTEGER - 365 AS signed_up
                FROM range(1, {shop.customers + 1}) AS _(i)
            ) TO '{shop.customers_file}' (FORMAT parquet)
            """
        )
        connection.execute(
            f"""
            CREATE TABLE drawn AS
            SELECT
                -- Which buyer: the first is four hundred times as busy as the average, the last a fifth of that.
                1 + least(floor((pow(0.5 + chance(i, 3), 8) - 0.00390625) / 25.625 * {buyers})::BIGINT, {buyers} - 1)
                    AS rank,
                i
            FROM range({shop.orders}) AS _(i)
            """
        )
        connection.execute(
            f"""
            CREATE TABLE bought AS
            SELECT customer_id, i, date_trunc('second', epoch_ms(
                epoch_ms(TIMESTAMP '{FIRST_DAY}')
                + (86400000::DOUBLE * {days} * (first + (last - first) * chance(i, 4)))::BIGINT
            )) AS ordered_at
            FROM (
                SELECT
                    i,
                    -- Spread over all customers, none twice, so that busy ones do not lie side by side.
                    1 + (rank * 7919) % {shop.customers} AS customer_id,
                    first,
                    least(1.0, first - 0.4 * ln(1 - chance(rank, 5))) AS last
                FROM (SELECT *, greatest(0, 1.5 * chance(rank, 2) - 0.5) AS first FROM drawn)
            )
            """
        )
        connection.execute("DROP TABLE drawn")
        connection.execute("SET threads = 2")
        connection.execute(
            f"""
            COPY (
                SELECT
                    row_number() OVER (ORDER BY ordered_at, i)::BIGINT AS order_id,
                    customer_id,
                    ordered_at,
                    (2 + round(exp(3.2 + 1.1 * sqrt(-2 * ln(1 - chance(i, 6))) * cos(2 * pi() * chance(i, 7))), 2))
                        ::DECIMAL(12, 2) AS amount,
                    one_of(list_concat(list_resize(['paid'], 17, 'paid'), ['refunded', 'cancelled', 'open']),
                        chance(i, 8)) AS status,
                    one_of(['web', 'web', 'web', 'app', 'app', 'store', 'phone'], chance(i, 9)) AS channel,
                    'c' || lpad(floor(pow(chance(i, 10), 2) * 24)::INTEGER::VARCHAR, 2, '0') AS category
                FROM bought
                ORDER BY order_id
            ) TO '{shop.orders_file}' (FORMAT parquet)
            """
        )
