"""`make bench`: what a run costs, as ratios of things measured side by side in one go.

LB, the lower bound, is `select customer_id, sum(amount) … group by 1` over the same file. Every figure is the median of
repetitions taken in turn with it, so that a machine that slows down slows both. Aims are printed, never asserted.
SCALE=full is a million customers and twenty million orders; SCALE=0.1 a tenth of that.
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from shutil import rmtree
from statistics import median
from time import perf_counter

from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Ruleset, Tag
from ruleengine.engines.duckdb import DuckDB, default_clocks
from ruleengine.planning.plan import plan
from ruleengine.schema import load
from ruleengine.source import Source
from ruleengine.sql.statements import emit
from ruleengine.verbs.run import run
from tests.bench import hand
from tests.bench.data import LAST_DAY, Shop, shop
from tests.bench.rules import Rules, rules

KEPT = Path("build/bench")
SMALL = 0.1
REPETITIONS = 5
DAY = LAST_DAY - timedelta(days=1)
RULES = 100
TRIED_ALONE = 8
"""Of so many rules one is run by itself, for one SQL per rule."""


def main() -> None:
    scale = os.environ.get("SCALE", str(SMALL))
    made = shop(1.0 if scale == "full" else float(scale), KEPT)
    print(f"{made.customers:,} customers, {made.orders:,} orders, {RULES} rules; as of {DAY}\n")
    folder = _folder(made, rules(RULES))
    ruleset = _checked(rules(RULES))
    with DuckDB(ruleset, load(folder).profile()) as engine:
        bound = _compare(engine, ruleset, made, rules(RULES))
        _rule_counts(engine, bound)
    _whole_runs(folder, made)
    _memory(folder)
    _front_end()


def _line(what: str, figure: str, aim: str = "") -> None:
    print(f"  {what:<58} {figure:>12}   {aim}", flush=True)


def _folder(made: Shop, written: Rules) -> Path:
    folder = KEPT / "ruleset"
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "shop.rules").write_text(written.text)
    sources = f'customers = "{made.customers_file.absolute()}"\norders = "{made.orders_file.absolute()}"\n'
    profile = '[profiles.default]\nengine = "duckdb"\n[profiles.default.sources]\n'
    (folder / "ruleset.toml").write_text(f'[ruleset]\nname = "shop"\ntimezone = "UTC"\n{profile}{sources}')
    return folder


def _checked(written: Rules) -> Ruleset:
    found = check([Source("shop.rules", written.text)], "shop", "UTC")
    assert found.ruleset is not None, [f"{problem.code.name} {problem.span}" for problem in found.problems]
    return found.ruleset


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _in_turn(works: dict[str, Callable[[], object]], repetitions: int = REPETITIONS) -> dict[str, float]:
    """Medians of several works, each done once in every round, after a round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for repetition in range(repetitions + 1):
        for name, work in works.items():
            taken = _seconds(work)
            if repetition:
                seconds[name].append(taken)
    return {name: median(taken) for name, taken in seconds.items()}


def _lower_bound(engine: DuckDB, made: Shop) -> Callable[[], object]:
    orders = f"read_parquet('{made.orders_file.absolute()}')"
    sql = f"CREATE OR REPLACE TEMP TABLE bound AS SELECT customer_id, sum(amount) FROM {orders} GROUP BY 1"
    return lambda: engine.connection.execute(sql)


def _compare(engine: DuckDB, ruleset: Ruleset, made: Shop, written: Rules) -> Callable[[], object]:
    bound = _lower_bound(engine, made)
    statements = [statement.sql(pretty=False) for statement in emit(plan(ruleset, DAY), engine.clocks).statements]
    by_name = dict(zip(("customers", "metrics", "view", "assignments"), statements, strict=False))

    def execute(*sql: str) -> Callable[[], object]:
        return lambda: [engine.connection.execute(each) for each in sql]

    by_hand = (hand.metrics(made, DAY), hand.assignments(written))
    alone = [_alone(ruleset, tag) for tag in list(ruleset.tags.values())[::TRIED_ALONE]]
    alone_sql = [s.sql(pretty=False) for each in alone for s in emit(plan(each, DAY), engine.clocks).statements]
    figures = _in_turn(
        {
            "LB": bound,
            "metrics": execute(by_name["customers"], by_name["metrics"], by_name["view"]),
            "rules": execute(by_name["assignments"]),
            "hand metrics": execute(by_hand[0]),
            "hand rules": execute(by_hand[1]),
        }
    )
    execute(*statements)()
    _same_answers(engine, written)
    lower, together = figures["LB"], figures["metrics"] + figures["rules"]
    by_hand_seconds = figures["hand metrics"] + figures["hand rules"]
    print("Compiled SQL")
    _line("metrics / LB", f"{figures['metrics'] / lower:.2f}")
    _line("rules / LB", f"{figures['rules'] / lower:.2f}")
    _line("compiled / SQL written by hand (the same answers)", f"{together / by_hand_seconds:.2f}", "aim: at most 1.1")
    one_by_one = _in_turn({"LB": bound, "alone": execute(*alone_sql)}, 1)
    each = one_by_one["alone"] / one_by_one["LB"] / len(alone)
    _line(
        f"one SQL per rule / compiled ({len(alone)} of {RULES} tried)",
        f"{each * RULES * lower / together:.1f}",
        "aim: at least 15",
    )
    return bound


