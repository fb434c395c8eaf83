"""Whether a column holds a value twice, told as cheaply as its order allows."""

import duckdb

FIRST_LOOK = 10_000
"""So many values show whether it is worth looking if all of them ascend."""


def is_unique(connection: duckdb.DuckDBPyConnection, values: str) -> bool:
    """Whether no two rows of a relation have the same `value`, none of which is missing."""
    return _ascends(connection, values) or not _repeats(connection, values)


def _ascends(connection: duckdb.DuckDBPyConnection, values: str) -> bool:
    """Whether each value is larger than the one before, as keys are that were given out in turn.

    Any order in which the rows come will do, as long as it is one: two rows that are first were two orders.
    """
    for some in (f"(SELECT * FROM {values} LIMIT {FIRST_LOOK})", values):
        before = f"(SELECT value, lag(value) OVER () AS before FROM {some})"
        found = connection.execute(
            f"SELECT count(*) FILTER (WHERE before IS NULL), count(*) FILTER (WHERE before >= value) FROM {before}"
        ).fetchone()
        assert found is not None
        firsts, descents = found
        if firsts > 1 or descents:
            return False
    return True


def _repeats(connection: duckdb.DuckDBPyConnection, values: str) -> bool:
    """Whether two values are the same. Sorting their hashes takes a third of what grouping the values does."""
    hashes = f"(SELECT hash(value) AS hashed FROM {values})"
    before = f"(SELECT hashed, lag(hashed) OVER (ORDER BY hashed) AS before FROM {hashes})"
    same = connection.execute(f"SELECT 1 FROM {before} WHERE hashed = before LIMIT 1").fetchone()
    if same is None:
        return False
    repeated = connection.execute(f"SELECT 1 FROM {values} GROUP BY value HAVING count(*) > 1 LIMIT 1").fetchone()
    return repeated is not None
