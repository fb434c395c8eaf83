"""What a customer brings along from earlier versions, and how long tags and levels last."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import assert_never, cast

from ruleengine.checking.expressions import HadTag, Past
from ruleengine.checking.rules import asks_history
from ruleengine.checking.ruleset import Before, Duration, Ladder, Level, Ruleset, Tag
from ruleengine.interpreter.arithmetic import Truth, conjunction, disjunction, negation
from ruleengine.planning import memory as planned
from ruleengine.planning.memory import ManualMemory, TagMemory, TierMemory
from ruleengine.planning.recall import recalled, spoken
from ruleengine.planning.reviews import last_review, later, next_review
from ruleengine.types import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a customer stands on a tier, a level set by hand left aside."""

    level: str | None
    reached: date | None
    """The as-of at which the level was reached."""
    below: date | None
    """The as-of from which less has been earned; None while the level is earned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recollection:
    """What earlier versions say of one customer; empty of a new one."""

    tags: Mapping[str, date] = field(default_factory=dict)
    """Rule tags that the previous version gave → the as-of of the last in which their condition held."""
    tiers: Mapping[str, Standing] = field(default_factory=dict)
    manual_tags: frozenset[str] = frozenset()
    manual_tiers: Mapping[str, str] = field(default_factory=dict)
    """Tier → the level that somebody set."""
    past: Mapping[Past, Truth] = field(default_factory=dict)
    """What rules ask of published history; what is not in it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagDecision:
    """How a tag came to be given or not."""

    given: Truth
    matches: Truth
    """`when`, and nothing that takes it away; never unknown where the tag is barred by another."""
    when: Truth
    unless: Truth
    until: Truth
    held: bool
    last_match: date | None
    """Of a holder: before this run."""
    kept_to: date | None
    """Of a holder of a tag with `keep for`: the last day on which it is kept for that; None once it is over."""
    suppressed_by: tuple[str, ...]
    """Tags that the customer has and that are preferred, where the tag would be given without them."""


