"""Rules that say the same in other words come to the same; nobody is lost between true, false and unknown."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.planning.plan import plan
from ruleengine.source import Source
from ruleengine.sql.dialect import Dialect
from ruleengine.sql.duckdb import DUCKDB
from ruleengine.sql.postgres import POSTGRES
from ruleengine.sql.scans import default_clocks
from ruleengine.sql.statements import emit
from ruleengine.syntax.format import format_file
from ruleengine.syntax.parse import parse
from tests.differential import duckdb_adapter, postgres_adapter
from tests.differential.answers import Answers, checked
from tests.differential.data import DISTANCES, Case, Draw, Model
from tests.differential.rules import Writer, condition, quoted, value
from tests.differential.strategies import cases
from tests.differential.test_sql_equals_interpreter import LOOK

Engine = Callable[[Case], dict[Any, Answers]]

SAME: dict[str, str] = {
    "itself twice": "({p}) and ({p})",
    "itself or itself": "({p}) or ({p})",
    "not not": "not (not ({p}))",
    "always beside": "({p}) and true",
    "never besides": "({p}) or false",
    "absorbed": "({p}) or (({p}) and ({q}))",
    "absorbing": "({p}) and (({p}) or ({q}))",
    "if": "if ({p}) then true else false",
    "by default": "(({p}) default false)",
}
"""What says the same as `p`."""
PAIRS: dict[str, tuple[str, str]] = {
    "and": ("({p}) and ({q})", "({q}) and ({p})"),
    "or": ("({p}) or ({q})", "({q}) or ({p})"),
    "neither": ("not (({p}) or ({q}))", "(not ({p})) and (not ({q}))"),
    "not both": ("not (({p}) and ({q}))", "(not ({p})) or (not ({q}))"),
    "or beneath and": ("({p}) and (({q}) or ({r}))", "(({p}) and ({q})) or (({p}) and ({r}))"),
    "three": ("(({p}) and ({q})) and ({r})", "({p}) and (({q}) and ({r}))"),
    "between": ("({x}) between {low} and {high}", "(({x}) >= {low}) and (({x}) <= {high})"),
    "not between": ("not (({x}) between {low} and {high})", "({x}) not between {low} and {high}"),
    "one of": ("({x}) in ({low}, {high})", "(({x}) = {low}) or (({x}) = {high})"),
    "named": ("({x}) > named", "({x}) > {low}"),
}


def ruleset(draw: Draw, model: Model, as_of: date) -> str:
    writer = Writer(draw, model, as_of)
    writer.write_model()
    for number in range(draw(st.integers(1, 2))):
        writer.write_metric(f"m{number}", draw(st.integers(1, 2)))
    writer.write_tag("first", 1)
    scope = writer.scope()
    p, q, r = (condition(draw, scope, depth).text for depth in (2, 1, 0))
    low, high = draw(st.sampled_from([("0", "10"), ("-1", "1.50"), ("20%", "100"), ("5", "5")]))
    named = {"p": p, "q": q, "r": r, "x": value(draw, scope, "exact", 1).text, "low": low, "high": high}
    tags = {"p": "{p}", "not p": "not ({p})", "p is unknown": "({p}) is missing"}
    tags |= {f"p: {name}": text for name, text in SAME.items()}
    tags |= {f"{side}: {name}": text for name, pair in PAIRS.items() for side, text in zip("ab", pair, strict=True)}
    source = draw(st.sampled_from(model.events)).name
    days = sorted({as_of + timedelta(days=draw(st.sampled_from(DISTANCES))) for _ in range(3)})
    if len(days) == 3:
        first, middle, last = days
        parts = [
            f"count({source}) during {first} to {middle}",
            f"count({source}) during {middle + timedelta(1)} to {last}",
        ]
        tags["split"] = f"(count({source}) during {first} to {last}) != ({parts[0]}) + ({parts[1]})"
    lines = [f"let named = {low}", *writer.lines]
    lines += [f"tag {quoted(name)} when {text.format(**named)}" for name, text in tags.items()]
    writer.lines = lines
    writer.write_reader()
    return "\n".join(writer.lines) + "\n"


def computed(case: Case, run_sql: Engine) -> dict[Any, Answers]:
    try:
        return run_sql(case)
    except ProblemError as error:
        if [problem.code for problem in error.problems] == [codes.overflow]:
            reject()
        raise


def examine(case: Case, run_sql: Engine) -> None:
    for key, answers in computed(case, run_sql).items():
        tags = answers.tags
        assert len(tags & {"p", "not p", "p is unknown"}) == 1, (key, tags)
        for name in SAME:
            assert ("p" in tags) == (f"p: {name}" in tags), (key, name)
        for name in PAIRS:
            assert (f"a: {name}" in tags) == (f"b: {name}" in tags), (key, name)
        assert "split" not in tags, key


FEW = settings(LOOK, max_examples=8)
MANY = settings(LOOK, max_examples=50)


@FEW
@given(cases(ruleset))
def test_the_same_in_other_words(case: Case) -> None:
    examine(case, duckdb_adapter.run_sql)


@pytest.mark.slow
@MANY
@given(cases(ruleset))
def test_the_same_in_other_words_at_length(case: Case) -> None:
    examine(case, duckdb_adapter.run_sql)


@pytest.mark.slow
@settings(LOOK, max_examples=15)
@given(cases(ruleset))
def test_the_same_in_other_words_in_postgres(case: Case) -> None:
    examine(case, postgres_adapter.run_sql)


# -- the same rules, laid out otherwise ------------------------------------------------------------------------


def statements(text: str) -> list[str]:
    return [statement.span.text for statement in parse(Source("case.rules", text)).file.statements]


@settings(LOOK, max_examples=6)
@given(cases(), st.randoms())
def test_the_order_of_statements_and_the_names_of_metrics_change_nothing(case: Case, chance: Any) -> None:
    lines = statements(case.rules)
    # Of tags that bar one another the order counts, and is written in the group; of entity and events it does not.
    chance.shuffle(lines)
    other = re.sub(r"\bm(\d)(?=\b|_)", r"renamed\1", "\n".join(lines) + "\n")
    before = computed(case, duckdb_adapter.run_sql)

    after = duckdb_adapter.run_sql(replace(case, rules=other))

    assert {key: (answers.tags, answers.ladders) for key, answers in after.items()} == {
        key: (answers.tags, answers.ladders) for key, answers in before.items()
    }


def sql(case: Case, dialect: Dialect) -> list[str]:
    """Without the remarks, which say where things stand."""
    made = checked(case)
    program = emit(plan(made, case.as_of), dialect, default_clocks(made))
    for statement in program.statements:
        for node in statement.tree.walk():
            node.comments = None
    return [dialect.sql(statement.tree) for statement in program.statements]


@settings(LOOK, max_examples=8)
@given(cases())
def test_formatting_changes_no_sql(case: Case) -> None:
    for language in ("en", "zh"):
        laid_out = replace(case, rules=format_file(parse(Source("case.rules", case.rules)), language))
        for dialect in (DUCKDB, POSTGRES):
            assert sql(laid_out, dialect) == sql(case, dialect)
