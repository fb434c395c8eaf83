"""The commands of whoever writes rules: check, fmt, new."""

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Ask


def test_check_tells_what_there_is(ask: Ask, shop: Path) -> None:
    answer = ask("check", shop)

    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith("shop: 2 files, 3 metrics, 3 tags, 2 ladders · no problems\n")


def test_check_tells_all_problems_on_standard_output(ask: Ask, shop: Path) -> None:
    (shop / "more.rules").write_text('tag "A" when montary > 1\n\ntag "B" when frequency > "x"\n')

    answer = ask("check", shop)

    assert (answer.code, answer.err) == (1, "")
    assert "more.rules:1:14: error[unknown-name]" in answer.out
    assert "more.rules:3:14: error[incomparable]" in answer.out
    assert "2 errors" in answer.out.splitlines()[-1]


def test_check_as_json(ask: Ask, shop: Path) -> None:
    (shop / "more.rules").write_text('tag "A" when montary > 1\n')

    answer = ask("check", shop, "--format", "json")

    assert answer.code == 1
    assert answer.json["errors"] == 1
    assert answer.json["hash"] is None
    assert [(p["code"], p["line"], p["column"]) for p in answer.json["problems"]] == [("unknown-name", 1, 14)]


def test_check_looks_for_texts_in_the_data(ask: Ask, shop: Path) -> None:
    (shop / "more.rules").write_text('tag "Returns" when count(orders where status = "Paid") > 3\n')

    answer = ask("check", shop)
    elsewhere = ask("check", shop, "--profile", "prod")

    assert answer.code == 0
    assert "more.rules:1:48: warning[never-in-data]" in answer.out
    assert "1 warning" in answer.out.splitlines()[-1]
    assert elsewhere.code == 2


def test_a_ruleset_without_rules_is_no_ruleset(ask: Ask, shop: Path) -> None:
    for file in shop.glob("*.rules"):
        file.unlink()

    answer = ask("check", shop)

    assert answer.code == 1
    assert "error[no-rules]" in answer.out


def test_a_rule_file_that_is_a_folder_or_not_text_is_told(ask: Ask, shop: Path) -> None:
    (shop / "bad.rules").write_bytes(b"tag \xff")

    answer = ask("check", shop)

    assert answer.code == 1
    assert "error[not-utf8]" in answer.err


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_rule_file_that_may_not_be_read_is_told(ask: Ask, shop: Path) -> None:
    (shop / "value.rules").chmod(0)

    answer = ask("check", shop)

    assert "error[file-unreadable]" in answer.err


def test_problems_come_as_json_where_json_was_asked_for(ask: Ask, tmp_path: Path) -> None:
    answer = ask("check", tmp_path / "nowhere", "--format", "json")

    assert (answer.code, answer.err) == (2, "")
    assert [problem["code"] for problem in answer.json["problems"]] == ["ruleset-missing"]


def test_fmt_changes_only_what_is_not_in_the_layout(ask: Ask, shop: Path) -> None:
    messy = shop / "more.rules"
    messy.write_text('tag   "A"    when monetary>1\n')
    messy.chmod(0o640)
    before = {file: file.stat().st_mtime_ns for file in shop.glob("*.rules") if file != messy}

    listed = ask("fmt", shop, "--check")
    changed = ask("fmt", shop)
    again = ask("fmt", shop, "--check")

    assert (listed.code, listed.out) == (1, f"would change {messy}\n")
    assert (changed.code, changed.out) == (0, f"changed {messy}\n")
    assert (again.code, again.out) == (0, "")
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert messy.stat().st_mode & 0o777 == 0o640
    assert sorted(file.name for file in shop.iterdir() if file.name.startswith(".")) == []


def test_fmt_follows_links_and_leaves_broken_files_alone(ask: Ask, shop: Path, tmp_path: Path) -> None:
    target = tmp_path / "real.rules"
    target.write_text('tag   "A"    when monetary>1\n')
    (shop / "link.rules").symlink_to(target)
    (shop / "broken.rules").write_text('tag "A  when\n')

    answer = ask("fmt", shop, "--format", "json")

    assert answer.code == 1
    assert answer.json["changed"] == [str(shop / "link.rules")]
    assert [problem["code"] for problem in answer.json["problems"]] == ["unclosed-quote"]
    assert (shop / "link.rules").is_symlink()
    assert "tag   " not in target.read_text()
    assert (shop / "broken.rules").read_text() == 'tag "A  when\n'


def test_a_new_ruleset_checks_is_laid_out_and_runs(ask: Ask, tmp_path: Path) -> None:
    folder = tmp_path / 'my "shop"'

    made = ask("new", folder)

    assert made.code == 0
    assert f"ruleengine run {folder}" in made.out.replace("'", "")
    assert ask("check", folder).out.endswith("no problems\n")
    assert ask("fmt", folder, "--check").code == 0
    report = ask("run", folder, "--format", "json").json
    assert report["outcome"] == "published"
    assert all(report["counts"]["tags"].values())
    assert ask("new", folder).code == 2
