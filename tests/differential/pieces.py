"""Pieces of made-up rules: text, and what the checker will find out about it."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum

from hypothesis import strategies as st

from tests.differential.data import DISTANCES, WORDS, Draw, EventsSource, Kind

MAX_SCALE = 8
MOST_FACTORS = 6
"""Numbers multiplied in one expression: more would mostly overflow."""


class Level(IntEnum):
    """How tightly a piece of text holds together; a looser one needs parentheses in a tighter place."""

    WHOLE = 0  # if … then … else …, x default 0
    JUNCTION = 1
    NEGATION = 2
    COMPARISON = 3
    WINDOWED = 4  # beside an operator `during` could be meant for both sides
    SUM = 5
    PRODUCT = 6
    SIGNED = 7
    CALL = 8  # of a scalar function, to which `during` cannot belong
    ATOM = 9


@dataclass(frozen=True, slots=True)
class Piece:
    """An expression as text, and what the checker will find out about it."""

    text: str
    kind: Kind
    level: Level = Level.ATOM
    scale: int = 0
    factors: int = 1
    reads_events: bool = False
    windowed: bool = False
    reads_column: bool = False
    is_literal: bool = False

    def within(self, level: Level) -> str:
        return self.text if self.level >= level else f"({self.text})"


@dataclass(frozen=True, slots=True)
class LadderName:
    kind: str
    name: str
    values: tuple[str, ...]
    draft: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What an expression may name, where it stands."""

    as_of: date
    values: tuple[Piece, ...] = ()
    """Attributes, parameters, metrics, and inside an aggregate columns, each as it is written there."""
    lists: tuple[Piece, ...] = ()
    sources: tuple[EventsSource, ...] = ()
    """Events that may be counted here; none inside an aggregate."""
    outer: tuple[Piece, ...] = ()
    """What can be named inside an aggregate, too."""
    taken: frozenset[str] = frozenset()
    """Names that a column shares with something else."""
    tags: tuple[tuple[str, bool], ...] = ()
    ladders: tuple[LadderName, ...] = ()
    may_divide: bool = True
    may_rank: bool = False
    """Whether customers can be ranked here, and samples drawn."""

    def of(self, *kinds: Kind) -> list[Piece]:
        return [value for value in self.values if value.kind in kinds and (self.may_divide or value.kind != "double")]


def made(text: str, kind: Kind, level: Level, *parts: Piece, scale: int = 0, factors: int | None = None) -> Piece:
    """A piece made of others."""
    return Piece(
        text,
        kind,
        level,
        scale,
        max((part.factors for part in parts), default=1) if factors is None else factors,
        any(part.reads_events for part in parts),
        any(part.windowed for part in parts),
        any(part.reads_column for part in parts),
    )


# -- literals -----------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "5",
    "10",
    "100",
    "0.5",
    "20%",
    "1.50",
    "10_000",
    "0.25",
    "0.0001",
    "7",
    "365",
    "-1",
    "-2.5",
)
LARGE_NUMBERS = ("999_999_999_999_999_999", "9007199254740993", "12345678901234567890")


def number_literal(text: str) -> Piece:
    plain = text.rstrip("%").replace("_", "")
    scale = len(plain.partition(".")[2]) + 2 * text.endswith("%")
    return Piece(text, "exact", Level.SIGNED if text.startswith("-") else Level.ATOM, scale, is_literal=True)


def literal(draw: Draw, scope: Scope, kind: Kind) -> Piece:
    match kind:
        case "text":
            return Piece(quoted(draw(st.sampled_from(WORDS))), kind, is_literal=True)
        case "boolean":
            return Piece(draw(st.sampled_from(["true", "false"])), kind, is_literal=True)
        case "date":
            day = scope.as_of + timedelta(days=draw(st.sampled_from(DISTANCES)))
            return Piece(str(day), kind, is_literal=True)
        case _:
            large = draw(st.integers(0, 19)) == 19
            return number_literal(draw(st.sampled_from(LARGE_NUMBERS if large else NUMBERS)))
