"""What `make fuzz` found once is answered, or told, ever after."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import FOUND, NAMES
from tests.fuzz.targets import TARGETS

INPUTS = sorted(path for path in FOUND.glob("*/*"))


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name[-12:]}")
def test_what_was_found(path: Path) -> None:
    take, _ = TARGETS[path.parent.name]
    take(path.read_bytes())


def test_every_target_takes_what_it_begins_with() -> None:
    assert TARGETS.keys() == set(NAMES)
    for take, begin in TARGETS.values():
        for seed in begin():
            take(seed)
