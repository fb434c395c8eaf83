"""Postgres as an engine: what sources are bound to, what may be wrong with them, and what it takes and leaves."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from ruleengine.checking.check import check
from ruleengine.checking.literals import text_literals
from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.diagnostics.render import render_text
from ruleengine.engines import server
from ruleengine.engines.engine import Findings
from ruleengine.engines.occurrence import never_seen
from ruleengine.engines.postgres import Postgres
from ruleengine.planning.plan import plan
from ruleengine.schema import Profile, parse
from ruleengine.source import Source
from ruleengine.sql.postgres import POSTGRES
from ruleengine.sql.statements import emit
from tests import postgres

AS_OF = date(2026, 3, 31)
MODEL = "entity customer from customers key id integer ({columns})\n"


@pytest.fixture
def shop() -> Iterator[postgres.Admin]:
    with postgres.shop() as connection:
        yield connection


def ruleset(rules: str, timezone: str = "UTC") -> Ruleset:
    found = check([Source("shop.rules", rules)], "shop", timezone)
    assert found.ruleset is not None, render_text(found.problems)
    return found.ruleset


def profile(sources: str, more: str = "") -> Profile:
    text = f'[ruleset]\nname = "shop"\ntimezone = "UTC"\n[profiles.prod]\nengine = "postgres"\n{more}\n'
    text += f'dsn = "${{{postgres.VARIABLE}}}"\n[profiles.prod.sources]\n{sources}\n'
    return parse(Path(), Source("ruleset.toml", text), text).profile("prod")


def values(rules: str, sources: str = 'customers = {table = "customers"}') -> dict[Any, tuple[Any, ...]]:
    """By customer, what the rules read."""
    made = ruleset(rules)
    with Postgres(made, profile(sources)) as engine:
        work = plan(made, AS_OF)
        engine.run(work)
        rows = engine.results(work.layout).execute("SELECT * FROM result_values").fetchall()
        return {row[0]: row[1:] for row in rows}


def problems(rules: str, sources: str = 'customers = {table = "customers"}', more: str = "") -> list[Problem]:
    with pytest.raises(ProblemError) as caught:
        Postgres(ruleset(rules), profile(sources, more))
    return list(caught.value.problems)


def reads(columns: str, *names: str) -> str:
    read = " or ".join(f"{name} is known" for name in names)
    return MODEL.format(columns=columns) + f'tag "reads" when {read}\n'


# -- what sources are bound to --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bound",
    [
        '{table = "customers"}',
        '{table = "Shop.Customers"}',
        "{table = 'shop.\"customers\"'}",
        '{table = "seen"}',
        '{table = "seen_before"}',
        "{sql = 'select id, city from customers'}",
        "{sql = 'select * from customers where id > 0 -- all'}",
        "{sql = 'with c as (select 1 as id, chr(80) as city) select * from c'}",
    ],
)
def test_a_table_a_view_or_a_query(shop: postgres.Admin, bound: str) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'P' AS city")
    shop.execute("CREATE VIEW seen AS SELECT * FROM customers")
    shop.execute("CREATE MATERIALIZED VIEW seen_before AS SELECT * FROM customers")

    assert values(reads("city text", "city"), f"customers = {bound}") == {1: ("P",)}


def test_columns_of_other_names_and_tables_called_as_ours(shop: postgres.Admin) -> None:
    shop.execute('CREATE TABLE "metrics" AS SELECT 1 AS "Id; DROP TABLE x", \'P\' AS "it\'s a ""city"""')
    shop.execute("CREATE TABLE source_customer AS SELECT 1")
    shop.execute("CREATE TABLE customers AS SELECT 2 AS id, 'wrong' AS city")
    columns = """columns = {id = "Id; DROP TABLE x", city = "it's a \\"city\\""}"""

    found = values(reads("city text", "city"), f'customers = {{table = "metrics", {columns}}}')

    assert found == {1: ("P",)}


