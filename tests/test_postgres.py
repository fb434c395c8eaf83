"""The worked rulesets, computed in Postgres and by DuckDB: the same versions, to the bit."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from ruleengine import serving
from ruleengine.cli.commands import program
from ruleengine.engines.duckdb import DuckDB
from ruleengine.schema import load
from ruleengine.verbs import opening, published
from tests import postgres
from tests.corpus_postgres import copy_tables

RULESETS = Path(__file__).parents[1] / "rulesets"
DAYS = {
    "grocery": (date(2017, 6, 30), date(2017, 12, 31)),
    "retail-zh": (date(2026, 3, 31), date(2026, 5, 31), date(2026, 6, 30)),
}


@pytest.fixture(params=DAYS)
def ruleset(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A worked ruleset with profiles whose tables hold what its files do: of `prod` the store is a folder, of `inside`
    a schema beside the tables."""
    folder = tmp_path / request.param
    shutil.copytree(RULESETS / request.param, folder, ignore=shutil.ignore_patterns(".ruleengine"))
    opened = opening.opened(folder).ruleset
    with DuckDB(opened, load(folder).profile()) as engine, postgres.shop() as connection:
        copy_tables(engine, connection)
        bound = {it.source: name for name, it in opened.events.items()}
        if not opened.entity.distinct:
            bound[opened.entity.source] = opened.entity.name
        with (folder / "ruleset.toml").open("a", encoding="utf-8") as manifest:
            for profile, variable, store in (
                ("prod", postgres.VARIABLE, '".prod"'),
                ("inside", postgres.STORE, '{schema = "the versions"}'),
            ):
                manifest.write(f'\n[profiles.{profile}]\nengine = "postgres"\ndsn = "${{{variable}}}"\n')
                manifest.write(f"store = {store}\n[profiles.{profile}.sources]\n")
                manifest.writelines(f'"{source}" = {{table = \'"{name}"\'}}\n' for source, name in bound.items())
        connection.execute('DROP SCHEMA IF EXISTS "the versions" CASCADE')
        yield folder
        connection.execute('DROP SCHEMA IF EXISTS "the versions" CASCADE')


def asked(*arguments: str) -> str:
    answer = CliRunner().invoke(program, arguments)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_the_same_versions(ruleset: Path) -> None:
    exports: dict[str, list[bytes]] = {}
    said: dict[str, list[object]] = {}
    for profile in ("default", "prod", "inside"):
        for day in DAYS[ruleset.name]:
            report = json.loads(
                asked(*f"run {ruleset} --profile {profile} --as-of {day} --actor tests --format json".split())
            )
            assert report["outcome"] == "published", report["reasons"]
            said.setdefault(profile, []).append(
                [report[name] for name in ("counts", "movement", "left_out", "drafts", "unknown_classes", "checks")]
            )
            file = ruleset / f"{profile}-{day}.csv"
            asked("export", str(ruleset), "--profile", profile, "-o", str(file))
            exports.setdefault(profile, []).append(file.read_bytes())
        customers = sorted({line.split(",")[0] for line in exports[profile][-1].decode().splitlines()[1:]})[:5]
        for customer in customers:
            answer = asked("explain", str(ruleset), customer, "--profile", profile, "--format", "json")
            said[profile].append(json.loads(answer))
        with published.opened(ruleset, profile) as (_, store):
            # Every leaf of the chain is of these and a salt.
            changes = [store.changes(version.number, 0, 10**6) for version in store.versions()]
            assert all(len(each) > 100 for each in changes)
            said[profile] += changes

    for profile in ("prod", "inside"):
        assert exports[profile] == exports["default"]
        assert said[profile] == said["default"]
    (version, *_) = json.loads(asked("versions", str(ruleset), "--profile", "prod", "--format", "json"))["versions"]
    assert version["engine"].startswith("postgres 1")
    assert os.environ[postgres.VARIABLE] not in "".join(
        file.read_text(errors="replace") for file in (ruleset / ".prod").rglob("*") if file.is_file()
    )


RULES = """
entity customer from customers key id integer (city text)
events orders from orders key order_id integer for customer at day (amount decimal)
check orders.amount >= 0 for at least 90% else fail
metric spent = sum(orders.amount)
tag "Spender" when spent_90d > 10 keep for 30 days
draft tag "Paris" when city = "Paris"
"""


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "shop.rules").write_text(RULES)
    text = '[ruleset]\nname = "shop"\ntimezone = "UTC"\n[profiles.prod]\nengine = "postgres"\n'
    text += f'dsn = "${{{postgres.VARIABLE}}}"\n[profiles.prod.sources]\n'
    (tmp_path / "ruleset.toml").write_text(
        f'{text}customers = {{table = "customers"}}\norders = {{table = "orders"}}\n'
    )
    with postgres.shop() as connection:
        connection.execute("CREATE TABLE customers AS SELECT i AS id, 'Paris' AS city FROM generate_series(1, 9) AS i")
        connection.execute(
            "CREATE TABLE orders AS SELECT i AS order_id, 1 + i % 9 AS customer, DATE '2026-03-01' + i AS day, "
            "i * 1.5 AS amount FROM generate_series(0, 29) AS i"
        )
        yield tmp_path


@pytest.fixture
def inside(small: Path) -> Iterator[Path]:
    """The same, with its store beside the tables."""
    manifest = small / "ruleset.toml"
    text = manifest.read_text().replace(postgres.VARIABLE, postgres.STORE)
    manifest.write_text(text.replace("[profiles.prod.sources]", 'store = {schema = "ours"}\n[profiles.prod.sources]'))
    with (small / "shop.rules").open("a") as rules:
        rules.write('manual tag "Blocked"\ntag "Watched" when spent_90d > 20 unless has tag "Blocked"\n')
    postgres.admin().execute("DROP SCHEMA IF EXISTS ours CASCADE")
    yield small
    postgres.admin().execute("DROP SCHEMA IF EXISTS ours CASCADE")


