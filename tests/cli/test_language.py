"""Rules in Chinese on the command line: turned there and back, run alike, and explained in their language."""

from pathlib import Path

from tests.cli.conftest import DAY, Ask

HINT = "没有名为“黑名单”的标签。"


def test_fmt_turns_rules_into_chinese_and_back(ask: Ask, shop: Path) -> None:
    ask("fmt", shop)
    english = {file: file.read_text("utf-8") for file in shop.glob("*.rules")}

    ask("fmt", shop, "--lang", "zh")
    chinese = {file: file.read_text("utf-8") for file in shop.glob("*.rules")}
    kept = ask("fmt", shop, "--check")
    ask("fmt", shop, "--lang", "en")

    assert all("标签" in text or "实体" in text for text in chinese.values())
    assert kept.code == 0
    assert {file: file.read_text("utf-8") for file in shop.glob("*.rules")} == english


def test_rules_in_chinese_give_the_same_answers(ask: Ask, shop: Path) -> None:
    ask("run", shop, "--as-of", DAY)
    ask("fmt", shop, "--lang", "zh")
    ran = ask("run", shop, "--as-of", DAY, "--format", "json")
    differs = ask("diff", shop, "1", "2", "--format", "json")

    assert (ran.code, differs.code) == (0, 0)
    assert not any(differs.json.get(kind) for kind in ("tags", "ladders"))


def test_problems_are_told_in_the_language_of_the_file(ask: Ask, shop: Path) -> None:
    (shop / "more.rules").write_text('标签 "A" 当 有标签 "黑名单"\n', "utf-8")

    assert HINT in ask("check", shop).out
    assert HINT in ask("check", shop, "--format", "json").out
    assert HINT not in ask("--lang", "en", "check", shop).out

    (shop / "more.rules").write_text('tag "A" when has tag "黑名单"\n', "utf-8")

    assert HINT not in ask("check", shop).out
    assert HINT in ask("--lang", "zh", "check", shop).out
