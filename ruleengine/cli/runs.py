"""What a run did, as text for people."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from ruleengine.cli.guards import checks
from ruleengine.cli.terminal import Terminal, counted, plain
from ruleengine.cli.versions import HASH, movement, sizes
from ruleengine.verbs.computing import LeftOut
from ruleengine.verbs.run import RunReport


def run(report: RunReport, ruleset: Path, terminal: Terminal) -> Iterator[str]:
    yield terminal.dot.join(
        (
            terminal.bold(plain(report.ruleset)),
            _outcome(report),
            f"as of {report.as_of}" + (" (a part of that day)" if report.saw_part_of_day else ""),
            counted(report.counts.customers, "customer"),
            f"rules {report.ruleset_hash[:HASH]}",
        )
    )
    if report.outcome == "detached":
        yield "  for a day before the current version's: it can be exported and compared, and is never current"
    for reason in report.reasons:
        yield f"  {terminal.no} {plain(reason)}"
    if report.outcome == "held":
        command = f"ruleengine publish {shlex.quote(str(ruleset))} {report.run}"
        yield f'  publish it all the same: {command} --reason "..."'
    yield ""
    yield from sizes(report.counts, terminal, report.movement)
    yield ""
    if report.checks:
        yield from checks(report.checks, terminal)
        yield ""
    if report.movement:
        yield movement(report.movement, terminal)
    for source in report.left_out:
        yield from _left_out(source)
    yield from forgotten(report.forgotten)
    for name, customers in report.unknown_classes.items():
        if customers:
            yield f"class {plain(name)}: no value for {counted(customers, 'customer')}, a line is unknown for them"
    for name, customers in report.suppressed.items():
        yield f'tag "{plain(name)}": {counted(customers, "customer")} suppressed for a tag that is preferred to it'
    for name, customers in report.over_budget.items():
        yield f'tag "{plain(name)}": {counted(customers, "customer")} beyond its limit'
    for draft in report.drafts:
        what = f'draft {draft.kind} "{plain(draft.name)}"' + (f' "{plain(draft.value)}"' if draft.value else "")
        yield f"{what}: {counted(draft.customers, 'customer')}"
    yield terminal.faint(terminal.dot.join(f"{phase.name} {phase.seconds:.1f} s" for phase in report.phases))


def forgotten(customers: int) -> Iterator[str]:
    if customers:
        yield f"left out: {counted(customers, 'customer')} of the data, forgotten"


def _outcome(report: RunReport) -> str:
    match report.outcome:
        case "published":
            return f"version {report.version} published"
        case "detached":
            return f"version {report.version}, detached"
        case "unchanged":
            return f"nothing new; version {report.version} stands"
        case "held":
            return f"run {report.run} held"


def _left_out(found: LeftOut) -> Iterator[str]:
    reasons = (
        (found.of_unknown_customers, "of customers that are not there"),
        (found.without_customer, "without a customer"),
        (found.without_time, "without a time"),
        *((n, f"for which it is unknown whether {plain(text)}") for text, n in found.unknown_filters.items()),
    )
    for n, reason in reasons:
        if n:
            yield f"left out: {n:,} of {found.events:,} {plain(found.source)} {reason}"
