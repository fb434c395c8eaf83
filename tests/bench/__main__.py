"""`make bench`: what a run costs, in multiples of what cannot be done without.

LB, the lower bound, is `select customer_id, sum(amount) … group by 1` over the same file on the same connection. Aims
are printed beside the figures, and nothing fails for being slow.

SCALE=full is a million customers with twenty million orders, SCALE=0.02 a fiftieth of that.
"""

import re
from dataclasses import replace
from datetime import date, timedelta
from functools import partial, reduce
from pathlib import Path
from shutil import rmtree
from statistics import median

import duckdb

from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Rule, Ruleset, Tag
from ruleengine.engines import server
from ruleengine.engines.duckdb import DuckDB
from ruleengine.engines.engine import Engine
from ruleengine.engines.postgres import Postgres
from ruleengine.planning.plan import plan
from ruleengine.schema import load
from ruleengine.source import Source
from ruleengine.sql.duckdb import DUCKDB
from ruleengine.sql.scans import default_clocks
from ruleengine.sql.statements import emit
from ruleengine.verbs.run import RunReport, run
from tests.bench import audit, hand, in_postgres
from tests.bench.data import CUSTOMERS, KEPT, LAST_DAY, Shop, ruleset_of, scale, shop
from tests.bench.measuring import Busy, Process, Stopwatch, Taken, Work, in_turn, mean, middle, take, take_command
from tests.bench.rules import KINDS, MODEL, rules

RULES = 100
COMMITTED = 300
EXAMPLES = 500
SUITE = {
    "suite.toml": "as_of = 2026-03-31\n",
    "customers.csv": "customer_id,country,birthday,signed_up\n1,DE,1990-01-01,2024-01-01\n2,,,\n",
    "orders.csv": "order_id,customer_id,ordered_at,amount,status,channel,category\n1,1,2026-03-01,9.50,paid,web,c03\n",
    "expected.csv": "customer_id,tag tag 0000\n1,no\n2,no\n",
}
DAY = LAST_DAY - timedelta(days=1)
ROUNDS = 5
ROUNDS_IN_POSTGRES = 3
ALONE = 5
"""Of so many rules one is also run by itself."""
LATER_RUNS = 3


def main() -> None:
    made = shop(scale(), KEPT)
    print(f"{made.customers:,} customers, {made.orders:,} orders; LB = select customer_id, sum(amount) group by 1")
    print(f"{'':58} {'by clock':>10} {'by CPU':>10}")
    folder = ruleset_of(made, KEPT / "ruleset", rules(RULES).text)
    with DuckDB(_checked(rules(RULES).text), load(folder).profile()) as engine:
        bound = _bound(engine.connection, made)
        _compiled(engine, made, bound)
        _kinds(engine, bound)
        _more_rules(engine, bound)
    _whole_runs(folder, made)
    _audited()
    with in_postgres.server(made, folder, KEPT) as busy:
        _in_postgres(folder, busy)
    _front_end()


def _audited() -> None:
    _heading("An audit, in seconds")
    changes, taken = audit.main()
    _line(f"{changes:,} changes verified", taken, audit.AIM, 1)


def _heading(text: str) -> None:
    print(f"\n{text}")


def _line(what: str, found: Taken, aim: str = "", digits: int = 2) -> None:
    clock, processors = (f"{each:,.{digits}f}" for each in (found.clock, found.processors))
    print(f"  {what:<56} {clock:>10} {processors:>10}   {aim}".rstrip(), flush=True)


def _checked(text: str) -> Ruleset:
    found = check([Source("shop.rules", text)], "shop", "UTC")
    assert found.ruleset is not None, [f"{problem.code.name} {problem.span}" for problem in found.problems]
    return found.ruleset


def _bound(connection: duckdb.DuckDBPyConnection, made: Shop) -> Work:
    orders = f"read_parquet('{made.orders_file.absolute()}')"
    sql = f"CREATE OR REPLACE TEMP TABLE bound AS SELECT customer_id, sum(amount) FROM {orders} GROUP BY 1"
    return partial(connection.execute, sql)


