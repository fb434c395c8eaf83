"""A run compared with what is published, and written beside it: nobody sees these rows yet."""

from dataclasses import replace

from ruleengine.engines.columns import literal, quote
from ruleengine.planning.layout import Layout
from ruleengine.sql.postgres import short
from ruleengine.store.names import Names
from ruleengine.store.postgres import carried, changes, comparing
from ruleengine.store.postgres.holdings import MEMBERS
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.runs import Staged, note
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Delta, Run
from ruleengine.store.steps import reach
from ruleengine.store.values import columns_text


def stage(session: Session, run: Run, layout: Layout) -> Delta:
    """Within a transaction on the connection that the result tables lie on."""
    as_of = run.header.as_of
    found = comparing.compared(session, layout, as_of)
    base, comparison = found.base, found.comparison
    counts = comparison.counts(
        base.counts if base else None,
        [tag.name for tag in layout.tags],
        {(ladder.kind, ladder.name): ladder.values for ladder in layout.ladders},
    )
    staged = replace(
        run, base=base.number if base else None, detached=found.detached, counts=counts, movement=comparison.movement
    )
    since = comparing.date_moves(session, found, layout, as_of)
    add_names(session, found.names)
    _write_facts(session, run.id, layout)
    reach("facts-written")
    _write_memory(session, run.id, layout, found, since)
    reach("memory-written")
    write_arrivals(session, run.id)
    number = 1 + (Ledger(session).latest_number() or 0)
    leaves, root = changes.write(session, run.id, number, comparing.changes_sql(session, found.evidence, since))
    hands = tuple((each.kind, each.name, *each.formerly) for each in layout.memory.manual)
    note(
        session,
        staged,
        carried.seal(session, run.id, Staged(number=number, leaves=leaves, root=root, hands=hands)),
        value_columns=columns_text(layout.values),
        facts_of=run.id,
    )
    return Delta(
        run=staged,
        base=base,
        detached=found.detached,
        counts=counts,
        movement=comparison.movement,
        moves=comparison.moves,
        before=base.counts.customers if base else 0,
        stayed=counts.customers - comparison.arrived,
    )


def add_names(session: Session, names: Names) -> None:
    """Remember names and levels that are new; those that are there never change."""
    session.run(
        f"INSERT INTO {session.schema}.names SELECT id, kind, name, place FROM store_names ON CONFLICT DO NOTHING"
    )
    session.run(f"INSERT INTO {session.schema}.levels SELECT id, value, text FROM store_levels ON CONFLICT DO NOTHING")


def write_arrivals(session: Session, run: str) -> None:
    session.run(f"INSERT INTO {session.schema}.arrivals SELECT {literal(run)}, customer, here FROM store_arrivals")


def _write_facts(session: Session, run: str, layout: Layout) -> None:
    texts = ", ".join(changes.text_of(column, "v") for column in layout.values)
    session.run(
        f"INSERT INTO {session.schema}.facts SELECT {literal(run)}, v.customer, ARRAY[{texts}]::text[] "
        f"FROM pg_temp.result_values v"
    )


def _write_memory(session: Session, run: str, layout: Layout, found: comparing.Found, since: str) -> None:
    """As `store.memory.gather`."""
    schema = session.schema
    insert = f"INSERT INTO {schema}.memory (run, customer, kind, name, matched, level, reached, below) "
    for tag in layout.memory.tags:
        matched = quote(short(tag.matched))
        session.run(
            f"{insert} SELECT {literal(run)}, a.customer, 'tag', {literal(tag.tag)}, a.{matched}, NULL, NULL, NULL "
            f"FROM pg_temp.result_assignments a WHERE a.{matched} IS NOT NULL"
        )
    slots = {slot.name: slot for slot in layout.ladders if slot.kind == "tier"}
    base = "false" if found.base is None else MEMBERS.format(found.base.number)
    for tier in layout.memory.tiers:
        slot = slots[tier.tier]
        name = found.names.find("tier", tier.tier)
        assert name is not None
        level, reached, below = (f"a.{quote(short(column))}" for column in (tier.level, tier.reached, tier.below))
        texts = ", ".join(literal(value) for value in slot.values)
        # What did not move is held since the day that the base says.
        held = (
            f"(SELECT customer, since FROM {schema}.assignments b WHERE id = {name.id} AND {base} "
            f"AND NOT EXISTS (SELECT 1 FROM store_moves m WHERE m.customer = b.customer AND m.id = b.id) UNION ALL "
            f"SELECT m.customer, {since} FROM store_moves m LEFT JOIN store_prior p "
            f"ON p.customer = m.customer AND p.id = m.id AND p.value = m.new WHERE m.id = {name.id} AND m.new <> 0)"
        )
        session.run(
            f"{insert} SELECT {literal(run)}, a.customer, 'tier', {literal(tier.tier)}, NULL, {level}, {reached}, "
            f"{below} FROM pg_temp.result_assignments a LEFT JOIN {held} s ON s.customer = a.customer::{schema}.key "
            f"WHERE {level} IS DISTINCT FROM (ARRAY[{texts}]::text[])[a.{slot.column}] "
            f"OR {reached} IS DISTINCT FROM s.since OR {below} IS NOT NULL"
        )
