"""`expected.csv`: what a suite expects of customers, a row for each and each date; read, and written anew."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from ruleengine.checking.ruleset import Expectation, Ladder, Rule, Ruleset
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Place, Problem, Problems, Word
from ruleengine.source import Source, Span
from ruleengine.syntax import language
from ruleengine.syntax.scan import read_source

NONE = "-"
"""The cell of who has no tag, or no level or value."""
_DAY = "as_of"
_NOTE = ("note", "备注")
_TAGS = ("tags", "标签")
_TRUTHS = {"yes": True, "no": False, "是": True, "否": False}
_CELL = re.compile(r'[ \t]*("(?:[^"]|"")*"|[^,"\r\n]*)[ \t]*(,|$)')
_NAMED = re.compile(r'"((?:[^"]|"")*)"|([^;]+)')


@dataclass(frozen=True, slots=True)
class Column:
    kind: Literal["key", "day", "note", "tags", "tag", "ladder"]
    name: str
    """Of the tag, tier or class."""


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What is expected of one customer on one date."""

    customer: str
    """The key, as it is written."""
    day: date
    expectations: tuple[Expectation, ...]
    span: Span
    """The customer's cell."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    source: Source
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    span: Span
    """The line of the columns."""

    def expects(self, rule: Rule) -> bool:
        """Whether a column is about a rule."""
        kind = "tag" if rule.kind == "tag" else "ladder"
        return any(
            (column.kind == kind and column.name == rule.name) or (column.kind == "tags" and kind == "tag")
            for column in self.columns
        )


def published(ruleset: Ruleset) -> list[Rule]:
    """The rules that a version answers, in the order written."""
    rules: list[Rule] = [*ruleset.tags.values(), *ruleset.ladders.values()]
    return [rule for rule in rules if not rule.draft]


def read_table(file: Path, ruleset: Ruleset, days: Sequence[date], found: Problems, *, needed: bool) -> Table | None:
    """The table; what is wrong with it is added to what was found. Where it is not `needed`, none is an empty one."""
    if not file.exists() and not needed:
        empty = Source(str(file), "")
        return Table(source=empty, columns=(), rows=(), span=Span(empty, 0, 0))
    if not file.exists():
        found.add(codes.suite_expected_missing(None, file=str(file)))
        return None
    source = read_source(file)
    if isinstance(source, Problem):
        found.add(source)
        return None
    return _Reader(source, ruleset, days, found).table()


def lines(source: Source) -> Iterator[tuple[int, str]]:
    """The place and the text of every line that is part of the table: no comment, and not blank."""
    for number, start in enumerate(source.line_starts, 1):
        line = source.line(number)
        if line.strip() and not line.lstrip("\ufeff").startswith("#"):
            yield start, line


def split(source: Source, start: int, line: str) -> list[Cell] | None:
    """The cells of a line; None where a quote is not closed, or stands within a cell."""
    cells, at = [], 1 if line.startswith("\ufeff") else 0
    while True:
        match = _CELL.match(line, at)
        if match is None:
            return None
        text, place = match[1], match.span(1)
        if text.startswith('"'):
            text = text[1:-1].replace('""', '"')
        cells.append(Cell(text.strip(), Span(source, start + place[0], start + max(place[1], place[0] + 1))))
        if not match[2]:
            return cells
        at = match.end()


class _Reader:
    def __init__(self, source: Source, ruleset: Ruleset, days: Sequence[date], found: Problems) -> None:
        self.source = source
        self.ruleset = ruleset
        self.days = days
        self.found = found
        self.columns: list[Column | None] = []

    def table(self) -> Table | None:
        first, *rest = [*lines(self.source)] or [(0, "")]
        if not first[1]:
            self.found.add(codes.suite_checks_nothing(Span(self.source, 0, 0), name=Path(self.source.path).parent.name))
            return None
        span = Span(self.source, first[0], first[0] + max(len(first[1]), 1))
        header = split(self.source, *first)
        if header is None:
            self.found.add(codes.suite_row(span, what=Word("row-quotes")))
            return None
        self.columns = [self._column(cell) for cell in header]
        seen: dict[Column, Cell] = {}
        for column, cell in zip(self.columns, header, strict=True):
            if column is not None and column.kind != "note" and column in seen:
                self.found.add(codes.given_twice(cell.span, Place(seen[column].span, "first-given"), name=cell.text))
            if column is not None:
                seen.setdefault(column, cell)
        if all(self.columns):
            wanted = [("key", self.ruleset.entity.key.name), *([("day", _DAY)] if len(self.days) > 1 else [])]
            for kind, name in wanted:
                if not any(column.kind == kind for column in seen):
                    self.found.add(codes.suite_row(span, what=Word("row-needs"), column=name))
        if self.found.has_errors:
            return None
        rows = [self._row(start, line) for start, line in rest]
        self._check_repeated(row for row in rows if row is not None)
        return Table(
            source=self.source,
            columns=tuple(column for column in self.columns if column is not None),
            rows=tuple(row for row in rows if row is not None),
            span=span,
        )

    # -- columns ----------------------------------------------------------------------------------------------

    def _column(self, cell: Cell) -> Column | None:
        key = self.ruleset.entity.key.name
        if cell.text == key:
            return Column("key", key)
        if cell.text == _DAY:
            return Column("day", _DAY)
        if cell.text in _NOTE:
            return Column("note", cell.text)
        if cell.text in _TAGS:
            return Column("tags", "")
        spoken, _, name = cell.text.partition(" ")
        name = name.strip().strip('"“”')
        for kind in ("tag", "tier", "class"):
            if name and spoken in language.keywords()[kind.upper()]:
                return self._of_rule(kind, name, cell)
        named = next((rule for rule in published(self.ruleset) if rule.name == cell.text), None)
        self.found.add(
            codes.suite_column(
                cell.span,
                name=cell.text,
                meant=f"{named.kind} {named.name}" if named else near(cell.text, (key, _DAY, "tags", "note")),
                key=key,
            )
        )
        return None

    def _of_rule(self, kind: str, name: str, cell: Cell) -> Column | None:
        rule: Rule | None
        if kind == "tag":
            rule = self.ruleset.tags.get(name)
            if rule is None:
                self.found.add(codes.unknown_tag(cell.span, name=name, near=near(name, self.ruleset.tags)))
        else:
            rule = self.ruleset.ladders.get(name)
            if rule is None or rule.kind != kind:
                same = [other.name for other in self.ruleset.ladders.values() if other.kind == kind]
                other, close = Word(rule.kind) if rule else None, None if rule else near(name, same)
                self.found.add(codes.unknown_ladder(cell.span, kind=Word(kind), name=name, other=other, near=close))
                return None
        if rule is not None and rule.draft:
            self.found.add(codes.rule_is_draft(cell.span, name=name))
            return None
        return Column("tag" if kind == "tag" else "ladder", name) if rule else None

    # -- rows -------------------------------------------------------------------------------------------------

    def _row(self, start: int, line: str) -> Row | None:
        whole = Span(self.source, start, start + len(line))
        cells = split(self.source, start, line)
        if cells is None:
            self.found.add(codes.suite_row(whole, what=Word("row-quotes")))
            return None
        if len(cells) != len(self.columns):
            self.found.add(codes.suite_row(whole, what=Word("row-width"), cells=len(cells), columns=len(self.columns)))
            return None
        customer, day, expectations = None, self.days[0], list[Expectation]()
        for column, cell in zip(self.columns, cells, strict=True):
            assert column is not None
            match column.kind:
                case "key":
                    customer = cell
                    if not cell.text:
                        self.found.add(codes.suite_cell(cell.span, value="", what=Word("cell-key"), form=column.name))
                case "day":
                    found = next((each for each in self.days if str(each) == cell.text), None)
                    if found is None:
                        listed = ", ".join(map(str, self.days))
                        self.found.add(codes.suite_cell(cell.span, value=cell.text, what=Word("cell-day"), form=listed))
                    day = found or day
                case "note":
                    pass
                case _:
                    if cell.text:
                        expectations.extend(self._expected(column, cell))
        assert customer is not None
        return Row(
            customer=customer.text,
            day=day,
            expectations=tuple(expectations),
            span=customer.span,
            cells=tuple(cells),
        )

    def _expected(self, column: Column, cell: Cell) -> Iterator[Expectation]:
        match column.kind:
            case "tag" if cell.text not in _TRUTHS:
                self.found.add(codes.suite_cell(cell.span, value=cell.text, what=Word("cell-tag")))
            case "tag":
                yield Expectation(
                    kind="tag",
                    name=column.name,
                    wanted="given" if _TRUTHS[cell.text] else "no",
                    value=None,
                    span=cell.span,
                )
            case "tags":
                yield from self._tags(cell)
            case _:
                ladder = self.ruleset.ladders[column.name]
                yield from self._value(ladder, cell)

    def _tags(self, cell: Cell) -> Iterator[Expectation]:
        known = [rule.name for rule in published(self.ruleset) if rule.kind == "tag"]
        named = names(cell.text)
        for name in named:
            if name not in self.ruleset.tags:
                self.found.add(codes.unknown_tag(cell.span, name=name, near=near(name, known)))
            elif name not in known:
                self.found.add(codes.rule_is_draft(cell.span, name=name))
        for name in known:
            wanted: Literal["given", "no"] = "given" if name in named else "no"
            yield Expectation(kind="tag", name=name, wanted=wanted, value=None, span=cell.span)

    def _value(self, ladder: Ladder, cell: Cell) -> Iterator[Expectation]:
        none = cell.text == NONE
        if not none and cell.text not in ladder.values:
            self.found.add(
                codes.unknown_value(
                    cell.span,
                    kind=Word(ladder.kind),
                    ladder=ladder.name,
                    name=cell.text,
                    near=near(cell.text, ladder.values),
                    known=", ".join(f"“{value}”" for value in ladder.values),
                )
            )
            return
        yield Expectation(
            kind=ladder.kind,
            name=ladder.name,
            wanted="no" if none else "given",
            value=None if none else cell.text,
            span=cell.span,
        )

    def _check_repeated(self, rows: Iterable[Row]) -> None:
        seen: dict[tuple[str, date], Span] = {}
        for row in rows:
            first = seen.setdefault((row.customer, row.day), row.span)
            if first is not row.span:
                self.found.add(codes.given_twice(row.span, Place(first, "first-given"), name=row.customer))


def names(text: str) -> list[str]:
    """The names of a cell that lists tags: `VIP; Big basket`, or `-` for none."""
    if text == NONE:
        return []
    found = (quoted.replace('""', '"') or plain.strip() for quoted, plain in _NAMED.findall(text))
    return [name for name in found if name]


# -- writing ---------------------------------------------------------------------------------------------------

Got = Mapping[tuple[str, str], str | None]
"""What a customer has, by the kind and name of each rule: `given`, a level or value, or None."""
Answers = Mapping[tuple[str, date], Got]
"""By customer, as written, and date."""


def renewed(table: Table, answers: Answers) -> str:
    """The table with what came out, where it says anything; comments, notes, blank cells and the order stay.

    Rows without an answer stay too.
    """
    changes: dict[int, tuple[int, str]] = {}
    for row in table.rows:
        got = answers.get((row.customer, row.day))
        if got is None:  # of a customer who is not there
            continue
        for column, cell in zip(table.columns, row.cells, strict=True):
            if cell.text and column.kind in ("tag", "tags", "ladder"):
                text = _said(column, got)
                if text != cell.text and not _same(column, text, cell.text):
                    quoted = table.source.text[cell.span.start : cell.span.start + 1] == '"'
                    changes[cell.span.start] = (cell.span.end, written(text, quoted=quoted))
    text, parts, at = table.source.text, list[str](), 0
    for start in sorted(changes):
        end, new = changes[start]
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def begun(ruleset: Ruleset, answers: Answers, days: Sequence[date]) -> str:
    """A table of everything, for a suite that has none yet."""
    ladders = [rule for rule in published(ruleset) if rule.kind != "tag"]
    columns = [Column("ladder", ladder.name) for ladder in ladders]
    header = [ruleset.entity.key.name, *([_DAY] if len(days) > 1 else [])]
    header += [f"{ladder.kind} {ladder.name}" for ladder in ladders]
    if any(rule.kind == "tag" for rule in published(ruleset)):
        columns.append(Column("tags", ""))
        header.append("tags")
    out = [",".join(map(written, header))]
    for (customer, day), got in answers.items():
        cells = [customer, *([str(day)] if len(days) > 1 else []), *(_said(column, got) for column in columns)]
        out.append(",".join(map(written, cells)))
    return "\n".join(out) + "\n"


def added(table: Table, missing: Answers) -> str:
    """Rows for customers whom the table does not name yet."""
    out = []
    for (customer, day), got in missing.items():
        fixed = {"key": customer, "day": str(day), "note": ""}
        out.append(",".join(written(fixed.get(c.kind) if c.kind in fixed else _said(c, got)) for c in table.columns))
    return "".join(f"{line}\n" for line in out)


def _said(column: Column, got: Got) -> str:
    match column.kind:
        case "tag":
            return "yes" if got["tag", column.name] else "no"
        case "tags":
            held = [name for (kind, name), value in got.items() if kind == "tag" and value]
            return (
                "; ".join('"' + name.replace('"', '""') + '"' if set(name) & set(';"') else name for name in held)
                or NONE
            )
        case _:
            return next(value for (kind, name), value in got.items() if kind != "tag" and name == column.name) or NONE


def _same(column: Column, one: str, other: str) -> bool:
    """Whether two cells say the same in other words."""
    if column.kind == "tag":
        return _TRUTHS.get(one) == _TRUTHS.get(other)
    return column.kind == "tags" and sorted(names(one)) == sorted(names(other))


def written(text: str | None, *, quoted: bool = False) -> str:
    """A cell as a CSV file has it."""
    text = text or ""
    if quoted or text != text.strip() or set(text) & set(',"\n\r') or text.startswith("#"):
        return '"' + text.replace('"', '""') + '"'
    return text
