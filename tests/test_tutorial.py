"""The way from files to a database, as docs/postgres.md tells it, taken step by step."""

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from glob import glob
from pathlib import Path
from textwrap import dedent
from unittest import mock

import pytest
from click.testing import CliRunner

from ruleengine.cli.commands import program
from tests import postgres

DOCUMENT = Path(__file__).parents[1] / "docs" / "postgres.md"
STEP = re.compile(r"^ *```(sh|toml) tutorial\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SCHEMAS = ("crm", "sales", "ruleengine")


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)

    def clear() -> None:
        for schema in SCHEMAS:
            postgres.admin().execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())

    clear()
    with mock.patch.dict(os.environ, {postgres.VARIABLE: postgres.owner(), "RULEENGINE_ACTOR": "tests"}):
        yield tmp_path
    clear()


def asked(*words: str) -> str:
    answer = CliRunner().invoke(program, words)
    assert answer.exit_code == 0, (words, answer.output)
    return answer.stdout


def test_from_files_to_a_database(there: Path) -> None:
    steps = STEP.findall(DOCUMENT.read_text("utf-8"))
    said: dict[str, str] = {}
    for language, text in steps:
        if language == "toml":
            with (there / "shop" / "ruleset.toml").open("a") as manifest:
                manifest.write("\n" + dedent(text))
        else:
            for line in text.splitlines():
                _, *words = shlex.split(line)
                found = [glob(word) if "*" in word else [word] for word in words]
                said[line.strip()] = asked(*(each for word in found for each in sorted(word)))

    assert [line.split()[1] for line in said] == ["new", "run", "load", "move", "run", "explain"]
    assert "crm.customers: 200 rows, a new table" in said["ruleengine load shop shop/data/*.csv --profile prod"]
    assert "1 version" in said["ruleengine move shop --from default --to prod"]
    later = (date.today() + timedelta(days=40)).isoformat()
    shutil.copytree("shop", "alone")  # the folder as it is left, which goes on by itself
    for place, profile in (("shop", "prod"), ("alone", "default")):
        asked("run", place, "--profile", profile, "--as-of", later)
        asked("export", place, "--profile", profile, "-o", f"{profile}.csv")
        asked("export", place, "--profile", profile, "--version", "1", "-o", f"{profile}-1.csv")
        assert "all as published" in asked("audit", "verify", place, "--profile", profile)
    assert Path("prod-1.csv").read_bytes() == Path("default-1.csv").read_bytes()
    prod, alone = (
        [line.rpartition(",")[0] for line in Path(f"{name}.csv").read_text().splitlines()]
        for name in ("prod", "default")
    )
    assert len(prod) > 200
    assert prod == alone
