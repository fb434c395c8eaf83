"""What is served: a customer's document, made of what he holds, and who holds what."""

import json
from collections.abc import Sequence
from datetime import date
from typing import Any

from ruleengine.engines.columns import literal
from ruleengine.store.names import Name
from ruleengine.store.postgres.holdings import State
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Key


def rendered(held: Sequence[tuple[str | None, str, str, date]]) -> bytes:
    """The bytes of `records.Answer`, of rows of kind, name, value and since in the order of names; one without a kind
    stands for a customer who holds nothing."""
    tags, tiers, classes = [], {}, {}
    for kind, name, value, since in held:
        if kind == "tag":
            tags.append({"name": name, "since": since.isoformat()})
        elif kind == "tier":
            tiers[name] = {"level": value, "since": since.isoformat()}
        elif kind == "class":
            classes[name] = {"value": value, "since": since.isoformat()}
    document = {"tags": tags, "tiers": tiers, "classes": classes}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def of_customers(session: Session, state: State, keys: Sequence[Key | None]) -> list[bytes | None]:
    """The document of each key; None where there is no such customer."""
    listed = ", ".join(key_literal(key) for key in set(keys) if key is not None)
    if not listed:
        return [None] * len(keys)
    rows = session.rows(
        f"SELECT k.customer, n.kind, n.name, l.text, h.since FROM {state.known} k "
        f"LEFT JOIN {state.assignments} h ON h.customer = k.customer "
        f"LEFT JOIN {session.schema}.names n ON n.id = h.id "
        f"LEFT JOIN {session.schema}.levels l ON l.id = h.id AND l.value = h.value "
        f"WHERE k.customer IN ({listed}) ORDER BY k.customer, n.name"
    )
    held: dict[Key, list[Any]] = {}
    for customer, *holding in rows:
        held.setdefault(customer, []).append(holding)
    return [rendered(held[key]) if key in held else None for key in keys]


def members(session: Session, state: State, name: Name, position: int, after: Key | None, limit: int) -> Sequence[Key]:
    """At most `limit` customers, in key order."""
    bound = "" if after is None else f"AND customer > {key_literal(after)} "
    rows = session.rows(
        f"SELECT customer FROM {state.assignments} h "
        f"WHERE id = {name.id} AND value = {position} {bound}ORDER BY customer LIMIT {limit}"
    )
    return [customer for (customer,) in rows]


def key_literal(key: Key) -> str:
    return literal(key) if isinstance(key, str) else f"'{key}'::bigint"
