"""Rule texts that the tests start from: those of the corpus."""

import re
from pathlib import Path

CORPUS = Path(__file__).parents[1] / "corpus" / "text"


def rules_of(slug: str) -> str:
    """The first rule text of a page."""
    found = re.search(r"^```rules[^\n]*\n(.*?)^```$", (CORPUS / f"{slug}.md").read_text("utf-8"), re.M | re.S)
    assert found
    return found[1]


WELL_WRITTEN = [
    rules_of(slug)
    for slug in ("statements", "entity-forms", "expressions", "full-width", "comments", "long-lines", "the-language")
]
