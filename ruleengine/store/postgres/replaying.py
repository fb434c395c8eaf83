"""What follows from the changes of a schema's versions, beside what lies there: as `store.replaying`."""

import json
from collections.abc import Iterator, Sequence

from ruleengine.planning.layout import TAGS_PER_WORD
from ruleengine.store import relogging
from ruleengine.store.auditing import Entry, Finding, copy_differs, differs, forgot, moved
from ruleengine.store.names import Names
from ruleengine.store.postgres import manual
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.records import Key

_ALL = 2**62


def findings(ledger: Ledger, entries: Sequence[Entry], is_all: bool) -> Iterator[Finding]:
    """What differs up to the last of these versions; or at all, where there are no others."""
    session, schema = ledger.session, ledger.schema
    last = _ALL if is_all else entries[-1].number if entries else 0
    line = f"JOIN {schema}.versions v ON v.run = c.run AND NOT v.detached AND v.number <= {last}"
    session.table(
        "audit_line",
        f"SELECT v.number AS version, c.customer, n.id, CASE WHEN c.new IS NULL THEN 0 ELSE l.value END AS value, "
        f"c.since, lead(v.number) OVER (PARTITION BY c.customer, c.kind, c.name ORDER BY v.number) AS next "
        f"FROM {schema}.changes c {line} LEFT JOIN {schema}.names n ON n.kind = c.kind AND n.name = c.name "
        f"LEFT JOIN {schema}.levels l ON l.id = n.id AND l.text = c.new WHERE c.customer IS NOT NULL",
    )
    (unknown,) = session.row("SELECT min(version) FROM audit_line WHERE id IS NULL OR value IS NULL")
    if unknown is not None:
        yield copy_differs(unknown, "names, levels")
    session.table(
        "audit_known",
        f"SELECT version, customer, here, lead(version) OVER (PARTITION BY customer ORDER BY version) AS next FROM ("
        f"SELECT version, customer, bool_and(here) AS here FROM ("
        f"SELECT version, customer, true AS here FROM audit_line UNION ALL "
        f"SELECT v.number, c.customer, c.here FROM {schema}.arrivals c {line}) t GROUP BY version, customer) t",
    )
    yield from _differing(ledger, "assignments", _assignments(ledger, last))
    names = ledger.names()
    if len({each.place for each in names.ladders}) == len(names.ladders):
        yield from _differing(ledger, "customers", _customers(ledger, names, last))
    elif entries:
        yield copy_differs(entries[0].number, "names")
    yield from _log(ledger, entries, last)
    arrivals = {
        number: (came, gone)
        for number, came, gone in session.rows(
            f"SELECT v.number, count(*) FILTER (WHERE here), count(*) FILTER (WHERE NOT here) "
            f"FROM {schema}.arrivals c JOIN {schema}.versions v ON v.run = c.run GROUP BY v.number"
        )
    }
    for entry in entries:
        header = json.loads(entry.header)
        yield from moved(entry.number, header, arrivals.get(entry.number, (0, 0)), forgot(entries))


def _differing(ledger: Ledger, table: str, query: str) -> Iterator[Finding]:
    customers: dict[int, dict[Key, None]] = {}
    for version, customer in ledger.session.rows(f"{query} ORDER BY 1, 2"):
        customers.setdefault(version, {})[customer] = None
    for version, listed in customers.items():
        yield from differs(version, table, list(listed))


def _log(ledger: Ledger, entries: Sequence[Entry], last: int) -> Iterator[Finding]:
    session, schema = ledger.session, ledger.schema
    log = [row for row in manual.log(session) if row.version <= last]
    changed: dict[int, set[Key]] = {}
    for version, customer in session.rows(
        f"SELECT DISTINCT l.version, l.customer FROM audit_line l JOIN {schema}.versions v "
        f"ON v.number = l.version JOIN {schema}.runs r ON r.id = v.run AND r.kind = 'manual'"
    ):
        changed.setdefault(version, set()).add(customer)
    came: dict[Key, list[tuple[int, bool]]] = {}
    for customer, version, here in session.rows(
        f"SELECT customer, version, here FROM audit_known k WHERE EXISTS "
        f"(SELECT 1 FROM {schema}.manual m WHERE m.customer = k.customer) ORDER BY version"
    ):
        came.setdefault(customer, []).append((version, here))
    staged = dict(session.rows(f"SELECT id, staged FROM {schema}.runs WHERE state = 'published'"))
    yield from relogging.findings(entries, staged, log, changed, relogging.Known(came))


def _assignments(ledger: Ledger, last: int) -> str:
    return (
        f"SELECT coalesce(a.from_version, b.version), coalesce(a.customer, b.customer) FROM "
        f"(SELECT * FROM {ledger.schema}.assignments WHERE from_version <= {last}) a "
        f"FULL JOIN (SELECT * FROM audit_line WHERE value <> 0) b "
        f"ON a.customer = b.customer AND a.id = b.id AND a.from_version = b.version "
        f"WHERE a.value IS DISTINCT FROM b.value OR a.since IS DISTINCT FROM b.since "
        f"OR {_ended('a.to_version', last)} IS DISTINCT FROM b.next"
    )


def _customers(ledger: Ledger, names: Names, last: int) -> str:
    """Customers whose row does not say that they are there, or not all that they hold."""
    words = [
        f"coalesce(bit_or(1::bigint << (n.place % {TAGS_PER_WORD})) "
        f"FILTER (WHERE n.kind = 'tag' AND n.place / {TAGS_PER_WORD} = {word}), 0) AS w{word}"
        for word in range(names.words)
    ]
    ladders = [f"coalesce(max(l.value) FILTER (WHERE l.id = {each.id}), 0) AS l{each.place}" for each in names.ladders]
    held = ", ".join(["k.version", "k.customer", "k.next", *words, *ladders])
    said = [f"coalesce(a.words[{word + 1}], 0) <> b.w{word}" for word in range(names.words)]
    said += [f"coalesce(a.ladders[{each.place + 1}], 0) <> b.l{each.place}" for each in names.ladders]
    said += [f"cardinality(a.words) > {names.words}", f"cardinality(a.ladders) > {len(names.ladders)}"]
    return (
        f"SELECT coalesce(a.from_version, b.version), coalesce(a.customer, b.customer) FROM "
        f"(SELECT * FROM {ledger.schema}.customers WHERE from_version <= {last}) a FULL JOIN ("
        f"SELECT {held} FROM audit_known k LEFT JOIN audit_line l ON l.customer = k.customer AND l.value <> 0 "
        f"AND l.version <= k.version AND (l.next IS NULL OR l.next > k.version) "
        f"LEFT JOIN {ledger.schema}.names n ON n.id = l.id WHERE k.here GROUP BY k.version, k.customer, k.next) b "
        f"ON a.customer = b.customer AND a.from_version = b.version "
        f"WHERE a.customer IS NULL OR b.customer IS NULL "
        f"OR {_ended('a.to_version', last)} IS DISTINCT FROM b.next OR {' OR '.join(said)}"
    )


def _ended(column: str, last: int) -> str:
    """Where a row ends, seen from the last version that is looked at."""
    return f"CASE WHEN {column} <= {last} THEN {column} END"
