"""The log of what people set by hand, derived a second time from the versions: see `store.manual`."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruleengine.diagnostics import codes
from ruleengine.store import versions
from ruleengine.store.auditing import Entry, Finding, forgot
from ruleengine.store.manual import Entry as LogEntry
from ruleengine.store.records import Key, VersionKind

Log = dict[tuple[Key, str, str], LogEntry]
"""The latest entry of each customer and name."""


@dataclass(frozen=True, slots=True)
class Known:
    """Which customers were there in the versions that were current."""

    came: Mapping[Key, Sequence[tuple[int, bool]]]
    """By customer the versions with which he came (true) and went, in order."""

    def at(self, customer: Key, number: int) -> bool:
        here = False
        for version, came in self.came.get(customer, ()):
            if version <= number:
                here = came
        return here


def findings(
    entries: Sequence[Entry],
    staged: Mapping[str, str],
    log: Sequence[LogEntry],
    changed: Mapping[int, Collection[Key]],
    known: Known,
) -> Iterator[Finding]:
    """What differs. `staged` as the ledger has it, by run; `changed` says whose answers manual versions changed,
    `known` who was there."""
    said: dict[int, list[LogEntry]] = {}
    for row in log:
        said.setdefault(row.version, []).append(row)
    latest: Log = {}
    targets = {entry.number: entry for entry in entries}
    has_forgotten = forgot(entries)
    for entry in entries:
        found = said.pop(entry.number, [])
        header = json.loads(entry.header)
        match header["kind"]:
            case VersionKind.MANUAL:
                expected = [_set(entry, header, row.customer) for row in found[:1]]
                # The entry of a customer who was forgotten is gone, as are his changes.
                is_right = bool(found) or has_forgotten
                is_right = is_right and {row.customer for row in found} >= set(changed.get(entry.number, ()))
            case VersionKind.RUN if not entry.detached:
                expected = [
                    _taken_away(entry, header, row)
                    for row in latest.values()
                    if row.value is not None and not known.at(row.customer, entry.number)
                ]
                is_right = True
            case VersionKind.ROLLBACK:
                day = targets[entry.base].as_of if entry.base is not None else entry.as_of
                expected = list(_restated(latest, versions.staged(staged[entry.run]).hands, entry.number, day))
                is_right = True
            case _:
                expected, is_right = [], True
        if not is_right or Counter(found) != Counter(expected):
            yield Finding(entry.number, codes.audit_log_differs(None, version=entry.number))
        latest |= {(row.customer, row.kind, row.name): row for row in found}
    for number in sorted(said):
        yield Finding(number, codes.audit_log_differs(None, version=number))


def _set(entry: Entry, header: Mapping[str, Any], customer: Key) -> LogEntry:
    what = (header["report"] or {})["manual"]
    return LogEntry(
        customer=customer,
        kind=what["kind"],
        name=what["name"],
        version=entry.number,
        as_of=header["as_of"],
        value=what["value"],
        expires_on=what["expires_on"],
        actor=header["actor"],
        reason=header["reason"],
    )


def _taken_away(entry: Entry, header: Mapping[str, Any], row: LogEntry) -> LogEntry:
    return row._replace(
        version=entry.number, as_of=entry.as_of, value=None, expires_on=None, actor=header["actor"], reason=None
    )


def _restated(latest: Log, hands: Sequence[versions.Hand], number: int, day: str) -> Iterator[LogEntry]:
    for kind, *names in hands:
        of_customer: dict[Key, LogEntry] = {}
        for row in latest.values():
            if row.kind == kind and row.name in names:
                before = of_customer.get(row.customer)
                if before is None or row.version > before.version:
                    of_customer[row.customer] = row
        for row in of_customer.values():
            if row.as_of > day or row.name != names[0]:
                yield row._replace(name=names[0], version=number, as_of=day)