@pytest.mark.parametrize(
    ("bound", "said"),
    [
        ('{table = "custmers"}', 'Relation "custmers" does not exist.'),
        ('{table = "a.b.c.d"}', "Improper"),
        ("{sql = 'select nothing from customers'}", 'Column "nothing" does not exist.'),
        ("{sql = 'select id, 1 as id from customers'}", 'Column "id" specified more than once.'),
        ("{sql = 'delete from customers returning *'}", "Syntax error"),
        ("{sql = 'with d as (delete from customers returning *) select * from d'}", "data-modifying statement"),
        ("{sql = 'select 1 as id) as q; drop table customers; --'}", ""),
        ('{table = "secret"}', "Permission denied for table secret."),
    ],
)
def test_what_cannot_be_bound(shop: postgres.Admin, bound: str, said: str) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'P' AS city")
    shop.execute(
        f"CREATE TABLE secret AS SELECT 1 AS id, 'P' AS city; REVOKE ALL ON secret FROM {postgres.READER}".encode()
    )

    (found,) = problems(reads("city text", "city"), f"customers = {bound}")

    assert found.code is codes.table_unreadable
    assert said in str(found.facts["reason"])
    assert shop.execute("SELECT count(*) FROM customers").fetchone() == (1,)
    assert ("GRANT SELECT" in render_text([found])) == ("secret" in bound)


