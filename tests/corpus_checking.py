"""The corpus pages that go through the whole checker."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from ruleengine.checking.check import check
from ruleengine.diagnostics.problem import Problem
from ruleengine.source import Source

if TYPE_CHECKING:
    from tests.test_corpus import Page

MODEL = Path(__file__).parent / "corpus" / "rules" / "model.rules"
TODAY = date(2026, 3, 31)


def problems_of_rules(page: "Page") -> Sequence[Problem]:
    """The page's rules beside `model.rules`, or alone; `set=name=value` as the command line gives it."""
    blocks = page.blocks("rules")
    sources = [source for block in blocks if isinstance(source := block.read(), Source)]
    if all(block.option("alone") is None for block in blocks):
        sources.insert(0, Source(MODEL.name, MODEL.read_text("utf-8")))
    overrides = dict(
        option.removeprefix("set=").split("=", 1)
        for block in blocks
        for option in block.options
        if option.startswith("set=")
    )
    return check(sources, "corpus", "Europe/Paris", overrides=overrides, today=TODAY).problems
