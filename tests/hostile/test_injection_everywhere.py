"""One hostile text in every place that takes one, from the folder to the export: it arrives, and does nothing else."""

import csv
import json
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote as in_url

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from ruleengine import schema, serving
from ruleengine.cli.commands import program
from ruleengine.store import store_of
from tests import postgres
from tests.hostile.test_injection import TEXTS, in_manifest, quoted

DAY = "2026-03-31"
ALL_AT_ONCE = "=x'\"); DROP TABLE shop.canary; --*/ $$ $1 %s %(a)s \\x {a} [b]*?"
TRIED = [ALL_AT_ONCE, *TEXTS[:3], "@SUM(1)|cmd", "[a]*?{b,c}", "-1+1'", "%00%2F..%2f%"]
HOSTILE = [pytest.param(text, marks=pytest.mark.slow if at else (), id=str(at)) for at, text in enumerate(TRIED)]
RULES = """\
entity customer from customers key id (note text)
tag {tag} when note = {text} because {because}
manual tag {manual}
class kind {text} when note = {text} otherwise "-"
"""
MANIFEST = """\
[ruleset]
name = {text}
timezone = "UTC"
[profiles.{profile}]
engine = "{engine}"
{store}
[profiles.{profile}.sources]
customers = {{{kind} = {place}, columns = {{note = {column}}}}}
"""


def toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


class Shop:
    """A ruleset whose folder, files, tables, columns, profiles, schema, rules and customers are so called."""

    def __init__(self, place: Path, text: str) -> None:
        self.text = text
        self.name = in_manifest(text)
        self.customer = f"{text} 1"
        """Not the text itself, which is a reason too: those may not name customers."""
        self.folder = place / text.replace("/", "∕")[:60]
        self.folder.mkdir()
        self.file = f"customers {text.replace('/', '∕')[:20]}.csv".translate(dict.fromkeys(map(ord, "*?["), "_"))
        with (self.folder / self.file).open("w", newline="") as made:
            lines = [["id", self.column], [self.customer, text], ["other", "none"]]
            csv.writer(made, quoting=csv.QUOTE_ALL).writerows(lines)
        names = {"tag": f"{text} tag", "manual": f"{text} by hand", "text": text}
        because = quoted(text.replace("{", "{{").replace("}", "}}"))
        rules = RULES.format(**{name: quoted(it) for name, it in names.items()}, because=because)
        (self.folder / "a.rules").write_text(rules)
        common = {"text": toml(self.name), "column": toml(self.column)}
        self.profiles = ("default", f"{self.name} prod")
        folder = MANIFEST.format(
            profile="default", engine="duckdb", store="", kind="file", place=toml(self.file), **common
        )
        tables = MANIFEST.format(
            profile=toml(self.profiles[1]),
            engine="postgres",
            store=f'dsn = "${{{postgres.STORE}}}"\nstore = {{schema = {toml(self.schema)}}}',
            kind="table",
            place=toml(f"shop.{quoted(self.table)}"),
            **common,
        )
        manifest = folder + tables[tables.index("[profiles.") :]
        (self.folder / "ruleset.toml").write_text(manifest)

    @property
    def schema(self) -> str:
        return f"{self.name[:20]} store"

    @property
    def column(self) -> str:
        return f"{self.name[:30]} column"

    @property
    def table(self) -> str:
        return f"{self.name[:30]} table"

    def ask(self, verb: str, *arguments: str, profile: str | None = None) -> str:
        options = ["--profile", profile] if profile else []
        words = [*verb.split(), *options, str(self.folder), *arguments]
        done = CliRunner().invoke(program, words)
        assert done.exit_code == 0, (words, done.output, done.exception)
        return str(done.stdout)

    def expected(self) -> list[list[str]]:
        text = self.text
        held = [["class", "kind", text], ["tag", f"{text} by hand", ""], ["tag", f"{text} tag", ""]]
        return sorted([["other", "class", "kind", "-"], *([self.customer, *it] for it in held)])


