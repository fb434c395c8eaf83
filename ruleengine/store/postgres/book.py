"""See `store.Book`: the tables in the schema of a store."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from psycopg.rows import tuple_row

from ruleengine.engines.columns import literal
from ruleengine.store.book import Rows
from ruleengine.store.postgres import session
from ruleengine.store.postgres.ledger import Ledger
from ruleengine.store.postgres.session import Session
from ruleengine.store.refusals import no_version

FORMAT = 2
"""The first one with these tables."""


class PostgresBook:
    """The tables in a schema, which a migration makes; locks are advisory ones."""

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[Ledger | None]],
        opened: Callable[[], Session],
    ) -> None:
        self._reading = reading
        self._opened = opened
        self._is_there = False

    @contextmanager
    def reading(self) -> Iterator[Rows | None]:
        with self._reading() as ledger:
            if ledger is None or not self._has_tables(ledger.session):
                yield None
                return
            yield _rows(ledger.session)

    def _has_tables(self, asked: Session) -> bool:
        if not self._is_there:
            self._is_there = (session.found_format(asked) or 0) >= FORMAT
        return self._is_there

    @contextmanager
    def writing(self) -> Iterator[Rows]:
        with self._reading() as ledger:
            if ledger is None:
                raise no_version()
            session.refuse_older(ledger.session)
            writer = ledger.session
        with writer.transaction():
            writer.run(f"LOCK TABLE {writer.schema}.jobs, {writer.schema}.replies IN SHARE ROW EXCLUSIVE MODE")
            yield _rows(writer)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        opened = self._opened()
        try:
            opened.run(f"SELECT pg_advisory_lock({_key(opened, name)})")
            yield
        finally:
            opened.connection.close()

    def is_held(self, name: str) -> bool:
        opened = self._opened()  # Whoever asks may be in a transaction.
        try:
            return session.is_held(opened, _key(opened, name))
        finally:
            opened.connection.close()


def _key(of: Session, name: str) -> str:
    return f"hashtextextended({literal(f'job {of.schema} {name}')}, 0)"


def _rows(of: Session) -> Rows:
    of.run(f"SET LOCAL search_path = {of.schema}, pg_temp")

    def rows(sql: str, *values: object) -> list[Any]:
        with of.told(), of.connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(sql.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []

    return rows
