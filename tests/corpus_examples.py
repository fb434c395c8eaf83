"""The corpus pages about examples: rule text in; problems, or what `test` prints, out."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ruleengine.checking.check import check
from ruleengine.cli.terminal import Terminal
from ruleengine.cli.testing import tested
from ruleengine.diagnostics.render import render_text
from ruleengine.source import Source
from ruleengine.verbs.test import answered
from tests.corpus_checking import MODEL, TODAY

if TYPE_CHECKING:
    from tests.test_corpus import Page


def answers_of_examples(page: "Page") -> dict[str, Callable[[], str]]:
    """What the block `tested` of a page should say; the page's rules stand beside those of `model.rules`."""
    return {"tested": lambda: _tested(page)}


def _tested(page: "Page") -> str:
    sources = [Source(MODEL.name, MODEL.read_text("utf-8"))]
    sources += [source for block in page.blocks("rules") if isinstance(source := block.read(), Source)]
    ruleset = check(sources, "corpus", "Europe/Paris", today=TODAY).ruleset
    assert ruleset is not None
    lines = tested(answered(ruleset, Path()), Terminal(colour=False, unicode=True), render_text)
    return "".join(f"{line}\n" for line in lines)
