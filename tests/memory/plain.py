"""What rules that remember mean, a second time: from the whole published history, and as plainly as possible.

It keeps no state. A version is what it was computed from and what everybody had; whatever a rule asks of the past is
looked up there, day by day. Answers are True, False or None, which is unknown.
"""

from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, timedelta
from operator import eq, ge, gt, le, lt
from typing import Any

from tests.memory.rules import Class, Condition, Manual, Rules, Span, Tag, Tier, kind_of

Answer = bool | None
Customer = Mapping[str, Any]
"""Attributes by name; None is missing."""

COMPARE = {"=": eq, ">=": ge, ">": gt, "<=": le, "<": lt}


@dataclass
class Person:
    """What one customer had in a version."""

    tags: set[str] = field(default_factory=set)
    values: dict[str, str] = field(default_factory=dict)
    """By tier or class; those without a value are not in it."""
    matched: set[str] = field(default_factory=set)
    """Tags that were given, and whose `when and not unless` held."""
    short: set[str] = field(default_factory=set)
    """Tiers of which less was earned than he has."""


@dataclass(frozen=True)
class Version:
    as_of: date
    rules: Rules
    people: Mapping[int, Person]


History = Sequence[Version]


def published(line: Iterable[Version], day: date) -> History:
    """The versions of a line before a day, oldest first: of two with one as-of, the later."""
    return list({version.as_of: version for version in line if version.as_of < day}.values())


# -- Kleene's logic -----------------------------------------------------------------------------------------


def no(answer: Answer) -> Answer:
    return None if answer is None else not answer


def both(first: Answer, second: Answer) -> Answer:
    if first is False or second is False:
        return False
    return None if first is None or second is None else True


def either(first: Answer, second: Answer) -> Answer:
    return no(both(no(first), no(second)))


# -- days ---------------------------------------------------------------------------------------------------


def later(day: date, length: Span) -> date:
    count, unit = length
    if unit in ("day", "week"):
        return day + timedelta(days=count * (7 if unit == "week" else 1))
    months = day.year * 12 + day.month - 1 + count * (12 if unit == "year" else 1)
    year, month = months // 12, months % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=step) for step in range((last - first).days + 1))


def is_review(day: date, tier: Tier, customer: Customer) -> bool:
    match tier.review:
        case None | "daily":
            return True
        case "monthly":
            return day.day == 1
        case "quarterly":
            return day.day == 1 and day.month in (1, 4, 7, 10)
        case "yearly":
            return day.day == 1 and day.month == 1
        case attribute:
            born = customer[attribute] or date(2000, 1, 1)
            return (day.month, day.day) == (born.month, min(born.day, monthrange(day.year, born.month)[1]))


# -- names --------------------------------------------------------------------------------------------------


def names_then(rules: Rules, history: History, kind: str, name: str) -> list[str | None]:
    """What a rule was called in each version of a history; None where there was none."""
    found: list[str | None] = []
    rule = rules.rule(kind, name)
    known = {name, *(rule.formerly if isinstance(rule, Tag) else ())}
    for version in reversed(history):
        then = next((each for each in version.rules.rules if kind_of(each) == kind and each.name in known), None)
        if then is None or (isinstance(then, Tag) and then.draft):
            found.append(None)
            continue
        if isinstance(then, Tag):
            known |= {then.name, *then.formerly}
        found.append(then.name)
    return found[::-1]


def levels_then(rules: Rules, history: History, kind: str, name: str, value: str) -> list[set[str]]:
    """What a level was called in each version of a history."""
    found = []
    known = {value}
    for version in (Version(date.max, rules, {}), *reversed(history)):
        then = version.rules.rule(kind, name)
        if isinstance(then, Tier):
            for level in then.levels:
                if level.name in known:
                    known |= set(level.formerly)
        found.append(set(known))
    return found[:0:-1]


# -- one run ------------------------------------------------------------------------------------------------


