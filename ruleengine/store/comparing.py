"""What differs between two states: who, what, and how many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import duckdb

from ruleengine.store.names import Name, Names, levels_sql, table_sql
from ruleengine.store.records import Counts, Move, Movement, Shift, Version
from ruleengine.store.relations import Shape, differences, moves

TABLES = (
    *("names", "levels", "new", "changed", "moves", "folded", "before", "differing", "prior"),
    *("state", "kept", "memory", "manual", "salts"),
)
"""Temporary ones, each called `store_…`."""
TOUCHED = "(SELECT customer FROM store_changed UNION ALL SELECT customer FROM store_moves)"
"""Who has a change, or came or went."""

Tally = tuple[Name, int, int, int, int]
"""Name, old and new position, customers, those of them known on both sides."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What `compare` counted. It leaves two tables: `store_changed` (see `relations.differences`), `store_moves`."""

    names: Names
    arrived: int
    vanished: int
    customers: int
    tallies: tuple[Tally, ...]

    @property
    def movement(self) -> Movement:
        added: dict[str, int] = {}
        removed: dict[str, int] = {}
        ladders: dict[str, dict[str, int]] = {"tier": {}, "class": {}}
        for name, _, new, customers, _ in self.tallies:
            if name.kind == "tag":
                (added if new else removed)[name.name] = customers
            else:
                ladders[name.kind][name.name] = ladders[name.kind].get(name.name, 0) + customers
        return Movement(
            rows=sum(customers for *_, customers, _ in self.tallies),
            customers=self.customers,
            arrived=self.arrived,
            vanished=self.vanished,
            added=added,
            removed=removed,
            tiers=ladders["tier"],
            classes=ladders["class"],
        )

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(
            Move(
                kind=_ladder(name),
                name=name.name,
                old=name.value(old),
                new=name.value(new),
                customers=stayed,
            )
            for name, old, new, _, stayed in self.tallies
            if name.kind != "tag" and stayed
        )

    @property
    def shifts(self) -> tuple[Shift, ...]:
        return tuple(
            Shift(
                kind=name.kind,
                name=name.name,
                old=name.value(old),
                new=name.value(new),
                customers=customers,
                stayed=stayed,
            )
            for name, old, new, customers, stayed in self.tallies
        )

    def counts(
        self, before: Counts | None, tags: Sequence[str], ladders: Mapping[tuple[str, str], Sequence[str]]
    ) -> Counts:
        """The new sizes: the old ones and what came and went; for these tags and ladders, even if nobody has them."""
        sizes: dict[tuple[str, str, str | None], int] = {}
        if before:
            sizes |= {("tag", name, None): size for name, size in before.tags.items()}
            for kind, of in (("tier", before.tiers), ("class", before.classes)):
                sizes |= {(kind, name, v): size for name, levels in of.items() for v, size in levels.items()}
        for name, old, new, customers, _ in self.tallies:
            for position, sign in ((old, -1), (new, 1)):
                if position:
                    value = None if name.kind == "tag" else name.values[position - 1]
                    size = sizes.get((name.kind, name.name, value), 0)
                    sizes[name.kind, name.name, value] = size + sign * customers
        ladder_sizes: dict[str, dict[str, dict[str, int]]] = {"tier": {}, "class": {}}
        for (kind, ladder), values in ladders.items():
            ladder_sizes[kind][ladder] = {value: sizes.get((kind, ladder, value), 0) for value in values}
        return Counts(
            customers=(before.customers if before else 0) + self.arrived - self.vanished,
            tags={name: sizes.get(("tag", name, None), 0) for name in tags},
            tiers=ladder_sizes["tier"],
            classes=ladder_sizes["class"],
        )


def _ladder(name: Name) -> Literal["tier", "class"]:
    assert name.kind != "tag"
    return name.kind


def name_tables(
    duck: duckdb.DuckDBPyConnection, names: Names, extra: Sequence[tuple[str, dict[int, str]]] = ()
) -> None:
    """Make `store_names` and `store_levels`."""
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_names AS {table_sql(names, extra)}")
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_levels AS {levels_sql(names)}")


def compare(duck: duckdb.DuckDBPyConnection, new: str, old: str, names: Names) -> Comparison:
    """Compare two states, which need only the columns that say what is held (the old one all of them)."""
    shape = Shape.of(names)
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_changed AS {differences(new, old, shape)}")
    duck.execute(f"CREATE OR REPLACE TEMP TABLE store_moves AS {moves('store_changed', names)}")
    changed = " OR ".join(f"{name} <> o_{name}" for name in shape.compared) or "false"
    totals = duck.execute(
        f"SELECT count(*) FILTER (WHERE here AND NOT was_here), count(*) FILTER (WHERE was_here AND NOT here), "
        f"count(*) FILTER (WHERE {changed}) FROM store_changed"
    ).fetchone()
    assert totals is not None
    arrived, vanished, customers = totals
    return Comparison(names, arrived, vanished, customers, tallied(duck, names))


def recounted(connection: Any, version: Version, known: str, held: str, names: Names) -> Version:
    """The version with the counts of its state as it is now, on a connection of either sort: the customers `known`,
    and what is `held`. Its own are those of its day, customers among them who were forgotten since."""
    (customers,) = connection.execute(f"SELECT count(*) FROM {known} k").fetchone()
    rows = connection.execute(f"SELECT id, value, count(*) FROM {held} h GROUP BY id, value").fetchall()
    found: dict[tuple[int, int], int] = {(id_, value): size for id_, value, size in rows}

    def size(kind: str, name: str, value: str | None) -> int:
        it = names.find(kind, name)
        return 0 if it is None else found.get((it.id, it.position(value)), 0)

    def sizes(kind: str, ladders: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
        return {name: {value: size(kind, name, value) for value in values} for name, values in ladders.items()}

    was = version.counts
    counts = Counts(
        customers=customers,
        tags={name: size("tag", name, None) for name in was.tags},
        tiers=sizes("tier", was.tiers),
        classes=sizes("class", was.classes),
    )
    return replace(version, counts=counts)


def tallied(connection: Any, names: Names) -> tuple[Tally, ...]:
    """The moves in `store_moves`, counted, on a connection of either sort."""
    by_id = {name.id: name for name in names.all}
    tallies = connection.execute(
        "SELECT id, old, new, count(*), count(*) FILTER (WHERE stayed) FROM store_moves "
        "GROUP BY id, old, new ORDER BY id, old, new"
    ).fetchall()
    return tuple((by_id[id_], old, new, rows, stayed) for id_, old, new, rows, stayed in tallies)


def clear(duck: duckdb.DuckDBPyConnection) -> None:
    """Drop what comparing, staging and recalling left behind."""
    for table in TABLES:
        duck.execute(f"DROP TABLE IF EXISTS temp.store_{table}")
