"""Made-up rules that remember, changes to them, and customers."""

from dataclasses import fields, is_dataclass, replace
from datetime import date, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.memory.rules import Class, Condition, Level, Manual, Rule, Rules, Span, Tag, Tier, kind_of

Draw = st.DrawFn

FIRST_DAY = date(2026, 3, 28)
SIGNS = (">=", ">=", ">=", ">", "<", "=")
SPANS: tuple[Span, ...] = (
    (1, "day"),
    (2, "day"),
    (2, "day"),
    (3, "day"),
    (4, "day"),
    (1, "week"),
    (1, "month"),
    (1, "year"),
)
REVIEWS = ("daily", "monthly", "monthly", "quarterly", "yearly", "joined")
WITHIN = (None, 1, 2, 3, 4, 5, 10, 40)

KEYS = (1, 2, 3, 4, 5, 6, 10, 12)
NUMBERS = (0, 1, 2, 3, 4, 5, None)
DATES = (
    *(date(2000, 1, 1), date(2020, 2, 29), date(2025, 3, 30), date(2025, 4, 2), None),
    *(FIRST_DAY, FIRST_DAY - timedelta(days=3), FIRST_DAY + timedelta(days=4)),
)

customer = st.fixed_dictionaries(
    {
        "n": st.sampled_from(NUMBERS),
        "m": st.sampled_from(NUMBERS),
        "ok": st.sampled_from([True, False, None]),
        "joined": st.sampled_from(DATES),
    }
)
customers = st.dictionaries(st.sampled_from(KEYS), customer, min_size=3, max_size=len(KEYS))


# -- conditions -----------------------------------------------------------------------------------------------


def number(draw: Draw) -> Condition:
    return ("number", draw(st.sampled_from(["n", "m"])), draw(st.sampled_from(SIGNS)), draw(st.integers(1, 4)))


def simple(draw: Draw) -> Condition:
    match draw(st.sampled_from(["number"] * 6 + ["true", "age", "missing"])):
        case "number":
            return number(draw)
        case "true":
            return ("true", "ok")
        case "age":
            return ("age", "joined", draw(st.sampled_from(SIGNS)), draw(st.integers(0, 12)))
        case _:
            return ("missing", draw(st.sampled_from(["n", "m", "ok", "joined"])))


def condition(draw: Draw, earlier: tuple[Rule, ...], all_rules: tuple[Rule, ...], depth: int = 1) -> Condition:
    """`earlier` are the rules that it may refer to today, `all_rules` those whose past it may ask for."""
    ways = ["simple"] * 5 + ["has"] * bool(earlier) + ["past"] * bool(all_rules)
    ways += ["not", "and", "or"] * (depth > 0)
    match draw(st.sampled_from(ways)):
        case "simple":
            return simple(draw)
        case "has":
            rule = draw(st.sampled_from(earlier))
            if isinstance(rule, Tag | Manual):
                return ("has", rule.name)
            return ("is", kind_of(rule), rule.name, *value(draw, rule))
        case "past":
            rule = draw(st.sampled_from(all_rules))
            days = draw(st.sampled_from(WITHIN))
            if isinstance(rule, Tag | Manual):
                return ("had", rule.name, days)
            return ("was", kind_of(rule), rule.name, *value(draw, rule), days)
        case "not":
            return ("not", condition(draw, earlier, all_rules, depth - 1))
        case word:
            first = condition(draw, earlier, all_rules, depth - 1)
            return (word, first, condition(draw, earlier, all_rules, depth - 1))


def value(draw: Draw, rule: Tier | Class) -> tuple[bool, str]:
    return isinstance(rule, Tier) and draw(st.booleans()), draw(st.sampled_from(rule.values))


# -- rules ----------------------------------------------------------------------------------------------------


@st.composite
def rulesets(draw: Draw) -> Rules:
    by_hand = Manual(name="M", expires=draw(st.sampled_from([None, *SPANS])))
    outline: list[Rule] = [Tag(name=name, when=()) for name in "ABCDEF"[: draw(st.integers(3, 6))]]
    for name in ("t", "u")[: draw(st.sampled_from([2, 2, 1]))]:
        levels = tuple(Level(name=level, when=()) for level in ("Gold", "Silver", "Bronze")[: draw(st.integers(1, 3))])
        outline.append(Tier(name=name, levels=levels, otherwise=draw(st.sampled_from([None, "Member"]))))
    if draw(st.booleans()):
        lines = tuple((value, ()) for value in ("x", "y")[: draw(st.integers(1, 2))])
        outline.append(Class(name="c", lines=lines, otherwise=draw(st.sampled_from([None, "z"]))))
    outline = [by_hand, *draw(st.permutations(outline))]
    rules: tuple[Rule, ...] = ()
    for rule in outline:
        rules = (*rules, filled(draw, rule, rules, tuple(outline)))
    names = [rule.name for rule in rules if isinstance(rule, Tag | Manual)]
    groups: tuple[tuple[str, ...], ...] = ()
    if draw(st.integers(0, 2)) == 2:
        members = draw(st.sets(st.sampled_from(names), min_size=2))
        groups = (tuple(name for name in names if name in members),)
    return Rules(rules, groups)


