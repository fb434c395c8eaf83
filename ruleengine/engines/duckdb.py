"""The embedded engine: DuckDB in memory, over CSV and Parquet files, locked down before a rule runs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

import duckdb

from ruleengine.checking.ruleset import Ruleset
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.engines.columns import literal
from ruleengine.engines.connecting import connected
from ruleengine.engines.engine import Engine, Rows, TooLarge
from ruleengine.engines.files import FileBinder, reason_of
from ruleengine.engines.forgotten import NOBODY, Forgotten
from ruleengine.engines.interruption import interruptible
from ruleengine.planning.layout import Layout
from ruleengine.schema import Profile
from ruleengine.scratch import Scratch
from ruleengine.sql.dialect import Dialect
from ruleengine.sql.duckdb import DUCKDB


class DuckDB(Engine):
    """See `Engine`. `writable` are the folders into which results may be written; who was `forgotten` is left out."""

    dialect: ClassVar[Dialect] = DUCKDB

    def __init__(
        self, ruleset: Ruleset, profile: Profile, writable: Sequence[Path] = (), forgotten: Forgotten = NOBODY
    ) -> None:
        super().__init__(ruleset, profile)
        self._scratch = Scratch()
        self._spill = self._scratch.path
        try:
            self.connection = connected()
            self._configure(writable)
            with interruptible(self.connection):
                self._binder = FileBinder(self.connection, ruleset, profile, self._spill, forgotten)
                self.problems.extend(self._binder.bind())
                self.clocks, self.every_key = self._binder.clocks, self._binder.every_key
                self.left_out = self._binder.left_out
        except duckdb.Error as error:
            self.close()
            raise ProblemError(self._failed(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if hasattr(self, "connection"):
            self.connection.close()
        self._scratch.close()

    def query(self, sql: str) -> tuple[list[str], Rows]:
        try:
            done = self.connection.execute(sql)
            return [str(column[0]) for column in done.description or ()], done.fetchall()
        except (duckdb.ConversionException, duckdb.OutOfRangeException) as error:
            raise TooLarge(self._failed(error)) from error
        except duckdb.Error as error:
            raise ProblemError(self._damaged(error) or self._failed(error)) from error

    def remember(self, tell: Callable[[duckdb.DuckDBPyConnection], object]) -> None:
        tell(self.connection)

    def results(self, layout: Layout) -> duckdb.DuckDBPyConnection:
        return self.connection

    def begin_again(self) -> None:
        pass  # CREATE OR REPLACE

    def interruptible(self) -> AbstractContextManager[None]:
        return interruptible(self.connection)

    # -- setting up -------------------------------------------------------------------------------------

    def _configure(self, writable: Sequence[Path]) -> None:
        run = self.connection.execute
        if self.profile.memory is not None:
            run(f"SET memory_limit = {literal(self.profile.memory)}")
        if self.profile.threads is not None:
            run(f"SET threads = {self.profile.threads}")
        files = [file for source in self.ruleset.bound for file in self.profile.files(source)]
        close_off(self.connection, self._spill, files, writable)
        for macro in DUCKDB.prelude:
            run(macro)

    # -- looking at the data ----------------------------------------------------------------------------

    def _damaged(self, error: duckdb.Error) -> Problem | None:
        """The source that a statement could not read, which DuckDB names not at all, or by its path alone."""
        if isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException):
            return None
        return self._binder.damaged()

    def _failed(self, error: duckdb.Error) -> Problem:
        if isinstance(error, duckdb.CatalogException | duckdb.BinderException | duckdb.ParserException):
            raise error  # SQL of ours that is wrong is no problem of the user's
        return codes.engine_failed(None, reason=reason_of(error), directory=str(self._spill.parent))


def close_off(
    connection: duckdb.DuckDBPyConnection, spill: Path, files: Sequence[Path], writable: Sequence[Path]
) -> None:
    """From now on the connection reads these files, reads and writes in these folders, and nothing else."""
    run = connection.execute
    run(f"SET temp_directory = {literal(str(spill))}")
    run("SET TimeZone = 'UTC'")
    run("SET preserve_insertion_order = false")
    run("SET enable_progress_bar = false")
    run(f"SET allowed_paths = [{', '.join(literal(str(file.absolute())) for file in files)}]")
    folders = [str(folder.absolute()) for folder in (*writable, spill)]
    run(f"SET allowed_directories = [{', '.join(literal(folder + '/') for folder in folders)}]")
    run("SET enable_external_access = false")
    run("SET lock_configuration = true")
