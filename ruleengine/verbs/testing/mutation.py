"""Which changes of the rules the tests would not notice."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruleengine.checking.ruleset import Ruleset
from ruleengine.verbs.opening import found_at
from ruleengine.verbs.testing.cases import Case, ExampleCase, Owner
from ruleengine.verbs.testing.changes import Kind
from ruleengine.verbs.testing.coverage import percent
from ruleengine.verbs.testing.mutants import Mutant, mutants

MOST_PROVED = 400
"""Changes that no test notices of which it is asked whether they make any difference; where so many survive, all that
follow are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """A change of the rules that no test notices."""

    kind: Kind
    file: str
    line: int
    column: int
    before: str
    after: str | None
    """None: it is left out."""
    example: str | None
    """One that would notice, as it can be pasted into a rule file; None where none was found. Several changes may share
    one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    changes: int
    """Those that make a difference to some customer, as far as is known."""
    noticed: int
    equivalent: int
    """Those that provably make none; they are not among `changes`."""
    percent: float
    survivors: tuple[Survivor, ...]


def mutate(ruleset: Ruleset, cases: Sequence[Case], directory: Path, files: Container[str]) -> Mutation:
    """Change the rules of some files one by one, and ask the tests that hold again, by the interpreter."""
    sound = [case for case in cases if case.holds(ruleset)]
    reaching: dict[Owner, list[Case]] = {}
    for case in sound:
        for owner in case.reaches:
            reaching.setdefault(owner, []).append(case)
    noticed = equivalent = 0
    survivors: list[Mutant] = []
    for mutant in mutants(ruleset):
        if mutant.span.source.path not in files:
            continue
        asked = dict.fromkeys(case for owner in sorted(mutant.owners) for case in reaching.get(owner, ()))
        if any(not case.holds(mutant.ruleset) for case in asked):
            noticed += 1
            continue
        from ruleengine.verbs.testing.proving import makes_no_difference  # and z3 with it

        if equivalent + len(survivors) < MOST_PROVED and makes_no_difference(ruleset, mutant):
            equivalent += 1
        else:
            survivors.append(mutant)
    return Mutation(
        changes=noticed + len(survivors),
        noticed=noticed,
        equivalent=equivalent,
        percent=percent(noticed, noticed + len(survivors)),
        survivors=_told(ruleset, survivors, sound, directory),
    )


def _told(
    ruleset: Ruleset, survivors: Sequence[Mutant], sound: Sequence[Case], directory: Path
) -> tuple[Survivor, ...]:
    from ruleengine.verbs.testing.missing import Search

    search = Search(ruleset, [case.example for case in sound if isinstance(case, ExampleCase)])
    told = []
    for mutant in survivors:
        line, column = mutant.span.source.position(mutant.span.start)
        told.append(
            Survivor(
                kind=mutant.kind,
                file=found_at(mutant.span.source.path, directory),
                line=line,
                column=column,
                before=mutant.before,
                after=mutant.after or None,
                example=search.example(mutant),
            )
        )
    return tuple(told)
