"""Result tables for the store, written from plain dictionaries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

import duckdb

from ruleengine.checking.ruleset import ruleset_hash
from ruleengine.planning.layout import TAGS_PER_WORD, LadderSlot, Layout, TagSlot, ValueColumn
from ruleengine.planning.memory import Memory
from ruleengine.store.records import Delta, Identity, Key, RunHeader, Version
from ruleengine.store.store import Store
from ruleengine.types import COLUMN_TYPES, DATE, TEXT, exact
from tests import duck

IDENTITY = Identity(ruleset="retail", entity="customer", key_type="integer")
TEXT_IDENTITY = Identity(ruleset="retail", entity="customer", key_type="text")


class Standing(NamedTuple):
    """Where a customer stands on a tier, a level set by hand left aside."""

    level: str | None
    reached: date | None
    below: date | None = None


@dataclass(frozen=True, kw_only=True)
class Held:
    """What one customer holds."""

    tags: frozenset[str] = frozenset()
    ladders: Mapping[str, str] = field(default_factory=dict)
    money: str = "0.0000"
    orders: int = 0
    city: str | None = None
    matched: Mapping[str, date] = field(default_factory=dict)
    """Of tags that are given without their condition: when it last held."""
    standing: Mapping[str, Standing] = field(default_factory=dict)
    """Of tiers that are remembered, where it is not simply what is published."""


def held(*tags: str, money: str = "0.0000", orders: int = 0, city: str | None = None, **ladders: str) -> Held:
    return Held(tags=frozenset(tags), ladders=ladders, money=money, orders=orders, city=city)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The names of a ruleset."""

    tags: Sequence[str] = ("VIP", "New", "Sleeping")
    tiers: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"loyalty": ("Gold", "Silver", "Member")})
    classes: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"abc": ("A", "B", "C")})
    key_type: str = "integer"
    formerly: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Former names of tags."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Former values of tiers and classes, and what they are called now."""
    memory: Memory = field(default_factory=Memory)

    @property
    def layout(self) -> Layout:
        ladders = [("tier", name, values) for name, values in self.tiers.items()]
        ladders += [("class", name, values) for name, values in self.classes.items()]
        return Layout(
            key_type=COLUMN_TYPES[self.key_type],
            values=(
                ValueColumn(column="v0", name="monetary_90d", type=exact(18, 4)),
                ValueColumn(column="v1", name="frequency", type=exact(19)),
                ValueColumn(column="v2", name="city", type=TEXT),
                ValueColumn(column="v3", name="signed_up", type=DATE),
            ),
            tags=tuple(
                TagSlot(
                    name=name,
                    word=index // TAGS_PER_WORD,
                    bit=index % TAGS_PER_WORD,
                    reads=("v0", "v1") if index % 2 == 0 else ("v2",),
                    rule_hash=f"hash of {name}",
                    formerly=tuple(self.formerly.get(name, ())),
                )
                for index, name in enumerate(self.tags)
            ),
            ladders=tuple(
                LadderSlot(
                    name=name,
                    kind="tier" if kind == "tier" else "class",
                    column=f"l{index}",
                    values=tuple(values),
                    reads=("v3", "v0"),
                    rule_hash=f"hash of {name}",
                    formerly={was: now for was, now in self.renamed.items() if now in values},
                )
                for index, (kind, name, values) in enumerate(ladders)
            ),
            memory=self.memory,
        )


RULES = Rules()


