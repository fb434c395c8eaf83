"""Made-up expressions, as text that the checker has nothing against."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.differential.data import DISTANCES, WORDS, Column, Draw, EventsSource, Kind
from tests.differential.pieces import (
    MAX_SCALE,
    MOST_FACTORS,
    LadderName,
    Level,
    Piece,
    Scope,
    literal,
    made,
    quoted,
)

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
    return Piece(text, column.kind, scale=column.size[1] if column.kind == "exact" else 0)


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
