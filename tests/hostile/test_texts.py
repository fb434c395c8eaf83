"""Rule files that are made to take long, or to nest without end: a ruleset or a diagnostic, on both engines' way."""

from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleengine.checking.check import check
from ruleengine.checking.proofs import prove
from ruleengine.diagnostics.problem import Problem, Problems
from ruleengine.diagnostics.render import render_json, render_text
from ruleengine.planning.plan import plan
from ruleengine.source import Source
from ruleengine.sql.dialect import Dialect
from ruleengine.sql.duckdb import DUCKDB
from ruleengine.sql.postgres import POSTGRES
from ruleengine.sql.scans import default_clocks
from ruleengine.sql.statements import emit
from ruleengine.syntax import nodes
from ruleengine.syntax.format import format_statement
from tests.syntax.pages import WELL_WRITTEN
from tests.syntax.trees import statements

MODEL = """\
entity customer from customers key id (a decimal, n integer, t text, d date, b boolean)
events orders from orders key oid for id at day (amount decimal, status text)
"""


def examined(text: str) -> tuple[Problem, ...]:
    """Every problem of a text; one without errors is made into SQL as well."""
    found = check([Source("hostile.rules", text)], "hostile", "Europe/Berlin", today=date(2026, 3, 31))
    render_text(found.problems, colour=False)
    render_json(found.problems)
    if found.ruleset is None:
        assert any(problem.is_error for problem in found.problems)
        return found.problems
    render_text(tuple(Problems(prove(found.ruleset))), colour=False)
    for dialect in (DUCKDB, POSTGRES):
        sql(text, dialect)
    return found.problems


def sql(text: str, dialect: Dialect) -> str:
    ruleset = check([Source("hostile.rules", text)], "hostile", "Europe/Berlin").ruleset
    assert ruleset is not None
    program = emit(plan(ruleset, date(2026, 3, 31)), dialect, default_clocks(ruleset))
    return ";\n".join(statement.sql(pretty=False) for statement in program.statements)


def errors(text: str) -> set[str]:
    return {problem.code.name for problem in examined(text) if problem.is_error}


# -- what builds on one another -------------------------------------------------------------------------------


def metrics(count: int) -> list[str]:
    return ["metric m0 = count(orders)", *(f"metric m{i} = m{i - 1} + 1" for i in range(1, count))]


def nested(count: int) -> list[str]:
    return [
        "metric m0 = count(orders)",
        *(f"metric m{i} = {'abs(' * 31}m{i - 1}{')' * 31} + 1" for i in range(1, count)),
    ]


def twice(count: int) -> list[str]:
    return ["metric m0 = count(orders)", *(f"metric m{i} = least(m{i - 1}, 5) + m{i - 1}" for i in range(1, count))]


def tags(count: int) -> list[str]:
    return ['tag "T0" when n > 0', *(f'tag "T{i}" when has tag "T{i - 1}" and n > {i}' for i in range(1, count))]


def budgets(count: int) -> list[str]:
    return ['tag "T0" when n > 0', *(f'tag "T{i}" when has tag "T{i - 1}" limit 5 by a' for i in range(1, count))]


def tiers(count: int) -> list[str]:
    return [
        'tier t0 "G" when n > 0',
        *(f'tier t{i} "G" when tier t{i - 1} is "G" keep while n > {i} hold for 2 days' for i in range(1, count)),
    ]


def group(count: int) -> list[str]:
    names = [f'"T{i}"' for i in range(count)]
    return [f"at most one of {', '.join(names)}", *(f"tag {name} when n > {i}" for i, name in enumerate(names))]


