"""The grammar: without conflicts, and a description of the language that stands by itself."""

import logging

import pytest
from lark import Lark, logger

from ruleengine.source import Source
from ruleengine.syntax import language
from ruleengine.syntax.format import format_statement
from ruleengine.syntax.parse import parse
from tests.syntax.pages import WELL_WRITTEN


@pytest.fixture
def conflicts(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Lark resolves a conflict of shift and reduce silently, unless it is asked to say so."""
    caplog.set_level(logging.DEBUG, logger=logger.name)
    logger.addHandler(caplog.handler)
    return caplog


def test_the_grammar_has_no_conflicts(conflicts: pytest.LogCaptureFixture) -> None:
    language.build(debug=True)

    assert [record.message for record in conflicts.records if "conflict" in record.message.lower()] == []


def test_a_conflict_would_be_seen(conflicts: pytest.LogCaptureFixture) -> None:
    Lark('start: e\ne: e "+" e | "a"', parser="lalr", debug=True)

    assert any("conflict" in record.message.lower() for record in conflicts.records)


@pytest.mark.parametrize("text", WELL_WRITTEN)
def test_the_grammar_alone_reads_what_the_formatter_writes(text: str) -> None:
    """Without the scanner, by Lark's own lexer: so that other tools can use the grammar as it is."""
    lark = language.build()
    for statement in parse(Source("a.rules", text)).file.statements:
        lark.parse(format_statement(statement))


@pytest.mark.parametrize("language_", ["en", "zh"])
def test_no_word_is_spelled_twice(language_: str) -> None:
    words = [word for spelled in language.spellings().values() for word in spelled.get(language_, ())]
    twice = {word for word in words if words.count(word) > 1}

    # Which of the two is meant shows where it stands: `如果 a 则 b 否则 c`, `近90天内`, `12年`.
    assert twice == ({"否则", "近", "年"} if language_ == "zh" else set())


def test_every_word_can_be_said_in_chinese() -> None:
    in_phrases = {word for phrase in language.phrases().values() for word in phrase.split()}
    unsaid = {
        spelled["en"][0]
        for spelled in language.spellings().values()
        if "zh" not in spelled and spelled["en"][0] not in in_phrases
    }

    assert unsaid == {"week"}  # in Chinese `周`, as weeks are
