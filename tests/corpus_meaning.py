"""The corpus pages that run: rules and data in; values, assignments, counts and SQL out.

`rules` takes `as-of=DATE` (2026-03-31), `timezone=ZONE` (UTC) and `set=NAME=VALUE`. The data of a source stands in a
block that names it: `csv NAME`, or `parquet NAME` with the SELECT that makes it; `file PATH` is written as it is. Lines
of `toml` are added to the ruleset.toml made of all that, or stand for its sources if they say where those are. `raised`
makes a problem that no page can bring about.

`values` is a table for all customers, whose head is an expression for each column behind the first; `rows` what an
export holds, `remembered` what earlier versions left (its head names the columns, as `Memory` labels them, those that
are NULL for all left out; `published` in place of a customer says which names of the past were known), `left` what this
run leaves for the next, `reasons` what `because` says, `counts` what a run counts beside them, `sql` or `sql NAME` what
`compile` prints. The engine and the reference interpreter both have to say what the page says.
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ruleengine.checking.check import check
from ruleengine.checking.expressions import Ranking
from ruleengine.checking.literals import text_literals
from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError, Problems
from ruleengine.engines.columns import literal, quote
from ruleengine.engines.duckdb import DuckDB
from ruleengine.engines.engine import Findings
from ruleengine.engines.occurrence import never_seen
from ruleengine.interpreter import Facts, Outcome, Overflow, TagTrace, evaluate, evaluate_all, exists, explain
from ruleengine.interpreter.memory import Recollection, from_values
from ruleengine.planning.plan import Plan, plan
from ruleengine.schema import Profile
from ruleengine.schema import parse as parse_manifest
from ruleengine.source import Source
from ruleengine.sql.dialect import Dialect
from ruleengine.sql.duckdb import DUCKDB
from ruleengine.sql.postgres import POSTGRES
from ruleengine.sql.scans import default_clocks
from ruleengine.sql.statements import emit
from ruleengine.types import BOOLEAN, Kind, Type, Value
from ruleengine.verbs.explain import _filled as filled
from tests import duck
from tests.corpus_postgres import agree

if TYPE_CHECKING:
    from tests.test_corpus import Page

_SQL_TYPES = {Kind.BOOLEAN: "BOOLEAN", Kind.DATE: "DATE", Kind.TEXT: "VARCHAR"}
AS_OF = date(2026, 3, 31)
SHOWN = "shown.rules"
"""The file that reads what the head of `values` names; its metrics and its tag are in no answer."""

Columns = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a page's rules say of its data."""

    problems: tuple[Problem, ...]
    values: Mapping[Any, Sequence[str]] = field(default_factory=dict)
    rows: Sequence[tuple[Any, str, str, str | None]] = ()
    reasons: Sequence[tuple[Any, str, str]] = ()
    left: Sequence[tuple[Any, ...]] = ()
    counts: Sequence[str] = ()


def problems_of_run(page: "Page") -> Sequence[Problem]:
    return _answers(page).problems


def answers_of_run(page: "Page") -> dict[str, Callable[[], str]]:
    """What the blocks of a page that runs should say."""
    return {
        "values": lambda: _table([("customer", *_heads(page)), *_value_rows(page)]),
        "rows": lambda: _table([("customer", "kind", "name", "value"), *_answers(page).rows]),
        "reasons": lambda: _table([("customer", "tag", "reason"), *_answers(page).reasons]),
        "left": lambda: _table(_answers(page).left),
        "counts": lambda: "".join(f"{line}\n" for line in _answers(page).counts),
        "sql": lambda: _sql(page, "sql", DUCKDB),
        "postgres": lambda: _sql(page, "postgres", POSTGRES),
    }


def _heads(page: "Page") -> tuple[str, ...]:
    blocks = page.blocks("values")
    return tuple(cell.strip() for cell in blocks[0].text.splitlines()[0].split(" | ")[1:]) if blocks else ()


def _value_rows(page: "Page") -> list[tuple[str, ...]]:
    values = _answers(page).values
    return [(str(key), *values[key]) for key in sorted(values)]


