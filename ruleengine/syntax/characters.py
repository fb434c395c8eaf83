"""Characters: which are refused, which are read as others, and which look like what they are not."""

import re
import unicodedata

FULL_WIDTH = {ord("\u3000"): " "} | {
    ord("！") + offset: chr(ord("!") + offset)
    for offset in range(94)
    if chr(ord("!") + offset) in "!%()*+,-./0123456789:<=>|"
}
"""Full-width forms that are read as plain ones outside quotes: one character for one, so that places hold."""

SIGNS = {
    "==": "=",
    "===": "=",
    "=>": ">=",
    "=<": "<=",
    "<>": "!=",
    "!==": "!=",
    ":=": "=",
    "//": "#",
    "&&": "and",
    "||": "or",
    "≠": "!=",
    "×": "*",
    "÷": "/",
    "−": "-",
    "–": "-",
    "—": "-",
    "⩾": ">=",
    "⩽": "<=",
    "≧": ">=",
    "≦": "<=",
    "!": "not",
    "&": "and",
    "、": ",",
    "[": "(",
    "]": ")",
    "【": "(",
    "】": ")",
    "＂": '"',
    "„": '"',
    "«": '"',
    "»": '"',
}
"""Signs of other languages, and what is written here instead."""

# Zero-width characters, direction marks, tags and the like: what is shown is not what is read. A zero-width
# joiner is let through behind an emoji, where it makes one sign of several.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e007f"
)
_REFUSED = re.compile(
    "(?P<control>[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]|\r(?!\n))"
    f"|(?P<invisible>[{_INVISIBLE}]|(?<![\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d)"
)

_LETTERS = re.compile(r"[^\W\d]+")
_ALIKE = {"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"}
"""Scripts with letters that look the same."""


def first_refused(text: str, start: int) -> re.Match[str] | None:
    """The first character that no rule file may hold, in group `control` or `invisible`."""
    return _REFUSED.search(text, start)


def describe(character: str) -> str:
    """What to call a character that cannot be shown: `U+200B ZERO WIDTH SPACE`."""
    names = {"\r": "CARRIAGE RETURN", "\0": "NULL", "\x1b": "ESCAPE", "\x0c": "FORM FEED"}
    name = unicodedata.name(character, names.get(character, "")) if character else ""
    return f"U+{ord(character):04X} {name}".strip()


def is_normalised(text: str) -> bool:
    return text.isascii() or unicodedata.is_normalized("NFC", text)


def mixed_scripts(text: str, *, by_word: bool) -> tuple[str, str] | None:
    """Two scripts with letters that look alike in one text, or with `by_word` in one of its words."""
    if text.isascii():
        return None
    for part in _LETTERS.findall(text) if by_word else [text]:
        if part.isascii():
            continue
        found: list[str] = []
        for character in part:
            script = unicodedata.name(character, "").split(" ", 1)[0]
            if script in _ALIKE and script not in found:
                found.append(script)
        if len(found) > 1:
            return found[0].capitalize(), found[1].capitalize()
    return None
