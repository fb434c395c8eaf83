"""Every problem has words, and the words fit."""

from string import Formatter

from ruleengine.diagnostics.codes import CODES
from ruleengine.diagnostics.messages import messages, note, wording
from ruleengine.diagnostics.problem import Code, Place, Problem, Severity, Word
from ruleengine.source import Source, Span

SPAN = Span(Source("a.rules", "x"), 0, 1)


def test_every_code_has_words_and_no_words_are_left_over() -> None:
    assert messages().of_code.keys() == CODES.keys()


def test_every_text_is_a_template_with_words() -> None:
    for slug, message in messages().of_code.items():
        assert message.title.strip(), slug
        assert not message.title.endswith("."), slug
        for text in (message.message, *message.hints, message.help):
            assert all(field is None or field.isidentifier() for _, field, _, _ in Formatter().parse(text)), slug


def test_a_hint_is_given_only_where_its_facts_are_known() -> None:
    code = CODES["unknown-statement"]

    assert len(wording(code(SPAN, written="tga", near="tag")).hints) == 2
    assert len(wording(code(SPAN, written="xyz")).hints) == 1


def test_facts_can_be_words_themselves() -> None:
    known = wording(CODES["missing-clause"](SPAN, statement="tag", word="when", example=Word("example-when")))

    assert known.hints[0].startswith("Write who gets it")


def test_a_problem_without_words_is_still_named() -> None:
    assert wording(Problem(Code("brand-new", Severity.ERROR), None, {})).message == "brand-new"
    assert note(Place(SPAN, "somewhere")) == "somewhere"


def test_facts_are_never_read_as_templates() -> None:
    assert "{near}" in wording(CODES["unknown-statement"](SPAN, written="{near}", near="tag")).message
