"""Examples beside the rules: what they give and what they expect, resolved and typed."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import assert_never

from ruleengine.checking.cells import fits, on_one_clock, read_cell
from ruleengine.checking.metrics import instance_name
from ruleengine.checking.naming import all_columns
from ruleengine.checking.parameters import constant
from ruleengine.checking.reach import Givens, Reach
from ruleengine.checking.references import known_ladder, known_value, unknown_tag
from ruleengine.checking.ruleset import Before, Column, Events, Example, Expectation, Parameter, Rule
from ruleengine.checking.scope import near, word
from ruleengine.checking.typing import Typing
from ruleengine.checking.uses import is_used
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Word
from ruleengine.source import Span
from ruleengine.syntax import nodes
from ruleengine.types import ColumnType, Type, Value

_NAMES_SHOWN = 8
_FORMS = {
    "integer": Word("form-number"),
    "decimal": Word("form-number"),
    "boolean": Word("form-boolean"),
    "date": Word("form-date"),
    "timestamp": Word("form-date"),
}


def check_examples(
    statements: Sequence[nodes.ExampleStatement],
    rules: Mapping[tuple[str, str], Rule],
    typing: Typing,
    timezone: str,
    *,
    replaced: Mapping[str, Parameter],
    sound: bool,
) -> tuple[Example, ...]:
    """The examples; problems go where those of rules go.

    Those in files that are used are answered with the parameters of those files, also where the ruleset's own have
    `replaced` them. Only where all rules are `sound` is it known what they read, and so what an example has to give.
    """
    seen: dict[str, Span] = {}
    examples = []
    for statement in statements:
        name = statement.name
        if name.value in seen:
            typing.problems.add(
                codes.duplicate_name(name.span, Place(seen[name.value], "first-declared"), name=name.value)
            )
        seen.setdefault(name.value, name.span)
        check = _Check(statement, rules, typing, timezone, sound)
        if is_used(statement.span.source):
            day = statement.as_of.value if statement.as_of else date.min
            check.givens.parameters.update({name: parameter.on(day) for name, parameter in replaced.items()})
        examples.append(check.example())
    return tuple(example for example in examples if example is not None)


class _Check:
    """One example."""

    def __init__(
        self,
        statement: nodes.ExampleStatement,
        rules: Mapping[tuple[str, str], Rule],
        typing: Typing,
        timezone: str,
        sound: bool,
    ) -> None:
        self.statement = statement
        self.rules = rules
        self.typing = typing
        self.problems = typing.problems
        self.scope = typing.scope
        self.timezone = timezone
        self.sound = sound
        self.givens = Givens()
        self.places: dict[str, Span] = {}
        """Where each name is given."""
        self.histories: dict[tuple[str, str], Span] = {}
        """Where the history of each tag and ladder is given."""
        self.unread: set[str] = set()
        """Names of metrics that are given, and which nothing looks at through that window."""

    def example(self) -> Example | None:
        for given in self.statement.givens:
            match given:
                case nodes.GivenValue():
                    self._value(given)
                case nodes.GivenTable():
                    self._table(given)
                case nodes.GivenHistory():
                    self._history(given)
                case _:
                    assert_never(given)
        made = [self._expectation(expectation) for expectation in self.statement.expectations]
        expectations = tuple(expectation for expectation in made if expectation is not None)
        if self.sound and len(expectations) == len(made):
            self._check_reach(expectations)
        return Example(
            name=self.statement.name.value,
            as_of=self.statement.as_of.value if self.statement.as_of else None,
            attributes=self.givens.attributes,
            events=self.givens.events,
            metrics=self.givens.metrics,
            parameters=self.givens.parameters,
            history=self.givens.history,
            expectations=expectations,
            span=self.statement.span,
        )

    # -- history ----------------------------------------------------------------------------------------------

    def _history(self, given: nodes.GivenHistory) -> None:
        rule, value = given.rule, given.value
        if not self._is_known(rule, value):
            return
        key = ("tag" if rule.kind == "tag" else "ladder", _name(rule))
        first = self.histories.setdefault(key, given.span)
        if first is not given.span:
            self.problems.add(codes.given_twice(given.span, Place(first, "first-given"), name=rule.span.text))
            return
        since = given.since.value if given.since is not None else None
        day = self.statement.as_of.value if self.statement.as_of is not None else None
        if given.since is not None and day is not None and given.since.value >= day:
            self.problems.add(codes.history_ahead(given.since.span, since=str(since), as_of=str(day)))
            return
        self.givens.history[key] = Before(value=value.value if value is not None else None, since=since)

    def _is_known(self, rule: nodes.RuleName, value: nodes.Text | None) -> bool:
        """Whether there is such a tag, or such a value of a tier or class; says so where not."""
        if isinstance(rule.name, nodes.Text):
            if rule.name.value in self.scope.tags or rule.name.value in self.scope.manual_tags:
                return True
            self.problems.add(unknown_tag(self.scope, rule.name))
            return False
        assert rule.kind != "tag"
        ladder = known_ladder(self.scope, self.problems, rule.kind, rule.name)
        if ladder is None:
            return False
        return value is None or known_value(ladder, value, self.problems) is not None

    # -- values -----------------------------------------------------------------------------------------------

    def _value(self, given: nodes.GivenValue) -> None:
        name, qualifier = given.name.name.text, given.name.qualifier
        attribute = self.scope.attributes.get(name)
        if qualifier is not None:
            if self.scope.entity is None or qualifier.text != self.scope.entity.name:
                self._not_a_value(given.name, qualifier.text)
                return
            if attribute is None:
                close = near(name, self.scope.attributes)
                self.problems.add(codes.unknown_name(given.name.name.span, name=name, near=close))
                return
        elif (parameter := self.scope.parameter(name)) is not None:
            self._parameter(given, parameter)
            return
        if attribute is not None:
            self._attribute(given, attribute)
        else:
            self._metric(given)

    def _parameter(self, given: nodes.GivenValue, name: str) -> None:
        declared = self.typing.parameters.get(name)
        if self._is_first(name, given.name.span) and declared is not None:
            sound, value = self._fitting(given, declared.type, can_be_missing=False)
            if sound and value is not None and not isinstance(value, float):
                self.givens.parameters[name] = (value,)

    def _attribute(self, given: nodes.GivenValue, column: Column) -> None:
        if self._is_first(column.name, given.name.span):
            is_key = self.scope.entity is not None and column.name == self.scope.entity.key.name
            sound, value = self._fitting(given, column.type.value, can_be_missing=not is_key, column=column.type)
            if sound:
                self.givens.attributes[column.name] = value

    def _metric(self, given: nodes.GivenValue) -> None:
        name, span = given.name.name.text, given.name.span
        declared, windowed = self.scope.metric(name), self.scope.windowed(name)
        if declared is not None:
            instance = declared
        elif windowed is not None:
            instance = instance_name(*windowed, "")
        else:
            if name in self.scope.events or any(events.column(name) for events in self.scope.events.values()):
                self._not_a_value(given.name, name)
                return
            known = [*self.scope.names(), *(known for known in self.typing.book.instances if " " not in known)]
            self.problems.add(codes.unknown_name(span, name=name, near=near(name, known)))
            return
        if not self._is_first(instance, span):
            return
        metric = self.typing.book.instances.get(instance)
        if metric is None:
            self.unread.add(instance)
            return
        sound, value = self._fitting(given, metric.type, can_be_missing=metric.expression.nullable)
        if sound:
            self.givens.metrics[instance] = value

    def _not_a_value(self, name: nodes.Reference, events: str) -> None:
        owners = [each.name for each in self.scope.events.values() if events == each.name or each.column(events)]
        if owners:
            self.problems.add(codes.not_a_table(name.span, name=name.span.text, events=owners[0]))
            return
        known = [*self.scope.events, *([self.scope.entity.name] if self.scope.entity else [])]
        self.problems.add(
            codes.unknown_events(name.span, name=events, near=near(events, known), known=", ".join(known) or None)
        )

    def _is_first(self, name: str, span: Span) -> bool:
        first = self.places.setdefault(name, span)
        if first is not span:
            self.problems.add(codes.given_twice(span, Place(first, "first-given"), name=name))
        return first is span

    def _fitting(
        self, given: nodes.GivenValue, type: Type, *, can_be_missing: bool, column: ColumnType | None = None
    ) -> tuple[bool, Value]:
        """Whether the value that is given is one of a type, and that value."""
        name = given.name.name.text

        def wrong(what: str, scale: int | None = None, digits: int | None = None) -> tuple[bool, Value]:
            value = given.value.span.text if given.value is not None else "missing"
            span = given.value.span if given.value is not None else given.span
            self.problems.add(
                codes.wrong_given(span, name=name, value=value, what=Word(what), scale=scale, digits=digits)
            )
            return False, None

        if given.value is None:
            return (True, None) if can_be_missing else wrong("never-missing")
        literal = constant(given.value)
        if literal is None:
            what = Word("something-computed")
            self.problems.add(codes.wrong_place(given.value.span, what=what, place="given"))
            return False, None
        value, own = literal
        if not own.compares_with(type):
            return wrong(word(type.kind))
        if isinstance(value, int | Decimal) and type.is_number and not isinstance(value, bool):
            if own.scale > type.scale and type.digits and value != round(value, type.scale):
                return wrong("of-scale" if type.scale else "whole-number", scale=type.scale)
            if column is not None and not fits(value, column):
                return wrong("of-size", digits=column.value.digits - column.value.scale)
        return True, value

    # -- tables -----------------------------------------------------------------------------------------------

    def _table(self, given: nodes.GivenTable) -> None:
        name = given.source.text
        events = self.scope.events.get(name)
        if events is None:
            known = ", ".join(self.scope.events) or None
            close = near(name, self.scope.events)
            self.problems.add(codes.unknown_events(given.source.span, name=name, near=close, known=known))
            return
        if not self._is_first(name, given.source.span):
            return
        columns = self._columns(given, events)
        rows: list[dict[str, Value]] = []
        for written in given.rows:
            if len(written) == len(columns):  # otherwise it was reported where it was read
                cells = zip(columns, written, strict=True)
                rows.append({column.name: self._cell(cell, column) for column, cell in cells if column is not None})
        times = on_one_clock([_time(row.get(events.at.name)) for row in rows], events.zone or self.timezone)
        for row, time in zip(rows, times, strict=True):
            row[events.at.name] = time
        if events.key is not None:
            self._number(given, events.key, rows, columns)
        self.givens.events[name] = tuple(rows)

    def _columns(self, given: nodes.GivenTable, events: Events) -> list[Column | None]:
        """The columns of the header; None for one with a problem."""
        columns: list[Column | None] = []
        seen: dict[str, Span] = {}
        known = [column.name for column in all_columns(events) if column is not events.customer]
        for node in given.columns:
            name, span = node.text, node.span
            column = events.column(name)
            if name in seen:
                self.problems.add(codes.given_twice(span, Place(seen[name], "first-given"), name=name))
                column = None
            elif column is None:
                self.problems.add(
                    codes.unknown_name(
                        span, name=name, near=near(name, known), events=events.name, columns=", ".join(known)
                    )
                )
            elif column is events.customer:
                self.problems.add(codes.wrong_place(span, what=f"`{name}`", place=Word("table-of-one")))
                column = None
            seen.setdefault(name, span)
            columns.append(column)
        if events.at.name not in seen:
            self._needs(given.source.span, events.at.name, "needs-time")
        return columns

    def _cell(self, cell: nodes.Text, column: Column) -> Value:
        try:
            return read_cell(cell.value, column.type)
        except ValueError:
            self.problems.add(
                codes.wrong_cell(
                    cell.span,
                    Place(column.span, "declared-here"),
                    column=column.name,
                    declared=str(column.type),
                    value=cell.value,
                    form=_FORMS.get(column.type.name),
                )
            )
            return None

    def _number(
        self, given: nodes.GivenTable, key: Column, rows: Sequence[dict[str, Value]], columns: Sequence[Column | None]
    ) -> None:
        """Number a key that is left out in the order of the rows; one that is not may not be repeated."""
        if key not in columns:
            width = len(str(len(rows)))
            for number, row in enumerate(rows, start=1):
                if key.type.name in ("integer", "decimal"):
                    row[key.name] = number
                elif key.type.name == "text":
                    row[key.name] = str(number).rjust(width, "0")  # so that texts have the rows' order
            return
        place = columns.index(key)
        seen: dict[Value, Span] = {}
        whole = [cells for cells in given.rows if len(cells) == len(columns)]
        for row, cells in zip(rows, whole, strict=True):
            value, cell = row[key.name], cells[place]
            if value is not None and value in seen:
                self.problems.add(codes.given_twice(cell.span, Place(seen[value], "first-given"), name=cell.value))
            seen.setdefault(value, cell.span)

    # -- expectations -----------------------------------------------------------------------------------------

    def _expectation(self, node: nodes.Expectation) -> Expectation | None:
        kind, name = node.rule.kind, _name(node.rule)
        value = node.value
        if not self._is_known(node.rule, value):
            return None
        return Expectation(
            kind=kind, name=name, wanted=node.wanted, value=value.value if value else None, span=node.span
        )

    # -- what the answers are made from -----------------------------------------------------------------------

    def _check_reach(self, expectations: Sequence[Expectation]) -> None:
        """Report what is given in vain, and what would have to be given."""
        reach = Reach(self.givens, self.rules, self.typing.book.instances, self.typing.parameters)
        reach.follow(("tag" if each.kind == "tag" else "ladder", each.name) for each in expectations)
        for name, span in reach.ranked.items():
            given = name if " " not in name and "(" not in name else None
            self._needs(span, name, "needs-population", give=given, call=None if given else name)
        key = self.scope.entity.key if self.scope.entity else None
        if key is not None and key.name in reach.attributes and key.name not in self.places:
            self._needs(reach.attributes[key.name], key.name, "needs-key", give=key.name)
        dated = [
            *reach.dated,
            *(self.histories[key] for key, it in self.givens.history.items() if it.since is not None),
        ]
        if dated and self.statement.as_of is None:
            title = self.statement.name
            place = Place(dated[0], "depends-here")
            self.problems.add(codes.example_needs_date(title.span, place, name=title.value))
        reach.follow_reasons()
        read = {*reach.metrics, *reach.attributes, *reach.parameters, *reach.events}
        for name, span in self.places.items():
            if name not in read or name in self.unread:
                names = reach.names()
                shown = ", ".join(names[:_NAMES_SHOWN]) + ("…" if len(names) > _NAMES_SHOWN else "")
                self.problems.add(codes.unread_given(span, name=name, reads=shown or None))
        for rule, span in self.histories.items():
            if rule in self.givens.history and rule not in reach.history:
                self.problems.add(codes.unread_given(span, name=" ".join(span.text.split()), reads=None))

    def _needs(self, span: Span, name: str, why: str, *, give: str | None = None, call: str | None = None) -> None:
        """Report that a value has to be given; the place is one of the example's own, or where a rule reads it."""
        own = span.source is self.statement.span.source and _within(span, self.statement.span)
        self.problems.add(
            codes.example_needs_value(
                span if own else self.statement.name.span,
                *(() if own else (Place(span, "read-here"),)),
                example=self.statement.name.value,
                name=name,
                why=Word(why),
                give=give,
                call=call,
            )
        )


def _within(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _name(rule: nodes.RuleName) -> str:
    return rule.name.text if isinstance(rule.name, nodes.Name) else rule.name.value


def _time(value: Value) -> date | None:
    return value if isinstance(value, date) else None
