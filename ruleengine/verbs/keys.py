"""Keys by which applications ask the API: given, listed, taken away."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import get_args

from ruleengine import settings
from ruleengine.diagnostics import codes
from ruleengine.settings import Scope
from ruleengine.store.records import ApiKey
from ruleengine.store.refusals import RefusedError
from ruleengine.verbs import published

SCOPES: tuple[Scope, ...] = get_args(Scope)
BYTES = 32
PREFIX = "rek_"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyInfo:
    """A key, without anything that helps to guess it."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    actor: str
    """Who gave it."""
    created_at: datetime
    expires_on: date | None
    """The first day on which it does not count any more, in the ruleset's timezone."""
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedKey:
    key: KeyInfo
    secret: str
    """Told this once; only its digest is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyList:
    ruleset: str
    keys: tuple[KeyInfo, ...]
    """Oldest first, those that do not count any more among them."""


def create(
    path: Path, profile: str, name: str, scopes: Sequence[Scope], *, expires: date | None, actor: str | None = None
) -> CreatedKey:
    """A new key with these scopes; ProblemError where it would never count."""
    who = settings.actor(actor)
    settings.actor(name)  # which is what changes made with it are recorded under
    with published.opened(path, profile) as (manifest, store):
        today = datetime.now(manifest.zone).date()
        if expires is not None and expires <= today:
            raise RefusedError(codes.key_expires_too_early(None, expires=str(expires), today=str(today)))
        secret = PREFIX + secrets.token_urlsafe(BYTES)
        key = ApiKey(
            id=secrets.token_hex(4),
            digest=digest(secret),
            name=name.strip(),
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            actor=who,
            created_at=datetime.now(UTC).replace(microsecond=0),
            expires_on=expires,
            revoked_at=None,
        )
        store.add_key(key)
    return CreatedKey(key=_info(key), secret=secret)


def listed(path: Path, profile: str) -> KeyList:
    with published.opened(path, profile) as (manifest, store):
        return KeyList(ruleset=manifest.name, keys=tuple(map(_info, store.keys())))


def revoke(path: Path, profile: str, key_id: str) -> KeyInfo:
    """Take a key away, at once and for good; ProblemError where there is none of that id."""
    with published.opened(path, profile) as (_, store):
        return _info(store.revoke_key(key_id, datetime.now(UTC).replace(microsecond=0)))


def digest(secret: str) -> str:
    """What is kept of a secret. It has 256 random bits, so that one plain hash is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _info(key: ApiKey) -> KeyInfo:
    return KeyInfo(
        id=key.id,
        name=key.name,
        scopes=key.scopes,
        actor=key.actor,
        created_at=key.created_at,
        expires_on=key.expires_on,
        revoked_at=key.revoked_at,
    )
