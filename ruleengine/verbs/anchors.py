"""Anchors: what is written elsewhere of a version, so that nobody can rewrite the store without being noticed.

A file of anchors has a JSON text on each line. `previous` is the SHA-256 of the line before (its bytes without the line
break), so that lines cannot be taken out or change places. `signature` is Ed25519's, over the line's other fields as
canonical JSON: sorted, without spaces, in UTF-8.
"""

import base64
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ruleengine.diagnostics import codes
from ruleengine.store import canonical
from ruleengine.store.auditing import Finding
from ruleengine.verbs.outcome import NotUsableError

PUBLIC = ".pub"
Signatures = Literal["valid", "bad", "none", "unchecked"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A line of a file of anchors."""

    ruleset: str
    version: int
    hash: str
    """Of the version."""
    time: str
    """UTC, ISO 8601."""
    previous: str | None
    """SHA-256 (hex) of the line before; None on the first one."""
    signature: str | None
    """In base64."""

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        fields = asdict(self)
        del fields["signature"]
        return canonical.dump(fields).encode()


# -- writing ---------------------------------------------------------------------------------------------------


def append(file: Path, ruleset: str, version: int, hash_: str, key: Ed25519PrivateKey | None) -> Anchor:
    """Add a line to a file, which need not be there, and have it on the disk."""
    with open(file, "a+b") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        opened.seek(0)
        lines = opened.read().splitlines()
        anchor = Anchor(
            ruleset=ruleset,
            version=version,
            hash=hash_,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            previous=_hash(lines[-1]) if lines else None,
            signature=None,
        )
        fields = asdict(anchor)
        if key is not None:
            fields["signature"] = base64.b64encode(key.sign(anchor.signed)).decode()
        opened.write(canonical.dump(fields).encode() + b"\n")
        opened.flush()
        os.fsync(opened.fileno())
    return Anchor(**fields)


def _hash(line: bytes) -> str:
    return sha256(line).hexdigest()


# -- comparing -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Lines:
    """A file of anchors, as it was found."""

    file: Path
    texts: tuple[bytes, ...]

    @staticmethod
    def of(file: Path) -> "Lines":
        """NotUsableError where it cannot be read."""
        try:
            return Lines(file, tuple(file.read_bytes().splitlines()))
        except OSError as error:
            raise _unreadable(file, error.strerror or str(error)) from error

    def signatures(self, key: Ed25519PublicKey | None) -> Signatures:
        found = [anchor for line in self.texts if (anchor := _read(line)) is not None]
        if key is None:
            return "unchecked" if any(anchor.signature is not None for anchor in found) else "none"
        return "valid" if all(_is_signed(anchor, key) for anchor in found) else "bad"

    def findings(self, ruleset: str, hashes: Mapping[int, str], key: Ed25519PublicKey | None) -> Iterator[Finding]:
        """What of the file is not as it was written, and which versions, given by their hashes, are not what it
        says. With a key, every line has to be signed with it."""
        last = max(hashes, default=0)
        before: bytes | None = None
        told: set[int] = set()
        for number, line in enumerate(self.texts, 1):
            anchor = _read(line)
            if anchor is None or anchor.previous != (None if before is None else _hash(before)):
                yield Finding(None, codes.audit_anchor_line(None, file=str(self.file), line=number))
            before = line
            if anchor is None:
                continue
            version, time = anchor.version, anchor.time
            if key is not None and not _is_signed(anchor, key):
                yield Finding(None, codes.audit_anchor_signature(None, file=str(self.file), line=number))
            elif anchor.ruleset != ruleset:
                problem = codes.audit_anchor_of_another(
                    None, file=str(self.file), line=number, found=anchor.ruleset, ruleset=ruleset
                )
                yield Finding(None, problem)
            elif version not in told and hashes.get(version) != anchor.hash:
                told.add(version)
                if version > last:
                    yield Finding(last + 1, codes.audit_anchor_beyond(None, version=version, time=time, last=last))
                else:
                    yield Finding(version, codes.audit_anchor_differs(None, version=version, time=time))


def _read(line: bytes) -> Anchor | None:
    try:
        fields: Mapping[str, Any] = json.loads(line)
        anchor = Anchor(**fields)
    except (ValueError, TypeError, RecursionError):
        return None
    texts = (anchor.ruleset, anchor.hash, anchor.time, anchor.previous or "", anchor.signature or "")
    is_one = type(anchor.version) is int and all(isinstance(text, str) for text in texts)
    # Only as it was written: what JSON takes for the same is not the same line.
    return anchor if is_one and canonical.dump(asdict(anchor)).encode() == line else None


def _is_signed(anchor: Anchor, key: Ed25519PublicKey) -> bool:
    try:
        key.verify(base64.b64decode(anchor.signature or "", validate=True), anchor.signed)
    except (InvalidSignature, ValueError):
        return False
    return True


# -- keys ------------------------------------------------------------------------------------------------------


def make_key(file: Path) -> Path:
    """Write a new private key, which only its owner can read, and beside it the public one; answers where that is."""
    key = Ed25519PrivateKey.generate()
    public = file.with_name(file.name + PUBLIC)
    private_text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_text = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for path, text, mode in ((file, private_text, 0o600), (public, public_text, 0o644)):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
            opened.write(text)
    return public


def private_key(file: Path) -> Ed25519PrivateKey:
    """A key that `make_key` wrote; NotUsableError of any other file."""
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error)) from error
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise _unreadable(file, "it holds no private key as `audit key` makes it")
    return key


def public_key(file: Path) -> Ed25519PublicKey:
    """Its other half; likewise."""
    try:
        key = serialization.load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error)) from error
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise _unreadable(file, "it holds no public key as `audit key` makes it")
    return key


def _unreadable(file: Path, reason: str) -> NotUsableError:
    return NotUsableError(codes.file_unreadable(None, path=str(file), reason=reason))
