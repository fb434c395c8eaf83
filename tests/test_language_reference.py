"""docs/language.md says everything that the language has, and its examples are real."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest

from ruleengine.checking import scope
from ruleengine.checking.check import check
from ruleengine.diagnostics.render import render_text
from ruleengine.functions.aggregates import AGGREGATES, AggregateFunction, Argument
from ruleengine.functions.rankings import RANKINGS, PopulationFunction, RankingFunction
from ruleengine.functions.scalars import SCALARS, ScalarFunction
from ruleengine.source import Source
from ruleengine.syntax.mistakes import RESERVED
from ruleengine.syntax.nodes import Unit
from ruleengine.types import COLUMN_TYPES

REFERENCE = Path(__file__).parents[1] / "docs" / "language.md"
TEXT = REFERENCE.read_text("utf-8")
BLOCKS = re.findall(r"^```rules *(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PROSE = re.sub(r"^```.*?^```$", "", TEXT, flags=re.MULTILINE | re.DOTALL)
CODE = "\n".join([*re.findall(r"`([^`]+)`", PROSE), *(text for _, text in BLOCKS)])
"""What stands in backticks, and in blocks of rules."""


def aggregate_row(function: AggregateFunction) -> str:
    column = "orders.amount" if function.argument in (Argument.NUMBER, Argument.EXACT, Argument.ORDERED) else None
    argument = "orders" if function.argument is Argument.EVENTS else column or "orders.category"
    call = f"{function.name}({'distinct ' * function.distinct}{argument})"
    return f"| `{call}` | {function.meaning} | {'0' if function.of_nothing_is_zero else 'missing'} |"


def scalar_row(function: ScalarFunction) -> str:
    second = "2" if function.most_arguments is not None else "100"
    calls = [f"`{function.name}(credit)`"] if function.least_arguments == 1 else []
    if function.most_arguments != 1:
        calls.append(f"`{function.name}(credit, {second})`")
    return f"| {', '.join(calls)} | {function.meaning} |"


def ranking_row(function: PopulationFunction) -> str:
    parts = ", 20" if function.computes is RankingFunction.NTILE and function.buckets is None else ""
    return f"| `{function.name}(monetary{parts})` | {function.meaning} |"


TABLES = {
    "aggregates": ["| Written | Meaning | Of nothing |", "|---|---|---|", *map(aggregate_row, AGGREGATES)],
    "rankings": ["| Written | Meaning |", "|---|---|", *map(ranking_row, RANKINGS.values())],
    "scalars": ["| Written | Meaning |", "|---|---|", *map(scalar_row, SCALARS.values())],
}


@pytest.mark.parametrize("name", TABLES)
def test_functions_are_listed_as_they_are_declared(name: str, request: pytest.FixtureRequest) -> None:
    table = "\n".join(TABLES[name])
    pattern = re.compile(rf"(?<=<!-- table: {name} -->\n).*?(?=\n<!-- end -->)", re.DOTALL)
    if request.config.getoption("--update-corpus"):
        REFERENCE.write_text(pattern.sub(lambda _: table, REFERENCE.read_text("utf-8")), "utf-8")

    found = pattern.search(REFERENCE.read_text("utf-8"))

    assert found is not None
    assert found[0] == table


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_example_checks(number: int) -> None:
    (model,) = (text for option, text in BLOCKS if option == "model")
    option, text = BLOCKS[number]
    sources = [Source("example.rules", text)]
    if not option:
        sources.insert(0, Source("model.rules", model))

    found = check(sources, "reference", "Europe/Paris")

    assert not render_text(problem for problem in found.problems if problem.is_error)


def keywords() -> list[str]:
    table = tomllib.loads(files("ruleengine.grammar").joinpath("keywords.toml").read_text("utf-8"))
    return [word for spellings in table.values() for word in spellings["en"]]


def signs() -> list[str]:
    terminals = files("ruleengine.grammar").joinpath("terminals.lark").read_text("utf-8")
    lines = re.findall(r'^[A-Z_]+: ((?:"[^"\n]+"(?: \| )?)+)$', terminals, re.MULTILINE)
    return [sign.encode().decode("unicode_escape") for line in lines for sign in re.findall(r'"([^"]+)"', line)]


@pytest.mark.parametrize("word", [*keywords(), *sorted(RESERVED), *COLUMN_TYPES])
def test_every_word_is_there(word: str) -> None:
    assert re.search(rf"\b{word}\b", CODE)


@pytest.mark.parametrize("sign", signs())
def test_every_sign_is_there(sign: str) -> None:
    assert sign in CODE.split()


@pytest.mark.parametrize("suffix", [*(rf"\d+{unit}" for unit in scope._UNITS), *scope._PERIODS])
def test_every_suffix_of_a_window_is_there(suffix: str) -> None:
    assert re.search(rf"monetary_{suffix}\b", CODE)


@pytest.mark.parametrize("unit", get_args(Unit))
def test_every_window_is_there(unit: str) -> None:
    if unit != "quarter":
        assert re.search(rf"last \d+ {unit}s?\b", CODE)
    if unit in ("month", "quarter", "year"):
        assert f"during this {unit}" in CODE
        assert f"previous {unit}" in CODE


def test_a_window_of_dates_is_there() -> None:
    assert re.search(r"during \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d", CODE)