# -- SQL ------------------------------------------------------------------------------------------------------


def _compiled(engine: DuckDB, made: Shop, bound: Work) -> None:
    """Metrics and rules as compiled, by hand, and rule by rule."""

    statements = partial(_statements, engine)

    def execute(sql: list[str]) -> None:
        for each in sql:
            engine.connection.execute(each)

    compiled = statements(engine.ruleset)
    answers = f"CREATE OR REPLACE TEMP TABLE hand_assignments AS {hand.assignments(rules(RULES))}"
    by_hand = [hand.metrics(hand.DuckDB(made), DAY), answers]
    _heading(f"SQL of 30 metrics and {RULES} rules")
    found = in_turn(
        bound,
        {"metrics": partial(execute, compiled[:3]), "rules": partial(execute, compiled[3:])},
        ROUNDS,
    )
    _line("metrics / LB", found["metrics"])
    _line("rules / LB", found["rules"])
    _line(
        "compiled / written by hand, to the same answers",
        in_turn(partial(execute, by_hand), {"": partial(execute, compiled)}, ROUNDS)[""],
        "aim: at most 1.1",
    )
    differing = [count for (count,) in engine.connection.execute(hand.differences(rules(RULES))).fetchall()]
    if any(differing):
        print(f"  NOT the same: {differing[0]} customers differ in values, {differing[1]} in answers")
    chosen = engine.ruleset.order[::ALONE]
    alone = [sql for rule in chosen for sql in statements(_alone(engine.ruleset, rule))]
    several = in_turn(partial(execute, compiled), {"": partial(execute, alone)}, 1)[""]
    each = RULES / len(chosen)
    _line(
        f"each rule by itself / all at once ({len(chosen)} tried)",
        several.times(each),
        "aim: at least 15",
        1,
    )


def _statements(engine: Engine, ruleset: Ruleset) -> list[str]:
    planned = plan(ruleset, DAY)
    program = emit(planned, engine.dialect, engine.clocks, engine.known(planned))
    return [statement.sql(pretty=False) for statement in program.statements]


def _alone(ruleset: Ruleset, rule: Rule) -> Ruleset:
    if isinstance(rule, Tag):
        return replace(ruleset, tags={rule.name: rule}, ladders={}, order=(rule,))
    return replace(ruleset, tags={}, ladders={rule.name: rule}, order=(rule,))


def _kinds(engine: DuckDB, bound: Work) -> None:
    """What a metric costs that is all a ruleset reads."""
    _heading("A ruleset that reads one metric only, computed / LB")
    works: dict[str, Work] = {}
    for metric in KINDS:
        ruleset = _checked(f'{MODEL}\nmetric read = {metric}\ntag "reads" when read is known\n')
        works[metric] = partial(engine.run, plan(ruleset, DAY))
    for metric, found in in_turn(bound, works, 2).items():
        _line(metric, found)


def _more_rules(engine: DuckDB, bound: Work) -> None:
    _heading("Compiled and computed, with what is left out counted / LB")
    works = {
        f"{count:,} rules": partial(engine.run, plan(_checked(rules(count).text), DAY)) for count in (10, 100, 1000)
    }
    for name, found in in_turn(bound, works, 2).items():
        _line(name, found)


# -- whole runs -----------------------------------------------------------------------------------------------


