"""Hands that change a store behind the product's back, and take nothing for granted but the rights of an administrator.

Each change is undone at once, so that one store will do for many of them.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import duckdb

from ruleengine.store import integrity, leaves, sqlite
from ruleengine.store.auditing import Audit
from ruleengine.store.files import Folder
from ruleengine.store.ledger import moved
from ruleengine.store.postgres import proving as proving_rows
from ruleengine.store.postgres import session as sessions
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.proving import prove
from ruleengine.store.records import Identity
from ruleengine.store.store import Store
from tests import duck, postgres

Row = Mapping[str, Any]


class Hands:
    """In statements, `{t}` is the table. `made` is the number of the version whose file is meant, in a folder."""

    def columns(self) -> set[tuple[str, str]]:
        """All tables and their columns."""
        raise NotImplementedError

    def run(self, table: str, statement: str, made: int | None = None) -> int:
        """Answers how many rows it touched."""
        raise NotImplementedError

    def rows(self, table: str, condition: str = "true", made: int | None = None) -> list[Row]:
        raise NotImplementedError

    def audit(self) -> Audit:
        raise NotImplementedError

    def changes(self, number: int) -> list[Row]:
        """A version's, in order, with their `position` and their customer's `salt`."""
        raise NotImplementedError

    def make_hashes_anew(self, number: int, all_leaves: list[str]) -> None:
        """Of a version whose leaves are these now, and of all that were built on it."""
        root = leaves.root(
            len(all_leaves),
            [leaves.node(all_leaves[at : at + leaves.FAN_OUT]) for at in range(0, len(all_leaves), leaves.FAN_OUT)],
        )
        self.run("versions", f"UPDATE {{t}} SET root = '{root}' WHERE number = {number}")
        later = sorted(self.rows("versions", f"number >= {number}"), key=lambda row: int(row["number"]))
        (run,) = self.rows("runs", f"id = '{later[0]['run']}'")
        staged = json.dumps({**json.loads(run["staged"]), "root": root}).replace("'", "''")
        self.run("runs", f"UPDATE {{t}} SET staged = '{staged}' WHERE id = '{run['id']}'")
        previous = later[0]["previous_hash"]
        for row in later:
            hash_ = leaves.version(previous, row["root"], row["header"])
            linked = "NULL" if previous is None else f"'{previous}'"
            self.run(
                "versions",
                f"UPDATE {{t}} SET hash = '{hash_}', previous_hash = {linked} WHERE number = {row['number']}",
            )
            previous = hash_


class InFolder(Hands):
    def __init__(self, root: Path, ledger: sqlite.Connection, database: duckdb.DuckDBPyConnection) -> None:
        self._folder = Folder(root).at(moved(ledger))
        self._ledger = ledger
        self._duck = database
        self._kept: dict[Path, bytes] = {}

    def columns(self) -> set[tuple[str, str]]:
        tables = [name for (name,) in self._ledger.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {(table, row[1]) for table in tables for row in self._ledger.execute(f"PRAGMA table_info({table})")}
        for file in self._folder.root.rglob("*.parquet"):
            for row in self._duck.execute(f"DESCRIBE SELECT * FROM read_parquet('{file}')").fetchall():
                found.add((file.name if file.parent.parent.name == "runs" else "salts.parquet", row[0]))
        return found

    def _file(self, table: str, made: int | None) -> Path:
        (row,) = self._ledger.execute("SELECT run FROM versions WHERE number = ?", (made,)).fetchall()
        return self._folder.run(row[0]) / table

    def run(self, table: str, statement: str, made: int | None = None) -> int:
        if not table.endswith(".parquet"):
            before = self._ledger.total_changes()
            self._ledger.execute(statement.replace("{t}", table))
            return int(self._ledger.total_changes() - before)
        file = self._file(table, made)
        self._kept.setdefault(file, file.read_bytes())
        self._duck.execute(
            f"CREATE OR REPLACE TABLE tampered AS SELECT * EXCLUDE (file_row_number), file_row_number AS position "
            f"FROM read_parquet('{file}', file_row_number = true)"
        )
        touched = 0
        for each in statement.split(";"):
            count = self._duck.execute(each.replace("{t}", "tampered")).fetchone()
            touched += count[0] if count else 0
        self._duck.execute(
            f"COPY (SELECT * EXCLUDE (position) FROM tampered ORDER BY position) TO '{file}' (FORMAT parquet)"
        )
        integrity.record(self._ledger, self._folder, [file])  # Or the file's digest would tell all.
        return int(touched)

    def rows(self, table: str, condition: str = "true", made: int | None = None) -> list[Row]:
        if not table.endswith(".parquet"):
            return [dict(row) for row in self._ledger.execute(f"SELECT * FROM {table} WHERE {condition}")]
        file = f"read_parquet('{self._file(table, made)}', file_row_number = true)"
        answer = self._duck.execute(
            f"SELECT * EXCLUDE (file_row_number), file_row_number AS position FROM {file} WHERE {condition}"
        )
        names = [column[0] for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def changes(self, number: int) -> list[Row]:
        pieces = ", ".join(
            f"'{self._folder.root / path}'" for (path,) in self._ledger.execute("SELECT * FROM salt_pieces")
        )
        salts = dict(self._duck.execute(f"SELECT customer, salt FROM read_parquet([{pieces}])").fetchall())
        return [{**row, "salt": salts[row["customer"]]} for row in self.rows("changes.parquet", made=number)]

    def audit(self) -> Audit:
        said = dict(self._ledger.execute("SELECT name, value FROM meta").fetchall())
        identity = Identity(ruleset=said["ruleset"], entity=said["entity"], key_type=said["key_type"])
        return prove(self._duck, self._ledger, self._folder, identity)

    def undo(self) -> None:
        self._ledger.execute("ROLLBACK")
        for file, content in self._kept.items():
            file.write_bytes(content)
        self._kept.clear()


class InPostgres(Hands):
    def __init__(self, session: sessions.Session) -> None:
        self._session = session

    def columns(self) -> set[tuple[str, str]]:
        return set(
            self._session.rows(
                "SELECT c.table_name::text, c.column_name::text FROM information_schema.columns c "
                "JOIN information_schema.tables t USING (table_schema, table_name) "
                "WHERE table_schema = %s AND t.table_type = 'BASE TABLE'",
                self._session.profile.schema,
            )
        )

    def run(self, table: str, statement: str, made: int | None = None) -> int:
        name = f"{self._session.schema}.{table}"
        return sum(self._session.run(each.replace("{t}", name)) for each in statement.split(";"))

    def rows(self, table: str, condition: str = "true", made: int | None = None) -> list[Row]:
        answer = self._session.connection.execute(
            f"SELECT * FROM {self._session.schema}.{table} WHERE {condition}".encode()
        )
        names = [column.name for column in answer.description or ()]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def changes(self, number: int) -> list[Row]:
        schema = self._session.schema
        salts = dict(self._session.rows(f"SELECT customer, salt FROM {schema}.salts"))
        run = f"run = (SELECT run FROM {schema}.versions WHERE number = {number})"
        rows = sorted(self.rows("changes", run), key=lambda row: int(row["position"]))
        return [{**row, "salt": salts[row["customer"]]} for row in rows]

    def audit(self) -> Audit:
        return proving_rows.prove(Ledger(self._session), sessions.identity(self._session))


@contextmanager
def tampering(store: Store) -> Iterator[Hands]:
    """Within, a store may be changed; afterwards it is as it was."""
    if isinstance(store, PostgresStore):
        with mock.patch.dict(os.environ, {postgres.STORE: postgres.superuser()}):
            session = sessions.opened(store.profile)
        with closing(session.connection):
            session.run("BEGIN")
            session.run("SET LOCAL session_replication_role = replica")  # No trigger stops a superuser.
            yield InPostgres(session)
            session.undo()
        return
    (root,) = store.directories
    ledger = sqlite.writer(root / "ledger.db", 10)
    with closing(ledger), duck.database() as database:
        ledger.execute("PRAGMA foreign_keys = OFF")
        ledger.execute("BEGIN IMMEDIATE")
        hands = InFolder(root, ledger, database)
        try:
            yield hands
        finally:
            hands.undo()
