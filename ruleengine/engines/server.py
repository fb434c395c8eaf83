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
from ruleengine.engines.columns import literal
from ruleengine.schema import Profile

SECONDS_FOR_LOCKS = 60
"""So long a statement waits where somebody changes a table, say."""
_DEFAULTS: dict[str, str | int | None] = {
    "connect_timeout": 10,
    "application_name": "ruleengine",
    # A server that is gone without a word is noticed within two minutes, while it is asked and while it is not.
    "keepalives_idle": 60,
    "keepalives_interval": 10,
    "keepalives_count": 6,
    "tcp_user_timeout": 120_000,
}
"""Where the address says nothing of it."""

_SETTINGS = {
    "standard_conforming_strings": "on",
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "extra_float_digits": "1",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "default_transaction_read_only": "off",
    "client_min_messages": "warning",
    "lock_timeout": f"{SECONDS_FOR_LOCKS}s",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    # A client that is gone ends its statement.
    "client_connection_check_interval": "10s",
    # Compiling hundreds of conditions takes longer than evaluating them.
    "jit": "off",
}
"""The role's and the server's own may be anything."""

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
    more = {name: value for name, value in _DEFAULTS.items() if name not in given}
    try:
        connection = psycopg.connect(
            conninfo.make_conninfo(address, **more), autocommit=True, prepare_threshold=None, client_encoding="UTF8"
        )
    except psycopg.Error as error:
        reason = _without_names(str(error))
        raise ProblemError(codes.database_unreachable(profile.span, variable=variable, reason=reason)) from None
    try:
        _refuse_unfit(connection, profile)
    except BaseException:
        connection.close()
        raise
    return connection


_LIMITS = ("lock_timeout", "statement_timeout")
"""What holds from the first statement on: those of the role may be too short even to look around."""


def _refuse_unfit(connection: Connection, profile: Profile) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ProblemError(codes.database_encoding(profile.span, encoding=encoding))
    wanted = settings(profile)
    limits = "; ".join(f"SET {name} = {literal(wanted[name])}" for name in _LIMITS if name in wanted)
    asked = "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY')"
    try:
        connection.execute(limits.encode())
        may = connection.execute(asked).fetchone()
    except psycopg.Error as error:
        raise ProblemError(failed(error, profile)) from error
    if may != (True,):
        raise ProblemError(codes.database_without_temporary(profile.span))


def settings(profile: Profile) -> dict[str, str]:
    """What has to hold on a connection, whatever its role's settings say."""
    if profile.timeout is None:
        return _SETTINGS
    return {**_SETTINGS, "statement_timeout": f"{profile.timeout}s"}


def setting(values: Mapping[str, str], *, local: bool) -> str:
    """SQL that makes settings hold: until the end of the transaction, or of the connection."""
    calls = (f"pg_catalog.set_config({literal(name)}, {literal(value)}, {local})" for name, value in values.items())
    return f"SELECT {', '.join(calls)}"


def release(connection: Connection) -> str:
    """The release of the server: `18.6`."""
    return (connection.info.parameter_status("server_version") or "").split()[0]


_ENDED = ("08", "57P", "25P03", "25P04")
"""SQLSTATEs after which there is no connection any more."""


def failed(error: psycopg.Error, profile: Profile) -> Problem:
    """What to say of a statement that the server did not finish."""
    if isinstance(error, errors.LockNotAvailable):
        return codes.database_locked(profile.span, seconds=SECONDS_FOR_LOCKS)
    if isinstance(error, errors.QueryCanceled):
        return codes.database_timeout(profile.span, reason=reason_of(error))
    if error.sqlstate is None or error.sqlstate.startswith(_ENDED):
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
