"""Files that are none: pipes, devices, folders, links that lead nowhere. None is opened, none is passed over."""

import os
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from ruleengine.cli.commands import program

RULES = 'entity customer from customers key id (a integer)\ntag "A" when a > 1\n'
MANIFEST = """\
[ruleset]
name = "places"
timezone = "UTC"
[profiles.default]
engine = "duckdb"
[profiles.default.sources]
customers = "%s"
"""


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def nowhere(path: Path) -> None:
    path.symlink_to("gone")


def itself(path: Path) -> None:
    path.symlink_to(path.name)


def folder(path: Path) -> None:
    path.mkdir()


ODD = pytest.mark.parametrize("odd", [pipe, device, nowhere, itself])
Odd = Callable[[Path], None]


@pytest.fixture
def ruleset(tmp_path: Path) -> Path:
    (tmp_path / "a.rules").write_text(RULES)
    (tmp_path / "ruleset.toml").write_text(MANIFEST % "customers*.csv")
    (tmp_path / "customers.csv").write_text("id,a\n1,2\n")
    return tmp_path


def refused(path: Path, capsys: pytest.CaptureFixture[str], *verb: str) -> str:
    with pytest.raises(SystemExit) as ended:
        program.main([*verb, str(path)])
    said = capsys.readouterr()
    assert ended.value.code in (1, 2, 5), said
    return said.out + said.err


@ODD
def test_a_rule_file(ruleset: Path, odd: Odd, capsys: pytest.CaptureFixture[str]) -> None:
    odd(ruleset / "b.rules")

    assert "b.rules` cannot be read" in refused(ruleset, capsys, "check")


@ODD
def test_a_file_that_is_used(ruleset: Path, odd: Odd, capsys: pytest.CaptureFixture[str]) -> None:
    (ruleset / "a.rules").write_text(f'{RULES}use "lib/b"\n')
    (ruleset / "lib").mkdir()
    odd(ruleset / "lib" / "b.rules")

    assert "lib/b" in refused(ruleset, capsys, "check")


@ODD
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_source(ruleset: Path, odd: Odd, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One of several files, and all there is."""
    (ruleset / "ruleset.toml").write_text(MANIFEST % f"customers*.{kind}")
    odd(ruleset / f"customers-2.{kind}")

    assert f"`customers-2.{kind}` of source `customers` cannot be read" in refused(ruleset, capsys, "run")


def test_a_source_that_is_a_folder(ruleset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(ruleset / "orders.parquet")
    (ruleset / "ruleset.toml").write_text(MANIFEST % "orders.parquet")

    assert "orders.parquet/*.parquet" in refused(ruleset, capsys, "run")


def test_names_that_are_patterns(ruleset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file is what its name says; DuckDB would read the other twice, and this one perhaps not at all."""
    (ruleset / "ruleset.toml").write_text(MANIFEST % "customers*.parquet")
    for number, name in enumerate(("customers[1].parquet", "customers1.parquet")):
        duckdb.sql(f"COPY (SELECT '{number}' AS id, 2 AS a) TO '{ruleset}/made' (FORMAT parquet)")
        (ruleset / "made").rename(ruleset / name)
        if number == 0:
            program.main(["run", str(ruleset)], standalone_mode=False)

    assert "customers[1].parquet would be read as a pattern" in refused(ruleset, capsys, "run")


def test_columns_that_folders_name(ruleset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        part = ruleset / "parts" / f"a={number}"
        part.mkdir(parents=True)
        duckdb.sql(f"COPY (SELECT '{number}' AS id) TO '{part}/x.parquet' (FORMAT parquet)")
    (ruleset / "ruleset.toml").write_text(MANIFEST % "parts/*/*.parquet")

    program.main(["run", str(ruleset)], standalone_mode=False)

    assert "tags A 1 50.0" in " ".join(capsys.readouterr().out.split())


@ODD
def test_a_manifest(ruleset: Path, odd: Odd, capsys: pytest.CaptureFixture[str]) -> None:
    (ruleset / "ruleset.toml").unlink()
    odd(ruleset / "ruleset.toml")

    assert "There is no ruleset.toml" in refused(ruleset, capsys, "check")


@ODD
def test_files_of_a_suite(ruleset: Path, odd: Odd, capsys: pytest.CaptureFixture[str]) -> None:
    suite = ruleset / "tests" / "one"
    suite.mkdir(parents=True)
    (suite / "suite.toml").write_text("as_of = 2026-03-31\n")
    (suite / "expected.csv").write_text("customer_id,kind,name,value\n1,tag,A,\n")
    odd(suite / "customers.csv")
    assert "customers" in refused(ruleset, capsys, "test")
    (suite / "customers.csv").unlink()
    (suite / "customers.csv").write_text("id,a\n1,2\n")
    for name in ("expected.csv", "suite.toml"):
        (suite / name).unlink()
        odd(suite / name)
        assert name in refused(ruleset, capsys, "test")
        (suite / name).unlink()
        (suite / name).write_text("as_of = 2026-03-31\n")


def test_a_suite_nested_without_end(ruleset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = ruleset / "tests" / "one"
    suite.mkdir(parents=True)
    (suite / "suite.toml").write_text("as_of = " + "[" * 50_000)

    assert "too deeply nested" in refused(ruleset, capsys, "test")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_that_may_not_be_read(ruleset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, verb in (("customers.csv", "run"), ("a.rules", "check"), ("ruleset.toml", "check")):
        (ruleset / name).chmod(0)
        assert "Permission denied" in refused(ruleset, capsys, verb)
        (ruleset / name).chmod(0o600)
