"""Words, literals and signs of a text, in one pass, and what makes a text not worth reading at all."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Fix, Problem
from ruleengine.source import Source, Span
from ruleengine.syntax import language
from ruleengine.syntax.characters import (
    FULL_WIDTH,
    SIGNS,
    describe,
    first_refused,
    is_normalised,
    mixed_scripts,
)
from ruleengine.syntax.chinese import number_before, pieces
from ruleengine.syntax.nesting import too_deep
from ruleengine.syntax.token import BROKEN, Reading, Token

MAX_BYTES = 1_000_000
MAX_TOKENS = 50_000
MAX_NUMBER_DIGITS = 37
BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Scan:
    """What a text consists of. A refused text has one problem and no tokens."""

    reading: Reading
    tokens: list[Token]
    comments: tuple[Span, ...]
    refused: bool = False


def scan(source: Source) -> Scan:
    """The tokens and comments of a text, or the one reason not to read it. Takes any text, in linear time."""
    reading = Reading(source)
    refusal = _refusal(source)
    if refusal:
        return _refused(reading, refusal)
    if source.text.startswith(BOM):
        reading.problems.append(codes.byte_order_mark(Span(source, 0, 1)))
    if "\r\n" in source.text:
        at = source.text.index("\r\n")
        reading.problems.append(codes.windows_line_ends(Span(source, at, at + 1)))
    tokens: list[Token] = []
    comments: list[Span] = []
    for token in _tokens(reading, comments):
        tokens.append(token)
        if len(tokens) > MAX_TOKENS:
            return _refused(reading, codes.too_many_words(token.span, most=f"{MAX_TOKENS:_}"))
    refusal = too_deep(tokens)
    if refusal:
        return _refused(reading, refusal)
    if not source.text.isascii():
        _look_alikes(reading, tokens)
    return Scan(reading, tokens, tuple(comments))


def read_source(path: Path, shown: str | None = None) -> Source | Problem:
    """The text of a rule file, under its path or the name to show; a problem where it cannot be read as UTF-8."""
    name = shown or str(path)
    try:
        if not path.is_file() and path.exists() and not path.is_dir():  # a pipe or a device may never end
            return codes.file_unreadable(None, path=name, reason="It is no file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        return codes.file_unreadable(None, path=name, reason=error.strerror or str(error))
    if len(data) > MAX_BYTES:
        return codes.file_too_large(Span(Source(name, ""), 0, 0), most=f"{MAX_BYTES:_}")
    try:
        return Source(name, data.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return codes.not_utf8(None, path=name, byte=f"0x{data[error.start]:02X}", line=line, looks=_encoding(data))


def _encoding(data: bytes) -> str:
    """The encoding that bytes seem to be in."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or data[:200].count(0) > len(data[:200]) // 4:
        return "UTF-16"
    beyond = sum(byte > 127 for byte in data)
    # In GBK common characters are two bytes of these; in Western text a byte beyond ASCII mostly stands alone.
    common = 2 * len(re.findall(rb"[\xa1-\xd7][\xa1-\xfe]", data))
    return "GBK" if common > beyond / 2 else "Windows-1252"


def _refused(reading: Reading, refusal: Problem) -> Scan:
    reading.problems[:] = [refusal]
    return Scan(reading, [], (), refused=True)


def _refusal(source: Source) -> Problem | None:
    text = source.text
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        return codes.file_too_large(Span(source, 0, 0), most=f"{MAX_BYTES:_}")
    found = first_refused(text, 1 if text.startswith(BOM) else 0)
    if not found:
        return None
    code = codes.control_character if found.lastgroup == "control" else codes.invisible_character
    return code(Span(source, found.start(), found.end()), character=describe(found.group()))


