"""What a run may know of its data beforehand, to read less. It changes no answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ruleengine.checking import expressions as checked
from ruleengine.checking.ruleset import Events
from ruleengine.functions.aggregates import Aggregation
from ruleengine.planning.plan import Days, Plan, Scan
from ruleengine.sql.dialect import Dialect
from ruleengine.sql.ends import ENDS
from ruleengine.types import Kind

MOST_TEXTS = 60
"""A column of no more texts than this has a bit of a BIGINT for each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of one events source."""

    every_key: bool = False
    """Every event has a key, which no other has."""
    texts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns that hold no more than MOST_TEXTS different texts: which, by code point."""


NOTHING = Known()


def wanted_texts(plan: Plan, dialect: Dialect) -> tuple[tuple[str, str], ...]:
    """Source and column of the texts that it would help to know."""
    found: dict[tuple[str, str], None] = {}
    for scan in plan.scans:
        for measure in scan.measures:
            argument = measure.aggregate.argument
            if (
                _is_helped(measure.aggregate.function, plan.ruleset.events[scan.source], dialect)
                and isinstance(argument, checked.EventValue)
                and argument.type.kind is Kind.TEXT
            ):
                found[scan.source, argument.column] = None
    return tuple(found)


def _is_helped(function: Aggregation, events: Events, dialect: Dialect) -> bool:
    if function in ENDS:
        # Where rows would be put in order, a number spares that, and a key is one already.
        return events.key is None or not dialect.sorts_for_ends
    return function is Aggregation.COUNT_DISTINCT


def known_texts(known: Mapping[str, Known], source: str, argument: checked.Expression | None) -> tuple[str, ...] | None:
    """All the texts that an argument can be, where they are known."""
    if not isinstance(argument, checked.EventValue):
        return None
    return known.get(source, NOTHING).texts.get(argument.column)


def folded(plan: Plan, known: Mapping[str, Known]) -> Plan:
    """The plan with the different values of columns of few texts counted in the passes that are made anyway."""
    scans: list[Scan] = []
    moved: list[Scan] = []
    for scan in plan.scans:
        counts = all(measure.aggregate.function is Aggregation.COUNT_DISTINCT for measure in scan.measures)
        few = scan.shape == "distinct" and counts and known_texts(known, scan.source, scan.value) is not None
        (moved if few else scans).append(scan)
    for scan in moved:
        at = next((index for index, host in enumerate(scans) if _takes(host, scan)), None)
        if at is None:
            scans.append(replace(scan, shape="plain", value=None))
        else:
            host = scans[at]
            scans[at] = replace(host, days=_both(host.days, scan.days), measures=(*host.measures, *scan.measures))
    return replace(
        plan,
        scans=tuple(scans),
        measures={measure.aggregate: (scan, measure) for scan in scans for measure in scan.measures},
    )


def _takes(host: Scan, scan: Scan) -> bool:
    """Whether a pass reads the same events anyway: all of them, or the late ones."""
    return (
        host.shape == "plain" and host.source == scan.source and (host.days.first is None) == (scan.days.first is None)
    )


def _both(one: Days, other: Days) -> Days:
    first = None if one.first is None or other.first is None else min(one.first, other.first)
    return Days(first, max(one.last, other.last))
