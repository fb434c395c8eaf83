"""Headers of versions and runs, as JSON in the ledger and as records."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from ruleengine.store import canonical, leaves
from ruleengine.store.records import (
    Counts,
    Identity,
    Json,
    Movement,
    Run,
    RunHeader,
    RunState,
    Version,
    VersionKind,
)

FORMAT = 3
"""Of the store: tables, files and hashes."""
LANGUAGE = 1
"""Of the rules whose answers are kept."""


Hand = tuple[str, ...]
"""A tag or tier that people may set: the kind, the name, and other names under which it may have been set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedFiles:
    """What the ledger knows of a staged run's files."""

    number: int
    """The version's number that its leaves were made for."""
    leaves: int
    root: str
    words: int = 0
    """With `ladders` the shape of the files; a store without files has none."""
    ladders: int = 0
    memory: int = 0
    """Rows of its memory file; without any there is no such file."""
    overlay: int = 0
    """Rows of a rollback's overlay file, likewise."""
    hands: tuple[Hand, ...] = ()
    nonce: str | None = None
    """Of the hashes below, which tell nothing without it."""
    carried: Mapping[str, str] | None = None
    """The hash of each part of what the version hands on to the next run: see `leaves`. None of older formats."""


def staged_text(files: StagedFiles) -> str:
    return canonical.dump(asdict(files))


def staged(text: str) -> StagedFiles:
    fields = json.loads(text)
    return StagedFiles(**{**fields, "hands": tuple(tuple(each) for each in fields.get("hands", ()))})


def run_header_text(header: RunHeader) -> str:
    fields = {name: getattr(header, name) for name in RunHeader.__slots__ if name != "texts"}
    return canonical.dump(fields)


def _run_header(text: str) -> RunHeader:
    fields = json.loads(text)
    return RunHeader(**{"timezone": None, **fields, "as_of": date.fromisoformat(fields["as_of"]), "texts": {}})


def repeats(version: Version, header: RunHeader) -> bool:
    """Whether a run of this header would only make the version again."""
    return (
        header.fingerprint is not None
        and header.fingerprint == version.fingerprint
        and header.ruleset_hash == version.ruleset_hash
        and header.as_of == version.as_of
        and canonical.dump(header.parameters) == canonical.dump(version.parameters)
    )


def version_header_text(
    *,
    run: Run,
    staged: StagedFiles,
    replaces: int | None,
    counts: Counts,
    movement: Movement,
    report: Json,
    reason: str | None,
    actor: str,
    created_at: datetime,
    identity: Identity,
) -> str:
    """The header that the version's hash covers."""
    header = run.header
    return canonical.dump(
        {
            "number": staged.number,
            "kind": run.kind,
            "base": run.base,
            "detached": run.detached,
            "replaces": replaces,
            "run": run.id,
            "begun_by": run.actor,
            "begun_at": run.started_at,
            "held": run.reasons,
            "as_of": header.as_of,
            "ruleset_hash": header.ruleset_hash,
            "timezone": header.timezone,
            "parameters": header.parameters,
            "fingerprint": header.fingerprint,
            "engine": header.engine,
            "git_commit": header.git_commit,
            "git_author": header.git_author,
            "counts": asdict(counts),
            "movement": asdict(movement),
            "report": report,
            "actor": actor,
            "reason": reason,
            "created_at": created_at,
            "leaves": staged.leaves,
            "carried": staged.carried,
            "hands": staged.hands,
            "identity": asdict(identity),
            "format": FORMAT,
            "language": LANGUAGE,
        }
    )


def sealed(header: str, previous_hash: str | None, root: str) -> Version:
    """The version of a header, with its own hash."""
    return version(header, previous_hash, root, leaves.version(previous_hash, root, header))


_SINCE_FORMAT_3 = {"begun_by": None, "begun_at": None, "held": (), "timezone": None, "carried": None, "hands": None}
"""What headers of older formats lack."""


def version(header: str, previous_hash: str | None, root: str, hash_: str) -> Version:
    fields: dict[str, Any] = json.loads(header)
    fields = {**_SINCE_FORMAT_3, **fields}
    for name in ("leaves", "carried", "hands", "identity", "format", "language"):
        del fields[name]
    fields["begun_at"] = moment(fields["begun_at"])
    fields["held"] = tuple(fields["held"])
    fields["kind"] = VersionKind(fields["kind"])
    fields["as_of"] = date.fromisoformat(fields["as_of"])
    fields["created_at"] = datetime.fromisoformat(fields["created_at"])
    fields["counts"] = Counts(**fields["counts"])
    fields["movement"] = Movement(**fields["movement"])
    return Version(**fields, previous_hash=previous_hash, root=root, hash=hash_)


def run(row: Mapping[str, Any]) -> Run:
    """A run as the ledger's row has it."""
    return Run(
        id=row["id"],
        kind=VersionKind(row["kind"]),
        state=RunState(row["state"]),
        actor=row["actor"],
        started_at=datetime.fromisoformat(row["started_at"]),
        finished_at=moment(row["finished_at"]),
        header=_run_header(row["header"]),
        base=row["base"],
        detached=bool(row["detached"]),
        counts=Counts(**json.loads(row["counts"])) if row["counts"] else None,
        movement=Movement(**json.loads(row["movement"])) if row["movement"] else None,
        report=json.loads(row["report"]) if row["report"] else None,
        version=row["version"],
        reasons=tuple(json.loads(row["reasons"])),
    )


def moment(text: str | None) -> datetime | None:
    """The moment of a text."""
    return None if text is None else datetime.fromisoformat(text)


def moment_text(moment: datetime) -> str:
    """A moment as the ledger has it: texts of moments lie in their order."""
    return moment.isoformat(timespec="milliseconds")
