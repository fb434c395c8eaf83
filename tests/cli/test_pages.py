"""The corpus pages about use: files and commands in, problems out.

Each `##` of a page begins in a folder with only the files above the first `##`. A fenced block with a file's name
writes it (`bytes` before the name: from hexadecimal), `sh` runs commands, `raised` makes a problem that no page can
bring about, and `problems` is what the one before it says. `pytest tests/cli/test_pages.py --update-corpus` writes the
`problems` anew.
"""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from ruleengine.cli.commands import program
from ruleengine.diagnostics.codes import CODES
from ruleengine.diagnostics.problem import Problem
from ruleengine.diagnostics.render import render_text

PAGES = sorted((Path(__file__).parents[1] / "corpus" / "use").glob("*.md"))
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def write(block: re.Match[str]) -> None:
    kind, _, name = block[1].rpartition(" ")
    file = Path(name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes.fromhex(block[2]) if kind == "bytes" else block[2].encode())


def said(commands: str) -> str:
    """The problems that the last of some commands tells: `check` on standard output, all others on standard error."""
    answer = ""
    for line in commands.splitlines():
        name, *arguments = shlex.split(line.removeprefix("$ "))
        assert name == "ruleengine"
        result = CliRunner().invoke(program, arguments)
        verdict = result.stdout.splitlines(keepends=True)
        answer = "".join(verdict[:-2]) if arguments[0] == "check" and len(verdict) > 2 else result.stderr
    return answer


def raised(text: str) -> str:
    """`slug fact=value …`, the values in quotes where they need some."""
    slug, *facts = shlex.split(text)
    return render_text([Problem(CODES[slug], None, dict(fact.split("=", 1) for fact in facts))])


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_page(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    answer = ""
    text = path.read_text("utf-8")
    common, *sections = re.split(r"(?m)^(?=## )", text)
    mended = [common]
    for number, section in enumerate(sections):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        for block in BLOCK.finditer(common):
            write(block)

        def problems(block: re.Match[str]) -> str:
            nonlocal answer
            match block[1]:
                case "sh":
                    answer = said(block[2])
                case "raised":
                    answer = raised(block[2])
                case "problems":
                    return f"```problems\n{answer}```"
                case _:
                    write(block)
            return block[0]

        mended.append(BLOCK.sub(problems, section))
    if request.config.getoption("--update-corpus"):
        path.write_text("".join(mended), "utf-8")
    assert "".join(mended) == path.read_text("utf-8")
