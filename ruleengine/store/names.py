"""The store's own numbering of tags, tiers and classes, in which every version of it is written.

A layout's positions move with every edit of the rules. The store gives each name a place once and for ever, and turns
a run's words into its own by a few shifts. So any two versions can be compared word by word, whatever lies between.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count

from ruleengine.engines.columns import literal
from ruleengine.planning.layout import TAGS_PER_WORD, Layout
from ruleengine.store.records import GIVEN, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    id: int
    kind: Kind
    name: str
    place: int
    """Of a tag: word × 60 + bit. Of a tier or class: its column. Each counted from 0."""
    values: tuple[str, ...] = ()
    """Of a tier or class, by position, the first being 1."""

    def value(self, position: int) -> str | None:
        """What a position stands for: GIVEN of a tag; None for 0, which is nothing."""
        if not position:
            return None
        return GIVEN if self.kind == "tag" else self.values[position - 1]

    def position(self, value: str | None) -> int:
        """Of a value, which a tag has none of; 0 of one that was never there."""
        if self.kind == "tag":
            return 1
        return 1 + self.values.index(value) if value in self.values else 0


@dataclass(frozen=True, slots=True)
class Names:
    all: tuple[Name, ...] = ()

    @property
    def tags(self) -> tuple[Name, ...]:
        return tuple(name for name in self.all if name.kind == "tag")

    @property
    def ladders(self) -> tuple[Name, ...]:
        return tuple(name for name in self.all if name.kind != "tag")

    @property
    def words(self) -> int:
        return -(-len(self.tags) // TAGS_PER_WORD)

    def find(self, kind: str, name: str) -> Name | None:
        return next((each for each in self.all if each.kind == kind and each.name == name), None)

    def extended(self, layout: Layout) -> "Names":
        """With the names and values of a layout that are not there yet."""
        known = {(name.kind, name.name): name for name in self.all}
        ids = count(len(self.all))
        tag_places, ladder_places = count(len(self.tags)), count(len(self.ladders))
        for tag in layout.tags:
            if ("tag", tag.name) not in known:
                known["tag", tag.name] = Name(id=next(ids), kind="tag", name=tag.name, place=next(tag_places))
        for ladder in layout.ladders:
            found = known.get((ladder.kind, ladder.name))
            if found is None:
                found = Name(id=next(ids), kind=ladder.kind, name=ladder.name, place=next(ladder_places))
            new = tuple(value for value in ladder.values if value not in found.values)
            known[ladder.kind, ladder.name] = replace(found, values=found.values + new)
        return Names(tuple(sorted(known.values(), key=lambda name: name.id)))

    def projection(self, layout: Layout) -> str:
        """The columns `w0, …, l0, …` of the store over `result_assignments`, names of this layout only."""
        shifts: dict[int, dict[tuple[int, int], int]] = {word: {} for word in range(self.words)}
        for tag in layout.tags:
            place = self._place("tag", tag.name)
            word, bit = divmod(place, TAGS_PER_WORD)
            masks = shifts[word]
            masks[tag.word, bit - tag.bit] = masks.get((tag.word, bit - tag.bit), 0) | (1 << tag.bit)
        columns = [
            f"({' | '.join(_shifted(*key, mask) for key, mask in masks.items()) or '0'})::BIGINT AS w{word}"
            for word, masks in shifts.items()
        ]
        slots = {self._place(ladder.kind, ladder.name): ladder for ladder in layout.ladders}
        for ladder in self.ladders:
            slot = slots.get(ladder.place)
            if slot is None:
                value = "0"
            else:
                positions = [0, *(ladder.values.index(each) + 1 for each in slot.values)]
                value = slot.column
                if positions != list(range(len(positions))):
                    value = f"(ARRAY{positions})[{slot.column} + 1]"
            columns.append(f"({value})::SMALLINT AS l{ladder.place}")
        return ", ".join(columns)

    def _place(self, kind: str, name: str) -> int:
        found = self.find(kind, name)
        assert found is not None, name
        return found.place


def _shifted(word: int, shift: int, mask: int) -> str:
    bits = f"(w{word} & {mask})"
    if shift == 0:
        return bits
    return f"({bits} << {shift})" if shift > 0 else f"({bits} >> {-shift})"


def table_sql(names: Names, extra: Sequence[tuple[str, dict[int, str]]] = ()) -> str:
    """A relation of the names: id, kind, name, place, ord, and further columns given as SQL by id.

    `ord` is the rank in the order of kind, name. Text stands in it as literals: names hold no NUL.
    """
    ranked = sorted(names.all, key=lambda name: (name.kind, name.name))
    rows = [
        f"({name.id}, {literal(name.kind)}, {literal(name.name)}, {name.place}, {rank}"
        + "".join(f", {values.get(name.id, 'NULL')}" for _, values in extra)
        + ")"
        for rank, name in enumerate(ranked)
    ]
    columns = ["id", "kind", "name", "place", "ord", *(column for column, _ in extra)]
    return _values(rows, columns, ["0", "''", "''", "0", "0", *("NULL" for _ in extra)])


def levels_sql(names: Names) -> str:
    """A relation of what values mean: id, value, text. The only value of a tag is 1."""
    rows = [f"({name.id}, 1, {literal(GIVEN)})" for name in names.tags]
    rows += [
        f"({name.id}, {position}, {literal(value)})"
        for name in names.ladders
        for position, value in enumerate(name.values, 1)
    ]
    return _values(rows, ["id", "value", "text"], ["0", "0", "''"])


def _values(rows: Iterable[str], columns: Sequence[str], sample: Sequence[str]) -> str:
    """Rows as a relation; without any, the sample gives the types."""
    body = ", ".join(rows)
    head = ", ".join(columns)
    if body:
        return f"(SELECT * FROM (VALUES {body}) AS _({head}))"
    return f"(SELECT * FROM (VALUES ({', '.join(sample)})) AS _({head}) WHERE false)"
