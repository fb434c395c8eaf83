"""How two sets of rules differ: by their trees, so that neither layout nor the order of statements is a difference."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, assert_never

from ruleengine.checking.metrics import instance_name
from ruleengine.checking.scope import split_window
from ruleengine.syntax import nodes

Key = tuple[str, str]
"""What kind of statement, and which: `("tag", "VIP")`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What differs within a statement: one clause of it, as written on both sides; None where it is not there."""

    clause: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A statement that is not the same on both sides."""

    change: Literal["added", "removed", "changed", "renamed"]
    """Renamed: under another name, and perhaps changed too."""
    old: Key | None
    new: Key | None
    statement: nodes.Statement
    """The new one, or that which is gone."""
    parts: tuple[Part, ...]


def compare(old: Iterable[nodes.File], new: Iterable[nodes.File]) -> tuple[Difference, ...]:
    """The differences in the order of the new statements, then what is gone."""
    before, after = _Rules(old), _Rules(new)
    renames = _renames(before, after)
    found = []
    for key, statement in after.statements.items():
        former = renames.get(key, key)
        if former not in before.statements:
            found.append(Difference(change="added", old=None, new=key, statement=statement, parts=()))
            continue
        one = before.plain(former, {was: now for now, was in renames.items()})
        other = after.plain(key, {})
        parts = tuple(_parts(one, other)) if one != other else ()
        renamed = former != key and key[0] not in _UNNAMED
        if renamed or parts:
            change: Literal["renamed", "changed"] = "renamed" if renamed else "changed"
            found.append(Difference(change=change, old=former, new=key, statement=statement, parts=parts))
    for key, statement in before.statements.items():
        if key not in after.statements and key not in renames.values():
            found.append(Difference(change="removed", old=key, new=None, statement=statement, parts=()))
    return tuple(found)


_UNNAMED = frozenset({"check", "at most one of"})
"""Statements that go by what they say."""


class _Rules:
    """The statements of some files by what they declare."""

    def __init__(self, files: Iterable[nodes.File]) -> None:
        self.statements: dict[Key, nodes.Statement] = {}
        self._labels: dict[str, str] = {}
        seen: Counter[Key] = Counter()
        for statement in (statement for file in files for statement in file.statements):
            kind, name = _key(statement)
            seen[kind, name] += 1
            number = seen[kind, name]
            self.statements[kind, name if number == 1 else f"{name} ({number})"] = statement
            declared = nodes.LetStatement | nodes.MetricStatement | nodes.ScoreStatement
            if isinstance(statement, declared) and statement.label:
                self._labels[statement.label.value] = statement.name.text

    def plain(self, key: Key, renamed: Mapping[Key, Key]) -> nodes.Statement:
        """A statement with one spelling for what has several, and with new names for old ones."""
        names = {was: now for (kind, was), (_, now) in renamed.items() if kind != "tag"}
        tags = {was: now for (kind, was), (_, now) in renamed.items() if kind == "tag"}
        made: nodes.Statement = _plain(self.statements[key], self._labels, names, tags)
        return made


def _key(statement: nodes.Statement) -> Key:
    match statement:
        case nodes.EntityStatement():
            return "entity", statement.name.text
        case nodes.EventsStatement():
            return "events", statement.name.text
        case nodes.LetStatement():
            return "parameter", statement.name.text
        case nodes.MetricStatement() | nodes.ScoreStatement():
            return "metric", statement.name.text
        case nodes.TagStatement() | nodes.ManualTagStatement():
            return "tag", statement.name.value
        case nodes.ManualTierStatement():
            return "manual tier", statement.tier.text
        case nodes.AtMostOneStatement():
            return "at most one of", ", ".join(tag.value for tag in statement.tags)
        case nodes.LadderStatement():
            return statement.kind, statement.name.text
        case nodes.CheckStatement():
            return "check", " ".join(statement.check.span.text.split())
        case nodes.ExampleStatement():
            return "example", statement.name.value
        case nodes.UseStatement():
            return "use", statement.path.value
        case _:
            assert_never(statement)


# -- one spelling -------------------------------------------------------------------------------------------


