"""What can be read but not computed yet. Each line goes when its part of the language comes."""

from collections.abc import Iterable, Iterator
from dataclasses import fields

from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem
from ruleengine.syntax import nodes

_NODES: dict[type[nodes.Node], str] = {
    nodes.ManualTagStatement: "manual tag",
    nodes.ManualTierStatement: "manual tier",
    nodes.AtMostOneStatement: "at most one of",
    nodes.HadTag: "had",
    nodes.LadderWas: "was",
}
_CLAUSES: dict[tuple[type[nodes.Node], str], str] = {
    (nodes.TagStatement, "formerly"): "formerly",
    (nodes.TagStatement, "until"): "until",
    (nodes.TagStatement, "keep_for"): "keep for",
    (nodes.TagStatement, "if_unknown_keep"): "if unknown keep",
    (nodes.TagStatement, "limit"): "limit",
    (nodes.Level, "formerly"): "formerly",
    (nodes.Level, "keep_while"): "keep while",
    (nodes.LadderStatement, "hold"): "hold",
    (nodes.LadderStatement, "grace"): "grace",
    (nodes.LadderStatement, "fall"): "fall",
    (nodes.LadderStatement, "review"): "review",
}


def not_yet(files: Iterable[nodes.File]) -> Iterator[Problem]:
    """One problem for each part that is not understood, at its place or that of the statement it belongs to."""
    waiting: list[object] = [statement for file in files for statement in file.statements]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple):
            waiting += node
        if not isinstance(node, nodes.Node):
            continue
        if type(node) in _NODES:
            yield codes.not_yet(node.span, word=_NODES[type(node)])
            continue
        for field in fields(node):
            value = getattr(node, field.name)
            word = _CLAUSES.get((type(node), field.name))
            if word is None:
                waiting.append(value)
            elif value:
                first = value[0] if isinstance(value, tuple) else value
                span = first.span if isinstance(first, nodes.Node) else node.span
                yield codes.not_yet(span, word=word)