def decide_tag(
    tag: Tag,
    when: Truth,
    unless: Truth,
    until: Truth,
    preferred: Sequence[str],
    held: bool,
    last_match: date | None,
    day: date,
) -> TagDecision:
    """`preferred` are those of the tag's preferred ones that the customer has."""

    def given(barred: bool) -> Truth:
        reasons: list[Truth] = []
        if tag.keep_for is not None:
            reasons.append(last_match is not None and day < later(last_match, tag.keep_for))
        if tag.until is not None:
            reasons.append(negation(until))
        kept = conjunction([held, disjunction(reasons)]) if reasons else False
        answer = conjunction([not barred, negation(unless), disjunction([when, kept])])
        return True if answer is None and held and tag.if_unknown_keep else answer

    kept_to = None
    if held and tag.keep_for is not None and last_match is not None:
        ends = later(last_match, tag.keep_for)
        kept_to = date.fromordinal(ends.toordinal() - 1) if day < ends else None
    answer = given(bool(preferred))
    return TagDecision(
        given=answer,
        matches=conjunction([not preferred, negation(unless), when]),
        when=when,
        unless=unless,
        until=until,
        held=held,
        last_match=last_match if held else None,
        kept_to=kept_to,
        suppressed_by=tuple(preferred) if preferred and given(False) is True else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TierDecision:
    """How a customer came to stand where he stands on a tier."""

    before: Standing
    earned: str | None
    now: Standing
    falls_on: date | None
    """Of who has earned less than he holds: the first day to come on which a run would let him fall, if nothing
    changes; None where nobody falls."""


def decide_tier(
    tier: Ladder,
    met: Callable[[Level], Truth],
    kept: Callable[[Level], Truth],
    before: Standing,
    anniversary_of: date | None,
    day: date,
) -> TierDecision:
    """`met` and `kept` say what `when` and `keep while` of a level come to; FALSE where there is none."""
    values: list[str | None] = [*tier.values, None]
    held = tier.formerly.get(before.level, before.level) if before.level is not None else None
    if held not in values:
        held = None
    place = values.index(held)
    earned = len(values) - 1 if tier.otherwise is None else values.index(tier.otherwise)
    for number, level in enumerate(tier.levels):
        when = met(level)
        if when is True or (number >= place and disjunction([when, kept(level)]) is not False):
            earned = number
            break
    if earned <= place:
        reached = before.reached if earned == place else day
        now = Standing(level=values[earned], reached=reached if values[earned] is not None else None, below=None)
        return TierDecision(before=before, earned=values[earned], now=now, falls_on=None)
    below = before.below or day
    now = Standing(level=held, reached=before.reached, below=below)
    if tier.fall != "never" and _ends(tier, now) <= last_review(tier.review, anniversary_of, day):
        place = earned if tier.fall is None else place + 1
        now = Standing(
            level=values[place],
            reached=day if values[place] is not None else None,
            below=day if earned > place else None,
        )
    falls_on = None
    if tier.fall != "never" and now.below is not None:
        falls_on = next_review(tier.review, anniversary_of, max(_ends(tier, now), later(day, _A_DAY)))
    return TierDecision(before=before, earned=values[earned], now=now, falls_on=falls_on)


def _ends(tier: Ladder, standing: Standing) -> date:
    """When hold and grace of somebody who has earned less are over."""
    assert standing.reached is not None
    assert standing.below is not None
    return max(later(standing.reached, tier.held_for), later(standing.below, tier.grace))


_A_DAY = Duration(1, "day")
NOWHERE = Standing(level=None, reached=None, below=None)


def recollected(ruleset: Ruleset, history: Mapping[tuple[str, str], Before], day: date) -> Recollection:
    """The memory of a customer of whom this alone is known; what he did not have, he never had."""
    yesterday = day - timedelta(days=1)
    since = {key: before.since or yesterday for key, before in history.items()}
    return Recollection(
        tags={name: since["tag", name] for kind, name in history if kind == "tag" and name in ruleset.tags},
        tiers={
            name: Standing(level=before.value, reached=since[kind, name], below=None)
            for (kind, name), before in history.items()
            if kind == "ladder"
        },
        manual_tags=frozenset(name for kind, name in history if kind == "tag" and name in ruleset.manual_tags),
        past={asked: _was(asked, history) for asked in asks_history(ruleset.order)},
    )


def _was(asked: Past, history: Mapping[tuple[str, str], Before]) -> bool:
    """Whoever had something had it yesterday, which is within any time."""
    if isinstance(asked, HadTag):
        return ("tag", asked.tag) in history
    before = history.get(("ladder", asked.ladder))
    return before is not None and before.value in asked.values


def from_values(ruleset: Ruleset, day: date, values: Mapping[str, Value]) -> Recollection:
    """The memory that stands among the values which rules read in a run, by its labels in `planning.memory`."""
    memory = recalled(ruleset, day, lambda name: name)
    tags: dict[str, date] = {}
    tiers: dict[str, Standing] = {}
    manual_tags: set[str] = set()
    manual_tiers: dict[str, str] = {}
    said: dict[str, Truth] = {}
    for part in memory.parts:
        found = [values.get(label) for label in part.labels]
        match part:
            case TagMemory(tag=tag):
                if found[0]:
                    tags[tag] = cast(date, found[1])
            case TierMemory(tier=tier):
                level, reached, below = found
                tiers[tier] = Standing(
                    level=cast(str | None, level),
                    reached=cast(date | None, reached),
                    below=cast(date | None, below),
                )
            case ManualMemory(kind="tag", name=name):
                if found[0]:
                    manual_tags.add(name)
            case ManualMemory(name=name):
                if found[0] is not None:
                    manual_tiers[name] = cast(str, found[0])
            case planned.Past(text=text):
                said[text] = cast(Truth, found[0])
            case _:
                assert_never(part)
    return Recollection(
        tags=tags,
        tiers=tiers,
        manual_tags=frozenset(manual_tags),
        manual_tiers=manual_tiers,
        past={asked: said[spoken(asked)] for asked in asks_history(ruleset.order)},
    )