def fill(connection: duckdb.DuckDBPyConnection, rules: Rules, customers: Mapping[Key, Held]) -> None:
    """Make `result_values` and `result_assignments`."""
    layout = rules.layout
    key = "BIGINT" if rules.key_type == "integer" else "VARCHAR"
    words = [f"w{word}" for word in range(layout.words)]
    ladders = [slot.column for slot in layout.ladders]
    columns = [f"customer {key}", *(f"{word} BIGINT" for word in words), *(f"{name} SMALLINT" for name in ladders)]
    columns += [f'"{tag.matched}" DATE' for tag in layout.memory.tags]
    for tier in layout.memory.tiers:
        columns += [f'"{tier.level}" VARCHAR', f'"{tier.reached}" DATE', f'"{tier.below}" DATE']
    connection.execute(f"CREATE OR REPLACE TABLE result_assignments ({', '.join(columns)})")
    connection.execute(
        f"CREATE OR REPLACE TABLE result_values (customer {key}, v0 DECIMAL(18, 4), v1 BIGINT, v2 VARCHAR, v3 DATE)"
    )
    assignments: list[list[object]] = []
    values: list[list[object]] = []
    for customer, what in reversed(list(customers.items())):
        bits = [0] * len(words)
        for tag in layout.tags:
            if tag.name in what.tags:
                bits[tag.word] |= 1 << tag.bit
        positions = [
            slot.values.index(what.ladders[slot.name]) + 1 if slot.name in what.ladders else 0
            for slot in layout.ladders
        ]
        matched = [what.matched.get(tag.tag) for tag in layout.memory.tags]
        standing = [each for tier in layout.memory.tiers for each in what.standing.get(tier.tier, (None, None, None))]
        assignments.append([customer, *bits, *positions, *matched, *standing])
        values.append([customer, what.money, what.orders, what.city, date(2020, 2, 29)])
    for table, rows in (("result_assignments", assignments), ("result_values", values)):
        if rows:
            marks = ", ".join(f"({', '.join('?' * len(row))})" for row in rows)
            connection.execute(f"INSERT INTO {table} VALUES {marks}", [value for row in rows for value in row])


def rule_texts(rules: str) -> dict[str, str]:
    """Of rules that go by a word."""
    return {"value.rules": f"# {rules}"}


def rules_hash(rules: str) -> str:
    return ruleset_hash(IDENTITY.ruleset, "UTC", rule_texts(rules))


def header(as_of: date | str, *, fingerprint: str | None = None, rules: str = "rules 1") -> RunHeader:
    return RunHeader(
        as_of=date.fromisoformat(as_of) if isinstance(as_of, str) else as_of,
        ruleset_hash=rules_hash(rules),
        timezone="UTC",
        texts=rule_texts(rules),
        parameters={"vip_floor": 10_000},
        fingerprint=fingerprint,
        engine="duckdb",
    )


def publish(
    store: Store,
    as_of: date | str,
    customers: Mapping[Key, Held],
    *,
    rules: Rules = RULES,
    fingerprint: str | None = None,
    hash: str = "rules 1",
) -> Version:
    """One run, staged and published."""
    with duck.database() as connection, store.writer("tester", identity_of(rules)) as writer:
        fill(connection, rules, customers)
        run = writer.begin(header(as_of, fingerprint=fingerprint, rules=hash))
        return writer.publish(writer.stage(run, connection, rules.layout))


def hold(store: Store, as_of: date | str, customers: Mapping[Key, Held], *, rules: Rules = RULES) -> Delta:
    with duck.database() as connection, store.writer("tester", identity_of(rules)) as writer:
        fill(connection, rules, customers)
        delta = writer.stage(writer.begin(header(as_of)), connection, rules.layout)
        writer.hold(delta, ["too many changes"])
        return delta


def identity_of(rules: Rules) -> Identity:
    return IDENTITY if rules.key_type == "integer" else TEXT_IDENTITY


FIRST: dict[Key, Held] = {
    1: held("VIP", loyalty="Gold", money="12500.5000", orders=7),
    2: held("New", abc="A", city="上海"),
    3: held(),
}
SECOND: dict[Key, Held] = {
    1: held("VIP", "Sleeping", loyalty="Silver", money="9.0000", orders=7),
    3: held(abc="C"),
    4: held("New", loyalty="Member"),
}
"""What customers have on two days: one who changes, one who leaves, one who gets something, one who comes."""
