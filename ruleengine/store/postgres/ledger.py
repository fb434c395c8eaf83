"""What a store knows of its versions and runs."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from psycopg.rows import dict_row

from ruleengine.diagnostics import codes
from ruleengine.store import versions
from ruleengine.store.names import Name, Names
from ruleengine.store.postgres.session import Session
from ruleengine.store.records import Run, Version
from ruleengine.store.refusals import NotThereError, no_version, unknown_version


class Ledger:
    """Questions to the ledger, each on the state of it that the session's transaction sees."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.schema = session.schema

    def current_number(self) -> int | None:
        row = self.session.row(f"SELECT version FROM {self.schema}.pointer")
        return row[0] if row else None

    def needed(self, number: int | None) -> int:
        """The version's number, the current one's where none is named; NotThereError where there is none."""
        if number is None:
            number = self.current_number()
            if number is None:
                raise no_version()
        else:
            self.version(number)
        return number

    def current(self) -> Version | None:
        number = self.current_number()
        return None if number is None else self.version(number)

    def version(self, number: int) -> Version:
        sql = f"SELECT header, previous_hash, root, hash FROM {self.schema}.versions WHERE number = %s"
        row = self.session.row(sql, number) if 0 < number < 2**63 else None
        if row is None:
            raise unknown_version(number, self.latest_number())
        return versions.version(*row)

    def versions(self) -> tuple[Version, ...]:
        sql = f"SELECT header, previous_hash, root, hash FROM {self.schema}.versions ORDER BY number"
        return tuple(versions.version(*row) for row in self.session.rows(sql))

    def latest_number(self) -> int | None:
        number: int | None = self.session.row(f"SELECT max(number) FROM {self.schema}.versions")[0]
        return number

    def forgot_since(self, number: int) -> bool:
        """Whether a later version forgot somebody, so that a version's counts are not those of its state any more."""
        sql = f"SELECT 1 FROM {self.schema}.runs WHERE kind = 'forget' AND version > %s LIMIT 1"
        return self.session.row(sql, number) is not None

    # -- the line ----------------------------------------------------------------------------------------

    def line_of(self, number: int | None) -> tuple[int, ...]:
        """The versions that lead to one, that one first."""
        bases = dict(self.session.rows(f"SELECT number, base FROM {self.schema}.versions"))
        numbers = []
        while number is not None:
            numbers.append(number)
            number = bases[number]
        return tuple(numbers)

    def line(self) -> tuple[int, ...]:
        return self.line_of(self.current_number())

    def in_force(self, day: date) -> int | None:
        """The version of the line that held on a day."""
        as_ofs = self._as_ofs()
        return next((number for number in self.line() if as_ofs[number] <= day), None)

    def before(self, day: date) -> int | None:
        """The version of the line that held on the day before."""
        as_ofs = self._as_ofs()
        return next((number for number in self.line() if as_ofs[number] < day), None)

    def _as_ofs(self) -> Mapping[int, date]:
        return dict(self.session.rows(f"SELECT number, as_of FROM {self.schema}.versions"))

    # -- runs --------------------------------------------------------------------------------------------

    def run_row(self, run_id: str) -> dict[str, Any]:
        with self.session.told(), self.session.connection.cursor(row_factory=dict_row) as cursor:
            sql = f"SELECT * FROM {self.schema}.runs WHERE id = %s".encode()
            row = None if "\0" in run_id else cursor.execute(sql, [run_id]).fetchone()
        if row is None:
            raise NotThereError(codes.run_unknown(None, run=run_id))
        return row

    def run(self, run_id: str) -> Run:
        return versions.run(self.run_row(run_id))

    def runs(self, limit: int) -> tuple[Run, ...]:
        with self.session.told(), self.session.connection.cursor(row_factory=dict_row) as cursor:
            sql = f"SELECT * FROM {self.schema}.runs ORDER BY sequence DESC LIMIT %s".encode()
            return tuple(versions.run(row) for row in cursor.execute(sql, [limit]).fetchall())

    def run_of(self, number: int) -> dict[str, Any]:
        """The run that made a version."""
        return self.run_row(self.session.row(f"SELECT run FROM {self.schema}.versions WHERE number = %s", number)[0])

    # -- names -------------------------------------------------------------------------------------------

    def names(self) -> Names:
        values: dict[int, list[str]] = {}
        for id_, text in self.session.rows(f"SELECT id, text FROM {self.schema}.levels ORDER BY id, value"):
            values.setdefault(id_, []).append(text)
        rows = self.session.rows(f"SELECT id, kind, name, place FROM {self.schema}.names ORDER BY id")
        return Names(
            tuple(
                Name(
                    id=id_,
                    kind=kind,
                    name=name,
                    place=place,
                    values=tuple(values.get(id_, ()) if kind != "tag" else ()),
                )
                for id_, kind, name, place in rows
            )
        )
