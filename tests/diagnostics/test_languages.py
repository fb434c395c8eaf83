"""The words for problems in each language: the same problems, and the same facts in each of them."""

import pytest

from ruleengine.diagnostics.messages import Message, fields, messages
from ruleengine.diagnostics.render import render_json, render_text
from ruleengine.source import Source
from ruleengine.syntax.parse import parse

ENGLISH, CHINESE = messages("en"), messages("zh")


def facts(message: Message) -> tuple[set[str], list[set[str]], set[str]]:
    return fields(message.message), [fields(hint) for hint in message.hints], fields(message.help)


def test_the_same_problems_are_said() -> None:
    assert CHINESE.of_code.keys() == ENGLISH.of_code.keys()
    assert CHINESE.notes.keys() == ENGLISH.notes.keys()
    assert CHINESE.words.keys() == ENGLISH.words.keys()


@pytest.mark.parametrize("slug", ENGLISH.of_code)
def test_the_same_facts_are_said(slug: str) -> None:
    assert facts(CHINESE.of_code[slug]) == facts(ENGLISH.of_code[slug])
    assert CHINESE.of_code[slug].title


@pytest.mark.parametrize("key", [*ENGLISH.notes, *ENGLISH.words])
def test_the_same_facts_are_said_of_places_and_in_words(key: str) -> None:
    english, chinese = {**ENGLISH.notes, **ENGLISH.words}, {**CHINESE.notes, **CHINESE.words}

    assert fields(chinese[key]) == fields(english[key])


def test_a_problem_in_chinese() -> None:
    problems = parse(Source("a.rules", '标签 "A" 负责人 "crm"')).problems

    assert render_text(problems, language="zh") == (
        'a.rules:1:1: 错误[missing-clause]: `标签 "A"` 没有 `当`。\n'
        '   1 | 标签 "A" 负责人 "crm"\n'
        "     | ^^^^^^^^\n"
        "  提示：请写谁会得到它，例如：当 monetary_90d > 1万\n"
    )
    assert render_json(problems, language="zh")[0]["severity"] == "error"
