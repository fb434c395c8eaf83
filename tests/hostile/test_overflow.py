"""A number that is too large, in a part of a condition that a run need not look at, since another part has decided."""

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from ruleengine import schema, serving
from ruleengine.cli.commands import program
from ruleengine.store import store_of
from tests.api.asking import problem

RULES = """\
entity customer from customers key id integer (much decimal(30,2))
tag "Much" when much > 3 or much * 2 = 8
manual tag "By hand"
"""
MANIFEST = """\
[ruleset]
name = "much"
timezone = "UTC"
[profiles.default]
engine = "duckdb"
[profiles.default.sources]
customers = "customers.csv"
"""


@pytest.fixture
def published(tmp_path: Path) -> Path:
    (tmp_path / "a.rules").write_text(RULES)
    (tmp_path / "ruleset.toml").write_text(MANIFEST)
    (tmp_path / "customers.csv").write_text("id,much\n1,90071992547409930000\n2,4\n")
    done = CliRunner().invoke(program, ["run", str(tmp_path), "--actor", "tests"])
    assert done.exit_code == 0, done.output
    return tmp_path


@pytest.mark.parametrize(
    "words", [["explain"], ["tag", "--reason", "asked", "--actor", "tests"]], ids=lambda words: words[0]
)
def test_what_looks_at_all_parts_tells_it(published: Path, words: list[str]) -> None:
    verb, *options = words
    name = ["By hand"] if verb == "tag" else []

    done = CliRunner().invoke(program, [verb, *options, str(published), "1", *name])

    assert done.exit_code == 2, done.output
    assert "a.rules:2:1: error[overflow]" in done.output


def test_the_api_tells_it_too(published: Path) -> None:
    manifest = schema.load(published)
    with closing(store_of(manifest.profile())) as store:
        client = TestClient(serving.app(store, manifest), base_url="http://localhost", raise_server_exceptions=False)

        assert [tag["name"] for tag in client.get("/v1/customers/1").json()["tags"]] == ["Much"]
        answer = client.get("/v1/customers/1/explain/Much")

    assert problem(answer) == (409, "refused")
    assert answer.json()["problem"] == "overflow"
