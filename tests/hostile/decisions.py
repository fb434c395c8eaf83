"""Rules whose answer a condition says as well: what came before is in the data too, as attributes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

from tests.differential.answers import Answers
from tests.differential.data import Case, Draw, Remembered
from tests.hostile import edges
from tests.hostile.relations import conjunction, listed, months_before, negation

LEVELS = ("Gold", "Silver", "Member")
P, Q, U = "(n > 1)", "(q)", "(u)"
HELD = "(held default false)"
KEPT = "((days since matched < 7) default false)"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, and when it answers so: `answer` is a tag's name, or a ladder's and the value."""

    text: str
    answer: str | tuple[str, str]
    meant: str


def is_given(answers: Answers, answer: str | tuple[str, str]) -> bool:
    if isinstance(answer, str):
        return answer in answers.tags
    return answers.ladders[answer[0]] == answer[1]


def tags() -> list[Rule]:
    barred = negation(U)
    matches = conjunction(P, barred)
    worth = "(n default -1000) * 1000 - customer_id"
    best = f"{worth} among ({P})"
    last = f"(n default 1000) * 1000 + customer_id lowest best among ({P})"
    return [
        Rule(f'tag "plain" when {P}', "plain", P),
        Rule(f'tag "not" when not {P}', "not", negation(P)),
        Rule(f'tag "missing" when {P} is missing', "missing", "n is missing"),
        Rule(f'tag "unless" when {P} unless {U}', "unless", matches),
        Rule(f'tag "until" when {P} until {U}', "until", f"({P} default false) or ({HELD} and {barred})"),
        Rule(f'tag "kept" when {P} keep for 7 days', "kept", f"({P} default false) or ({HELD} and {KEPT})"),
        Rule(
            f'tag "kept until" when {P} until {U} keep for 7 days',
            *("kept until", f"({P} default false) or ({HELD} and ({KEPT} or ({barred} default false)))"),
        ),
        Rule(
            f'tag "unless until" when {P} unless {Q} until {U}',
            *("unless until", f"(({P} default false) or ({HELD} and ({barred} default false))) and {negation(Q)}"),
        ),
        Rule(
            f'tag "unknown" when {P} unless {U} if unknown keep',
            *("unknown", f"({matches} default false) or ({HELD} and ({matches} is missing))"),
        ),
        Rule('tag "has" when has tag "until"', "has", f"({P} default false) or ({HELD} and {barred})"),
        Rule('tag "has not" when not has tag "plain"', "has not", f"not ({P} default false)"),
        Rule(f'tag "first" when {Q}', "first", Q),
        Rule(f'tag "second" when {P}', "second", f"{P} and not ({Q} default false)"),
        Rule(
            'tag "third" when true\nat most one of "first", "second", "third"',
            *("third", f"not (({Q} default false) or ({P} default false))"),
        ),
        Rule(f'tag "limited" when {P} limit 5 by n', "limited", f"rank({best}) <= 5"),
        Rule(f'tag "least" when {P} limit 5 by lowest n', "least", f"rank({last}) <= 5"),
        # More than have a value, fewer than all.
        Rule(f'tag "most" when {Q} limit 60 by n', "most", f"rank({worth} among {Q}) <= 60"),
        Rule('manual tag "by hand"\ntag "had by hand" when has tag "by hand"', "had by hand", HELD),
        Rule('tag "had" when had tag "plain"', "had", HELD),
    ]


