"""The command line itself, in processes that are killed at a step or at any moment: what holds of forked ones holds of
these."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lives import CRASH_AT
from tests.torture import shop
from tests.torture.crashes import FOLDER_STEPS, told

RULEENGINE = Path(sys.executable).with_name("ruleengine")
ACTS = {
    "run": "run {folder} --as-of {day}",
    "by hand": "tag {folder} {customer} Blocked --reason because",
    "rollback": "rollback {folder} {version} --reason because",
    "forget": "forget {folder} {customer} --reason because",
}
ANSWERS = (0, 1, 2, 3)
"""Done; problems; what cannot be, as a rollback to a detached version; held."""
WAITED = (0.5, 2.5)
"""Seconds, before a process is killed at any moment: first it is busy with its imports."""


def torture(kills: int, seed: int) -> Counter[str]:
    """Half of them at a step, the others at any moment, or after they were done."""
    counts: Counter[str] = Counter()
    random_ = random.Random(seed)
    steps = [(what, step) for what, step in FOLDER_STEPS if what in ACTS]
    with TemporaryDirectory() as temporary:
        folder = shop.made(Path(temporary) / "shop")
        for number in range(kills):
            before = _versions(folder)
            what, step = random_.choice(steps) if number % 2 else (random_.choice(list(ACTS)), "")
            day = date(2026, 4, 1) + timedelta(days=number)
            words = ACTS[what].format(
                folder=folder, day=day, customer=number + 10, version=random_.choice(list(before))
            )
            code = _run([*words.split(), "--actor", "tests"], step, random_)
            counts["kills" if code == -signal.SIGKILL else "done"] += 1
            where = f"seed {seed}, {number}: {words} {step}"
            told(counts, "failed", [f"exit {code}"] if code not in (-signal.SIGKILL, *ANSWERS) else [], where)
            after = _versions(folder)
            whole = list(after.items())[: len(before)] == list(before.items()) and len(after) - len(before) <= 1
            told(counts, "lost", [] if whole else [f"{before} {after}"], where)
            audit, out, err = shop.command("audit", "verify", folder)
            told(counts, "torn", [out + err] if audit else [], where)
            told(counts, "torn", sorted(shop.named(folder)), where)
    return counts


def _versions(folder: Path) -> dict[int, str]:
    """The hash of each, by number."""
    out = shop.done("versions", folder, "--format", "json")
    return {each["number"]: each["hash"] for each in reversed(json.loads(out)["versions"])}


def _run(words: list[str], step: str, random_: random.Random) -> int:
    """The exit code, or below zero the signal that ended it."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([RULEENGINE, *words], env={**os.environ, CRASH_AT: step}, stdout=quiet, stderr=quiet)
    if not step:
        time.sleep(random_.uniform(*WAITED))
        process.kill()
    return process.wait()
