"""Whether the texts that rules compare with ever occur in the data."""

from collections.abc import Iterable, Iterator

import duckdb

from ruleengine.checking.literals import TextLiteral
from ruleengine.checking.scope import near
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError
from ruleengine.engines.binding import relation_of
from ruleengine.engines.columns import literal, quote
from ruleengine.schema import Profile

MOST_EXAMPLES = 200
"""So many values of a column are looked at for one that might be meant."""


def never_seen(profile: Profile, literals: Iterable[TextLiteral]) -> Iterator[Problem]:
    """A warning for each text that its column never holds. Data that cannot be read says nothing: a run will tell."""
    columns: dict[tuple[str, str], list[TextLiteral]] = {}
    for each in literals:
        columns.setdefault((each.source, each.column), []).append(each)
    if not columns:
        return
    with duckdb.connect(":memory:") as connection:
        for (source, column), wanted in columns.items():
            try:
                physical = profile.binding(source).columns.get(column, column)
                value = f"CAST({quote(physical)} AS VARCHAR)"
                distinct = (
                    f"SELECT DISTINCT {value} AS value FROM {relation_of(profile, source)} WHERE {value} IS NOT NULL"
                )
                texts = ", ".join(literal(each.text) for each in wanted)
                present = connection.execute(f"SELECT value FROM ({distinct}) WHERE value IN ({texts})").fetchall()
                missing = {each.text for each in wanted} - {str(row[0]) for row in present}
                if not missing:
                    continue
                found = connection.execute(f"{distinct} LIMIT {MOST_EXAMPLES}").fetchall()
            except (ProblemError, duckdb.Error):
                continue
            examples = sorted(str(row[0]) for row in found)
            if examples:
                for each in wanted:
                    if each.text in missing:
                        name = f"{source}.{column}"
                        close = near(each.text, examples)
                        yield codes.never_in_data(each.span, value=each.text, column=name, near=close)
