"""Folders of temporary data: swept once their process is gone, and not before."""

import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from ruleengine import scratch
from tests.cli.conftest import Ask

DIES = """
import os
from ruleengine import scratch
(scratch.of_process() / "rows.csv").write_text("4711")
print(scratch.of_process(), flush=True)
os.kill(os.getpid(), 9)
"""


def left_behind(folder: Path) -> Path:
    """The folder of a process that died."""
    died = subprocess.run([sys.executable, "-c", DIES], capture_output=True, text=True, env={"TMPDIR": str(folder)})
    left = Path(died.stdout.strip())
    assert (left / "rows.csv").read_text() == "4711"
    return left


def test_what_a_dead_process_left_is_swept_and_what_one_at_work_has_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = left_behind(tmp_path)
    with closing(scratch.Scratch()) as mine:
        scratch.sweep()

        assert not left.exists()
        assert mine.path.exists()


def test_forgetting_somebody_sweeps_it(
    ask: Ask, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = left_behind(tmp_path)

    assert ask("forget", published, "4", "--reason", "asked").code == 0

    assert not left.exists()