def _written(value: Value, type: Type) -> str:
    """As a rule would write it; of a double every digit, and always a point."""
    match value:
        case None:
            return "unknown" if type == BOOLEAN else "missing"
        case bool():
            return str(value).lower()
        case str():
            return '"' + value.replace('"', '""') + '"'
        case Decimal():
            text = f"{value:f}"
            return text.rstrip("0").rstrip(".") if "." in text else text
        case _:
            return str(value)


def _table(rows: Sequence[tuple[object, ...]]) -> str:
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "".join(
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in cells
    )


# -- a page as a ruleset --------------------------------------------------------------------------------------


def _answers(page: "Page") -> Answers:
    return _answered(page, page.text)


@cache
def _answered(page: "Page", text: str) -> Answers:
    found = Problems(_raised(block.text) for block in page.blocks("raised"))
    if found.has_errors:
        return Answers(tuple(found))
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        _write_data(page, directory)
        ruleset = _checked(page, found, shown=True)
        if ruleset is None or not any(page.blocks(kind) for kind in ("csv", "parquet", "file")):
            return Answers(tuple(found))
        manifest = _manifest(page)
        profile = parse_manifest(directory, Source("ruleset.toml", manifest), manifest).profile()
        try:
            return _run(page, ruleset, profile, found)
        except ProblemError as error:
            found.extend(_anywhere(problem, directory) for problem in error.problems)
            return Answers(tuple(found))


def _anywhere(problem: Problem, directory: Path) -> Problem:
    """The problem as it would be said in another folder."""
    facts = {
        name: fact.replace(f"{directory}/", "") if type(fact) is str else fact for name, fact in problem.facts.items()
    }
    return replace(problem, facts=facts)


def _raised(text: str) -> Problem:
    slug, *facts = shlex.split(text)
    return Problem(codes.CODES[slug], None, dict(fact.split("=", 1) for fact in facts))


def _option(page: "Page", name: str, otherwise: str) -> str:
    return next((found for block in page.blocks("rules") if (found := block.option(name)) is not None), otherwise)


def _as_of(page: "Page") -> date:
    return date.fromisoformat(_option(page, "as-of", str(AS_OF)))


def _checked(page: "Page", found: Problems, *, shown: bool) -> Ruleset | None:
    sources = [source for block in page.blocks("rules") if isinstance(source := block.read(), Source)]
    heads = _heads(page)
    if heads and shown:
        metrics = [f"metric shown_value_{index} = {head}\n" for index, head in enumerate(heads)]
        read = " or ".join(f"shown_value_{index} is missing" for index in range(len(heads)))
        sources.append(Source(SHOWN, f'{"".join(metrics)}tag "{SHOWN}" when {read}\n'))
    overrides = dict(
        option.removeprefix("set=").split("=", 1)
        for block in page.blocks("rules")
        for option in block.options
        if option.startswith("set=")
    )
    zone = _option(page, "timezone", "UTC")
    result = check(sources, "page", zone, overrides=overrides, today=_as_of(page))
    found.extend(result.problems)
    return result.ruleset


def _write_data(page: "Page", directory: Path) -> None:
    for block in page.blocks("csv"):
        (directory / f"{block.options[0]}.csv").write_text(block.text, "utf-8")
    for block in page.blocks("file"):
        (directory / block.options[0]).write_text(block.text, "utf-8")
    for block in page.blocks("parquet"):
        with duck.database() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"COPY ({block.text}) TO '{directory / block.options[0]}.parquet' (FORMAT parquet)")


def _manifest(page: "Page") -> str:
    more = "".join(block.text for block in page.blocks("toml"))
    zone = _option(page, "timezone", "UTC")
    lines = ["[ruleset]", 'name = "page"', f'timezone = "{zone}"', "[profiles.default]", 'engine = "duckdb"']
    if "[profiles.default.sources]" not in more:
        more = f"{more}[profiles.default.sources]\n"
    for kind in ("csv", "parquet"):
        for block in page.blocks(kind):
            name = block.options[0]
            if not re.search(rf"(?m)^{name} *=", more):
                more += f'{name} = "{name}.{kind}"\n'
    return "\n".join(lines) + "\n" + more


