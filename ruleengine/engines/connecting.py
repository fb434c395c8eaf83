"""DuckDB in memory, with what it needs built in: nothing is fetched, and nothing of others' is loaded."""

import duckdb

_SETTINGS: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
}


def connected(**settings: str) -> duckdb.DuckDBPyConnection:
    """A database of its own, which ends with the connection."""
    return duckdb.connect(":memory:", config={**_SETTINGS, **settings})
