"""Made-up rules, as text that the checker has nothing against."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from hypothesis import strategies as st

from tests.differential.data import DISTANCES, Column, Draw, Kind, Model
from tests.differential.expressions import (
    SUFFIXES,
    a_window,
    aggregate,
    condition,
    length,
    lone,
    number,
    of_column,
    ranking,
    value,
    window,
)
from tests.differential.pieces import NUMBERS, LadderName, Level, Piece, Scope, literal, number_literal, quoted


def column_list(columns: Sequence[Column]) -> str:
    return f" ({', '.join(f'{column.name} {column.type}' for column in columns)})" if columns else ""


@dataclass(slots=True)
class Writer:
    """Writes a ruleset statement by statement; each may name what stands before it."""

    draw: Draw
    model: Model
    as_of: date
    lines: list[str] = field(default_factory=list)
    attributes: tuple[Piece, ...] = ()
    parameters: tuple[Piece, ...] = ()
    lists: tuple[Piece, ...] = ()
    metrics: tuple[Piece, ...] = ()
    tags: tuple[tuple[str, bool], ...] = ()
    ladders: tuple[LadderName, ...] = ()

    def scope(self, draft: bool = False) -> Scope:
        columns = [column.name for source in self.model.events for column in source.readable]
        named = {attribute.name for attribute in self.model.attributes}
        taken = frozenset(name for name in columns if name in named or columns.count(name) > 1)
        qualified = tuple(
            replace(piece, text=f"customer.{piece.text}") if piece.text in taken else piece for piece in self.attributes
        )
        return Scope(
            as_of=self.as_of,
            values=(*self.metrics, *self.attributes, *self.parameters),
            lists=self.lists,
            sources=self.model.events,
            outer=(*qualified, *self.parameters),
            taken=taken,
            tags=tuple(tag for tag in self.tags if draft or not tag[1]),
            ladders=tuple(ladder for ladder in self.ladders if draft or not ladder.draft),
            may_rank=True,
        )

    def write_model(self) -> None:
        model = self.model
        self.attributes = tuple(of_column(column, column.name) for column in (model.key, *model.attributes))
        key = f"key {model.key.name}" + (" integer" if model.key.type == "integer" else "")
        source = f"distinct {model.events[0].name}" if model.distinct else "customers"
        where = ""
        if not model.distinct and self.draw(st.integers(0, 3)) == 3:
            values = (*self.attributes, *self.parameters)
            scope = replace(self.scope(), values=values, sources=(), may_rank=False)
            where = f" where {condition(self.draw, scope, 1).text}"
        since = f" since {model.since}" if model.since else ""
        self.lines.append(f"entity customer from {source} {key}{column_list(model.attributes)}{since}{where}")
        for events in model.events:
            key = ""
            if events.key is not None:
                key = f" key {events.key.name}" + (" integer" if events.key.type == "integer" else "")
            zone = f' zone "{events.zone}"' if events.zone else ""
            self.lines.append(
                f"events {events.name} from {events.name}{key} for {events.customer}"
                f" at {events.at.name}{zone}{column_list(events.columns)}"
            )

    def write_parameter(self, name: str) -> None:
        scope = Scope(as_of=self.as_of)
        kind: Kind = self.draw(st.sampled_from(["exact", "text", "date", "boolean"]))
        is_list = kind != "boolean" and self.draw(st.booleans())
        days = sorted(set(self.draw(st.lists(st.sampled_from(DISTANCES), max_size=2))))
        steps, scale = [], 0
        for _ in range(len(days) + 1):
            values = [literal(self.draw, scope, kind) for _ in range(2 if is_list else 1)]
            scale = max(scale, *(value.scale for value in values))
            steps.append(", ".join(value.text for value in values))
        later = [
            f" then {step} from {self.as_of + timedelta(days=day)}" for step, day in zip(steps[1:], days, strict=True)
        ]
        self.lines.append(f"let {name} = {steps[0]}{''.join(later)}")
        piece = Piece(name, kind, scale=scale)
        if is_list:
            self.lists = (*self.lists, piece)
        else:
            self.parameters = (*self.parameters, piece)

    def write_metric(self, name: str, depth: int) -> None:
        way = self.draw(st.integers(0, 7))
        if way == 7:
            self.write_score(name)
            return
        if way == 6:
            piece = ranking(self.draw, self.scope(), depth)
            self.lines.append(f"metric {name} = {piece.text}")
            self.metrics = (*self.metrics, replace(piece, text=name, level=Level.ATOM))
            return
        kind: Kind = self.draw(st.sampled_from(["exact", "exact", "exact", "exact", "text", "date", "boolean"]))
        scope = self.scope()
        counted = aggregate(self.draw, scope, kind, depth) if self.draw(st.booleans()) else None
        piece = counted or value(self.draw, scope, kind, depth)
        piece = window(self.draw, piece, scope)
        self.lines.append(f"metric {name} = {piece.text}")
        named = replace(piece, text=name, level=Level.ATOM, is_literal=False)
        self.metrics = (*self.metrics, named, *self.windows_of(named))

    def write_score(self, name: str) -> None:
        lines, scale = [], 0
        for _ in range(self.draw(st.integers(1, 3))):
            points = number_literal(self.draw(st.sampled_from(NUMBERS)))
            scale = max(scale, points.scale)
            lines.append(f"    add {points.text} when {condition(self.draw, lone(self.scope()), 1).text}")
        self.lines += [f"score {name}", *lines]
        self.metrics = (*self.metrics, Piece(name, "exact", scale=scale, windowed=True))

    def windows_of(self, metric: Piece) -> tuple[Piece, ...]:
        """The metric through a suffix and through a phrase."""
        if metric.windowed or not metric.reads_events:
            return ()
        suffix = self.draw(st.sampled_from(SUFFIXES))
        phrase = f"{metric.text} during {a_window(self.draw, self.as_of)}"
        return (
            replace(metric, text=f"{metric.text}_{suffix}", windowed=True),
            replace(metric, text=phrase, level=Level.WINDOWED, windowed=True),
        )

    def write_tag(self, name: str, depth: int) -> None:
        draft = self.draw(st.integers(0, 3)) == 3
        scope = self.scope(draft)
        clauses = [f"when {condition(self.draw, scope, depth).text}"]
        if self.draw(st.booleans()):
            clauses.append(f"unless {condition(self.draw, scope, depth - 1).text}")
        if self.draw(st.integers(0, 2)) == 2:
            clauses.append(f"until {condition(self.draw, scope, 0).text}")
        if self.draw(st.integers(0, 2)) == 2:
            clauses.append(f"keep for {length(self.draw)}")
        if self.draw(st.integers(0, 2)) == 2:
            clauses.append("if unknown keep")
        if self.draw(st.integers(0, 3)) == 3:
            best = value(self.draw, lone(scope), self.draw(st.sampled_from(["exact", "exact", "date"])), 0)
            lowest = "lowest " * self.draw(st.booleans())
            clauses.append(f"limit {self.draw(st.sampled_from([1, 2, 3]))} by {lowest}{best.within(Level.SUM)}")
        self.lines.append(f"{'draft ' * draft}tag {quoted(name)} {' '.join(clauses)}")
        self.tags = (*self.tags, (name, draft))

    def write_manual_tag(self, name: str) -> None:
        expires = f" expires after {length(self.draw)}" if self.draw(st.booleans()) else ""
        self.lines.append(f"manual tag {quoted(name)}{expires}")
        self.tags = (*self.tags, (name, False))

    def write_group(self) -> None:
        """Later ones are barred by earlier ones, so each refers to what stands before it."""
        names = [name for name, draft in self.tags if not draft]
        if len(names) > 1 and self.draw(st.integers(0, 2)) == 2:
            count = self.draw(st.integers(2, len(names)))
            self.lines.append(f"at most one of {', '.join(map(quoted, names[:count]))}")

    def write_reader(self) -> None:
        """A rule that reads every metric, so that a run has to work it out."""
        read = " or ".join(f"{metric.within(Level.SUM)} is missing" for metric in self.metrics)
        self.lines.append(f'tag "reads all" when {read}')

    def write_ladder(self, name: str, depth: int) -> None:
        draft = self.draw(st.integers(0, 3)) == 3
        kind = self.draw(st.sampled_from(["tier", "tier", "class"]))
        levels = ("Gold", "Silver", "Bronze", "青铜")[: self.draw(st.integers(1, 4))]
        lines = []
        for level in levels:
            line = quoted(level)
            if kind == "tier" and self.draw(st.integers(0, 3)) == 3:
                line += f" formerly {quoted('old ' + level)}"
            line += f" when {condition(self.draw, self.scope(draft), depth).text}"
            if kind == "tier" and self.draw(st.integers(0, 2)) == 2:
                line += f" keep while {condition(self.draw, self.scope(draft), 0).text}"
            lines.append(f"    {line}")
        values = levels
        if self.draw(st.booleans()):
            lines.append('    otherwise "None"')
            values = (*levels, "None")
        if kind == "tier":
            lines += self._lasting()
        self.lines += [f"{'draft ' * draft}{kind} {name}", *lines]
        self.ladders = (*self.ladders, LadderName(kind, name, values, draft))
        if kind == "tier" and not draft and self.draw(st.integers(0, 3)) == 3:
            self.lines.append(f"manual tier {name} expires after {length(self.draw)}")

    def _lasting(self) -> list[str]:
        """How long levels last."""
        lines = []
        if self.draw(st.booleans()):
            lines.append(f"    hold for {length(self.draw)}")
        if self.draw(st.booleans()):
            lines.append(f"    grace {length(self.draw)}")
        ways = ["", "fall to earned", "fall one level at a time", "never fall"]
        lines.append(f"    {self.draw(st.sampled_from(ways))}")
        reviews = ["", "review daily", "review monthly", "review quarterly", "review yearly"]
        reviews += [
            f"review on anniversary of {column.name}" for column in self.model.attributes if column.kind == "date"
        ]
        lines.append(f"    {self.draw(st.sampled_from(reviews))}")
        return lines


def ruleset(draw: Draw, model: Model, as_of: date) -> str:
    writer = Writer(draw, model, as_of)
    for place in range(draw(st.integers(0, 2))):
        writer.write_parameter(f"p{place}")
    writer.write_model()
    for place in range(draw(st.integers(1, 4))):
        writer.write_metric(f"m{place}", draw(st.integers(1, 3)))
    if draw(st.booleans()):
        writer.write_manual_tag("by hand")
    # Rules in turn, so that each kind refers to the other.
    for place in range(draw(st.integers(1, 4))):
        if draw(st.integers(0, 2)) == 2:
            writer.write_ladder(f"l{place}", draw(st.integers(0, 1)))
        else:
            writer.write_tag(f"tag {place}", draw(st.integers(1, 2)))
    writer.write_group()
    writer.write_reader()
    return "\n".join(writer.lines) + "\n"


def arithmetic(draw: Draw, model: Model, as_of: date) -> str:
    """A ruleset of nothing but nested arithmetic, where a dropped parenthesis changes the number."""
    writer = Writer(draw, model, as_of)
    writer.write_model()
    scope = replace(writer.scope(), sources=())
    for name in ("m0", "m1", "m2")[: draw(st.integers(1, 3))]:
        piece = number(draw, scope, 4)
        writer.lines.append(f"metric {name} = {piece.text}")
        writer.metrics = (*writer.metrics, Piece(name, piece.kind))
    writer.lines.append(f'tag "compared" when {condition(draw, scope, 3).text}')
    writer.write_reader()
    return "\n".join(writer.lines) + "\n"
