"""How a column of a Postgres table becomes one of the declared type, and which of its values cannot."""

from ruleengine.engines.columns import Conversion, Fault, Role, Zones, convert_time, quote
from ruleengine.types import ColumnType

_INTEGERS = {"smallint", "integer", "bigint"}
_FLOATS = {"real", "double precision"}
_TEXTS = {"text", "character varying", "character", "name", "citext", "uuid"}
_HALF = 2**60
"""Doubles of more than 64 bits are made whole numbers in two parts."""


def convert(name: str, found: str, declared: ColumnType, role: Role, zones: Zones) -> Conversion | None:
    """A column whose type Postgres calls `found` (or `enum`); None where that does not fit the declared one."""
    column, base = quote(name), found.split("(")[0]
    if found.endswith("[]"):  # of such values
        return None
    match declared.name:
        case "text":
            if base in _TEXTS | _INTEGERS | {"enum"}:
                # By code point, whatever the collation of the column and the database.
                return Conversion(f'CAST({column} AS text) COLLATE "C"')
        case "integer":
            if base in _INTEGERS:
                return Conversion(f"CAST({column} AS bigint)")
            if base == "numeric" and found.endswith(",0)"):
                fits = f"{column} BETWEEN {-(2**63)} AND {2**63 - 1}"
                return _limited(column, f"CASE WHEN {fits} THEN CAST({column} AS bigint) END")
        case "decimal":
            return _decimal(column, found, declared.precision, declared.scale)
        case "boolean":
            if base == "boolean":
                return Conversion(column)
        case "date" | "timestamp":
            if base == "date" or base.startswith("timestamp"):
                kind = "TIMESTAMP WITH TIME ZONE" if found.endswith("with time zone") else base.upper()
                return convert_time(column, kind, role, zones)
        case _:
            raise AssertionError(f"no such column type: {declared}")
    return None


def _decimal(column: str, found: str, precision: int, scale: int) -> Conversion | None:
    base, target, limit = found.split("(")[0], f"numeric({precision},{scale})", 10 ** (precision - scale)
    if base in _INTEGERS:
        number = f"CAST({column} AS numeric)"  # the smallest whole number of 64 bits has no abs()
        return _limited(column, f"CASE WHEN abs({number}) < {limit} THEN CAST({column} AS {target}) END", finite=True)
    if base in _FLOATS:
        return _limited(column, _of_float(f"CAST({column} AS double precision)", precision, scale))
    if base != "numeric":
        return None
    if found != base:
        digits, places = (int(part) for part in found[8:-1].split(","))
        if places <= scale and digits - places <= precision - scale:
            return Conversion(f"CAST({column} AS {target})", faults=(_not_finite(column),))
    sql = f"CASE WHEN abs(round({column}, {scale})) < {limit} THEN CAST({column} AS {target}) END"
    made = _limited(column, sql)
    return Conversion(sql, faults=(*made.faults, ("rounded", f"{sql} <> {column}")))


def _of_float(number: str, precision: int, scale: int) -> str:
    """Rounded as DuckDB does, which counts a billionth towards the farther neighbour."""
    units = f"({number} * {10**scale}.0::double precision)"
    nudged = f"({units} + sign({units}) * 1e-9::double precision)"
    if precision <= 18:
        whole = f"CAST(CAST({nudged} AS bigint) AS numeric)"
    else:
        high = f"trunc({nudged} / {_HALF}::double precision)"
        low = f"CAST({nudged} - {high} * {_HALF}::double precision AS bigint)"
        whole = f"(CAST(CAST({high} AS bigint) AS numeric) * {_HALF} + {low})"
    unit = f"0.{'1'.rjust(scale, '0')}" if scale else "1"
    made = f"CAST({whole} * {unit} AS numeric({precision},{scale}))"
    return f"CASE WHEN abs({nudged}) < 1e{precision}::double precision THEN {made} END"


def _limited(column: str, sql: str, *, finite: bool = False) -> Conversion:
    """A conversion that makes nothing of what does not fit; `finite`: whose values are all numbers."""
    is_finite = _is_finite(column)
    too_large: tuple[Fault, str] = ("out-of-range", f"{is_finite} AND ({sql}) IS NULL")
    if finite:
        return Conversion(sql, faults=(("out-of-range", f"{column} IS NOT NULL AND ({sql}) IS NULL"),))
    return Conversion(sql, faults=(_not_finite(column), too_large))


def _not_finite(column: str) -> tuple[Fault, str]:
    return "not-finite", f"{column} IS NOT NULL AND NOT ({_is_finite(column)})"


def _is_finite(column: str) -> str:
    return f"({column} > '-Infinity' AND {column} < 'Infinity')"  # NaN is larger than all others


def plain_type(found: str) -> str:
    """What a person would call the type."""
    if found.endswith("[]"):
        return "a list"
    base = found.split("(")[0]
    if base in _INTEGERS:
        return "a whole number"
    if base in _FLOATS:
        return "a floating-point number"
    if base in _TEXTS | {"enum"}:
        return "text"
    return "a timestamp" if base.startswith("timestamp") else _PLAIN.get(base, found)


def fitting(found: str) -> str | None:
    """The declaration that would fit what the data has."""
    if found.endswith("[]"):
        return None
    base = found.split("(")[0]
    if base in _FLOATS | {"numeric"}:
        return "decimal"
    if base in _INTEGERS:
        return "integer"
    if base in _TEXTS | {"enum"}:
        return "text"
    return "timestamp" if base.startswith("timestamp") else base if base in _PLAIN else None


_PLAIN = {"boolean": "true/false", "date": "a date"}