def ladders(as_of: date, reached: Sequence[date]) -> list[Rule]:
    sure, other = f"({P} default false)", f"({Q} default false)"
    one = f'class one "A" when {P} "B" when {Q} otherwise "C"'
    none = f'class none "A" when {P} "B" when {Q}'
    first = f'tier first "Gold" when {P} "Silver" when {Q} otherwise "Member"'
    gold = '((level = "Gold") default false)'
    silver = '((level in ("Gold", "Silver")) default false)'
    keeps = f'tier keeps "Gold" when {P} keep while {U} "Silver" when {Q} otherwise "Member"'
    stays = f"({sure} or ({gold} and (({P} or {U}) default true)))"
    stays_silver = f"({other} or ({silver} and ({Q} default true)))"
    holds = f'tier holds "Gold" when {P} otherwise "Member" hold for 30 days grace 7 days'
    over = f"((days since reached >= 30) and ((days since (below default {as_of})) >= 7))"
    months = f'tier months "Gold" when {P} otherwise "Member" hold for 1 month'
    ended = [day for day in reached if months_before(day, -1) <= as_of]
    monthly = f'tier monthly "Gold" when {P} otherwise "Member" review monthly'
    review = as_of.replace(day=1)
    slow = f'tier slow "Gold" when {P} "Silver" when {Q} otherwise "Member" fall one level at a time'
    never = f'tier never_falls "Gold" when {P} otherwise "Member" never fall'
    met = f"({sure} or ({gold} and ({P} default true)))"
    return [
        Rule(one, ("one", "A"), P),
        Rule("", ("one", "B"), f"{negation(P)} and {Q}"),
        Rule("", ("one", "C"), f"{negation(P)} and {negation(Q)}"),
        Rule(none, ("none", "B"), f"{negation(P)} and {Q}"),
        Rule('tag "is a" when class one is "A"', "is a", P),
        Rule('tag "is not b" when class one is not "B"', "is not b", f"not (({negation(P)} and {Q}) default false)"),
        Rule(first, ("first", "Gold"), met.replace("level", "nothing_text")),
        Rule("", ("first", "Silver"), f"(not {sure}) and {other}"),
        Rule("", ("first", "Member"), f"not ({sure} or {other})"),
        Rule('tag "silver" when tier first is at least "Silver"', "silver", f"{sure} or {other}"),
        Rule(keeps, ("keeps", "Gold"), stays),
        Rule("", ("keeps", "Silver"), f"(not {stays}) and {stays_silver}"),
        Rule(holds, ("holds", "Gold"), f"{met} or ({gold} and (not {over}))"),
        Rule(months, ("months", "Gold"), f"{met} or ({gold} and (not {_in('reached', ended)}))"),
        Rule(
            monthly,
            ("monthly", "Gold"),
            f"{met} or ({gold} and not ((reached < {review}) and ((below default {as_of}) <= {review})))",
        ),
        Rule(slow, ("slow", "Gold"), met),
        Rule("", ("slow", "Silver"), f"(not {met}) and ({gold} or {stays_silver})"),
        Rule(never, ("never_falls", "Gold"), f"{sure} or {gold}"),
        Rule(
            f'tier by_hand "Gold" when {P} otherwise "Member"\nmanual tier by_hand',
            ("by_hand", "Gold"),
            f'if (level in ("Gold", "Member")) default false then {gold} else {sure}',
        ),
    ]


def _in(x: str, days: Sequence[date]) -> str:
    return f"{x} in ({listed(days)})" if days else "false"


@st.composite
def decisions(draw: Draw) -> tuple[Case, list[Rule]]:
    as_of = draw(edges.as_ofs())
    reached = sorted({as_of - timedelta(days) for days in (1, 2, 6, 7, 8, 27, 28, 29, 30, 31, 32, 60, 400)})
    rules = [*tags(), *ladders(as_of, reached)]
    attributes = {"n": "integer", "q": "boolean", "u": "boolean", "held": "boolean", "matched": "date"}
    attributes |= {"level": "text", "reached": "date", "below": "date", "nothing": "boolean", "nothing_text": "text"}
    rows: list[edges.Row] = [{"customer_id": key} for key in range(200)]
    chance = Random(draw(st.integers(0, 999)))
    edges.spread(
        rows, {"n": (1, 2, None, 0, 3), "level": (*LEVELS, None), "nothing": [None], "nothing_text": [None]}, chance
    )
    edges.spread(rows, dict.fromkeys(("q", "u"), (True, False, None)) | {"held": (True, None)}, chance)
    edges.spread(rows, {"matched": reached, "reached": reached, "below": [*reached, None]}, chance)
    for row in rows:
        if row["below"] and row["below"] < row["reached"]:
            row["below"] = row["reached"]
    lines = [rule.text for rule in rules if rule.text]
    lines += [f"metric meant{number} = {rule.meant}" for number, rule in enumerate(rules)]
    lines.append(f'tag "reads all" when {" or ".join(f"(meant{n} is missing)" for n in range(len(rules)))}')
    model = edges.model(attributes)
    memory = Remembered({row["customer_id"]: remembered(row) for row in rows}, {'had tag "plain"': True})
    return edges.case(lines, model, as_of, "Asia/Shanghai", {"customers": rows}, memory), rules


def remembered(row: edges.Row) -> dict[str, Any]:
    """What the version before left, as the attributes have it."""
    found: dict[str, Any] = {}
    if row["held"]:
        for tag in ("until", "kept", "kept until", "unless until", "unknown"):
            found |= {f'tag "{tag}" before': True, f'tag "{tag}" last matched': row["matched"]}
        found |= {'tag "by hand" by hand': True, 'had tag "plain"': True}
    if row["level"]:
        for tier in ("first", "keeps", "holds", "months", "monthly", "slow", "never_falls", "by_hand"):
            found |= {f"tier {tier} before": row["level"], f"tier {tier} reached": row["reached"]}
            found |= {f"tier {tier} below since": row["below"]}
        del found["tier first before"]  # as if nothing had come before
        found["tier by_hand by hand"] = row["level"]
    return found
