"""The schema that a store lies in: made, brought up to date, and who may do what with it."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ruleengine import schema
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError
from ruleengine.schema import Profile
from ruleengine.verbs import opening, published


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    schema: str
    format: int
    """The number of the last migration."""
    applied: tuple[int, ...]
    """The migrations that were applied just now; none where it was up to date."""


def upgrade(path: Path, profile: str) -> Upgrade:
    """Make the schema of a profile's store for the ruleset, or bring it up to date."""
    from ruleengine.store.postgres import session

    opened = opening.opened(path)
    found = _in_database(opened.manifest.profile(profile))
    connected = session.opened(found)
    with closing(connected.connection):
        applied = session.upgrade(connected, published.identity_for(opened.ruleset))
    assert found.schema is not None
    return Upgrade(schema=found.schema, format=session.migrations()[-1][0], applied=applied)


def roles(path: Path, profile: str) -> str:
    """The SQL that makes the roles for a profile's store."""
    from ruleengine.store.postgres import session

    return session.roles(_in_database(schema.load(path).profile(profile)))


def _in_database(profile: Profile) -> Profile:
    if profile.schema is None:
        raise ProblemError(codes.store_not_in_database(profile.span, profile=profile.name))
    return profile
