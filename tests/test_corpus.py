"""The pages of the corpus: rule text in; problems, canonical layout and more out.

A page is Markdown: a title, a sentence, then fenced blocks. `rules` is a file of rules; its name may follow, and
options: `escapes` reads \\u{200B}, `repeat=N` repeats the text, `encoding=E` writes it in another encoding. `problems`
holds what is reported, `formatted` the layout of the first file. `pytest tests/test_corpus.py --update-corpus` writes
the blocks that are expected anew.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ruleengine.diagnostics.codes import CODES
from ruleengine.diagnostics.problem import Problem
from ruleengine.diagnostics.render import render_text
from ruleengine.source import Source
from ruleengine.syntax.format import format_file
from ruleengine.syntax.parse import parse
from ruleengine.syntax.scan import read_source
from tests.corpus_checking import problems_of_rules
from tests.corpus_examples import answers_of_examples
from tests.corpus_guards import answers_of_guards, examine_in_postgres, problems_of_guards
from tests.corpus_meaning import answers_of_run, problems_of_run, run_in_postgres
from tests.corpus_proofs import problems_of_proofs
from tests.corpus_suites import answers_of_suites, problems_of_suites

CORPUS = Path(__file__).parent / "corpus"

_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    kind: str
    options: tuple[str, ...]
    text: str

    @property
    def name(self) -> str:
        return next((option for option in self.options if option.endswith(".rules")), "example.rules")

    def option(self, name: str) -> str | None:
        return next((o.partition("=")[2] for o in self.options if o.partition("=")[0] == name), None)

    def read(self) -> Source | Problem:
        """The text of a `rules` block as it would come from a file."""
        text = self.text
        if self.option("escapes") is not None:
            text = re.sub(r"\\u\{([0-9A-F]+)\}", lambda match: chr(int(match[1], 16)), text)
        text *= int(self.option("repeat") or 1)
        encoding = self.option("encoding")
        if encoding is None:
            return Source(self.name, text)
        with TemporaryDirectory() as folder:
            file = Path(folder) / self.name
            file.write_bytes(text.encode(encoding))
            return read_source(file, self.name)


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def area(self) -> str:
        return self.path.parent.name

    @property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    def blocks(self, kind: str) -> list[Block]:
        return [
            Block(kind, tuple(words[1:]), match[2])
            for match in _BLOCK.finditer(self.text)
            if (words := match[1].split()) and words[0] == kind
        ]

    def update(self, kind: str, text: str) -> None:
        """Write the block of a kind anew."""

        def renewed(match: re.Match[str]) -> str:
            return f"```{match[1]}\n{text}```" if match[1].split()[:1] == [kind] else match[0]

        self.path.write_text(_BLOCK.sub(renewed, self.text), "utf-8")


def problems_in_text(page: Page) -> list[Problem]:
    """What the parser alone reports."""
    found: list[Problem] = []
    for block in page.blocks("rules"):
        source = block.read()
        found += [source] if isinstance(source, Problem) else parse(source).problems
    return found


READERS: dict[str, Callable[[Page], Sequence[Problem]]] = {
    "text": problems_in_text,
    "rules": problems_of_rules,
    "examples": problems_of_rules,
    "proofs": problems_of_proofs,
    "meaning": problems_of_run,
    "data": problems_of_run,
    "guards": problems_of_guards,
    "suites": problems_of_suites,
}
"""How the problems of a page are found, by the folder it lies in."""


IN_POSTGRES: dict[str, Callable[[Page], None]] = {
    "meaning": run_in_postgres,
    "data": run_in_postgres,
    "guards": examine_in_postgres,
}


def problems_of(page: Page) -> Sequence[Problem]:
    return READERS[page.area](page)


def formatted(page: Page) -> str:
    source = page.blocks("rules")[0].read()
    assert isinstance(source, Source)
    return format_file(parse(source))


def _has_data(page: Page) -> bool:
    return any(page.blocks(kind) for kind in ("csv", "parquet", "file"))


PAGES = sorted(path for area in READERS for path in (CORPUS / area).glob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_page(path: Path, request: pytest.FixtureRequest) -> None:
    page = Page(path)
    answers: dict[str, Callable[[], str]] = {
        "problems": lambda: render_text(problems_of(page)),
        "formatted": lambda: formatted(page),
        **answers_of_run(page),
        **answers_of_examples(page),
        **answers_of_guards(page),
        **answers_of_suites(page),
    }
    if request.config.getoption("--update-corpus"):
        for kind, answer in answers.items():
            if page.blocks(kind):
                page.update(kind, answer())

    expected = {kind: page.blocks(kind) for kind in answers}

    assert any(expected.values()), "the page expects nothing"
    for kind, blocks in expected.items():
        if blocks:
            assert answers[kind]() == blocks[0].text
    if not expected["problems"]:
        assert not problems_of(page)


@pytest.mark.parametrize(
    "path",
    [path for path in PAGES if Page(path).area in IN_POSTGRES and _has_data(Page(path))],
    ids=lambda path: f"{path.parent.name}/{path.stem}",
)
def test_page_in_postgres(path: Path) -> None:
    page = Page(path)

    IN_POSTGRES[page.area](page)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_page_says_what_it_shows(path: Path) -> None:
    title, _, rest = path.read_text("utf-8").partition("\n\n")

    assert re.fullmatch(r"# \S.*", title)
    assert not rest.startswith("```")


def test_every_code_has_a_page() -> None:
    shown = {
        code
        for path in CORPUS.glob("*/*.md")
        for block in Page(path).blocks("problems")
        for code in re.findall(r"(?:error|warning)\[([a-z0-9-]+)\]", block.text)
    }

    assert sorted(CODES.keys() - shown) == []
