"""What is proved of a ruleset, as problems."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import z3

from ruleengine.checking.expressions import (
    Aggregate,
    Constant,
    Expression,
    HasTag,
    LadderIs,
    Points,
    Ranking,
    walk,
)
from ruleengine.checking.proofs.terms import Terms
from ruleengine.checking.proofs.witness import example
from ruleengine.checking.proofs.world import Leaf, Term, Truth, flattened
from ruleengine.checking.rules import is_decided
from ruleengine.checking.ruleset import Ladder, Ruleset, Tag
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Problem, Problems, Word
from ruleengine.source import Span

MOST_TEXT = 60


@dataclass(frozen=True, slots=True)
class _Given:
    """When a tag is given, for comparing it with others."""

    tag: Tag
    term: Term
    leaves: dict[Leaf, None]


def findings(ruleset: Ruleset) -> tuple[Problem, ...]:
    return tuple(_Search(ruleset).run())


class _Search:
    def __init__(self, ruleset: Ruleset) -> None:
        self.ruleset = ruleset
        self.terms = Terms(ruleset)
        self.problems = Problems()

    def run(self) -> Problems:
        self._beneath()
        settled: set[str] = set()
        for rule in self.ruleset.order:
            if isinstance(rule, Ladder):
                self._ladder(rule)
            elif self._tag(rule):
                settled.add(rule.name)
        tags = [tag for tag in self.ruleset.tags.values() if tag.name not in settled and is_decided(tag)]
        self._equal([self._given(tag) for tag in tags])
        for tag in self.ruleset.tags.values():
            if tag.preferred and tag.name not in settled:
                self._suppressed(tag)
        return self.problems

    # -- single conditions --------------------------------------------------------------------------------------

    def _beneath(self) -> None:
        """Conditions inside metrics: filters, lines of scores, `among`."""
        where = self.ruleset.entity.where
        if where is not None:
            truth, leaves = self.terms.condition(where)
            self._alone(where, truth, self.terms.world.facts(leaves))
        seen: set[Expression] = set()
        for metric in self.ruleset.metrics.values():
            for part in walk(metric.expression):
                found: Sequence[Expression | None] = ()
                if isinstance(part, Aggregate):
                    found = [part.where]
                elif isinstance(part, Ranking):
                    found = [part.among]
                elif isinstance(part, Points):
                    found = [line.when for line in part.lines]
                for condition in found:
                    if condition is not None and condition not in seen:
                        seen.add(condition)
                        self._single(condition)

    def _single(self, condition: Expression) -> bool:
        """Whether a condition is never true or always; if so it is reported."""
        truth, leaves = self.terms.condition(condition)
        return self._alone(condition, truth, self.terms.facts(leaves))

    def _alone(self, condition: Expression, truth: Truth, facts: list[Term]) -> bool:
        if isinstance(condition, Constant):  # switched off, or on, on purpose
            return False
        solver = self.terms.solver(*facts)
        if _fails(solver, truth.true):
            self._report_never(condition.span, list(flattened("and", condition)), facts)
            return True
        if _fails(solver, z3.Not(truth.true)):
            self.problems.add(codes.always_true(condition.span, text=_text(condition.span)))
            return True
        return False

    def _report_never(self, span: Span, parts: list[Expression], facts: list[Term]) -> None:
        """Report parts that cannot all be true, no more of them than it takes."""
        terms = [self.terms.condition(part)[0].true for part in parts]
        needed = list(range(len(parts)))
        for index in list(needed):
            rest = [number for number in needed if number != index]
            if rest and self.terms.solver(*facts, *(terms[number] for number in rest)).check() == z3.unsat:
                needed = rest
        spans = [parts[index].span for index in needed]
        if len(spans) == 1:
            self.problems.add(codes.never_true(spans[0], text=_text(spans[0])))
            return
        self.problems.add(
            codes.never_together(
                spans[-1],
                *(Place(other, "cannot-with") for other in spans[:-1]),
                texts=_listed([_text(span) for span in spans]),
                amount=Word("both" if len(spans) == 2 else "all"),
                windows=self._windows([parts[index] for index in needed], [terms[index] for index in needed]),
            )
        )

    def _windows(self, parts: list[Expression], terms: list[Term]) -> str | None:
        """The events that parts count in several windows or filters, where they exclude each other only by that."""
        leaves: dict[Leaf, None] = {}
        for part in parts:
            leaves.update(self.terms.condition(part)[1])
        apart: list[Term] = []
        for leaf in leaves:
            apart.extend(leaf.facts)
            if leaf.group is not None:
                apart.extend(leaf.group.facts)
        sources = {leaf.group.source for leaf in leaves if leaf.group is not None}
        if len(sources) == 1 and self.terms.solver(*apart, *terms).check() == z3.sat:
            return next(iter(sources))
        return None

    # -- tags -----------------------------------------------------------------------------------------------------

    def _given(self, tag: Tag) -> _Given:
        return _Given(tag, *self.terms.reading(lambda: self.terms.given(tag)))

    def _tag(self, tag: Tag) -> bool:
        """Whether a tag is given to nobody, or to all; reports what is amiss with its conditions."""
        if self._single(tag.when):
            return True
        if tag.unless is None:
            return False
        unless_settled = self._single(tag.unless)
        given = self._given(tag)
        facts = self.terms.facts(given.leaves)
        if not unless_settled and is_decided(tag) and self.terms.solver(*facts, given.term).check() == z3.unsat:
            self.problems.add(
                codes.never_given(
                    tag.when.span,
                    Place(tag.unless.span, "takes-all"),
                    name=tag.name,
                    when=_text(tag.when.span),
                    unless=_text(tag.unless.span),
                )
            )
            return True
        return unless_settled

    def _suppressed(self, tag: Tag) -> None:
        """Report a tag that nobody can have, for whoever would has one that is preferred to it."""
        others = [self.ruleset.tags[name] for name in tag.preferred if name in self.ruleset.tags]
        # Whatever they remember only gives them to more; what is preferred to them is preferred to the tag as well.
        others = [other for other in others if other.limit is None and {*other.preferred} <= {*tag.preferred}]
        if not others:
            return
        mine, theirs = self._given(tag), [self._given(other) for other in others]
        leaves = {leaf: None for given in (mine, *theirs) for leaf in given.leaves}
        solver = self.terms.solver(*self.terms.facts(leaves), mine.term)
        needed = theirs if _fails(solver, z3.Not(z3.Or([given.term for given in theirs]))) else []
        for given in list(needed):
            rest = [each for each in needed if each is not given]
            if rest and _fails(solver, z3.Not(z3.Or([each.term for each in rest]))):
                needed = rest
        if needed:
            self.problems.add(
                codes.always_suppressed(
                    tag.when.span,
                    *(Place(given.tag.when.span, "the-other", {"name": given.tag.name}) for given in needed),
                    name=tag.name,
                    others=" / ".join(f"“{given.tag.name}”" for given in needed),
                )
            )

    def _equal(self, tags: list[_Given]) -> None:
        """Report tags that every customer has together or not at all."""
        families: dict[object, list[_Given]] = {}
        for given in tags:
            families.setdefault(_family(given), []).append(given)
        for family in families.values():
            for same in self._classes(family):
                first, *others = same
                for other in others:
                    if first.tag.draft != other.tag.draft:
                        continue  # a draft of what the tag shall be one day
                    if _refers(other.tag, first.tag) or _refers(first.tag, other.tag):
                        continue  # a second name, on purpose
                    self.problems.add(
                        codes.equal_tags(
                            other.tag.when.span,
                            Place(first.tag.when.span, "the-other", {"name": first.tag.name}),
                            name=other.tag.name,
                            other=first.tag.name,
                            example=example(self.terms, [*_read(other.tag), *_read(first.tag)], first.term),
                        )
                    )

    def _classes(self, tags: list[_Given]) -> Iterator[list[_Given]]:
        """Tags that no customer tells apart: every customer that the prover finds splits at least one group."""
        if len(tags) < 2:
            return
        leaves: dict[Leaf, None] = {}
        for given in tags:
            leaves.update(given.leaves)
        solver = self.terms.solver(*self.terms.facts(leaves))
        flags = {given.tag.name: self.terms.world.flag() for given in tags}
        solver.add(*(flags[given.tag.name] == given.term for given in tags))
        open = [tags]
        while open:
            group = open.pop()
            first, *others = (flags[given.tag.name] for given in group)
            if not others:
                continue
            solver.push()
            solver.add(z3.Or([other != first for other in others]))
            answer = solver.check()
            if answer == z3.unsat:
                yield group
            elif answer == z3.sat:
                model = solver.model()
                open = [part for each in [*open, group] for part in _split(each, flags, model)]
            solver.pop()

    # -- ladders --------------------------------------------------------------------------------------------------

    def _ladder(self, ladder: Ladder) -> None:
        if not is_decided(ladder):  # A level that nobody earns can be fallen to.
            for level in ladder.levels:
                self._single(level.when)
            return
        lines, leaves = self.terms.reading(lambda: self.terms.reached(ladder))
        facts = self.terms.facts(leaves)
        solver = self.terms.solver(*facts)
        truths = [self.terms.condition(level.when)[0] for level in ladder.levels]
        for number, level in enumerate(ladder.levels):
            never = self._single(level.when) and _fails(solver, truths[number].true)
            if number and not never and not isinstance(level.when, Constant) and _fails(solver, lines[number]):
                self._report_hidden(ladder, number, truths, facts)
        if ladder.otherwise is None:
            self._gap(ladder, lines, leaves)

    def _report_hidden(self, ladder: Ladder, number: int, truths: list[Truth], facts: list[Term]) -> None:
        """Report a line whose customers earlier lines take, and no more of those than it takes."""
        level = ladder.levels[number]
        passes = [truth.false if ladder.kind == "class" else z3.Not(truth.true) for truth in truths[:number]]
        needed = list(range(number))
        for index in range(number):
            rest = [other for other in needed if other != index]
            if rest and self.terms.solver(*facts, truths[number].true, *(passes[i] for i in rest)).check() == z3.unsat:
                needed = rest
        covering = [ladder.levels[index] for index in needed]
        self.problems.add(
            codes.hidden_level(
                level.span,
                *(Place(other.when.span, "taken-here", {"value": other.value}) for other in covering),
                value=level.value,
                ladder=ladder.name,
                kind=Word(ladder.kind),
                others=_listed([f"“{other.value}”" for other in covering]),
                example=example(self.terms, [level.when, *(other.when for other in covering)], truths[number].true),
            )
        )

    def _gap(self, ladder: Ladder, lines: list[Term], leaves: dict[Leaf, None]) -> None:
        """Report known values that no line speaks of."""
        read = [level.when for level in ladder.levels]
        if any(isinstance(part, HasTag | LadderIs) for when in read for part in walk(when)):
            return
        nobody, found = lines[-1], None
        if ladder.kind == "class":
            found = example(self.terms, read, nobody)
        else:
            for hole in self._holes(lines, leaves):
                found = found or example(self.terms, read, nobody, hole)
        if found is not None:
            self.problems.add(codes.gap(ladder.span, ladder=ladder.name, kind=Word(ladder.kind), example=found))

    def _holes(self, lines: list[Term], leaves: dict[Leaf, None]) -> Iterator[Term]:
        """For each number that a tier reads: less of it has a level, and so has more.

        Below its lowest level a tier has none, and that is what tiers are for.
        """
        world = self.terms.world
        placed = z3.And(z3.Or(lines[:-1]), *self.terms.facts(leaves), *world.usual(leaves))
        for leaf in leaves:
            value = leaf.worth.value
            if z3.is_arith(value):
                less, more = (z3.FreshConst(value.sort()) for _ in range(2))
                sides = (z3.substitute(placed, (value, side)) for side in (less, more))
                yield z3.And(less < value, value < more, *sides)


def _fails(solver: z3.Solver, term: Term) -> bool:
    """Whether no customer is so."""
    solver.push()
    solver.add(term)
    answer = solver.check() == z3.unsat
    solver.pop()
    return bool(answer)


def _split(group: list[_Given], flags: dict[str, Term], model: z3.ModelRef) -> list[list[_Given]]:
    sides: dict[bool, list[_Given]] = {}
    for given in group:
        side = z3.is_true(model.eval(flags[given.tag.name], model_completion=True))
        sides.setdefault(side, []).append(given)
    return list(sides.values())


def _family(given: _Given) -> object:
    """What a tag is about: the events it counts, whatever the window, and what else it reads."""
    return frozenset((leaf.group.source, leaf.group.where) if leaf.group is not None else leaf for leaf in given.leaves)


def _refers(tag: Tag, to: Tag) -> bool:
    return any(isinstance(part, HasTag) and part.tag == to.name for part in _all(tag))


def _all(tag: Tag) -> Iterator[Expression]:
    for condition in _read(tag):
        yield from walk(condition)


def _read(tag: Tag) -> list[Expression]:
    return [tag.when] if tag.unless is None else [tag.when, tag.unless]


def _text(span: Span) -> str:
    text = " ".join(span.text.split())
    return f"`{text}`" if len(text) <= MOST_TEXT else f"`{text[:MOST_TEXT].rstrip()}…`"


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
