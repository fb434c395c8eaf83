"""ruleset.toml: whatever stands in it is a manifest or problems that can be said."""

import copy
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleengine import schema
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.diagnostics.render import render_json, render_text
from ruleengine.source import Source

Tables = dict[str, dict[str, str]]
TABLES: Tables = {
    "ruleset": {"name": '"x"', "timezone": '"UTC"', "stale_after": '"3 days"', "language": "1", "format": "1"},
    "profiles.files": {"engine": '"duckdb"', "store": '".ruleengine"', "memory": '"1GB"', "threads": "2"},
    "profiles.files.sources": {"customers": '"a.csv"', "orders": '{file = "a.csv", columns = {a = "b"}}'},
    "profiles.prod": {"engine": '"postgres"', "dsn": '"${URL}"', "timeout": '"3 hours"', "store": '{schema = "a"}'},
    "profiles.prod.sources": {"customers": '{table = "a.b"}', "orders": '{sql = "select 1"}'},
}
VALUES = (
    *("1", "-1", "0", "1.5", "inf", "nan", "-nan", "true", "1_0", "0x10", "99999999999999999999", "9" * 5_000),
    *("1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", '""', '" "', '"a"', "'''x\ny'''", '"\\u0000"', '"\\u202e"'),
    *('"\\U0010FFFF"', '"' + "a" * 100_000 + '"', '"../../etc/passwd"', '"/dev/zero"', '"/dev/zero.csv"', '"${X}"'),
    *('"UTC/../UTC"', '"/etc/localtime"', '"Europe"', '"posixrules"', '"UTC\\u0000"', '"１ GB"', '"３ days"'),
    *("[]", "[1]", "[[]]", "[{a = 1}]", "{}", "{a = 1}", "{a = {b = {c = 1}}}", "[" * 90 + "]" * 90, "{a=" * 90),
    *("{file = 1}", '{file = "a.csv", table = "b"}', '{columns = {a = 1}, file = "a.csv"}', "{schema = 1}"),
    *('{file = "a.csv", columns = {"" = ""}}', "{file = {a = 1}}", '{sql = "select 1", columns = 3}', "{schema = {}}"),
)
NAMES = ("more", '"a.b"', '"\\n"', "a.b", '""', "'''x'''")
PIECES = (
    *VALUES[:60],
    *"[]{}=.,\"'#\n\r\0\t",
    "[[",
    "]]",
    "'''",
    '"""',
    "\ufeff",
    "\u2028",
    "ruleset",
    "profiles",
    "\r\n",
)


def written(tables: Tables) -> str:
    return "".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) for name, keys in tables.items())


def problems_of(text: str) -> tuple[Problem, ...]:
    try:
        schema.parse(Path("/nowhere"), Source("ruleset.toml", text), text)
    except ProblemError as error:
        return error.problems
    return ()


def examine(text: str) -> None:
    found = problems_of(text)
    for problem in found:
        span = problem.span
        assert span is None or 0 <= span.start <= span.end <= len(text)
    render_text(found, colour=False)
    render_json(found)


def test_what_is_varied_below_is_a_manifest() -> None:
    text = written(TABLES)

    assert schema.parse(Path("/nowhere"), Source("ruleset.toml", text), text).profiles.keys() == {"files", "prod"}


@pytest.mark.parametrize("table", TABLES)
def test_any_value_in_any_place(table: str) -> None:
    for key, value in itertools.product((*TABLES[table], *NAMES), VALUES):
        tables = copy.deepcopy(TABLES)
        tables[table][key] = value
        examine(written(tables))


@pytest.mark.parametrize("table", [*TABLES, "a", '""', "profiles.files.sources.customers"])
def test_any_value_as_any_table(table: str) -> None:
    for value in VALUES:
        others = {name: keys for name, keys in TABLES.items() if name != table}
        for text in (f"{table} = {value}\n", f"[[{table}]]\na = {value}\n", f"[{table}]\na = {value}\n"):
            examine(text + written(others))
            examine(written(others) + text)
            examine(written(TABLES) + text)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), st.sampled_from(["", *PIECES])), min_size=1, max_size=4))
def test_any_edit(edits: list[tuple[float, int, str]]) -> None:
    text = written(TABLES)
    for where, length, piece in edits:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + length :]
    examine(text)


@pytest.mark.parametrize(
    "text",
    [
        *("[" * 100_000, "a = " + "[" * 100_000, "a = " + "{a = " * 10_000, "a." * 5_000 + "a = 1", "[" + "a." * 5_000),
        *(
            "#" + "x" * 900_000,
            "a = '" + "x" * 900_000,
            '"' * 900_000,
            "\\" * 900_000,
            "a" * 900_000,
            "[ruleset]\n" * 9,
        ),
    ],
    ids=lambda text: text[:9],
)
def test_endless_texts(text: str) -> None:
    examine(text)


def test_a_file_is_read_only_so_far(tmp_path: Path) -> None:
    with (tmp_path / "ruleset.toml").open("wb") as file:
        file.truncate(1 << 40)  # a file with a hole, which takes no place

    with pytest.raises(ProblemError) as caught:
        schema.load(tmp_path)

    assert "1_000_000 bytes" in render_text(caught.value.problems, colour=False)