@dataclass
class Run:
    rules: Rules
    customers: Mapping[int, Customer]
    day: date
    history: History
    by_hand: Mapping[int, Set[str]] = field(default_factory=dict)
    """Manual tags, of whom they are set on the day."""
    spent: Mapping[int, Set[str]] | None = None
    """Where budgets are not spent anew: who has been given which tags."""
    people: dict[int, Person] = field(default_factory=dict)

    def answers(self) -> Version:
        declared = {rule.name for rule in self.rules.rules if isinstance(rule, Manual)}
        self.people = {key: Person(tags={*self.by_hand.get(key, ())} & declared) for key in self.customers}
        for rule in self.rules.rules:
            match rule:
                case Tag():
                    self.give(rule)
                case Tier():
                    for key in self.customers:
                        self.place(rule, key)
                case Class():
                    for key in self.customers:
                        self.sort(rule, key)
                case Manual():
                    pass
        return Version(self.day, self.rules, self.people)

    # -- tags

    def give(self, tag: Tag) -> None:
        given, matched = [], set()
        for key in self.customers:
            unless = self.ask(key, tag.unless) if tag.unless else False
            for group in self.rules.groups:
                if tag.name in group:
                    for earlier in group[: group.index(tag.name)]:
                        unless = either(unless, self.ask(key, ("has", earlier)))
            when = self.ask(key, tag.when)
            held = self.held(key, tag)
            stays: Answer = False
            if held and tag.keep_for:
                last = self.last_match(key, tag)
                stays = last is not None and self.day < later(last, tag.keep_for)
            if held and tag.until:
                stays = either(stays, no(self.ask(key, tag.until)))
            answer = both(no(unless), either(when, stays))
            if answer or (answer is None and tag.keep_unknown and held):
                given.append(key)
            if both(when, no(unless)):
                matched.add(key)
        if tag.limit and self.spent is not None:
            given = [key for key in given if tag.name in self.spent[key]]
        elif tag.limit:
            count, lowest, attribute = tag.limit

            def worth(key: int) -> tuple[bool, int, int]:
                value = self.customers[key][attribute]
                return value is None, (value or 0) * (1 if lowest else -1), key

            given = sorted(given, key=worth)[:count]
        for key in given:
            self.people[key].tags.add(tag.name)
            if key in matched:
                self.people[key].matched.add(tag.name)

    def held(self, key: int, tag: Tag) -> bool:
        if tag.draft or not self.history or key not in self.history[-1].people:
            return False
        then = names_then(self.rules, self.history, "tag", tag.name)[-1]
        return then in self.history[-1].people[key].tags

    def last_match(self, key: int, tag: Tag) -> date | None:
        then = names_then(self.rules, self.history, "tag", tag.name)
        found = [
            version.as_of
            for version, name in zip(self.history, then, strict=True)
            if key in version.people and name in version.people[key].matched
        ]
        return max(found, default=None)

    # -- ladders

    def sort(self, ladder: Class, key: int) -> None:
        for value, when in ladder.lines:
            answer = self.ask(key, when)
            if answer is None:
                return
            if answer:
                self.people[key].values[ladder.name] = value
                return
        if ladder.otherwise:
            self.people[key].values[ladder.name] = ladder.otherwise

    def place(self, tier: Tier, key: int) -> None:
        """Levels are numbered from the highest, 0; below them all is no level."""
        nothing = len(tier.values)
        stays = self.stays(key, tier)
        held = stays[-1][1] if stays else nothing
        earned = len(tier.levels)
        for number, level in enumerate(tier.levels):
            met = self.ask(key, level.when)
            if number >= held:
                if level.keep_while:
                    met = either(met, self.ask(key, level.keep_while))
                met = met is not False
            if met:
                earned = number
                break
        now = earned
        if earned > held:
            now = held
            reached = stays[0][0]
            below = self.day
            for as_of, _, short in reversed(stays):
                if not short:
                    break
                below = as_of
            # The review that let him fall to where he is does not count again.
            due = max(later(reached, tier.hold or (1, "day")), later(below, tier.grace or (0, "day")))
            if tier.fall != "never" and any(is_review(day, tier, self.customers[key]) for day in days(due, self.day)):
                now = held + 1 if tier.fall == "one level at a time" else earned
        if now < nothing:
            self.people[key].values[tier.name] = tier.values[now]
        if earned > now:
            self.people[key].short.add(tier.name)

    def stays(self, key: int, tier: Tier) -> list[tuple[date, int, bool]]:
        """The published days since he reached the level that he has: each with the level, and whether he was short."""
        then = {value: levels_then(self.rules, self.history, "tier", tier.name, value) for value in tier.values}
        found: list[tuple[date, int, bool]] = []
        for index in reversed(range(len(self.history))):
            version = self.history[index]
            value = version.people[key].values.get(tier.name) if key in version.people else None
            number = next((tier.values.index(each) for each in tier.values if value in then[each][index]), None)
            if number is None or (found and number != found[0][1]):
                break
            found.insert(0, (version.as_of, number, tier.name in version.people[key].short))
        return found

    # -- conditions

    def ask(self, key: int, condition: Condition) -> Answer:
        customer, person = self.customers[key], self.people[key]
        match condition:
            case "number", attribute, sign, value:
                return None if customer[attribute] is None else COMPARE[sign](customer[attribute], value)
            case "true", attribute:
                answer: Answer = customer[attribute]
                return answer
            case "age", attribute, sign, value:
                born = customer[attribute]
                return None if born is None else COMPARE[sign]((self.day - born).days, value)
            case "missing", attribute:
                return customer[attribute] is None
            case "not", part:
                return no(self.ask(key, part))
            case "and", first, second:
                return both(self.ask(key, first), self.ask(key, second))
            case "or", first, second:
                return either(self.ask(key, first), self.ask(key, second))
            case "has", tag:
                return tag in person.tags
            case "is", kind, name, at_least, value:
                return person.values.get(name) in self.levels(kind, name, at_least, value)
            case "had", tag, within:
                return self.past(key, "tag", tag, (), within)
            case "was", kind, name, at_least, value, within:
                return self.past(key, kind, name, self.levels(kind, name, at_least, value), within)
            case _:
                raise ValueError(condition)

    def levels(self, kind: str, name: str, at_least: bool, value: str) -> tuple[str, ...]:
        rule: Any = self.rules.rule(kind, name)
        return rule.values[: rule.values.index(value) + 1] if at_least else (value,)

    def past(self, key: int, kind: str, name: str, values: Sequence[str], within: int | None) -> Answer:
        """Whether a customer had something on a day before this one: a tag, or one of the values of a ladder."""
        answer: Answer = None
        first = date.min if within is None else self.day - timedelta(days=within)
        names = names_then(self.rules, self.history, kind, name)
        wanted = [levels_then(self.rules, self.history, kind, name, value) for value in values]
        ends = [*(version.as_of for version in self.history[1:]), self.day]
        for index, version in enumerate(self.history):
            called = names[index]
            if ends[index] <= first or called is None:
                continue
            if key in version.people and has(
                version.people[key], kind, called, set[str]().union(*(levels[index] for levels in wanted))
            ):
                return True
            answer = False
        return answer


def has(person: Person, kind: str, name: str, values: Set[str]) -> bool:
    return name in person.tags if kind == "tag" else person.values.get(name) in values


def rows(version: Version, line: Sequence[Version]) -> list[tuple[Any, ...]]:
    """What an export of a version holds but for its number; `line` leads to it."""
    history = [*published(line, version.as_of), version]
    found: list[tuple[Any, ...]] = []
    for key, person in version.people.items():
        for rule in version.rules.rules:
            kind, value = kind_of(rule), person.values.get(rule.name, "")
            if value or (rule.name in person.tags and not (isinstance(rule, Tag) and rule.draft)):
                found.append((key, kind, rule.name, value, since(history, key, kind, rule.name, value)))
    return sorted(found)


def since(history: History, key: int, kind: str, name: str, value: str) -> date:
    """The first of the published days, up to the last and without a gap, on which he has it."""
    rules = history[-1].rules
    names = names_then(rules, history, kind, name)
    values = levels_then(rules, history, kind, name, value)
    start = history[-1].as_of
    for version, called, levels in zip(reversed(history), reversed(names), reversed(values), strict=True):
        if called is None or key not in version.people or not has(version.people[key], kind, called, levels):
            break
        start = version.as_of
    return start
