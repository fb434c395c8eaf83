"""One way to write JSON, so that equal things have equal bytes: RFC 8785's, but numbers as they are kept here.

Keys in code point order, no spaces, nothing escaped that need not be. Exact numbers with a fraction are text, as are
whole numbers beyond 2^53; doubles are written shortest (as Python and DuckDB do); dates are ISO text.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import assert_never

from ruleengine.engines.columns import literal, quote
from ruleengine.planning.layout import ValueColumn
from ruleengine.store.records import Json
from ruleengine.types import Kind

LARGEST_WHOLE = 2**53
# JSON has short escapes for five control characters; the others are \u00xx, in lower case.
_SHORT = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
_CONTROLS = {code: _SHORT.get(code, f"\\u{code:04x}") for code in range(0x20)}


def plain(value: object) -> Json:
    """A value as it stands in canonical JSON."""
    match value:
        case None | bool() | str() | float():
            return value
        case int():
            return value if -LARGEST_WHOLE <= value <= LARGEST_WHOLE else str(value)
        case Decimal():
            is_whole = value.as_tuple().exponent == 0  # a column that is declared decimal(18,0)
            return plain(int(value)) if is_whole else format(value, "f")
        case datetime() | date():
            return value.isoformat()
        case Mapping():
            return {str(name): plain(each) for name, each in value.items()}
        case Sequence():
            return [plain(each) for each in value]
        case _:
            raise TypeError(f"{type(value).__name__} has no canonical form")


def dump(value: object) -> str:
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def text_sql(expression: str) -> str:
    """DuckDB's expression for a text as JSON."""
    quoted = f"replace(replace({expression}, '\\', '\\\\'), '\"', '\\\"')"
    escaped = quoted
    for code, escape in _CONTROLS.items():
        escaped = f"replace({escaped}, chr({code}), {literal(escape)})"
    controls = f"regexp_matches({expression}, '[\\x00-\\x1f]')"
    return f"('\"' || CASE WHEN {controls} THEN {escaped} ELSE {quoted} END || '\"')"


def value_sql(column: ValueColumn, table: str) -> str:
    """DuckDB's expression for one value as JSON."""
    value = f"{table}.{quote(column.column)}"
    match column.type.kind:
        case Kind.TEXT:
            written = text_sql(value)
        case Kind.BOOLEAN | Kind.DOUBLE:
            written = f"{value}::VARCHAR"
        case Kind.DATE:
            written = f"'\"' || {value}::VARCHAR || '\"'"
        case Kind.EXACT if column.type.scale:
            written = f"'\"' || {value}::VARCHAR || '\"'"
        case Kind.EXACT if column.type.digits <= 15:
            written = f"{value}::VARCHAR"
        case Kind.EXACT:
            small = f"{value} BETWEEN -{LARGEST_WHOLE} AND {LARGEST_WHOLE}"
            written = f"CASE WHEN {small} THEN {value}::VARCHAR ELSE '\"' || {value}::VARCHAR || '\"' END"
        case _:
            assert_never(column.type.kind)
    return f"coalesce({written}, 'null')"


def object_sql(columns: Sequence[ValueColumn], table: str) -> str:
    """DuckDB's expression for an object of values by name."""
    parts: list[str] = []
    for index, column in enumerate(sorted(columns, key=lambda column: column.name)):
        parts.append(literal(("," if index else "{") + json.dumps(column.name, ensure_ascii=False) + ":"))
        parts.append(value_sql(column, table))
    return " || ".join(parts) + " || '}'" if parts else "'{}'"
