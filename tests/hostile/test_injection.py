"""Names, texts, paths and parameters that are SQL somewhere else: here they are names, texts, paths and parameters."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pytest
import sqlglot
from psycopg import sql
from sqlglot import exp

from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Ruleset
from ruleengine.engines.duckdb import DuckDB
from ruleengine.engines.engine import Engine
from ruleengine.engines.postgres import Postgres
from ruleengine.planning.plan import plan
from ruleengine.schema import Profile, parse
from ruleengine.source import Source
from ruleengine.sql.dialect import Dialect
from ruleengine.sql.duckdb import DUCKDB
from ruleengine.sql.postgres import POSTGRES
from ruleengine.sql.scans import default_clocks
from ruleengine.sql.statements import emit
from tests import postgres

DAY = date(2026, 3, 31)
BENIGN = "plain"
GIVEN = ("", " 2")
"""The endings of the names of the tags that the only customer has."""
TEXTS = (
    "'; DROP TABLE canary; --",
    '"; DROP TABLE canary; --',
    "*/; DROP TABLE canary; /*",
    "/* ' */ ' -- ",
    "' OR '1' = '1",
    "'||(SELECT secret FROM canary)||'",
    "\\'; DROP TABLE canary; --",
    "\\",
    "''",
    '""',
    "$$; DROP TABLE canary; $$",
    "$1 %s %(a)s :a ? @a {0} {{a}} #{a}",
    "E'\\x27'",
    "U&'\\0027' UESCAPE '!'",
    "ʼ; DROP TABLE canary",
    "＇; DROP TABLE canary; －－",
    "); COPY canary TO '/tmp/canary'; --",
    "${DATABASE_URL}$(touch canary)`touch canary`",
    "../../canary",
    "NULL",
    "CAST(1 AS text)",
    "'\u0301; DROP",
    "𝒜" * 40,
    "x" * 63 + "' --",
)
RULES = """\
entity customer from customers key id (city text, grade text)
events orders from orders key order_id for id at day (amount decimal, note text)
let wanted = {text}
metric spent {text} = sum(orders.amount where orders.note != {text})
metric picked = latest(orders.note where orders.note starts with {text})
tag {text} when spent > 1 and city in (wanted, {other}) because {because} owner {text}
tag {other} when has tag {text} or city contains {text} or sample 50% {text}
manual tag {manual}
at most one of {manual}, {other}
tier level {text} when spent > 100 {other} when spent > 1 otherwise {last}
class kind {text} when tier level is {text} {other} when grade = {text} otherwise {last}
tag {last} when class kind is {other} and tier level was at least {text} within 90 days
"""


def quoted(text: str) -> str:
    """As rules quote texts, and SQL names."""
    return '"' + text.replace('"', '""') + '"'


@dataclass(frozen=True)
class Case:
    text: str

    def rules(self) -> str:
        names = {"text": self.text, "other": f"{self.text} 2", "last": f"{self.text} 3", "manual": f"{self.text} 4"}
        because = quoted(self.text.replace("{", "{{").replace("}", "}}"))
        return RULES.format(**{name: quoted(text) for name, text in names.items()}, because=because)

    def ruleset(self) -> Ruleset:
        file = f"{self.text.replace('/', '∕')}.rules"
        found = check([Source(file, self.rules())], self.text, "UTC", overrides={"wanted": quoted(self.text)})
        assert found.ruleset is not None, [problem for problem in found.problems if problem.is_error]
        return found.ruleset


def shapes(case: Case, dialect: Dialect) -> list[str]:
    """The statements as trees, printed and read again, without texts, names and remarks."""
    ruleset = case.ruleset()
    found = []
    for statement in emit(plan(ruleset, DAY), dialect, default_clocks(ruleset)).statements:
        for pretty in (False, True):
            (tree,) = sqlglot.parse(statement.sql(pretty=pretty), read=dialect.name)
            assert tree is not None
            for node in tree.walk():
                node.comments = None
                if isinstance(node, exp.Identifier) or (isinstance(node, exp.Literal) and node.is_string):
                    node.set("this", "")
            found.append(repr(tree))
    return found


@pytest.mark.parametrize("dialect", [DUCKDB, POSTGRES], ids=lambda dialect: dialect.name)
def test_the_shape_of_a_statement_is_that_of_plain_rules(dialect: Dialect) -> None:
    plain = shapes(Case(BENIGN), dialect)

    assert [text for text in TEXTS if shapes(Case(text), dialect) != plain] == []


RUN = [pytest.param(Case(text), marks=pytest.mark.slow if at > 6 else (), id=str(at)) for at, text in enumerate(TEXTS)]


# -- what it does ----------------------------------------------------------------------------------------------


def profile(directory: Path, engine: str, sources: Mapping[str, object]) -> Profile:
    text = f'[ruleset]\nname = "a"\ntimezone = "UTC"\n[profiles.default]\nengine = "{engine}"\n'
    if engine == "postgres":
        text += f'dsn = "${{{postgres.VARIABLE}}}"\n'
    text += "[profiles.default.sources]\n"
    for name, binding in sources.items():
        text += f"{name} = {toml(binding)}\n"
    return parse(directory, Source("ruleset.toml", text), text).profile()


def in_manifest(name: str) -> str:
    """A name that ruleset.toml takes: what looks like a variable of the environment stands nowhere but in `dsn`."""
    return name.replace("${", "$ {")


def toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(each)}" for name, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)


def answers(engine: Engine, case: Case) -> set[str]:
    """The tags that the only customer has."""
    work = plan(engine.ruleset, DAY)
    engine.run(work)
    results = engine.results(work.layout)
    ((_, *words),) = results.execute("SELECT * FROM result_assignments").fetchall()
    return {slot.name for slot in work.layout.tags if words[slot.word] >> slot.bit & 1}


def expected(case: Case) -> set[str]:
    """Of plain rules, with the text in place of the plain one."""
    return {f"{case.text}{ending}" for ending in GIVEN}


@pytest.mark.parametrize("hostile", RUN)
def test_duckdb_does_nothing_else(hostile: Case, tmp_path: Path) -> None:
    text = hostile.text
    folder = tmp_path / text.replace("/", "∕")[:60]
    folder.mkdir()
    (tmp_path / "canary").write_text("alive")
    before = sorted(tmp_path.rglob("*"))
    column = in_manifest(f"{text} column")
    with duckdb.connect() as made:
        for name, columns in (
            ("customers", {"id": "1", column: text, "grade": text}),
            ("orders", {"order_id": "7", "id": "1", "day": date(2026, 3, 1), column: 5, "note": f"not {text}"}),
        ):
            named = ", ".join("? AS " + quoted(each) for each in columns)
            made.execute(f"CREATE TABLE {name} AS SELECT {named}", list(columns.values()))
            made.execute(f"COPY {name} TO '{tmp_path}/made' (FORMAT parquet)")
            (tmp_path / "made").rename(folder / f"{name}.parquet")
    sources = {
        "customers": {"file": "customers.parquet", "columns": {"city": column}},
        "orders": {"file": "orders.parquet", "columns": {"amount": column}},
    }

    with DuckDB(hostile.ruleset(), profile(folder, "duckdb", sources)) as engine:
        assert answers(engine, hostile) == expected(hostile)

    assert sorted(path for path in tmp_path.rglob("*") if path.suffix != ".parquet") == before
    assert (tmp_path / "canary").read_text() == "alive"


@pytest.fixture
def shop() -> Iterator[postgres.Admin]:
    with postgres.shop() as connection:
        yield connection


@pytest.mark.parametrize("hostile", RUN)
def test_postgres_does_nothing_else(hostile: Case, shop: postgres.Admin, tmp_path: Path) -> None:
    text = hostile.text
    column, table = in_manifest(f"{text[:10]} column"), in_manifest(f"{text[:10]} table")
    shop.execute("CREATE TABLE canary AS SELECT 'alive' AS secret")
    for name, columns in (
        (f"{table} c", {"id": "1", column: text, "grade": text}),
        (f"{table} o", {"order_id": "7", "id": "1", "day": date(2026, 3, 1), column: 5, "note": f"not {text}"}),
    ):
        selected = sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(sql.Literal(value), sql.Identifier(each)) for each, value in columns.items()
        )
        shop.execute(sql.SQL("CREATE TABLE {} AS SELECT {}").format(sql.Identifier(name), selected))
    sources = {
        "customers": {"table": quoted(f"{table} c"), "columns": {"city": column}},
        "orders": {"table": quoted(f"{table} o"), "columns": {"amount": column}},
    }

    with Postgres(hostile.ruleset(), profile(tmp_path, "postgres", sources)) as engine:
        assert answers(engine, hostile) == expected(hostile)

    assert shop.execute("SELECT secret FROM canary").fetchone() == ("alive",)
