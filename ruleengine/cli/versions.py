"""Versions, their sizes and their differences, as text for people."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from ruleengine.cli.guards import checks
from ruleengine.cli.terminal import Terminal, columns, counted, percent, plain
from ruleengine.store.records import Counts, DiffRow, Movement, Version, VersionKind
from ruleengine.verbs.diff import DiffReport
from ruleengine.verbs.guards import stored
from ruleengine.verbs.versions import VersionInFull, Versions

HASH = 12
"""So many characters of a hash tell it from all others that a person will meet."""


def sizes(counts: Counts, terminal: Terminal, movement: Movement | None = None) -> Iterator[str]:
    """Every tag, level and value with its customers, their share and a bar; with what was gained and lost."""
    whole = counts.customers
    groups: list[tuple[str, Mapping[str, int]]] = []
    if counts.tags:
        groups.append(("tags", counts.tags))
    groups.extend((f"tier {plain(name)}", levels) for name, levels in counts.tiers.items())
    groups.extend((f"class {plain(name)}", values) for name, values in counts.classes.items())
    rows = []
    for title, members in groups:
        for name, size in members.items():
            gained = movement.added.get(name, 0) if movement and title == "tags" else 0
            lost = movement.removed.get(name, 0) if movement and title == "tags" else 0
            moved = [f"+{gained:,}"] * bool(gained) + [f"-{lost:,}"] * bool(lost)
            rows.append((plain(name), f"{size:,}", percent(size, whole), terminal.bar(size, whole), " ".join(moved)))
    lines = iter(columns(rows, right=frozenset({1, 2}), indent=2))
    for index, (title, members) in enumerate(groups):
        if index:
            yield ""
        yield terminal.bold(title)
        for _ in members:
            yield next(lines)


def versions(report: Versions, terminal: Terminal) -> Iterator[str]:
    if not report.versions:
        yield f"{plain(report.ruleset)}: nothing is published yet"
    rows = [
        (
            ("*" if version.number == report.current else "") + str(version.number),
            version.as_of.isoformat(),
            _kind(version, version.number in report.line),
            f"{version.counts.customers:,} customers",
            counted(version.movement.rows, "change"),
            moment(version.created_at),
            plain(version.actor),
            plain(version.reason or ""),
        )
        for version in report.versions
    ]
    yield from columns(rows, right=frozenset({0, 3, 4}))
    for run in report.held:
        reasons = "; ".join(map(plain, run.reasons))
        yield f"held: run {run.id}, as of {run.header.as_of}, {moment(run.started_at)}: {reasons}"


def version(report: VersionInFull, terminal: Terminal) -> Iterator[str]:
    found = report.version
    yield terminal.dot.join(
        (
            terminal.bold(plain(report.ruleset)),
            f"version {found.number}" + (" (current)" if report.current else ""),
            f"as of {found.as_of}",
            counted(found.counts.customers, "customer"),
        )
    )
    facts = [
        ("kind", _kind(found, report.in_line)),
        ("made", f"{moment(found.created_at)} by {plain(found.actor)}"),
        ("held", "; ".join(map(plain, found.held))),
        ("begun", f"{moment(found.begun_at)} by {plain(found.begun_by)}" if found.begun_at and found.begun_by else ""),
        ("reason", plain(found.reason or "")),
        ("base", str(found.base or "")),
        ("rules", found.ruleset_hash[:HASH]),
        ("parameters", ", ".join(f"{plain(k)} = {_value(v)}" for k, v in found.parameters.items())),
        ("data", (found.fingerprint or "not known")[:HASH]),
        ("commit", " by ".join(plain(x[:40]) for x in (found.git_commit, found.git_author) if x)),
        ("hash", found.hash[:HASH]),
    ]
    yield from columns([(terminal.faint(name), fact) for name, fact in facts if fact], indent=2)
    yield ""
    yield from sizes(found.counts, terminal, found.movement)
    yield ""
    if results := stored(found.report):
        yield from checks(results, terminal)
        yield ""
    yield movement(found.movement, terminal)


def _value(value: object) -> str:
    return ", ".join(plain(str(each)) for each in value) if isinstance(value, list | tuple) else plain(str(value))


def published(version: Version, terminal: Terminal) -> str:
    facts = (
        f"published version {version.number}",
        f"as of {version.as_of}",
        movement(version.movement, terminal),
    )
    return f"{terminal.yes} {terminal.dot.join(facts)}"


def movement(moved: Movement, terminal: Terminal) -> str:
    parts = [f"{counted(moved.rows, 'change')} of {counted(moved.customers, 'customer')}"]
    parts += [f"{moved.arrived:,} new"] * bool(moved.arrived)
    parts += [f"{moved.vanished:,} gone"] * bool(moved.vanished)
    ladders = [("tier", moved.tiers), ("class", moved.classes)]
    if moved.customers > moved.arrived:  # a newcomer has not moved
        parts += [f"{n:,} moved in {kind} {plain(name)}" for kind, of in ladders for name, n in of.items() if n]
    return terminal.dot.join(parts)


def _kind(version: Version, in_line: bool) -> str:
    words = [version.kind.value]
    if version.kind is VersionKind.ROLLBACK:
        words.append(f"to {version.base}")
    if version.detached:
        words.append("(detached)")
    elif not in_line:
        words.append("(rolled back)")
    return " ".join(words)


def moment(at: datetime) -> str:
    """In UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M}Z"


def given(name: str, given: bool, terminal: Terminal) -> str:
    sign = terminal.paint("+", "green") if given else terminal.paint("-", "red")
    return f'{sign} tag "{plain(name)}"'


def moved(kind: str, name: str, old: str | None, new: str | None, terminal: Terminal) -> str:
    def quoted(value: str | None) -> str:
        return f'"{plain(value)}"' if value is not None else "none"

    return f"{kind} {plain(name)} {quoted(old)} {terminal.arrow} {quoted(new)}"


def difference(report: DiffReport, terminal: Terminal) -> Iterator[str]:
    head = f"{plain(report.ruleset)}: version {report.a} {terminal.arrow} {report.b}"
    yield f"{terminal.bold(head)}{terminal.dot}{movement(report.movement, terminal)}"
    added, removed = report.movement.added, report.movement.removed
    names = [*added, *(name for name in removed if name not in added)]
    tags = [(f'tag "{plain(name)}"', f"+{added.get(name, 0):,}", f"-{removed.get(name, 0):,}") for name in names]
    yield from columns(tags, right=frozenset({1, 2}), indent=2)
    if report.rows:
        yield ""
    rows = [(plain(str(row.customer)), _difference(row, terminal)) for row in report.rows]
    yield from columns(rows, indent=2)
    if (left := report.movement.rows - len(report.rows)) > 0:
        yield f"  and {left:,} more; see them with --limit"


def _difference(row: DiffRow, terminal: Terminal) -> str:
    if row.kind == "tag":
        return given(row.name, row.new is not None, terminal)
    return moved(row.kind, row.name, row.old, row.new, terminal)
