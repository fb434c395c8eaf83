"""A version that forgets customers: nothing is kept of them but bare leaves, and a keyed hash.

Files never change. Those that have a row of the customer are written anew, without it, into another folder, where all
the others of their run are linked; one transaction of the ledger then appends the version, takes the customer's rows
away and says where the files lie now. What lay before is swept like anything else that the ledger does not know. So
before the commit nothing happened; and after it only remnants are to be tidied away, which whoever writes next does,
and which takes no knowledge of whom they are.
"""

import json
import secrets
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb

from ruleengine.diagnostics import codes
from ruleengine.engines.columns import literal
from ruleengine.engines.forgotten import NOBODY, Forgotten
from ruleengine.store import (
    canonical,
    carried,
    documents,
    editing,
    integrity,
    leaves,
    ledger,
    naming,
    remnants,
    versions,
)
from ruleengine.store.book import Book
from ruleengine.store.changes import COLUMNS
from ruleengine.store.desk import Desk, header_of
from ruleengine.store.duck import connect
from ruleengine.store.files import Folder, copy, sync_folder, whole
from ruleengine.store.jobs import Jobs
from ruleengine.store.ledger import update_run
from ruleengine.store.names import Names
from ruleengine.store.publishing import SERIAL_STEP
from ruleengine.store.records import GIVEN, Change, Counts, Key, Kind, Movement, RunState, Version, VersionKind
from ruleengine.store.refusals import RefusedError, unknown_customer
from ruleengine.store.relations import ROW_GROUP, Shape, read
from ruleengine.store.replies import Replies
from ruleengine.store.sqlite import Connection
from ruleengine.store.steps import reach

CHANGES = "changes.parquet"
SECRET = "forgotten_secret"
DISCARDED = "computed with customers who were forgotten since"

Place = tuple[int, int, int]
"""Leaves of one customer that lost their rows: the version, the first one, counted from 0, and how many there are."""


def forgotten(connection: Connection) -> Forgotten:
    """Everybody who was forgotten."""
    secret = ledger.noted(connection, SECRET)
    if secret is None:
        return NOBODY
    rows = connection.execute(
        "SELECT v.header ->> '$.report.forgotten.customers' FROM versions v JOIN runs r ON r.id = v.run "
        "WHERE r.kind = ?",
        (VersionKind.FORGET,),
    )
    return Forgotten(secret, frozenset(hash_ for (hashes,) in rows for hash_ in json.loads(hashes)))


def publish(desk: Desk, customers: Sequence[Key], current: Version, serial: int, reason: str, book: Book) -> Version:
    """The version that forgets them; NotThereError of a customer of whom there is nothing."""
    known = with_secret(forgotten(desk.ledger))
    refuse_again(known, customers)
    number = 1 + (ledger.latest_number(desk.ledger) or 0)
    names = ledger.names(desk.ledger)
    rewriting = _Rewriting(desk.folder, number, connect(), customers)
    holding = {
        customer: document
        for customer in customers
        if (document := documents.document(desk.ledger, customer, serial)) is not None
    }
    found = {*rewriting.look(_runs(desk.ledger)), *holding, *_by_hand(desk.ledger, customers)}
    for customer in customers:
        if customer not in found:
            raise unknown_customer(customer, current.number)
    versions_of = dict(desk.ledger.execute("SELECT run, number FROM versions").fetchall())
    forget_told(book, customers)
    rewriting.keep(versions_of)
    places = rewriting.leaves(versions_of)
    rewriting.write()
    folder = desk.folder.at({**ledger.moved(desk.ledger), **rewriting.moved})
    sealed_again = _sealed_again(desk.ledger, folder, rewriting)
    was = desk.row(current)
    lost = [change for customer, document in holding.items() for change in losses(customer, document)]
    run = replace(
        desk.new_run(header_of(current, None), VersionKind.FORGET, current.number),
        counts=remaining(current.counts, lost, len(holding)),
        movement=movement(len(holding)),
        report=report(
            known, customers, places, {versions_of[run]: staged.carried or {} for run, staged in sealed_again.items()}
        ),
    )
    folder.run(run.id).mkdir(parents=True)
    linked: dict[Path, Path] = {}
    if was["has_values"]:
        copy(folder.values(current.run), folder.values(run.id))
        linked[folder.values(run.id)] = folder.values(current.run)
    base = versions.staged(was["staged"])
    duck = connect()
    nothing = editing.changes_sql(duck, (), desk.identity.key_sql)
    staged = desk.seal(run, duck, "store_moves", nothing, Shape(base.words, base.ladders))
    staged = desk.carry(run, duck, replace(staged, hands=base.hands))

    def beside() -> None:
        ledger.add_run(desk.ledger, run, {})
        rewriting.note(desk.ledger, folder)
        for again, of in sealed_again.items():
            update_run(desk.ledger, again, staged=versions.staged_text(of))
        desk.note(run, staged, linked)
        update_run(desk.ledger, run.id, value_columns=was["value_columns"], report=canonical.dump(run.report))
        _discard_held(desk.ledger, desk.folder)
        _erase(desk.ledger, customers, names)
        for name, value in ((SECRET, known.secret), (remnants.ERASING, "vacuum")):
            desk.ledger.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    made = desk.commit(desk.publication(run, staged, current, reason), SERIAL_STEP + serial, beside)
    desk.folder = folder
    return made


