"""CSV files, read by the standard library's reader: no row is passed over, and what is wrong has a line.

DuckDB's own reader guesses comments, headers and line ends, and under some line ends leaves rows out without a word.
So a file is read here and handed to DuckDB in one fixed form.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from ruleengine.engines.columns import literal

DELIMITERS = ",;\t|"
LONGEST_ROW = 16 * 1024 * 1024
"""Characters that a row may have, with all its lines."""


class UnreadableError(Exception):
    """A file that is no table; the text says why, and where."""


def header(file: Path) -> list[str]:
    """The names of a file's columns; raises UnreadableError, or OSError."""
    for row in _rows(file):
        return row
    raise UnreadableError("it is empty; its first line should name the columns")


def check_names(file: Path, names: Sequence[str], wanted: Iterable[str]) -> None:
    """Raise UnreadableError where a file has a wanted column not at all, or more than once."""
    for column in wanted:
        if column not in names:
            raise UnreadableError(f"{file.name} has no column `{column}`, which another file of the source has")
        if names.count(column) > 1:
            raise UnreadableError(f"{file.name} has more than one column `{column}`")


def cells(files: Sequence[Path], columns: Sequence[str]) -> Iterator[list[str]]:
    """The cells of some columns, row by row; raises UnreadableError at a row of another width than the first line."""
    for file in files:
        rows = _rows(file)
        names = next(rows, [])
        check_names(file, names, columns)
        wanted = [names.index(column) for column in columns]
        for row in rows:
            yield [row[index] for index in wanted]


def hand_over(files: Sequence[Path], columns: Sequence[str], target: Path) -> tuple[str, int]:
    """Write the cells into `target` as DuckDB reads them; SQL of that relation, and how many rows it has.

    Its columns are `row`, from 1, and `c0, c1, …`: text, an empty cell missing.
    """
    count = 0
    with target.open("w", encoding="utf-8", newline="") as out:
        for count, row in enumerate(cells(files, columns), 1):  # the last count is wanted
            quoted = ('"' + cell.replace('"', '""') + '"' if cell else "" for cell in row)
            out.write(f"{count},{','.join(quoted)}\n")
    types = ", ".join(["'row': 'BIGINT'", *(f"'c{index}': 'VARCHAR'" for index in range(len(columns)))])
    options = f"auto_detect = false, header = false, columns = {{{types}}}, max_line_size = {LONGEST_ROW * 4 + 1024}"
    style = "delim = ',', quote = '\"', escape = '\"', comment = '', new_line = '\\n', nullstr = ''"
    return f"read_csv({literal(str(target))}, {options}, {style})", count


def _rows(file: Path) -> Iterator[list[str]]:
    """The rows, the names of the columns first; blank lines are left out."""
    csv.field_size_limit(LONGEST_ROW)
    with file.open(encoding="utf-8-sig", newline="") as text:
        lines = _Lines(text)
        reader = csv.reader(lines, delimiter=_delimiter(file), strict=True)
        width = 0
        while True:
            line = reader.line_num + 1
            lines.row = 0
            try:
                row = next(reader)
            except StopIteration:
                return
            except UnicodeDecodeError:
                reason = f"{file.name} is not UTF-8 text, at or after line {line}; spreadsheets call it “CSV UTF-8”"
                raise UnreadableError(reason) from None
            except csv.Error as error:
                raise UnreadableError(f"{file.name}, line {line}: {error}") from None
            except _TooLongError:
                raise UnreadableError(
                    f"{file.name}, line {line}: the row has over {LONGEST_ROW:_} characters"
                ) from None
            if not row:
                continue
            if not width:
                width = len(row)
                row = [name.strip() for name in row]
            elif len(row) != width:
                raise UnreadableError(
                    f"line {line} of {file.name} has {len(row)} cells, but the first line names {width} columns"
                )
            yield row


class _TooLongError(Exception):
    """A row that nobody wrote as one."""


class _Lines:
    """The lines of a file, as long as a row is not too long."""

    def __init__(self, text: TextIO) -> None:
        self.text = text
        self.row = 0
        """Characters of the row that is being read."""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.text.readline(LONGEST_ROW + 1)
        self.row += len(line)
        if self.row > LONGEST_ROW:
            raise _TooLongError
        if not line:
            raise StopIteration
        return line


def _delimiter(file: Path) -> str:
    """What separates the names in the first line most often."""
    with file.open("rb") as raw:
        first = raw.readline(LONGEST_ROW).decode("utf-8-sig", "replace")
    outside = "".join(first.split('"')[::2])
    return max(DELIMITERS, key=lambda each: (outside.count(each), -DELIMITERS.index(each)))
