"""How a column of the data becomes one of the declared type, and which of its values cannot."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Literal
from zoneinfo import ZoneInfo

from ruleengine.sql.dialect import Clock
from ruleengine.types import ColumnType

Role = Literal["key", "time", "plain"]
Fault = Literal["unreadable", "not-finite", "out-of-range", "out-of-calendar", "rounded"]

_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}
_WIDE_INTEGERS = {"HUGEINT", "UBIGINT", "UHUGEINT"}
_FIRST_INSTANT = "TIMESTAMPTZ '0001-01-02 00:00:00+00'"
_SQL_TYPES = {"text": "VARCHAR", "integer": "BIGINT", "timestamp": "DATE"}
_DAY = r"\d{4}-\d{2}-\d{2}"
_TIME = r"[ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?"
_OFFSET = r" ?(Z|z|[+-](0\d|1[0-5])(:?[0-5]\d)?)"


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Zones:
    """The zone of a source's naive timestamps, and the ruleset's own, in which days are counted."""

    naive: str
    home: str

    @property
    def local(self) -> bool:
        return self.naive == self.home


@dataclass(frozen=True, slots=True)
class Conversion:
    """SQL that converts a column, and SQL that is TRUE for the values that are at fault."""

    sql: str
    clock: Clock = "local"
    faults: tuple[tuple[Fault, str], ...] = ()
    at_extremes: bool = False
    """If any value is at fault, then the smallest or the largest one is."""


def convert_typed(name: str, found: str, declared: ColumnType, role: Role, zones: Zones) -> Conversion | None:
    """A column of a Parquet file, whose type is `found`; None where that type does not fit the declared one."""
    column = quote(name)
    base = found.split("(")[0]
    if found.endswith("]"):  # lists of such values
        return None
    if found == '"NULL"':  # written by who had no value to tell the type by
        return Conversion(f"CAST(NULL AS {'TIMESTAMP' if role == 'time' else _SQL_TYPES.get(declared.name, declared)})")
    match declared.name:
        case "text":
            if base in ("VARCHAR", "ENUM", "UUID"):
                return Conversion(f"CAST({column} AS VARCHAR)")
            if base in _INTEGERS | _WIDE_INTEGERS:
                return Conversion(f"CAST({column} AS VARCHAR)")
        case "integer":
            if base in _INTEGERS:
                return Conversion(f"CAST({column} AS BIGINT)")
            if base in _WIDE_INTEGERS or (base == "DECIMAL" and found.endswith(",0)")):
                sql = f"TRY_CAST({column} AS BIGINT)"
                return Conversion(
                    sql, faults=(("out-of-range", f"{column} IS NOT NULL AND {sql} IS NULL"),), at_extremes=True
                )
        case "decimal":
            target = f"DECIMAL({declared.precision},{declared.scale})"
            sql = f"TRY_CAST({column} AS {target})"
            too_large: tuple[Fault, str] = ("out-of-range", f"{column} IS NOT NULL AND {sql} IS NULL")
            if base in _INTEGERS | _WIDE_INTEGERS:
                return Conversion(sql, faults=(too_large,), at_extremes=True)
            if base == "DECIMAL":
                precision, scale = (int(part) for part in found[8:-1].split(","))
                if scale <= declared.scale and precision - scale <= declared.precision - declared.scale:
                    return Conversion(f"CAST({column} AS {target})")
                # Both sides have to fit one type: with the larger scale, a large number would not.
                rounded = f"{sql} IS NOT NULL AND TRY_CAST({sql} AS {found}) IS DISTINCT FROM {column}"
                return Conversion(sql, faults=(too_large, ("rounded", rounded)))
            if base in ("DOUBLE", "FLOAT"):
                finite = f"isfinite({column})"
                return Conversion(
                    sql,
                    faults=(
                        ("not-finite", f"{column} IS NOT NULL AND NOT {finite}"),
                        ("out-of-range", f"{finite} AND {sql} IS NULL"),
                    ),
                )
        case "boolean":
            if base == "BOOLEAN":
                return Conversion(column)
        case "date" | "timestamp":
            if base == "DATE" or base.startswith("TIMESTAMP"):
                return replace(convert_time(column, found, role, zones), at_extremes=True)
        case _:
            raise AssertionError(f"no such column type: {declared}")
    return None


def convert_time(column: str, found: str, role: Role, zones: Zones) -> Conversion:
    """A column of dates or timestamps, of any engine; `found` is DATE, TIMESTAMP, TIMESTAMP WITH TIME ZONE …"""
    finite: tuple[Fault, str] = ("not-finite", f"{column} IS NOT NULL AND NOT isfinite({column})")
    if found == "TIMESTAMP_NS":  # which ends in 2262
        # Fractions are cut; a cast would round them.
        return _of_naive(f"make_timestamp(epoch_ns({column}) // 1000)", role, zones, (finite,))
    kind = found if found in ("DATE", "TIMESTAMP WITH TIME ZONE") else "TIMESTAMP"
    first, end = (f"{kind} '{day}{' 00:00:00+00' * kind.endswith('ZONE')}'" for day in ("0001-01-01", "10000-01-01"))
    beyond: tuple[Fault, str] = ("out-of-calendar", f"isfinite({column}) AND ({column} < {first} OR {column} >= {end})")
    faults = (finite, beyond)
    if kind == "DATE":
        return Conversion(f"CAST({column} AS {'TIMESTAMP' if role == 'time' else 'DATE'})", faults=faults)
    if kind == "TIMESTAMP":
        return _of_naive(f"CAST({column} AS TIMESTAMP)", role, zones, faults)
    return _of_instant(column, role, zones, faults)


def _of_instant(instant: str, role: Role, zones: Zones, faults: tuple[tuple[Fault, str], ...]) -> Conversion:
    if role == "time":
        # Some zones are still in the year before.
        too_early: tuple[Fault, str] = ("out-of-calendar", f"{instant} < {_FIRST_INSTANT}")
        return Conversion(instant, "instant", (*faults, too_early))
    home = literal(zones.home)
    # A last moment in UTC may be of the year after it elsewhere, where the calendar has ended.
    day = (
        f"CASE WHEN {instant} < timezone({home}, TIMESTAMP '0001-01-01 00:00:00') THEN DATE '0001-01-01' "
        f"WHEN {instant} >= timezone({home}, TIMESTAMP '10000-01-01 00:00:00') THEN DATE '9999-12-31' "
        f"ELSE CAST(timezone({home}, {instant}) AS DATE) END"
    )
    return Conversion(day, faults=faults)


def _of_naive(naive: str, role: Role, zones: Zones, faults: tuple[tuple[Fault, str], ...]) -> Conversion:
    if not zones.local:
        return _of_instant(instant_of(naive, zones.naive), role, zones, faults)
    return Conversion(naive if role == "time" else f"CAST({naive} AS DATE)", faults=faults)


def convert_text(name: str, declared: ColumnType, role: Role, zones: Zones, offsets: bool) -> Conversion:
    """A column of a CSV file. `offsets`: some of its times say their distance from UTC."""
    column = quote(name)
    text = f"trim({column})"

    def checked(sql: str, pattern: str, *more: tuple[Fault, str]) -> tuple[tuple[Fault, str], ...]:
        readable = f"regexp_full_match({text}, {literal(pattern)})"
        return (
            ("unreadable", f"{column} IS NOT NULL AND NOT {readable}"),
            ("out-of-range", f"{readable} AND ({sql}) IS NULL"),
            *more,
        )

    match declared.name:
        case "text":
            return Conversion(column)
        case "integer":
            sql = f"TRY_CAST({text} AS BIGINT)"
            return Conversion(sql, faults=checked(sql, r"[+-]?\d+"))
        case "decimal":
            sql = f"TRY_CAST({text} AS DECIMAL({declared.precision},{declared.scale}))"
            special = r"(?i)[+-]?(nan|inf|infinity)"
            unreadable, too_large = checked(sql, r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
            digits = f"length(rtrim(split_part({text}, '.', 2), '0'))"
            differs = f"TRY_CAST({text} AS DOUBLE) <> CAST({sql} AS DOUBLE)"
            rounded = f"CASE WHEN contains(lower({text}), 'e') THEN {differs} ELSE {digits} > {declared.scale} END"
            return Conversion(
                sql,
                faults=(
                    ("not-finite", f"regexp_full_match({text}, {literal(special)})"),
                    (unreadable[0], f"{unreadable[1]} AND NOT regexp_full_match({text}, {literal(special)})"),
                    too_large,
                    ("rounded", rounded),
                ),
            )
        case "boolean":
            sql = (
                f"CASE WHEN lower({text}) IN ('true', 't', 'yes', 'y', '1') THEN TRUE "
                f"WHEN lower({text}) IN ('false', 'f', 'no', 'n', '0') THEN FALSE END"
            )
            return Conversion(sql, faults=checked(sql, r"(?i)true|t|yes|y|1|false|f|no|n|0"))
        case _:
            naive = f"TRY_CAST(regexp_extract({text}, {literal(_DAY + '(' + _TIME + ')?')}) AS TIMESTAMP)"
            pattern = f"{_DAY}({_TIME}({_OFFSET})?)?"

            def real(sql: str) -> tuple[tuple[Fault, str], ...]:
                """30 February is as unreadable as any other text."""
                written = f"regexp_full_match({text}, {literal(pattern)}) AND NOT starts_with({text}, '0000')"
                readable = f"{written} AND ({sql}) IS NOT NULL"
                return (("unreadable", f"{column} IS NOT NULL AND NOT ({readable})"),)

            if not offsets:
                if declared.name == "date":  # a day is one wherever it was written
                    return Conversion(f"CAST({naive} AS DATE)", faults=real(naive))
                return _of_naive(naive, role, zones, real(naive))
            has_offset = f"regexp_full_match({text}, {literal(_DAY + _TIME + _OFFSET)})"
            closed = f"regexp_replace(upper({text}), ' ?(Z|[+-][0-9:]+)$', '\\1')"
            plain = instant_of(naive, zones.naive)
            zoned = f"CASE WHEN {has_offset} THEN TRY_CAST({closed} AS TIMESTAMPTZ) ELSE {plain} END"
            return _of_instant(zoned, role, zones, real(zoned))


def has_offsets(name: str) -> str:
    """SQL that counts the times of a CSV column that say their distance from UTC."""
    return f"count(*) FILTER (WHERE regexp_full_match(trim({quote(name)}), {literal(_DAY + _TIME + _OFFSET)}))"


def instant_of(naive: str, zone: str) -> str:
    """The instant of a wall time in a zone: of a repeated one the earlier, a skipped one moved forward by the gap."""
    instant = f"timezone({literal(zone)}, {naive})"  # ICU takes the later of a repeated one
    made = instant
    for overlap in sorted(_overlaps(zone)):
        earlier = f"{instant} - INTERVAL '{overlap} seconds'"
        made = f"CASE WHEN timezone({literal(zone)}, {earlier}) = {naive} THEN {earlier} ELSE {made} END"
    return made


@cache
def _overlaps(zone: str) -> frozenset[int]:
    """By how many seconds the clocks of a zone were ever set back, from 1950 to 2050."""
    info, found = ZoneInfo(zone), set()
    moment = datetime(1950, 1, 1, tzinfo=UTC)
    before = info.utcoffset(moment.astimezone(info))
    while moment.year < 2050:
        moment += timedelta(hours=18)
        after = info.utcoffset(moment.astimezone(info))
        assert before is not None
        assert after is not None
        if after < before:
            found.add(int((before - after).total_seconds()))
        before = after
    return frozenset(found)