# -- what is said of it, in stores of every kind -------------------------------------------------------------


def with_secret(known: Forgotten) -> Forgotten:
    """The first time, with a new one."""
    return known if known.secret else Forgotten(secrets.token_hex(32), known.hashes)


def refuse_again(known: Forgotten, customers: Iterable[Key]) -> None:
    """Raise where one of them was forgotten before."""
    for customer in customers:
        if customer in known:
            raise RefusedError(codes.customer_forgotten(None, customer=str(customer)))


def report(
    known: Forgotten, customers: Sequence[Key], places: Sequence[Place], carried: Mapping[int, Mapping[str, str]]
) -> Mapping[str, Any]:
    """What stays with the version: who was forgotten, which leaves lost their rows for it, and the new hashes of what
    versions hand on that had rows of them."""
    return {
        "forgotten": {
            "customers": sorted(known.hash(customer) for customer in customers),
            "leaves": sorted(list(place) for place in places),
            "carried": {str(number): dict(of) for number, of in sorted(carried.items())},
            "secret": leaves.secret(known.secret),
        }
    }


def forget_told(book: Book, customers: Iterable[Key]) -> None:
    """Keep nothing of what jobs and requests were told of them. It comes first: whoever finishes an erasure that ended
    before its time does not know whom to look for."""
    names = naming.pattern(customers)
    Jobs(book).forget(names)
    Replies(book).forget(names)


def losses(customer: Key, document: bytes) -> Iterator[Change]:
    """All that a customer has, as changes that take it away."""
    holding = json.loads(document)
    held: list[tuple[Kind, str, str]] = [("tag", tag["name"], GIVEN) for tag in holding["tags"]]
    held += [("tier", name, tier["level"]) for name, tier in holding["tiers"].items()]
    held += [("class", name, of["value"]) for name, of in holding["classes"].items()]
    for kind, name, old in held:
        yield Change(
            customer=customer, kind=kind, name=name, old=old, new=None, since=None, rule_hash=None, evidence=None
        )


def remaining(before: Counts, lost: Sequence[Change], customers: int) -> Counts:
    """The sizes without so many customers and what they had."""
    return replace(editing.counts(before, lost), customers=before.customers - customers)


def movement(customers: int) -> Movement:
    """Nobody is told what it was that they had."""
    return Movement(rows=0, customers=0, arrived=0, vanished=customers, added={}, removed={}, tiers={}, classes={})


# -- files ---------------------------------------------------------------------------------------------------


def _runs(connection: Connection) -> list[str]:
    """Those that have files."""
    rows = connection.execute("SELECT id FROM runs WHERE state IN (?, ?)", (RunState.PUBLISHED, RunState.HELD))
    return [run for (run,) in rows]


def _sealed_again(
    connection: Connection, folder: Folder, rewriting: "_Rewriting"
) -> Mapping[str, versions.StagedFiles]:
    """By run what the ledger has to know of those whose customers, or what is remembered of them, are fewer now."""
    of = carried.published(dict(row) for row in connection.execute("SELECT * FROM runs"))
    touched = {
        run: of[run]
        for file, run in rewriting.files.items()
        if run is not None and run in of and file.name in ("arrivals.parquet", "memory.parquet", "state.parquet")
    }
    made = carried.blocks(rewriting.duck, folder, touched)
    return {run: carried.sealed(staged, made[run]) for run, (*_, staged) in touched.items()}


