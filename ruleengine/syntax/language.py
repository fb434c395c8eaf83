"""The language as it stands in the package of the grammar: its words, its terminals and its parser."""

import re
import tomllib
from collections.abc import Container
from functools import cache
from importlib.resources import files
from typing import Any, cast

from lark import Lark, UnexpectedToken

from ruleengine.syntax.build import Builder
from ruleengine.syntax.token import Token

GRAMMAR = files("ruleengine.grammar")


@cache
def spellings() -> dict[str, dict[str, tuple[str, ...]]]:
    """Terminal → language → the spellings of its word, the preferred one first."""
    tables = tomllib.loads(GRAMMAR.joinpath("keywords.toml").read_text("utf-8"))
    return {
        name.upper(): {language: tuple(words) for language, words in languages.items()}
        for name, languages in tables.items()
    }


@cache
def phrases() -> dict[str, str]:
    """Chinese words → the several words of the language that they stand for."""
    return tomllib.loads(GRAMMAR.joinpath("phrases.toml").read_text("utf-8"))


@cache
def keywords() -> dict[str, tuple[str, ...]]:
    """Terminal → the spellings of its word, the preferred English one first."""
    return {
        terminal: tuple(word for words in languages.values() for word in words)
        for terminal, languages in spellings().items()
    }


def spelled(terminal: str, like: Token) -> str:
    """A keyword in the language that another word is written in."""
    spellings_ = spellings()[terminal]
    chinese = spellings_.get("zh") if not like.text.isascii() else None
    return (chinese or spellings_["en"])[0]


@cache
def terminal_of_word() -> dict[str, str]:
    """The terminal of each word. Of a Chinese word with several meanings it is one of them."""
    return {word: terminal for terminal, words in keywords().items() for word in words}


@cache
def grammar() -> str:
    """The whole grammar in Lark's notation, the keywords above the names."""
    words = "".join(
        f"{terminal}.2: /(?:{'|'.join(map(re.escape, spellings))})(?!\\w)/\n"
        for terminal, spellings in keywords().items()
    )
    parts = [GRAMMAR.joinpath(name).read_text("utf-8") for name in ("rules.lark", "terminals.lark")]
    return "\n".join([*parts, words])


def build(**options: Any) -> Lark:
    return Lark(grammar(), parser="lalr", lexer="contextual", **options)


@cache
def _lark() -> Lark:
    return build(transformer=Builder())


class Parser:
    """Reads one statement: tokens are fed to it, and a node comes out at the end."""

    def __init__(self) -> None:
        self._parser: Any = _lark().parse_interactive("")

    def choices(self) -> Container[str]:
        """The terminals that may come next, and some that turn out not to."""
        return cast(Container[str], self._parser.choices())

    def expected(self) -> set[str]:
        """The terminals that may come next. Takes its time."""
        return cast(set[str], self._parser.accepts())

    def feed(self, token: Token) -> bool:
        """Whether the token, by its type, can stand here. After a false one the parser is of no more use."""
        try:
            self._parser.feed_token(token)
        except UnexpectedToken:
            return False
        return True

    def end(self) -> Any:
        """The node, or None where the statement was understood but lacks a part. Raises UnexpectedToken."""
        return self._parser.feed_eof()


@cache
def patterns() -> dict[str, str]:
    """The regular expression of each terminal that is not a keyword."""
    return {
        terminal.name: terminal.pattern.to_regexp() for terminal in _lark().terminals if terminal.name not in keywords()
    }