def test_every_problem_of_all_sources_at_once(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers (id bigint, city integer[], born text)")
    rules = MODEL.format(columns="city text, born date, name text")
    rules += 'events orders from orders for id at day (amount decimal)\ntag "T" when count(orders) > 0 or city = "P"\n'

    found = problems(rules, 'customers = {table = "customers"}\norders = {table = "orders"}')

    assert [problem.code for problem in found] == [codes.column_missing, codes.table_unreadable]


def test_columns_of_other_types(shop: postgres.Admin) -> None:
    shop.execute(
        "CREATE TABLE customers (id bigint, a integer[], b text, c numeric, d boolean, e real, f timestamptz, g jsonb, "
        "h numeric(9, 2)[], i varchar(9)[], j timestamp[])"
    )
    columns = "a text, b integer, c integer, d decimal, e integer, f text, g text, h decimal, i text, j timestamp"

    found = problems(reads(columns, "a"))

    assert [problem.facts["column"] for problem in found] == list("abcdefghij")
    assert {problem.code for problem in found} == {codes.column_type}
    assert [problem.facts["found"] for problem in found] == [
        "a list",
        "text",
        "numeric",
        "true/false",
        "a floating-point number",
        "a timestamp",
        "jsonb",
        *["a list"] * 3,
    ]


def test_types_that_fit(shop: postgres.Admin) -> None:
    shop.execute("CREATE DOMAIN amount AS numeric(12, 2); CREATE TYPE colour AS ENUM ('red', 'blue')")
    shop.execute(
        """CREATE TABLE customers AS SELECT 1::smallint AS id, 12.50::amount AS a, 'red'::colour AS b,
        'x'::char(3) AS c, 'y'::varchar(9) AS d, 7::numeric(5) AS e, 7 AS f, 2.675::float8 AS g, 0.1::real AS h,
        1234567890123.45678 AS i, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS j, 3::smallint AS k"""
    )
    columns = "a decimal, b text, c text, d text, e integer, f decimal(9,2), g decimal(9,2), h decimal, i decimal, "
    columns += "j text, k text"

    (found,) = values(reads(columns, *"abcdefghijk")).values()

    assert [str(value) for value in found] == [
        *("12.5000", "red", "x", "y", "7", "7.00", "2.68", "0.1000", "1234567890123.4568"),
        *("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "3"),
    ]


@pytest.mark.parametrize(
    ("type", "value", "declared", "code"),
    [
        ("numeric", "NaN", "decimal", codes.value_not_finite),
        ("numeric(10, 2)", "NaN", "decimal", codes.value_not_finite),
        ("numeric", "-Infinity", "decimal", codes.value_not_finite),
        ("float8", "Infinity", "decimal", codes.value_not_finite),
        ("numeric", "1e14", "decimal", codes.value_out_of_range),
        ("float8", "-1e14", "decimal", codes.value_out_of_range),
        ("float8", "1e22", "decimal(30,8)", codes.value_out_of_range),
        ("bigint", "-9223372036854775808", "decimal(9,2)", codes.value_out_of_range),
        ("numeric(30, 0)", "9223372036854775808", "integer", codes.value_out_of_range),
        ("date", "infinity", "date", codes.value_not_finite),
        ("timestamp", "-infinity", "date", codes.value_not_finite),
        ("timestamptz", "infinity", "timestamp", codes.value_not_finite),
        ("date", "0001-12-31 BC", "date", codes.value_out_of_calendar),
        ("date", "5874897-12-31", "date", codes.value_out_of_calendar),
        ("timestamp", "10000-01-01", "timestamp", codes.value_out_of_calendar),
        ("timestamptz", "0001-12-31 23:59:59+00 BC", "date", codes.value_out_of_calendar),
    ],
)
def test_values_that_do_not_fit(shop: postgres.Admin, type: str, value: str, declared: str, code: Any) -> None:
    shop.execute(f"CREATE TABLE customers AS SELECT 1 AS id, CAST('{value}' AS {type}) AS a".encode())

    (found,) = problems(reads(f"a {declared}", "a"))

    assert (found.code, found.facts["count"]) == (code, 1)
    assert "row" not in render_text([found])


def test_an_event_before_the_calendar_begins(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE orders AS SELECT 1 AS id, timestamptz '0001-01-01 00:00+00' AS day")
    rules = "events orders from orders for id at day\nentity c from distinct orders key id integer\n"

    (found,) = problems(rules + 'tag "A" when days since first(orders) > 0\n', 'orders = {table = "orders"}')

    assert found.code is codes.value_out_of_calendar


def test_values_that_are_rounded(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 2.005 AS a, -2.005 AS b")
    made = ruleset(reads("a decimal(9,2), b decimal(9,2)", "a", "b"))

    with Postgres(made, profile('customers = {table = "customers"}')) as engine:
        assert [problem.code for problem in engine.problems] == [codes.value_rounded] * 2
    assert [str(each) for each in values(reads("a decimal(9,2), b decimal(9,2)", "a", "b"))[1]] == ["2.01", "-2.01"]


def test_keys_that_are_missing_or_stand_twice(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers AS SELECT unnest(ARRAY[1, 1, 2, NULL]) AS id, 'P' AS city")

    assert [problem.code for problem in problems(reads("city text", "city"))] == [codes.key_missing, codes.key_repeated]


# -- meaning --------------------------------------------------------------------------------------------------


def test_doubles_become_the_decimals_that_they_are_in_files(shop: postgres.Admin) -> None:
    numbers = [float(f"{sign}1234567890123456789e{power}") for sign in ("", "-") for power in range(-25, 9)]
    rows = ", ".join(f"({index}, {number!r}::float8)" for index, number in enumerate(numbers))
    shop.execute(f"CREATE TABLE customers (id, a) AS VALUES {rows}".encode())

    for declared in ("decimal(30,2)", "decimal(37,8)"):
        found = values(reads(f"a {declared}", "a"))
        for index, number in enumerate(numbers):
            cast = duckdb.execute(f"SELECT CAST(CAST({number!r} AS DOUBLE) AS {declared})").fetchone()
            assert found[index] == cast, number


def test_names_longer_than_an_identifier(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'P' AS city, 'Q' AS town")
    long = "消费" * 40
    rules = MODEL.format(columns=f"{long}甲 text, {long}乙 text")
    rules += f'metric {long}一 = if {long}甲 = "P" then 1 else 0\nmetric {long}二 = if {long}乙 = "P" then 1 else 0\n'
    rules += f'tag "{long}" when {long}一 = 1 and {long}二 = 0 and {long}甲 != {long}乙\n'
    bound = f'customers = {{table = "customers", columns = {{"{long}甲" = "city", "{long}乙" = "town"}}}}'

    assert set(values(rules, bound)[1]) == {1, 0, "P", "Q"}


@pytest.mark.parametrize("zone", ["CET", "EET", "WET", "MET", "Europe/Berlin"])
def test_zones_that_are_abbreviations_elsewhere(shop: postgres.Admin, zone: str) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id")
    shop.execute(f"CREATE TABLE orders AS SELECT 1 AS id, '2025-07-01 {_night(zone)}+00'::timestamptz AS at".encode())
    rules = f"{MODEL.format(columns='')}events orders from orders for id at at\nmetric day = latest(orders)\n"
    made = ruleset(f'{rules}tag "T" when day is known\n'.replace(" ()", ""), zone)

    with Postgres(made, profile('customers = {table = "customers"}\norders = {table = "orders"}')) as engine:
        work = plan(made, AS_OF)
        engine.run(work)
        found = engine.results(work.layout).execute("SELECT * FROM result_values").fetchone()

    assert found == (1, date(2025, 7, 2))


def _night(zone: str) -> str:
    """A time of UTC that is just past midnight there in summer, and not in winter."""
    return {"EET": "21:30", "WET": "23:30"}.get(zone, "22:30")


def test_an_overflow_names_its_metric_and_leaves_the_engine_usable(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 10::numeric ^ 20 AS a")
    rules = MODEL.format(columns="a decimal(30,0)") + "metric fine = a + 1\nmetric square = a * a\n"
    made = ruleset(rules + 'tag "T" when fine > 1 and square > 1\n')

    with Postgres(made, profile('customers = {table = "customers"}')) as engine:
        for _ in range(2):
            with pytest.raises(ProblemError) as caught:
                engine.run(plan(made, AS_OF))
            (problem,) = caught.value.problems
            assert (problem.code, problem.facts["name"]) == (codes.overflow, "`square`")


def test_texts_that_rules_compare_with(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'Paris' AS city")
    rules = MODEL.format(columns="city text") + 'tag "T" when city = "paris" or city = "Paris"\n'

    (found,) = never_seen(profile('customers = {table = "customers"}'), text_literals(ruleset(rules)))

    assert (found.code, found.facts["value"], found.facts["near"]) == (codes.never_in_data, "paris", "Paris")


# -- what it takes, and what it leaves --------------------------------------------------------------------------

SLOW = "{sql = 'select id, city from customers, pg_sleep(60)'}"


def test_nothing_is_left_behind(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'P' AS city")
    before = shop.execute("SELECT count(*) FROM pg_class").fetchone()

    values(reads("city text", "city"))

    assert shop.execute("SELECT count(*) FROM pg_class").fetchone() == before


def test_a_run_sees_one_state_of_the_data(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'P' AS city")
    made = ruleset(reads("city text", "city"))

    with Postgres(made, profile('customers = {table = "customers"}')) as engine:
        shop.execute("INSERT INTO customers VALUES (2, 'Q')")
        found: Findings = engine.run(plan(made, AS_OF))

    assert found.customers == 1


def test_a_statement_that_takes_too_long(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'P' AS city")

    start = time.monotonic()
    (found,) = problems(reads("city text", "city"), f"customers = {SLOW}", 'timeout = "1 second"')

    assert found.code is codes.database_timeout
    assert time.monotonic() - start < 30


def test_a_table_that_is_locked(shop: postgres.Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'P' AS city")
    monkeypatch.setitem(server._SETTINGS, "lock_timeout", "100ms")

    with shop.transaction():
        shop.execute("LOCK TABLE customers IN ACCESS EXCLUSIVE MODE")
        (found,) = problems(reads("city text", "city"))

    assert found.code is codes.database_locked


def test_a_connection_that_breaks(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'P' AS city")
    made = ruleset(reads("city text", "city"))

    with Postgres(made, profile('customers = {table = "customers"}')) as engine:
        shop.execute("SELECT pg_terminate_backend(%s)", [engine.connection.info.backend_pid])
        with pytest.raises(ProblemError) as caught:
            engine.run(plan(made, AS_OF))

    assert [problem.code for problem in caught.value.problems] == [codes.database_lost]


def test_the_right_to_make_temporary_tables_is_needed_and_said(shop: postgres.Admin) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'P' AS city")
    (database,) = shop.execute("SELECT current_database()").fetchone() or ("",)
    shop.execute(f"REVOKE TEMPORARY ON DATABASE {database} FROM {postgres.READER}".encode())
    try:
        (found,) = problems(reads("city text", "city"))
    finally:
        shop.execute(f"GRANT TEMPORARY ON DATABASE {database} TO {postgres.READER}".encode())

    assert found.code is codes.database_without_temporary


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("", codes.dsn_not_set),
        ("postgresql//hunter2@nowhere", codes.dsn_unreadable),
        ("host=/nowhere/hunter2 user=hunter2 password=hunter2 dbname=hunter2", codes.database_unreachable),
        ("postgresql://hunter2:hunter2@hunter2.invalid/hunter2", codes.database_unreachable),
        (None, codes.database_unreachable),
    ],
)
def test_addresses_are_never_shown(monkeypatch: pytest.MonkeyPatch, address: str | None, code: Any) -> None:
    if address is None:  # a server that answers, and knows nobody of the name
        address = postgres.address().replace(postgres.READER, "hunter2")
    monkeypatch.setenv(postgres.VARIABLE, address)

    with pytest.raises(ProblemError) as caught:
        server.connected(profile(""))

    (found,) = caught.value.problems
    assert found.code is code
    assert "hunter2" not in render_text([found])
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_a_database_of_another_encoding(shop: postgres.Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"latin_{os.getpid()}"
    shop.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING LATIN1 LOCALE 'C'".encode())
    try:
        monkeypatch.setenv(postgres.VARIABLE, psycopg.conninfo.make_conninfo(postgres.address(), dbname=name))
        with pytest.raises(ProblemError, match="database-encoding"):
            server.connected(profile(""))
    finally:
        shop.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_who_goes_away_ends_the_statement_on_the_server(
    shop: postgres.Admin, tmp_path: Path, sign: signal.Signals, code: int
) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 'P' AS city")
    (tmp_path / "shop.rules").write_text(reads("city text", "city"))
    text = '[ruleset]\nname = "shop"\ntimezone = "UTC"\n[profiles.prod]\nengine = "postgres"\n'
    text += f'dsn = "${{{postgres.VARIABLE}}}"\n[profiles.prod.sources]\ncustomers = {SLOW}\n'
    (tmp_path / "ruleset.toml").write_text(text)
    command = "import sys; from ruleengine.cli import main; sys.exit(main())"
    arguments = ["run", str(tmp_path), "--profile", "prod", "--actor", "tests"]
    process = subprocess.Popen([sys.executable, "-c", command, *arguments], stderr=subprocess.PIPE, text=True)

    def asleep() -> bool:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
        return shop.execute(asked.encode()).fetchone() == (1,)

    wait_until(asleep)
    process.send_signal(sign)
    _, errors = process.communicate(timeout=30)

    assert process.returncode == code
    assert "Traceback" not in errors
    wait_until(lambda: not asleep())


def wait_until(condition: Any) -> None:
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit, "it never came to be"
        time.sleep(0.05)


def test_no_identifier_is_cut_off(shop: postgres.Admin) -> None:
    from ruleengine.sql.postgres import LONGEST_NAME, POSTGRES, short
    from ruleengine.sql.scans import default_clocks
    from ruleengine.sql.statements import emit

    long = "a" * 70
    made = ruleset(MODEL.format(columns=f"{long} text, {long}b text") + f'tag "T" when {long} = "x" or {long}b = "y"\n')
    program = emit(plan(made, AS_OF), POSTGRES, default_clocks(made))
    names = {name for each in program.statements for name in re.findall(r'"([^"]+)"', each.sql())}

    assert {short(long), short(f"{long}b")} <= names
    assert short(long) != short(f"{long}b")
    assert all(len(name.encode()) <= LONGEST_NAME for name in names)


@pytest.mark.parametrize(
    "rules",
    [
        lambda count: (
            "".join(f'tag "T{i}" when a > {i}\n' for i in range(count))
            + "at most one of "
            + ", ".join(f'"T{i}"' for i in range(count))
        ),
        lambda count: (
            "metric m0 = count(orders)\n"
            + "".join(f"metric m{i} = least(m{i - 1}, 5) + m{i - 1}\n" for i in range(1, count))
            + f'tag "T" when m{count - 1} > 5 and a > 1\n'
        ),
    ],
    ids=["rules", "metrics"],
)
def test_what_builds_on_one_another_is_planned_once(shop: postgres.Admin, rules: Callable[[int], str]) -> None:
    shop.execute("CREATE TABLE customers AS SELECT 1 AS id, 7 AS a")
    shop.execute("CREATE TABLE orders AS SELECT 1 AS id, date '2026-01-01' AS day")
    model = MODEL.format(columns="a integer") + "events orders from orders for id at day\n"

    def planned(count: int) -> int:
        made = ruleset(model + rules(count))
        with Postgres(made, profile('customers = {table = "customers"}\norders = {table = "orders"}')) as engine:
            length = 0
            for statement in emit(plan(made, AS_OF), POSTGRES, engine.clocks).statements:
                if statement.name != "result_values":  # a view
                    _, rows = engine.query(f"EXPLAIN VERBOSE {statement.sql(pretty=False)}")
                    length += sum(len(line) for (line,) in rows)
                engine.query(statement.sql(pretty=False))
            return length

    assert planned(14) < 6 * planned(7)
