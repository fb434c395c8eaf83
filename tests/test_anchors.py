"""Files of anchors: what was changed in them, and what they tell of a store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ruleengine.store.records import Json
from ruleengine.verbs import anchors
from ruleengine.verbs.anchors import Lines

HASHES = {1: "a" * 64, 2: "b" * 64, 3: "c" * 64}
Change = Callable[[list[str]], list[str]]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        anchors.make_key(folder / name)
    return folder


@pytest.fixture
def file(keys: Path, tmp_path: Path) -> Path:
    """Three versions, anchored and signed."""
    for version, hash_ in HASHES.items():
        anchors.append(tmp_path / "anchors", "shop", version, hash_, anchors.private_key(keys / "ours"))
    return tmp_path / "anchors"


def found(file: Path, hashes: dict[int, str] = HASHES, key: Path | None = None) -> list[tuple[int | None, str, Json]]:
    public = None if key is None else anchors.public_key(key)
    return [
        (each.version, each.problem.code.name.removeprefix("audit-anchor-"), each.problem.facts.get("line"))
        for each in Lines.of(file).findings("shop", hashes, public)
    ]


def test_a_file_that_nobody_touched_agrees(file: Path, keys: Path) -> None:
    assert found(file, key=keys / "ours.pub") == []
    assert Lines.of(file).signatures(anchors.public_key(keys / "ours.pub")) == "valid"
    assert Lines.of(file).signatures(None) == "unchecked"


def test_the_first_version_that_was_rewritten_is_named(file: Path) -> None:
    assert found(file, HASHES | {2: "d" * 64, 3: "e" * 64}) == [(2, "differs", None), (3, "differs", None)]


def test_versions_that_were_cut_off_are_named(file: Path) -> None:
    assert found(file, {1: HASHES[1]}) == [(2, "beyond", None), (2, "beyond", None)]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: [lines[0].replace("T", "t", 1), *lines[1:]], 2),
        (lambda lines: [lines[1], lines[0], lines[2]], 1),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: [lines[0], *lines], 2),
        (lambda lines: [lines[0], "[" * 50_000, lines[2]], 2),
        (lambda lines: [lines[0], "{}", lines[2]], 2),
        (lambda lines: [lines[0], lines[1].replace(":", ": ", 1), lines[2]], 2),
    ],
    ids=["edited", "swapped", "taken out", "twice", "no JSON", "nothing said", "another spelling"],
)
def test_a_file_that_was_changed_is_told_without_any_key(file: Path, change: Change, line: int) -> None:
    file.write_text("".join(f"{each}\n" for each in change(file.read_text("utf-8").splitlines())), "utf-8")

    assert (None, "line", line) in found(file)


def test_a_file_that_was_written_anew_is_told_by_its_signatures(file: Path, keys: Path) -> None:
    forged = file.with_name("forged")
    anchors.append(forged, "shop", 1, "d" * 64, anchors.private_key(keys / "theirs"))
    anchors.append(forged, "shop", 2, "e" * 64, None)

    assert found(forged, {1: "d" * 64, 2: "e" * 64}) == []
    assert found(forged, {1: "d" * 64, 2: "e" * 64}, keys / "ours.pub") == [
        (None, "signature", 1),
        (None, "signature", 2),
    ]


def test_anchors_of_another_ruleset_say_nothing_of_this_one(file: Path) -> None:
    anchors.append(file, "market", 1, "f" * 64, None)

    assert found(file) == [(None, "of-another", 4)]
