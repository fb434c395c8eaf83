"""A Postgres server: connecting to it, and what it says where something fails.

Nothing of the address is ever shown: it may hold a password, and who asks may not know it.
"""

import os
import re
from collections.abc import Mapping

import psycopg
from psycopg import conninfo, errors

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.schema import Profile

SECONDS_TO_CONNECT = 10
SECONDS_FOR_LOCKS = 60
"""So long a statement waits where somebody changes a table, say."""

Connection = psycopg.Connection[tuple[object, ...]]


def connected(profile: Profile, environment: Mapping[str, str] = os.environ) -> Connection:
    """A connection that commits each statement by itself; ProblemError where there is none to be had."""
    assert profile.dsn is not None, f"profile {profile.name} has no dsn"
    variable = profile.dsn.removeprefix("${").removesuffix("}")
    address = environment.get(variable)
    if not address:
        raise ProblemError(codes.dsn_not_set(profile.span, profile=profile.name, variable=variable))
    try:
        given = conninfo.conninfo_to_dict(address)
    except psycopg.ProgrammingError:  # whose message quotes the address
        raise ProblemError(codes.dsn_unreadable(profile.span, variable=variable)) from None
    defaults = {"connect_timeout": SECONDS_TO_CONNECT, "application_name": "ruleengine"}
    more = {name: value for name, value in defaults.items() if name not in given}
    try:
        connection = psycopg.connect(
            address,
            autocommit=True,
            prepare_threshold=None,
            client_encoding="UTF8",
            **more,  # type: ignore[arg-type]
        )
    except psycopg.Error as error:
        reason = _without_names(str(error))
        raise ProblemError(codes.database_unreachable(profile.span, variable=variable, reason=reason)) from None
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        connection.close()
        raise ProblemError(codes.database_encoding(profile.span, encoding=encoding))
    if connection.execute("SELECT has_database_privilege(current_database(), 'TEMPORARY')").fetchone() != (True,):
        connection.close()
        raise ProblemError(codes.database_without_temporary(profile.span))
    return connection


def release(connection: Connection) -> str:
    """The release of the server: `18.6`."""
    return (connection.info.parameter_status("server_version") or "").split()[0]


def failed(error: psycopg.Error, profile: Profile) -> Problem:
    """What to say of a statement that the server did not finish."""
    if isinstance(error, errors.LockNotAvailable):
        return codes.database_locked(profile.span, seconds=SECONDS_FOR_LOCKS)
    if isinstance(error, errors.QueryCanceled):
        return codes.database_timeout(profile.span, reason=reason_of(error))
    if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
        return codes.database_lost(profile.span, reason=reason_of(error))
    return codes.database_failed(profile.span, reason=reason_of(error))


def reason_of(error: psycopg.Error) -> str:
    """What the server says, as a sentence."""
    text = error.diag.message_primary or _without_names(str(error))
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _without_names(message: str) -> str:
    """Why a connection failed, in the words of libpq, without where to and as whom."""
    lines = message.strip().splitlines()
    last = re.split(r"failed: |FATAL: |ERROR: ", lines[0] if lines else "")[-1]
    return re.sub(r"([\"\'])[^\"\']*\1", "…", last).strip().rstrip(".") + "."
