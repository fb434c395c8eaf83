"""Who holds what, as SQL: rows of customer, id, value (1 of a tag) and since."""

from dataclasses import dataclass

from ruleengine.engines.columns import literal
from ruleengine.planning.layout import TAGS_PER_WORD
from ruleengine.store.comparing import Comparison, tallied
from ruleengine.store.names import Names, levels_sql, table_sql
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session

MEMBERS = "from_version <= {0} AND (to_version IS NULL OR to_version > {0})"
"""Rows that count in a version."""


@dataclass(frozen=True, slots=True)
class State:
    """The answers of a version, or of a run that no version shows yet."""

    assignments: str
    known: str
    """The customers, whether or not they hold anything."""


def of_version(session: Session, number: int) -> State:
    """The answers of a version of which rows were written: of every one that is not detached."""
    schema, counts = session.schema, MEMBERS.format(number)
    return State(
        f"(SELECT customer, id, value, since FROM {schema}.assignments WHERE {counts})",
        f"(SELECT customer FROM {schema}.customers WHERE {counts})",
    )


def of_any(ledger: Ledger, number: int) -> State:
    """The answers of a version, detached or not."""
    version = ledger.version(number)
    if version.detached:
        return of_run(ledger.session, version.base, version.run)
    return of_version(ledger.session, number)


def nobody(session: Session) -> State:
    schema = session.schema
    return State(
        f"(SELECT customer, id, value, since FROM {schema}.assignments WHERE false)",
        f"(SELECT customer FROM {schema}.customers WHERE false)",
    )


def of_run(session: Session, base: int | None, run: str) -> State:
    """The answers of a run that was compared with a version, but takes no place after it."""
    schema, name = session.schema, literal(run)
    before = nobody(session) if base is None else of_version(session, base)
    changed = (
        f"(SELECT c.customer, n.id, l.value, c.since FROM {schema}.changes c "
        f"JOIN {schema}.names n ON n.kind = c.kind AND n.name = c.name "
        f"LEFT JOIN {schema}.levels l ON l.id = n.id AND l.text = c.new WHERE c.run = {name})"
    )
    arrivals = f"{schema}.arrivals a WHERE a.run = {name}"
    return State(
        f"(SELECT b.* FROM {before.assignments} b WHERE NOT EXISTS "
        f"(SELECT 1 FROM {changed} c WHERE c.customer = b.customer AND c.id = b.id) "
        f"UNION ALL SELECT * FROM {changed} c WHERE c.value IS NOT NULL)",
        f"(SELECT b.customer FROM {before.known} b WHERE NOT EXISTS "
        f"(SELECT 1 FROM {arrivals} AND a.customer = b.customer AND NOT a.here) "
        f"UNION SELECT a.customer FROM {arrivals} AND a.here)",
    )


def name_tables(session: Session, names: Names, extra: tuple[tuple[str, dict[int, str]], ...] = ()) -> None:
    """Make `store_names` and `store_levels`, with names that are not written yet."""
    types = {"rule_hash": "text", "reads": "integer"}
    more = "".join(f", {column}::{types[column]}" for column, _ in extra)
    label = f"{session.schema}.label"
    session.table(
        "store_names",
        f"SELECT id, kind::{label}, name::{label}, place, ord{more} FROM {table_sql(names, extra)} AS named",
    )
    session.table("store_levels", f"SELECT id, value::smallint, text::{label} FROM {levels_sql(names)} AS levels")


def packed_columns(names: Names) -> tuple[str, str]:
    """The words and ladders of a row of `customers`, over `h` (holdings of a customer) and `n` (store_names)."""
    words = [
        f"coalesce(bit_or(1::bigint << (n.place % {TAGS_PER_WORD})) "
        f"FILTER (WHERE n.kind = 'tag' AND n.place / {TAGS_PER_WORD} = {word}), 0)"
        for word in range(names.words)
    ]
    ladders = [f"coalesce(max(h.value) FILTER (WHERE h.id = {ladder.id}), 0::smallint)" for ladder in names.ladders]
    return f"ARRAY[{', '.join(words)}]::bigint[]", f"ARRAY[{', '.join(ladders)}]::smallint[]"


def moved(names: Names, moves: str, customers: str, before: str) -> str:
    """The rows of `customers` for these customers after moves (customer, id, kind, place, value; none where nothing is
    held any more): customer, words, ladders. `before` are their rows until then; who was not there has none."""
    words = []
    for word in range(names.words):
        held, ended = (
            f"coalesce(bit_or(1::bigint << (m.place % {TAGS_PER_WORD})) FILTER "
            f"(WHERE m.kind = 'tag' AND m.place / {TAGS_PER_WORD} = {word} AND m.value IS {known}), 0)"
            for known in ("NOT NULL", "NULL")
        )
        words.append(f"((coalesce(b.words[{word + 1}], 0) & ~{ended}) | {held})")
    ladders = [
        f"coalesce(max(coalesce(m.value, 0)) FILTER (WHERE m.id = {ladder.id}), b.ladders[{ladder.place + 1}], 0)"
        for ladder in names.ladders
    ]
    return (
        f"(SELECT c.customer, ARRAY[{', '.join(words)}]::bigint[] AS words, "
        f"ARRAY[{', '.join(ladders)}]::smallint[] AS ladders FROM {customers} c "
        f"LEFT JOIN {before} b ON b.customer = c.customer LEFT JOIN {moves} m ON m.customer = c.customer "
        f"GROUP BY c.customer, b.words, b.ladders)"
    )


def compare(session: Session, names: Names, old: State, new: State) -> Comparison:
    """Compare two states. Leaves `store_moves` (customer, id, old, new, since, stayed), what is held since another day
    being no move, and `store_arrivals` (customer, here). Needs `store_names`."""
    session.table(
        "store_arrivals",
        f"SELECT coalesce(n.customer, o.customer) AS customer, n.customer IS NOT NULL AS here "
        f"FROM {new.known} n FULL JOIN {old.known} o ON o.customer = n.customer "
        f"WHERE n.customer IS NULL OR o.customer IS NULL",
    )
    session.table(
        "store_moves",
        f"SELECT m.*, NOT EXISTS (SELECT 1 FROM store_arrivals a WHERE a.customer = m.customer) AS stayed FROM ("
        f"SELECT coalesce(n.customer, o.customer) AS customer, coalesce(n.id, o.id) AS id, "
        f"coalesce(o.value, 0)::smallint AS old, coalesce(n.value, 0)::smallint AS new, n.since "
        f"FROM {new.assignments} n FULL JOIN {old.assignments} o ON o.customer = n.customer AND o.id = n.id "
        f"WHERE n.value IS DISTINCT FROM o.value) m",
    )
    return counted(session, names)


def counted(session: Session, names: Names) -> Comparison:
    """What `store_moves` and `store_arrivals` come to."""
    arrived, vanished = session.row(
        "SELECT count(*) FILTER (WHERE here), count(*) FILTER (WHERE NOT here) FROM store_arrivals"
    )
    (customers,) = session.row("SELECT count(DISTINCT customer) FROM store_moves")
    with session.told():
        return Comparison(names, arrived, vanished, customers, tallied(session.connection, names))