def test_a_session_with_a_store_in_the_database(inside: Path) -> None:
    def ask(verb: str, *words: str) -> str:
        return asked(*verb.split(), str(inside), *words, "--profile", "prod")

    def as_json(verb: str, *words: str) -> dict[str, object]:
        answer: dict[str, object] = json.loads(ask(verb, *words, "--format", "json"))
        return answer

    assert as_json("db upgrade") == {"schema": "ours", "format": 2, "applied": [1, 2]}
    assert as_json("db upgrade")["applied"] == []
    planned = as_json("plan", "--as-of", "2026-03-20")
    assert (planned["base"], planned["counts"]) == (None, as_json("plan", "--as-of", "2026-03-20")["counts"])
    ran = as_json("run", "--as-of", "2026-03-20", "--actor", "tests")
    assert (ran["outcome"], ran["counts"]) == ("published", planned["counts"])
    before = ask("explain", "5")
    set_by_hand = as_json("tag", "5", "Blocked", "--reason", "fraud", "--actor", "anna")
    assert set_by_hand["version"] == 2
    again = as_json("plan", "--as-of", "2026-03-31")
    assert again["base"] == 2
    assert as_json("run", "--as-of", "2026-03-31", "--actor", "tests")["version"] == 3
    assert "Blocked" in ask("explain", "5")
    assert as_json("untag", "5", "Blocked", "--reason", "cleared", "--actor", "anna")["version"] == 4
    assert as_json("rollback", "1", "--reason", "wrong", "--actor", "anna")["number"] == 5
    assert ask("explain", "5").replace("version 5", "version 1") == before
    assert "fraud" in ask("versions")
    assert "Blocked" in ask("history", "5")
    assert "Watched" in ask("diff", "1", "3")
    ask("export", "-o", str(inside / "answers.csv"), "--version", "3")
    assert "Watched" in (inside / "answers.csv").read_text()
    assert "schema ours: 5 versions, current is 5" in ask("doctor")
    assert "GRANT" in ask("db roles")
    assert not (inside / ".ruleengine").exists()
    found = postgres.admin().execute("SELECT count(*) FROM ours.current_answers WHERE name = 'Spender'").fetchone()
    counts = ran["counts"]
    assert isinstance(counts, dict)
    assert found == (counts["tags"]["Spender"],)


@pytest.mark.slow
def test_whoever_was_forgotten_is_as_if_never_in_the_data(inside: Path) -> None:
    """In a folder and in the database, on either engine: the next run comes to what it would without his rows."""
    with (inside / "shop.rules").open("a") as rules:
        rules.write('tag "Top" when top 30% by spent_90d\n')
    with (inside / "ruleset.toml").open("a") as manifest:
        for profile in ("without", "files"):
            manifest.write(f'[profiles.{profile}]\nengine = "duckdb"\nstore = ".{profile}"\n')
            manifest.write(f"[profiles.{profile}.sources]\n")
            manifest.writelines(f'{name} = "{profile}/{name}.csv"\n' for name in ("customers", "orders"))
    connection = postgres.admin()
    for profile, condition in (("without", "<> 5"), ("files", "IS NOT NULL")):
        (inside / profile).mkdir()
        for name, key in (("customers", "id"), ("orders", "customer")):
            rows = connection.execute(f"SELECT * FROM shop.{name} WHERE {key} {condition} ORDER BY 1".encode())
            lines = [[column.name for column in rows.description or ()], *rows.fetchall()]
            text = "".join(",".join(map(str, line)) + "\n" for line in lines)
            (inside / profile / f"{name}.csv").write_text(text)
    reports, exports = {}, {}
    for profile in ("without", "files", "prod"):
        to = ("--profile", profile, "--actor", "tests")
        if profile != "without":
            asked("run", str(inside), "--as-of", "2026-03-20", *to)
            asked("forget", str(inside), "5", "--reason", "asked", *to)
        reports[profile] = json.loads(asked("run", str(inside), "--as-of", "2026-03-31", *to, "--format", "json"))
        asked("export", str(inside), "-o", str(inside / "rows.csv"), "--profile", profile)
        exports[profile] = [line.split(",")[:4] for line in (inside / "rows.csv").read_text().splitlines()]

    assert exports["without"] == exports["files"] == exports["prod"]
    assert [reports[each]["forgotten"] for each in reports] == [0, 1, 1]
    for profile in ("files", "prod"):
        assert reports[profile]["counts"] == reports["without"]["counts"]
        assert reports[profile]["left_out"] == reports["without"]["left_out"]
        again = ("--profile", profile, "--actor", "tests")
        assert CliRunner().invoke(program, ["forget", str(inside), "5", "--reason", "again", *again]).exit_code == 2


def test_the_api_answers_from_a_store_in_the_database(inside: Path) -> None:
    asked("run", str(inside), "--profile", "prod", "--as-of", "2026-03-20", "--actor", "tests")

    with published.opened(inside, "prod") as (manifest, store):
        client = TestClient(serving.app(store, manifest), base_url="http://localhost")
        for path in (
            "/v1/customers/5",
            "/v1/customers/5/history",
            "/v1/tags",
            "/v1/tags/Spender/customers",
            "/v1/versions",
            "/v1/changes",
        ):
            answer = client.get(path)
            assert answer.status_code == 200, (path, answer.text)
        assert client.get("/v1/customers/99").status_code == 404
        assert [tag["name"] for tag in client.get("/v1/customers/5").json()["tags"]] == ["Spender", "Watched"]
