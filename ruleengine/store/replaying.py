"""What follows from the changes of a folder's versions, beside what lies there: states, documents, lists of members.

Whoever edits an answer where it is read, and leaves the chain alone, is found here.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ruleengine.diagnostics import codes
from ruleengine.engines.columns import literal
from ruleengine.store import ledger, manual, relogging, versions
from ruleengine.store.archive import fetched
from ruleengine.store.auditing import Entry, Finding, copy_differs, differs, forgot, moved
from ruleengine.store.carried import BATCH_FILES
from ruleengine.store.comparing import name_tables
from ruleengine.store.documents import documents_sql
from ruleengine.store.files import Folder
from ruleengine.store.records import VersionKind
from ruleengine.store.relations import Shape, holdings, packed, read, widened
from ruleengine.store.sqlite import Connection, Row, plain


class Replay:
    """The versions of one state of the ledger, up to one that does not hold."""

    def __init__(
        self,
        duck: duckdb.DuckDBPyConnection,
        connection: Connection,
        folder: Folder,
        entries: Sequence[Entry],
        key_type: str,
    ) -> None:
        self._duck = duck
        self._connection = connection
        self._folder = folder
        self._key_type = key_type
        self._names = ledger.names(connection)
        self._rows = {
            row["number"]: row
            for row in connection.execute(
                "SELECT v.number, v.run, v.base, v.detached, v.serial, v.changes, v.has_state, r.kind, r.staged "
                "FROM versions v JOIN runs r ON r.id = v.run"
            )
        }
        self._entries = [entry for entry in entries if entry.number in self._rows]
        self._forgot = forgot(entries)
        name_tables(duck, self._names)

    def findings(self, *, served: bool) -> Iterator[Finding]:
        """What differs; `served`: also of what readers are given, which takes all versions there are."""
        yield from self._load()
        yield from self._columns()
        for entry in self._entries:
            row = self._rows[entry.number]
            if row["has_state"]:
                yield from self._compared(entry, self._folder.state(row["run"]), self._states)
            if row["kind"] == VersionKind.ROLLBACK:
                yield from self._compared(entry, self._folder.overlay(row["run"]), self._overlays)
        yield from self._log(served)
        if served and self._entries:
            yield from self._documents()
            yield from self._members()

    # -- the changes -------------------------------------------------------------------------------------

    def _load(self) -> Iterator[Finding]:
        """Make `audit_changes` of what each version changed, and `audit_arrivals` of who came and went."""
        duck, key = self._duck, self._key_type
        duck.execute(
            f"CREATE OR REPLACE TEMP TABLE audit_changes "
            f"(version BIGINT, customer {key}, id INTEGER, value SMALLINT, since DATE)"
        )
        duck.execute(f"CREATE OR REPLACE TEMP TABLE audit_arrivals (version BIGINT, customer {key}, here BOOLEAN)")
        for start in range(0, len(self._entries), BATCH_FILES):
            files = {
                str(self._folder.changes(entry.run)): entry.number
                for entry in self._entries[start : start + BATCH_FILES]
            }
            listed = ", ".join(map(literal, files))
            numbers = ", ".join(f"({literal(path)}, {number})" for path, number in files.items())
            duck.execute(
                f"INSERT INTO audit_changes SELECT version, customer, n.id, "
                f"CASE WHEN c.new IS NULL THEN 0 ELSE w.value END, since "
                f"FROM read_parquet([{listed}], filename = true) c "
                f"JOIN (VALUES {numbers}) AS files (filename, version) USING (filename) "
                f"LEFT JOIN store_names n ON n.kind = c.kind AND n.name = c.name "
                f"LEFT JOIN store_levels w ON w.id = n.id AND w.text = c.new WHERE customer IS NOT NULL"
            )
        for (number,) in duck.execute(
            "SELECT min(version) FROM audit_changes WHERE id IS NULL OR value IS NULL HAVING count(*) > 0"
        ).fetchall():
            yield copy_differs(number, "names, levels")
        for entry in self._entries:
            yield from self._arrivals(entry)

    def _columns(self) -> Iterator[Finding]:
        """What the ledger says of versions for itself alone."""
        arrivals = {
            version: (came, gone)
            for version, came, gone in self._duck.execute(
                "SELECT version, count_if(here), count_if(NOT here) FROM audit_arrivals GROUP BY version"
            ).fetchall()
        }
        last, pointer = 0, ledger.pointer(self._connection)
        for entry in self._entries:
            row, header = self._rows[entry.number], json.loads(entry.header)
            serial = row["serial"]
            if row["changes"] != header["leaves"]:
                yield copy_differs(entry.number, "versions.changes")
            if (serial is None) != entry.detached or (serial is not None and serial <= last):
                yield copy_differs(entry.number, "versions.serial")
            last = serial or last
            if pointer is not None and pointer["version"] == entry.number and pointer["serial"] != serial:
                yield copy_differs(entry.number, "pointer.serial")
            yield from moved(entry.number, header, arrivals.get(entry.number, (0, 0)), self._forgot)

    def _arrivals(self, entry: Entry) -> Iterator[Finding]:
        row = self._rows[entry.number]
        if row["kind"] in (VersionKind.RUN, VersionKind.ROLLBACK):
            # The first version says by its state alone who is there.
            of_state = row["base"] is None
            path = self._folder.state(row["run"]) if of_state else self._folder.arrivals(row["run"])
            try:
                self._duck.execute(
                    f"INSERT INTO audit_arrivals SELECT {entry.number}, customer, {'true' if of_state else 'here'} "
                    f"FROM {read(path)}"
                )
            except (duckdb.Error, OSError) as error:
                yield self._unreadable(entry, path, error)

    def _unreadable(self, entry: Entry, path: Path, error: Exception) -> Finding:
        reason = f"{path.relative_to(self._folder.root)}: {first_line(error)}"
        return Finding(entry.number, codes.audit_rows_unreadable(None, version=entry.number, reason=reason))

    # -- states ------------------------------------------------------------------------------------------

    def _until(self, number: int | None) -> str:
        """The versions that lead to the answers of one, as a condition on `version`."""
        if number is None:
            return "false"
        if self._rows[number]["detached"]:
            return f"({self._until(self._rows[number]['base'])} OR version = {number})"
        return f"(version <= {number} AND NOT list_contains({self._detached}::BIGINT[], version))"

    @property
    def _detached(self) -> list[int]:
        return [entry.number for entry in self._entries if entry.detached]

    def _held(self, number: int | None) -> str:
        return (
            f"(SELECT customer, id, last.value AS value, last.since AS since FROM (SELECT customer, id, "
            f"max_by({{value: value, since: since}}, version) AS last FROM audit_changes WHERE {self._until(number)} "
            f"GROUP BY customer, id) WHERE last.value <> 0)"
        )

    def _compared(self, entry: Entry, path: Path, differing: Callable[[Entry, Path], str]) -> Iterator[Finding]:
        try:
            (rows,) = self._duck.execute(f"SELECT list(customer) FROM {differing(entry, path)}").fetchall()
        except (duckdb.Error, OSError) as error:
            yield self._unreadable(entry, path, error)
            return
        yield from differs(entry.number, str(path.relative_to(self._folder.root)), rows[0] or ())

    def _states(self, entry: Entry, path: Path) -> str:
        """Customers whose row in a file is not what the changes come to."""
        staged = versions.staged(self._rows[entry.number]["staged"])
        state = widened(read(path), Shape(staged.words, staged.ladders), Shape.of(self._names))
        known = (
            f"(SELECT customer FROM audit_arrivals WHERE {self._until(entry.number)} "
            f"GROUP BY customer HAVING max_by(here, version))"
        )
        return (
            f"(SELECT coalesce(a.customer, b.customer) AS customer FROM {holdings(state, self._names)} a "
            f"FULL JOIN {self._held(entry.number)} b ON a.customer = b.customer AND a.id = b.id "
            f"WHERE a.value IS DISTINCT FROM b.value OR a.since IS DISTINCT FROM b.since "
            f"UNION SELECT coalesce(a.customer, b.customer) FROM "
            f"(SELECT customer, count(*) AS rows FROM {state} GROUP BY customer) a "
            f"FULL JOIN {known} b ON a.customer = b.customer "
            f"WHERE a.rows IS DISTINCT FROM 1 OR b.customer IS NULL ORDER BY customer)"
        )

    def _overlays(self, entry: Entry, path: Path) -> str:
        """Customers of whom a file does not say how a rollback differs from what it brought back."""
        row = self._rows[entry.number]
        said = "(SELECT NULL AS customer, NULL AS id, NULL AS value, NULL AS since WHERE false)"
        if versions.staged(row["staged"]).overlay:
            said = (
                f"(SELECT customer, n.id, coalesce(w.value, 0) AS value, since FROM {read(path)} c "
                f"JOIN store_names n ON n.kind = c.kind AND n.name = c.name "
                f"LEFT JOIN store_levels w ON w.id = n.id AND w.text = c.new)"
            )
        differ = (
            f"(SELECT coalesce(a.customer, b.customer) AS customer, coalesce(a.id, b.id) AS id, "
            f"coalesce(b.value, 0) AS value, b.since FROM {self._held(row['base'])} a "
            f"FULL JOIN {self._held(entry.number)} b ON a.customer = b.customer AND a.id = b.id "
            f"WHERE a.value IS DISTINCT FROM b.value)"
        )
        return (
            f"(SELECT DISTINCT coalesce(a.customer, b.customer) AS customer FROM {said} a FULL JOIN {differ} b "
            f"ON a.customer = b.customer AND a.id = b.id "
            f"WHERE a.value IS DISTINCT FROM b.value OR a.since IS DISTINCT FROM b.since ORDER BY customer)"
        )

    # -- what is set by hand -----------------------------------------------------------------------------

    def _log(self, is_all: bool) -> Iterator[Finding]:
        last = self._entries[-1].number if self._entries else 0
        log = [row for row in manual.log(self._connection) if is_all or row.version <= last]
        manuals = [number for number, row in self._rows.items() if row["kind"] == VersionKind.MANUAL]
        changed = self._duck.execute(
            "SELECT version, list(DISTINCT customer) FROM audit_changes "
            "WHERE list_contains($manuals::BIGINT[], version) GROUP BY version",
            {"manuals": manuals},
        ).fetchall()
        came = self._duck.execute(
            "SELECT customer, list(version ORDER BY version), list(here ORDER BY version) FROM audit_arrivals "
            "WHERE list_contains($customers::VARCHAR[], customer::VARCHAR) "
            "AND NOT list_contains($detached::BIGINT[], version) GROUP BY customer",
            {"customers": [str(row.customer) for row in log], "detached": self._detached},
        ).fetchall()
        known = relogging.Known({customer: list(zip(numbers, here, strict=True)) for customer, numbers, here in came})
        staged = {row["run"]: row["staged"] for row in self._rows.values()}
        yield from relogging.findings(self._entries, staged, log, dict(changed), known)

    # -- what is served ----------------------------------------------------------------------------------

    def _documents(self) -> Iterator[Finding]:
        self._touch()
        state = packed(
            "(SELECT {customer: k.customer, serial: k.serial} AS customer, c.id, "
            "arg_max(c.value, c.version) AS value, arg_max(c.since, c.version) AS since "
            "FROM audit_kept k JOIN audit_line c ON c.customer = k.customer AND c.serial <= k.serial "
            "WHERE k.here GROUP BY ALL HAVING value <> 0)",
            "(SELECT {customer: customer, serial: serial} AS customer FROM audit_kept WHERE here)",
            self._names,
        )
        expected = self._duck.execute(
            f"SELECT k.customer, greatest(k.serial, {self._floor}), k.next, d.document FROM audit_kept k "
            f"LEFT JOIN {documents_sql(state, self._names)} d "
            f"ON d.customer.customer = k.customer AND d.customer.serial = k.serial ORDER BY k.customer, k.serial"
        )
        # That somebody is gone is kept only for those who ask for a version from before.
        is_told = f"(document IS NOT NULL OR from_serial > {self._floor})"
        found = self._served("documents", "customer", "document", where=is_told)
        yield from self._beside("documents", found, fetched(expected), 2)

    def _members(self) -> Iterator[Finding]:
        expected = self._duck.execute(
            f"SELECT id, value, customer, greatest(serial, {self._floor}), next FROM (SELECT *, "
            f"lead(serial) OVER (PARTITION BY customer, id ORDER BY serial) AS next FROM audit_line) "
            f"WHERE value <> 0 AND (next IS NULL OR next > {self._floor}) ORDER BY id, value, customer, serial"
        )
        found = self._served("members", "name, value, customer")
        yield from self._beside("members", found, fetched(expected), 4)

    def _touch(self) -> None:
        """Make `audit_line` of the changes that readers saw, and `audit_kept` of whose document is kept: from which
        serial on, until which next one."""
        serials = ", ".join(
            f"({number}, {row['serial']})" for number, row in self._rows.items() if row["serial"] is not None
        )
        line = f"JOIN (VALUES {serials}) AS line (version, serial) USING (version)"
        self._duck.execute(f"CREATE OR REPLACE TEMP TABLE audit_line AS SELECT * FROM audit_changes {line}")
        self._duck.execute(
            f"CREATE OR REPLACE TEMP TABLE audit_kept AS "
            f"SELECT * FROM (SELECT customer, serial, bool_and(here) AS here, "
            f"lead(serial) OVER (PARTITION BY customer ORDER BY serial) AS next FROM ("
            f"SELECT customer, serial, true AS here FROM audit_line UNION ALL "
            f"SELECT customer, serial, here FROM audit_arrivals {line}) GROUP BY customer, serial) "
            f"WHERE (next IS NULL OR next > {self._floor}) AND (here OR serial > {self._floor})"
        )

    @property
    def _pointer(self) -> Row:
        found = ledger.pointer(self._connection)
        assert found is not None
        return found

    @property
    def _floor(self) -> int:
        return int(self._pointer["floor"])

    def _served(self, table: str, key: str, *columns: str, where: str = "true") -> Iterator[tuple[Any, ...]]:
        """Rows that readers may see; a publication that is under way adds others. Since when before the oldest version
        that is served makes no difference to anybody."""
        now = self._pointer["serial"]
        begins = f"max(from_serial, {self._floor})"
        listed = ", ".join([key, begins, f"CASE WHEN to_serial <= {now} THEN to_serial END", *columns])
        return plain(self._connection).execute(
            f"SELECT {listed} FROM {table} WHERE from_serial <= {now} "
            f"AND (to_serial IS NULL OR to_serial > {self._floor}) AND {where} ORDER BY {key}, {begins}"
        )

    def _beside(
        self, table: str, found: Iterator[tuple[Any, ...]], expected: Iterator[tuple[Any, ...]], key: int
    ) -> Iterator[Finding]:
        """The customers of rows that are not the same on both sides, which are in the order of their first columns."""
        by_serial = {row["serial"]: number for number, row in self._rows.items()}
        customers: dict[int, list[Any]] = {}
        for row in unequal(found, expected, key):
            number = by_serial.get(row[key - 1], self._pointer["version"])
            customers.setdefault(number, []).append(row[key - 2])
        for number, listed in customers.items():
            yield from differs(number, table, list(dict.fromkeys(listed)))


def first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def unequal(one: Iterator[tuple[Any, ...]], other: Iterator[tuple[Any, ...]], key: int) -> Iterator[tuple[Any, ...]]:
    """Rows that are on one side only, or not the same there; both sides are sorted by their first columns."""
    nothing = None
    a, b = next(one, nothing), next(other, nothing)
    while a is not None or b is not None:
        if a == b:
            a, b = next(one, nothing), next(other, nothing)
            continue
        left = None if a is None else _sortable(a[:key])
        right = None if b is None else _sortable(b[:key])
        if right is None or (left is not None and left <= right):
            assert a is not None
            yield a
        else:
            assert b is not None
            yield b
        if left is not None and (right is None or left <= right):
            a = next(one, nothing)
        if right is not None and (left is None or right <= left):
            b = next(other, nothing)


def _sortable(key: tuple[Any, ...]) -> tuple[tuple[int, Any], ...]:
    """In SQLite's order: numbers, then texts, then bytes."""
    return tuple((_rank(part), part) for part in key)


def _rank(part: object) -> int:
    return 1 if isinstance(part, str) else 2 if isinstance(part, bytes) else 0