@dataclass(slots=True)
class _Rewriting:
    """The files of published runs, written anew without some customers."""

    folder: Folder
    number: int
    """Of the version that forgets them."""
    duck: duckdb.DuckDBPyConnection
    customers: Sequence[Key]
    files: dict[Path, str | None] = field(default_factory=dict)
    """Those that have a row of them, and of which run; of salts that were merged, of none."""
    moved: dict[str, str] = field(default_factory=dict)
    linked: dict[Path, Path] = field(default_factory=dict)
    """Files of runs that were not written anew, by their new names."""
    salts: dict[Path, Path] = field(default_factory=dict)
    """What became of files of salts."""
    _written: dict[tuple[int, int], Path] = field(default_factory=dict)

    @property
    def _theirs(self) -> str:
        listed = ", ".join(literal(key) if isinstance(key, str) else str(key) for key in self.customers)
        return f"customer IN ({listed})"

    def look(self, runs: Sequence[str]) -> set[Key]:
        """Find the files; answers which of the customers are in any."""
        kinds: dict[str, dict[Path, str | None]] = {}
        for run in runs:
            for file in sorted(self.folder.run(run).glob("*.parquet")):
                kinds.setdefault(file.name, {})[file] = run
        kinds["merged"] = dict.fromkeys(sorted(self.folder.salts.glob("*.parquet")))
        found: set[Key] = set()
        for files in kinds.values():
            if not files:
                continue
            listed = ", ".join(literal(str(file)) for file in files)
            rows = self.duck.execute(
                f"SELECT DISTINCT filename, customer FROM read_parquet([{listed}], filename = true, "
                f"union_by_name = true) WHERE {self._theirs}"
            ).fetchall()
            found.update(customer for _, customer in rows)
            holding = {Path(name) for name, _ in rows}
            self.files |= {file: run for file, run in files.items() if file in holding}
        return found

    def keep(self, published: Container[str]) -> None:
        """Of runs that are held nothing is written anew: they are discarded."""
        self.files = {file: run for file, run in self.files.items() if run is None or run in published}

    def leaves(self, versions: Mapping[str, int]) -> list[Place]:
        """Where the leaves lie that lose their rows. Those of a customer in a version follow one another."""
        return [
            (versions[run], first, count)
            for file, run in self.files.items()
            if run is not None and file.name == CHANGES
            for first, count in self.duck.execute(
                f"SELECT min(file_row_number), count(*) FROM read_parquet({literal(str(file))}, "
                f"file_row_number = true) WHERE {self._theirs} GROUP BY customer"
            ).fetchall()
        ]

    def write(self) -> None:
        for run in sorted({run for run in self.files.values() if run is not None}):
            old, new = self.folder.run(run), self.folder.runs / f"{run}.{self.number}"
            new.mkdir()
            sync_folder(self.folder.runs)
            for file in sorted(old.iterdir()):
                self._place(file, new / file.name)
            self.moved[run] = new.name
            self.salts[old / "salts.parquet"] = new / "salts.parquet"
            reach("folder-written")
        for file, of in self.files.items():
            if of is None:
                self.salts[file] = file.with_name(f"{file.stem}.{self.number}.parquet")
                self._place(file, self.salts[file])

    def _place(self, old: Path, new: Path) -> None:
        if old not in self.files:
            copy(old, new)
            self.linked[new] = old
            return
        # What several versions share stays shared.
        is_of = (old.stat().st_dev, old.stat().st_ino)
        if is_of in self._written:
            copy(self._written[is_of], new)
            return
        with whole(new) as partial:
            self.duck.execute(
                f"COPY ({self._without(old)}) TO {literal(str(partial))} (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})"
            )
        self._written[is_of] = new
        reach("file-rewritten")

    def _without(self, file: Path) -> str:
        if file.name != CHANGES:
            return f"SELECT * FROM {read(file)} WHERE ({self._theirs}) IS NOT TRUE"
        blanked = ", ".join(f"CASE WHEN {self._theirs} THEN NULL ELSE {name} END AS {name}" for name in COLUMNS)
        return (
            f"SELECT {blanked}, leaf FROM read_parquet({literal(str(file))}, file_row_number = true) "
            f"ORDER BY file_row_number"
        )

    def note(self, connection: Connection, folder: Folder) -> None:
        """Have the ledger say where the files lie now, and what they are like."""
        for run in self.moved:
            integrity.record_run(connection, folder, run, self.linked)
            integrity.drop_run(connection, self.folder, run)
        merged = {old: new for old, new in self.salts.items() if old in self.files and self.files[old] is None}
        integrity.record(connection, folder, merged.values())
        integrity.drop(connection, self.folder, merged)
        connection.executemany("INSERT OR REPLACE INTO folders VALUES (?, ?)", self.moved.items())
        connection.executemany(
            "UPDATE salt_pieces SET path = ? WHERE path = ?",
            [
                (str(new.relative_to(self.folder.root)), str(old.relative_to(self.folder.root)))
                for old, new in self.salts.items()
            ],
        )


# -- the ledger ----------------------------------------------------------------------------------------------


def _by_hand(connection: Connection, customers: Sequence[Key]) -> Iterator[Key]:
    for customer in customers:
        if connection.execute("SELECT 1 FROM manual WHERE customer = ? LIMIT 1", (customer,)).fetchone():
            yield customer


def _discard_held(connection: Connection, folder: Folder) -> None:
    """The runs that wait to be published know the customers too. Whoever sweeps takes their files away."""
    for (run,) in connection.execute("SELECT id FROM runs WHERE state = ?", (RunState.HELD,)).fetchall():
        integrity.drop_run(connection, folder, run)
        update_run(connection, run, state=RunState.FAILED, reasons=canonical.dump([DISCARDED]))


def _erase(connection: Connection, customers: Sequence[Key], names: Names) -> None:
    """Take their rows away, whatever the version, and their names from what is said of runs that failed."""
    for customer in customers:
        for table in ("documents", "manual"):
            connection.execute(f"DELETE FROM {table} WHERE customer = ?", (customer,))
        connection.executemany(
            "DELETE FROM members WHERE name = ? AND value = ? AND customer = ?",
            [(name.id, value, customer) for name in names.all for value in range(1, 1 + max(1, len(name.values)))],
        )
    spoken = naming.pattern(customers)
    for run, reasons in connection.execute(
        "SELECT id, reasons FROM runs WHERE state = ?", (RunState.FAILED,)
    ).fetchall():
        without = canonical.dump(naming.unnamed(json.loads(reasons), spoken))
        if without != reasons:
            update_run(connection, run, reasons=without)