def _sql(page: "Page", kind: str, dialect: Dialect) -> str:
    """The statements of a page; of one where the block names it."""
    blocks = page.blocks(kind)
    name = blocks[0].options[0] if blocks and blocks[0].options else None
    ruleset = _checked(page, Problems(), shown=False)
    assert ruleset is not None
    statements = emit(plan(ruleset, _as_of(page)), dialect, default_clocks(ruleset)).statements
    return "\n".join(f"-- {each.purpose}\n{each.sql()};\n" for each in statements if name in (None, each.name))


def run_in_postgres(page: "Page") -> None:
    """Ask Postgres what the page asks, where it has data that can be read."""
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        _write_data(page, directory)
        ruleset = _checked(page, Problems(), shown=True)
        if ruleset is None:
            return
        manifest = _manifest(page)
        profile = parse_manifest(directory, Source("ruleset.toml", manifest), manifest).profile()
        try:
            engine = DuckDB(ruleset, profile)
        except ProblemError:
            return  # its data is at fault
        with engine:
            agree(engine, _as_of(page))


# -- both ways to the answers ---------------------------------------------------------------------------------


def _run(page: "Page", ruleset: Ruleset, profile: Profile, found: Problems) -> Answers:
    day = _as_of(page)
    found.extend(never_seen(profile, text_literals(ruleset)))
    planned = plan(ruleset, day)
    with DuckDB(ruleset, profile) as engine:
        found.extend(engine.problems)
        failure = findings = None
        _remember(page, engine, planned)
        try:
            findings = engine.run(planned)
        except ProblemError as error:
            if [problem.code for problem in error.problems] != [codes.overflow]:
                raise
            failure = error
        customers = _customers(engine)
        recalled = _recalled(engine, planned, ruleset, day) if findings is not None else {}
        customers = {key: replace(it, memory=recalled.get(key, it.memory)) for key, it in customers.items()}
        try:
            ranked = any(isinstance(metric.expression, Ranking) for metric in ruleset.metrics.values())
            if ranked or any(tag.limit for tag in ruleset.tags.values()):
                expected = evaluate_all(ruleset, customers, day)
            else:
                expected = {
                    key: evaluate(ruleset, it, day) for key, it in customers.items() if exists(ruleset, it, day)
                }
        except Overflow as overflow:
            raise failure or AssertionError(f"only the interpreter says {overflow}") from overflow
        assert findings is not None, f"only the engine says {failure}"
        computed = _computed(engine, planned)
        left = _left(engine, planned)
    _agree_on_memory(planned, left, expected)
    _agree(ruleset, computed, expected)
    _agree_on_counts(findings, ruleset, expected)
    shown = [name for name in ruleset.metrics if name.startswith("shown_value_")]
    return Answers(
        tuple(found),
        values={
            key: [_written(it.values[name], ruleset.metrics[name].type) for name in shown]
            for key, it in computed.items()
        },
        rows=sorted(
            ((key, *row) for key, it in computed.items() for row in it.rows if row[1] != SHOWN),
            key=lambda row: row[:3],
        ),
        reasons=[
            (key, name, reason)
            for key in sorted(expected)
            for name, tag in sorted(ruleset.tags.items())
            if tag.because is not None
            and expected[key].tags[name]
            and isinstance(trace := explain(ruleset, customers[key], day, ("tag", name)), TagTrace)
            and (reason := filled(tag.because, trace.because))
        ],
        counts=_counts(findings),
        left=[
            ("customer", *_left_labels(planned)),
            *((key, *row) for key, row in sorted(left.items())),
        ],
    )


@dataclass(frozen=True, slots=True)
class Computed:
    """What the engine's tables say of one customer."""

    values: Columns
    rows: Sequence[tuple[str, str, str | None]]


