"""What rules read of a customer, as stores keep it and as rules saw it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from decimal import Decimal
from typing import Any

from ruleengine.planning.layout import ValueColumn
from ruleengine.store.records import StoredValues
from ruleengine.types import Kind, Type


def columns_text(columns: Sequence[ValueColumn]) -> str:
    """The columns of values as JSON, as the ledger has them."""
    return json.dumps([asdict(column) for column in columns], ensure_ascii=False)


def columns_of(text: str) -> list[ValueColumn]:
    """The columns of `columns_text`."""
    return [
        ValueColumn(
            column=each["column"],
            name=each["name"],
            type=Type(Kind(each["type"]["kind"]), each["type"]["digits"], each["type"]["scale"]),
        )
        for each in json.loads(text)
    ]


def of_texts(columns: Sequence[ValueColumn], row: Sequence[str | None]) -> StoredValues:
    """The values of these columns by name, from texts as Postgres writes them."""
    return {column.name: _read(text, column.type) for column, text in zip(columns, row, strict=True)}


def _read(text: str | None, type_: Type) -> bool | int | Decimal | float | str | date | None:
    if text is None:
        return None
    match type_.kind:
        case Kind.EXACT:
            return Decimal(text) if type_.scale else int(text)
        case Kind.DOUBLE:
            return float(text)
        case Kind.BOOLEAN:
            return text == "true"
        case Kind.DATE:
            return date.fromisoformat(text)
        case Kind.TEXT:
            return text


def named(columns: Sequence[ValueColumn], row: Sequence[Any]) -> StoredValues:
    """The values of these columns by name, typed as rules saw them."""
    return {column.name: _typed(value, column.type) for column, value in zip(columns, row, strict=True)}


def _typed(value: Any, type_: Type) -> bool | int | Decimal | float | str | date | None:
    if value is None:
        return None
    match type_.kind:
        case Kind.EXACT if type_.scale == 0:
            return int(value)
        case Kind.EXACT:
            return value if isinstance(value, Decimal) else Decimal(str(value))
        case Kind.DOUBLE:
            return float(value)
        case _:
            other: bool | str | date = value
            return other
