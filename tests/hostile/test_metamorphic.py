"""Rules that say the same in other words come to the same; nobody is lost between true, false and unknown."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Literal, get_args

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
from tests.differential.data import Case, Column, Draw, EventsSource, Model
from tests.differential.expressions import condition
from tests.differential.pieces import quoted
from tests.differential.rules import Writer
from tests.differential.strategies import cases
from tests.differential.test_sql_equals_interpreter import LOOK
from tests.hostile import edges
from tests.hostile.decisions import Rule, decisions, is_given
from tests.hostile.relations import (
    Same,
    aggregates,
    comparisons,
    dates,
    halved,
    listed,
    logic,
    numbers,
    rankings,
    samples,
    text_tests,
    windowed,
    windows,
    written,
)

Engine = Callable[[Case], dict[Any, Answers]]

NOTHING = {"nothing": "boolean", "nothing_number": "integer", "nothing_text": "text"}
"""Attributes that nobody has."""


# -- expressions -----------------------------------------------------------------------------------------------


def metric(number: int, way: int) -> str:
    return f"said{number}x{way}"


def metrics(relations: Iterable[Same]) -> list[str]:
    """Each expression as a metric, and a rule that reads them all."""
    lines, names = [], []
    for number, same in enumerate(relations):
        for way, text in enumerate(same):
            lines.append(f"metric {metric(number, way)} = {text}")
            names.append(f"({metric(number, way)} is missing)")
    return [*lines, f'tag "reads all" when {" or ".join(names)}']


@dataclass(frozen=True, slots=True)
class Example:
    case: Case
    relations: Sequence[Same]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        self.case._repr_pretty_(printer, cycle)


def examine(example: Example, run_sql: Engine) -> None:
    answers = run_sql(example.case)
    assert answers
    for number, same in enumerate(example.relations):
        for customer, found in answers.items():
            said = [found.values[metric(number, way)] for way in range(len(same))]
            assert all(other == said[0] for other in said), (customer, dict(zip(same, said, strict=True)))


@st.composite
def conditions(draw: Draw) -> Example:
    """Attributes beside literals, and all that logic makes of it."""
    as_of = draw(edges.as_ofs())
    named = edges.literals(draw, as_of)
    chance = Random(draw(st.integers(0, 999)))
    kinds = {"n": "integer", "d": "decimal", "t": "text", "day": "date"}
    lines, relations = [], list[Same]()
    for x, kind in kinds.items():
        literals, members = getattr(named, kind), named.members(kind)
        parameters = [f"{x}_low", f"{x}_middle", f"{x}_high"]
        for name, value in zip(parameters, literals, strict=True):
            # Days decide what a parameter is: the last of them that has come.
            before, after = written(literals[0]), written(literals[-1])
            lines.append(
                f"let {name} = {before} then {written(value)} from {as_of} then {after} from {as_of + timedelta(1)}"
            )
        lines.append(f"let few_{x} = {listed(literals)}")
        relations += comparisons(x, literals, parameters, members)
    relations += text_tests("t", named.text, named.members("text"))
    relations += dates("day", named.date, named.members("date"), as_of)
    relations += numbers("n", "m", "1")
    relations += numbers("d", "e", "0.01")
    relations += logic("p", "q", "r")
    p, q = f"n > {named.integer[1]}", f"not (t = {written(named.text[1])})"
    relations += logic(p, q, f"d between {named.decimal[0]} and {named.decimal[2]}")
    columns = {"n": "integer", "m": "integer", "d": "decimal(9,2)", "e": "decimal(9,2)", "t": "text", "day": "date"}
    model = edges.model({**columns, **dict.fromkeys("pqr", "boolean"), **NOTHING})
    lines += ["score points", f"    add 10 when {p}", "    add -2.5 when q", f"    add 1 when not ({p})"]
    relations.append(("points", f"(if {p} then 10 else 0) - (if q then 2.5 else 0) + (if not ({p}) then 1 else 0)"))
    relations += samples(range(150))
    rows: list[edges.Row] = [{"customer_id": key} for key in range(150)]
    cells = {x: [None, *named.members(kind)] for x, kind in kinds.items()}
    cells |= {"m": [None, 0, 1, -1, *named.integer], "e": [None, Decimal(0), Decimal("-0.01"), *named.decimal]}
    cells |= {name: [None, True, False] for name in "pqr"} | {name: [None] for name in NOTHING}
    edges.spread(rows, cells, chance)
    lines += metrics(relations)
    return Example(edges.case(lines, model, as_of, draw(edges.timezones()), {"customers": rows}), relations)


Clock = Literal["ours", "instants", "others"]
"""How times lie in the data."""


def orders(clock: Clock) -> EventsSource:
    """Events with a key."""
    zoned, zone = clock == "instants", "Asia/Tokyo" if clock == "others" else None
    columns = Column("amount", "decimal(9,2)"), Column("kind", "text")
    return EventsSource(
        "orders", Column("order_id", "integer"), "customer_id", Column("ordered_at", "timestamp", zoned), zone, columns
    )


VISITS = EventsSource(
    *("visits", None, "customer_id", Column("visited_at", "timestamp"), None),
    (Column("page", "text"), Column("size", "integer")),
)
KINDS = ("B", "a", "b a", "é")


@st.composite
def histories(draw: Draw, clock: Clock, relate: Callable[[Draw, date], list[Same]]) -> Example:
    """Customers with one event at the edge of some window, and with several around it."""
    as_of, timezone, source = draw(edges.as_ofs()), draw(edges.timezones()), orders(clock)
    chance = Random(draw(st.integers(0, 999)))
    relations = relate(draw, as_of)
    moments = sorted({it for first, last in windows(as_of).values() for it in edges.at_edges(first, last)})
    moments += [datetime.combine(as_of - timedelta(days), time(12)) for days in (0, 1, 2, 40, 1000)]
    events: list[edges.Row] = [{"customer_id": key, "at": moment} for key, moment in enumerate(moments)]
    most = len(moments) + 60
    for key in range(len(moments), most):
        near = chance.sample(moments, 4)
        for _ in range(key % 7):
            day, clock_time = chance.choice(near).date(), chance.choice((time(), time(12), edges.LAST_MOMENT))
            events.append({"customer_id": key, "at": datetime.combine(day, clock_time)})
    events.sort(key=lambda it: edges.as_lies(it["at"], timezone, source))
    edges.spread(events, {"amount": [Decimal(it) / 4 for it in (1, 5, 5, -2, 0, 9)] + [None]}, chance)
    edges.spread(events, {"kind": [*KINDS, "a", None]}, chance)
    placed = [
        {**it, "order_id": number, "ordered_at": edges.as_lies(it["at"], timezone, source)}
        for number, it in enumerate(events)
    ]
    placed.append({**placed[0], "order_id": -1, "ordered_at": None})
    placed.append({**placed[0], "order_id": -2, "customer_id": None})
    placed.append({**placed[0], "order_id": -3, "customer_id": most + 1})
    chance.shuffle(placed)
    visits: list[edges.Row] = [
        {"customer_id": key, "visited_at": chance.choice(moments[:10])} for key in range(0, most, 3)
    ]
    visits = [dict(it) for it in visits for _ in range(it["customer_id"] % 5)]
    edges.spread(visits, {"page": KINDS, "size": (1, 10, 9, -3)}, chance)
    rows: list[edges.Row] = [{"customer_id": key} for key in range(most)]
    edges.spread(rows, {"t": [*KINDS, None], **{name: [None] for name in NOTHING}}, chance)
    lines = ['metric spent = sum(orders.amount where kind = "a")', "metric bought = count(orders.amount)"]
    lines += ["metric share = spent / bought", *metrics(relations)]
    model = edges.model({"t": "text", **NOTHING}, source, VISITS)
    tables = {"customers": rows, "orders": placed, "visits": visits}
    return Example(edges.case(lines, model, as_of, timezone, tables), relations)


def windowed_histories(clock: Clock) -> st.SearchStrategy[Example]:
    return histories(clock, lambda draw, as_of: list(windowed(as_of, draw(st.integers(0, 16)))))


def counted_histories() -> st.SearchStrategy[Example]:
    return histories("ours", lambda draw, as_of: list(aggregates(KINDS, as_of)))


@st.composite
def populations(draw: Draw) -> Example:
    """Customers of whom many are equal."""
    chance = Random(draw(st.integers(0, 999)))
    count = draw(st.sampled_from([40, 7, 100]))
    rows: list[edges.Row] = [{"customer_id": key} for key in range(count)]
    few = draw(st.lists(st.integers(-5, 30), min_size=3, max_size=12, unique=True))
    edges.spread(
        rows, {"n": [None, 0, *few, few[0]], "t": [None, "a", "b"], **{name: [None] for name in NOTHING}}, chance
    )
    values, groups = ({row["customer_id"]: row[name] for row in rows} for name in "nt")
    relations = list(rankings(values, groups))
    model = edges.model({"n": "integer", "t": "text", **NOTHING})
    return Example(edges.case(metrics(relations), model, date(2026, 6, 15), "UTC", {"customers": rows}), relations)


EXPRESSIONS = {
    "conditions": conditions(),
    **{f"windows, {clock}": windowed_histories(clock) for clock in get_args(Clock)},
    "aggregates": counted_histories(),
    "halves": histories("ours", lambda draw, as_of: list(halved(as_of))),
    "rankings": populations(),
}


FEW = settings(LOOK, max_examples=2)
MORE = settings(LOOK, max_examples=5)


@pytest.mark.parametrize("of", EXPRESSIONS)
@FEW
@given(st.data())
def test_expressions_that_say_the_same(of: str, data: st.DataObject) -> None:
    examine(data.draw(EXPRESSIONS[of]), duckdb_adapter.run_sql)


@pytest.mark.slow
@pytest.mark.parametrize("of", EXPRESSIONS)
@MORE
@given(st.data())
def test_expressions_that_say_the_same_at_length(of: str, data: st.DataObject) -> None:
    examine(data.draw(EXPRESSIONS[of]), duckdb_adapter.run_sql)


@pytest.mark.slow
@pytest.mark.parametrize("of", EXPRESSIONS)
@FEW
@given(st.data())
def test_expressions_that_say_the_same_in_postgres(of: str, data: st.DataObject) -> None:
    examine(data.draw(EXPRESSIONS[of]), postgres_adapter.run_sql)


# -- conditions that are made up ---------------------------------------------------------------------------------


def ruleset(draw: Draw, model: Model, as_of: date) -> str:
    """Tags that say the same, named after the relation and the way of saying it."""
    writer = Writer(draw, model, as_of)
    writer.write_model()
    for number in range(draw(st.integers(1, 2))):
        writer.write_metric(f"m{number}", draw(st.integers(1, 2)))
    writer.write_tag("first", 1)
    scope = writer.scope()
    p, q, r = (condition(draw, scope, depth).text for depth in (2, 1, 0))
    for number, same in enumerate(logic(p, q, r)):
        for way, text in enumerate(text for text in same if "nothing" not in text):
            writer.lines.append(f"tag {quoted(f'{number} {way}')} when {text}")
    writer.write_reader()
    return "\n".join(writer.lines) + "\n"


def examine_tags(case: Case, run_sql: Engine) -> None:
    ways: dict[str, set[str]] = {}
    for name in checked(case).tags:
        number, _, way = name.partition(" ")
        if way.isdigit():
            ways.setdefault(number, set()).add(name)
    for customer, answers in computed(case, run_sql).items():
        for same in ways.values():
            assert answers.tags & same in (set(), same), (customer, answers.tags & same, same)


def computed(case: Case, run_sql: Engine) -> dict[Any, Answers]:
    try:
        return run_sql(case)
    except ProblemError as error:
        if [problem.code for problem in error.problems] == [codes.overflow]:
            reject()
        raise


@settings(LOOK, max_examples=6)
@given(cases(ruleset))
def test_tags_that_say_the_same(case: Case) -> None:
    examine_tags(case, duckdb_adapter.run_sql)


@pytest.mark.slow
@settings(LOOK, max_examples=25)
@given(cases(ruleset))
def test_tags_that_say_the_same_at_length(case: Case) -> None:
    examine_tags(case, duckdb_adapter.run_sql)


# -- rules that a condition says as well -------------------------------------------------------------------------


def examine_rules(case: Case, rules: Sequence[Rule], run_sql: Engine) -> None:
    for customer, answers in run_sql(case).items():
        for number, rule in enumerate(rules):
            meant = answers.values[f"meant{number}"] is True
            assert is_given(answers, rule.answer) == meant, (customer, rule)


@FEW
@given(decisions())
def test_rules_that_a_condition_says_as_well(made: tuple[Case, list[Rule]]) -> None:
    examine_rules(*made, duckdb_adapter.run_sql)


@pytest.mark.slow
@FEW
@given(decisions())
def test_rules_that_a_condition_says_as_well_in_postgres(made: tuple[Case, list[Rule]]) -> None:
    examine_rules(*made, postgres_adapter.run_sql)


# -- the same rules over other data ------------------------------------------------------------------------------


def with_customers(case: Case, rows: Iterable[Mapping[str, Any]]) -> Case:
    return replace(case, tables={**case.tables, "customers": replace(case.tables["customers"], rows=list(rows))})


@settings(LOOK, max_examples=1)
@given(counted_histories())
def test_nobody_depends_on_others(example: Example) -> None:
    case = example.case
    rows: Sequence[Mapping[str, Any]] = case.tables["customers"].rows
    everybody = duckdb_adapter.run_sql(case)
    for chosen, where in (
        ([row for row in rows if row["customer_id"] % 2], ""),
        (rows[::-1], ""),
        ([row for row in rows if row["t"] == KINDS[0]], f"where t = {quoted(KINDS[0])}"),
        ([row for row in rows if row["customer_id"] >= 30], "where customer_id >= 30"),
    ):
        entity, rest = case.rules.split("\n", 1)
        some = replace(case, rules=f"{entity} {where}\n{rest}") if where else with_customers(case, chosen)
        assert duckdb_adapter.run_sql(some) == {row["customer_id"]: everybody[row["customer_id"]] for row in chosen}


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


@settings(LOOK, max_examples=5)
@given(cases())
def test_formatting_changes_no_sql(case: Case) -> None:
    for language in ("en", "zh"):
        laid_out = replace(case, rules=format_file(parse(Source("case.rules", case.rules)), language))
        for dialect in (DUCKDB, POSTGRES):
            assert sql(laid_out, dialect) == sql(case, dialect)
