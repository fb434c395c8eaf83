"""What a schema keeps, as content that any store can be filled with: see `store.packing`."""

from collections.abc import Sequence
from pathlib import Path

import duckdb

from ruleengine.engines.columns import literal, quote
from ruleengine.store import memory
from ruleengine.store.changes import COLUMNS
from ruleengine.store.content import Content, RunRow, VersionRow
from ruleengine.store.postgres import forgetting, manual, transfer
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import ApiKey, Identity
from ruleengine.store.values import columns_of
from ruleengine.types import Kind, Type

_TEXTS = dict.fromkeys(("run", "kind", "name", "old", "new", "rule_hash", "evidence", "level", "leaf"), "VARCHAR")
_TYPES = {"position": "BIGINT", "since": "DATE", "here": "BOOLEAN", "matched": "DATE", "reached": "DATE"}
_COLUMNS = {**_TEXTS, **_TYPES, "below": "DATE"}


def pack(
    duck: duckdb.DuckDBPyConnection, session: Session, identity: Identity, keys: Sequence[ApiKey], folder: Path
) -> Content:
    """All of it, as the session's transaction sees it. A relation is copied when it is asked for."""
    schema = session.schema
    key_type = identity.key_sql
    types = {**_COLUMNS, "customer": key_type}
    ledger = Ledger(session)
    fields = ", ".join(RunRow._fields)
    runs = [RunRow(*row) for row in session.rows(f"SELECT {fields} FROM {schema}.runs ORDER BY sequence")]
    by_id = {run.id: run for run in runs}

    def rows(table: str, columns: Sequence[str], ids: Sequence[str]) -> str:
        wanted = ", ".join(map(literal, ids))
        selected = ", ".join("encode(leaf, 'hex')" if name == "leaf" else name for name in columns)
        query = f"SELECT {selected} FROM {schema}.{table} WHERE run IN ({wanted})"
        name = f"content_{table}"
        transfer.copy_out(session, query, duck, name, [(column, types[column]) for column in columns], folder)
        return f"(SELECT * REPLACE (unhex(leaf) AS leaf) FROM {name})" if "leaf" in columns else name

    def values(run: str) -> str:
        columns = columns_of(by_id[run].value_columns or "[]")
        texts = "".join(f", data[{place}]" for place in range(1, len(columns) + 1))
        read = [("customer", key_type), *((f"c{place}", _sql(each.type)) for place, each in enumerate(columns))]
        query = f"SELECT customer{texts} FROM {schema}.facts WHERE run = {literal(run)}"
        transfer.copy_out(session, query, duck, "content_values", read, folder)
        named = ", ".join(["customer", *(f"c{place} AS {quote(c.column)}" for place, c in enumerate(columns))])
        return f"(SELECT {named} FROM content_values)"

    salts = [("customer", key_type), ("salt", "VARCHAR")]
    transfer.copy_out(
        session, f"SELECT customer, encode(salt, 'hex') FROM {schema}.salts", duck, "content_salts", salts, folder
    )
    of = session.rows(
        f"SELECT id, facts_of FROM {schema}.runs r "
        f"WHERE EXISTS (SELECT 1 FROM {schema}.facts f WHERE f.run = r.facts_of)"
    )
    return Content(
        identity=identity,
        current=ledger.current_number(),
        secret=forgetting.forgotten(session).secret or None,
        names=ledger.names(),
        texts=session.rows(f"SELECT hash, path, text FROM {schema}.texts ORDER BY hash, path"),
        runs=runs,
        versions=[
            VersionRow(*row)
            for row in session.rows(
                f"SELECT number, run, header, previous_hash, root, hash FROM {schema}.versions ORDER BY number"
            )
        ],
        manual=manual.log(session),
        keys=keys,
        values_of=dict(of),
        duck=duck,
        changes=lambda ids: rows("changes", ("run", "position", *COLUMNS, "leaf"), ids),
        arrivals=lambda ids: rows("arrivals", ("run", "customer", "here"), ids),
        memory=lambda ids: rows("memory", ("run", *memory.COLUMNS), ids),
        values=values,
        salts="(SELECT customer, unhex(salt) AS salt FROM content_salts)",
    )


def _sql(type_: Type) -> str:
    """DuckDB's type of a value."""
    match type_.kind:
        case Kind.EXACT:
            return f"DECIMAL(38, {type_.scale})"
        case Kind.TEXT:
            return "VARCHAR"
        case Kind.BOOLEAN | Kind.DATE | Kind.DOUBLE:
            return type_.kind.name
