"""What is so of every customer: leaves that conditions read, and the facts that tie them together."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations
from operator import ge
from typing import Any

import z3

from ruleengine.checking.expressions import Aggregate, EventValue, Expression, Junction, Window, walk
from ruleengine.checking.proofs.extents import Extent, extent
from ruleengine.functions.aggregates import Aggregation
from ruleengine.types import Kind, Type

Term = Any
"""A term of the prover, which comes without types."""


@dataclass(frozen=True, slots=True)
class Worth:
    """A value. Exact numbers are whole, scaled by their type; dates are days; texts lie in their order on a line."""

    value: Term
    missing: Term


@dataclass(frozen=True, slots=True)
class Truth:
    """Kleene's: unknown is neither."""

    true: Term
    false: Term


@dataclass(eq=False, slots=True)
class Leaf:
    """Something that a condition reads and that is not computed from anything else here."""

    worth: Worth
    facts: list[Term] = field(default_factory=list)
    group: "Group | None" = None
    free: bool = True
    """Whether its facts tell all that there is, so that each value they allow can be that of some customer."""
    tame: Callable[[], Term] | None = None
    """What holds of the values one usually sees, for examples."""


@dataclass(eq=False, slots=True)
class Group:
    """The events of one source that pass one filter, in one window."""

    source: str
    where: Expression | None
    window: Window | None
    extent: Extent
    count: Term
    members: dict[tuple[Aggregation, Expression | None], Term] = field(default_factory=dict)
    facts: list[Term] = field(default_factory=list)

    @property
    def conjuncts(self) -> frozenset[Expression]:
        return frozenset(flattened("and", self.where)) if self.where is not None else frozenset()


def flattened(operator: str, condition: Expression) -> Iterator[Expression]:
    if isinstance(condition, Junction) and condition.operator == operator:
        for item in condition.items:
            yield from flattened(operator, item)
    else:
        yield condition