def _whole_runs(folder: Path, made: Shop) -> None:
    """The verb, as the command line calls it: the first publication, then days that change little."""
    first_day = DAY - timedelta(days=LATER_RUNS)
    later: list[Taken] = []
    parts: dict[str, list[Taken]] = {}
    shares = []
    with duckdb.connect() as connection:
        bound = _bound(connection, made)
        bound()
        lower = middle([take(bound) for _ in range(3)])
        first = _run_alone(folder, first_day)
        first_run = first.taken.over(mean(lower, take(bound)))
        for number in range(1, LATER_RUNS + 1):
            before, watch = take(bound), Stopwatch()
            report = run(folder, "default", as_of=first_day + timedelta(number), actor="bench", progress=watch)
            taken, lower = watch.parts(), mean(before, take(bound))
            later.append(reduce(_sum, taken.values()).over(lower))
            for name, part in taken.items():
                parts.setdefault(name, []).append(part.over(lower))
            shares.append(_share(report))
        last = _run_alone(folder, DAY + timedelta(days=1))
    _heading("Whole runs: check, read, compute, compare, publish / LB")
    _line("the first publication, in a process of its own", first_run, digits=1)
    _line(f"a day later, {sum(shares) / len(shares):.1%} of the assignments changing", middle(later), "aim: at most 7")
    for name, several in parts.items():
        _line(f"    {name[0].lower()}{name[1:50]}", middle(several))
    if made.customers < CUSTOMERS:
        print("  (so few orders take less than what every run has to do once; SCALE=full shows the work)")
    _heading("Most memory of a process, in MiB")
    print(f"  {'the first publication':<56} {first.mebibytes:>10,.0f}")
    print(f"  {'a day later':<56} {last.mebibytes:>10,.0f}")


def _command(*arguments: str) -> Process:
    """A verb in a process of its own."""
    return take_command("-c", "import sys; from ruleengine.cli import main; sys.exit(main())", *arguments)


def _run_alone(folder: Path, day: date) -> Process:
    return _command("run", str(folder), "--as-of", str(day), "--actor", "bench")


def _sum(one: Taken, other: Taken) -> Taken:
    return Taken(one.clock + other.clock, one.processors + other.processors)


def _share(report: RunReport) -> float:
    """How many of the assignments are new or gone."""
    assert report.movement is not None
    ladders = (*report.counts.tiers.values(), *report.counts.classes.values())
    held = sum(report.counts.tags.values()) + sum(sum(levels.values()) for levels in ladders)
    return report.movement.rows / held


# -- inside Postgres ------------------------------------------------------------------------------------------


def _in_postgres(folder: Path, busy: Busy) -> None:
    """The same inside a server, whose processes count."""
    with Postgres(_checked(rules(RULES).text), load(folder).profile("prod")) as engine:
        _heading(f"Inside Postgres {server.release(engine.connection)}: SQL of 30 metrics and {RULES} rules")
        _compiled_in_postgres(engine, busy)
    _runs_in_postgres(folder)


def _compiled_in_postgres(engine: Postgres, busy: Busy) -> None:
    def execute(sql: list[str]) -> None:
        engine.begin_again()
        for each in sql:
            engine.query(each)

    compiled = _statements(engine, engine.ruleset)
    answers = f"CREATE TEMPORARY TABLE hand_assignments AS {hand.assignments(rules(RULES))}"
    by_hand = [hand.metrics(hand.Postgres(), DAY), answers]
    found = in_turn(partial(execute, by_hand), {"": partial(execute, compiled)}, ROUNDS_IN_POSTGRES, busy)[""]
    _line("compiled / written by hand, to the same answers", found, "aim: at most 1.2")
    execute([*by_hand, *compiled])
    _, ((values,), (others,)) = engine.query(hand.differences(rules(RULES), "{}::numeric"))
    if values or others:
        print(f"  NOT the same: {values} customers differ in values, {others} in answers")
    chosen = engine.ruleset.order[:: 2 * ALONE]
    alone = [_statements(engine, _alone(engine.ruleset, rule)) for rule in chosen]

    def one_by_one() -> None:
        for each in alone:
            execute(each)

    several = in_turn(partial(execute, compiled), {"": one_by_one}, 1, busy)[""].times(RULES / len(chosen))
    _line(f"each rule by itself / all at once ({len(chosen)} tried)", several, "aim: at least 15", 1)


