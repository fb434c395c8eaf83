"""A run compared with what is published: what would change, and the run's files."""

from dataclasses import replace

import duckdb

from ruleengine.planning.layout import Layout
from ruleengine.store import changes, dating, ledger, staging
from ruleengine.store.comparing import TOUCHED, clear, compare, name_tables, recounted
from ruleengine.store.desk import Desk
from ruleengine.store.duck import date_literal
from ruleengine.store.ledger import update_run
from ruleengine.store.records import Delta, Run
from ruleengine.store.relations import Shape, holdings, read
from ruleengine.store.sqlite import transaction
from ruleengine.store.values import columns_text


def stage(desk: Desk, run: Run, duck: duckdb.DuckDBPyConnection, layout: Layout) -> Delta:
    clear(duck)
    current = desk.current()
    base, is_detached = current, False
    if current and run.header.as_of < current.as_of:
        is_detached = True
        number = ledger.in_force(desk.ledger, run.header.as_of.isoformat())
        base = None if number is None else desk.version(number)
    names = ledger.names(desk.ledger).extended(layout)
    evidence = changes.Evidence(layout, names)
    name_tables(duck, names, evidence.extra)
    day = date_literal(run.header.as_of)

    staging.write_values(duck, desk.folder.values(run.id))
    old = desk.state(duck, base, names)
    if base and ledger.forgot_since(desk.ledger, base.number):
        base = recounted(duck, base, old, holdings(old, names), names)
    new = f"(SELECT customer, {names.projection(layout)} FROM result_assignments)"
    comparison = compare(duck, new, old, names)
    customers = "store_changed"
    path = desk.folder.state(run.id)
    if base is None or base.as_of < run.header.as_of:
        staging.write_state(duck, old, dating.from_base(duck, names, layout), names, day, path)
    else:
        number = ledger.before(desk.ledger, run.header.as_of.isoformat())
        previous = None if number is None else desk.version(number)
        before = desk.state(duck, previous, names, table="store_before")
        differing = dating.from_earlier(duck, new, before, names, layout)
        staging.write_state(duck, before, differing, names, day, path)
        dating.add_redated(duck, read(path), old, names)
        customers = TOUCHED
    remembered = staging.write_memory(duck, layout, names, path, desk.folder.memory(run.id))
    counts = comparison.counts(
        base.counts if base else None,
        [tag.name for tag in layout.tags],
        {(ladder.kind, ladder.name): ladder.values for ladder in layout.ladders},
    )
    staged = replace(
        run,
        base=base.number if base else None,
        detached=is_detached,
        counts=counts,
        movement=comparison.movement,
    )
    with transaction(desk.ledger):
        update_run(desk.ledger, run.id, value_columns=columns_text(layout.values))
    decided = changes.of_run(evidence, day)
    hands = tuple((each.kind, each.name, *each.formerly) for each in layout.memory.manual)
    desk.finish_staging(
        staged, duck, names, decided, Shape.of(names), customers=customers, memory=remembered, hands=hands
    )
    clear(duck)
    return Delta(
        run=staged,
        base=base,
        detached=is_detached,
        counts=counts,
        movement=comparison.movement,
        moves=comparison.moves,
        before=base.counts.customers if base else 0,
        stayed=counts.customers - comparison.arrived,
    )