class World:
    """Makes variables, and knows what is so of them."""

    def __init__(self, implies: Callable[[Expression, Expression], bool]) -> None:
        self.context = z3.Context()
        self.today = z3.Int("today", self.context)
        self._implies = implies
        self._groups: dict[tuple[str, Expression | None, Window | None], Group] = {}
        self._pairs: dict[tuple[Group, Group], list[Term]] = {}
        self._names = 0

    # -- variables ------------------------------------------------------------------------------------------

    def number(self, value: int) -> Term:
        return z3.IntVal(value, self.context)

    def truth(self, value: bool) -> Term:
        return z3.BoolVal(value, self.context)

    def variable(self, type: Type) -> Term:
        self._names += 1
        name = f"v{self._names}"
        match type.kind:
            case Kind.BOOLEAN:
                return z3.Bool(name, self.context)
            case Kind.EXACT | Kind.DATE:
                return z3.Int(name, self.context)
            case Kind.DOUBLE | Kind.TEXT:
                return z3.Real(name, self.context)

    def whole(self) -> Term:
        self._names += 1
        return z3.Int(f"v{self._names}", self.context)

    def flag(self) -> Term:
        self._names += 1
        return z3.Bool(f"v{self._names}", self.context)

    # -- aggregates -----------------------------------------------------------------------------------------

    def aggregate(self, aggregate: Aggregate) -> Leaf:
        group = self._group(aggregate)
        function, argument = aggregate.function, aggregate.argument
        value = self._member(group, function, argument, aggregate.type)
        none = self.truth(False)
        free, tame = False, None
        missing = none
        match function:
            case Aggregation.COUNT | Aggregation.COUNT_VALUES | Aggregation.COUNT_DISTINCT | Aggregation.ACTIVE_DAYS:
                free = True
            case Aggregation.SUM:
                free = not _shares_columns(argument, aggregate.where)
                tame = partial(ge, value, 0)
            case Aggregation.FIRST_DAY | Aggregation.LATEST_DAY:
                missing, free = group.count == 0, True
            case Aggregation.FIRST_VALUE | Aggregation.LATEST_VALUE:
                missing = z3.Or(group.count == 0, self.flag())
            case Aggregation.AVERAGE_GAP | Aggregation.LATEST_GAP | Aggregation.LONGEST_GAP:
                missing = self._member(group, Aggregation.ACTIVE_DAYS, None) < 2
            case _:
                missing = self._member(group, Aggregation.COUNT_VALUES, argument) == 0
        return Leaf(Worth(value, missing), group=group, free=free, tame=tame)

    def _group(self, aggregate: Aggregate) -> Group:
        key = aggregate.source, aggregate.where, aggregate.window
        if key not in self._groups:
            count = self.whole()
            group = Group(*key, extent(aggregate.window), count)
            group.facts.append(count >= 0)
            self._groups[key] = group
        return self._groups[key]

    def _member(
        self, group: Group, function: Aggregation, argument: Expression | None, type: Type | None = None
    ) -> Term:
        if function is Aggregation.COUNT:
            return group.count
        key = function, argument
        if key not in group.members:
            group.members[key] = self.variable(type) if type is not None else self.whole()
            group.facts.extend(self._of_member(group, function, argument, group.members[key]))
        return group.members[key]

    def _of_member(
        self, group: Group, function: Aggregation, argument: Expression | None, value: Term
    ) -> Iterator[Term]:
        count = group.count
        match function:
            case Aggregation.COUNT_VALUES:
                assert argument is not None
                yield from (value >= 0, value <= count)
            case Aggregation.COUNT_DISTINCT:
                values = self._member(group, Aggregation.COUNT_VALUES, argument)
                yield from (value >= 0, value <= values, (value == 0) == (values == 0))
            case Aggregation.SUM:
                values = self._member(group, Aggregation.COUNT_VALUES, argument)
                yield z3.Implies(values == 0, value == 0)
            case Aggregation.ACTIVE_DAYS:
                yield from (value >= 0, value <= count, (value == 0) == (count == 0))
                if group.extent.start.most is not None:
                    yield value <= group.extent.start.most - group.extent.end.least
            case Aggregation.FIRST_DAY | Aggregation.LATEST_DAY:
                ago = self.today - value
                yield z3.Implies(count > 0, ago >= group.extent.end.least)
                if group.extent.start.most is not None:
                    yield z3.Implies(count > 0, ago < group.extent.start.most)
                self._member(group, Aggregation.ACTIVE_DAYS, None)
                yield from self._between_members(group)
            case Aggregation.MIN | Aggregation.MAX:
                yield from self._between_members(group)
            case Aggregation.LATEST_GAP | Aggregation.LONGEST_GAP | Aggregation.AVERAGE_GAP:
                yield z3.Implies(self._member(group, Aggregation.ACTIVE_DAYS, None) >= 2, value >= 1)
                yield from self._between_members(group)
            case _:
                pass

    def _between_members(self, group: Group) -> Iterator[Term]:
        """Facts of pairs; those whose other one is not there yet come when it does."""
        of = group.members
        days = of.get((Aggregation.ACTIVE_DAYS, None))
        first, latest = of.get((Aggregation.FIRST_DAY, None)), of.get((Aggregation.LATEST_DAY, None))
        if first is not None and latest is not None and days is not None:
            yield z3.Implies(days > 0, latest - first >= days - 1)
            yield z3.Implies(days == 1, latest == first)
        longest = of.get((Aggregation.LONGEST_GAP, None))
        if longest is not None and days is not None:
            for function in (Aggregation.LATEST_GAP, Aggregation.AVERAGE_GAP):
                if (function, None) in of:
                    yield z3.Implies(days >= 2, of[function, None] <= longest)
            if first is not None and latest is not None:
                yield z3.Implies(days >= 2, longest <= latest - first)
        for function, argument in list(of):
            if function is Aggregation.MIN and (most := of.get((Aggregation.MAX, argument))) is not None:
                known = self._member(group, Aggregation.COUNT_VALUES, argument) > 0
                yield z3.Implies(known, of[function, argument] <= most)

    # -- facts ----------------------------------------------------------------------------------------------

    def facts(self, leaves: Iterable[Leaf]) -> list[Term]:
        """All that is known of some leaves and of what they count."""
        found: list[Term] = []
        groups: dict[Group, None] = {}
        for leaf in leaves:
            found.extend(leaf.facts)
            if leaf.group is not None:
                groups[leaf.group] = None
        for group in groups:
            found.extend(group.facts)
        found.extend(self.ties(groups))
        return found

    def ties(self, groups: Iterable[Group]) -> list[Term]:
        """What is known between groups of events."""
        found: list[Term] = []
        for one, other in combinations(groups, 2):
            if one.source == other.source:
                found.extend(self._tie(one, other))
        return found

    def usual(self, leaves: Iterable[Leaf]) -> Iterator[Term]:
        """What need not be so, but is of the customers one usually sees: amounts are not negative."""
        groups: dict[Group, None] = {}
        for leaf in leaves:
            if leaf.tame is not None:
                yield leaf.tame()
            if leaf.group is not None:
                groups[leaf.group] = None
        for one in groups:
            for other in groups:
                if one is not other and self.lies_within(one, other):
                    for (function, argument), value in one.members.items():
                        if function is Aggregation.SUM and (function, argument) in other.members:
                            yield value <= other.members[function, argument]

    def _tie(self, one: Group, other: Group) -> list[Term]:
        if (one, other) not in self._pairs:
            pair = self._pairs[one, other] = []
            if self.lies_within(one, other):
                pair.extend(_nested(one, other, self.today))
            if self.lies_within(other, one):
                pair.extend(_nested(other, one, self.today))
        return self._pairs[one, other]

    def lies_within(self, one: Group, other: Group) -> bool:
        """Whether every event of one group is one of the other."""
        if one.source != other.source or not one.extent.lies_within(other.extent):
            return False
        if other.conjuncts <= one.conjuncts:
            return True
        return one.where is not None and other.where is not None and self._implies(one.where, other.where)


