"""The ledger's tables: how they are made, and what a writer adds to those of an older format."""

from ruleengine.store import integrity, meta, sqlite
from ruleengine.store.files import Folder
from ruleengine.store.records import Identity
from ruleengine.store.sqlite import Connection, transaction
from ruleengine.store.versions import FORMAT

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE texts (
    hash TEXT NOT NULL, path TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (hash, path)
) WITHOUT ROWID;
CREATE TABLE runs (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    actor TEXT NOT NULL,
    started_at TEXT NOT NULL,
    finished_at TEXT,
    header TEXT NOT NULL,
    base INTEGER,
    detached INTEGER NOT NULL DEFAULT 0,
    counts TEXT,
    movement TEXT,
    report TEXT,
    version INTEGER,
    reasons TEXT NOT NULL DEFAULT '[]',
    value_columns TEXT,  -- of its values file: column, name, type
    staged TEXT          -- see StagedFiles
);
CREATE TABLE versions (
    number INTEGER PRIMARY KEY,
    run TEXT NOT NULL UNIQUE REFERENCES runs (id),
    base INTEGER,
    detached INTEGER NOT NULL,
    serial INTEGER,              -- none where it is detached
    as_of TEXT NOT NULL,
    header TEXT NOT NULL,
    previous_hash TEXT,
    root TEXT NOT NULL,
    hash TEXT NOT NULL,
    changes INTEGER NOT NULL,    -- rows
    snapshot INTEGER NOT NULL,   -- its state is kept for good
    has_state INTEGER NOT NULL,
    has_values INTEGER NOT NULL,
    superseded_at REAL           -- seconds since 1970, UTC
);
CREATE TABLE pointer (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL REFERENCES versions (number),
    serial INTEGER NOT NULL,
    floor INTEGER NOT NULL       -- serials below it are not kept
);
-- Names are never renumbered, so that a word of bits means the same in every version.
CREATE TABLE names (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL, place INTEGER NOT NULL,
    UNIQUE (kind, name));
CREATE TABLE levels (name INTEGER NOT NULL, position INTEGER NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (name, position)) WITHOUT ROWID;
CREATE TABLE salt_pieces (path TEXT PRIMARY KEY) WITHOUT ROWID;
-- What is served. A row counts from a serial until another one; a customer who left has a row without a document.
CREATE TABLE documents (
    customer NOT NULL, from_serial INTEGER NOT NULL, to_serial INTEGER, document BLOB,
    PRIMARY KEY (customer, from_serial)
) WITHOUT ROWID;
CREATE INDEX documents_superseded ON documents (to_serial) WHERE to_serial IS NOT NULL;
CREATE TABLE members (
    name INTEGER NOT NULL, value INTEGER NOT NULL, customer NOT NULL, from_serial INTEGER NOT NULL, to_serial INTEGER,
    PRIMARY KEY (name, value, customer, from_serial)
) WITHOUT ROWID;
CREATE INDEX members_superseded ON members (to_serial) WHERE to_serial IS NOT NULL;
"""

_SINCE_FORMAT_2 = """
-- What people set by hand, and took away again (no value): only ever added to.
CREATE TABLE manual (
    customer NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    as_of TEXT NOT NULL,         -- counts for runs of this day and later ones
    value TEXT,
    expires_on TEXT,             -- the first day on which it does not count any more
    actor TEXT NOT NULL,
    reason TEXT,
    PRIMARY KEY (customer, kind, name, version)
) WITHOUT ROWID;
CREATE INDEX manual_names ON manual (kind, name);
"""

_SINCE_FORMAT_3 = """
-- Where the files of a run lie that were written anew, without customers who were forgotten.
CREATE TABLE folders (run TEXT PRIMARY KEY, folder TEXT NOT NULL) WITHOUT ROWID;
"""


def create(connection: Connection, identity: Identity) -> None:
    """The tables of a new ledger."""
    with transaction(connection):
        _make(connection, _TABLES)
        _make(connection, _SINCE_FORMAT_2)
        _make(connection, integrity.TABLE)
        _make(connection, _SINCE_FORMAT_3)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.of(identity, FORMAT).items())


def upgrade(connection: Connection, folder: Folder, found: int) -> None:
    """Add what an older format has not. Files stay as they are: every format reads them."""
    if not sqlite.has_checksums(connection):
        sqlite.add_checksums(connection)
    with transaction(connection):
        if found < 2:
            _make(connection, _SINCE_FORMAT_2)
        _make(connection, integrity.TABLE)
        _make(connection, _SINCE_FORMAT_3)
        integrity.record_all(connection, folder)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'format'", (str(FORMAT),))


def _make(connection: Connection, tables: str) -> None:
    for statement in tables.split(";\n"):
        if statement.strip():
            connection.execute(statement)
