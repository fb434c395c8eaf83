"""What is known of the data changes how it is read, and no answer."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ruleengine import schema
from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Ruleset
from ruleengine.engines.duckdb import DuckDB
from ruleengine.engines.engine import Engine, Findings
from ruleengine.engines.postgres import Postgres
from ruleengine.planning.plan import plan
from ruleengine.schema import Profile, parse
from ruleengine.source import Source
from ruleengine.sql.known import MOST_TEXTS, Known
from ruleengine.sql.statements import emit
from ruleengine.verbs.load import load
from tests import duck, postgres

AS_OF = date(2026, 6, 30)
RULES = """
entity customer from customers key customer_id integer (country text)
events orders from orders {key} for customer_id at ordered_at (amount decimal, status text, channel text)

metric first_channel  = first(orders.channel)
metric last_channel   = latest(orders.channel where status = "paid")
metric channels       = count(distinct orders.channel)
metric recent         = count(distinct orders.channel where amount > 1) during last 90 days
metric earlier        = count(distinct orders.channel where country = "DE") during previous 90 days
metric spent          = sum(orders.amount) during last 30 days
tag "reads" when first_channel is known or last_channel is known or channels + recent + earlier + spent > 0
"""
KEY = "key order_id integer"
# Many orders in few moments, so that the key, or else the value, has to decide; some values and texts are missing.
ORDERS = """
    SELECT
        i AS order_id,
        nullif(i * 7919 % 40, 39) AS customer_id,
        TIMESTAMP '2026-06-30 12:00' - to_days((hash(i) % 200)::INTEGER // 20 * 20) AS ordered_at,
        (hash(i + 1) % 5)::DECIMAL(12, 2) AS amount,
        CASE WHEN hash(i + 2) % 4 = 0 THEN NULL WHEN hash(i + 2) % 4 = 1 THEN 'open' ELSE 'paid' END AS status,
        CASE WHEN hash(i + 3) % 7 = 0 THEN NULL ELSE {text} || hash(i + 3) % {texts} END AS channel
    FROM range(3_000) AS _(i)
"""


def engine(folder: Path, *, key: str = KEY, orders: str = "*", text: str = "'c'", texts: int = 6) -> DuckDB:
    write(folder, orders, text, texts)
    return DuckDB(ruleset(key), profile(folder))


def write(folder: Path, orders: str, text: str, texts: int) -> None:
    with duck.database() as connection:
        connection.execute(
            f"COPY (SELECT i AS customer_id, ['DE', 'FR', NULL][1 + i % 3] AS country FROM range(35) AS _(i)) "
            f"TO '{folder}/customers.parquet'"
        )
        made = ORDERS.format(text=text, texts=texts)
        connection.execute(f"COPY (SELECT {orders} FROM ({made})) TO '{folder}/orders.parquet'")


def ruleset(key: str) -> Ruleset:
    found = check([Source("shop.rules", RULES.format(key=key))], "shop", "UTC")
    assert found.ruleset is not None, found.problems
    return found.ruleset


def profile(folder: Path) -> Profile:
    text = '[ruleset]\nname = "shop"\ntimezone = "UTC"\n[profiles.default]\nengine = "duckdb"\n'
    text += '[profiles.default.sources]\ncustomers = "customers.parquet"\norders = "orders.parquet"\n'
    return parse(folder, Source("ruleset.toml", text), text).profile()


def answers(engine: Engine, known: dict[str, Known]) -> list[Any]:
    engine.begin_again()
    for statement in emit(plan(engine.ruleset, AS_OF), engine.dialect, engine.clocks, known).statements:
        engine.query(statement.sql())
    tables = ("result_values", "result_assignments")
    return [engine.query(f"SELECT * FROM {table} ORDER BY customer")[1] for table in tables]


def known_of(engine: Engine) -> Known:
    return engine.known(plan(engine.ruleset, AS_OF))["orders"]


KEYS = pytest.mark.parametrize(
    ("key", "orders"),
    [
        (KEY, "*"),
        (KEY, "* REPLACE (-order_id AS order_id)"),
        (KEY, "* REPLACE (nullif(order_id % 2, 0) * order_id AS order_id)"),  # every other order has no key
        ("key order_id", "* REPLACE ('o' || order_id AS order_id)"),
        ("", "*"),
    ],
)


@KEYS
@pytest.mark.parametrize("texts", [1, 6, MOST_TEXTS, MOST_TEXTS + 1])
def test_answers_are_the_same(tmp_path: Path, key: str, orders: str, texts: int) -> None:
    with engine(tmp_path, key=key, orders=orders, texts=texts) as made:
        known = known_of(made)

        assert ("channel" in known.texts) == (texts <= MOST_TEXTS)
        assert answers(made, {"orders": known}) == answers(made, {})


@KEYS
@pytest.mark.parametrize("texts", [6, MOST_TEXTS + 1])
def test_answers_are_the_same_in_postgres(tmp_path: Path, key: str, orders: str, texts: int) -> None:
    write(tmp_path, orders, "'it''s \\ \"上\"'", texts)
    text = '[ruleset]\nname = "shop"\ntimezone = "UTC"\n[profiles.prod]\nengine = "postgres"\n'
    text += f'dsn = "${{{postgres.STORE}}}"\n'
    text += '[profiles.prod.sources]\ncustomers = {table = "shop.customers"}\norders = {table = "shop.orders"}\n'
    (tmp_path / "ruleset.toml").write_text(text)
    (tmp_path / "shop.rules").write_text(RULES.format(key=key))
    with postgres.shop() as admin:
        admin.execute(f"GRANT CREATE ON SCHEMA shop TO {postgres.OWNER}".encode())
        load(tmp_path, [tmp_path / "customers.parquet", tmp_path / "orders.parquet"], "prod")
        with Postgres(ruleset(key), schema.load(tmp_path).profile("prod")) as made:
            known = known_of(made)
            assert ("channel" in known.texts) == (texts <= MOST_TEXTS)
            found = answers(made, {"orders": known})
            assert found == answers(made, {})
    with DuckDB(ruleset(key), profile(tmp_path)) as made:
        assert answers(made, {}) == found


def test_texts_that_no_statement_can_hold(tmp_path: Path) -> None:
    with engine(tmp_path, text="'it''s' || chr(0)") as made:
        assert "channel" not in known_of(made).texts
    with engine(tmp_path, text="repeat('long', 1_000)") as made:
        assert "channel" not in known_of(made).texts
    with engine(tmp_path, text="'it''s \\ \"上\"'") as made:
        assert answers(made, {"orders": known_of(made)}) == answers(made, {})


def test_a_key_that_is_missing_somewhere_is_not_relied_on(tmp_path: Path) -> None:
    with engine(tmp_path) as made:
        assert known_of(made).every_key
    with engine(tmp_path, orders="* REPLACE (nullif(order_id, 0) AS order_id)") as made:
        assert not known_of(made).every_key


def left_out(folder: Path, rules: str) -> Findings:
    made = engine(folder)
    made.close()
    found = check([Source("shop.rules", rules)], "shop", "UTC")
    assert found.ruleset is not None, found.problems
    with DuckDB(found.ruleset, profile(folder)) as again:
        return again.run(plan(found.ruleset, AS_OF))


@pytest.mark.parametrize(
    "entity",
    [
        "entity customer from customers key customer_id integer (country text)",
        'entity customer from customers key customer_id integer (country text) where country = "DE"',
    ],
)
@pytest.mark.parametrize(
    "metric", ["count(orders)", "count(orders) during last 60 days", 'latest(orders where status = "paid")']
)
def test_orphans_are_counted_whatever_is_read(tmp_path: Path, entity: str, metric: str) -> None:
    events = "events orders from orders key order_id integer for customer_id at ordered_at (status text)"
    findings = left_out(tmp_path, f'{entity}\n{events}\nmetric read = {metric}\ntag "reads" when read is known\n')
    (orders,) = findings.sources
    with duck.database() as connection:
        counted = connection.execute(
            f"SELECT count(*), count(*) - count(customer_id), count(*) FILTER (WHERE customer_id >= 35) "
            f"FROM '{tmp_path}/orders.parquet'"
        ).fetchone()

    assert (orders.events, orders.without_customer, orders.of_unknown_customers) == counted
