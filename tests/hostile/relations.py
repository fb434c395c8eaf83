"""Expressions that say the same in other words, each a way of its own through the compiler.

`nothing`, `nothing_number` and `nothing_text` are attributes that nobody has.
"""

import operator
from calendar import isleap, monthrange
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

from tests.differential.pieces import quoted

Same = Sequence[str]
"""Texts of expressions that come to the same for everybody."""

ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
TURNED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def written(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else str(value)


def listed(values: Iterable[Any]) -> str:
    return ", ".join(map(written, values))


def among(x: str, values: Iterable[Any]) -> str:
    """That it is one of the values, all of which are listed."""
    choices = listed(values)
    return f"{x} in ({choices})" if choices else f"if {x} is missing then nothing else false"


def looked_up(x: str, found: Mapping[Any, str], otherwise: str) -> str:
    """What is written beside a value; nested so that the depth stays small."""
    values = sorted(found)
    if not values:
        return otherwise
    if len(values) == 1:
        return f"(if {x} = {written(values[0])} then {found[values[0]]} else {otherwise})"
    half = len(values) // 2
    low, high = ({value: found[value] for value in some} for some in (values[:half], values[half:]))
    return f"(if {x} in ({listed(low)}) then {looked_up(x, low, otherwise)} else {looked_up(x, high, otherwise)})"


def one_of(*parts: str) -> str:
    """That exactly one is true."""
    return f"({' + '.join(f'(if {part} then 1 else 0)' for part in parts)}) = 1"


# -- logic ---------------------------------------------------------------------------------------------------


def negation(p: str) -> str:
    """Of Kleene's logic, by cases."""
    return f"(if {p} then false else (if ({p}) is missing then nothing else true))"


def conjunction(p: str, q: str) -> str:
    unknown = f"(if {q} then nothing else (if ({q}) is missing then nothing else false))"
    second = f"(if ({q}) is missing then nothing else {q})"
    return f"(if {p} then {second} else (if ({p}) is missing then {unknown} else false))"


def disjunction(p: str, q: str) -> str:
    neither = f"(if (({p}) is missing) or (({q}) is missing) then nothing else false)"
    return f"(if {p} then true else (if {q} then true else {neither}))"


def logic(p: str, q: str, r: str) -> Iterator[Same]:
    """All that follows from truth, falsehood and what is not known."""
    yield f"({p}) and ({q})", f"({q}) and ({p})", conjunction(p, q), f"not ((not ({p})) or (not ({q})))"
    yield f"({p}) or ({q})", f"({q}) or ({p})", disjunction(p, q), f"not ((not ({p})) and (not ({q})))"
    yield f"not ({p})", negation(p), f"not (not (not ({p})))", f"not (({p}) and ({p}))"
    yield f"({p}) and (({q}) or ({r}))", f"(({p}) and ({q})) or (({p}) and ({r}))"
    yield f"({p}) or (({q}) and ({r}))", f"(({p}) or ({q})) and (({p}) or ({r}))"
    yield f"({p}) and ({q}) and ({r})", conjunction(conjunction(p, q), r), f"(({r}) and ({q})) and ({p})"
    yield f"({p}) or ({q}) or ({r})", disjunction(disjunction(p, q), r), f"(({r}) or ({q})) or ({p})"
    yield (
        *(p, f"({p}) and ({p})", f"({p}) or ({p})", f"({p}) and true", f"({p}) or false", f"not (not ({p}))"),
        *(f"({p}) and (({p}) or ({q}))", f"({p}) or (({p}) and ({q}))"),
    )
    yield f"({p}) default false", f"if {p} then true else false", f"(({p}) is known) and ({p})"
    yield f"({p}) is missing", f"not (({p}) is known)", f"if {p} then false else (if (not ({p})) then false else true)"
    yield one_of(f"({p}) default false", f"(not ({p})) default false", f"({p}) is missing"), "true"


# -- what is compared with literals ----------------------------------------------------------------------------


def comparisons(x: str, literals: Sequence[Any], named: Sequence[str], members: Sequence[Any]) -> Iterator[Same]:
    """Of a value that is one of the members, or missing; `named` are parameters that are the literals."""
    for (sign, holds), value, name in zip(ORDER.items(), [*literals, *literals], [*named, *named], strict=True):
        text = written(value)
        yield (
            *(f"{x} {sign} {text}", f"{text} {TURNED[sign]} {x}", f"not ({x} {OPPOSITE[sign]} {text})"),
            *(f"{x} {sign} {name}", among(x, (it for it in members if holds(it, value)))),
        )
    a, b, c = map(written, literals)
    low, _, high = literals
    yield (
        *(f"{x} between {a} and {c}", f"({x} >= {a}) and ({x} <= {c})", f"not ({x} not between {a} and {c})"),
        *(f"({x} between {a} and {b}) or ({x} between {b} and {c})", f"not (({x} < {a}) or ({x} > {c}))"),
        among(x, (it for it in members if low <= it <= high)),
    )
    yield f"{x} between {b} and {b}", f"{x} = {b}"
    yield (
        *(f"{x} in ({a}, {b}, {c})", f"({x} = {a}) or ({x} = {b}) or ({x} = {c})", f"{x} in ({c}, {a}, {b}, {a})"),
        *(f"({x} in ({a}, {b})) or ({x} in ({c}))", f"not ({x} not in ({a}, {b}, {c}))", f"{x} in few_{x}"),
    )
    yield f"{x} not in ({a}, {b}, {c})", f"({x} != {a}) and ({x} != {b}) and ({x} != {c})"
    yield one_of(f"{x} < {b}", f"{x} = {b}", f"{x} > {b}", f"{x} is missing"), "true"
    yield f"{x} default {b}", f"if {x} is missing then {b} else {x}", f"if {x} is known then {x} else {b}"
    yield f"least({x}, {b})", f"if {x} is missing then {x} else (if {x} < {b} then {x} else {b})"
    yield f"greatest({x}, {b})", f"if {x} is missing then {x} else (if {x} > {b} then {x} else {b})"


def text_tests(x: str, literals: Sequence[str], members: Sequence[str]) -> Iterator[Same]:
    for part in dict.fromkeys([*literals, *(literal[:1] for literal in literals), *(it[-1:] for it in literals)]):
        for words, holds in (
            ("starts with", str.startswith),
            ("ends with", str.endswith),
            ("contains", str.__contains__),
        ):
            meant = among(x, (it for it in members if holds(it, part)))
            yield f"{x} {words} {quoted(part)}", meant, f"not ({x} not {words} {quoted(part)})"
        # All that begins with it lies between it and what its last letter would be followed by.
        after = part[:-1] + chr(ord(part[-1]) + 1)
        yield f"{x} starts with {quoted(part)}", f"({x} >= {quoted(part)}) and ({x} < {quoted(after)})"


def anniversary(of: date, as_of: date) -> date:
    """The next time that a day returns; 29 February as the 28th in common years."""
    days = (
        date(year, of.month, 28 if (of.month, of.day) == (2, 29) and not isleap(year) else of.day)
        for year in (as_of.year, as_of.year + 1)
    )
    return next(day for day in days if day >= as_of)


def dates(x: str, literals: Sequence[date], members: Sequence[date], as_of: date) -> Iterator[Same]:
    for value in literals:
        away = (as_of - value).days
        yield f"days since {x} > {away}", f"{x} < {value}", f"days until {x} < {-away}"
        yield f"days since {x} <= {away}", f"{x} >= {value}", f"{x} > {value - timedelta(1)}"
    yield f"days since {x}", f"-(days until {x})", f"0 - (days until {x})"
    until = {day: str((anniversary(day, as_of) - as_of).days) for day in members}
    yield f"days until anniversary of {x}", looked_up(x, until, "nothing_number")


def numbers(x: str, y: str, step: str) -> Iterator[Same]:
    """Of exact numbers that are missing now and then; `step` is the smallest difference of `x` from another."""
    yield f"{x} + {y}", f"{y} + {x}", f"{x} - (-{y})", f"({x} + {y} + {y}) - {y}", f"-(-{x} - {y})"
    yield f"{x} - {y}", f"{x} + (-{y})", f"-({y} - {x})", f"({x} - ({y} - {x})) - {x}"
    yield f"{x} * 3", f"{x} + {x} + {x}", f"3 * {x}", f"{x} * 5 - 2 * {x}"
    yield f"{x} * {y}", f"{y} * {x}", f"-({x} * (-{y}))", f"{x} * ({y} + 1) - {x}"
    yield f"abs({x})", f"if {x} < 0 then -{x} else {x}", f"greatest({x}, -{x})"
    yield f"least({x}, {y})", f"-greatest(-{x}, -{y})", f"({x} + {y}) - greatest({x}, {y})"
    yield f"ceil({x})", f"-floor(-{x})", f"if {x} = floor({x}) then floor({x}) else floor({x}) + 1"
    yield f"round({x})", f"if {x} < 0 then -floor(0.5 - {x}) else floor({x} + 0.5)"
    yield f"round({x}, 1)", f"if {x} < 0 then -floor(0.5 - {x} * 10) * 0.1 else floor({x} * 10 + 0.5) * 0.1"
    yield f"{x} / {y}", f"({x} * 10) / ({y} * 10)", f"(-{x}) / (-{y})", f"-((-{x}) / {y})"
    yield f"({x} / {y}) is missing", f"({x} is missing) or ({y} is missing) or (({y} = 0) default false)"
    yield f"{x} / ({y} - {y})", "nothing_number / 1"
    yield f"{x} / 4", f"({x} + {x}) / 8"
    yield f"{x} > {y}", f"{x} >= {y} + {step}", f"{y} < {x}", f"({x} - {y}) > 0", f"not ({x} <= {y})"
    yield f"{x} = {y}", f"({x} >= {y}) and ({x} <= {y})", f"({x} - {y}) = 0", f"not ({x} != {y})"
    yield f"({x} / {y}) default 7", f"if ({x} / {y}) is missing then 7 else {x} / {y}"


def samples(keys: Iterable[int]) -> Iterator[Same]:
    yield 'sample 100% "all"', "true"
    for percent in (10, 50):
        digests = {key: sha256(f"{key}|salt {percent}".encode()).hexdigest() for key in keys}
        drawn = [key for key, digest in digests.items() if int(digest[:8], 16) * 100 < percent * 2**32]
        yield f'sample {percent}% "salt {percent}"', among("customer_id", drawn)


# -- windows ---------------------------------------------------------------------------------------------------


def months_before(day: date, count: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - count, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def back(day: date, count: int, unit: str) -> date:
    match unit:
        case "day" | "week":
            return day - timedelta(count * (7 if unit == "week" else 1))
        case "month":
            return months_before(day, count)
        case _:
            return months_before(day, 12 * count)


def windows(as_of: date) -> dict[str, tuple[date, date]]:
    """What follows `during`, with its first and its last day."""
    found = {}
    for count, unit in ((1, "day"), (7, "day"), (30, "day"), (2, "week"), (1, "month"), (3, "month"), (1, "year")):
        words = f"{count} {unit}s"[: None if count > 1 else -1]
        begin, before = back(as_of, count, unit), back(as_of, 2 * count, unit)
        found[f"last {words}"] = begin + timedelta(1), as_of
        found[f"previous {words}"] = before + timedelta(1), begin
    for unit, months in (("month", 1), ("quarter", 3), ("year", 12)):
        start = date(as_of.year, (as_of.month - 1) // months * months + 1, 1)
        found[f"this {unit}"] = start, as_of
        found[f"previous {unit}"] = months_before(start, months), start - timedelta(1)
    found[f"{as_of - timedelta(10)} to {as_of - timedelta(3)}"] = as_of - timedelta(10), as_of - timedelta(3)
    found[f"{as_of - timedelta(5)} to {as_of + timedelta(5)}"] = as_of - timedelta(5), as_of
    return found


SUFFIXES = {
    "1d": "last 1 day",
    "7d": "last 7 days",
    "30d": "last 30 days",
    "2w": "last 2 weeks",
    "1m": "last 1 month",
    "3m": "last 3 months",
    "1y": "last 1 year",
    "mtd": "this month",
    "qtd": "this quarter",
    "ytd": "this year",
}

OVER_EVENTS = (
    *("count(orders{0})", "sum(orders.amount{0})", "min(orders.amount{0})", "max(orders.amount{0})"),
    *("average(orders.amount{0})", "median(orders.amount{0})", "count(distinct orders.kind{0})"),
    *(
        "count(orders.amount{0})",
        "active_days(orders{0})",
        "longest_gap_days(orders{0})",
        "most_frequent(orders.kind{0})",
    ),
    *("latest(orders{0})", "first(orders{0})", "latest(orders.kind{0})", "first(orders.amount{0})"),
    *("latest_gap_days(orders{0})", "average_gap_days(orders{0})"),
)


def windowed(as_of: date, start: int) -> Iterator[Same]:
    """What a window does, a condition on the local day does as well. Each window with an aggregate or two."""
    for number, (words, (first, last)) in enumerate(windows(as_of).items()):
        for aggregate in ("count(orders{0})", OVER_EVENTS[(number + start) % len(OVER_EVENTS)]):
            within = f"orders.ordered_at between {first} and {last}"
            yield (
                f"{aggregate.format('')} during {words}",
                f"{aggregate.format('')} during {first} to {last}",
                aggregate.format(f" where {within}"),
                aggregate.format(
                    f" where (orders.ordered_at >= {first}) and (orders.ordered_at < {last + timedelta(1)})"
                ),
            )
    for suffix, words in SUFFIXES.items():
        yield f"spent_{suffix}", f"spent during {words}", f'sum(orders.amount where kind = "a") during {words}'
        yield f"share_{suffix}", f"spent_{suffix} / bought_{suffix}"
    middle = as_of - timedelta(12)
    for of in ("count(orders{0})", "sum(orders.amount{0})", "count(orders.amount{0})"):
        whole = of.format("")
        parts = (f"{back(as_of, 29, 'day')} to {middle}", f"{middle + timedelta(1)} to {as_of}")
        yield f"{whole} during last 30 days", " + ".join(f"({whole} during {part})" for part in parts)
        early = of.format(f" where orders.ordered_at <= {as_of - timedelta(7)}")
        yield whole, f"{whole} during last 7 days + {early}", of.format(f" where orders.ordered_at <= {as_of}")
        yield of.format(f" where orders.ordered_at > {as_of}"), "0"
    yield (
        "days since latest(orders) during last 30 days",
        f"days since latest(orders where orders.ordered_at > {back(as_of, 30, 'day')})",
    )


def halved(as_of: date) -> Iterator[Same]:
    """What looks at all time beside a window, and is put together of the events before it and those in it."""
    early = f"where orders.ordered_at <= {as_of - timedelta(30)}"
    for of in ("count(orders{0})", "sum(orders.amount{0})"):
        yield of.format(""), f"{of.format('')} during last 30 days + {of.format(f' {early}')}"
    yield "average(orders.amount)", "sum(orders.amount) / count(orders.amount)"
    yield "max(orders.amount)", "-min(-orders.amount)"
    yield "first(orders.order_id)", "min(orders.order_id)"
    yield "latest(orders.order_id)", "max(orders.order_id)"
    yield "first(orders)", "min(orders.ordered_at)"
    yield "latest(orders)", "max(orders.ordered_at)"


# -- aggregates ------------------------------------------------------------------------------------------------


def aggregates(kinds: Sequence[str], as_of: date) -> Iterator[Same]:
    """Of events whose keys ascend with time, and of visits, which have none and are all of one moment."""
    yield "average(orders.amount)", "sum(orders.amount) / count(orders.amount)"
    yield "min(orders.amount)", "-max(-orders.amount)"
    yield "max(orders.amount)", "-min(-orders.amount)"
    yield (
        "if count(orders.amount) <= 2 then median(orders.amount) else 0",
        ("if count(orders.amount) <= 2 then (min(orders.amount) + max(orders.amount)) / 2 else 0"),
    )
    yield (
        "sum(orders.amount)",
        "sum(orders.amount + orders.amount) - sum(orders.amount)",
        (
            " + ".join(f"sum(orders.amount where kind = {quoted(kind)})" for kind in kinds)
            + " + sum(orders.amount where kind is missing)"
        ),
    )
    yield "sum(orders.amount * 2 where amount > 1)", "2 * sum(orders.amount where not (amount <= 1))"
    counted = [f"count(orders where kind = {quoted(kind)})" for kind in kinds]
    yield "count(distinct orders.kind)", " + ".join(f"(if {count} > 0 then 1 else 0)" for count in counted)
    yield "count(orders.kind)", " + ".join(counted), "count(orders where kind is known)"
    yield f"count(orders where kind in ({listed(kinds[:2])}))", " + ".join(counted[:2])
    yield 'count(orders where kind not contains "a")', 'count(orders.kind) - count(orders where kind contains "a")'
    yield "count(orders where kind = customer.t)", looked_up("t", dict(zip(kinds, counted, strict=True)), "0")
    text = "nothing_text"
    for kind, count in zip(reversed(kinds), reversed(counted), strict=True):
        most = " and ".join(f"({count} >= {other})" for other in counted)
        text = f"(if ({count} > 0) and {most} then {quoted(kind)} else {text})"
    yield "most_frequent(orders.kind)", text
    # Of several events of one moment the one with the highest key is the latest.
    yield "latest(orders.order_id)", "max(orders.order_id)"
    yield "first(orders.order_id)", "min(orders.order_id)"
    for kind in kinds:
        ends = f"max(orders.order_id where kind = {quoted(kind)}) = max(orders.order_id)"
        yield f"(latest(orders.kind) = {quoted(kind)}) default false", f"({ends}) default false"
    ends = "(max(orders.order_id where amount is missing) = max(orders.order_id)) default false"
    yield "latest(orders.amount) is missing", f"(count(orders) = 0) or ({ends})"
    yield "latest(visits.page)", "max(visits.page)"
    yield "first(visits.page)", "min(visits.page)"
    yield "latest(visits.size)", "max(visits.size)"
    yield "first(visits.size)", "min(visits.size)"
    yield "latest(orders)", "max(orders.ordered_at)", "max(orders.ordered_at) during 1990-01-01 to " + str(as_of)
    yield "first(orders)", "min(orders.ordered_at)"
    yield "active_days(orders)", "count(distinct orders.ordered_at)"
    whole = "(days since first(orders) - days since latest(orders))"
    yield "average_gap_days(orders)", f"{whole} / (active_days(orders) - 1)"
    for gap in ("latest_gap_days", "longest_gap_days"):
        yield f"if active_days(orders) = 2 then {gap}(orders) else 0", f"if active_days(orders) = 2 then {whole} else 0"
    for days in ("active_days(orders)", "count(distinct orders.ordered_at)"):
        one = "first(orders) = latest(orders)"
        yield f"if {one} then {days} else 0", f"if {one} then 1 else 0"
    for last in (as_of - timedelta(days) for days in (0, 1, 6, 7, 29, 30)):
        before = f"days since latest(orders where orders.ordered_at < {last})"
        gap = f"{before} - days since {last}"
        there = f"latest(orders) = {last}"
        yield f"if {there} then latest_gap_days(orders) else 0", f"if {there} then {gap} else 0"
    yield "longest_gap_days(orders) >= latest_gap_days(orders)", "if active_days(orders) >= 2 then true else nothing"


# -- the whole population --------------------------------------------------------------------------------------


def rankings(values: Mapping[int, int | None], groups: Mapping[int, str | None]) -> Iterator[Same]:
    """Of `n`, which is this of the customers by key, within `t`, likewise; both may be missing."""
    held = {key: value for key, value in values.items() if value is not None}
    everybody = sorted(held.values())
    total = len(everybody)

    def by_value(tell: Callable[[int], str]) -> str:
        return looked_up("n", {value: tell(value) for value in set(everybody)}, "nothing_number")

    def better(value: int) -> int:
        return sum(other > value for other in everybody)

    def worse(value: int) -> int:
        return sum(other < value for other in everybody)

    def in_group(group: str | None, value: int) -> int:
        return sum(other > value for key, other in held.items() if groups[key] == group)

    yield "rank(n)", by_value(lambda it: str(1 + better(it))), "rank(2 * n + 1)", "rank(-n lowest best)"
    yield "rank(n lowest best)", by_value(lambda it: str(1 + worse(it))), "rank(-n)"
    for name, buckets in (("quartile(n{0})", 4), ("quintile(n{0})", 5), ("decile(n{0})", 10), ("ntile(n, 7{0})", 7)):
        rising = {it: str(1 + buckets * worse(it) // total) for it in everybody}
        falling = {it: str(1 + buckets * better(it) // total) for it in everybody}
        yield name.format(""), by_value(rising.__getitem__)
        yield name.format(" lowest best"), by_value(falling.__getitem__)
    yield "percentile(n)", by_value(lambda it: f"{total - better(it)} / {total}")
    positive = [max(value, 0) for value in everybody]
    if sum(positive):
        yield (
            "cumulative_share(n)",
            by_value(
                lambda it: f"{sum(other for other in positive if other > it)} / {sum(positive)}" if it > 0 else "1 / 1"
            ),
        )
    for count in (1, 5, total // 2):
        yield f"top {count} by n", f"rank(n) <= {count}", among("n", {it for it in everybody if better(it) < count})
        yield f"bottom {count} by n", f"rank(n lowest best) <= {count}"
    for percent in (10, 33, 50):
        most = -(-total * percent // 100)
        yield f"top {percent}% by n", f"rank(n) <= {most}", among("n", {it for it in everybody if better(it) < most})
    yield "rank(n ties split)", "rank(n * 1000 - customer_id)"
    yield "rank(n among n > 0)", "rank((if n > 0 then n else nothing_number))"
    within = {
        group: looked_up("n", {it: str(1 + in_group(group, it)) for it in set(everybody)}, "nothing_number")
        for group in set(groups.values()) - {None}
    }
    yield "rank(n within t)", looked_up("t", {str(group): text for group, text in within.items()}, "nothing_number")
