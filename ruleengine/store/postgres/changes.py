"""The changes of a version and their leaves: byte for byte those of `store.leaves`, in SQL."""

import json
import secrets
from collections.abc import Sequence
from typing import assert_never

from ruleengine.engines.columns import literal, quote
from ruleengine.planning.layout import ValueColumn
from ruleengine.sql.postgres import short
from ruleengine.store import leaves
from ruleengine.store.canonical import LARGEST_WHOLE
from ruleengine.store.postgres.session import Session
from ruleengine.store.steps import reach
from ruleengine.types import Kind

COLUMNS = ", ".join(leaves.ROW_FIELDS)


def make_salts(session: Session, customers: str) -> None:
    """Make the salts that these customers do not have yet. 64 hex digits; a salt is the first 128 bits."""
    made = f"sha256(convert_to({literal(secrets.token_hex(32))} || c.customer::text, 'UTF8'))"
    session.run(
        f"INSERT INTO {session.schema}.salts SELECT DISTINCT c.customer, substr({made}, 1, 16) FROM {customers} c "
        f"WHERE NOT EXISTS (SELECT 1 FROM {session.schema}.salts s WHERE s.customer = c.customer)"
    )


def write(session: Session, run: str, number: int, changes: str) -> tuple[int, str]:
    """Write changes, sorted, and their leaves; answers how many they are, and their root."""
    session.table("store_written", changes)
    make_salts(session, "store_written")
    session.run(
        f"INSERT INTO {session.schema}.changes (run, position, {COLUMNS}, leaf) "
        f"SELECT {literal(run)}, row_number() OVER (ORDER BY c.customer, c.kind, c.name) - 1, "
        f"c.customer, kind, name, old, new, since, rule_hash, evidence, {leaf_sql(literal(str(number)))} "
        f"FROM store_written c JOIN {session.schema}.salts s ON s.customer = c.customer"
    )
    reach("changes-written")
    return root(session, run)


def seal_again(session: Session, run: str, number: int) -> tuple[int, str]:
    """Make the leaves of a run for another number."""
    session.run(
        f"UPDATE {session.schema}.changes c SET leaf = {leaf_sql(literal(str(number)))} FROM {session.schema}.salts s "
        f"WHERE c.run = {literal(run)} AND s.customer = c.customer"
    )
    return root(session, run)


def root(session: Session, run: str) -> tuple[int, str]:
    """How many leaves a run has, and their Merkle root."""
    changes, which = f"{session.schema}.changes", f"run = {literal(run)}"
    (count,) = session.row(f"SELECT count(*) FROM {changes} WHERE {which}")
    children = "string_agg(encode(leaf, 'hex'), '' ORDER BY position)"
    nodes = session.rows(
        f"SELECT encode(sha256(convert_to('4:node' || (64 * count(*)) || ':' || {children}, 'UTF8')), 'hex') "
        f"FROM {changes} WHERE {which} GROUP BY position / {leaves.FAN_OUT} ORDER BY min(position)"
    )
    return count, leaves.root(count, [node for (node,) in nodes])


def leaf_sql(version: str) -> str:
    """Over `c` (a change) and `s` (its customer's salt), for a version's number as text."""
    fields = ["'4:leaf'", "'32:' || encode(s.salt, 'hex')", f"octet_length({version}) || ':' || {version}"]
    for name in leaves.ROW_FIELDS:
        text = f"c.{name}::text"
        fields.append(f"coalesce(octet_length({text}) || ':' || {text}, '-:')")
    return f"sha256(convert_to({' || '.join(fields)}, 'UTF8'))"


# -- canonical JSON ----------------------------------------------------------------------------------------


def text_of(column: ValueColumn, table: str) -> str:
    """A value as text, from which Python makes it again."""
    value = f"{table}.{quote(short(column.column))}"
    match column.type.kind:
        case Kind.EXACT:
            return f"{value}::numeric(38, {column.type.scale})::text"
        case Kind.TEXT | Kind.BOOLEAN | Kind.DATE | Kind.DOUBLE:
            return f"{value}::text"
        case _:
            assert_never(column.type.kind)


def value_sql(session: Session, column: ValueColumn, table: str) -> str:
    """As `canonical.value_sql`."""
    text = text_of(column, table)
    value = f"{table}.{quote(short(column.column))}"
    match column.type.kind:
        case Kind.TEXT:
            written = f"to_json({text})::text"
        case Kind.BOOLEAN:
            written = text
        case Kind.DOUBLE:
            written = f"{session.schema}.double_text({value})"
        case Kind.DATE:
            written = f"'\"' || {text} || '\"'"
        case Kind.EXACT if column.type.scale:
            written = f"'\"' || {text} || '\"'"
        case Kind.EXACT if column.type.digits <= 15:
            written = text
        case Kind.EXACT:
            small = f"{value} BETWEEN -{LARGEST_WHOLE} AND {LARGEST_WHOLE}"
            written = f"CASE WHEN {small} THEN {text} ELSE '\"' || {text} || '\"' END"
        case _:
            assert_never(column.type.kind)
    return f"coalesce({written}, 'null')"


def object_sql(session: Session, columns: Sequence[ValueColumn], table: str) -> str:
    """As `canonical.object_sql`."""
    parts: list[str] = []
    for index, column in enumerate(sorted(columns, key=lambda column: column.name)):
        parts.append(literal(("," if index else "{") + json.dumps(column.name, ensure_ascii=False) + ":"))
        parts.append(value_sql(session, column, table))
    return " || ".join(parts) + " || '}'" if parts else "'{}'"
