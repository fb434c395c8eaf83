"""What the checks of a ruleset say of a run: of its data, and of what it would publish."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, assert_never

from ruleengine.checking.expressions import Last
from ruleengine.checking.guards import (
    AnswerCheck,
    ChangesCheck,
    Check,
    CoversCheck,
    ExistsCheck,
    FreshCheck,
    MovesCheck,
    RowsCheck,
    UniqueCheck,
)
from ruleengine.checking.ruleset import Ruleset
from ruleengine.engines.engine import Tally
from ruleengine.planning.windows import days_of
from ruleengine.store.records import Counts, Delta, Json, Preview
from ruleengine.verbs.shapes import as_json

Outcome = Literal["passed", "warned", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """What one check says of a run."""

    check: str
    """As written, without `check` and `else`."""
    file: str
    line: int
    asked: Literal["before", "after"]
    """Before the metrics, of the data; or after the rules, of what would be published."""
    outcome: Outcome
    count: int | None
    """Rows that meet it; customers whom a tag or value covers, whose level or value changes, or who move so. None
    where nothing is counted."""
    of: int | None
    """Of so many rows or customers."""
    share: str | None
    """In percent; None of no rows at all."""
    note: str | None
    """What else there is to say."""
    rows: tuple[Mapping[str, Any], ...]
    """A few rows that do not meet it: their key, and what the check reads."""


def of_sources(tallies: Sequence[Tally], as_of: date) -> tuple[CheckResult, ...]:
    """What the checks of the data say."""
    return tuple(_of_source(tally, as_of) for tally in tallies)


def of_answers(ruleset: Ruleset, compared: Delta | Preview) -> tuple[CheckResult, ...]:
    """What the checks of the answers say of what would be published."""
    return tuple(
        _of_answer(check, compared, ruleset)
        for check in ruleset.checks
        if isinstance(check, CoversCheck | ChangesCheck | MovesCheck)
    )


def reasons(results: Sequence[CheckResult]) -> Iterator[str]:
    """Why a run is not published without somebody's saying so."""
    for result in results:
        if result.outcome == "failed":
            yield f"check {result.check}: {said(result)}"


def said(result: CheckResult) -> str:
    """What was counted, in words."""
    parts = []
    if result.count is not None and result.of is not None:
        share = f" ({result.share})" if result.share is not None else ""
        parts.append(f"{result.count:,} of {result.of:,}{share}")
    if result.note is not None:
        parts.append(result.note)
    return "; ".join(parts)


def kept(results: Sequence[CheckResult]) -> list[Json]:
    """What stays with a version. Rows of the data do not: they would outlast the customers whose they are."""
    found: list[Json] = []
    for result in results:
        made = as_json(replace(result, rows=()))
        del made["rows"]
        found.append(made)
    return found


def stored(report: Json) -> tuple[CheckResult, ...]:
    """What was kept with a version; nothing of one that was not made by a run, or before checks were."""
    found: Any = report.get("checks", ()) if isinstance(report, Mapping) else ()
    return tuple(CheckResult(**result, rows=()) for result in found)


def limited(ruleset: Ruleset) -> frozenset[str]:
    """Events sources whose customers a check looks up, so that its share stands for the one that all others have."""
    return frozenset(
        check.source
        for check in ruleset.checks
        if isinstance(check, ExistsCheck)
        and check.source is not None
        and check.other is None
        and check.column == ruleset.events[check.source].customer.name
    )


def _of_source(tally: Tally, as_of: date) -> CheckResult:
    check = tally.check
    match check:
        case FreshCheck():
            passed = tally.latest is not None and tally.latest >= _oldest(check, as_of)
            seen = "there is no event" if tally.latest is None else f"the latest event is of {tally.latest}"
            return _result(check, "before", passed, None, None, seen)
        case UniqueCheck():
            least = Decimal(1)
        case RowsCheck() | ExistsCheck():
            least = check.at_least
        case _:
            assert_never(check)
    assert tally.met is not None
    passed = tally.rows > 0 and tally.met >= Fraction(least) * tally.rows
    note = None if tally.rows else "there is no row"
    rows = tuple(as_json(row) for row in tally.offending)
    return replace(_result(check, "before", passed, tally.met, tally.rows, note), rows=rows)


def _oldest(check: FreshCheck, as_of: date) -> date:
    """The first day on which a latest event is fresh."""
    first, _ = days_of(Last(check.count, check.unit), as_of)  # the days behind that one
    return date.fromordinal(max(1, first.toordinal() - 1)) if first is not None else date.min


def _of_answer(check: AnswerCheck, compared: Delta | Preview, ruleset: Ruleset) -> CheckResult:
    match check:
        case CoversCheck(low=low, high=high):
            customers, covered = compared.counts.customers, _covered(check, compared.counts)
            passed = customers > 0 and Fraction(low) * customers <= covered <= Fraction(high) * customers
            return _result(check, "after", passed, covered, customers, None if customers else "there is no customer")
        case ChangesCheck() | MovesCheck():
            pass
        case _:
            assert_never(check)
    if compared.base is None:
        return _result(check, "after", True, None, None, "there is no version to compare with yet")
    ladders = compared.base.counts.tiers if check.kind == "tier" else compared.base.counts.classes
    if check.name not in ladders:
        note = f"version {compared.base.number} has no {check.kind} {check.name} to compare with"
        return _result(check, "after", True, None, None, note)
    renamed = ruleset.ladders[check.name].formerly
    moves = [
        move
        for move in compared.moves
        if (move.kind, move.name) == (check.kind, check.name)
        and (move.old is None or renamed.get(move.old) != move.new)  # the same level under its new name
    ]
    stayed = compared.stayed
    if isinstance(check, MovesCheck):
        moved = sum(move.customers for move in moves if (move.old, move.new) == (check.old, check.new))
        return _result(check, "after", moved == 0, moved, stayed, None)
    moved = sum(move.customers for move in moves)
    passed = stayed > 0 and moved <= Fraction(check.at_most) * stayed
    return _result(check, "after", passed, moved, stayed, None if stayed else "no customer is in both versions")


def _covered(check: CoversCheck, counts: Counts) -> int:
    if check.kind == "tag":
        return counts.tags.get(check.name, 0)
    values = (counts.tiers if check.kind == "tier" else counts.classes).get(check.name, {})
    return sum(values.values()) if check.value is None else values.get(check.value, 0)


def _result(
    check: Check,
    asked: Literal["before", "after"],
    passed: bool,
    count: int | None,
    of: int | None,
    note: str | None,
) -> CheckResult:
    line, _ = check.span.source.position(check.span.start)
    return CheckResult(
        check=check.text,
        file=check.span.source.path,
        line=line,
        asked=asked,
        outcome="passed" if passed else "warned" if check.otherwise == "warn" else "failed",
        count=count,
        of=of,
        share=_percent(count, of) if count is not None and of else None,
        note=note,
        rows=(),
    )


def _percent(count: int, of: int) -> str:
    """To four digits behind the point, cut: what is not all never reads as 100%."""
    whole, rest = divmod(count * 10**6 // of, 10**4)
    digits = f"{whole}.{rest:04}".rstrip("0").rstrip(".")
    return f"{digits}%" if count == 0 or (whole, rest) != (0, 0) else "<0.0001%"
