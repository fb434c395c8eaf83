"""Which conditions and levels the tests saw, and which answers of theirs."""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Literal

from ruleengine.checking.expressions import Expression, HasTag, IsMissing, Junction, LadderIs
from ruleengine.checking.ruleset import Ladder, Rule, Ruleset
from ruleengine.interpreter import Facts, Overflow
from ruleengine.interpreter.evaluation import Evaluation, Overrides
from ruleengine.interpreter.events import Event
from ruleengine.source import Span
from ruleengine.types import Value
from ruleengine.verbs.opening import found_at
from ruleengine.verbs.testing.cases import Case, ExampleCase, Owner
from ruleengine.verbs.testing.conditions import Root, conditions, roots

Seen = Literal["true", "false", "unknown"]
ANSWERS: tuple[Seen, ...] = ("true", "false", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A condition, or a level or value of a tier or class, and how often tests saw each answer of it."""

    kind: Literal["condition", "level"]
    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    """The first column behind it."""
    text: str
    true: int
    """Of a level: how often a customer got it."""
    false: int
    unknown: int
    unseen: tuple[Seen, ...]
    """What is asked for and no test saw."""
    asked: tuple[Seen, ...]
    """Answers that are possible, and count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCoverage:
    file: str
    asked: int
    seen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    asked: int
    """Answers that tests can see: true and false of every condition, unknown where a value can be missing."""
    seen: int
    percent: float
    """Cut to one digit behind the point: 100 is all of it."""
    files: tuple[FileCoverage, ...]
    places: tuple[Covered, ...]
    """In the order of files and lines."""


@dataclass(slots=True)
class _Unit:
    """One place in the rules; metrics seen through several windows share theirs."""

    span: Span
    kind: Literal["condition", "level"]
    asked: tuple[Seen, ...]
    uses: list[tuple[Root, Expression]] = field(default_factory=list)
    counts: dict[Seen, int] = field(default_factory=lambda: dict.fromkeys(ANSWERS, 0))


def cover(ruleset: Ruleset, cases: Iterable[Case], directory: Path, files: Container[str]) -> Coverage:
    """What the tests of a ruleset see of some of its files, computed by the reference interpreter.

    A test sees what the rules that it expects something of are made from. Answers that no customer can have, as the
    prover knows, are not asked for.
    """
    units = _Units(ruleset, files)
    for case in cases:
        make: Callable[..., Evaluation] = partial(_Watched, units, case.reaches)
        with suppress(Overflow):
            if isinstance(case, ExampleCase):
                case.evaluated(ruleset, make)
            else:
                case.watched(ruleset, make)
    units.leave_out_impossible()
    return _report(ruleset, units, directory)


class _Units:
    def __init__(self, ruleset: Ruleset, files: Container[str]) -> None:
        self.ruleset = ruleset
        self.files = files
        self.units: dict[object, _Unit] = {}
        self.of_expression: dict[int, tuple[Owner, _Unit]] = {}
        self.of_level: dict[tuple[str, str], _Unit] = {}
        for root in roots(ruleset):
            for found in conditions(root.expression, root.is_condition):
                if found.span.source.path not in files:
                    continue
                key = type(found), found.span.source.path, found.span.start, found.span.end
                unit = self.units.setdefault(key, _Unit(found.span, "condition", _asked(found)))
                unit.uses.append((root, found))
                self.of_expression[id(found)] = root.owner, unit
        for ladder in ruleset.ladders.values():
            if ladder.span.source.path not in files:
                continue
            for value, span in _values(ladder):
                unit = _Unit(span, "level", ("true",))
                self.units["level", ladder.name, value] = self.of_level[ladder.name, value] = unit

    def note(self, owners: frozenset[Owner], expression: Expression, answer: Value) -> None:
        owner, unit = self.of_expression.get(id(expression), (None, None))
        if unit is not None and owner in owners:
            unit.counts["unknown" if answer is None else "true" if answer else "false"] += 1

    def note_level(self, ladder: str, value: str) -> None:
        if (unit := self.of_level.get((ladder, value))) is not None:
            unit.counts["true"] += 1

    def leave_out_impossible(self) -> None:
        """What nobody saw may be what nobody can see."""
        doubtful = [unit for unit in self.units.values() if unit.uses and any(not unit.counts[a] for a in unit.asked)]
        if not doubtful:
            return
        from ruleengine.verbs.testing.proving import Possible  # and z3 with it

        possible = Possible(self.ruleset)
        for unit in doubtful:
            unit.asked = tuple(
                answer
                for answer in unit.asked
                if unit.counts[answer] or any(possible.answer(root, found, answer) for root, found in unit.uses)
            )


def _asked(condition: Expression) -> tuple[Seen, ...]:
    never_unknown = isinstance(condition, Junction | IsMissing | HasTag | LadderIs) or not condition.nullable
    return ("true", "false") if never_unknown else ANSWERS


def _values(ladder: Ladder) -> Iterator[tuple[str, Span]]:
    """The levels or values of a ladder, and where they stand."""
    found = {level.value: Span(level.span.source, level.span.start, level.when.span.end) for level in ladder.levels}
    if ladder.otherwise is not None and ladder.otherwise not in found:
        whole = ladder.span
        quoted = '"' + ladder.otherwise.replace('"', '""') + '"'
        after = max((level.span.end for level in ladder.levels), default=whole.start)
        start = whole.source.text.find(quoted, after, whole.end)
        found[ladder.otherwise] = Span(whole.source, start, start + len(quoted)) if start >= 0 else whole
    yield from found.items()


class _Watched(Evaluation):
    """Notes the answer of every condition that it works out."""

    def __init__(
        self,
        units: _Units,
        owners: frozenset[Owner],
        ruleset: Ruleset,
        facts: Facts,
        as_of: date,
        overrides: Overrides | None = None,
    ) -> None:
        self._units, self._owners = units, owners
        super().__init__(ruleset, facts, as_of, overrides)

    def value(self, expression: Expression, event: Event | None = None) -> Value:
        answer = super().value(expression, event)
        self._units.note(self._owners, expression, answer)
        return answer

    def answer(self, rule: Rule) -> None:
        super().answer(rule)
        if isinstance(rule, Ladder) and (rule.kind, rule.name) in self._owners:
            value = self.ladders.get(rule.name)
            if value is not None:
                self._units.note_level(rule.name, value)


# -- telling ---------------------------------------------------------------------------------------------------


def percent(part: int, whole: int) -> float:
    """Cut to one digit behind the point, so that only all of it is 100; all of nothing is 100 too."""
    return (1000 * part // whole) / 10 if whole else 100.0


def _report(ruleset: Ruleset, units: _Units, directory: Path) -> Coverage:
    ordered = sorted(units.units.values(), key=lambda unit: (unit.span.source.path, unit.span.start, -unit.span.end))
    places = tuple(_covered(unit, directory) for unit in ordered)
    files = tuple(_file(found_at(source.path, directory), places) for source in ruleset.sources)
    asked, seen = sum(file.asked for file in files), sum(file.seen for file in files)
    return Coverage(
        asked=asked,
        seen=seen,
        percent=percent(seen, asked),
        files=tuple(file for file in files if file.asked),
        places=places,
    )


def _file(name: str, places: Sequence[Covered]) -> FileCoverage:
    own = [place for place in places if place.file == name]
    asked = sum(len(place.asked) for place in own)
    return FileCoverage(file=name, asked=asked, seen=asked - sum(len(place.unseen) for place in own))


def _covered(unit: _Unit, directory: Path) -> Covered:
    line, column = unit.span.source.position(unit.span.start)
    end_line, end_column = unit.span.source.position(unit.span.end)
    return Covered(
        kind=unit.kind,
        file=found_at(unit.span.source.path, directory),
        line=line,
        column=column,
        end_line=end_line,
        end_column=end_column,
        text=" ".join(unit.span.text.split()),
        true=unit.counts["true"],
        false=unit.counts["false"],
        unknown=unit.counts["unknown"],
        unseen=tuple(answer for answer in unit.asked if not unit.counts[answer]),
        asked=unit.asked,
    )
