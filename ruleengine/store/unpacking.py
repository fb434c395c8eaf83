"""An empty folder, filled with the content of another store.

Files are written where they belong, and the ledger beside its place: it is moved there at the end, and makes the folder
a store. What is left behind by a process that died is written over by the next, or swept away by the next run.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from ruleengine.engines.columns import literal, quote
from ruleengine.store import (
    documents,
    integrity,
    ledger,
    manual,
    memory,
    proving,
    restoring,
    salts,
    state,
    sweeping,
    versions,
)
from ruleengine.store.auditing import refuse_changed
from ruleengine.store.changes import COLUMNS
from ruleengine.store.comparing import name_tables
from ruleengine.store.content import Content, RunRow, VersionRow
from ruleengine.store.files import Folder, copy, sync, sync_folder, whole
from ruleengine.store.forgetting import SECRET
from ruleengine.store.ledger import Ledger
from ruleengine.store.publishing import SERIAL_STEP
from ruleengine.store.records import RunState, VersionKind
from ruleengine.store.relations import ROW_GROUP, Shape, holdings, packed, read
from ruleengine.store.sqlite import Connection, transaction
from ruleengine.store.values import columns_of


@contextmanager
def fresh(folder: Folder) -> Iterator[Folder]:
    """A folder that holds no store: all that is written into it goes again where it does not become one."""
    clear(folder)
    try:
        yield folder
    except BaseException:
        clear(folder)
        raise


def clear(folder: Folder) -> None:
    """Take away what somebody left behind who did not come to an end."""
    for of in (folder.runs, folder.salts):
        for path in of.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in folder.root.glob(f"{folder.moving.name}*"):
        path.unlink()


def unpack(folder: Folder, content: Content) -> None:
    """Write all of it, under the folder's lock, and check the chain of what lies there; the last step makes it a
    store."""
    with fresh(folder):
        connection = Ledger(folder, folder.moving).writing(content.identity)
        try:
            _Unpacking(folder, content, connection).write()
        finally:
            connection.close()  # which takes the log of writes into the file
        sync(folder.moving)
        folder.moving.replace(folder.ledger)
    sync_folder(folder.root)
    made = Ledger(folder)
    with closing(made), made.reading() as reader:
        assert reader is not None
        made.see(reader)


class _Unpacking:
    def __init__(self, folder: Folder, content: Content, connection: Connection) -> None:
        self._folder = folder
        self._content = content
        self._ledger = connection
        self._duck = content.duck
        self._runs = {run.id: run for run in content.runs}
        self._values: dict[str, Path] = {}
        """By the run that computed them."""
        self._serial = 0

    def write(self) -> None:
        content = self._content
        name_tables(self._duck, content.names)
        with transaction(self._ledger):
            ledger.add_names(self._ledger, content.names)
            if content.secret is not None:
                ledger.insert(self._ledger, "meta", {"name": SECRET, "value": content.secret})
            self._ledger.executemany("INSERT INTO texts VALUES (?, ?, ?)", content.texts)
            for run in content.runs:
                self._add(run, self._write_run(run) if run.has_rows else run.staged)
            manual.add(self._ledger, content.manual)
            for version in content.versions:
                self._append(version)
            if content.current is not None:
                row = {"one": 1, "version": content.current, "serial": self._serial, "floor": self._serial}
                ledger.insert(self._ledger, "pointer", row)
            self._write_salts()
            self._write_states()
            integrity.record_all(self._ledger, self._folder)
        if content.current is not None:
            self._serve(content.current)
        refuse_changed(proving.prove(self._duck, self._ledger, self._folder, content.identity))

    # -- runs --------------------------------------------------------------------------------------------

    def _add(self, run: RunRow, staged: str | None) -> None:
        ledger.insert(self._ledger, "runs", {**run._asdict(), "detached": int(run.detached), "staged": staged})

    def _write_run(self, run: RunRow) -> str:
        """Write a run's files; answers what the ledger says of them."""
        folder, content = self._folder, self._content
        folder.run(run.id).mkdir()
        changes = f"SELECT {', '.join(COLUMNS)}, leaf FROM {content.changes([run.id])} ORDER BY position"
        with whole(folder.changes(run.id)) as path:
            self._copy(changes, path)
        if run.has_arrivals and run.base is None:
            self._write_first(run)
        elif run.has_arrivals:
            with whole(folder.arrivals(run.id)) as path:
                self._copy(f"SELECT customer, here FROM {content.arrivals([run.id])} ORDER BY customer", path)
        remembered = f"(SELECT * EXCLUDE (run) FROM {content.memory([run.id])})"
        rows = self._count(remembered)
        if rows:
            with whole(folder.memory(run.id)) as path:
                memory.write(self._duck, remembered, path)
        if run.state == RunState.HELD and run.id in content.values_of:
            self._write_values(run)
        shape = Shape.of(content.names)
        files = replace(run.files, words=shape.words, ladders=shape.ladders, memory=rows, overlay=0)
        return versions.staged_text(files)

    def _write_first(self, run: RunRow) -> None:
        """The state of a run that was compared with nothing: it is all in its changes."""
        given = (
            f"(SELECT c.customer, n.id, l.value, c.since FROM {read(self._folder.changes(run.id))} c "
            f"JOIN store_names n ON n.kind = c.kind AND n.name = c.name "
            f"JOIN store_levels l ON l.id = n.id AND l.text = c.new)"
        )
        customers = f"(SELECT customer FROM {self._content.arrivals([run.id])})"
        self._write_state(run.id, packed(given, customers, self._content.names))

    def _write_state(self, run: str, relation: str) -> None:
        with whole(self._folder.state(run)) as path:
            state.write(self._duck, relation, path)

    def _write_values(self, run: RunRow) -> None:
        """Runs that share their values have them under a second name."""
        content, path = self._content, self._folder.values(run.id)
        computed = content.values_of[run.id]
        if computed in self._values:
            copy(self._values[computed], path)
            return
        columns = columns_of(run.value_columns or "[]")
        selected = ", ".join(["customer", *(quote(column.column) for column in columns)])
        with whole(path) as partial:
            self._copy(f"SELECT {selected} FROM {content.values(computed)} ORDER BY customer", partial)
        self._values[computed] = path

    # -- versions ----------------------------------------------------------------------------------------

    def _append(self, version: VersionRow) -> None:
        run, header = self._runs[version.run], json.loads(version.header)
        if run.kind == VersionKind.ROLLBACK:
            self._write_overlay(run, header["replaces"])
        if run.id in self._content.values_of:
            self._write_values(run)
        if not run.detached:
            self._serial += SERIAL_STEP
        leaves = run.files.leaves
        snapshot = sweeping.is_snapshot(self._ledger, versions.run(run._asdict()), leaves)
        row = {
            **version._asdict(),
            "base": run.base,
            "detached": int(run.detached),
            "serial": None if run.detached else self._serial,
            "as_of": header["as_of"],
            "changes": leaves,
            "snapshot": int(snapshot),
            "has_state": int(self._folder.state(run.id).exists()),
            "has_values": int(self._folder.values(run.id).exists()),
        }
        ledger.insert(self._ledger, "versions", row)
        if snapshot:
            self._keep_state(version.number)

    def _write_overlay(self, run: RunRow, replaced: int) -> None:
        """How the answers that a rollback came to differ from those it brought back."""
        assert run.base is not None
        names, folder = self._content.names, self._folder
        back = self._state(run.base, "store_new")
        before = self._state(replaced, "store_before")
        state.fold(self._duck, "store_folded", before, [folder.changes(run.id)], [folder.arrivals(run.id)], names)
        self._duck.execute(
            f"CREATE OR REPLACE TEMP TABLE store_overlay AS SELECT customer, id, coalesce(b.value, 0) AS old, "
            f"coalesce(n.value, 0) AS new, n.since FROM {holdings(back, names)} b "
            f"FULL JOIN {holdings('store_folded', names)} n USING (customer, id) "
            f"WHERE coalesce(b.value, 0) <> coalesce(n.value, 0)"
        )
        if overlaid := self._count("store_overlay"):
            with whole(folder.overlay(run.id)) as path:
                restoring.write_overlay(self._duck, path)
            row = ledger.run_row(self._ledger, run.id)
            staged = replace(versions.staged(row["staged"]), overlay=overlaid)
            ledger.update_run(self._ledger, run.id, staged=versions.staged_text(staged))

    # -- states ------------------------------------------------------------------------------------------

    def _state(self, number: int, table: str = "store_folded") -> str:
        content = self._content
        return state.of_version(
            self._duck,
            self._ledger,
            self._folder,
            number,
            content.names,
            key_type=content.identity.key_sql,
            table=table,
        )

    def _keep_state(self, number: int) -> None:
        row = self._ledger.execute("SELECT run, has_state FROM versions WHERE number = ?", (number,)).fetchone()
        if not row["has_state"]:
            self._write_state(row["run"], self._state(number))
            self._ledger.execute("UPDATE versions SET has_state = 1 WHERE number = ?", (number,))

    def _write_states(self) -> None:
        """Those that are looked at most, and those of held runs."""
        made = {version.number: self._runs[version.run] for version in self._content.versions}
        for number in sorted(set(sweeping.kept(self._ledger))):
            if made[number].has_arrivals:
                self._keep_state(number)
        for run in self._content.runs:
            if run.state == RunState.HELD and run.base is not None:
                changes, arrivals = [self._folder.changes(run.id)], [self._folder.arrivals(run.id)]
                state.fold(self._duck, "store_held", self._state(run.base), changes, arrivals, self._content.names)
                self._write_state(run.id, "store_held")

    # -- the rest ----------------------------------------------------------------------------------------

    def _write_salts(self) -> None:
        if not self._count(self._content.salts):
            return
        piece = self._folder.salts / f"to-version-{len(self._content.versions)}.parquet"
        with whole(piece) as path:
            salts.copy(self._duck, f"SELECT customer, salt FROM {self._content.salts}", path)
        self._ledger.execute("INSERT INTO salt_pieces VALUES (?)", (self._folder.name(piece),))

    def _serve(self, number: int) -> None:
        """Write the rows of the current version that are served; older ones are read from files."""
        names = self._content.names
        relation = self._state(number)
        given = (
            f"(SELECT h.customer, n.kind, n.name, NULL::VARCHAR AS old, l.text AS new "
            f"FROM {holdings(relation, names)} h JOIN store_names n ON n.id = h.id "
            f"JOIN store_levels l ON l.id = h.id AND l.value = h.value)"
        )
        documents.write(
            self._ledger, self._duck, state=relation, changes=given, arrivals=None, names=names, serial=self._serial
        )

    def _count(self, relation: str) -> int:
        row = self._duck.execute(f"SELECT count(*) FROM {relation}").fetchone()
        assert row is not None
        return int(row[0])

    def _copy(self, query: str, path: Path) -> None:
        self._duck.execute(f"COPY ({query}) TO {literal(str(path))} (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})")