READ = 'tag "reads" when m{last} > 5 or m{last}_7d > 5'
CHAINS: dict[str, tuple[Callable[[int], list[str]], int, str, str]] = {
    "metrics": (metrics, 90, READ, "metric-chain"),
    "nested": (nested, 5, READ, "metric-chain"),
    "twice": (twice, 60, READ, "metric-chain"),
    "tags": (tags, 100, "", "rule-chain"),
    "budgets": (budgets, 33, "", "rule-chain"),
    "tiers": (tiers, 20, "", "rule-chain"),
    "group": (group, 40, "", "rule-chain"),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("order", ["onward", pytest.param("backward", marks=pytest.mark.slow)])
def test_chains_up_to_the_limit_are_let_through(name: str, order: str) -> None:
    make, most, read, _ = CHAINS[name]

    assert errors(MODEL + ordered([*make(most), read.format(last=most - 1)], order)) == set()


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("order", ["onward", "backward"])
def test_chains_without_end_are_told(name: str, order: str) -> None:
    make, _, read, code = CHAINS[name]

    assert errors(MODEL + ordered([*make(500), read.format(last=499)], order)) == {code}


def ordered(lines: list[str], order: str) -> str:
    if order == "backward":
        lines = lines[::-1]
    return "\n".join(lines) + "\n"


def test_windows_without_end_are_told() -> None:
    """A few lines ask for as many metrics as there are windows times metrics beneath them."""
    tags = [f'tag "T{days}" when m69_{days}d > 5' for days in range(1, 301)]

    assert errors(MODEL + "\n".join([*metrics(70), *tags])) == {"metric-windows"}


@pytest.mark.parametrize("count", [30, 1_000])
def test_circles_of_any_size_are_told(count: int) -> None:
    circle = "".join(f"metric m{i} = m{(i + 1) % count} + 1\n" for i in range(count)) + 'tag "A" when m0 > 5\n'
    assert errors(MODEL + circle) == {"metric-cycle" if count < 100 else "metric-chain"}
    circle = "".join(f'tag "T{i}" when has tag "T{(i + 1) % count}"\n' for i in range(count))
    assert errors(MODEL + circle) == {"rule-cycle" if count < 100 else "rule-chain"}


# -- the longest of everything --------------------------------------------------------------------------------

LONG: dict[str, str] = {
    "tags": "".join(f'tag "T{i}" when n > {i}\n' for i in range(200)),
    "levels": "tier x\n" + "".join(f'"L{i}" when n > {200 - i}\n' for i in range(200)),
    "lines": "class c\n" + "".join(f'"v{i}" when n = {i}\n' for i in range(200)) + 'otherwise "z"\n',
    "steps": "let x = 1"
    + "".join(f" then {i} from {1_000 + i}-01-01" for i in range(2_000))
    + '\ntag "A" when n > x\n',
    "windows": 'tag "A" when ' + " and ".join(f"count(orders) during last {i + 1} days > 5" for i in range(200)),
    "list": 'tag "A" when t in (' + ", ".join(f'"x{i}"' for i in range(5_000)) + ")\n",
    "junction": 'tag "A" when ' + " or ".join(f"(n > {i} and not a < {i})" for i in range(1_000)) + "\n",
    "ranks": 'tag "A" when ' + " or ".join(f"top {i + 1} by a" for i in range(200)) + "\n",
    "events": "".join(f"events e{i} from orders for id at day (amount decimal)\n" for i in range(100))
    + 'tag "A" when '
    + " and ".join(f"count(e{i}) > 1" for i in range(100)),
    "text": 'tag "A" when t = "' + "x" * 500_000 + '"\n',
    "name": f"metric {'m' * 100_000} = n\n" + f'tag "A" when {"m" * 100_000} > 1\n',
    "tag": f'tag "{"金" * 100_000}" when n > 1\n',
    "not linear": "".join(f'tag "T{i}" when a * a + {i} > n * a\n' for i in range(60)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LONG)
def test_the_longest_of_everything(name: str) -> None:
    assert errors(MODEL + LONG[name]) == set()


# -- made up ---------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(WELL_WRITTEN), st.data())
def test_words_of_files_in_another_order(text: str, data: st.DataObject) -> None:
    """Edits that keep words whole get further than others: into names, types and proofs."""
    words = text.replace("(", " ( ").replace(")", " ) ").split(" ")
    for _ in range(data.draw(st.integers(1, 3))):
        place, other = data.draw(st.integers(0, len(words) - 1)), data.draw(st.integers(0, len(words) - 1))
        match data.draw(st.sampled_from(["swap", "copy", "drop", "twice"])):
            case "swap":
                words[place], words[other] = words[other], words[place]
            case "copy":
                words[place] = words[other]
            case "drop":
                words[place] = ""
            case _:
                words.insert(place, words[other])
    examined(" ".join(words))


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(st.lists(statements, min_size=1, max_size=4))
def test_any_statements_are_checked(made: list[nodes.Statement]) -> None:
    """Whatever the grammar lets stand: few of them make sense beside the model, all of them are answered."""
    examined(MODEL + "\n".join(map(format_statement, made)))
