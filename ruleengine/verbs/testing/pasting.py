"""An example as text that can be pasted into a rule file."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from ruleengine.checking.ruleset import Events, Example, Expectation, Ruleset
from ruleengine.source import Source
from ruleengine.syntax.chinese import language_of
from ruleengine.syntax.format import format_file
from ruleengine.syntax.parse import parse
from ruleengine.syntax.scan import scan


def pasted(example: Example, name: str, ruleset: Ruleset, beside: Source) -> str:
    """The example, laid out as `fmt` does it and in the language of the rules beside which it is to stand."""
    lines = [f"example {_quoted(name)}" + (f" as of {example.as_of}" if example.as_of is not None else "")]
    values = [f"{each} {_is(value)}" for each, value in (*example.metrics.items(), *example.attributes.items())]
    if values:
        lines.append(f"    given {', '.join(values)}")
    for (kind, had), before in example.history.items():
        since = f" since {before.since}" if before.since is not None else ""
        if kind == "tag":
            lines.append(f"    given tag {_quoted(had)}{since}")
        else:
            was = f" was {_quoted(before.value or '')}{since}"
            lines.append(f"    given {ruleset.ladders[had].kind} {had}{was}")
    for source, rows in example.events.items():
        lines.append(f"    given {source}")
        lines.extend(f"        {line}" for line in _table(rows, ruleset.events[source]))
    lines.append(f"    expect {', '.join(_expected(each) for each in example.expectations)}")
    language = language_of(scan(beside).tokens)
    return format_file(parse(Source("example.rules", "\n".join(lines) + "\n")), language)


def _expected(expectation: Expectation) -> str:
    quoted = _quoted(expectation.name) if expectation.kind == "tag" else expectation.name
    wanted = "" if expectation.wanted == "given" else f"{expectation.wanted} "
    value = f" {_quoted(expectation.value)}" if expectation.value is not None else ""
    return f"{wanted}{expectation.kind} {quoted}{value}"


def _is(value: object) -> str:
    return "is missing" if value is None else f"= {_literal(value)}"


def _literal(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | Decimal():
            return f"{value:_}" if isinstance(value, int) else f"{value:,f}".replace(",", "_")
        case float():
            return f"{Decimal(repr(value)):f}"
        case str():
            return _quoted(value)
        case _:
            return str(value)


def _quoted(text: str) -> str:
    return '"' + " ".join(text.split()).replace('"', '""') + '"'


def _table(rows: Sequence[Mapping[str, Any]], events: Events) -> Iterator[str]:
    """The time first; keys, which are numbered anyway, and columns that no row fills are left out."""
    filled = dict.fromkeys(name for row in rows for name, value in row.items() if value is not None)
    at, key = events.at.name, events.key.name if events.key else None
    columns = [at, *(name for name in filled if name not in (at, key))]
    yield f"| {' | '.join(columns)} |"
    for row in rows:
        yield f"| {' | '.join(_cell(row.get(column)) for column in columns)} |"


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case datetime():
            return value.isoformat(" ", "minutes") if not value.second else value.isoformat(" ")
        case date():
            return value.isoformat()
        case Decimal():
            return f"{value.normalize():f}"
        case _:
            return str(value)
