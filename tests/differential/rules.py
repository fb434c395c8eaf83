"""Made-up rules, as text that the checker has nothing against."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import IntEnum
from typing import Any, Literal

from hypothesis import strategies as st

from tests.differential.data import DISTANCES, WORDS, Column, Draw, EventsSource, Model

MAX_SCALE = 8
MOST_FACTORS = 6
"""Numbers multiplied in one expression: more would mostly overflow."""

Kind = Literal["text", "boolean", "date", "exact", "double"]


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


# -- values of any kind -------------------------------------------------------------------------------------


def value(draw: Draw, scope: Scope, kind: Kind, depth: int) -> Piece:
    """An expression of a kind; `exact` and `double` are both any number."""
    if kind in ("exact", "double"):
        return number(draw, scope, depth)
    if kind == "boolean":
        return condition(draw, scope, depth)
    ways = ["name"] * 4 + ["literal"]
    if depth > 0:
        ways += ["aggregate", "aggregate", "aggregate", "if", "default", "least"]
    way = draw(st.sampled_from(ways))
    if way == "name":
        names = scope.of(kind)
        return draw(st.sampled_from(names)) if names else literal(draw, scope, kind)
    if way == "aggregate":
        return aggregate(draw, scope, kind, depth) or literal(draw, scope, kind)
    if way == "literal":
        return literal(draw, scope, kind)
    first, second = value(draw, scope, kind, depth - 1), value(draw, scope, kind, depth - 1)
    return either(draw, scope, way, first, second, depth)


def either(draw: Draw, scope: Scope, way: str, first: Piece, second: Piece, depth: int) -> Piece:
    """One of two values: by a condition, by which is there, or by which is less."""
    kind: Kind = "double" if "double" in (first.kind, second.kind) else first.kind
    scale = max(first.scale, second.scale)
    match way:
        case "if":
            when = condition(draw, scope, depth - 1)
            text = f"if {when.text} then {first.text} else {second.text}"
            return made(text, kind, Level.WHOLE, when, first, second, scale=scale)
        case "default":
            # Only a literal needs parentheses to have a default: it is never missing.
            left = f"({first.text})" if first.is_literal else first.within(Level.CALL)
            right = second.text if second.text.startswith("-") and second.is_literal else second.within(Level.CALL)
            return made(f"{left} default {right}", kind, Level.WHOLE, first, second, scale=scale)
        case _:
            function = draw(st.sampled_from(["least", "greatest"]))
            return made(f"{function}({first.text}, {second.text})", kind, Level.CALL, first, second, scale=scale)


# -- numbers ------------------------------------------------------------------------------------------------


def number(draw: Draw, scope: Scope, depth: int) -> Piece:
    ways = ["name"] * 4 + ["literal"]
    if scope.of("date"):
        ways.append("days")
    if depth > 0:
        ways += ["+", "-", "*", "+", "-", "*", "negative", "function", "function", "if", "default", "least"]
        ways += ["/"] * 3 if scope.may_divide else []
        ways += ["aggregate"] * 12 if scope.sources else []
    way = draw(st.sampled_from(ways))
    match way:
        case "name":
            names = scope.of("exact", "double")
            return draw(st.sampled_from(names)) if names else literal(draw, scope, "exact")
        case "literal":
            return literal(draw, scope, "exact")
        case "days":
            return days(draw, scope, depth)
        case "aggregate":
            return aggregate(draw, scope, "exact", depth) or literal(draw, scope, "exact")
        case "negative":
            operand = number(draw, scope, depth - 1)
            return made(f"-{operand.within(Level.SIGNED)}", operand.kind, Level.SIGNED, operand, scale=operand.scale)
        case "function":
            return scalar(draw, number(draw, scope, depth - 1))
        case "+" | "-" | "*" | "/":
            return calculation(draw, way, number(draw, scope, depth - 1), number(draw, scope, depth - 1))
        case _:
            return either(draw, scope, way, number(draw, scope, depth - 1), number(draw, scope, depth - 1), depth)


def calculation(draw: Draw, sign: str, left: Piece, right: Piece) -> Piece:
    """Two numbers and a sign between them, with no more parentheses than it takes, or with some."""
    is_double = sign == "/" or "double" in (left.kind, right.kind)
    scale = 0 if is_double else max(left.scale, right.scale)
    factors = max(left.factors, right.factors)
    if sign == "*":
        factors = left.factors + right.factors
        if factors > MOST_FACTORS or (not is_double and left.scale + right.scale > MAX_SCALE):
            sign, factors = "+", max(left.factors, right.factors)
        elif not is_double:
            scale = left.scale + right.scale
    level = Level.SUM if sign in "+-" else Level.PRODUCT
    # A sum on the right of a sum needs them: a - (b - c) is not a - b - c.
    tight = draw(st.integers(0, 7))
    first = left.within(Level.ATOM if tight == 7 else level)
    second = right.within(Level.ATOM if tight == 6 else Level(level + 1))
    kind: Kind = "double" if is_double else "exact"
    return made(f"{first} {sign} {second}", kind, level, left, right, scale=scale, factors=factors)


def scalar(draw: Draw, operand: Piece) -> Piece:
    function = draw(st.sampled_from(["round", "round", "abs", "floor", "ceil"]))
    scale = operand.scale
    if function == "round":
        places = draw(st.sampled_from([None, 0, 1, 2, 4]))
        scale = places or 0
        text = f"round({operand.text})" if places is None else f"round({operand.text}, {places})"
    else:
        text = f"{function}({operand.text})"
        scale = operand.scale if function == "abs" else 0
    return made(text, operand.kind, Level.CALL, operand, scale=0 if operand.kind == "double" else scale)


def days(draw: Draw, scope: Scope, depth: int) -> Piece:
    day = value(draw, scope, "date", depth - 1)
    words = draw(st.sampled_from(["since", "until", "until anniversary of"]))
    return made(f"days {words} {day.within(Level.CALL)}", "exact", Level.SIGNED, day)


# -- aggregates and windows ---------------------------------------------------------------------------------


def inside(scope: Scope, source: EventsSource) -> Scope:
    """What may be named inside an aggregate over a source."""
    columns = tuple(
        replace(
            of_column(column, column.name),
            text=f"{source.name}.{column.name}" if column.name in scope.taken else column.name,
            reads_column=True,
        )
        for column in source.readable
    )
    return Scope(as_of=scope.as_of, values=(*columns, *scope.outer), lists=scope.lists)


def of_column(column: Column, text: str) -> Piece:
    return Piece(text, column.kind, scale=column.size[1] if column.kind == "exact" else 0)  # type: ignore[arg-type]


def aggregate(draw: Draw, scope: Scope, kind: Kind, depth: int) -> Piece | None:
    """An aggregate of a kind, or None where there is nothing to count."""
    if not scope.sources:
        return None
    source = draw(st.sampled_from(scope.sources))
    within = inside(scope, source)
    over_events = f"{source.name}"
    argument: Piece | None = None
    scale = 0
    match kind:
        case "exact" | "double":
            function = draw(st.sampled_from(COUNTING))
            if function in ("sum", "average"):
                argument = event_value(draw, replace(within, may_divide=False), source, "exact", depth - 1)
                scale = argument.scale if argument and function == "sum" else 0
            elif function == "median":
                argument = event_value(draw, within, source, "exact", depth - 1)
            elif function in ("count distinct", "count of"):
                kinds = [column.kind for column in source.readable]
                argument = event_value(draw, within, source, draw(st.sampled_from(kinds)), 0)
            elif function in PICKING or function in ("min", "max"):
                argument = event_value(draw, within, source, "exact", depth - 1)
                scale = argument.scale if argument else 0
            if argument is None and function not in OF_EVENTS:
                function = "count"
            result: Kind = "double" if function in ("average", "median", "average_gap_days") else "exact"
            if argument is not None and argument.kind == "double" and function not in ("count distinct", "count of"):
                result = "double"
        case "date":
            function = draw(st.sampled_from(["latest", "first", "latest", "min", "max", "latest of", "most_frequent"]))
            if function not in ("latest", "first"):
                argument = event_value(draw, within, source, "date", depth - 1)
            result = "date"
        case _:
            picking = ["latest of", "first of", "most_frequent", *(["min", "max"] if kind == "text" else [])]
            function = draw(st.sampled_from(picking))
            argument = event_value(draw, within, source, kind, depth - 1)
            if argument is None:
                return None
            result = kind
    name = function.partition(" ")[0]
    distinct = "distinct " if function == "count distinct" else ""
    where = ""
    if draw(st.booleans()):
        where = f" where {condition(draw, within, max(0, depth - 1)).text}"
    text = f"{name}({distinct}{argument.text if argument else over_events}{where})"
    return window(draw, Piece(text, result, scale=scale, reads_events=True), scope)


OF_EVENTS = ("count", "active_days", "latest_gap_days", "longest_gap_days", "average_gap_days")
PICKING = ("first of", "latest of", "most_frequent")
COUNTING = (
    *("count", "sum", "sum", "average", "min", "max", "median", "count distinct", "count of"),
    *("active_days", "latest_gap_days", "longest_gap_days", "average_gap_days", *PICKING),
)


def event_value(draw: Draw, scope: Scope, source: EventsSource, kind: Kind, depth: int) -> Piece | None:
    """A column, or what is made of columns and names its source; None where no column is of the kind."""
    columns = [column for column in source.readable if column.kind == kind]
    if not columns:
        return None
    if depth > 0:
        made = value(draw, scope, kind, depth)
        if made.reads_column and f"{source.name}." in made.text:
            return made
    column = draw(st.sampled_from(columns))
    return replace(of_column(column, f"{source.name}.{column.name}"), reads_column=True)


def window(draw: Draw, piece: Piece, scope: Scope) -> Piece:
    """The piece as it is, or through a window."""
    if piece.windowed or not piece.reads_events or draw(st.booleans()):
        return piece
    text = f"{piece.within(Level.ATOM)} during {a_window(draw, scope.as_of)}"
    return replace(made(text, piece.kind, Level.WINDOWED, piece, scale=piece.scale), windowed=True)


def a_window(draw: Draw, as_of: date) -> str:
    match draw(st.sampled_from(["days", "counted", "calendar", "range"])):
        case "days":
            return f"last {draw(st.sampled_from([7, 30, 90, 1, 365]))} days"
        case "counted":
            word = draw(st.sampled_from(["last", "previous"]))
            count = draw(st.sampled_from([1, 2, 3, 12, 30, 90]))
            unit = draw(st.sampled_from(["day", "week", "month", "year"]))
            return f"{word} {count} {unit}" + "s" * (count > 1)
        case "calendar":
            word, unit = draw(st.sampled_from(["this", "previous"])), draw(st.sampled_from(PERIODS))
            return f"{word} {unit}"
        case _:
            ends = draw(st.lists(st.sampled_from(DISTANCES), min_size=2, max_size=2))
            first, last = (as_of + timedelta(days=end) for end in sorted(ends))
            return f"{first} to {last}"


PERIODS = ("month", "quarter", "year")
SUFFIXES = ("7d", "30d", "90d", "1d", "2w", "1m", "3m", "12m", "1y", "2y", "mtd", "qtd", "ytd")


# -- the whole population -----------------------------------------------------------------------------------

RANKINGS = ("rank", "quartile", "quintile", "decile", "ntile", "percentile", "cumulative_share")


def ranking(draw: Draw, scope: Scope, depth: int) -> Piece:
    """Where a customer stands among all."""
    function = draw(st.sampled_from(RANKINGS))
    ranked = what_is_ranked(draw, scope, depth, exact=function == "cumulative_share")
    buckets = f", {draw(st.sampled_from([2, 3, 7, 100]))}" if function == "ntile" else ""
    words = modifiers(draw, scope, may_split=function not in ("percentile", "cumulative_share"))
    among = f" among {condition(draw, lone(scope), depth - 1).text}" if depth > 0 and draw(st.booleans()) else ""
    kind: Kind = "double" if function in ("percentile", "cumulative_share") else "exact"
    text = f"{function}({ranked.within(Level.SUM)}{buckets}{words}{among})"
    return Piece(text, kind, Level.CALL, windowed=True)


def top(draw: Draw, scope: Scope, depth: int) -> Piece:
    ranked = what_is_ranked(draw, scope, depth, exact=False)
    word, limit = draw(st.sampled_from(["top", "bottom"])), draw(st.sampled_from(["1", "2", "10%", "50%", "34%", "3"]))
    words = modifiers(draw, scope, may_split=False)
    among = f" among ({condition(draw, lone(scope), depth - 1).text})" if depth > 0 and draw(st.booleans()) else ""
    text = f"{word} {limit} by {ranked.within(Level.SUM)}{words}{among}"
    return Piece(text, "boolean", Level.COMPARISON, windowed=True)


def lone(scope: Scope) -> Scope:
    """What may be named where customers are ranked: neither rules nor other ranks."""
    return replace(scope, tags=(), ladders=(), may_rank=False)


def what_is_ranked(draw: Draw, scope: Scope, depth: int, *, exact: bool) -> Piece:
    if exact:
        made = number(draw, replace(lone(scope), may_divide=False), max(0, depth - 1))
        return made if made.kind == "exact" else Piece("days until 2026-01-01", "exact", Level.SIGNED)
    return value(draw, lone(scope), draw(st.sampled_from(["exact", "exact", "date"])), max(0, depth - 1))


def modifiers(draw: Draw, scope: Scope, *, may_split: bool) -> str:
    lowest = " lowest best" * draw(st.booleans())
    groups, within = scope.of("text", "boolean"), ""
    if draw(st.booleans()) and groups:
        group = draw(st.sampled_from(groups))
        within = f" within {group.within(Level.ATOM)}"
    split = " ties split" * (may_split and draw(st.booleans()))
    return f"{lowest}{within}{split}"


# -- conditions ---------------------------------------------------------------------------------------------

EQUALITIES = ("=", "!=", "is", "is not")
COMPARISONS = (*EQUALITIES, "<", "<=", ">", ">=")


def condition(draw: Draw, scope: Scope, depth: int) -> Piece:
    ways = ["compare", "compare", "compare", "compare", "missing", "in", "between", "text"]
    if scope.of("boolean"):
        ways.append("name")
    if scope.lists:
        ways.append("list")
    if scope.tags or scope.ladders:
        ways += ["rule", "rule", "rule"]
    if scope.may_rank:
        ways += ["top", "top", "sample"]
    if depth > 0:
        ways += ["not", "and", "or", "and", "or", "if", "default"]
    way = draw(st.sampled_from(ways))
    match way:
        case "top":
            return top(draw, scope, depth)
        case "sample":
            share, salt = draw(st.sampled_from(["10%", "50%", "100%", "33.3%"])), draw(st.sampled_from(WORDS))
            return replace(Piece(f"sample {share} {quoted(salt)}", "boolean", Level.COMPARISON), windowed=True)
        case "compare":
            return comparison(draw, scope, depth)
        case "missing":
            kind: Kind = draw(st.sampled_from(["exact", "text", "date", "boolean"]))
            operand = value(draw, scope, kind, max(0, depth - 1))
            words = draw(st.sampled_from(["missing", "known", "not missing", "not known"]))
            return made(f"{operand.within(Level.SUM)} is {words}", "boolean", Level.COMPARISON, operand)
        case "in":
            return membership(draw, scope, depth)
        case "between":
            return between(draw, scope, depth)
        case "text":
            operand, part = value(draw, scope, "text", max(0, depth - 1)), value(draw, scope, "text", 0)
            words = draw(st.sampled_from(["contains", "starts with", "ends with"]))
            negated = "not " * draw(st.booleans())
            text = f"{operand.within(Level.SUM)} {negated}{words} {part.within(Level.SUM)}"
            return made(text, "boolean", Level.COMPARISON, operand, part)
        case "name":
            return draw(st.sampled_from(scope.of("boolean")))
        case "list":
            choices = draw(st.sampled_from(scope.lists))
            operand = value(draw, scope, choices.kind, max(0, depth - 1))
            negated = "not " * draw(st.booleans())
            text = f"{operand.within(Level.SUM)} {negated}in {choices.text}"
            return made(text, "boolean", Level.COMPARISON, operand)
        case "rule":
            return reference(draw, scope)
        case "not":
            operand = condition(draw, scope, depth - 1)
            return made(f"not {operand.within(Level.NEGATION)}", "boolean", Level.NEGATION, operand)
        case "and" | "or":
            items = [condition(draw, scope, depth - 1) for _ in range(draw(st.integers(2, 3)))]
            text = f" {way} ".join(item.within(Level.NEGATION) for item in items)
            return made(text, "boolean", Level.JUNCTION, *items)
        case _:
            first, second = condition(draw, scope, depth - 1), condition(draw, scope, depth - 1)
            return either(draw, scope, way, first, second, depth)


def comparison(draw: Draw, scope: Scope, depth: int) -> Piece:
    kind: Kind = draw(st.sampled_from(["exact", "exact", "exact", "text", "date", "boolean"]))
    signs = EQUALITIES if kind == "boolean" else COMPARISONS
    if kind == "boolean":
        left: Piece = draw(st.sampled_from(scope.of(kind))) if scope.of(kind) else literal(draw, scope, kind)
    else:
        left = value(draw, scope, kind, depth)
    right = literal(draw, scope, kind)
    if draw(st.booleans()):
        right = value(draw, scope, kind, max(0, depth - 1))
    elif draw(st.integers(0, 3)) == 3:
        left, right = right, left
    sign = draw(st.sampled_from(signs))
    # `m during … > 5` says what it means; beside something else that counts events it would not.
    least = Level.WINDOWED if left.is_literal or right.is_literal else Level.SUM
    text = f"{left.within(least)} {sign} {right.within(least)}"
    return made(text, "boolean", Level.COMPARISON, left, right)


def membership(draw: Draw, scope: Scope, depth: int) -> Piece:
    kind: Kind = draw(st.sampled_from(["text", "exact", "date"]))
    operand = value(draw, scope, kind, max(0, depth - 1))
    choices = [literal(draw, scope, kind).text for _ in range(draw(st.integers(1, 3)))]
    negated = "not " * draw(st.booleans())
    text = f"{operand.within(Level.SUM)} {negated}in ({', '.join(choices)})"
    return made(text, "boolean", Level.COMPARISON, operand)


def between(draw: Draw, scope: Scope, depth: int) -> Piece:
    kind: Kind = draw(st.sampled_from(["exact", "date", "text"]))
    operand = value(draw, scope, kind, max(0, depth - 1))
    if kind == "date":
        ends = sorted([literal(draw, scope, kind).text, literal(draw, scope, kind).text])
    elif kind == "text":
        ends = sorted(draw(st.lists(st.sampled_from(WORDS), min_size=2, max_size=2)))
        ends = [quoted(end) for end in ends]
    else:
        ends = list(draw(st.sampled_from([("0", "10"), ("-1", "1.50"), ("20%", "100"), ("5", "5")])))
    negated = "not " * draw(st.booleans())
    text = f"{operand.within(Level.SUM)} {negated}between {ends[0]} and {ends[1]}"
    return made(text, "boolean", Level.COMPARISON, operand)


def reference(draw: Draw, scope: Scope) -> Piece:
    """Another rule's answer."""
    names: list[Any] = [*scope.tags, *scope.ladders]
    chosen = draw(st.sampled_from(names))
    if not isinstance(chosen, LadderName):
        if not chosen[1] and draw(st.integers(0, 2)) == 2:
            return Piece(f"had tag {quoted(chosen[0])}{within(draw)}", "boolean", Level.COMPARISON)
        return Piece(f"has tag {quoted(chosen[0])}", "boolean", Level.COMPARISON)
    level = quoted(draw(st.sampled_from(chosen.values)))
    if not chosen.draft and draw(st.integers(0, 2)) == 2:
        words = draw(st.sampled_from(["was", "was not", *(["was at least"] if chosen.kind == "tier" else [])]))
        return Piece(f"{chosen.kind} {chosen.name} {words} {level}{within(draw)}", "boolean", Level.COMPARISON)
    ways = ["is", "is not", *(["is at least", "is not at least"] if chosen.kind == "tier" else [])]
    words = draw(st.sampled_from(ways))
    return Piece(f"{chosen.kind} {chosen.name} {words} {level}", "boolean", Level.COMPARISON)


def within(draw: Draw) -> str:
    return draw(st.sampled_from(["", " within 90 days", " within 1 day"]))


def length(draw: Draw) -> str:
    """Of time."""
    return draw(st.sampled_from(["1 day", "7 days", "30 days", "90 days", "2 weeks", "1 month", "12 months", "1 year"]))


# -- statements ---------------------------------------------------------------------------------------------


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
    for number in range(draw(st.integers(0, 2))):
        writer.write_parameter(f"p{number}")
    writer.write_model()
    for number in range(draw(st.integers(1, 4))):
        writer.write_metric(f"m{number}", draw(st.integers(1, 3)))
    if draw(st.booleans()):
        writer.write_manual_tag("by hand")
    # Rules in turn, so that each kind refers to the other.
    for number in range(draw(st.integers(1, 4))):
        if draw(st.integers(0, 2)) == 2:
            writer.write_ladder(f"l{number}", draw(st.integers(0, 1)))
        else:
            writer.write_tag(f"tag {number}", draw(st.integers(1, 2)))
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