def _computed(engine: DuckDB, planned: Plan) -> dict[Any, Computed]:
    layout = planned.layout
    values = {row[0]: row[1:] for row in engine.connection.execute("SELECT * FROM result_values").fetchall()}
    answers = {}
    for key, *words in engine.connection.execute("SELECT * FROM result_assignments").fetchall():
        rows: list[tuple[str, str, str | None]] = [
            ("tag", slot.name, None) for slot in layout.tags if words[slot.word] >> slot.bit & 1
        ]
        rows += [
            (slot.kind, slot.name, slot.values[rung - 1])
            for slot, rung in zip(layout.ladders, words[layout.words :], strict=False)
            if rung
        ]
        named = {column.name: cell for column, cell in zip(layout.values, values[key], strict=True)}
        answers[key] = Computed(named, rows)
    return answers


def _remember(page: "Page", engine: DuckDB, planned: Plan) -> None:
    """Make the tables that a store would make, of what the page says."""
    for block in page.blocks("remembered"):
        head, *lines = ([cell.strip() for cell in line.split("|")] for line in block.text.splitlines())
        labels = [label for part in planned.memory.parts for label in part.labels]
        assert set(head[1:]) <= set(labels), f"the page's rules remember {labels}"
        columns = list(zip(labels, planned.memory.columns, strict=True))
        known = {}
        rows = []
        for line in lines:
            row = dict(zip(head[1:], line[1:], strict=True))
            if line[0] == "published":
                known = row
                continue
            key = f"CAST({literal(line[0])} AS {'BIGINT' if planned.layout.key_type.name == 'integer' else 'VARCHAR'})"
            cells = [
                f"CAST({literal(row[label]) if row.get(label) else 'NULL'} AS {_SQL_TYPES[type.kind]}) AS {quote(name)}"
                for label, (name, type) in columns
            ]
            rows.append(f"SELECT {', '.join([f'{key} AS customer', *cells])}")
        engine.connection.execute(f"CREATE TEMP TABLE remembered AS {' UNION ALL '.join(rows)}")
        names = [f"{known.get(part.text) == 'true'} AS {quote(part.column)}" for part in planned.memory.past]
        if names:
            engine.connection.execute(f"CREATE TEMP TABLE remembered_names AS SELECT {', '.join(names)}")


def _recalled(engine: DuckDB, planned: Plan, ruleset: Ruleset, day: date) -> dict[Any, Recollection]:
    """The same for the interpreter, from the values that a run keeps."""
    layout = planned.layout
    rows = engine.connection.execute("SELECT * FROM result_values").fetchall()
    return {
        key: from_values(ruleset, day, {it.name: cell for it, cell in zip(layout.values, cells, strict=True)})
        for key, *cells in rows
    }


def _left_labels(planned: Plan) -> list[str]:
    """What a run leaves, as the next one calls it; that a tag is held is not left, but published."""
    labels = [label for part in planned.memory.tags for label in part.labels[1:]]
    return [*labels, *(label for part in planned.memory.tiers for label in part.labels)]


def _left(engine: DuckDB, planned: Plan) -> dict[Any, tuple[Any, ...]]:
    columns = [part.matched for part in planned.memory.tags]
    columns += [name for part in planned.memory.tiers for name in (part.level, part.reached, part.below)]
    selected = ", ".join(map(quote, ["customer", *columns]))
    rows = engine.connection.execute(f"SELECT {selected} FROM result_assignments").fetchall()
    return {key: tuple(cells) for key, *cells in rows}


def _agree_on_memory(planned: Plan, left: Mapping[Any, tuple[Any, ...]], expected: Mapping[Any, Outcome]) -> None:
    for key, outcome in expected.items():
        wanted: list[Any] = []
        for part in planned.memory.tags:
            decision = outcome.decisions[part.tag]
            given = outcome.tags[part.tag] is True
            wanted.append(decision.last_match if given and decision.matches is not True else None)
        for tier in planned.memory.tiers:
            now = outcome.standings[tier.tier].now
            wanted += [now.level, now.reached, now.below]
        assert left[key] == tuple(wanted), key