def _nested(inner: Group, outer: Group, today: Term) -> Iterator[Term]:
    """What follows where one group's events are all among the other's."""
    yield inner.count <= outer.count
    for (function, argument), value in inner.members.items():
        above = outer.members.get((function, argument))
        if above is None:
            continue
        match function:
            case Aggregation.COUNT_VALUES | Aggregation.COUNT_DISTINCT | Aggregation.ACTIVE_DAYS:
                yield value <= above
            case Aggregation.LATEST_DAY:
                yield z3.Implies(inner.count > 0, value <= above)
            case Aggregation.FIRST_DAY:
                yield z3.Implies(inner.count > 0, value >= above)
            case Aggregation.MIN | Aggregation.MAX:
                known = inner.members[Aggregation.COUNT_VALUES, argument] > 0
                yield z3.Implies(known, value >= above if function is Aggregation.MIN else value <= above)
            case Aggregation.SUM:
                yield z3.Implies(inner.count == outer.count, value == above)
            case _:
                pass
    same = inner.conjuncts == outer.conjuncts and inner.extent.reaches_now and outer.extent.reaches_now
    start = inner.extent.start
    if not same or start.most is None:
        return
    # The inner window is the last part of the outer one: the latest event tells whether anything is in it, and the
    # first one whether everything is.
    latest = outer.members.get((Aggregation.LATEST_DAY, None))
    if latest is not None:
        yield z3.Implies(inner.count > 0, today - latest < start.most)
        yield z3.Implies(z3.And(outer.count > 0, today - latest < start.least), inner.count > 0)
        own = inner.members.get((Aggregation.LATEST_DAY, None))
        if own is not None:
            yield z3.Implies(inner.count > 0, own == latest)
    first = outer.members.get((Aggregation.FIRST_DAY, None))
    if first is not None:
        yield z3.Implies(z3.And(outer.count > 0, today - first < start.least), inner.count == outer.count)
        yield z3.Implies(z3.And(outer.count > 0, inner.count == outer.count), today - first < start.most)


def _shares_columns(argument: Expression | None, where: Expression | None) -> bool:
    """Whether a filter reads columns of what is summed up, so that it bounds the sum."""
    if argument is None or where is None:
        return False
    read = [{part.column for part in walk(side) if isinstance(part, EventValue)} for side in (argument, where)]
    return bool(read[0] & read[1])
