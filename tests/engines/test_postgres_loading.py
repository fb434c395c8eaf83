"""Files in tables of Postgres mean what they do to a run on files."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from unittest import mock

import duckdb
import pytest

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.verbs.export import export
from ruleengine.verbs.load import LoadReport, load
from ruleengine.verbs.run import run
from tests import postgres

MANIFEST = """\
[ruleset]
name = "shop"
timezone = "Asia/Shanghai"

[profiles.default]
engine = "duckdb"
[profiles.default.sources]
customers = "data/customers.csv"
orders = {{file = "data/2026-*.parquet", columns = {{amount = "total"}}}}
visits = "data/visits.csv"

[profiles.prod]
engine = "postgres"
dsn = "${{{variable}}}"
store = {{schema = "shop store"}}
[profiles.prod.sources]
customers = {{table = "{customers}"}}
orders = {{table = 'shop."All Orders"', columns = {{amount = "paid"}}}}
visits = {{table = "shop.visits"}}
"""
RULES = """\
entity customer from customers key customer_id (name text, born date, seen timestamp, is_test boolean)
events orders from orders key order_id integer for buyer at ordered_at (amount decimal(20,6), status text)
events visits from visits for customer_id at seen_at zone "UTC" (page text)
events first_visits from visits for customer_id at landed zone "UTC" (page text)
metric spent = sum(orders.amount where status = "paid")
metric here = count(visits) during this month
metric page = latest(first_visits.page)
tag "Spender" when spent_30d > 10.000001
tag "Here" when here >= 1
tag "Landed" when page = "a,b" and name != ""
tag "Born" when days until anniversary of born < 40 or seen >= 2026-03-01
"""


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Path]:
    data = tmp_path / "data"
    data.mkdir()
    manifest(tmp_path)
    (tmp_path / "shop.rules").write_text(RULES)
    (data / "customers.csv").write_text(
        "customer_id;name;born;seen;is_test\n"
        'a;"Ann ""A"" \\N";1990-04-01;2026-02-28 23:30;no\n'
        "b;;;2026-02-28T17:30Z;yes\n"
        "\u4e2d;x;2000-02-29;;\n"
    )
    (data / "visits.csv").write_text(
        'customer_id,seen_at,landed,page\na,2026-02-28 17:00,2026-02-28 15:59,"a,b"\n'
        'a,2026-02-28 15:00,2026-02-28 16:01,\nb,2026-02-28 15:59:59,2026-03-01,"a,b"\n'
    )
    for number, moment in enumerate(("2026-02-28 15:59:00+00", "2026-03-01 00:00:00+08"), 1):
        duckdb.execute(
            f"COPY (SELECT {number} AS order_id, 'a' AS buyer, TIMESTAMPTZ '{moment}' AS ordered_at, "
            f"5.0000005::DECIMAL(18, 7) AS total, 'paid' AS status) TO '{data}/2026-{number}.parquet'"
        )
    with postgres.shop() as connection, mock.patch.dict(os.environ, {postgres.STORE: postgres.owner()}):
        connection.execute(f"GRANT CREATE ON SCHEMA shop TO {postgres.OWNER}".encode())
        yield tmp_path
        connection.execute('DROP SCHEMA IF EXISTS crm, "shop store" CASCADE')


def manifest(folder: Path, customers: str = "crm.customers") -> None:
    (folder / "ruleset.toml").write_text(MANIFEST.format(variable=postgres.STORE, customers=customers))


def loaded(there: Path, *names: str, over: bool = False) -> LoadReport:
    files = sorted(there.glob("data/*")) if not names else [there / "data" / name for name in names]
    return load(there, files, "prod", over=over)


def rows(query: str) -> Sequence[tuple[object, ...]]:
    return postgres.admin().execute(query.encode()).fetchall()


def code_of(error: pytest.ExceptionInfo[ProblemError]) -> list[str]:
    return [problem.code.name for problem in error.value.problems]


def test_a_run_on_the_tables_comes_to_the_same(there: Path) -> None:
    report = loaded(there)

    assert {table.table: (table.rows, table.made) for table in report.tables} == {
        "crm.customers": (3, True),
        'shop."All Orders"': (2, True),
        "shop.visits": (3, True),
    }
    assert [problem.code.name for problem in report.warnings] == ["value-rounded"]
    assert rows("SELECT name, born::text, is_test FROM crm.customers ORDER BY customer_id") == [
        ('Ann "A" \\N', "1990-04-01", False),
        (None, None, True),
        ("x", "2000-02-29", None),
    ]
    given: Counter[str] = Counter()
    for as_of in (date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 31)):
        exports = {}
        for profile in ("default", "prod"):
            report_of_run = run(there, profile, as_of=as_of, parameters={}, actor="tests")
            export(there, profile, there / "rows.csv", version=None, run=None)
            exports[profile] = (there / "rows.csv").read_bytes(), report_of_run.left_out
            given.update(report_of_run.counts.tags)
        assert exports["prod"] == exports["default"]
    assert min(given.values()) > 0, given


def test_files_may_come_one_by_one_and_again(there: Path) -> None:
    loaded(there, "customers.csv")
    with pytest.raises(ProblemError) as error:
        loaded(there, "visits.csv", "customers.csv")
    assert code_of(error) == ["load-table-not-empty"]
    assert rows("SELECT to_regclass('shop.visits')") == [(None,)]

    (table,) = loaded(there, "customers.csv", over=True).tables

    assert (table.rows, table.replaced, table.made) == (3, 3, False)
    assert rows("SELECT count(*) FROM crm.customers") == [(3,)]


def test_values_that_do_not_fit_are_told_before_anything_is_loaded(there: Path) -> None:
    (there / "data" / "customers.csv").write_text("customer_id,name,born,seen,is_test\na,x,2026-02-30,,maybe\na,,,,\n")

    with pytest.raises(ProblemError) as error:
        loaded(there)

    assert code_of(error) == ["value-unreadable", "value-unreadable", "value-rounded"]
    assert rows("SELECT to_regnamespace('crm')") == [(None,)]


@pytest.mark.parametrize(
    ("made", "code"),
    [
        ("CREATE VIEW shop.customers AS SELECT 1 AS customer_id", "load-no-table"),
        ("CREATE TABLE shop.customers (customer_id text)", "column-missing"),
        (
            "CREATE TABLE shop.customers (customer_id text, name text, born date, seen timestamptz, is_test boolean)",
            "load-column-type",
        ),
        (
            "CREATE TABLE shop.customers (customer_id int, name text, born date, seen date, is_test text)",
            "load-column-type",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused(there: Path, made: str, code: str) -> None:
    manifest(there, customers="shop.customers")
    postgres.admin().execute(f"{made}; ALTER TABLE shop.customers OWNER TO {postgres.OWNER}".encode())

    with pytest.raises(ProblemError) as error:
        loaded(there, "customers.csv")

    assert set(code_of(error)) == {code}


def test_a_name_that_a_table_would_cut_off_is_refused(there: Path) -> None:
    column = "消" * 22
    rules, data = there / "shop.rules", there / "data" / "customers.csv"
    rules.write_text(rules.read_text().replace("name text", f"{column} text").replace("name !=", f"{column} !="))
    data.write_text(data.read_text().replace(";name;", f";{column};"))

    with pytest.raises(ProblemError) as error:
        loaded(there, "customers.csv")

    assert code_of(error) == ["load-column-name"]
    assert rows("SELECT to_regnamespace('crm')") == [(None,)]


def test_the_schema_of_the_store_is_not_for_data(there: Path) -> None:
    manifest(there, customers='\\"shop store\\".customers')

    with pytest.raises(ProblemError) as error:
        loaded(there, "customers.csv")

    assert code_of(error) == ["load-into-store"]


def test_a_table_of_a_person_s_own_takes_what_fits(there: Path) -> None:
    manifest(there, customers="shop.customers")
    postgres.admin().execute(
        f"CREATE TABLE shop.customers (id serial, is_test boolean, seen date, born date, name varchar(20), "
        f"customer_id varchar(8) PRIMARY KEY); ALTER TABLE shop.customers OWNER TO {postgres.OWNER}".encode()
    )

    loaded(there, "customers.csv")

    assert rows("SELECT customer_id, id FROM shop.customers WHERE is_test") == [("b", 2)]
    (there / "data" / "customers.csv").write_text("customer_id,name,born,seen,is_test\ntoo long a key,,,,\n")
    with pytest.raises(ProblemError) as error:
        loaded(there, "customers.csv", over=True)
    assert code_of(error) == ["database-failed"]
    assert rows("SELECT count(*) FROM shop.customers") == [(3,)]
