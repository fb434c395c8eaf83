"""What a run is told of the versions before it: the tables that `planning.memory` describes, made where they lie."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import duckdb

from ruleengine.engines.columns import literal, quote
from ruleengine.planning.memory import ManualMemory, Memory, Past, TagMemory, TierMemory
from ruleengine.sql.postgres import short
from ruleengine.store.names import Name, Names
from ruleengine.store.postgres import manual, memory
from ruleengine.store.postgres.holdings import MEMBERS
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.postgres.transfer import copy_out
from ruleengine.store.recalling import declares, in_force
from ruleengine.store.records import Key, Version
from ruleengine.types import Kind, Type

_DUCKDB = {Kind.BOOLEAN: "BOOLEAN", Kind.TEXT: "VARCHAR", Kind.DATE: "DATE"}
_SQL = {Kind.BOOLEAN: "boolean", Kind.TEXT: 'text COLLATE "C"', Kind.DATE: "date"}
_Part = tuple[str, frozenset[str]]
"""A relation of `customer` and some of the columns, and which: a row per customer who has something in them."""


def recall(session: Session, asked: Memory, as_of: date, only: Key | None) -> Version | None:
    """Make `remembered` and `remembered_names`, which outlast the transaction; answer the previous version."""
    ledger = Ledger(session)
    numbers = ledger.line_of(ledger.before(as_of))
    line = [ledger.version(number) for number in (numbers if asked.past else numbers[:1])][::-1]
    parts: list[_Part] = []
    if line and (asked.tags or asked.tiers):
        parts.append(_previous(session, asked, line[-1], only))
    if asked.manual:
        parts.append(_manual(session, asked.manual, as_of, only))
    if line and asked.past:
        parts.append(_past(session, asked.past, line, as_of, only))
    make(session, asked, parts)
    make_names(session, asked.past, line, as_of)
    return line[-1] if line else None


def lifted(
    session: Session,
    duck: duckdb.DuckDBPyConnection,
    asked: Memory,
    as_of: date,
    only: Key | None,
    key_type: str,
    folder: Path,
) -> Version | None:
    """As `recall`, for a run that computes in DuckDB: both tables are made there."""
    previous = recall(session, asked, as_of, only)
    columns = [("customer", key_type), *((name, _DUCKDB[type_.kind]) for name, type_ in asked.columns)]
    copy_out(session, "SELECT * FROM remembered", duck, "remembered", columns, folder)
    names = [(past.column, "BOOLEAN") for past in asked.past] or [("nothing", "BOOLEAN")]
    copy_out(session, "SELECT * FROM remembered_names", duck, "remembered_names", names, folder)
    return previous


def make(session: Session, asked: Memory, parts: Sequence[_Part]) -> None:
    there = frozenset[str]().union(*(columns for _, columns in parts))
    # Out of the domain, so that the type is one that engines know.
    columns = ["CASE WHEN true THEN customer END AS customer" if parts else 'NULL::text COLLATE "C" AS customer']
    columns += [
        quote(short(name)) if name in there else f"NULL::{_sql(type_)} AS {quote(short(name))}"
        for name, type_ in asked.columns
    ]
    source = " FULL JOIN ".join(
        f"{relation} p{index}" + (" USING (customer)" if index else "") for index, (relation, _) in enumerate(parts)
    )
    _table(session, "remembered", f"SELECT {', '.join(columns)} " + (f"FROM {source}" if source else "WHERE false"))


def make_names(session: Session, asked: Sequence[Past], line: Sequence[Version], as_of: date) -> None:
    spans = list(in_force(line, as_of))
    known = {
        past.column: any(
            until > (past.first or date.min) and declares(version.counts, past) for version, until in spans
        )
        for past in asked
    }
    columns = ", ".join(f"{str(is_known).lower()} AS {quote(short(name))}" for name, is_known in known.items())
    _table(session, "remembered_names", f"SELECT {columns or 'false AS nothing'}")


def _table(session: Session, name: str, query: str) -> None:
    session.run(f"DROP TABLE IF EXISTS pg_temp.{name}")
    session.run(f"CREATE TEMPORARY TABLE {name} AS {query}")
    session.run(f"ANALYZE pg_temp.{name}")


def _sql(type_: Type) -> str:
    return _SQL[type_.kind]


def _narrowed(condition: str, only: Key | None) -> str:
    if only is None:
        return condition
    return f"{condition} AND customer = {literal(only) if isinstance(only, str) else only}"


# -- the previous version ----------------------------------------------------------------------------------


def _previous(session: Session, asked: Memory, previous: Version, only: Key | None) -> _Part:
    """Each thing remembered is a few columns of what a customer holds and of what the version left beside it."""
    schema, names = session.schema, Ledger(session).names()
    tags = {name.id: name for tag in asked.tags for name in _called(tag, names)}
    tiers = {name.id: name for tier in asked.tiers if (name := names.find("tier", tier.tier)) is not None}
    where = _narrowed(MEMBERS.format(previous.number), only)
    ids = ", ".join(map(str, (*tags, *tiers))) or "NULL"
    held = ["customer"]
    held += [f"bool_or(true) FILTER (WHERE id = {id_}) AS t{id_}" for id_ in tags]
    for id_ in tiers:
        held += [f"max(value) FILTER (WHERE id = {id_}) AS l{id_}", f"max(since) FILTER (WHERE id = {id_}) AS s{id_}"]
    left = ["customer"]
    columns: dict[str, str] = {}
    for tag in asked.tags:
        columns |= _tag(tag, names, previous, left)
    for tier in asked.tiers:
        columns |= _tier(tier, names, left)
    found = " OR ".join(f"{quote(short(name))} IS NOT NULL" for name in columns)
    selected = ", ".join(f"{sql} AS {quote(short(name))}" for name, sql in columns.items())
    rows = f"SELECT * FROM {memory.of_version(session, previous.number)} m WHERE {_narrowed('true', only)}"
    relation = (
        f"(SELECT * FROM (SELECT customer, {selected} "
        f"FROM (SELECT customer FROM {schema}.customers WHERE {where}) c "
        f"LEFT JOIN (SELECT {', '.join(held)} FROM {schema}.assignments WHERE {where} AND id IN ({ids}) "
        f"GROUP BY customer) h USING (customer) "
        f"LEFT JOIN (SELECT {', '.join(left)} FROM ({rows}) m GROUP BY customer) l USING (customer)) r WHERE {found})"
    )
    return relation, frozenset(columns)


def _called(tag: TagMemory, names: Names) -> list[Name]:
    """The name that it has now goes before those it had."""
    return [name for each in (tag.tag, *tag.formerly) if (name := names.find("tag", each)) is not None]


def _tag(tag: TagMemory, names: Names, previous: Version, left: list[str]) -> dict[str, str]:
    cases = []
    called = _called(tag, names)
    for name in called:
        column = f"left_{len(left)}"
        left.append(f"max(matched) FILTER (WHERE kind = 'tag' AND name = {literal(name.name)}) AS {column}")
        cases.append(f"WHEN t{name.id} THEN coalesce({column}, date {literal(previous.as_of.isoformat())})")
    if not cases:
        return {tag.held: "NULL::boolean", tag.matched: "NULL::date"}
    held = ", ".join(f"t{name.id}" for name in called)
    return {tag.held: f"coalesce({held})", tag.matched: f"CASE {' '.join(cases)} END"}


def _tier(tier: TierMemory, names: Names, left: list[str]) -> dict[str, str]:
    of = f"FILTER (WHERE kind = 'tier' AND name = {literal(tier.tier)})"
    there, level, reached, below = (f"left_{len(left) + place}" for place in range(4))
    left += [f"count(*) {of} AS {there}", f"max(level) {of} AS {level}"]
    left += [f"max(reached) {of} AS {reached}", f"max(below) {of} AS {below}"]
    published, since = "NULL::text", "NULL::date"
    if (name := names.find("tier", tier.tier)) is not None:
        published = f"(ARRAY[{', '.join(literal(value) for value in name.values)}]::text[])[l{name.id}]"
        since = f"s{name.id}"
    return {
        tier.level: f'(CASE WHEN {there} > 0 THEN {level} ELSE {published} END)::text COLLATE "C"',
        tier.reached: f"CASE WHEN {there} > 0 THEN {reached} ELSE {since} END",
        tier.below: below,
    }


# -- what was set by hand ----------------------------------------------------------------------------------


def _manual(session: Session, asked: Sequence[ManualMemory], as_of: date, only: Key | None) -> _Part:
    rows = [
        (entry.customer, place, entry.value)
        for place, each in enumerate(asked)
        for entry in manual.latest(session, each.kind, (each.name, *each.formerly), as_of=as_of, customer=only)
        if entry.counts_on(as_of)
    ]
    session.table(
        "store_manual",
        f"SELECT customer, 0 AS place, NULL::{session.schema}.label AS value "
        f"FROM {session.schema}.customers WHERE false",
    )
    session.many("INSERT INTO store_manual VALUES (%s, %s, %s)", rows)
    columns = ", ".join(
        f"{'bool_or(true)' if each.kind == 'tag' else 'max(value)'} FILTER (WHERE place = {place}) "
        f"AS {quote(short(each.column))}"
        for place, each in enumerate(asked)
    )
    return (
        f"(SELECT customer, {columns} FROM store_manual GROUP BY customer)",
        frozenset(each.column for each in asked),
    )


# -- published history -------------------------------------------------------------------------------------


def _past(session: Session, asked: Sequence[Past], line: Sequence[Version], as_of: date, only: Key | None) -> _Part:
    """What is held in a version was held from its day to the one before the next version's."""
    schema = session.schema
    spans = ", ".join(
        f"({version.number}, date {literal(until.isoformat())})" for version, until in in_force(line, as_of)
    )
    columns = []
    for past in asked:
        holds = f"n.kind = '{past.kind}' AND n.name IN ({_texts(past.names)})"
        if past.kind != "tag":
            holds += f" AND l.text IN ({_texts(past.values)})"
        if past.first is not None:
            holds += f" AND until > date {literal(past.first.isoformat())}"
        columns.append(f"bool_or(true) FILTER (WHERE {holds}) AS {quote(short(past.column))}")
    wanted = " OR ".join(f"(n.kind = '{past.kind}' AND n.name IN ({_texts(past.names)}))" for past in asked)
    found = " OR ".join(f"{quote(short(past.column))} IS NOT NULL" for past in asked)
    if not spans:
        spans = "(0, date '0001-01-01')"
    relation = f"""(
        SELECT * FROM (
            SELECT customer, {", ".join(columns)} FROM (
                SELECT a.customer, a.id, a.value, max(s.until) AS until
                FROM {schema}.assignments a JOIN (VALUES {spans}) AS s (version, until)
                ON a.from_version <= s.version AND (a.to_version IS NULL OR a.to_version > s.version)
                WHERE {_narrowed("true", only)}
                AND a.id IN (SELECT n.id FROM {schema}.names n WHERE {wanted})
                GROUP BY a.customer, a.id, a.value
            ) h JOIN {schema}.names n ON n.id = h.id JOIN {schema}.levels l ON l.id = h.id AND l.value = h.value
            GROUP BY customer
        ) r WHERE {found})"""
    return relation, frozenset(past.column for past in asked)


def _texts(texts: Sequence[str]) -> str:
    return ", ".join(literal(text) for text in texts) or "NULL"
