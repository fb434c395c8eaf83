"""The part of the language that remembers, as plain values, and how a rule file says it.

Conditions are tuples whose first word says what they are (see `said`).
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

Condition = tuple[Any, ...]
Unit = Literal["day", "week", "month", "year"]
Span = tuple[int, Unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    name: str
    when: Condition
    formerly: tuple[str, ...] = ()
    unless: Condition | None = None
    until: Condition | None = None
    keep_for: Span | None = None
    keep_unknown: bool = False
    limit: tuple[int, bool, str] | None = None
    """How many, whether the lowest are best, and of which attribute."""
    draft: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    name: str
    when: Condition
    formerly: tuple[str, ...] = ()
    keep_while: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    name: str
    levels: tuple[Level, ...]
    otherwise: str | None = None
    hold: Span | None = None
    grace: Span | None = None
    fall: Literal["to earned", "one level at a time", "never"] | None = None
    review: str | None = None
    """daily, monthly, quarterly, yearly, or the attribute whose anniversary it is."""

    @property
    def values(self) -> tuple[str, ...]:
        """Highest first."""
        return (*(level.name for level in self.levels), *([self.otherwise] if self.otherwise else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    name: str
    lines: tuple[tuple[str, Condition], ...]
    otherwise: str | None = None

    @property
    def values(self) -> tuple[str, ...]:
        return (*(value for value, _ in self.lines), *([self.otherwise] if self.otherwise else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Manual:
    """A tag that people set."""

    name: str
    expires: Span | None = None


Rule = Tag | Manual | Tier | Class


@dataclass(frozen=True, slots=True)
class Rules:
    rules: tuple[Rule, ...]
    """Each refers only to rules before it."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Each `at most one of`, in the order of the rules."""

    def rule(self, kind: str, name: str) -> Rule | None:
        return next((rule for rule in self.rules if kind_of(rule) == kind and rule.name == name), None)

    def changed(self, old: Rule, new: Rule) -> "Rules":
        return replace(self, rules=tuple(new if rule is old else rule for rule in self.rules))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text("\n" + text(self))


def kind_of(rule: Rule) -> str:
    return {Tag: "tag", Manual: "tag", Tier: "tier", Class: "class"}[type(rule)]


# -- as text --------------------------------------------------------------------------------------------------

ATTRIBUTES = {"n": "integer", "m": "integer", "ok": "boolean", "joined": "date"}


def text(rules: Rules) -> str:
    columns = ", ".join(f"{name} {type}" for name, type in ATTRIBUTES.items())
    lines = [f"entity customer from customers key id integer ({columns})"]
    lines += [written(rule) for rule in rules.rules]
    lines += [f"at most one of {', '.join(map(quoted, group))}" for group in rules.groups]
    # So that every attribute is read, whatever else is.
    lines.append(f'draft tag "reads" when {" or ".join(f"{name} is missing" for name in ATTRIBUTES)}')
    return "\n".join(lines) + "\n"


def quoted(name: str) -> str:
    return f'"{name}"'


def span(length: Span) -> str:
    count, unit = length
    return f"{count} {unit}{'s' * (count != 1)}"


def formerly(names: tuple[str, ...]) -> str:
    return f" formerly {', '.join(map(quoted, names))}" if names else ""


def written(rule: Rule) -> str:
    match rule:
        case Tag():
            clauses = [f"{'draft ' * rule.draft}tag {quoted(rule.name)}{formerly(rule.formerly)}"]
            clauses.append(f"when {said(rule.when)}")
            clauses += [f"unless {said(rule.unless)}"] if rule.unless else []
            clauses += [f"until {said(rule.until)}"] if rule.until else []
            clauses += [f"keep for {span(rule.keep_for)}"] if rule.keep_for else []
            clauses += ["if unknown keep"] if rule.keep_unknown else []
            if rule.limit:
                count, lowest, attribute = rule.limit
                clauses.append(f"limit {count} by {'lowest ' * lowest}{attribute}")
            return "\n    ".join(clauses)
        case Manual():
            return f"manual tag {quoted(rule.name)}{f' expires after {span(rule.expires)}' if rule.expires else ''}"
        case Tier():
            clauses = [f"tier {rule.name}"]
            for level in rule.levels:
                keep = f" keep while {said(level.keep_while)}" if level.keep_while else ""
                clauses.append(f"{quoted(level.name)}{formerly(level.formerly)} when {said(level.when)}{keep}")
            clauses += [f"otherwise {quoted(rule.otherwise)}"] if rule.otherwise else []
            clauses += [f"hold for {span(rule.hold)}"] if rule.hold else []
            clauses += [f"grace {span(rule.grace)}"] if rule.grace else []
            clauses += ["never fall" if rule.fall == "never" else f"fall {rule.fall}"] if rule.fall else []
            if rule.review:
                on = rule.review if rule.review not in ATTRIBUTES else f"on anniversary of {rule.review}"
                clauses.append(f"review {on}")
            return "\n    ".join(clauses)
        case Class():
            clauses = [f"class {rule.name}", *(f"{quoted(value)} when {said(when)}" for value, when in rule.lines)]
            clauses += [f"otherwise {quoted(rule.otherwise)}"] if rule.otherwise else []
            return "\n    ".join(clauses)


def said(condition: Condition) -> str:
    match condition:
        case "number", attribute, sign, value:
            return f"{attribute} {sign} {value}"
        case "true", attribute:
            return f"{attribute} = true"
        case "age", attribute, sign, value:
            return f"days since {attribute} {sign} {value}"
        case "missing", attribute:
            return f"{attribute} is missing"
        case "not", part:
            return f"not ({said(part)})"
        case ("and" | "or") as word, first, second:
            return f"({said(first)}) {word} ({said(second)})"
        case "has", tag:
            return f"has tag {quoted(tag)}"
        case "is", kind, name, at_least, value:
            return f"{kind} {name} is {'at least ' * at_least}{quoted(value)}"
        case "had", tag, days:
            return f"had tag {quoted(tag)}{within(days)}"
        case "was", kind, name, at_least, value, days:
            return f"{kind} {name} was {'at least ' * at_least}{quoted(value)}{within(days)}"
        case _:
            raise ValueError(condition)


def within(days: int | None) -> str:
    return "" if days is None else f" within {days} day{'s' * (days != 1)}"
