"""Two forms of who holds what, and the ways between them, in DuckDB's SQL.

A **state** has one row per customer: `customer`, words `w0, …` of 60 tags each, `since` (when each tag held was given,
in the order of its places), and per ladder `l0, …` (0, or the position of its value) and `s0, …` (since when).
It is what lies in the files, and what is compared.

**Holdings** have one row per assignment: `customer, id, value, since`, value being 1 for a tag.
"""

from dataclasses import dataclass
from pathlib import Path

from ruleengine.engines.columns import literal
from ruleengine.planning.layout import TAGS_PER_WORD
from ruleengine.store.names import Name, Names
from ruleengine.store.records import Key

ROW_GROUP = 30_720  # fifteen of DuckDB's vectors: about 30,000 rows


@dataclass(frozen=True, slots=True)
class Shape:
    """How many words and ladders a state has. A later shape has more of each, never fewer."""

    words: int
    ladders: int

    @staticmethod
    def of(names: Names) -> "Shape":
        return Shape(names.words, len(names.ladders))

    @property
    def compared(self) -> list[str]:
        """The columns that say what a customer holds."""
        return [f"w{word}" for word in range(self.words)] + [f"l{place}" for place in range(self.ladders)]

    @property
    def columns(self) -> list[str]:
        return ["customer", *self.compared, "since", *(f"s{place}" for place in range(self.ladders))]


def read(path: Path) -> str:
    return f"read_parquet({literal(str(path))})"


def narrowed(relation: str, only: Key | None) -> str:
    """Of one customer only, where one is named."""
    if only is None:
        return relation
    key = literal(only) if isinstance(only, str) else str(only)
    return f"(SELECT * FROM {relation} WHERE customer = {key})"


def nobody(key_type: str, shape: Shape) -> str:
    """The state of an empty store."""
    return widened(f"(SELECT NULL::{key_type} AS customer WHERE false)", Shape(0, 0), shape)


def widened(relation: str, have: Shape, want: Shape) -> str:
    """A state of an earlier shape in a later one."""
    columns = ["customer"]
    columns += [f"w{word}" if word < have.words else f"0::BIGINT AS w{word}" for word in range(want.words)]
    columns += [f"l{place}" if place < have.ladders else f"0::SMALLINT AS l{place}" for place in range(want.ladders)]
    columns.append("since" if have.words else "[]::DATE[] AS since")
    columns += [f"s{place}" if place < have.ladders else f"NULL::DATE AS s{place}" for place in range(want.ladders)]
    return f"(SELECT {', '.join(columns)} FROM {relation})"


def holdings(state: str, names: Names) -> str:
    """A state as holdings."""
    parts = []
    for word in range(names.words):
        earlier = "".join(f"bit_count(s.w{before})::INTEGER + " for before in range(word))
        tags = _tags_of(names, word)
        parts.append(
            f"SELECT s.customer, n.id, 1::SMALLINT AS value, "
            f"s.since[{earlier}bit_count(s.w{word} & ((1::BIGINT << n.bit) - 1))::INTEGER + 1] AS since "
            f"FROM {state} s CROSS JOIN {tags} n WHERE ((s.w{word} >> n.bit) & 1) = 1"
        )
    for ladder in names.ladders:
        parts.append(
            f"SELECT customer, {ladder.id} AS id, l{ladder.place} AS value, s{ladder.place} AS since "
            f"FROM {state} WHERE l{ladder.place} <> 0"
        )
    if not parts:
        parts.append(f"SELECT customer, 0 AS id, 0::SMALLINT AS value, NULL::DATE AS since FROM {state} WHERE false")
    return f"({' UNION ALL '.join(parts)})"


def tag_held(tag: Name) -> str:
    """Whether a row of a state holds a tag."""
    word, bit = divmod(tag.place, TAGS_PER_WORD)
    return f"(w{word} & {1 << bit}) <> 0"


def tag_since(tag: Name) -> str:
    """Since when a row of a state holds a tag that it holds: as many dates stand before as tags of lower places."""
    word, bit = divmod(tag.place, TAGS_PER_WORD)
    earlier = "".join(f"bit_count(w{before})::INTEGER + " for before in range(word))
    return f"since[{earlier}bit_count(w{word} & {(1 << bit) - 1})::INTEGER + 1]"


def _tags_of(names: Names, word: int) -> str:
    rows = [
        f"({name.id}, {name.place - word * TAGS_PER_WORD})"
        for name in names.tags
        if name.place // TAGS_PER_WORD == word
    ]
    return f"(SELECT * FROM (VALUES {', '.join(rows)}) AS _(id, bit))"


