"""Where in the text of a TOML file a key stands; tomllib does not say."""

import re
import tomllib

from ruleengine.source import Source, Span

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_STRING = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)
_SCALAR = re.compile(r"[^,\]}\n#]+")


class Places:
    """The place of every key and table header of a text that is valid TOML."""

    def __init__(self, source: Source, text: str) -> None:
        self._source = source
        self._text = text
        self._found: dict[tuple[str, ...], tuple[int, int]] = {}
        table: tuple[str, ...] = ()
        at = self._skip_blank(0)
        while at < len(self._text):
            if self._text[at] == "[":
                start = at
                brackets = 2 if self._text.startswith("[[", at) else 1
                table, at = self._key(at + brackets, ())
                at = self._text.index("]", at) + brackets
                self._note(table, 1, (start, at))
            else:
                at = self._pair(at, table)
            at = self._skip_blank(at)

    def span(self, path: tuple[str, ...]) -> Span:
        """Where a key stands, or the nearest table around it that is written."""
        while path and path not in self._found:
            path = path[:-1]
        start, end = self._found.get(path, (0, min(1, len(self._text))))
        return Span(self._source, start, end)

    def _pair(self, at: int, table: tuple[str, ...]) -> int:
        start = at
        path, at = self._key(at, table)
        end = at
        at = self._value(self._skip_blank(self._text.index("=", at) + 1), path)
        self._note(path, len(table) + 1, (start, end))
        return at

    def _note(self, path: tuple[str, ...], depth: int, place: tuple[int, int]) -> None:
        """A key stands where it is written; until it is, the tables that its path names stand there too."""
        for length in range(depth, len(path)):
            self._found.setdefault(path[:length], place)
        self._found[path] = place

    def _key(self, at: int, path: tuple[str, ...]) -> tuple[tuple[str, ...], int]:
        while True:
            at = self._skip_blank(at)
            found = _BARE_KEY.match(self._text, at) or _STRING.match(self._text, at)
            assert found, self._text[at : at + 20]
            raw = found[0]
            path = (*path, tomllib.loads(f"key = {raw}")["key"] if raw[0] in "\"'" else raw)
            end = found.end()
            at = self._skip_blank(end)
            if not self._text.startswith(".", at):
                return path, end
            at += 1

    def _value(self, at: int, path: tuple[str, ...]) -> int:
        if found := _STRING.match(self._text, at):
            return found.end()
        closing = {"[": "]", "{": "}"}.get(self._text[at])
        if closing is None:
            scalar = _SCALAR.match(self._text, at)
            return scalar.end() if scalar else at + 1
        at = self._skip_blank(at + 1)
        while self._text[at] != closing:
            if self._text[at] == ",":
                at += 1
            elif closing == "}":
                at = self._pair(at, path)
            else:
                at = self._value(at, ())
            at = self._skip_blank(at)
        return at + 1

    def _skip_blank(self, at: int) -> int:
        found = _BLANK.match(self._text, at)
        return found.end() if found else at
