"""The language as it stands in the package of the grammar: its words, its terminals and its parser."""

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from lark import Lark
from lark.parsers.lalr_interactive_parser import InteractiveParser

from ruleengine.syntax.build import Builder

GRAMMAR = files("ruleengine.grammar")


@cache
def keywords() -> dict[str, tuple[str, ...]]:
    """Terminal → the spellings of its word, the preferred English one first."""
    tables = tomllib.loads(GRAMMAR.joinpath("keywords.toml").read_text("utf-8"))
    return {
        name.upper(): tuple(word for words in languages.values() for word in words)
        for name, languages in tables.items()
    }


@cache
def terminal_of_word() -> dict[str, str]:
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


def parser() -> InteractiveParser:
    """A parser at the beginning of a statement. Tokens are fed to it; nodes come out at the end."""
    return _lark().parse_interactive("")


@cache
def patterns() -> dict[str, str]:
    """The regular expression of each terminal that is not a keyword."""
    return {
        terminal.name: terminal.pattern.to_regexp()
        for terminal in _lark().terminals
        if terminal.name not in keywords()
    }