def _runs_in_postgres(folder: Path) -> None:
    """Whole runs, beside the same ones by DuckDB."""
    first_day = DAY - timedelta(days=LATER_RUNS)
    rmtree(folder / ".ruleengine", ignore_errors=True)
    seconds: dict[str, list[float]] = {"default": [], "prod": []}
    parts: dict[str, list[float]] = {}
    shares = []
    for number in range(LATER_RUNS + 1):
        for profile, taken in seconds.items():
            report = run(folder, profile, as_of=first_day + timedelta(number), actor="bench")
            taken.append(sum(phase.seconds for phase in report.phases))
            if profile == "prod" and number:
                shares.append(_share(report))
                for phase in report.phases:
                    parts.setdefault(phase.name, []).append(phase.seconds / taken[-1])
    ratios = [ours / theirs for ours, theirs in zip(seconds["prod"], seconds["default"], strict=True)]
    _heading("Whole runs inside Postgres, answers kept there, beside those by DuckDB into a folder")
    print(f"  {'the first publication, Postgres / DuckDB':<56} {ratios[0]:>10.2f}")
    print(f"  {'a day later, Postgres / DuckDB':<56} {median(ratios[1:]):>10.2f}")
    changing = sum(shares) / len(shares)
    print(f"  of the later run, with {changing:.1%} of the assignments changing:")
    for name, several in parts.items():
        print(f"    {name:<54} {median(several):>10.1%}")
    published = median(parts["publishing"]) / (100 * changing)
    print(f"    {'publishing, for each 1% of the assignments':<54} {published:>10.1%}   aim: at most 5%")


# -- before any data ------------------------------------------------------------------------------------------


def _front_end() -> None:
    """A thousand rules, in this process and in a new one."""
    text = rules(1000).text
    file = KEPT / "thousand.rules"
    file.write_text(text)
    _heading("A thousand rules before any data, in seconds")
    ruleset = _checked(text)
    _line("parsed and checked", middle([take(lambda: _checked(text)) for _ in range(3)]), "aim: at most 3")

    def compile_all() -> None:
        for statement in emit(plan(ruleset, DAY), DUCKDB, default_clocks(ruleset)).statements:
            statement.sql(pretty=False)

    _line("planned and compiled to SQL", middle([take(compile_all) for _ in range(3)]))
    checking = f"from tests.bench.__main__ import _checked; _checked(open({str(file)!r}).read())"
    importing = "import tests.bench.__main__"
    _line("parsed and checked by a new process", take_command("-c", checking).taken)
    _line("a new process that does nothing but import", take_command("-c", importing).taken)
    _heading("What a commit waits for, in seconds")
    folder = KEPT / "committed"
    folder.mkdir(exist_ok=True)
    (folder / "shop.rules").write_text(rules(COMMITTED).text)
    (folder / "ruleset.toml").write_text('[ruleset]\nname = "shop"\ntimezone = "UTC"\n')
    checked = [_command("check", "--no-proofs", str(folder)).taken for _ in range(ROUNDS)]
    _line(f"`check --no-proofs` of {COMMITTED} rules by a new process", middle(checked), "aim: at most 1")
    _asked(folder)


def _asked(folder: Path) -> None:
    """The tests of a ruleset: examples, and what a suite costs beside them."""
    written = rules(COMMITTED)
    tags = re.findall(r'^tag "(.+)" when monetary_90d > .+ and frequency >= ', written.text, re.MULTILINE)
    asking = [
        f'example "{number}" given monetary_90d = 0, frequency = {number} expect no tag "{tags[number % len(tags)]}"\n'
        for number in range(EXAMPLES)
    ]
    (folder / "shop.rules").write_text(f"{written.text}\n{''.join(asking)}")
    rmtree(folder / "tests", ignore_errors=True)
    alone = middle([_command("test", str(folder)).taken for _ in range(ROUNDS)])
    _line(f"`test` of {EXAMPLES} examples by a new process", alone, "aim: at most 2")
    suite = folder / "tests" / "suite"
    suite.mkdir(parents=True)
    for name, table in SUITE.items():
        (suite / name).write_text(table)
    both = middle([_command("test", str(folder)).taken for _ in range(ROUNDS)])
    _line("    and of a suite", Taken(both.clock - alone.clock, both.processors - alone.processors), "aim: at most 1")


if __name__ == "__main__":
    main()
