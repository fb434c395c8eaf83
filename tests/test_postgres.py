"""The worked rulesets, computed in Postgres and by DuckDB: the same versions, to the bit."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from ruleengine.cli.commands import program
from ruleengine.engines.duckdb import DuckDB
from ruleengine.schema import load
from ruleengine.verbs import opening
from tests import postgres
from tests.corpus_postgres import copy_tables

RULESETS = Path(__file__).parents[1] / "rulesets"
DAYS = {
    "grocery": (date(2017, 6, 30), date(2017, 12, 31)),
    "retail-zh": (date(2026, 3, 31), date(2026, 5, 31), date(2026, 6, 30)),
}


@pytest.fixture(params=DAYS)
def ruleset(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A worked ruleset with a profile `prod`, whose tables hold what its files do."""
    folder = tmp_path / request.param
    shutil.copytree(RULESETS / request.param, folder, ignore=shutil.ignore_patterns(".ruleengine"))
    opened = opening.opened(folder).ruleset
    with DuckDB(opened, load(folder).profile()) as engine, postgres.shop() as connection:
        copy_tables(engine, connection)
        bound = {it.source: name for name, it in opened.events.items()}
        if not opened.entity.distinct:
            bound[opened.entity.source] = opened.entity.name
        with (folder / "ruleset.toml").open("a", encoding="utf-8") as manifest:
            manifest.write(f'\n[profiles.prod]\nengine = "postgres"\ndsn = "${{{postgres.VARIABLE}}}"\n')
            manifest.write('store = ".prod"\n[profiles.prod.sources]\n')
            manifest.writelines(f'"{source}" = {{table = \'"{name}"\'}}\n' for source, name in bound.items())
        yield folder


def asked(*arguments: str) -> str:
    answer = CliRunner().invoke(program, arguments)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_the_same_versions(ruleset: Path) -> None:
    exports: dict[str, list[bytes]] = {}
    said: dict[str, list[object]] = {}
    for profile in ("default", "prod"):
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

    assert exports["prod"] == exports["default"]
    assert said["prod"] == said["default"]
    (version, *_) = json.loads(asked("versions", str(ruleset), "--profile", "prod", "--format", "json"))["versions"]
    assert version["engine"].startswith("postgres 1")
    assert os.environ[postgres.VARIABLE] not in "".join(
        file.read_text(errors="replace") for file in (ruleset / ".prod").rglob("*") if file.is_file()
    )
