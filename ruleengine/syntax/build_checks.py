"""From what the grammar recognised of checks and examples to nodes."""

from typing import Any

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Word
from ruleengine.syntax import nodes
from ruleengine.syntax.parts import Clause, Parts, by_word, complete, has, name_of, span_of, value_of
from ruleengine.syntax.phrases import clip
from ruleengine.syntax.tables import table
from ruleengine.syntax.token import Token


class ChecksAndExamples:
    """One method per rule of the grammar; None for what lacks something it cannot do without."""

    # -- checks

    def check(self, parts: Parts) -> nodes.CheckStatement | None:
        checked = parts[1]
        if checked is None:
            return None
        return nodes.CheckStatement(span_of(parts), checked, "warn" if has(parts, "WARN") else "fail")

    def share(self, parts: Parts) -> Clause:
        return Clause(parts[0], parts[1:], span_of(parts))

    def condition_check(self, parts: Parts) -> nodes.ConditionCheck:
        return nodes.ConditionCheck(span_of(parts), parts[0], value_of(by_word(parts), "FOR"))

    def unique_check(self, parts: Parts) -> nodes.UniqueCheck | None:
        column = _reference(parts, Word("a-column"))
        return nodes.UniqueCheck(span_of(parts), column) if column else None

    def fresh_check(self, parts: Parts) -> nodes.FreshCheck | None:
        source = _reference(parts, Word("an-events-source"))
        return nodes.FreshCheck(span_of(parts), source.name, parts[-1]) if source else None

    def exists_check(self, parts: Parts) -> nodes.ExistsCheck | None:
        column = _reference(parts, Word("a-column"))
        if column is None:
            return None
        return nodes.ExistsCheck(span_of(parts), column, name_of(parts[3]), value_of(by_word(parts), "FOR"))

    def covers_check(self, parts: Parts) -> nodes.CoversCheck:
        value = parts[1] if isinstance(parts[1], nodes.Text) else None
        return nodes.CoversCheck(span_of(parts), parts[0], value, parts[-3], parts[-1])

    def changes_check(self, parts: Parts) -> nodes.ChangesCheck:
        return nodes.ChangesCheck(span_of(parts), parts[0], parts[-1])

    def never_moves_check(self, parts: Parts) -> nodes.NeverMovesCheck:
        return nodes.NeverMovesCheck(span_of(parts), parts[0], parts[-3], parts[-1])

    def tag_name(self, parts: Parts) -> nodes.RuleName:
        return nodes.RuleName(span_of(parts), "tag", parts[1])

    def ladder_name(self, parts: Parts) -> nodes.RuleName:
        kind: Any = parts[0].type.lower()
        return nodes.RuleName(span_of(parts), kind, name_of(parts[1]))

    # -- examples

    def example(self, parts: Parts) -> nodes.ExampleStatement | None:
        groups = [part for part in parts if isinstance(part, Clause)]
        if not complete(parts[0].reading, span_of(parts[:2]), {group.word.type: group for group in groups}, "EXPECT"):
            return None
        given = [value for group in groups if group.word.type == "GIVEN" for value in group.values]
        expected = [value for group in groups if group.word.type == "EXPECT" for value in group.values]
        return nodes.ExampleStatement(
            span_of(parts),
            name=parts[1],
            as_of=next((part for part in parts if isinstance(part, nodes.Day)), None),
            givens=tuple(given),
            expectations=tuple(expected),
        )

    def given(self, parts: Parts) -> Clause:
        return Clause(parts[0], [part for part in parts if not isinstance(part, Token)], span_of(parts))

    expect = given

    def given_value(self, parts: Parts) -> nodes.GivenValue:
        return nodes.GivenValue(span_of(parts), parts[0], parts[2])

    def given_missing(self, parts: Parts) -> nodes.GivenValue:
        return nodes.GivenValue(span_of(parts), parts[0], None)

    def given_table(self, parts: Parts) -> nodes.GivenTable:
        name, *rows = parts
        columns, cells = table(rows)
        return nodes.GivenTable(span_of(parts), name_of(name), columns, cells)

    def since(self, parts: Parts) -> Clause:
        return Clause(parts[0], parts[1:], span_of(parts))

    def given_history(self, parts: Parts) -> nodes.GivenHistory:
        value = next((part for part in parts if isinstance(part, nodes.Text)), None)
        return nodes.GivenHistory(span_of(parts), parts[0], value, value_of(by_word(parts), "SINCE"))

    def expectation(self, parts: Parts) -> nodes.Expectation:
        rule = next(part for part in parts if isinstance(part, nodes.RuleName))
        value = parts[-1] if isinstance(parts[-1], nodes.Text) else None
        wanted: Any = {"NO": "no", "UNKNOWN": "unknown"}.get(parts[0].type) if isinstance(parts[0], Token) else "given"
        return nodes.Expectation(span_of(parts), rule, wanted, value)


def _reference(parts: Parts, wanted: Word) -> nodes.Reference | None:
    """What a check is about; a problem where it is something else than a column or events."""
    subject, word = parts[:2]
    found = subject if isinstance(subject, nodes.Reference) else None
    if wanted == "an-events-source" and found is not None and found.qualifier is not None:
        found = None
    if found is None:
        last = parts[2] if isinstance(parts[2], Token) and word.type == "IS" else word
        asked = f"{word.text} {last.text}" if last is not word else word.text
        word.reading.problems.append(
            codes.check_subject(subject.span, asked=asked, wanted=wanted, written=clip(subject.span.text, 60))
        )
    return found
