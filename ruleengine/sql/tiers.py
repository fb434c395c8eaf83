"""Tiers that remember, as SQL: from the level that is earned to the one that is held.

Levels are ranks here: 1 is the highest, and whoever has no level has one more than the lowest.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlglot import exp

from ruleengine.checking.ruleset import Duration, Ladder
from ruleengine.planning.reviews import last_review
from ruleengine.sql import build
from ruleengine.sql.dates import last_anniversary, later

if TYPE_CHECKING:
    from ruleengine.sql.answers import Answers

Column = tuple[str, exp.Expression]


def positions(ladder: Ladder, column: str) -> list[tuple[exp.Expression, exp.Expression]]:
    """Branches of a CASE: where a column names a level, its rank; former names count too."""
    ranks = {value: rank for rank, value in enumerate(ladder.values, 1)}
    ranks |= {former: ranks[value] for former, value in ladder.formerly.items()}
    return [
        (exp.EQ(this=build.column(column), expression=build.text(value)), build.number(rank))
        for value, rank in ranks.items()
    ]


def steps(answers: "Answers", tier: Ladder, column: str) -> Iterator[list[Column]]:
    """The layers of columns of a tier; beside the answer those that the next run remembers: level, reached, below."""
    memory, today = answers.standing[tier.name], build.day(answers.plan.as_of)
    none = len(tier.values) + 1
    held, earned, below = (build.column(f"{column} {what}") for what in ("held", "earned", "below"))
    level = build.column(f"{column} rank")

    yield [(f"{column} held", build.case(*positions(tier, memory.level), otherwise=build.number(none)))]
    yield [(f"{column} earned", _earned(answers, tier, held, none))]
    first = exp.Coalesce(this=build.column(memory.below), expressions=[today])
    yield [(f"{column} below", build.case((exp.GT(this=earned, expression=held), first), otherwise=None))]

    lower = earned.copy() if tier.fall is None else exp.Add(this=held.copy(), expression=build.number(1))
    branches: list[tuple[exp.Expression, exp.Expression]]
    branches = [(exp.LTE(this=earned.copy(), expression=held.copy()), earned.copy())]
    if tier.fall != "never":
        branches.append((_falls(answers, tier, build.column(memory.reached), below), lower))
    yield [(f"{column} rank", build.case(*branches, otherwise=held.copy()))]

    stays = exp.EQ(this=level, expression=held.copy())
    has = exp.LT(this=level.copy(), expression=build.number(none))
    still = exp.GT(this=earned.copy(), expression=level.copy())
    names = [
        (exp.EQ(this=level.copy(), expression=build.number(rank)), build.text(value))
        for rank, value in enumerate(tier.values, 1)
    ]
    rung = build.case((has.copy(), level.copy()), otherwise=build.number(0))
    yield [
        (f"{column} level", build.case(*names, otherwise=None)),
        (
            f"{column} reached",
            build.case(
                (exp.And(this=stays, expression=has), build.column(memory.reached)),
                (has.copy(), today.copy()),
                otherwise=None,
            ),
        ),
        (f"{column} below since", build.case((stays.copy(), below.copy()), (still, today.copy()), otherwise=None)),
        (column, answers.overlaid(tier, build.cast(rung, "SMALLINT"))),
    ]


def _earned(answers: "Answers", tier: Ladder, held: exp.Expression, none: int) -> exp.Expression:
    """The highest level whose `when` is TRUE; for the held level and those below it `keep while` counts as well, and
    what is unknown counts as met."""
    branches = []
    for rank, level in enumerate(tier.levels, 1):
        when = answers.frame.lower(level.when)
        branches.append((when, build.number(rank)))
        if level.keep_while is None and not level.when.nullable:
            continue
        parts = [when.copy()]
        if level.keep_while is not None:
            parts.append(answers.frame.lower(level.keep_while))
        met = build.any_of(parts)
        assert met is not None
        not_above = exp.LTE(this=held.copy(), expression=build.number(rank))
        branches.append(
            (
                exp.And(this=not_above, expression=build.call("coalesce", met, exp.Boolean(this=True))),
                build.number(rank),
            )
        )
    otherwise = none if tier.otherwise is None else 1 + tier.values.index(tier.otherwise)
    return build.case(*branches, otherwise=build.number(otherwise))


def _falls(answers: "Answers", tier: Ladder, reached: exp.Expression, below: exp.Expression) -> exp.Expression:
    """Whether there has been a review day since the hold and the grace ended."""
    day = answers.plan.as_of
    if tier.review is not None and tier.review.anniversary_of is not None:
        attribute = build.column(answers.plan.attributes[tier.review.anniversary_of])
        review = last_anniversary(attribute, day, answers.dialect)
    else:
        review = build.day(last_review(tier.review, None, day))
    ends = [_end(reached, tier.held_for), _end(below.copy(), tier.grace)]
    made = build.all_of([exp.LTE(this=build.wrapped(end), expression=build.wrapped(review.copy())) for end in ends])
    assert made is not None
    return made


def _end(day: exp.Expression, length: Duration | None) -> exp.Expression:
    return day if length is None else later(day, length)
