"""The words for problems, in the languages there are."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Formatter

from ruleengine.diagnostics.problem import Choices, Place, Problem, Word

Facts = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Message:
    """The words for one kind of problem: templates over the facts of a problem."""

    title: str
    message: str
    hints: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Messages:
    """All words of one language."""

    of_code: Mapping[str, Message]
    notes: Mapping[str, str]
    """What other places of a problem are."""
    words: Mapping[str, str]
    """Facts that are words themselves."""


@dataclass(frozen=True, slots=True)
class Wording:
    """One problem in words."""

    message: str
    hints: tuple[str, ...]


@cache
def messages(language: str = "en") -> Messages:
    """The words of a language, which is a folder beside this module."""
    of_code: dict[str, Message] = {}
    tables: dict[str, dict[str, str]] = {"notes": {}, "words": {}}
    folder = files("ruleengine.diagnostics").joinpath("messages", language)
    for page in sorted(folder.iterdir(), key=lambda page: page.name):
        if not page.name.endswith(".toml"):
            continue
        for slug, table in tomllib.loads(page.read_text("utf-8")).items():
            if slug in tables:
                tables[slug].update(table)
            else:
                of_code[slug] = Message(**{**table, "hints": tuple(table.get("hints", ()))})
    return Messages(of_code, tables["notes"], tables["words"])


def wording(problem: Problem, language: str = "en") -> Wording:
    """A problem in words. Of the hints, those whose facts are known; where none is, the help."""
    known = messages(language)
    message = known.of_code.get(problem.code.name)
    if message is None:
        return Wording(problem.code.name, ())
    facts = _in_words(problem.facts, known)
    hints = tuple(_filled(hint, facts) for hint in message.hints if fields(hint) <= facts.keys())
    if not hints and message.help and fields(message.help) <= facts.keys():
        hints = (_filled(message.help, facts).strip(),)
    return Wording(_filled(message.message, facts), hints)


def note(place: Place, language: str = "en") -> str:
    """What another place of a problem is, in words."""
    known = messages(language)
    return _filled(known.notes.get(place.note, place.note), _in_words(place.facts, known))


def fields(template: str) -> set[str]:
    """The facts that a template names."""
    return {field for _, field, _, _ in Formatter().parse(template) if field}


def _in_words(facts: Facts, known: Messages) -> dict[str, str]:
    """The facts as text. A word may name other facts itself."""
    plain = {name: str(fact) for name, fact in facts.items()}

    def said(fact: str | int) -> str:
        if isinstance(fact, Word):
            return _filled(known.words.get(fact, fact), plain)
        if isinstance(fact, Choices):
            *first, last = map(said, fact.items)
            return f"{known.words['comma'].join(first)}{known.words['or']}{last}" if first else last
        return str(fact)

    return {name: said(fact) for name, fact in facts.items()}


class _Forgiving(dict[str, str]):
    """A fact that was forgotten leaves its name in the message; the reader still gets the rest."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


def _filled(template: str, facts: Mapping[str, str]) -> str:
    return template.format_map(_Forgiving(facts))