def _customers(engine: DuckDB) -> dict[Any, Facts]:
    """Everyone the entity could hold, and what is known of him, as the engine reads the files."""
    ruleset = engine.ruleset
    entity = ruleset.entity
    events = {
        name: (source.customer.name, _rows(engine, name, source.at.name)) for name, source in ruleset.events.items()
    }
    attributes: dict[Any, Mapping[str, Any]]
    if entity.distinct:
        customer, rows = events[entity.source]
        attributes = {row[customer]: {entity.key.name: row[customer]} for row in rows if row[customer] is not None}
    else:
        attributes = {row[entity.key.name]: row for row in _rows(engine, entity.name, None)}
    return {
        key: Facts(
            attributes=row,
            events={
                name: [each for each in rows if each[customer] == key] for name, (customer, rows) in events.items()
            },
        )
        for key, row in attributes.items()
    }


def _rows(engine: DuckDB, source: str, at: str | None) -> list[dict[str, Any]]:
    zoned = at is not None and engine.clocks[source] == "instant"
    # DuckDB hands out a time with its zone only where pytz is.
    columns = f'* REPLACE (timezone(\'UTC\', "{at}") AS "{at}")' if zoned else "*"
    cursor = engine.connection.execute(f'SELECT {columns} FROM "source_{source}"')
    names = [str(column[0]) for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    if at is not None and zoned:
        for row in rows:
            row[at] = row[at].replace(tzinfo=UTC) if isinstance(row[at], datetime) else None
    return rows


def _exactly(value: Value) -> tuple[str, object]:
    """Equal only for values of the same kind."""
    is_exact = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return ("exact", Decimal(value)) if is_exact else (type(value).__name__, repr(value))  # type: ignore[arg-type]


def _agree(ruleset: Ruleset, computed: Mapping[Any, Computed], expected: Mapping[Any, Outcome]) -> None:
    assert computed.keys() == expected.keys()
    for key, outcome in expected.items():
        said = computed[key]
        for name in said.values.keys() & outcome.metrics.keys():
            assert _exactly(said.values[name]) == _exactly(outcome.metrics[name]), (key, name)
        rows = [
            ("tag", name, None)
            for name, given in outcome.tags.items()
            if given and (name in ruleset.manual_tags or not ruleset.tags[name].draft)
        ]
        ladders = [
            (ruleset.ladders[name].kind, name, value)
            for name, value in outcome.ladders.items()
            if value is not None and not ruleset.ladders[name].draft
        ]
        assert set(said.rows) == {*rows, *ladders}, key


def _agree_on_counts(findings: Findings, ruleset: Ruleset, expected: Mapping[Any, Outcome]) -> None:
    assert findings.customers == len(expected)
    for draft in findings.drafts:
        answers = [
            outcome.tags[draft.name] is True
            if draft.kind == "tag"
            else outcome.ladders[draft.name] is not None and outcome.ladders[draft.name] == draft.value
            for outcome in expected.values()
        ]
        assert draft.customers == sum(answers), draft
    for name, count in findings.unknown_classes.items():
        assert count == sum(name in outcome.unknown_lines for outcome in expected.values()), name


def _counts(findings: Findings) -> list[str]:
    lines = [f"customers: {findings.customers}"]
    for source in findings.sources:
        lines.append(f"{source.source}: {source.events}")
        for count, what in (
            (source.without_customer, "without a customer"),
            (source.of_unknown_customers, "of unknown customers"),
            (source.without_time, "without a time"),
        ):
            if count:
                lines.append(f"{source.source} {what}: {count}")
        lines += [f"{source.source} for which `{text}` is unknown: {count}" for text, count in source.unknown_filters]
    for draft in findings.drafts:
        name = f'tag "{draft.name}"' if draft.value is None else f'{draft.kind} {draft.name} "{draft.value}"'
        lines.append(f"draft {name}: {draft.customers}")
    lines += [f"class {name} unknown: {count}" for name, count in findings.unknown_classes.items()]
    lines += [f'tag "{name}" suppressed: {count}' for name, count in findings.suppressed.items()]
    lines += [f'tag "{name}" over its limit: {count}' for name, count in findings.over_budget.items()]
    return lines
