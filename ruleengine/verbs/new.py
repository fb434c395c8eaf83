"""A small ruleset to start from: rules, and data that was made up for them."""

import csv
import random
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError

CUSTOMERS = 200
DAYS = 400

_MANIFEST = """\
[ruleset]
name = "{name}"
timezone = "{timezone}" # local days are counted here

[profiles.default]
engine = "duckdb"
store = ".ruleengine" # where versions are kept

[profiles.default.sources]
customers = "data/customers.csv"
orders = "data/orders.csv"
"""

_MODEL = """\
# What the data is, and what is counted.

entity customer from customers key customer_id integer (country text, signed_up date)

events orders from orders key order_id for customer_id at ordered_at (amount decimal, status text)

metric monetary = sum(orders.amount where status = "paid")

metric frequency = count(orders where status = "paid")

metric recency = days since latest(orders where status = "paid")
"""

_VALUE = """\
# Who is who.

let vip_floor = 1_000

tag "VIP"
    when monetary_90d > vip_floor and frequency >= 5
    because "{monetary_90d} spent in 90 days, {frequency} orders in all"

tag "New" when days since signed_up <= 30

tag "Sleeping" when recency > 120

tier loyalty
    "Gold" when monetary_12m >= 3_000
    "Silver" when monetary_12m >= 1_000
    otherwise "Member"

example "five orders and 2,000 spent make a VIP"
    given monetary_90d = 2_000, frequency = 5
    expect tag "VIP", no tag "New"

example "a refund is no order" as of 2026-03-31
    given orders
        | ordered_at       | amount | status   |
        | 2026-03-01 10:00 | 5000   | refunded |
    expect no tag "VIP", tier loyalty "Member"
"""

_IGNORED = """\
.ruleengine/
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaffold:
    directory: str
    files: tuple[str, ...]


def new(directory: Path, today: date, timezone: str = "UTC") -> Scaffold:
    """Lay out a ruleset in a new or empty folder; its made-up events end today."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ProblemError(codes.folder_not_empty(None, path=str(directory)))
    name = directory.resolve().name or "ruleset"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    (directory / "data").mkdir(parents=True)
    files = {
        "ruleset.toml": _MANIFEST.format(name=quoted, timezone=timezone),
        "model.rules": _MODEL,
        "value.rules": _VALUE,
        ".gitignore": _IGNORED,
    }
    for file, text in files.items():
        (directory / file).write_text(text, encoding="utf-8")
    _write_data(directory / "data", today)
    written = (*files, "data/customers.csv", "data/orders.csv")
    return Scaffold(directory=str(directory), files=written)


def _write_data(directory: Path, today: date) -> None:
    """Customers who order more or less often, some of whom stopped; the same for the same day."""
    chance = random.Random(today.toordinal())
    customers: list[tuple[object, ...]] = [("customer_id", "country", "signed_up")]
    orders: list[tuple[object, ...]] = [("order_id", "customer_id", "ordered_at", "amount", "status")]
    for customer in range(1, CUSTOMERS + 1):
        age = chance.randint(3, DAYS)
        country = chance.choice(["DE", "FR", "CN", "US", ""])
        customers.append((customer, country, today - timedelta(days=age)))
        pause = chance.choice([5, 15, 40, 120])
        last = chance.choice([0, 0, 0, age // 2])
        while age > last:
            moment = f"{today - timedelta(days=age)} {chance.randint(8, 20):02}:{chance.randint(0, 59):02}:00"
            amount = f"{chance.lognormvariate(4, 0.8):.2f}"
            status = chance.choices(["paid", "refunded"], [95, 5])[0]
            orders.append((len(orders), customer, moment, amount, status))
            age -= max(1, round(chance.expovariate(1 / pause)))
    for name, rows in (("customers", customers), ("orders", orders)):
        with open(directory / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
