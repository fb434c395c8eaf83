"""The changes of a run: who was given or lost what, by which rule, and what that rule read."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb

from ruleengine.engines.columns import literal
from ruleengine.planning.layout import Layout, ValueColumn
from ruleengine.store import leaves
from ruleengine.store.canonical import object_sql
from ruleengine.store.names import Names
from ruleengine.store.relations import ROW_GROUP

COLUMNS = leaves.ROW_FIELDS


class Evidence:
    """Which rule decides a name, and the values it reads."""

    def __init__(self, layout: Layout | None, names: Names) -> None:
        self.rule_hashes: dict[int, str] = {}
        self.reads: dict[int, str] = {}
        """By a name's id, the number of the set of values that its rule reads."""
        self._columns: Mapping[str, ValueColumn] = {}
        self._sets: dict[tuple[str, ...], int] = {}
        if layout is None:
            return
        self._columns = {column.column: column for column in layout.values}
        slots = [("tag", tag.name, tag.reads, tag.rule_hash) for tag in layout.tags]
        slots += [(each.kind, each.name, each.reads, each.rule_hash) for each in layout.ladders]
        for kind, name, reads, rule_hash in slots:
            found = names.find(kind, name)
            assert found is not None
            self.rule_hashes[found.id] = literal(rule_hash)
            self.reads[found.id] = str(self._sets.setdefault(tuple(sorted(set(reads))), len(self._sets)))

    @property
    def extra(self) -> list[tuple[str, dict[int, str]]]:
        """Columns of `store_names`."""
        return [("rule_hash", self.rule_hashes), ("reads", self.reads)]

    def expression(self, object_sql: Callable[[Sequence[ValueColumn], str], str] = object_sql) -> str:
        """Canonical JSON of what the rule read, over `n` (store_names) and `v` (result_values)."""
        cases = [
            f"WHEN {number} THEN {object_sql([self._columns[name] for name in reads], 'v')}"
            for reads, number in self._sets.items()
        ]
        if not cases:
            return "NULL::VARCHAR"
        return f"CASE WHEN v.customer IS NOT NULL THEN CASE n.reads {' '.join(cases)} END END"


def of_run(evidence: Evidence, as_of: str) -> str:
    """The changes in `store_moves`, decided by the rules of a run; `store_prior` says what was held before: see
    `dating`."""
    return (
        f"SELECT m.customer, n.kind, n.name, o.text AS old, w.text AS new, "
        f"CASE WHEN m.new <> 0 THEN coalesce(p.since, {as_of}) END AS since, "
        f"CASE WHEN v.customer IS NOT NULL THEN n.rule_hash::VARCHAR END AS rule_hash, "
        f"{evidence.expression()} AS evidence, n.ord "
        f"{_TEXTS} LEFT JOIN result_values v ON v.customer = m.customer "
        f"LEFT JOIN store_prior p ON p.customer = m.customer AND p.id = m.id AND p.value = m.new"
    )


def of_rollback(state: str) -> str:
    """The changes in `store_moves`, which bring back what stands in these holdings."""
    return (
        f"SELECT m.customer, n.kind, n.name, o.text AS old, w.text AS new, h.since, "
        f"NULL::VARCHAR AS rule_hash, NULL::VARCHAR AS evidence, n.ord "
        f"{_TEXTS} LEFT JOIN {state} h ON h.customer = m.customer AND h.id = m.id"
    )


_TEXTS = (
    "FROM store_moves m JOIN store_names n ON n.id = m.id "
    "LEFT JOIN store_levels o ON o.id = m.id AND o.value = m.old "
    "LEFT JOIN store_levels w ON w.id = m.id AND w.value = m.new"
)


def write(duck: duckdb.DuckDBPyConnection, changes: str, path: Path, number: int) -> None:
    """Write changes and their leaves, sorted; `store_salts` has the salts of all their customers."""
    duck.execute(
        f"COPY (SELECT {', '.join(COLUMNS)}, unhex({leaves.leaf_sql(literal(str(number)))}) AS leaf "
        f"FROM (SELECT c.*, s.salt FROM ({changes}) c JOIN store_salts s ON s.customer = c.customer) "
        f"ORDER BY customer, ord) TO {literal(str(path))} (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
    )


def again(path: Path) -> str:
    """The changes of a file, in its order."""
    return (
        f"SELECT {', '.join(COLUMNS)}, file_row_number AS ord "
        f"FROM read_parquet({literal(str(path))}, file_row_number = true)"
    )


def root(duck: duckdb.DuckDBPyConnection, path: Path) -> tuple[int, str]:
    """How many leaves a changes file has, and their Merkle root."""
    file = literal(str(path))
    row = duck.execute(f"SELECT count(*) FROM read_parquet({file})").fetchone()
    assert row is not None
    nodes = [node for (node,) in duck.execute(leaves.nodes_sql(file)).fetchall()]
    return row[0], leaves.root(row[0], nodes)
