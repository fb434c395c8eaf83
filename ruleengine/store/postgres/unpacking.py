"""An empty schema, filled with the content of another store, within one transaction."""

import json
from pathlib import Path

from ruleengine.engines.columns import quote
from ruleengine.store import memory
from ruleengine.store.auditing import refuse_changed
from ruleengine.store.changes import COLUMNS
from ruleengine.store.content import Content, RunRow
from ruleengine.store.forgetting import SECRET
from ruleengine.store.keys import dumped
from ruleengine.store.postgres import holdings, manual, proving, staging, transfer
from ruleengine.store.postgres.holdings import MEMBERS
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.values import columns_of
from ruleengine.types import Kind

_LARGE = ("changes", "arrivals", "memory", "facts", "salts", "assignments", "customers", "versions", "runs", "manual")


def is_empty(session: Session) -> bool:
    """Whether no run was ever begun here."""
    return session.row(f"SELECT 1 FROM {session.schema}.runs LIMIT 1") is None


def unpack(session: Session, content: Content, folder: Path) -> None:
    """Write all of it, and check the chain of what lies there then."""
    schema = session.schema
    made = {run.id: run for run in content.runs}
    holdings.name_tables(session, content.names)
    staging.add_names(session, content.names)
    if content.secret is not None:
        session.run(f"INSERT INTO {schema}.meta VALUES (%s, %s)", SECRET, content.secret)
    session.many(f"INSERT INTO {schema}.texts VALUES (%s, %s, %s)", content.texts)
    fields = (*RunRow._fields, "facts_of")
    session.many(
        f"INSERT INTO {schema}.runs ({', '.join(fields)}) VALUES ({', '.join(['%s'] * len(fields))})",
        [(*run, content.values_of.get(run.id)) for run in content.runs],
    )
    session.many(
        f"INSERT INTO {schema}.versions (base, detached, as_of, number, run, header, previous_hash, root, hash) "
        f"VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            (made[version.run].base, made[version.run].detached, json.loads(version.header)["as_of"], *version)
            for version in content.versions
        ],
    )
    manual.add(session, content.manual)
    session.many(
        f"INSERT INTO {schema}.api_keys VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        [(key.id, key.digest, dumped(key)) for key in content.keys],
    )
    _copy_rows(session, content, folder)
    _add_assignments(session)
    _add_customers(session, content)
    if content.current is not None:
        session.run(f"INSERT INTO {schema}.pointer VALUES (true, %s)", content.current)
    for table in _LARGE:
        session.run(f"ANALYZE {schema}.{table}")
    refuse_changed(proving.prove(Ledger(session), content.identity))


def _copy_rows(session: Session, content: Content, folder: Path) -> None:
    schema, duck = session.schema, content.duck

    def copy(table: str, columns: tuple[str, ...], relation: str) -> None:
        binary = {"leaf", "salt"}
        selected = ", ".join(f"'\\x' || hex({name}) AS {name}" if name in binary else name for name in columns)
        rows = f"(SELECT {selected} FROM {relation})"
        transfer.copy_in(session, f"{schema}.{table} ({', '.join(columns)})", duck, rows, folder)

    copy("salts", ("customer", "salt"), content.salts)
    for batch in content.batches():
        runs = [run.id for run in batch]
        copy("changes", ("run", "position", *COLUMNS, "leaf"), content.changes(runs))
        copy("arrivals", ("run", "customer", "here"), content.arrivals(runs))
        copy("memory", ("run", *memory.COLUMNS), content.memory(runs))
    made = {run.id: run for run in content.runs}
    for run in sorted(set(content.values_of.values())):
        copy("facts", ("run", "customer", "data"), _facts(content, made[run]))


def _facts(content: Content, run: RunRow) -> str:
    """The values of a run as arrays of texts, such as Postgres reads and `postgres.changes.text_of` writes them."""
    texts = []
    for column in columns_of(run.value_columns or "[]"):
        text = f"{quote(column.column)}::VARCHAR"
        if column.type.kind is Kind.EXACT:
            text = f"{quote(column.column)}::DECIMAL(38, {column.type.scale})::VARCHAR"
        escaped = f"replace(replace({text}, '\\', '\\\\'), '\"', '\\\"')"
        texts.append(f"coalesce('\"' || {escaped} || '\"', 'NULL')")
    data = " || ',' || ".join(texts) or "''"
    return f"(SELECT '{run.id}' AS run, customer, '{{' || {data} || '}}' AS data FROM {content.values(run.id)})"


def _add_assignments(session: Session) -> None:
    """What a version gives counts until the next one that changes the same for the customer."""
    schema = session.schema
    session.run(
        f"INSERT INTO {schema}.assignments SELECT c.customer, n.id, l.value, c.since, c.number, c.until FROM ("
        f"SELECT c.*, v.number, lead(v.number) OVER (PARTITION BY customer, kind, name ORDER BY v.number) AS until "
        f"FROM {schema}.changes c JOIN {schema}.versions v ON v.run = c.run AND NOT v.detached) c "
        f"JOIN store_names n ON n.kind = c.kind AND n.name = c.name "
        f"JOIN store_levels l ON l.id = n.id AND l.text = c.new"
    )
    session.run(f"ANALYZE {schema}.assignments")


def _add_customers(session: Session, content: Content) -> None:
    """All that a customer holds, from each version that touches him until the next one."""
    schema = session.schema
    session.table(
        "store_touched",
        f"SELECT customer, number, here, lead(number) OVER (PARTITION BY customer ORDER BY number) AS until FROM ("
        f"SELECT t.customer, v.number, bool_and(t.here) AS here FROM ("
        f"SELECT run, customer, true AS here FROM {schema}.changes WHERE customer IS NOT NULL UNION ALL "
        f"SELECT run, customer, here FROM {schema}.arrivals) t "
        f"JOIN {schema}.versions v ON v.run = t.run AND NOT v.detached GROUP BY t.customer, v.number) t",
    )
    words, ladders = holdings.packed_columns(content.names)
    session.run(
        f"INSERT INTO {schema}.customers SELECT t.customer, {words}, {ladders}, t.number, t.until FROM store_touched t "
        f"LEFT JOIN {schema}.assignments h ON h.customer = t.customer AND {MEMBERS.format('t.number')} "
        f"LEFT JOIN store_names n ON n.id = h.id WHERE t.here GROUP BY t.customer, t.number, t.until"
    )
