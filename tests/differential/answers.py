"""What an engine says of a case."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Ruleset
from ruleengine.engines.engine import Engine
from ruleengine.planning.plan import plan
from ruleengine.source import Source
from tests.differential.data import Case


@dataclass(frozen=True, slots=True)
class Answers:
    """What the SQL says of one customer. Only values that published rules read are there."""

    values: dict[str, Any]
    tags: frozenset[str]
    ladders: dict[str, str | None]


def checked(case: Case) -> Ruleset:
    found = check([Source("case.rules", case.rules)], "case", case.timezone)
    errors = [
        f"{problem.code.name} at {problem.span}: {dict(problem.facts)}"
        for problem in found.problems
        if problem.is_error
    ]
    assert found.ruleset is not None, errors
    return found.ruleset


def answers_of(engine: Engine, as_of: date) -> dict[Any, Answers]:
    """Every customer's answers, as a store takes them; ProblemError where a number overflows."""
    planned = plan(engine.ruleset, as_of)
    engine.run(planned)
    layout = planned.layout
    results = engine.results(layout)
    remembered = {name for name, _ in layout.memory.columns}  # there is nothing to remember, and that stays unsaid
    assignments = {row[0]: row[1:] for row in results.execute("SELECT * FROM result_assignments").fetchall()}
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
        )
    assert len(answers) == len(assignments)
    return answers
