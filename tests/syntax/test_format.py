"""Formatting: the same tree, the same comments, and nothing left to change."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.source import Source
from ruleengine.syntax import nodes
from ruleengine.syntax.format import format_expression, format_file, format_statement
from ruleengine.syntax.parse import Parsed, parse
from ruleengine.syntax.scan import scan
from tests.syntax import trees
from tests.syntax.pages import WELL_WRITTEN


def read(text: str) -> Parsed:
    return parse(Source("a.rules", text))


def comments(parsed: Parsed) -> list[str]:
    return sorted(comment.text.rstrip() for comment in parsed.comments)


def well(parsed: Parsed) -> bool:
    return not parsed.has_errors


@settings(max_examples=300, deadline=None)
@given(trees.statements)
def test_a_statement_parses_to_itself(statement: nodes.Statement) -> None:
    parsed = read(format_statement(statement))

    assert [problem for problem in parsed.problems if problem.is_error] == []
    assert parsed.file.statements == (statement,)


@settings(max_examples=200, deadline=None)
@given(trees.expressions)
def test_an_expression_parses_to_itself(expression: nodes.Expression) -> None:
    (statement,) = read(f"metric m = {format_expression(expression)}").file.statements

    assert isinstance(statement, nodes.MetricStatement)
    assert statement.expression == expression


@settings(max_examples=100, deadline=None)
@given(st.lists(trees.statements, max_size=4))
def test_formatting_again_changes_nothing(statements: list[nodes.Statement]) -> None:
    text = "\n\n\n".join(map(format_statement, statements))
    once = format_file(read(text))

    assert format_file(read(once)) == once
    assert read(once).file == read(text).file


@settings(max_examples=200, deadline=None)
@given(st.lists(trees.statements, min_size=1, max_size=3), st.data())
def test_comments_stay(statements: list[nodes.Statement], data: st.DataObject) -> None:
    text = "\n".join(map(format_statement, statements))
    pieces = [""]
    for token in scan(Source("a.rules", text)).tokens:
        before = data.draw(st.sampled_from([" ", " ", " ", "\n", "own", "end"]))
        gap = " " if token.start else ""
        if before == "own":
            gap = f"\n  {data.draw(trees.comments)}\n"
        elif before == "end":
            gap = f" {data.draw(trees.comments)}\n"
        elif before == "\n" or token.type == "ROW" or pieces[-1].endswith("|"):
            gap = "\n"
        pieces += [gap, token.span.text]
    commented = read("".join(pieces))
    if commented.has_errors:  # a statement's word that came to stand on a new line
        return
    once = format_file(commented)

    assert comments(read(once)) == comments(commented)
    assert read(once).file == commented.file
    assert format_file(read(once)) == once


@pytest.mark.parametrize("text", WELL_WRITTEN)
def test_what_is_well_written_keeps_its_meaning(text: str) -> None:
    parsed = read(text)
    once = format_file(parsed)

    assert well(parsed)
    assert read(once).file == parsed.file
    assert format_file(read(once)) == once
    assert all(len(line.split("  #")[0]) <= 115 for line in once.splitlines())


def test_line_ends_and_marks_are_plain() -> None:
    text = "\ufeff\r\n\r\ntag  “A”  when x≥1   \r\n\r\n\r\n\r\n# end  \r\n\r\n"

    assert format_file(read(text)) == 'tag "A" when x >= 1\n\n# end\n'
    assert format_file(read("")) == ""


def test_a_file_with_mistakes_is_refused() -> None:
    with pytest.raises(ProblemError) as refused:
        format_file(read('tag "A" when'))

    assert [problem.code.name for problem in refused.value.problems] == ["missing-operand"]
