"""Sources bound to data, on any engine: the relations that a run reads, and what is wrong with them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from ruleengine.checking.ruleset import Column, Entity, Events, Ruleset
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import ProblemError, Problems
from ruleengine.engines.columns import Conversion, Role, Zones, literal, quote
from ruleengine.engines.engine import Rows
from ruleengine.engines.forgotten import Forgotten
from ruleengine.schema import Binding, Profile
from ruleengine.sql.dialect import Clock
from ruleengine.sql.scans import source_relation

Declared = Sequence[tuple[Column, Role]]
Matched = Sequence[tuple[Column, Role, str]]
"""Declared columns with their names in the data."""
Converted = Sequence[tuple[Column, Role, str, Conversion]]
"""And how they become what is declared."""


class Binder(ABC):
    """Makes the relations of a ruleset on a connection, from what a profile binds its sources to."""

    def __init__(self, ruleset: Ruleset, profile: Profile, forgotten: Forgotten) -> None:
        self.ruleset = ruleset
        self.profile = profile
        self.forgotten = forgotten
        self.left_out = 0
        """Customers of the data who were forgotten."""
        self.clocks: dict[str, Clock] = {}
        """By events source, how its times lie."""
        self.every_key: set[str] = set()
        """Events sources of whose events none is without a key."""

    # -- what engines do each in its way ----------------------------------------------------------------

    @abstractmethod
    def bind_source(self, name: str, binding: Binding, columns: Declared, zones: Zones, found: Problems) -> None:
        """Make the relation of the entity or of events, and report what is wrong with its data."""

    @abstractmethod
    def rows(self, sql: str) -> Rows: ...

    @abstractmethod
    def first(self, name: str, physical: str, condition: str) -> tuple[int | None, str]:
        """The first row, from 1, that meets a condition, if rows have an order, and the value of a column there."""

    @abstractmethod
    def is_unique(self, values: str) -> bool:
        """Whether no two rows of a relation have the same `value`, none of which is missing."""

    @abstractmethod
    def rename(self, relation: str, to: str) -> None:
        """Have a relation of the entity or of events go by another name; both as SQL writes them."""

    @abstractmethod
    def digest(self, text: str) -> str:
        """SQL for the SHA-256 of a text in UTF-8, as hex."""

    @abstractmethod
    def finish(self) -> None:
        """Drop what only binding needs."""

    def quote(self, name: str) -> str:
        """An identifier of ours in SQL."""
        return quote(name)

    def relation(self, name: str) -> str:
        """The relation of the entity or of events in SQL."""
        return self.quote(source_relation(name))

    # -- binding ----------------------------------------------------------------------------------------

    def bind(self) -> Problems:
        """Make every relation. Raises ProblemError with all that is wrong with the data; returns the warnings."""
        found = Problems()
        home = self.ruleset.timezone
        for name, source, columns, zone in self.wanted():
            try:
                binding = self.profile.binding(source)
            except ProblemError as error:
                found.extend(error.problems)
            else:
                self.bind_source(name, binding, columns, Zones(zone or home, home), found)
        if not found.has_errors:
            if self.forgotten.hashes:
                self._leave_out()
            self._check_keys(found)
        if found.has_errors:
            raise ProblemError(*found)
        self.finish()
        return found

    def wanted(self) -> Iterator[tuple[str, str, Declared, str | None]]:
        """What is to be bound: a name, its source, the columns, and the zone of naive times."""
        entity = self.ruleset.entity
        if not entity.distinct:
            yield entity.name, entity.source, columns_of_entity(entity), None
        for events in self.ruleset.events.values():
            yield events.name, events.source, columns_of_events(events), events.zone

    def keyed(self) -> Iterator[tuple[str, str, Column, bool]]:
        """The keys to be checked: the name and the source they belong to, and whether each row needs one."""
        entity = self.ruleset.entity
        if not entity.distinct:
            yield entity.name, entity.source, entity.key, True
        for events in self.ruleset.events.values():
            if events.key is not None:
                yield events.name, events.source, events.key, False

    def _leave_out(self) -> None:
        """Have no relation show customers who were forgotten, so that nothing counts them or their events."""
        entity = self.ruleset.entity
        keys = {} if entity.distinct else {entity.name: entity.key.name}
        keys |= {events.name: events.customer.name for events in self.ruleset.events.values()}
        everybody = " UNION ".join(
            f"SELECT {self.quote(key)} AS customer FROM {self.relation(name)} WHERE {self.quote(key)} IS NOT NULL"
            for name, key in keys.items()
        )
        hashed = self.digest(f"{literal(self.forgotten.secret)} || CAST(customer AS VARCHAR)")
        hashes = ", ".join(map(literal, sorted(self.forgotten.hashes)))
        self.rows(
            f"CREATE TEMPORARY TABLE forgotten AS "
            f"SELECT customer FROM ({everybody}) AS everybody WHERE {hashed} IN ({hashes})"
        )
        ((self.left_out,),) = self.rows("SELECT count(*) FROM forgotten")
        if not self.left_out:
            return
        for name, key in keys.items():
            whole = self.quote(f"whole {name}")
            self.rename(self.relation(name), whole)
            self.rows(
                f"CREATE TEMPORARY VIEW {self.quote(source_relation(name))} AS SELECT * FROM {whole} AS rows "
                f"WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE forgotten.customer = rows.{self.quote(key)})"
            )

    def match_columns(
        self, binding: Binding, types: Mapping[str, object], columns: Declared, found: Problems
    ) -> Matched | None:
        """The declared columns with their names in the data; None where some are not there."""
        matched = []
        for column, role in columns:
            name = binding.columns.get(column.name, column.name)
            if name not in types:
                known = ", ".join(list(types)[:20]) + ("…" if len(types) > 20 else "")
                close = near(name, types)
                found.add(
                    codes.column_missing(
                        binding.span, source=binding.source, column=name, near=close, known=known or None
                    )
                )
            else:
                matched.append((column, role, name))
        return matched if len(matched) == len(columns) else None

    def selected(self, name: str, converted: Converted) -> str:
        """SELECT the declared columns, named and typed as they are declared."""
        columns = []
        for column, role, _, conversion in converted:
            columns.append(f"{conversion.sql} AS {self.quote(column.name)}")
            if role == "time":
                self.clocks[name] = conversion.clock
        return f"SELECT {', '.join(columns)}"

    # -- what can be wrong with the data ----------------------------------------------------------------

    def check_values(self, name: str, binding: Binding, relation: str, converted: Converted, found: Problems) -> None:
        """Report the values that do not fit."""
        suspects = self._suspects(relation, converted)
        checks = [
            (column, physical, fault, condition)
            for column, _, physical, conversion in converted
            if not conversion.at_extremes or physical in suspects
            for fault, condition in conversion.faults
        ]
        if not checks:
            return
        counted = ", ".join(f"count(*) FILTER (WHERE {condition})" for *_, condition in checks)
        ((*counts,),) = self.rows(f"SELECT {counted} FROM {relation}")
        span, source = binding.span, binding.source
        for (column, physical, fault, condition), count in zip(checks, counts, strict=True):
            if not count:
                continue
            declared = str(column.type)
            if fault == "rounded":
                found.add(codes.value_rounded(span, count=count, column=physical, source=source, declared=declared))
                continue
            row, value = self.first(name, physical, condition)
            facts = {"source": source, "column": physical, "count": count, "row": row}
            match fault:
                case "unreadable":
                    found.add(codes.value_unreadable(span, **facts, declared=declared, value=value[:60]))
                case "not-finite":
                    found.add(codes.value_not_finite(span, **facts))
                case "out-of-calendar":
                    found.add(codes.value_out_of_calendar(span, **facts, value=value[:60]))
                case "out-of-range":
                    found.add(codes.value_out_of_range(span, **facts, declared=declared, value=value[:60]))

    def _suspects(self, relation: str, converted: Converted) -> set[str]:
        """Columns whose smallest or largest value is at fault. Parquet files say these without being read."""
        looked = [
            (physical, condition)
            for _, _, physical, conversion in converted
            if conversion.at_extremes
            for _, condition in conversion.faults
        ]
        if not looked:
            return set()
        columns = [quote(physical) for physical in dict.fromkeys(physical for physical, _ in looked)]
        ends = " UNION ALL ".join(
            f"SELECT {', '.join(f'{end}({column}) AS {column}' for column in columns)} FROM {relation}"
            for end in ("min", "max")
        )
        asked = ", ".join(f"bool_or({condition})" for _, condition in looked)
        ((*faulty,),) = self.rows(f"SELECT {asked} FROM ({ends})")
        return {physical for (physical, _), is_faulty in zip(looked, faulty, strict=True) if is_faulty}

    def _check_keys(self, found: Problems) -> None:
        for name, source, column, required in self.keyed():
            self.check_key(name, self.profile.binding(source), column.name, required, found)

    def check_key(self, name: str, binding: Binding, column: str, required: bool, found: Problems) -> None:
        """Report keys that are missing, where they are `required`, or stand twice."""
        relation, key = self.relation(name), self.quote(column)
        span, source, physical = binding.span, binding.source, binding.columns.get(column, column)
        ((rows, present),) = self.rows(f"SELECT count(*), count({key}) FROM {relation}")
        if present == rows:
            self.every_key.add(name)
        if required and present < rows:
            row, _ = self.first(name, physical, f"{quote(physical)} IS NULL")
            found.add(codes.key_missing(span, source=source, column=column, count=rows - present, row=row))
        values = f"(SELECT {key} AS value FROM {relation} WHERE {key} IS NOT NULL) AS keys"
        if not self.is_unique(values):
            repeated = self.rows(
                f"SELECT CAST(value AS VARCHAR), count(*) OVER () FROM {values} "
                "GROUP BY value HAVING count(*) > 1 ORDER BY value LIMIT 3"
            )
            examples = ", ".join(str(row[0]) for row in repeated)
            events = None if required else source
            found.add(
                codes.key_repeated(
                    span, source=source, column=column, count=repeated[0][1], examples=examples, events=events
                )
            )


def type_problem(
    binding: Binding, column: Column, physical: str, role: Role, found: str, fitting: str | None, problems: Problems
) -> None:
    """Report a column that is another than declared; `found` says what in plain words, `fitting` how to declare it."""
    text_key = column.type.name == "text" and role == "key"
    problems.add(
        codes.column_type(
            binding.span,
            source=binding.source,
            column=physical,
            found=found,
            declared=str(column.type),
            fitting=None if text_key else fitting,
            key=physical if text_key else None,
        )
    )


def columns_of_entity(entity: Entity) -> Declared:
    return [(entity.key, "key"), *((column, "plain") for column in entity.columns)]


def columns_of_events(events: Events) -> Declared:
    columns: list[tuple[Column, Role]] = [(events.customer, "key"), (events.at, "time")]
    if events.key is not None:
        columns.append((events.key, "key"))
    columns.extend((column, "plain") for column in events.columns)
    return columns
