"""Checks of the data and of what a run would publish: names resolved, shares exact."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from decimal import Decimal
from typing import Any, Literal, TypeVar, assert_never

from ruleengine.checking import expressions as checked
from ruleengine.checking.context import Context
from ruleengine.checking.references import known_ladder, known_value, unknown_tag
from ruleengine.checking.ruleset import Column, Events
from ruleengine.checking.scope import near, word
from ruleengine.checking.typing import Typing
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Word
from ruleengine.functions.scalars import SCALARS
from ruleengine.source import Span
from ruleengine.syntax import nodes

Otherwise = Literal["fail", "warn"]
RuleKind = Literal["tag", "tier", "class"]
WHOLE = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    text: str = field(compare=False)
    """As written, without `check` and `else`."""
    otherwise: Otherwise
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsCheck(_Check):
    """So many rows must meet a condition; unknown does not."""

    source: str | None
    """An events source; None: the customers of the entity."""
    condition: checked.Expression
    at_least: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class UniqueCheck(_Check):
    """Every row has a value there, and no two the same."""

    source: str | None
    column: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshCheck(_Check):
    """The latest event lies so few days behind the run's date, or on it."""

    source: str
    count: int
    unit: Literal["day", "week", "month", "year"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistsCheck(_Check):
    """So many rows have a value that is a key of another source."""

    source: str | None
    column: str
    other: str | None
    """An events source; None: the source of the entity, with those whom its own conditions leave out."""
    at_least: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CoversCheck(_Check):
    """A tag, level or value, or with no value any of a ladder's, is held by such a share of the customers."""

    kind: RuleKind
    name: str
    value: str | None
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesCheck(_Check):
    """No more than such a share of the customers in both versions changes place on a ladder."""

    kind: Literal["tier", "class"]
    name: str
    at_most: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class MovesCheck(_Check):
    """No customer in both versions goes from one value to another."""

    kind: Literal["tier", "class"]
    name: str
    old: str
    new: str


SourceCheck = RowsCheck | UniqueCheck | FreshCheck | ExistsCheck
"""Asked before anything is computed."""
AnswerCheck = CoversCheck | ChangesCheck | MovesCheck
"""Asked of what would be published, beside what is."""
Check = SourceCheck | AnswerCheck

N = TypeVar("N")


def check_guards(statements: Iterable[nodes.CheckStatement], typing: Typing) -> tuple[Check, ...]:
    """The checks of a ruleset, as they are listed."""
    found: list[Check] = []
    for statement in statements:
        made = _Guard(statement, typing).check()
        if made is None:
            continue
        alike = next((first for first in found if replace(first, otherwise=made.otherwise) == made), None)
        if alike is not None:
            typing.problems.add(codes.repeated_check(made.span, Place(alike.span, "first-declared")))
        found.append(made)
    return tuple(found)


class _Guard:
    """One statement on its way to a check."""

    def __init__(self, statement: nodes.CheckStatement, typing: Typing) -> None:
        self.statement = statement
        self.typing = typing
        self.scope = typing.scope
        self.problems = typing.problems

    @property
    def shared(self) -> dict[str, Any]:
        text = " ".join(self.statement.check.span.text.split())
        return {"text": text, "otherwise": self.statement.otherwise, "span": self.statement.span}

    def check(self) -> Check | None:
        match self.statement.check:
            case nodes.ConditionCheck(condition=condition, at_least=at_least):
                return self._rows(condition, at_least)
            case nodes.UniqueCheck(column=column):
                found = self._column(column)
                return found and UniqueCheck(source=found[0], column=found[1].name, **self.shared)
            case nodes.FreshCheck(source=source, within=within):
                events = self._events(source)
                if events is None:
                    return None
                unit, count = within.unit, within.count
                if unit == "quarter":
                    unit, count = "month", 3 * count
                return FreshCheck(source=events.name, count=count, unit=unit, **self.shared)
            case nodes.ExistsCheck(column=column, other=other, at_least=at_least):
                return self._exists(column, other, at_least)
            case nodes.CoversCheck(rule=rule, value=value, low=low, high=high):
                return self._covers(rule, value, low, high)
            case nodes.ChangesCheck(rule=rule, at_most=at_most):
                ladder, limit = self._ladder(rule, "`changes`"), self._share(at_most)
                if ladder is None or limit is None:
                    return None
                return ChangesCheck(kind=ladder.kind, name=ladder.name.text, at_most=limit, **self.shared)
            case nodes.NeverMovesCheck(rule=rule, old=old, new=new):
                ladder = self._ladder(rule, "`never moves`")
                if ladder is None or None in [known_value(ladder, value, self.problems) for value in (old, new)]:
                    return None
                if old.value == new.value:
                    self.problems.add(codes.moves_nowhere(new.span, value=new.value))
                    return None
                return MovesCheck(kind=ladder.kind, name=ladder.name.text, old=old.value, new=new.value, **self.shared)
            case _:
                assert_never(self.statement.check)

    # -- rows -------------------------------------------------------------------------------------------

    def _rows(self, condition: nodes.Expression, at_least: nodes.Number | None) -> RowsCheck | None:
        share = self._at_least(at_least)
        condition = self._addressed(condition)
        if not self._may_read(condition):
            return None
        references = [part for part in _within(condition) if isinstance(part, nodes.Reference)]
        sources = [self.scope.events.get(part.qualifier.text) for part in references if part.qualifier is not None]
        named = list(dict.fromkeys(source.name for source in sources if source is not None))
        if len(named) > 1:
            self.problems.add(codes.check_of_two(condition.span, first=named[0], second=named[1]))
            return None
        events = self.scope.events[named[0]] if named else None
        if events is None and not all(map(self._is_attribute, references)):
            return None
        made = self.typing.condition(condition, Context(place="entity", events=events))
        if made is None or share is None:
            return None
        if not any(isinstance(part, checked.EventValue | checked.Attribute) for part in checked.walk(made)):
            self.problems.add(codes.check_of_nothing(condition.span))
            return None
        source = events.name if events is not None else None
        return RowsCheck(source=source, condition=made, at_least=share, **self.shared)

    def _may_read(self, condition: nodes.Expression) -> bool:
        """Whether a condition looks at one row only; says what in it does not."""
        sound = True
        for part in _within(condition):
            what = None
            match part:
                case nodes.Reference(qualifier=None, name=name):
                    if self.scope.metric(name.text) or self.scope.windowed(name.text):
                        what = "a-metric"
                case nodes.HasTag() | nodes.HadTag():
                    what = "a-tag"
                case nodes.LadderIs() | nodes.LadderWas():
                    what = "a-tier-or-class"
                case nodes.Top():
                    what = "a-ranking"
                case nodes.Sample():
                    what = "a-sample"
                case nodes.During():
                    what = "a-window"
                case nodes.Call(function=function):
                    if function.text not in SCALARS:
                        what = "an-aggregate"
                case _:
                    pass
            if what is not None:
                self.problems.add(codes.wrong_place(part.span, what=Word(what), place=Word("a-check-of-rows")))
                sound = False
                if isinstance(part, nodes.Call | nodes.During):
                    return False  # what stands in it speaks of something else
        return sound

    def _is_attribute(self, reference: nodes.Reference) -> bool:
        """Whether a bare name can be a customer's; a column of events must say whose it is."""
        name = reference.name.text
        if reference.qualifier is not None or name in self.scope.attributes or self.scope.parameter(name):
            return True
        owners = [f"{events.name}.{name}" for events in self.scope.events.values() if events.column(name)]
        close = owners[0] if owners else near(name, [*self.scope.attributes, *self.scope.parameters])
        self.problems.add(codes.unknown_name(reference.span, name=name, near=close))
        return False

    def _column(self, node: nodes.Reference) -> tuple[str | None, Column] | None:
        """A column, and the events source that has it; None: it is the entity's."""
        reference = self._addressed(node)
        if not self._may_read(reference):
            return None
        events = self.scope.events.get(reference.qualifier.text) if reference.qualifier is not None else None
        if events is None and not self._is_attribute(reference):
            return None
        made = self.typing.value(reference, Context(place="entity", events=events))
        match made:
            case checked.EventValue(column=name) if events is not None:
                column = events.column(name)
                return (events.name, column) if column is not None else None
            case checked.Attribute(column=name):
                return None, self.scope.attributes[name]
            case None:
                return None
            case _:
                self.problems.add(codes.wrong_place(node.span, what=Word("a-parameter"), place=Word("a-check-of-rows")))
                return None

    def _addressed(self, node: N) -> N:
        """The same, with `customers.country` as `customer.country`: a check may name the entity by its source."""
        entity = self.scope.entity
        if entity is None or entity.distinct or entity.source in self.scope.events:
            return node

        def renamed(part: Any) -> Any:
            if isinstance(part, tuple):
                return tuple(map(renamed, part))
            if not (is_dataclass(part) and isinstance(part, nodes.Node)):
                return part
            if isinstance(part, nodes.Reference) and part.qualifier and part.qualifier.text == entity.source:
                return replace(part, qualifier=replace(part.qualifier, text=entity.name))
            return replace(part, **{each.name: renamed(getattr(part, each.name)) for each in fields(part)})

        made: N = renamed(node)
        return made

    def _events(self, name: nodes.Name) -> Events | None:
        events = self.scope.events.get(name.text)
        if events is None:
            known = self.scope.events
            self.problems.add(
                codes.unknown_events(
                    name.span, name=name.text, near=near(name.text, known), known=", ".join(known) or None
                )
            )
        return events

    def _exists(self, node: nodes.Reference, other: nodes.Name, at_least: nodes.Number | None) -> ExistsCheck | None:
        share, found, keys = self._at_least(at_least), self._column(node), self._keys(other)
        if share is None or found is None or keys is None:
            return None
        source, column = found
        target, key = keys
        left, right = column.type.value, key.type.value
        if not left.compares_with(right):
            self.problems.add(
                codes.incomparable(node.span.to(other.span), left=word(left.kind), right=word(right.kind))
            )
            return None
        return ExistsCheck(source=source, column=column.name, other=target, at_least=share, **self.shared)

    def _keys(self, other: nodes.Name) -> tuple[str | None, Column] | None:
        """The key of a source, and the events source that has it; None: it is the entity's."""
        entity, name = self.scope.entity, other.text
        events = self.scope.events.get(name)
        if events is not None:
            if events.key is None:
                self.problems.add(codes.source_without_key(other.span, Place(events.span, "declared-here"), name=name))
                return None
            return events.name, events.key
        names = [] if entity is None else [entity.name] if entity.distinct else [entity.source, entity.name]
        if entity is not None and name in names:
            return None, entity.key
        known = [*names, *self.scope.events]
        close = near(name, known)
        self.problems.add(codes.unknown_source(other.span, name=name, near=close, known=", ".join(known) or None))
        return None

    # -- rules ------------------------------------------------------------------------------------------

    def _covers(
        self, rule: nodes.RuleName, value: nodes.Text | None, low: nodes.Number, high: nodes.Number
    ) -> CoversCheck | None:
        least, most = self._share(low), self._share(high)
        if rule.kind == "tag":
            statement: nodes.TagStatement | nodes.ManualTagStatement | nodes.LadderStatement | None = self._tag(rule)
            if value is not None:
                self.problems.add(codes.wrong_place(value.span, what=Word("a-value"), place=Word("a-check-of-a-tag")))
                return None
        else:
            statement = self._ladder(rule, "`covers`")
            if (
                value is not None
                and isinstance(statement, nodes.LadderStatement)
                and known_value(statement, value, self.problems) is None
            ):
                return None
        if statement is None or least is None or most is None:
            return None
        if least > most:
            self.problems.add(codes.empty_range(low.span.to(high.span), first=low.span.text, last=high.span.text))
            return None
        return CoversCheck(
            kind=rule.kind,
            name=_text(rule.name),
            value=value.value if value is not None else None,
            low=least,
            high=most,
            **self.shared,
        )

    def _tag(self, rule: nodes.RuleName) -> nodes.TagStatement | nodes.ManualTagStatement | None:
        assert isinstance(rule.name, nodes.Text)
        name = rule.name.value
        statement = self.scope.tags.get(name) or self.scope.manual_tags.get(name)
        if statement is None:
            self.problems.add(unknown_tag(self.scope, rule.name))
        elif isinstance(statement, nodes.TagStatement) and statement.draft:
            self._is_draft(rule, statement.name.span)
            return None
        return statement

    def _ladder(self, rule: nodes.RuleName, form: str) -> nodes.LadderStatement | None:
        if rule.kind == "tag":
            self.problems.add(codes.wrong_place(rule.span, what=Word("a-tag"), place=form))
            return None
        assert isinstance(rule.name, nodes.Name)
        ladder = known_ladder(self.scope, self.problems, rule.kind, rule.name)
        if ladder is None:
            return None
        if ladder.draft:
            self._is_draft(rule, ladder.name.span)
            return None
        return ladder

    def _is_draft(self, rule: nodes.RuleName, span: Span) -> None:
        place = Place(span, "declared-here")
        self.problems.add(codes.wrong_place(rule.span, place, what=Word("a-draft"), place=Word("a-check")))

    # -- shares -----------------------------------------------------------------------------------------

    def _share(self, number: nodes.Number) -> Decimal | None:
        if number.text.rstrip().endswith("%") and 0 <= number.value <= 1:
            return number.value
        self.problems.add(codes.check_share(number.span, text=number.text))
        return None

    def _at_least(self, number: nodes.Number | None) -> Decimal | None:
        """Of what is written; all where nothing is."""
        if number is None:
            return WHOLE
        share = self._share(number)
        if share == 0:  # which any data would meet
            self.problems.add(codes.check_share(number.span, text=number.text))
            return None
        return share


def _text(name: nodes.Name | nodes.Text) -> str:
    return name.value if isinstance(name, nodes.Text) else name.text


def _within(node: object) -> Iterator[nodes.Node]:
    """A node and all beneath it, parents first."""
    if isinstance(node, tuple):
        for item in node:
            yield from _within(item)
    elif isinstance(node, nodes.Node):
        yield node
        for part in fields(node):
            if part.name != "span":
                yield from _within(getattr(node, part.name))
