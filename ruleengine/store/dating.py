"""Since when a customer holds what he holds.

What the previous version gave too, the last one of an earlier day, is held since then; everything else since the run's
day. The version that a run is compared with may be one of the same day: it says what readers see change, and nothing
of since when. So a second run for a day comes to the same as if it had been the only one.
"""

import duckdb

from ruleengine.planning.layout import Layout
from ruleengine.store.names import Names
from ruleengine.store.relations import Shape, differences, holdings, old_state


def from_base(duck: duckdb.DuckDBPyConnection, names: Names, layout: Layout) -> str:
    """Make `store_prior` where the previous version is the base, to which `store_changed` is the difference; answer
    that difference."""
    _make_prior(duck, old_state("store_changed", Shape.of(names)), names, layout)
    return "store_changed"


def from_earlier(duck: duckdb.DuckDBPyConnection, new: str, before: str, names: Names, layout: Layout) -> str:
    """Make `store_prior` of another state than the base's; answer the difference to that one."""
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_differing AS {differences(new, before, Shape.of(names))}")
    touched = "SELECT customer FROM store_differing UNION ALL SELECT customer FROM store_changed"
    _make_prior(duck, f"(SELECT * FROM {before} WHERE customer IN ({touched}))", names, layout)
    return "store_differing"


def _make_prior(duck: duckdb.DuckDBPyConnection, state: str, names: Names, layout: Layout) -> None:
    """`customer, id, value, since`: what these customers held, as the layout's rules would call it now."""
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_state AS SELECT * FROM {state}")
    held = holdings("store_state", names)
    rows_of_former = former(names, layout)
    if rows_of_former:
        rows = ", ".join(str(row) for row in rows_of_former)
        held = (
            f"(SELECT customer, id, value, min_by(since, rank) AS since FROM ("
            f"SELECT customer, id, value, since, 0 AS rank FROM {held} UNION ALL "
            f"SELECT h.customer, f.id, f.value, h.since, f.rank FROM {held} h "
            f"JOIN (VALUES {rows}) AS f (was, was_value, id, value, rank) ON f.was = h.id AND f.was_value = h.value"
            f") GROUP BY ALL)"
        )
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_prior AS SELECT customer, id, value, since FROM {held}")


def former(names: Names, layout: Layout) -> list[tuple[int, int, int, int, int]]:
    """Id and value as it was, id and value as it is, and how far back in the list of former names."""
    rows = []
    for tag in layout.tags:
        now = names.find("tag", tag.name)
        assert now is not None
        for rank, former in enumerate(tag.formerly, 1):
            if (was := names.find("tag", former)) is not None:
                rows.append((was.id, 1, now.id, 1, rank))
    for ladder in layout.ladders:
        name = names.find(ladder.kind, ladder.name)
        assert name is not None
        for rank, (former, value) in enumerate(ladder.formerly.items(), 1):
            if former in name.values:
                rows.append((name.id, 1 + name.values.index(former), name.id, 1 + name.values.index(value), rank))
    return rows


def add_redated(duck: duckdb.DuckDBPyConnection, new: str, old: str, names: Names) -> None:
    """Add to `store_moves` what the base holds too, but since another day: a change from a value to itself."""
    shape = Shape.of(names)
    dates = ["since", *(f"s{place}" for place in range(shape.ladders))]
    differs = " OR ".join(f"n.{column} IS DISTINCT FROM o.{column}" for column in dates)
    both = f"{new} n JOIN {old} o ON n.customer = o.customer WHERE {differs}"
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_kept AS SELECT n.* FROM {both}")
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_state AS SELECT o.* FROM {both}")
    duck.execute(
        f"INSERT INTO store_moves SELECT customer, id, value, value, true FROM {holdings('store_kept', names)} n "
        f"JOIN {holdings('store_state', names)} o USING (customer, id, value) WHERE n.since <> o.since"
    )
