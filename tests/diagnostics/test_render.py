"""Problems as people and as programs see them."""

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Fix, Place
from ruleengine.diagnostics.render import render_json, render_text, visible
from ruleengine.source import Source, Span


def at(text: str, part: str) -> Span:
    start = text.index(part)
    return Span(Source("folder/a.rules", text), start, start + len(part))


def shown(span: Span) -> list[str]:
    return render_text([codes.odd_character(span, character="x")]).splitlines()[1:3]


def test_a_problem_is_shown_with_its_line() -> None:
    text = '# first\ntag "A" wen x > 1\n'
    span = at(text, "wen")
    problem = codes.unknown_word(
        span, Place(at(text, "x"), "before"), fix=Fix(span, "when"), written="wen", near="when"
    )

    assert render_text([problem]) == (
        "folder/a.rules:2:9: error[unknown-word]: `wen` is not known here. `when` might be meant.\n"
        '   2 | tag "A" wen x > 1\n'
        "     |         ^^^\n"
        "  folder/a.rules:2:13: behind this\n"
        '   2 | tag "A" wen x > 1\n'
        "     |             -\n"
        '  try: tag "A" when x > 1\n'
    )


def test_problems_without_a_place_have_no_line() -> None:
    assert render_text([codes.file_unreadable(None, path="a.rules", reason="is a directory")]).startswith(
        "error[file-unreadable]: "
    )


def test_wide_characters_are_underlined_as_wide_as_they_are() -> None:
    assert shown(at('tag "高价值" when 消费 > 1', "消费")) == [
        '   1 | tag "高价值" when 消费 > 1',
        "     |                   ^^^^",
    ]
    assert shown(at("cafe\u0301 = x", "x"))[1] == "     |        ^"
    assert shown(at("\ta = x", "x")) == ["   1 |     a = x", "     |         ^"]


def test_a_place_of_several_lines_is_underlined_on_the_first() -> None:
    assert shown(at("a = (1 +\n2)", "(1 +\n2)")) == ["   1 | a = (1 +", "     |     ^^^^"]


def test_long_lines_are_cut_around_the_place() -> None:
    text = "a " * 500_000 + "WORD" + " b" * 500_000
    line, under = shown(at(text, "WORD"))

    assert len(line) < 120
    assert line[under.index("^") : under.rindex("^") + 1] == "WORD"
    assert line.endswith("…")
    assert "| …" in line


def test_nothing_in_a_text_reaches_the_terminal() -> None:
    hostile = "a\x1b[31m\u202e\u200bb\x07\u2028\udc80"
    problem = codes.odd_character(Span(Source(f"{hostile}.rules", hostile), 0, 5), character=hostile)
    text = render_text([problem])

    assert all(character.isprintable() or character == "\n" for character in text)
    assert "<U+001B>" in text
    assert "<U+202E>" in text
    assert visible("正常 é") == "正常 é"


def test_colours_change_nothing_else() -> None:
    problems = [codes.odd_character(at("a ; b", ";"), character=";")]
    coloured = render_text(problems, colour=True)

    assert "\x1b[1;31m" in coloured
    assert len(coloured) > len(render_text(problems))


def test_json_has_one_shape() -> None:
    text = 'tag "A" wen x'
    span = at(text, "wen")
    problem = codes.unknown_word(
        span, Place(at(text, "x"), "before"), fix=Fix(span, "when"), written="wen", near="when"
    )

    assert render_json([problem, codes.file_unreadable(None, path="b", reason="c")]) == [
        {
            "code": "unknown-word",
            "severity": "error",
            "message": "`wen` is not known here. `when` might be meant.",
            "hints": [],
            "file": "folder/a.rules",
            "line": 1,
            "column": 9,
            "end_line": 1,
            "end_column": 12,
            "places": [
                {
                    "file": "folder/a.rules",
                    "line": 1,
                    "column": 13,
                    "end_line": 1,
                    "end_column": 14,
                    "note": "behind this",
                }
            ],
            "fix": {
                "file": "folder/a.rules",
                "line": 1,
                "column": 9,
                "end_line": 1,
                "end_column": 12,
                "replacement": "when",
            },
        },
        {
            "code": "file-unreadable",
            "severity": "error",
            "message": "`b` cannot be read: c.",
            "hints": [],
            "file": None,
            "line": None,
            "column": None,
            "end_line": None,
            "end_column": None,
            "places": [],
            "fix": None,
        },
    ]
