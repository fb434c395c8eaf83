"""Whether a store still holds what was published, and what is kept elsewhere to tell that by."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ruleengine.store.auditing import Audit, Finding, first_bad, in_order
from ruleengine.store.refusals import no_version
from ruleengine.verbs import anchors, published
from ruleengine.verbs.anchors import Lines, Signatures


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What an audit came to."""

    ruleset: str
    good: bool
    versions: int
    changes: int
    """Rows that were hashed again."""
    hash: str | None
    """Of the last version: whoever has kept it can tell that nothing before was changed."""
    anchors: int | None
    """So many were compared; None where no file was named."""
    signatures: Signatures | None
    """Of the anchors: `unchecked` where no public key was named."""
    first_bad: int | None
    """The first version that is not as it was published."""
    findings: tuple[Finding, ...]
    """By version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """The line that was written."""

    ruleset: str
    file: str
    version: int
    hash: str
    time: str
    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeKey:
    """The files of a pair of keys."""

    private: str
    public: str


def verify(path: Path, profile: str, file: Path | None = None, public_key: Path | None = None) -> Verified:
    """Recompute everything that was published from what is kept, and compare it with anchors; ProblemError where the
    store or a file cannot be read."""
    key = None if public_key is None else anchors.public_key(public_key)
    lines = None if file is None else Lines.of(file)
    with published.opened(path, profile) as (manifest, store):
        return _verified(manifest.name, store.audit(), lines, key)


def anchor(path: Path, profile: str, file: Path, private_key: Path | None) -> Anchored | Verified:
    """Write down the last version's hash, where all is as it was published and as the file says already; otherwise
    answers what is not. NotThereError where nothing is published."""
    key = None if private_key is None else anchors.private_key(private_key)
    lines = Lines.of(file) if file.exists() else None
    with published.opened(path, profile) as (manifest, store):
        audit = store.audit()
    if not audit.hashes:
        raise no_version()
    report = _verified(manifest.name, audit, lines, None if key is None else key.public_key())
    if not report.good:
        return report
    made = anchors.append(file, manifest.name, *_last(audit), key)
    return Anchored(
        ruleset=manifest.name,
        file=str(file),
        version=made.version,
        hash=made.hash,
        time=made.time,
        signed=made.signature is not None,
    )


def _verified(ruleset: str, audit: Audit, lines: Lines | None, key: Ed25519PublicKey | None) -> Verified:
    findings = audit.findings
    if lines is not None:
        findings = in_order([*findings, *lines.findings(ruleset, audit.hashes, key)])
    return Verified(
        ruleset=ruleset,
        good=not findings,
        versions=len(audit.hashes),
        changes=audit.changes,
        hash=_last(audit)[1] if audit.hashes else None,
        anchors=None if lines is None else len(lines.texts),
        signatures=None if lines is None else lines.signatures(key),
        first_bad=first_bad(findings),
        findings=findings,
    )


def make_key(file: Path) -> MadeKey:
    """A key to sign anchors with, and one to check them."""
    return MadeKey(private=str(file), public=str(anchors.make_key(file)))


def _last(audit: Audit) -> tuple[int, str]:
    number = max(audit.hashes)
    return number, audit.hashes[number]