@cache
def _pattern() -> re.Pattern[str]:
    of = language.patterns()
    literals = {"NAME", "NUMBER", "DATE", "QUOTED", "ROW", "COMMENT"}
    signs = [(name, of[name]) for name in of if name not in literals and not name.startswith("__")]
    signs.sort(key=lambda sign: -len(sign[1].replace("\\", "")))
    foreign = "|".join(re.escape(sign) for sign in sorted(SIGNS, key=len, reverse=True) if len(sign) > 1)
    return re.compile(
        "|".join(
            (
                f"(?P<NAME>{of['NAME']})",
                r"(?P<other_comment>(?<![^\n])[^\S\r\n]*(?://|--)[^\r\n]*)",
                r"(?P<row>(?<![^\n])[^\S\r\n]*\|[^\r\n]*)",
                r"(?P<space>[^\S\r\n]+)",
                f"(?P<QUOTED>{of['QUOTED']})",
                # Whatever begins like a figure, so that what is wrong with it can be said.
                r"(?P<dated>[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}\w*|[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}\w*)",
                r"(?P<grouped>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)?%?)",
                r"(?P<figure>[0-9](?:\w|\.(?=[0-9]))*%?|(?<![\w)])\.[0-9]+%?)",
                r"(?P<line>\r?\n)",
                f"(?P<COMMENT>{of['COMMENT']})",
                f"(?P<foreign>{foreign})",
                *(f"(?P<{name}>{pattern})" for name, pattern in signs),
                r"(?P<unclosed>[\"“”][^\r\n]*)",
                r"(?P<otherwise_quoted>'[^'\r\n]*'|‘[^’\r\n]*’|`[^`\r\n]*`)",
                r"(?P<odd>.)",
            )
        )
    )


def _tokens(reading: Reading, comments: list[Span]) -> Iterator[Token]:
    source = reading.source
    text = source.text
    plain = text if text.isascii() else text.translate(FULL_WIDTH)
    begins_line = True
    token: Token | None = None
    at = 1 if text.startswith(BOM) else 0
    while match := _pattern().match(plain, at):
        kind = match.lastgroup or ""
        at = match.end()
        if kind == "space":
            continue
        if kind == "line":
            begins_line = True
            continue
        start, end = match.span()
        if kind == "COMMENT":
            comments.append(Span(source, start, end))
            continue
        if kind == "other_comment":
            begin = end - len(match.group().lstrip())
            sign = Span(source, begin, begin + 2)
            reading.problems.append(codes.other_comment(sign, fix=Fix(sign, "#")))
            continue
        if kind == "NAME" and not match.group().isascii():
            at = start
            for piece in pieces(match.group(), token is not None and token.type == "NUMBER"):
                part = plain[at : at + piece.length]
                for word in piece.words or (part,) * bool(piece.terminal):
                    token = Token(piece.terminal, part, at, at + piece.length, begins_line, reading, word=word)
                    begins_line = False
                    yield token
                at += piece.length
            continue
        if kind in ("figure", "dated") and not match.group().isascii():
            at = start + number_before(match.group()) if number_before(match.group()) else end
        row = match.group().lstrip() if kind == "row" else ""
        if row.startswith("||") and (token is None or token.type != "ROW"):
            at = end - len(row) + 2
            token = _figure_or_broken("foreign", "||", at - 2, True, reading)
        elif row:
            token = _row(row, end, reading, comments)
        elif kind == "QUOTED":
            token = Token(kind, text[start:end], start, end, begins_line, reading)
        elif kind.isupper():
            token = Token(kind, match.group(), start, end, begins_line, reading)
        else:
            token = _figure_or_broken(kind, plain[start:at], start, begins_line, reading)
        begins_line = False
        yield token


def _row(text: str, end: int, reading: Reading, comments: list[Span]) -> Token:
    """A row of a table, which is a line, and perhaps a comment behind it."""
    start = end - len(text)
    cells = re.match(language.patterns()["ROW"], text)
    rest = text[cells.end() if cells else 0 :].strip()
    if cells and (not rest or rest.startswith("#")):
        if rest:
            comments.append(Span(reading.source, start + text.index("#", cells.end()), end))
        return Token("ROW", cells.group(), start, start + cells.end(), True, reading)
    last = len(text.rstrip())
    behind = Span(reading.source, start + last, start + last)
    why = codes.open_row(behind, fix=Fix(behind, " |"))
    return Token(BROKEN, text[:last], start, start + last, True, reading, why)


