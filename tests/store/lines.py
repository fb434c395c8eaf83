"""A line of versions in plain Python, and what a run is told of it, day by day."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from ruleengine.planning.memory import Memory, Past
from ruleengine.store.records import Key
from tests.store.tables import Held, Rules, Standing

Name = tuple[str, str]
Holding = dict[Name, tuple[str | None, date]]
"""By kind and name: the value and since when."""


@dataclass(frozen=True)
class Made:
    """A version."""

    number: int
    as_of: date
    base: int | None
    detached: bool
    rules: Rules
    state: Mapping[Key, Holding]
    memory: Mapping[tuple[Key, Name], date | Standing]


@dataclass
class Line:
    """Everything that was published."""

    made: dict[int, Made] = field(default_factory=dict)
    current: int | None = None

    @property
    def numbers(self) -> list[int]:
        """The current one first."""
        found, number = [], self.current
        while number is not None:
            found.append(number)
            number = self.made[number].base
        return found

    def in_force(self, day: date) -> Made | None:
        return next((self.made[number] for number in self.numbers if self.made[number].as_of <= day), None)

    def previous(self, day: date) -> Made | None:
        return self.in_force(day - timedelta(days=1))

    def state(self, rules: Rules, customers: Mapping[Key, Held], day: date) -> dict[Key, Holding]:
        """What a run for a day comes to."""
        previous = self.previous(day)
        before = previous.state if previous else {}
        return {key: _dated(before.get(key, {}), rules, what, day) for key, what in customers.items()}

    def publish(self, rules: Rules, customers: Mapping[Key, Held], day: date) -> Made:
        state = self.state(rules, customers, day)
        memory: dict[tuple[Key, Name], date | Standing] = {}
        for key, what in customers.items():
            for tag in rules.memory.tags:
                if tag.tag in what.matched:
                    memory[key, ("tag", tag.tag)] = what.matched[tag.tag]
            for tier in rules.memory.tiers:
                if tier.tier in what.standing:
                    memory[key, ("tier", tier.tier)] = what.standing[tier.tier]
        now = self.made.get(self.current or 0)
        base = self.in_force(day)
        detached = now is not None and day < now.as_of
        made = Made(len(self.made) + 1, day, base.number if base else None, detached, rules, state, memory)
        self.made[made.number] = made
        if not detached:
            self.current = made.number
        return made

    def rollback(self, number: int) -> Made:
        of = self.made[number]
        made = Made(len(self.made) + 1, of.as_of, number, False, of.rules, of.state, of.memory)
        self.made[made.number] = made
        self.current = made.number
        return made

    def remembered(self, asked: Memory, day: date) -> dict[Key, dict[str, object]]:
        """What a run for a day is told: by customer and column, where there is something."""
        told: dict[Key, dict[str, object]] = {}
        previous = self.previous(day)
        for key, holding in previous.state.items() if previous else ():
            assert previous is not None
            mine = told.setdefault(key, {})
            for tag in asked.tags:
                names = [name for name in (tag.tag, *tag.formerly) if ("tag", name) in holding]
                if names:
                    mine[tag.held] = True
                    mine[tag.matched] = previous.memory.get((key, ("tag", names[0])), previous.as_of)
            for tier in asked.tiers:
                left = previous.memory.get((key, ("tier", tier.tier)))
                if isinstance(left, Standing):
                    mine |= {tier.level: left.level, tier.reached: left.reached, tier.below: left.below}
                elif ("tier", tier.tier) in holding:
                    level, since = holding["tier", tier.tier]
                    mine |= {tier.level: level, tier.reached: since}
        for past in asked.past:
            for made in self._days(past, day):
                for key, holding in made.state.items():
                    if any(_counts(past, holding, name) for name in past.names):
                        told.setdefault(key, {})[past.column] = True
        said = {
            key: {column: value for column, value in mine.items() if value is not None} for key, mine in told.items()
        }
        return {key: mine for key, mine in said.items() if mine}

    def known(self, past: Past, day: date) -> bool:
        def declared(rules: Rules) -> set[str]:
            return set({"tag": rules.tags, "tier": rules.tiers, "class": rules.classes}[past.kind])

        return any(declared(made.rules) & set(past.names) for made in self._days(past, day))

    def _days(self, past: Past, day: date) -> list[Made]:
        """The versions in force, for each of the days that count."""
        first = past.first or min((made.as_of for made in self.made.values()), default=day)
        days = [first + timedelta(days=count) for count in range((day - first).days)]
        return [made for each in days if (made := self.in_force(each))]


def _counts(past: Past, holding: Holding, name: str) -> bool:
    found = holding.get((past.kind, name))
    return found is not None and (past.kind == "tag" or found[0] in past.values)


def _dated(before: Holding, rules: Rules, what: Held, day: date) -> Holding:
    holding: Holding = {}
    for tag in what.tags:
        names = [name for name in (tag, *rules.formerly.get(tag, ())) if ("tag", name) in before]
        holding["tag", tag] = (None, before["tag", names[0]][1] if names else day)
    for kind, of in (("tier", rules.tiers), ("class", rules.classes)):
        for name in of:
            if name in what.ladders:
                value, since = before.get((kind, name), (None, day))
                same = value is not None and what.ladders[name] in (value, rules.renamed.get(value))
                holding[kind, name] = (what.ladders[name], since if same else day)
    return holding