def exported(shop: Shop, profile: str) -> list[list[str]]:
    file = shop.folder / f"out {shop.file}"
    shop.ask("export", "-o", str(file), profile=profile)
    with file.open(newline="") as made:
        _, *rows = csv.reader(made)
    return sorted(row[:4] for row in rows)


def texts(value: Any) -> Iterator[str]:
    """Every text of a JSON document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from texts(each)


def walk_through(shop: Shop, profile: str) -> None:
    """A run, an edit by hand, and everything that reads."""
    text = shop.text
    shop.ask("run", "--as-of", DAY, "--actor", text, profile=profile)
    shop.ask("tag", "--reason", text, "--actor", text, "--", shop.customer, f"{text} by hand", profile=profile)
    assert exported(shop, profile) == shop.expected()
    for verb, arguments in (
        ("explain", ["--format", "json", "--", shop.customer]),
        ("history", ["--format", "json", "--", shop.customer]),
        ("versions", ["--format", "json"]),
    ):
        assert any(text in said for said in texts(json.loads(shop.ask(verb, *arguments, profile=profile))))
    shop.ask("audit verify", profile=profile)
    asked(shop, profile)


def asked(shop: Shop, profile: str) -> None:
    """The same of the API."""
    manifest = schema.load(shop.folder)
    with closing(store_of(manifest.profile(profile))) as store:
        client = TestClient(serving.app(store, manifest, profile=profile), base_url="http://localhost")
        customer = f"/v1/customers/{in_url(shop.customer, safe='')}"
        manual = in_url(f"{shop.text} by hand", safe="")

        def got(path: str) -> Any:
            answer = client.get(path)
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert got(customer)["customer"] == shop.customer
        explained = got(f"{customer}/explain/{in_url(f'{shop.text} tag', safe='')}")
        assert any(shop.text == said for said in texts(explained))
        assert got(f"/v1/tags/{manual}/customers")["customers"] == [{"customer": shop.customer}]
        for path in (customer, f"/v1/tags/{manual}/customers", "/v1/changes"):
            for parameter in ("version", "as_of", "cursor", "limit", "after"):
                answer = client.get(f"{path}?{parameter}={in_url(shop.text, safe='')}")
                assert answer.status_code in (200, 400, 404, 422), answer.text
        reason = {"reason": shop.text, "actor": shop.text}
        answer = client.delete(f"{customer}/tags/{manual}", params=reason)
        assert answer.status_code == 200, answer.text
        assert got(customer)["customer"] == shop.customer


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    with postgres.shop() as connection, mock.patch.dict(os.environ, {postgres.STORE: postgres.superuser()}):
        connection.execute("CREATE TABLE shop.canary AS SELECT 'alive' AS secret")
        (tmp_path / "canary").write_text("alive")
        yield tmp_path
        assert connection.execute("SELECT secret FROM shop.canary").fetchone() == ("alive",)
        assert (tmp_path / "canary").read_text() == "alive"


@pytest.mark.parametrize("text", HOSTILE)
def test_it_arrives_and_does_nothing_else(text: str, canary: Path) -> None:
    shop = Shop(canary, text)
    first, second = shop.profiles
    walk_through(shop, first)
    shop.ask("load", str(shop.folder / shop.file), profile=second)
    shop.ask("move", "--from", first, "--to", second)
    shop.ask("db upgrade", profile=second)
    assert quoted(f"{shop.schema}_reader") in shop.ask("db roles", profile=second)
    walk_through(shop, second)

    made = postgres.admin().execute("SELECT tablename FROM pg_tables WHERE schemaname = 'shop'").fetchall()
    assert {name for (name,) in made} == {"canary", shop.table}
    assert [path.name for path in canary.iterdir()] in (["canary", shop.folder.name], [shop.folder.name, "canary"])
    postgres.admin().execute(f"DROP SCHEMA {quoted(shop.schema)} CASCADE".encode())
