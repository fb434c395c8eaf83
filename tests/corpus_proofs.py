"""The corpus pages of what is proved."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ruleengine.checking.check import check
from ruleengine.checking.proofs import prove
from ruleengine.diagnostics.problem import Problem, Problems
from ruleengine.source import Source

if TYPE_CHECKING:
    from tests.test_corpus import Page

MODEL = Path(__file__).parent / "corpus" / "proofs" / "model.rules"


def problems_of_proofs(page: "Page") -> Sequence[Problem]:
    """What is proved of the page's rules beside `model.rules`; they have no other problems."""
    sources = [source for block in page.blocks("rules") if isinstance(source := block.read(), Source)]
    checked = check([Source(MODEL.name, MODEL.read_text("utf-8")), *sources], "corpus", "Europe/Paris")
    assert checked.ruleset is not None, [problem for problem in checked.problems if problem.is_error]
    return tuple(Problems(prove(checked.ruleset)))