def packed(rows: str, customers: str, names: Names) -> str:
    """Holdings as the state of these customers; those who hold nothing included."""
    shape = Shape.of(names)
    columns = ["c.customer"]
    for word in range(shape.words):
        mine = f"FILTER (WHERE n.kind = 'tag' AND n.place // {TAGS_PER_WORD} = {word})"
        columns.append(f"coalesce(bit_or(1::BIGINT << (n.place % {TAGS_PER_WORD})) {mine}, 0)::BIGINT AS w{word}")
    for ladder in names.ladders:
        columns.append(f"coalesce(max(h.value) FILTER (WHERE h.id = {ladder.id}), 0)::SMALLINT AS l{ladder.place}")
    columns.append("coalesce(list(h.since ORDER BY n.place) FILTER (WHERE n.kind = 'tag'), [])::DATE[] AS since")
    for ladder in names.ladders:
        columns.append(f"max(h.since) FILTER (WHERE h.id = {ladder.id}) AS s{ladder.place}")
    return (
        f"(SELECT {', '.join(columns)} FROM {customers} c "
        f"LEFT JOIN {rows} h ON h.customer = c.customer LEFT JOIN store_names n ON n.id = h.id "
        f"GROUP BY c.customer)"
    )


def all_new(new: str, names: Names, as_of: str) -> str:
    """The state of customers who held nothing before: all that they have, they have since `as_of` (SQL)."""
    shape = Shape.of(names)
    held = " + ".join(f"bit_count(w{word})::INTEGER" for word in range(shape.words)) or "0"
    columns = ["customer", *shape.compared, f"list_resize([]::DATE[], {held}, {as_of}) AS since"]
    columns += [f"CASE WHEN l{place} <> 0 THEN {as_of} END AS s{place}" for place in range(shape.ladders)]
    return f"(SELECT {', '.join(columns)} FROM {new})"


def differences(new: str, old: str, shape: Shape) -> str:
    """Customers whose row differs: the columns of both, the old ones as `o_…`, and who is `here` and `was_here`."""
    columns = ["coalesce(n.customer, o.customer) AS customer"]
    columns += ["n.customer IS NOT NULL AS here", "o.customer IS NOT NULL AS was_here"]
    for name in shape.compared:
        columns += [f"coalesce(n.{name}, 0) AS {name}", f"coalesce(o.{name}, 0) AS o_{name}"]
    columns.append("o.since AS o_since")
    columns += [f"o.s{place} AS o_s{place}" for place in range(shape.ladders)]
    differs = ["n.customer IS NULL", "o.customer IS NULL"]
    differs += [f"n.{name} <> o.{name}" for name in shape.compared]
    return (
        f"(SELECT {', '.join(columns)} FROM {new} n FULL JOIN {old} o ON n.customer = o.customer "
        f"WHERE {' OR '.join(differs)})"
    )


def moves(changed: str, names: Names) -> str:
    """What differs, a row per tag or ladder: `customer, id, old, new` (0: not held), and if the customer `stayed`."""
    parts = []
    for word in range(names.words):
        parts.append(
            f"SELECT c.customer, n.id, ((c.o_w{word} >> n.bit) & 1)::SMALLINT AS old, "
            f"((c.w{word} >> n.bit) & 1)::SMALLINT AS new, c.here AND c.was_here AS stayed "
            f"FROM {changed} c CROSS JOIN {_tags_of(names, word)} n "
            f"WHERE ((c.w{word} >> n.bit) & 1) <> ((c.o_w{word} >> n.bit) & 1)"
        )
    for ladder in names.ladders:
        column = f"l{ladder.place}"
        parts.append(
            f"SELECT customer, {ladder.id} AS id, o_{column} AS old, {column} AS new, here AND was_here AS stayed "
            f"FROM {changed} WHERE o_{column} <> {column}"
        )
    if not parts:
        parts.append(
            f"SELECT customer, 0 AS id, 0::SMALLINT AS old, 0::SMALLINT AS new, false AS stayed "
            f"FROM {changed} WHERE false"
        )
    return f"({' UNION ALL '.join(parts)})"


def old_state(changed: str, shape: Shape) -> str:
    """The old side of `differences`, of those who were there, as a state."""
    columns = ["customer", *(f"o_{name} AS {name}" for name in shape.compared), "o_since AS since"]
    columns += [f"o_s{place} AS s{place}" for place in range(shape.ladders)]
    return f"(SELECT {', '.join(columns)} FROM {changed} WHERE was_here)"