def _alone(ruleset: Ruleset, tag: Tag) -> Ruleset:
    return replace(ruleset, tags={tag.name: tag}, ladders={}, order=(tag,))


def _same_answers(engine: DuckDB, written: Rules) -> None:
    """What is written by hand must say the same, or the comparison means nothing."""
    words = [f"w{word}" for word in range(-(-len(written.tags) // hand.TAGS_PER_WORD))]
    columns = ", ".join(["customer", *words, *(f"l{index}" for index in range(len(written.ladders)))])
    differing = engine.connection.execute(
        f"SELECT count(*) FROM (SELECT {columns} FROM result_assignments EXCEPT SELECT {columns} FROM hand_assignments)"
    ).fetchone()
    if differing != (0,):
        print(f"  (the SQL by hand answers differently for {differing} customers)")


def _rule_counts(engine: DuckDB, bound: Callable[[], object]) -> None:
    works: dict[str, Callable[[], object]] = {"LB": bound}
    for count in (10, 100, 1000):
        planned = plan(_checked(rules(count)), DAY)
        works[f"{count:,} rules"] = lambda planned=planned: engine.run(planned)  # type: ignore[misc]
    figures = _in_turn(works, 2)
    print("\nCompiling and computing, with what is left out counted")
    for name, seconds in figures.items():
        if name != "LB":
            _line(f"{name} / LB", f"{seconds / figures['LB']:.2f}")


def _whole_runs(folder: Path, made: Shop) -> None:
    """Runs through the verb, as the command line does them: the first publication, then days that change little."""
    import duckdb

    orders = f"read_parquet('{made.orders_file.absolute()}')"

    def bound() -> float:
        with duckdb.connect() as connection:
            sql = f"CREATE TEMP TABLE bound AS SELECT customer_id, sum(amount) FROM {orders} GROUP BY 1"
            return _seconds(lambda: connection.execute(sql))

    bound()
    lower = [bound()]
    start = perf_counter()
    run(folder, "default", as_of=DAY - timedelta(days=3), actor="bench")
    first = perf_counter() - start
    later, shares, phases = [], [], {}
    for back in (2, 1, 0):
        lower.append(bound())
        start = perf_counter()
        report = run(folder, "default", as_of=DAY - timedelta(days=back), actor="bench")
        later.append(perf_counter() - start)
        assert report.movement is not None
        held = sum(report.counts.tags.values()) + made.customers * 4
        shares.append(report.movement.rows / held)
        phases = {phase.name: phase.seconds for phase in report.phases}
    middle = median(lower)
    print("\nWhole runs: check, read, compute, compare, publish")
    _line("first publication / LB", f"{first / middle:.1f}")
    _line(
        f"a day later ({median(shares):.1%} of the assignments change) / LB",
        f"{median(later) / middle:.1f}",
        "aim: at most 7",
    )
    for name, seconds in phases.items():
        _line(f"    of it {name}", f"{seconds / middle:.2f}")


def _memory(folder: Path) -> None:
    command = [str(Path(sys.executable).with_name("ruleengine")), "run", str(folder), "--as-of", str(LAST_DAY)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print("\nPeak memory of a run")
    _line("MiB", f"{peak:,.0f}")


def _front_end() -> None:
    written = rules(1000)
    print("\nA thousand rules, before any data")
    found: list[Ruleset] = []
    checking = _in_turn({"": lambda: found.append(_checked(written))}, 3)[""]
    _line("parsed and checked, seconds", f"{checking:.2f}", "aim: at most 3")
    ruleset = found[-1]

    def compile_all() -> None:
        for statement in emit(plan(ruleset, DAY), default_clocks(ruleset)).statements:
            statement.sql(pretty=False)

    _line("planned and compiled to SQL, seconds", f"{_in_turn({'': compile_all}, 3)['']:.2f}")


if __name__ == "__main__":
    main()
