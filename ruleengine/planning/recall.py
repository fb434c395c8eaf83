"""What the rules of a ruleset ask of the versions before a run."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta

from ruleengine.checking import expressions as checked
from ruleengine.checking.rules import asks_history, reads
from ruleengine.checking.ruleset import Rule, Ruleset, Tag
from ruleengine.planning.memory import ManualMemory, Memory, Past, Recollection, TagMemory, TierMemory
from ruleengine.syntax.format import quoted


def recalled(ruleset: Ruleset, as_of: date, take: Callable[[str], str]) -> Memory:
    """The memory of a ruleset's published rules; `take` hands out identifiers."""
    tags = [tag for tag in ruleset.tags.values() if tag.remembers and not tag.draft]
    tiers = [tier for tier in ruleset.ladders.values() if tier.remembers and not tier.draft]
    by_hand = [tier for tier in ruleset.ladders.values() if tier.manual is not None and not tier.draft]
    return Memory(
        tags=tuple(
            TagMemory(
                tag=tag.name,
                formerly=tag.formerly,
                held=take(f"tag {number} held"),
                matched=take(f"tag {number} matched"),
            )
            for number, tag in enumerate(tags, 1)
        ),
        tiers=tuple(
            TierMemory(
                tier=tier.name,
                level=take(f"tier {number} level"),
                reached=take(f"tier {number} reached"),
                below=take(f"tier {number} below"),
            )
            for number, tier in enumerate(tiers, 1)
        ),
        manual=(
            *(
                ManualMemory(kind="tag", name=tag.name, formerly=tag.formerly, column=take(f"manual tag {number}"))
                for number, tag in enumerate(ruleset.manual_tags.values(), 1)
            ),
            *(
                ManualMemory(kind="tier", name=tier.name, formerly=(), column=take(f"manual tier {number}"))
                for number, tier in enumerate(by_hand, 1)
            ),
        ),
        past=tuple(
            Past(
                text=spoken(asked),
                column=take(f"past {number}"),
                kind="tag" if isinstance(asked, checked.HadTag) else asked.kind,
                names=asked.names if isinstance(asked, checked.HadTag) else (asked.ladder,),
                values=() if isinstance(asked, checked.HadTag) else asked.values,
                first=_first(as_of, asked.within),
            )
            for number, asked in enumerate(asks_history(ruleset.order), 1)
        ),
    )


def spoken(asked: checked.Past) -> str:
    """As the language writes it."""
    within = "" if asked.within is None else f" within {asked.within} day{'' if asked.within == 1 else 's'}"
    if isinstance(asked, checked.HadTag):
        return f"had tag {quoted(asked.tag)}{within}"
    at_least = "at least " if asked.at_least else ""
    return f"{asked.kind} {asked.ladder} was {at_least}{quoted(asked.value)}{within}"


def _first(as_of: date, within: int | None) -> date | None:
    if within is None or within >= as_of.toordinal():
        return None
    return as_of - timedelta(days=within)


def recollections(rule: Rule, memory: Memory) -> Iterator[Recollection]:
    """The parts of a memory that a rule reads, each once."""
    parts = {part: None for expression in reads(rule) for part in checked.walk(expression)}
    asked = {spoken(part) for part in parts if isinstance(part, checked.Past)}
    has = {part.tag for part in parts if isinstance(part, checked.HasTag)}
    if isinstance(rule, Tag):
        has.update(rule.preferred)
        yield from (part for part in memory.tags if part.tag == rule.name)
    else:
        yield from (part for part in memory.tiers if part.tier == rule.name)
    for part in memory.manual:
        if part.name in has if part.kind == "tag" else (part.name == rule.name and not isinstance(rule, Tag)):
            yield part
    yield from (part for part in memory.past if part.text in asked)
