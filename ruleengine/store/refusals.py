"""What a store refuses to do, as exceptions that verbs tell apart by type; the words are those of the problem."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.store import sqlite
from ruleengine.store.records import Identity, Run, Version, VersionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who is writing."""

    actor: str
    pid: int
    host: str
    started: str
    """UTC, ISO 8601."""


class StoreLockedError(ProblemError):
    """Another process writes to the store."""

    def __init__(self, holder: Holder | None) -> None:
        super().__init__(
            codes.store_locked(None, actor=holder.actor, pid=holder.pid, host=holder.host, started=holder.started)
            if holder
            else codes.store_locked_unknown(None)
        )
        self.holder = holder


class StoreUnusableError(ProblemError):
    """A full disk, missing rights, a newer format, or files that are not there."""


class DamagedError(StoreUnusableError):
    """A file of the store that is gone, or is not what was written."""


class WrongStoreError(ProblemError):
    """The store keeps another ruleset's answers."""


class NotThereError(ProblemError):
    """No such version or run."""


class NotKeptError(ProblemError):
    """The version is known, but its rows are gone."""


class RefusedError(ProblemError):
    """Something that cannot be done with this run or version."""


def unusable(reason: object) -> StoreUnusableError:
    return StoreUnusableError(codes.store_unusable(None, reason=str(reason).rstrip(".") or type(reason).__name__))


def of_sqlite(error: Exception, file: str) -> StoreUnusableError:
    """What SQLite says of a file."""
    return changed(file) if sqlite.is_damage(error) else unusable(error)


def changed(file: str, version: int | None = None) -> DamagedError:
    return DamagedError(codes.store_file_changed(None, file=file, version=version))


def missing(file: str, version: int | None = None) -> DamagedError:
    return DamagedError(codes.store_file_missing(None, file=file, version=version))


def outdated(file: str, note: str, version: int | None = None) -> DamagedError:
    return DamagedError(codes.store_file_outdated(None, file=file, note=note, version=version))


def no_version() -> NotThereError:
    return NotThereError(codes.store_empty(None))


def unknown_version(number: int, latest: int | None) -> NotThereError:
    return NotThereError(codes.version_unknown(None, version=number, latest=latest))


def unknown_customer(customer: object, version: int) -> NotThereError:
    return NotThereError(codes.customer_unknown(None, customer=str(customer), version=version))


def not_kept(number: int) -> NotKeptError:
    return NotKeptError(codes.version_not_kept(None, version=number))


def not_empty(place: str) -> RefusedError:
    return RefusedError(codes.store_not_empty(None, place=place))


def need_actor(actor: str) -> None:
    if not actor.strip():
        raise RefusedError(codes.actor_missing(None))


def refuse_another(found: Identity, wanted: Identity) -> None:
    """Raise where a store keeps the answers of another ruleset, entity or key type."""
    for what, one, other in (
        ("ruleset", found.ruleset, wanted.ruleset),
        ("entity", found.entity, wanted.entity),
        ("key type", found.key_type, wanted.key_type),
    ):
        if one != other:
            raise WrongStoreError(codes.store_of_another(None, what=what, found=one, wanted=other))


def refuse_superseded(run: Run, current: Version | None, in_force: Callable[[date], int | None]) -> None:
    """Raise where a run was compared with another version than the one that holds; `in_force` tells that of a day."""
    if run.kind is VersionKind.ROLLBACK:
        return
    holds = current.number if current else None
    if run.detached:
        holds = in_force(run.header.as_of)
    if run.base != holds:
        if run.base is None:
            raise RefusedError(codes.run_compared_with_nothing(None, run=run.id))
        raise RefusedError(codes.run_superseded(None, run=run.id, base=run.base))


def refuse_rollback(target: Version, current: Version) -> None:
    """Raise where a version cannot be brought back."""
    if target.detached:
        raise RefusedError(codes.version_detached(None, version=target.number, as_of=target.as_of.isoformat()))
    if target.number == current.number:
        raise RefusedError(codes.version_current(None, version=target.number))
