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
    return RunHeader(**{**fields, "as_of": date.fromisoformat(fields["as_of"]), "texts": {}})


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
    number: int,
    run: Run,
    replaces: int | None,
    counts: Counts,
    movement: Movement,
    report: Json,
    reason: str | None,
    actor: str,
    created_at: datetime,
    identity: Identity,
    leaf_count: int,
) -> str:
    """The header that the version's hash covers."""
    header = run.header
    return canonical.dump(
        {
            "number": number,
            "kind": run.kind,
            "base": run.base,
            "detached": run.detached,
            "replaces": replaces,
            "run": run.id,
            "as_of": header.as_of,
            "ruleset_hash": header.ruleset_hash,
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
            "leaves": leaf_count,
            "identity": asdict(identity),
            "format": FORMAT,
            "language": LANGUAGE,
        }
    )


def sealed(header: str, previous_hash: str | None, root: str) -> Version:
    """The version of a header, with its own hash."""
    return version(header, previous_hash, root, leaves.version(previous_hash, root, header))


def version(header: str, previous_hash: str | None, root: str, hash_: str) -> Version:
    fields: dict[str, Any] = json.loads(header)
    for name in ("leaves", "identity", "format", "language"):
        del fields[name]
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
        finished_at=datetime.fromisoformat(row["finished_at"]) if row["finished_at"] else None,
        header=_run_header(row["header"]),
        base=row["base"],
        detached=bool(row["detached"]),
        counts=Counts(**json.loads(row["counts"])) if row["counts"] else None,
        movement=Movement(**json.loads(row["movement"])) if row["movement"] else None,
        report=json.loads(row["report"]) if row["report"] else None,
        version=row["version"],
        reasons=tuple(json.loads(row["reasons"])),
    )
