"""Every ruleset and pack of this repository is asked by its own tests in `make rules`, as `make test` begins."""

from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_ruleset_is_asked() -> None:
    commands = (ROOT / "Makefile").read_text("utf-8")

    for manifest in (ROOT / "rulesets").glob("*/ruleset.toml"):
        assert f"ruleengine test rulesets/{manifest.parent.name} --coverage --mutate --fail-under" in commands
    assert "ruleengine test tests/packs --coverage --mutate --fail-under 100" in commands


def test_every_pack_is_asked() -> None:
    used = (ROOT / "tests" / "packs" / "model.rules").read_text("utf-8")

    for pack in (ROOT / "rulesets" / "std").glob("*.rules"):
        assert f'use "linked/{pack.stem}"\n' in used
