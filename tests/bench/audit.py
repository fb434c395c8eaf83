"""What `audit verify` takes: every change hashed again, and all that follows from them derived a second time."""

from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from ruleengine.store import open_store
from ruleengine.store.auditing import Audit
from tests.bench.data import scale
from tests.bench.measuring import Taken, take
from tests.store.tables import IDENTITY, RULES, header

CUSTOMERS = 310_000
AIM = "aim: 15 seconds for a million changes"


def main() -> tuple[int, Taken]:
    """How many changes a store has, and what it took to verify it."""
    with TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "store")
        connection = duckdb.connect()
        customers = f"range({int(CUSTOMERS * scale())}) t(i)"
        connection.execute(
            f"CREATE TABLE result_values AS SELECT i AS customer, (i % 1000)::DECIMAL(18, 4) AS v0, i % 7 AS v1, "
            f"'city ' || (i % 50) AS v2, DATE '2020-02-29' AS v3 FROM {customers}"
        )
        connection.execute(
            f"CREATE TABLE result_assignments AS SELECT i AS customer, (i % 8)::BIGINT AS w0, "
            f"(i % 4)::SMALLINT AS l0, (1 + i % 3)::SMALLINT AS l1 FROM {customers}"
        )
        with store.writer("bench", IDENTITY) as writer:
            writer.publish(writer.stage(writer.begin(header("2026-01-01")), connection, RULES.layout))
        found: list[Audit] = []
        taken = take(lambda: found.append(store.audit()))
        (audit,) = found
        assert not audit.findings
        return audit.changes, taken


if __name__ == "__main__":
    changes, taken = main()
    print(f"{changes:,} changes verified in {taken.clock:.1f} s by clock, {taken.processors:.1f} s by CPU; {AIM}")
