"""DuckDB may read what sources are bound to and write where it was told to; nobody else may read what it leaves."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from ruleengine.engines.duckdb import DuckDB
from ruleengine.verbs import opening

RULES = 'entity customer from customers key id (a integer)\ntag "A" when a > 1\n'
MANIFEST = """\
[ruleset]
name = "locked"
timezone = "UTC"
[profiles.default]
engine = "duckdb"
[profiles.default.sources]
customers = "customers.csv"
visits = "visits.parquet"
"""

REFUSED = [
    *("SELECT * FROM read_text('{secret}')", "SELECT * FROM read_blob('{secret}')", "SELECT * FROM '{secret}'"),
    *("SELECT * FROM read_csv('{secret}')", "SELECT * FROM sniff_csv('{secret}')", "SELECT * FROM glob('/etc/*')"),
    *("SELECT * FROM read_parquet('{beside}')", "SELECT * FROM parquet_schema('{beside}')"),
    *("SELECT * FROM read_csv('{folder}/out/../secret.csv')", "SELECT * FROM read_csv('file:{secret}')"),
    *("SELECT * FROM read_csv('http://127.0.0.1:1/a.csv')", "SELECT * FROM read_parquet('s3://bucket/a.parquet')"),
    *("SELECT * FROM read_json('/proc/self/environ')", "SELECT * FROM '{folder}/link.csv'"),
    *("COPY (SELECT 1) TO '{folder}/new.csv'", "COPY (SELECT 1) TO '{secret}'", "EXPORT DATABASE '{folder}/new'"),
    *("COPY (SELECT 1) TO '/dev/stdout'", "ATTACH '{folder}/new.db'", "IMPORT DATABASE '{folder}'"),
    *("INSTALL httpfs", "LOAD httpfs", "FORCE INSTALL httpfs FROM community", "LOAD '{folder}/x.duckdb_extension'"),
    *("CALL start_ui()", "CREATE PERSISTENT SECRET s (TYPE s3)", "CALL enable_logging(storage = 'file')"),
    *("SET enable_external_access = true", "SET lock_configuration = false", "RESET lock_configuration"),
    *("SET allowed_directories = ['/']", "SET allowed_paths = ['{secret}']", "SET temp_directory = '/tmp'"),
    *("SET autoinstall_known_extensions = true", "SET extension_directory = '/tmp'", "SET memory_limit = '1TB'"),
    *("PRAGMA enable_profiling = 'json'", "PRAGMA profiling_output = '{folder}/new'", "SET file_search_path = '/etc'"),
]


@pytest.fixture
def ruleset(tmp_path: Path) -> Path:
    (tmp_path / "a.rules").write_text(RULES)
    (tmp_path / "ruleset.toml").write_text(MANIFEST)
    (tmp_path / "customers.csv").write_text("id,a\n1,2\n")
    (tmp_path / "secret.csv").write_text("canary\n1\n")
    (tmp_path / "link.csv").symlink_to("secret.csv")
    (tmp_path / "out").mkdir()
    for name in ("visits", "beside"):
        duckdb.sql(f"COPY (SELECT 1 AS id) TO '{tmp_path / name}.parquet' (FORMAT parquet)")
    return tmp_path


@pytest.fixture
def engine(ruleset: Path) -> Iterator[DuckDB]:
    opened = opening.opened(ruleset)
    with DuckDB(opened.ruleset, opened.manifest.profile(), writable=[ruleset / "out"]) as engine:
        yield engine


def test_what_it_may_do(engine: DuckDB, ruleset: Path) -> None:
    engine.connection.execute(f"COPY (SELECT 1) TO '{ruleset}/out/new.parquet' (FORMAT parquet)")

    assert engine.connection.execute(f"SELECT * FROM '{ruleset}/out/new.parquet'").fetchall() == [(1,)]
    assert engine.connection.execute(f"SELECT count(*) FROM read_csv('{ruleset}/customers.csv')").fetchall() == [(1,)]


@pytest.mark.parametrize("statement", REFUSED)
def test_what_it_may_not_do(engine: DuckDB, ruleset: Path, statement: str) -> None:
    before = sorted(ruleset.rglob("*"))
    filled = statement.format(folder=ruleset, secret=ruleset / "secret.csv", beside=ruleset / "beside.parquet")

    with pytest.raises(duckdb.Error):
        engine.connection.execute(filled).fetchall()

    assert sorted(ruleset.rglob("*")) == before
    assert (ruleset / "secret.csv").read_text() == "canary\n1\n"


def test_it_loads_nothing_for_a_statement(engine: DuckDB) -> None:
    settings = ("autoinstall_known_extensions", "autoload_known_extensions", "allow_community_extensions")
    asked = ", ".join(f"current_setting('{name}')" for name in (*settings, "allow_persistent_secrets"))

    assert engine.connection.execute(f"SELECT {asked}").fetchall() == [(False,) * 4]


def test_only_the_owner_reads_a_store(ruleset: Path) -> None:
    program = Path(sys.executable).with_name("ruleengine")
    (ruleset / "ruleset.toml").write_text(MANIFEST.replace('engine = "duckdb"', 'engine = "duckdb"\nstore = "a/store"'))
    for verb in (["key", "create", "--name", "app", "--scope", "tags:read", str(ruleset)], ["run", str(ruleset)]):
        subprocess.run([program, *verb, "--actor", "tests"], check=True, capture_output=True, umask=0o022)

    assert stat.S_IMODE((ruleset / "a" / "store").stat().st_mode) == 0o700
    assert stat.S_IMODE((ruleset / "a" / "store" / "keys.db").stat().st_mode) == 0o600
