"""The engine that a profile asks for. Each is imported where it is needed: DuckDB and psycopg take their time."""

from collections.abc import Sequence
from pathlib import Path

from ruleengine.checking.ruleset import Ruleset
from ruleengine.engines.engine import Engine
from ruleengine.engines.forgotten import NOBODY, Forgotten
from ruleengine.schema import Profile


def opened(ruleset: Ruleset, profile: Profile, writable: Sequence[Path] = (), forgotten: Forgotten = NOBODY) -> Engine:
    """The engine of a profile, its sources bound and checked.

    `writable` are the folders into which results may be written; who was `forgotten` is left out. Raises ProblemError
    with every problem of the data.
    """
    if profile.engine == "postgres":
        from ruleengine.engines.postgres import Postgres

        return Postgres(ruleset, profile, writable, forgotten)
    from ruleengine.engines.duckdb import DuckDB

    return DuckDB(ruleset, profile, writable, forgotten)


def release(profile: Profile) -> str:
    """What would compute, with its release: `duckdb 2.0.1`. Raises ProblemError where a server cannot be asked."""
    if profile.engine == "postgres":
        from ruleengine.engines import server

        with server.connected(profile) as connection:
            return f"postgres {server.release(connection)}"
    import duckdb

    return f"duckdb {duckdb.__version__}"
