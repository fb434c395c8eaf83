"""What the files of published versions tell, wherever the ledger says that they lie."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import duckdb

from ruleengine.diagnostics import codes
from ruleengine.store import archive, ledger, state, versions
from ruleengine.store.comparing import name_tables
from ruleengine.store.duck import connect
from ruleengine.store.files import Folder
from ruleengine.store.integrity import intact
from ruleengine.store.ledger import Ledger
from ruleengine.store.names import Names
from ruleengine.store.records import Change, Diff, HistoryEntry, Key, RunState, StoredValues
from ruleengine.store.refusals import DamagedError, RefusedError, no_version, unusable
from ruleengine.store.relations import Shape, read, widened
from ruleengine.store.sqlite import Connection, Row

T = TypeVar("T")


class FileReader:
    """See `store.Store`: `history`, `changes`, `values`, `export`, `diff`."""

    def __init__(self, folder: Folder, ledger: Ledger) -> None:
        self._folder = folder
        self._ledger = ledger

    def look(
        self,
        work: Callable[[duckdb.DuckDBPyConnection, Connection, Folder], T],
        *,
        empty: T | None = None,
        duck: duckdb.DuckDBPyConnection | None = None,
    ) -> T:
        """Do something with the files of published versions. A writer may prune one between our look into the ledger
        and its opening: then look again."""
        last: Exception | None = None
        for _ in range(5):
            with self._ledger.reading() as connection:
                if connection is None:
                    if empty is not None:
                        return empty
                    raise no_version()
                try:
                    return work(duck or connect(), connection, self._folder.at(ledger.moved(connection)))
                except (duckdb.IOException, OSError, DamagedError) as error:
                    last = error
        raise last if isinstance(last, DamagedError) else unusable(last)

    def document(self, key: Key, version: int) -> bytes | None:
        """A customer's document in any version; the key is as it is stored."""

        def find(duck: duckdb.DuckDBPyConnection, connection: Connection, folder: Folder) -> bytes | None:
            names = ledger.names(connection)
            key_type = self._ledger.identity_of(connection).key_sql
            return archive.document(duck, connection, folder, version, names, key, key_type)

        return self.look(find)

    def history(self, key: Key) -> tuple[HistoryEntry, ...]:
        def find(duck: duckdb.DuckDBPyConnection, connection: Connection, folder: Folder) -> tuple[HistoryEntry, ...]:
            known = self._ledger.identity_of(connection).stored(key)
            if known is None:
                return ()
            all_versions = self._ledger.versions(connection)
            in_line = set(ledger.line(connection))
            paths = [intact(connection, folder, folder.changes(each.run)) for each in all_versions]
            return tuple(
                HistoryEntry.of(change, all_versions[index], in_line)
                for index, change in archive.history(duck, paths, known)
            )

        return self.look(find, empty=())

    def changes(self, version: int, start: int = 0, limit: int = 1000) -> tuple[Change | None, ...]:
        def find(duck: duckdb.DuckDBPyConnection, connection: Connection, folder: Folder) -> tuple[Change | None, ...]:
            path = folder.changes(self._ledger.version(connection, version).run)
            return tuple(archive.changes(duck, intact(connection, folder, path), start, limit))

        return self.look(find)

    def values(self, key: Key, version: int | None = None) -> StoredValues | None:
        def find(duck: duckdb.DuckDBPyConnection, connection: Connection, folder: Folder) -> StoredValues | None:
            number = ledger.current_number(connection) if version is None else version
            run = self._ledger.version(connection, number).run
            row = connection.execute(
                "SELECT v.has_values, r.value_columns FROM versions v JOIN runs r ON r.id = v.run WHERE v.number = ?",
                (number,),
            ).fetchone()
            known = self._ledger.identity_of(connection).stored(key)
            if known is None or not row["has_values"]:
                return None
            path = intact(connection, folder, folder.values(run))
            return archive.values(duck, path, row["value_columns"], known)

        return self.look(find)

    def export(self, path: Path, *, version: int | None = None, run: str | None = None) -> int:
        def write(duck: duckdb.DuckDBPyConnection, connection: Connection, folder: Folder) -> int:
            names = ledger.names(connection)
            name_tables(duck, names)
            if run is not None:
                row = ledger.run_row(connection, run)
                found = versions.run(dict(row))
                if found.version is None:
                    relation = self._held_state(connection, row, names, folder)
                    return archive.export(duck, relation, names, None, path)
                number = found.version
            else:
                number = ledger.current_number(connection) if version is None else version
            self._ledger.version(connection, number)
            relation = state.of_version(
                duck, connection, folder, number, names, key_type=self._ledger.identity_of(connection).key_sql
            )
            return archive.export(duck, relation, names, number, path)

        return self.look(write)

    def _held_state(self, connection: Connection, row: Row, names: Names, folder: Folder) -> str:
        if row["state"] != RunState.HELD:
            raise RefusedError(codes.run_not_held(None, run=row["id"], state=row["state"]))
        staged = versions.staged(row["staged"])
        path = intact(connection, folder, folder.state(row["id"]))
        return widened(read(path), Shape(staged.words, staged.ladders), Shape.of(names))

    def diff(self, a: int, b: int) -> Diff:
        def find(duck: duckdb.DuckDBPyConnection, connection: Connection, folder: Folder) -> Diff:
            names = ledger.names(connection)
            name_tables(duck, names)
            key_type = self._ledger.identity_of(connection).key_sql
            for number in (a, b):
                self._ledger.version(connection, number)
            old, new = (
                state.of_version(duck, connection, folder, number, names, key_type=key_type, table=table)
                for table, number in (("store_old", a), ("store_new", b))
            )
            comparison, rows = archive.diff(duck, old, new, names)
            return Diff(a=a, b=b, movement=comparison.movement, shifts=comparison.shifts, rows=rows)

        return self.look(find)
