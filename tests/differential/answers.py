"""What an engine says of a case."""

from dataclasses import dataclass
from typing import Any

from hypothesis import reject

from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics import codes
from ruleengine.engines.columns import quote
from ruleengine.engines.engine import Engine
from ruleengine.planning.memory import Memory
from ruleengine.planning.plan import plan
from ruleengine.source import Source
from tests.differential.data import Case
from tests.differential.remembered import tell


@dataclass(frozen=True, slots=True)
class Answers:
    """What the SQL says of one customer. Only values that published rules read are there."""

    values: dict[str, Any]
    tags: frozenset[str]
    ladders: dict[str, str | None]
    left: tuple[Any, ...]
    """What it leaves for the next run, in the order of `left_by`."""


def checked(case: Case) -> Ruleset:
    found = check([Source("case.rules", case.rules)], "case", case.timezone)
    if any(problem.code is codes.factor_too_long for problem in found.problems):
        reject()  # Where numbers are made up, some are too long.
    errors = [
        f"{problem.code.name} at {problem.span}: {dict(problem.facts)}"
        for problem in found.problems
        if problem.is_error
    ]
    assert found.ruleset is not None, errors
    return found.ruleset


def left_by(memory: Memory) -> list[str]:
    """The columns of what a run leaves."""
    columns = [part.matched for part in memory.tags]
    return columns + [column for part in memory.tiers for column in (part.level, part.reached, part.below)]


def answers_of(engine: Engine, case: Case) -> dict[Any, Answers]:
    """Every customer's answers, as a store takes them; ProblemError where a number overflows."""
    planned = plan(engine.ruleset, case.as_of)
    if planned.memory.parts:
        key_type = case.model.key.type
        engine.remember(lambda connection: tell(connection, planned.memory, case.remembered, key_type))
    engine.run(planned)
    layout = planned.layout
    results = engine.results(layout)
    remembered = {name for name, _ in layout.memory.columns}  # there is nothing to remember, and that stays unsaid
    assignments = {row[0]: row[1:] for row in results.execute("SELECT * FROM result_assignments").fetchall()}
    columns = ", ".join(map(quote, ["customer", *left_by(planned.memory)]))
    left = {row[0]: row[1:] for row in results.execute(f"SELECT {columns} FROM result_assignments").fetchall()}
    answers = {}
    for row in results.execute("SELECT * FROM result_values").fetchall():
        bits = assignments[row[0]]
        answers[row[0]] = Answers(
            values={
                value.name: cell
                for value, cell in zip(layout.values, row[1:], strict=True)
                if value.column not in remembered
            },
            tags=frozenset(slot.name for slot in layout.tags if bits[slot.word] >> slot.bit & 1),
            ladders={
                slot.name: slot.values[rung - 1] if (rung := bits[layout.words + index]) else None
                for index, slot in enumerate(layout.ladders)
            },
            left=tuple(left[row[0]]),
        )
    assert len(answers) == len(assignments)
    return answers
