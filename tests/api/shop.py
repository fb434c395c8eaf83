"""A ruleset with data of its own, run into a store: for what the API computes, not only reads."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from ruleengine import schema, serving
from ruleengine.store import open_store
from ruleengine.store.store import Store
from ruleengine.verbs.run import run

FILES = {
    "ruleset.toml": """\
[ruleset]
name = "shop"
timezone = "Europe/Berlin"

[profiles.default]
engine = "duckdb"

[profiles.default.sources]
customers = "customers.csv"
orders = "orders.csv"
""",
    "shop.rules": """\
entity customer from customers key customer_id integer (country text)

events orders from orders for customer_id at ordered_at (amount decimal, status text)

metric monetary = sum(orders.amount where status = "paid")

metric recency = days since latest(orders where status = "paid")

let vip_floor = 1_000

manual tag "Blocked" expires after 1 year

tag "VIP"
    when monetary_90d > vip_floor
    unless has tag "Blocked"
    because "{monetary_90d} spent"

tier loyalty
    "Gold" when monetary_12m >= 2_000
    otherwise "Member"

manual tier loyalty expires after 90 days

class lifecycle
    "Churned" when recency > 60
    otherwise "Active"
""",
    "customers.csv": "customer_id,country\n1,DE\n2,FR\n3,\n",
    "orders.csv": """\
customer_id,ordered_at,amount,status
1,2026-03-01 10:00,1500.50,paid
1,2026-03-20 10:00,700.00,paid
2,2026-03-25 10:00,900.00,paid
3,2026-01-05 10:00,10.00,refunded
""",
}
DAY = date(2026, 3, 31)


def written(folder: Path) -> Path:
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="session")
def first_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop with a version."""
    folder = written(tmp_path_factory.mktemp("shop"))
    published(folder)
    return folder


@pytest.fixture
def folder(first_version: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first_version, tmp_path / "shop"))


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with asked(folder) as (_, client), client:
        yield client


@pytest.fixture(scope="module")
def lasting_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One for all tests of a module, of a shop with a version."""
    folder = written(tmp_path_factory.mktemp("shop"))
    published(folder)
    with asked(folder) as (_, client):
        yield client


def published(folder: Path, day: date = DAY) -> int:
    """The number of the version that a run for a day makes."""
    number = run(folder, "default", as_of=day, actor="test").version
    assert number is not None
    return number


@contextmanager
def asked(folder: Path, today: date = DAY) -> Iterator[tuple[Store, TestClient]]:
    store = open_store(folder / ".ruleengine")
    app = serving.app(store, schema.load(folder), today=lambda: today)
    try:
        yield store, TestClient(app, base_url="http://localhost", raise_server_exceptions=False)
    finally:
        store.close()