def _plain(value: Any, labels: Mapping[str, str], names: Mapping[str, str], tags: Mapping[str, str]) -> Any:
    """Without parentheses, which the tree needs no more, `is` as `=`, labels as names, and former names as new ones."""

    def name(text: str) -> str:
        for known in (labels, names):
            text = known.get(text, text)
        return text

    match value:
        case tuple():
            return tuple(_plain(item, labels, names, tags) for item in value)
        case nodes.Group(inner=inner):
            return _plain(inner, labels, names, tags)
        case nodes.Column():
            return value
        case nodes.Reference(qualifier=nodes.Name() as qualifier):  # a column, which no statement of its own names
            return replace(value, qualifier=_plain(qualifier, labels, names, tags))
        case nodes.Name(text=text):
            split = split_window(text)
            through = instance_name(name(split[0]), split[1], "") if split else text
            return replace(value, text=name(text) if name(text) != text else through)
        case nodes.HasTag(tag=tag) | nodes.HadTag(tag=tag):
            return replace(value, tag=replace(tag, value=tags.get(tag.value, tag.value)))
        case nodes.RuleName(kind="tag", name=nodes.Text() as tag):
            return replace(value, name=replace(tag, value=tags.get(tag.value, tag.value)))
        case nodes.AtMostOneStatement():
            listed = tuple(replace(tag, value=tags.get(tag.value, tag.value)) for tag in value.tags)
            return replace(value, tags=listed)
        case nodes.Comparison(operator="is"):
            return _plain(replace(value, operator="="), labels, names, tags)
        case nodes.Comparison(operator="is not"):
            return _plain(replace(value, operator="!="), labels, names, tags)
        case nodes.Node():
            inside = {
                field.name: _plain(getattr(value, field.name), labels, names, tags)
                for field in fields(value)
                if field.compare
            }
            return replace(value, **inside)
        case _:
            return value


def _renames(before: _Rules, after: _Rules) -> dict[Key, Key]:
    """New keys → the old ones that they were: where a statement says so, or where all but the name is the same."""
    gone = [key for key in before.statements if key not in after.statements]
    come = [key for key in after.statements if key not in before.statements]
    found: dict[Key, Key] = {}
    for key in come:
        statement = after.statements[key]
        former = getattr(statement, "formerly", ())
        said = [(key[0], text.value) for text in former if (key[0], text.value) in gone]
        if said:
            found[key] = said[0]
    while True:
        told = {was: now for now, was in found.items()}
        matched = next(
            (
                (now, was)
                for now in come
                if now not in found
                for was in gone
                if was not in told
                and was[0] == now[0]
                and _body(before.plain(was, told)) == _body(after.plain(now, {}))
            ),
            None,
        )
        if matched is None:
            return found
        found[matched[0]] = matched[1]


def _body(statement: nodes.Statement) -> object:
    """All that a statement says beside its name, which may be found again under another one."""
    if isinstance(statement, nodes.CheckStatement):
        return statement.check
    return type(statement), tuple(
        (field.name, getattr(statement, field.name))
        for field in fields(statement)
        if field.compare and field.name not in ("name", "tier", "formerly", "label")
    )


# -- parts --------------------------------------------------------------------------------------------------


def _parts(old: Any, new: Any, within: str = "") -> Iterator[Part]:
    if type(old) is not type(new):
        yield Part(clause=within or "statement", old=_text(old), new=_text(new))
        return
    for field in fields(old):
        one, other = getattr(old, field.name), getattr(new, field.name)
        clause = f"{within} {_CLAUSES.get(field.name, field.name.replace('_', ' '))}".strip()
        if not field.compare or one == other or (field.name == "name" and not within):
            continue
        named = _named(one), _named(other)
        if named[0] is not None and named[1] is not None:
            yield from _items(named[0], named[1], within)
        else:
            yield Part(clause=clause, old=_text(one), new=_text(other))


_CLAUSES = {"otherwise": "otherwise", "expression": "=", "steps": "=", "lines": "points"}


def _named(value: object) -> dict[str, nodes.Node] | None:
    """Levels and columns, by what they are called."""
    if not isinstance(value, tuple):
        return None
    found: dict[str, nodes.Node] = {}
    for item in value:
        match item:
            case nodes.Level(value=text):
                found[f'"{text.value}"'] = item
            case nodes.Column(name=name):
                found[name.text] = item
            case _:
                return None
    return found


def _items(old: Mapping[str, nodes.Node], new: Mapping[str, nodes.Node], within: str) -> Iterator[Part]:
    renamed = {
        f'"{text.value}"': name
        for name, item in new.items()
        if isinstance(item, nodes.Level)
        for text in item.formerly
        if f'"{text.value}"' in old
    }
    for name, item in old.items():
        now = renamed.get(name, name)
        if now not in new:
            yield Part(clause=f"{within} {name}".strip(), old=_text(item), new=None)
        elif item != new[now]:
            yield from _parts(item, new[now], f"{within} {now}".strip())
    for name, item in new.items():
        if name not in old and name not in renamed.values():
            yield Part(clause=f"{within} {name}".strip(), old=None, new=_text(item))
    kept = [renamed.get(name, name) for name in old if renamed.get(name, name) in new]
    order = [name for name in new if name in kept]
    if kept != order:
        yield Part(clause=f"{within} order".strip(), old=", ".join(kept), new=", ".join(order))


def _text(value: object) -> str | None:
    """A part of a statement as it is written, on one line."""
    match value:
        case None | () | False:
            return None
        case True:
            return "yes"
        case nodes.Node():
            return " ".join(value.span.text.split())
        case tuple():
            return ", ".join(filter(None, map(_text, value)))
        case _:
            return str(value)
