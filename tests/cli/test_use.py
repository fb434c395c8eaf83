"""The commands where rules are brought in by `use`."""

import os
import shutil
from pathlib import Path

import pytest

from ruleengine.checking import uses
from ruleengine.source import Source
from ruleengine.store import open_store
from tests.cli.conftest import DAY, Ask

SHARED = """\
let best_floor = 2_000
tag   "Best" when monetary_90d > best_floor because "{monetary_90d}"
example "of the best"
    given monetary_90d = 2_001
    expect tag "Best"
"""


@pytest.fixture
def using(shop: Path) -> Path:
    """The shop with a shipped file and one of a folder of its own."""
    (shop / "shared").mkdir()
    (shop / "shared" / "best.rules").write_text(SHARED)
    (shop / "more.rules").write_text('use "std/abc"\n\nuse "shared/best"\n')
    return shop


def test_what_is_used_is_checked_asked_and_compiled(ask: Ask, using: Path) -> None:
    checked, tested = ask("check", using, "--format", "json"), ask("test", using, "--format", "json")
    compiled = ask("compile", using, "--as-of", DAY)

    assert (checked.code, checked.json["tags"], checked.json["ladders"]) == (0, 4, 3)
    assert {(each["name"], each["file"], each["passed"]) for each in tested.json["results"]} == {
        ("of the best", str(using / "shared" / "best.rules"), True),
        ("abc: who crosses 80% is still an A", "std/abc.rules", True),
        ("abc: from 80% on it is B", "std/abc.rules", True),
        ("abc: who bought nothing for 12 months is C", "std/abc.rules", True),
    }
    assert "abc_share" in compiled.out
    assert ask("doctor", using).code == 0


def test_what_is_used_is_published_and_explained(ask: Ask, using: Path) -> None:
    ran = ask("run", using, "--as-of", DAY, "--format", "json")
    best, abc = ask("explain", using, 3, "Best"), ask("explain", using, 3, "abc")

    assert (ran.code, ran.json["counts"]["tags"]["Best"]) == (0, 2)
    assert ran.json["counts"]["classes"]["abc"] == {"A": 2, "B": 1, "C": 1}
    assert "8,750.00" in best.out
    assert "abc_share < abc_a_share" in abc.out


def test_the_text_is_kept_with_the_version(ask: Ask, using: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ask("run", using, "--as-of", DAY, "--format", "json").json
    pack = uses.shipped()["std/abc.rules"]
    newer = Source(pack.path, pack.text.replace("80%", "70%"))
    monkeypatch.setattr(uses, "shipped", lambda: {pack.path: newer})
    (using / "shared" / "best.rules").write_text(SHARED.replace("2_000", "9_999"))

    second = ask("run", using, "--as-of", DAY, "--format", "json").json

    assert (first["version"], second["version"]) == (1, 2)
    assert first["ruleset_hash"] != second["ruleset_hash"]
    store = open_store(using / ".ruleengine")
    kept = [store.ruleset_texts(each["ruleset_hash"]) for each in (first, second)]
    store.close()
    assert [texts and texts["std/abc.rules"] for texts in kept] == [pack.text, newer.text]
    assert [texts and "2_000" in texts["shared/best.rules"] for texts in kept] == [True, False]
    assert "2,000" in ask("explain", using, 3, "Best", "--version", 1).out.replace("_", ",")
    assert "80" in ask("explain", using, 3, "abc", "--version", 1).out
    assert "70" in ask("explain", using, 3, "abc", "--version", 2).out


def test_a_parameter_that_is_brought_in_can_be_set(ask: Ask, using: Path) -> None:
    ran = ask("run", using, "--as-of", DAY, "--set", "best_floor=5000", "--set", "abc_a_share=0", "--format", "json")

    assert ran.json["counts"]["tags"]["Best"] == 1
    assert ran.json["counts"]["classes"]["abc"]["A"] == 0


def test_fmt_lays_out_only_what_is_the_rulesets_own(ask: Ask, using: Path) -> None:
    pack = Path(uses.__file__).parents[2] / "rulesets" / "std" / "abc.rules"
    before = pack.read_text()

    assert ask("fmt", using).code == 0
    assert (using / "shared" / "best.rules").read_text() == SHARED
    assert pack.read_text() == before
    assert ask("fmt", using / "shared" / "best.rules").out == f"changed {using / 'shared' / 'best.rules'}\n"


def test_a_link_is_followed(ask: Ask, using: Path, tmp_path: Path) -> None:
    (using / "shared").rename(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", using / "shared")

    assert ask("check", using).code == 0


def test_a_folder_is_no_rule_file(ask: Ask, using: Path) -> None:
    (using / "shared" / "best.rules").unlink()
    (using / "shared" / "best.rules").mkdir()

    assert "error[use-missing]" in ask("check", using).out


def test_an_overflow_in_a_used_file_is_told_with_its_use(ask: Ask, using: Path) -> None:
    (using / "shared" / "best.rules").write_text(
        'metric huge = sum(orders.amount) * 99_999_999_999_999\ntag "Huge" when huge * huge > 1\n'
    )

    answer = ask("run", using, "--as-of", DAY)

    assert answer.code == 5
    assert f"{using}/shared/best.rules:2:" in answer.err
    assert f"{using}/more.rules:3:5: used here" in answer.err


def test_a_plan_against_the_same_pack_tells_the_parameter_that_changed(ask: Ask, using: Path, tmp_path: Path) -> None:
    tuned = shutil.copytree(using, tmp_path / "tuned")
    (tuned / "own.rules").write_text("let abc_a_share = 50%\n")

    planned = ask("plan", tuned, "--against", using, "--as-of", DAY, "--format", "json")

    assert planned.code == 0, planned.err
    changes = {(each["kind"], each["name"], each["change"]) for each in planned.json["against"]["changes"]}
    assert changes == {("parameter", "abc_a_share", "changed")}