def _figure_or_broken(kind: str, text: str, start: int, begins_line: bool, reading: Reading) -> Token:
    end = start + len(text)
    of = language.patterns()
    if kind == "dated" and re.fullmatch(of["DATE"], text):
        kind = "DATE"
        try:
            date.fromisoformat(text)
        except ValueError:
            kind = "no such day"
    elif kind == "figure" and re.fullmatch(of["NUMBER"], text):
        kind = "NUMBER"
        if sum(map(str.isdigit, text)) > MAX_NUMBER_DIGITS:
            kind = "long"
    if kind.isupper():
        return Token(kind, text, start, end, begins_line, reading)
    why = _explain(kind, text, Span(reading.source, start, end))
    return Token(BROKEN, text, start, end, begins_line, reading, why)


def _explain(kind: str, text: str, span: Span) -> Problem:
    """What is wrong with something that is no word of the language."""
    match kind:
        case "no such day":
            return codes.no_such_day(span, written=text)
        case "long":
            return codes.number_too_long(span, most=MAX_NUMBER_DIGITS)
        case "dated":
            iso = _iso(text)
            return codes.date_form(span, fix=Fix(span, iso) if iso else None, written=text)
        case "grouped":
            return codes.thousands_comma(
                span, written=text, plain=text.replace(",", "_"), listed=text.replace(",", ", ")
            )
        case "figure":
            return _explain_figure(text, span)
        case "unclosed":
            return codes.unclosed_quote(span, quote="”" if text[0] in "“”" else '"')
        case "foreign" if text == "//":
            return codes.other_comment(span, fix=Fix(span, "#"))
        case "odd" if text == "|":
            return codes.stray_bar(span)
        case "otherwise_quoted":
            fixed = text[1:-1] if text[0] == "`" else '"' + text[1:-1].replace('"', '""') + '"'
            return codes.other_quotes(span, fix=Fix(span, fixed), quote=text[0])
        case _:
            plain = SIGNS.get(text)
            if plain:
                return codes.foreign_sign(span, fix=Fix(span, plain), sign=text, plain=plain)
            return codes.odd_character(span, character=text if text.isprintable() else describe(text))


def _iso(text: str) -> str | None:
    """2026/1/5 → 2026-01-05; None where day and month could be confused, or there is no such day."""
    parts = re.split(r"[-/.]", text)
    if len(parts[0]) != 4 or not parts[2].isdigit():
        return None
    try:
        return date(*map(int, parts)).isoformat()
    except ValueError:
        return None


def _explain_figure(text: str, span: Span) -> Problem:
    split = re.fullmatch(r"([0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?)([^\W\d_]\w*)", text)
    if text.startswith("."):
        return codes.number_form(span, fix=Fix(span, "0" + text), written=text)
    if split and not re.fullmatch(r"[eExXbBoO][0-9a-fA-F]+", split[2]):
        fix = Fix(span, f"{split[1]} {split[2]}")
        return codes.name_after_number(span, fix=fix, number=split[1], word=split[2])
    return codes.number_form(span, written=text)


def _look_alikes(reading: Reading, tokens: list[Token]) -> None:
    """Warn of names and texts that look like others; each is named once."""
    seen: set[str] = set()
    for token in tokens:
        text = token.text
        if token.type not in ("NAME", "QUOTED") or text.isascii() or text in seen:
            continue
        seen.add(text)
        quoted = token.type == "QUOTED"
        if quoted and not is_normalised(text):
            fix = Fix(token.span, unicodedata.normalize("NFC", text))
            reading.problems.append(codes.not_normalised(token.span, fix=fix))
        scripts = mixed_scripts(text, by_word=quoted)
        if scripts:
            reading.problems.append(codes.mixed_scripts(token.span, first=scripts[0], second=scripts[1]))
