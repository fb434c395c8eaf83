"""Example customers, in the words of the rules: few metrics, small numbers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import z3

from ruleengine.checking.expressions import (
    Attribute,
    Comparison,
    Constant,
    Days,
    Expression,
    HasTag,
    LadderIs,
    MetricValue,
    OneOf,
    ParameterValue,
    children,
)
from ruleengine.checking.proofs.terms import Terms
from ruleengine.checking.proofs.world import Leaf, Term, Worth
from ruleengine.checking.rules import conditions
from ruleengine.types import BOOLEAN, DATE, MAX_DIGITS, TEXT, Kind, exact

DAY = date(2026, 1, 1)  # of examples that depend on none
MOST_VALUES = 6
"""Of an example with more nobody would read on."""

_ANOTHER = -1  # before all texts that the rules know


@dataclass(frozen=True, slots=True)
class _Shown:
    """Something a rule reads, as an example gives it."""

    name: str
    expression: MetricValue | Attribute | Days
    worth: Worth
    leaves: dict[Leaf, None]


def example(terms: Terms, read: Sequence[Expression], *so: Term) -> str | None:
    """A customer of whom all terms hold, as `frequency = 5, country = "DE"`; None where none can be made up safely.

    Every value is known, and there are only leaves whose facts tell all that there is.
    """
    shown = list(_shown(terms, read))
    leaves: dict[Leaf, None] = {}
    for each in shown:
        leaves.update(each.leaves)
    for condition in read:
        leaves.update(terms.condition(condition)[1])
    if not shown or len(shown) > MOST_VALUES or not all(leaf.free for leaf in leaves):
        return None
    if any(each.expression.type == DATE for each in shown) or _changes(terms, read):
        return None
    solver = terms.solver(*terms.facts(leaves), *terms.world.usual(leaves), *so)
    solver.add(terms.world.today == DAY.toordinal(), *(z3.Not(each.worth.missing) for each in shown))
    if solver.check() != z3.sat:
        return None
    values = []
    for each in shown:
        for candidate in _candidates(terms, each, read):
            solver.push()
            solver.add(each.worth.value == candidate)
            if solver.check() == z3.sat:
                break  # and it stays
            solver.pop()
        else:
            if solver.check() != z3.sat:
                return None
            solver.add(each.worth.value == solver.model().eval(each.worth.value, model_completion=True))
        if solver.check() != z3.sat:
            return None
        text = _text(terms, each, solver.model().eval(each.worth.value, model_completion=True))
        if text is None:
            return None
        values.append(f"{each.name} = {text}")
    return ", ".join(values)


def _changes(terms: Terms, read: Iterable[Expression]) -> bool:
    """Whether a parameter that changes on some day takes part, so that an example would need a date."""
    names = (
        part.parameter if isinstance(part, ParameterValue) else part.choices
        for part in _parts(terms, read)
        if isinstance(part, ParameterValue) or (isinstance(part, OneOf) and isinstance(part.choices, str))
    )
    return any(len(terms.ruleset.parameters[str(name)].steps) > 1 for name in names)


def _shown(terms: Terms, read: Iterable[Expression]) -> Iterator[_Shown]:
    found: dict[str, None] = {}
    for part in _parts(terms, read):
        name = _name(part)
        if name is not None and name not in found and isinstance(part, MetricValue | Attribute | Days):
            found[name] = None
            yield _Shown(name, part, *terms.value(part))


def _name(part: Expression) -> str | None:
    match part:
        case MetricValue(metric=name) | Attribute(column=name):
            return name
        case Days(direction=direction, operand=MetricValue() | Attribute() as operand):
            return f"days {direction} {_name(operand)}"
        case _:
            return None


def _parts(terms: Terms, read: Iterable[Expression]) -> Iterator[Expression]:
    """What conditions are made of, what they refer to included; of `days since` a date not the date."""
    for part in read:
        yield part
        if isinstance(part, HasTag) and part.tag in terms.ruleset.tags:
            yield from _parts(terms, conditions(terms.ruleset.tags[part.tag]))
        elif isinstance(part, LadderIs):
            yield from _parts(terms, conditions(terms.ruleset.ladders[part.ladder]))
        elif not (isinstance(part, Days) and _name(part) is not None):
            yield from _parts(terms, children(part))


def _candidates(terms: Terms, shown: _Shown, read: Iterable[Expression]) -> Iterator[Term]:
    """Simple values first: 0, what the rules compare with, and one more or less."""
    type = shown.expression.type
    if type == BOOLEAN:
        yield from (terms.world.truth(True), terms.world.truth(False))
    elif type == TEXT:
        yield from (z3.RealVal(terms.constants.texts[text], terms.world.context) for text in _texts(terms, read))
        yield z3.RealVal(_ANOTHER, terms.world.context)
    elif type.kind is Kind.EXACT:
        one = 10**type.scale
        bounds = dict.fromkeys(_bounds(terms, shown, read))
        for value in (0, *(bound + step for bound in bounds for step in (0, one, -one)), one):
            yield terms.world.number(value)


def _texts(terms: Terms, read: Iterable[Expression]) -> Iterator[str]:
    for part in _parts(terms, read):
        if isinstance(part, Constant) and isinstance(part.value, str):
            yield part.value
        elif isinstance(part, OneOf) and isinstance(part.choices, str):
            for _, values in terms.ruleset.parameters[part.choices].steps:
                yield from (value for value in values if isinstance(value, str))


def _bounds(terms: Terms, shown: _Shown, read: Iterable[Expression]) -> Iterator[int]:
    """What rules compare a number with, in its own units."""
    scale = shown.expression.type.scale
    for part in _parts(terms, read):
        if not isinstance(part, Comparison):
            continue
        for side, other in ((part.left, part.right), (part.right, part.left)):
            plain = isinstance(side, Constant | ParameterValue) and side.type.is_number and side.type.scale <= scale
            if plain and _name(other) == shown.name:
                yield terms.as_type(side, exact(MAX_DIGITS, scale)).value.as_long()


def _text(terms: Terms, shown: _Shown, value: Any) -> str | None:
    type = shown.expression.type
    if type == BOOLEAN:
        return "true" if z3.is_true(value) else "false"
    if type == TEXT:
        known = {number: text for text, number in terms.constants.texts.items()}
        number = value.as_fraction()
        if number == _ANOTHER:
            return "anything else"
        return '"' + known[int(number)].replace('"', '""') + '"' if number in known else None
    if type.kind is not Kind.EXACT:
        return None
    amount = Decimal(value.as_long()).scaleb(-type.scale)
    text = f"{amount:,f}".replace(",", "_")
    return text.rstrip("0").rstrip(".") if "." in text else text
