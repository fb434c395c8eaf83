"""Whether a store still holds what was published: the chain of versions, checked from its very bytes.

A store reads its rows and hashes them (`Kept`). What they have to come to is decided here, for stores of every kind.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from ruleengine.checking.ruleset import ruleset_hash
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem
from ruleengine.store import carried, leaves
from ruleengine.store.carried import Made
from ruleengine.store.records import Identity, Key, RunState, VersionKind
from ruleengine.store.refusals import StoreUnusableError
from ruleengine.store.versions import moment_text

COMPUTED_FROM = ("as_of", "ruleset_hash", "timezone", "parameters", "fingerprint", "engine", "git_commit", "git_author")
"""What the header of a run says, and that of its version says again."""
SHOWN = 3
"""So many rows of a version are told one by one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was published."""

    version: int | None
    """That it concerns; None: none alone, but the store, or a file of anchors, as a whole."""
    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit of a whole store came to."""

    changes: int
    """Rows that were hashed; those of forgotten customers, of which only the leaf is left, included."""
    hashes: Mapping[int, str]
    """The hash of each version, by number."""
    findings: tuple[Finding, ...]
    """By version, what concerns no version last; none, if all is well."""

    @property
    def first_bad(self) -> int | None:
        return first_bad(self.findings)


def first_bad(findings: Iterable[Finding]) -> int | None:
    """The first version that is not as it was published."""
    return min((finding.version for finding in findings if finding.version is not None), default=None)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By version, what concerns none last."""
    return tuple(sorted(findings, key=lambda each: (each.version is None, each.version or 0)))


class Entry(NamedTuple):
    """A version as it is kept."""

    number: int
    run: str
    base: int | None
    detached: bool
    as_of: str
    header: str
    previous_hash: str | None
    root: str
    hash: str


class Edited(NamedTuple):
    """A row that is not what its leaf says."""

    customer: Key | None
    kind: str | None
    name: str | None


@dataclass(slots=True)
class Leaves:
    """What the rows of a version come to."""

    rows: int = 0
    nodes: list[str] = field(default_factory=list)
    """The hashes of the nodes just above the leaves, in order."""
    edited: list[Edited] = field(default_factory=list)
    blank: list[int] = field(default_factory=list)
    """The places of rows of which nothing is left but the leaf, counted from 0."""
    unreadable: str | None = None
    """Why they cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a store keeps of its versions."""

    identity: Identity
    entries: Sequence[Entry]
    """By number."""
    leaves: Mapping[int, Leaves]
    runs: Mapping[str, Mapping[str, Any]]
    """By id: the rows of the ledger."""
    carried: Made
    """By run."""
    texts: Mapping[str, Mapping[str, str]]
    """By the hash of their ruleset and by path: the rule files."""
    secret: str | None
    """Of the hashes of who was forgotten."""
    current: int | None
    damaged: Sequence[Finding] = ()
    """Files that are not what was written: what follows from them, such as values, nothing else may tell of."""


Following = Callable[[Sequence[Entry], bool], Iterator[Finding]]
"""What differs from what the changes of these versions come to; whether they are all that there are."""


def audit(kept: Kept, following: Following) -> Audit:
    """Check the chain, and then all that follows from it, as far as it holds."""
    broken = in_order([*_chain(kept), *kept.damaged])
    bad = first_bad(broken)
    sound = [entry for entry in kept.entries if bad is None or entry.number < bad]
    findings = in_order([*broken, *following(sound, not broken)])
    return Audit(
        changes=sum(each.rows for each in kept.leaves.values()),
        hashes={entry.number: entry.hash for entry in kept.entries},
        findings=findings,
    )


def refuse_changed(found: Audit) -> None:
    """Raise where something is not as it was published."""
    if found.findings:
        raise StoreUnusableError(*(finding.problem for finding in found.findings))


def _chain(kept: Kept) -> Iterator[Finding]:
    erased, handed_on = _erased(kept.entries), _handed_on(kept.entries)
    before: Entry | None = None
    hashed: set[str] = set()
    for entry in kept.entries:
        for missing in range(1 + (before.number if before else 0), entry.number):
            yield Finding(missing, codes.audit_version_missing(None, version=missing))
        if _is_whole(entry):
            header = json.loads(entry.header)
            yield from _copies(kept, entry, header)
            yield from _rows(entry, header["leaves"], kept.leaves[entry.number], erased.get(entry.number, {}))
            yield from _carried(kept, entry, handed_on.get(entry.number))
            if header["ruleset_hash"] not in hashed:  # What is wrong with them is told once.
                yield from _texts(kept, entry, header)
                hashed.add(header["ruleset_hash"])
        else:
            yield Finding(entry.number, codes.audit_entry_changed(None, version=entry.number))
        if before and before.number == entry.number - 1 and entry.previous_hash != before.hash and _is_whole(entry):
            yield Finding(before.number, codes.audit_version_rewritten(None, version=before.number, next=entry.number))
        before = entry
    yield from _ends(kept)


def _is_whole(entry: Entry) -> bool:
    texts = (entry.previous_hash or "", entry.root, entry.header, entry.hash)
    return (
        all(isinstance(text, str) for text in texts)
        and leaves.version(entry.previous_hash, entry.root, entry.header) == entry.hash
    )


# -- what stands beside the chain, and says the same ---------------------------------------------------------


def _copies(kept: Kept, entry: Entry, header: Mapping[str, Any]) -> Iterator[Finding]:
    said: dict[str, tuple[object, object]] = {
        f"versions.{name}": (getattr(entry, name), header[name])
        for name in ("number", "run", "base", "detached", "as_of")
    }
    said["meta"] = (asdict(kept.identity), header["identity"])
    run = kept.runs.get(entry.run)
    if run is None:
        yield copy_differs(entry.number, "runs.id")
    else:
        said["runs.state"] = (run["state"], RunState.PUBLISHED)
        said["runs.version"] = (run["version"], entry.number)
        said["runs.kind"] = (run["kind"], header["kind"])
        said["runs.base"] = (run["base"], header["base"])
        said["runs.detached"] = (bool(run["detached"]), header["detached"])
        said |= {f"runs.{name}": (_read(run[name]), header[name]) for name in ("counts", "movement", "report")}
        computed = _read(run["header"])
        said["runs.header"] = (computed, {name: header[name] for name in COMPUTED_FROM if name in header})
        said["runs.finished_at"] = (run["finished_at"], _told_at(header["created_at"]))
        staged = _read(run["staged"])
        found = [staged.get(name) for name in ("number", "leaves", "root")] if isinstance(staged, dict) else staged
        said["runs.staged"] = (found, [entry.number, header["leaves"], entry.root])
        if header.get("carried") is not None:
            said["runs.actor"] = (run["actor"], header["begun_by"])
            said["runs.started_at"] = (run["started_at"], _told_at(header["begun_at"]))
            said["runs.reasons"] = (_read(run["reasons"]), header["held"])
            said["runs.staged.hands"] = (staged.get("hands") if isinstance(staged, dict) else staged, header["hands"])
    if header["kind"] == VersionKind.FORGET:
        secret = None if kept.secret is None else leaves.secret(kept.secret)
        said["meta.forgotten_secret"] = (secret, header["report"]["forgotten"]["secret"])
    for what, (found, published) in said.items():
        if json.dumps(found, sort_keys=True) != json.dumps(published, sort_keys=True):
            yield copy_differs(entry.number, what)


def _told_at(moment: str) -> str:
    """A moment as the rows of runs have it."""
    return moment_text(datetime.fromisoformat(moment))


def _texts(kept: Kept, entry: Entry, header: Mapping[str, Any]) -> Iterator[Finding]:
    """Whether the texts of the rules come to the hash of their ruleset."""
    if header.get("timezone") is None:
        return  # Its format did not keep it, and the hash covers it.
    wanted = header["ruleset_hash"]
    texts = kept.texts.get(wanted, {})
    if ruleset_hash(header["identity"]["ruleset"], header["timezone"], texts) != wanted:
        files = ", ".join(texts) or None
        yield Finding(entry.number, codes.audit_texts_differ(None, version=entry.number, hash=wanted, files=files))


def _read(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (TypeError, ValueError):
        return "not JSON"


def _ends(kept: Kept) -> Iterator[Finding]:
    """Whether the last version is the last one that was published, and the current one the right one."""
    last = kept.entries[-1].number if kept.entries else 0
    for run in kept.runs.values():
        if isinstance(run["version"], int) and run["version"] > last:
            yield Finding(run["version"], codes.audit_version_missing(None, version=run["version"]))
    line = [entry.number for entry in kept.entries if not entry.detached]
    if kept.current != (line[-1] if line else None):
        yield Finding(
            line[-1] if line else None,
            codes.audit_pointer(None, found=kept.current or 0, version=line[-1] if line else 0),
        )


# -- rows ----------------------------------------------------------------------------------------------------


def _erased(entries: Sequence[Entry]) -> Mapping[int, Mapping[int, int]]:
    """By version, the places of the leaves whose rows an erasure took away, and the version that says so."""
    found: dict[int, dict[int, int]] = {}
    for entry in entries:
        report = _read(entry.header).get("report") if _is_whole(entry) else None
        for version, first, count in (report or {}).get("forgotten", {}).get("leaves", ()):
            found.setdefault(version, {}).update(dict.fromkeys(range(first, first + count), entry.number))
    return found


def _handed_on(entries: Sequence[Entry]) -> Mapping[int, Mapping[str, str]]:
    """By version the hashes of what it hands on: those of the last version that speaks of them."""
    found: dict[int, Mapping[str, str]] = {}
    for entry in entries:
        header = _read(entry.header) if _is_whole(entry) else {}
        if header.get("carried") is not None:
            found[entry.number] = header["carried"]
        if header.get("kind") == VersionKind.FORGET:
            found |= {int(number): of for number, of in header["report"]["forgotten"]["carried"].items()}
    return found


def _carried(kept: Kept, entry: Entry, published: Mapping[str, str] | None) -> Iterator[Finding]:
    if published is None:
        return
    staged = _read(kept.runs.get(entry.run, {}).get("staged"))
    nonce = staged.get("nonce") if isinstance(staged, dict) else None
    found = carried.hashes(str(nonce), kept.carried.get(entry.run, {}))
    for part, hash_ in published.items():
        if found.get(part) != hash_:
            yield Finding(entry.number, codes.audit_carried_differs(None, version=entry.number, part=part))


def _rows(entry: Entry, published: int, found: Leaves, erased: Mapping[int, int]) -> Iterator[Finding]:
    if found.unreadable is not None:
        yield Finding(
            entry.number, codes.audit_rows_unreadable(None, version=entry.number, reason=found.unreadable.rstrip("."))
        )
        return
    for customer, kind, name in islice(found.edited, SHOWN):
        problem = codes.audit_row_edited(
            None, version=entry.number, customer=_told(customer), what=f"{kind} {name}", more=_more(found.edited)
        )
        yield Finding(entry.number, problem)
    unlisted = [place for place in found.blank if place not in erased]
    if unlisted:
        yield Finding(entry.number, codes.audit_row_blanked(None, version=entry.number, rows=len(unlisted)))
    for by in sorted({erased[place] for place in erased.keys() - set(found.blank)}):
        yield Finding(entry.number, codes.audit_erasure_unfinished(None, version=entry.number, by=by))
    if leaves.root(found.rows, found.nodes) != entry.root or found.rows != published:
        problem = codes.audit_rows_changed(None, version=entry.number, found=found.rows, published=published)
        yield Finding(entry.number, problem)


def _told(customer: Key | None) -> str:
    return "—" if customer is None else str(customer)


def _more(rows: Sequence[object]) -> int | None:
    return len(rows) - SHOWN if len(rows) > SHOWN else None


# -- what follows from the changes --------------------------------------------------------------------------


def copy_differs(number: int, column: str) -> Finding:
    return Finding(number, codes.audit_copy_differs(None, version=number, column=column))


def forgot(entries: Sequence[Entry]) -> bool:
    """Whether customers were forgotten, whose rows are gone."""
    return any(json.loads(entry.header)["kind"] == VersionKind.FORGET for entry in entries)


def moved(number: int, header: Mapping[str, Any], found: tuple[int, int], forgot: bool) -> Iterator[Finding]:
    """Whether as many customers came and went as the header says; fewer, where some were forgotten."""
    movement = header["movement"]
    said = (movement["arrived"], movement["vanished"])
    fewer = all(one <= other for one, other in zip(found, said, strict=True))
    if header["kind"] != VersionKind.FORGET and found != said and not (forgot and fewer):
        yield copy_differs(number, "arrivals")


def differs(number: int, where: str, customers: Sequence[Any]) -> Iterator[Finding]:
    """Whose rows somewhere are not what the changes come to."""
    for customer in islice(customers, SHOWN):
        problem = codes.audit_answer_differs(
            None, version=number, where=where, customer=str(customer), more=_more(customers)
        )
        yield Finding(number, problem)