def filled(draw: Draw, rule: Rule, earlier: tuple[Rule, ...], all_rules: tuple[Rule, ...]) -> Rule:
    """A rule with its clauses."""

    def made(depth: int = 1) -> Condition:
        return condition(draw, earlier, all_rules, depth)

    def often() -> bool:
        return draw(st.booleans())

    def seldom() -> bool:
        return draw(st.integers(0, 3)) == 3

    match rule:
        case Tag():
            return replace(
                rule,
                when=made() if seldom() else number(draw),
                unless=made(0) if seldom() else None,
                until=made(0) if often() else None,
                keep_for=draw(st.sampled_from(SPANS)) if often() else None,
                keep_unknown=often(),
                limit=(draw(st.integers(1, 3)), often(), draw(st.sampled_from(["n", "m"]))) if seldom() else None,
            )
        case Tier():
            needed = sorted(draw(st.lists(st.integers(1, 5), min_size=3, max_size=3)), reverse=True)
            attribute = draw(st.sampled_from(["n", "m"]))
            return replace(
                rule,
                levels=tuple(
                    replace(
                        level,
                        when=made(0) if seldom() else ("number", attribute, ">=", least),
                        keep_while=made(0) if seldom() else None,
                    )
                    for level, least in zip(rule.levels, needed, strict=False)
                ),
                hold=draw(st.sampled_from([None, None, *SPANS])),
                grace=draw(st.sampled_from([None, None, *SPANS])),
                fall=draw(st.sampled_from([None, "to earned", "one level at a time", "one level at a time", "never"])),
                review=draw(st.sampled_from([None, None, None, *REVIEWS])),
            )
        case Class():
            return replace(rule, lines=tuple((value, made()) for value, _ in rule.lines))
        case Manual():
            return rule


# -- changes --------------------------------------------------------------------------------------------------


@st.composite
def changed(draw: Draw, rules: Rules) -> Rules:
    """The same rules with one of them written anew, renamed, left out or added."""
    index = draw(st.integers(0, len(rules.rules) - 1))
    rule = rules.rules[index]
    match draw(st.sampled_from(["anew", "anew", "rename", "rename", "add"])):
        case "rename":
            return renamed(draw, rules, rule)
        case "add" if not any(rule.name == "new" for rule in rules.rules):
            added = filled(draw, Tag(name="new", when=()), rules.rules, rules.rules)
            return replace(rules, rules=(*rules.rules, added))
        case _:
            return rules.changed(rule, filled(draw, rule, rules.rules[:index], rules.rules))


def renamed(draw: Draw, rules: Rules, rule: Rule) -> Rules:
    match rule:
        case Tag():
            new = f"{rule.name}'"
            keep = draw(st.booleans())  # whether what it was called before that still stands there
            found = rules.changed(rule, replace(rule, name=new, formerly=(rule.name, *(rule.formerly if keep else ()))))
            return _with_names(found, "tag", rule.name, None, new)
        case Tier():
            level = draw(st.sampled_from(rule.levels))
            new = f"{level.name}'"
            levels = tuple(
                replace(each, name=new, formerly=(each.name, *each.formerly)) if each is level else each
                for each in rule.levels
            )
            found = rules.changed(rule, replace(rule, levels=levels))
            return _with_names(found, "tier", rule.name, level.name, new)
        case Class() | Manual():
            return rules


def _with_names(rules: Rules, kind: str, name: str, level: str | None, new: str) -> Rules:
    """The rules, speaking of something by its new name."""

    def told(part: Any) -> Any:
        match part:
            case ("has", found) if (kind, name) == ("tag", found):
                return ("has", new)
            case ("had", found, days) if (kind, name) == ("tag", found):
                return ("had", new, days)
            case (("is" | "was") as word, found_kind, found, at_least, found_level, *rest) if (kind, name, level) == (
                found_kind,
                found,
                found_level,
            ):
                return (word, found_kind, found, at_least, new, *rest)
            case tuple():
                return tuple(told(each) for each in part)
            case _ if is_dataclass(part) and not isinstance(part, type):
                return replace(part, **{field.name: told(getattr(part, field.name)) for field in fields(part)})
            case _:
                return part

    groups = tuple(tuple(new if (kind, each) == ("tag", name) else each for each in group) for group in rules.groups)
    return Rules(tuple(told(rule) for rule in rules.rules), groups)
