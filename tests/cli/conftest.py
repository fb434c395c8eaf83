"""A small shop, and the command line to ask about it."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ruleengine.cli.commands import program
from ruleengine.engines.duckdb import DuckDB
from ruleengine.engines.engine import Findings, Progress
from ruleengine.planning.plan import Plan

FILES = {
    "ruleset.toml": """\
[ruleset]
name = "shop"
timezone = "Europe/Berlin"

[profiles.default]
engine = "duckdb"

[profiles.default.sources]
customers = "data/customers.csv"
orders = "data/orders.csv"
""",
    "model.rules": """\
entity customer from customers key customer_id integer (country text)

events orders from orders for customer_id at ordered_at (amount decimal, status text)

metric monetary = sum(orders.amount where status = "paid")

metric frequency = count(orders where status = "paid")

metric recency = days since latest(orders where status = "paid")
""",
    "value.rules": """\
let vip_floor = 1_000

tag "VIP"
    when monetary_90d > vip_floor and frequency >= 2
    because "{monetary_90d} spent in {frequency} orders"

tag "睡眠"
    when recency > 60
    unless frequency = 1

draft tag "Rising" when monetary > 0

tier loyalty
    "Gold" when monetary_12m >= 2_000
    "Silver" when monetary_12m >= 500
    otherwise "Member"

class lifecycle
    "Churned" when recency > 60
    otherwise "Active"
""",
    "data/customers.csv": "customer_id,country\n1,DE\n2,FR\n3,DE\n4,\n",
    "data/orders.csv": """\
customer_id,ordered_at,amount,status
1,2026-03-01 10:00,800.50,paid
1,2026-03-20 10:00,1700,paid
2,2026-01-02 10:00,600,paid
3,2026-03-30 23:30,8750,paid
3,2026-03-30 23:40,1,
""",
}
DAY = "2026-03-31"


@dataclass(frozen=True)
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Ask = Callable[..., Answer]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run a command in this process."""
    monkeypatch.setenv("RULEENGINE_ACTOR", "tests")

    def ask(*arguments: object) -> Answer:
        result = CliRunner().invoke(program, [str(argument) for argument in arguments])
        return Answer(result.exit_code, result.stdout, result.stderr)

    return ask


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A ruleset with four customers, of which nothing is published."""
    folder = tmp_path / "shop"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def _published_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "shop"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    result = CliRunner().invoke(program, ["run", str(folder), "--as-of", DAY, "--actor", "tests"])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def published(_published_once: Path, tmp_path: Path) -> Path:
    """The shop with version 1."""
    return shutil.copytree(_published_once, tmp_path / "shop")


@pytest.fixture
def changing_data(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order comes in while a run computes."""
    compute = DuckDB.run

    def run(self: DuckDB, plan: Plan, progress: Progress) -> Findings:
        with open(published / "data/orders.csv", "a") as orders:
            orders.write("1,2026-03-02 10:00,5,paid\n")
        return compute(self, plan, progress)

    monkeypatch.setattr(DuckDB, "run", run)
