"""The commands as people use them: what they print, and how they end."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from ruleengine.cli import main
from ruleengine.cli.commands import program
from ruleengine.engines.interruption import interruptible
from ruleengine.store import open_store
from ruleengine.store.records import Identity
from tests.cli.conftest import DAY, Ask

# -- check, fmt, new --------------------------------------------------------------------------------------


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


# -- run --------------------------------------------------------------------------------------------------


def test_a_run_publishes_and_tells_what_it_found(ask: Ask, shop: Path) -> None:
    answer = ask("run", shop, "--as-of", DAY)

    assert answer.code == 0, answer.err
    first, *rest = answer.out.splitlines()
    assert first.startswith(f"shop · version 1 published · as of {DAY} · 4 customers · rules ")
    told = [" ".join(line.split()) for line in rest]
    assert "VIP 1 25.0% ██████ +1" in told
    assert "Gold 2 50.0% ████████████" in told
    assert 'left out: 1 of 5 orders for which it is unknown whether status = "paid"' in told
    assert "class lifecycle: no value for 1 customer, a line is unknown for them" in told
    assert 'draft tag "Rising": 3 customers' in told


def test_a_run_as_json(ask: Ask, shop: Path) -> None:
    report = ask("run", shop, "--as-of", DAY, "--format", "json").json

    assert (report["outcome"], report["version"], report["base"], report["as_of"]) == ("published", 1, None, DAY)
    assert report["counts"]["tiers"] == {"loyalty": {"Gold": 2, "Silver": 1, "Member": 1}}
    assert report["left_out"] == [
        {
            "source": "orders",
            "events": 5,
            "without_customer": 0,
            "of_unknown_customers": 0,
            "without_time": 0,
            "unknown_filters": {'status = "paid"': 1},
        }
    ]
    assert report["drafts"] == [{"kind": "tag", "name": "Rising", "value": None, "customers": 3}]
    assert report["unknown_classes"] == {"lifecycle": 1}
    assert [phase["name"] for phase in report["phases"]] == [
        "checking",
        "reading the data",
        "checking the data",
        "computing",
        "comparing",
        "publishing",
    ]


def test_nothing_new_makes_no_version(ask: Ask, published: Path) -> None:
    again = ask("run", published, "--as-of", DAY)

    assert again.code == 0
    assert "nothing new; version 1 stands" in again.out
    assert len(ask("versions", published, "--format", "json").json["versions"]) == 1


def test_the_same_ruleset_named_otherwise_is_the_same(
    ask: Ask, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(published)

    assert "nothing new" in ask("run", "--as-of", DAY).out
    assert "nothing new" in ask("run", "./ruleset.toml", "--as-of", DAY).out


def test_a_parameter_set_for_a_run_makes_another_version(ask: Ask, published: Path) -> None:
    report = ask("run", published, "--as-of", DAY, "--set", "vip_floor=9_000", "--format", "json").json

    assert report["version"] == 2
    assert report["movement"]["removed"] == {"VIP": 1}
    explained = ask("explain", published, 1, "VIP")
    assert "2,500.50 (vip_floor 9,000) — 6,499.50 short" in explained.out


def test_a_day_before_the_current_one_makes_a_detached_version(ask: Ask, published: Path) -> None:
    answer = ask("run", published, "--as-of", "2026-01-31")

    assert answer.code == 0
    assert "version 2, detached" in answer.out
    listed = ask("versions", published, "--format", "json").json
    assert (listed["current"], listed["line"]) == (1, [1])
    assert ask("rollback", published, 2, "--reason", "because").code == 2


def test_a_run_for_today_says_that_it_saw_a_part_of_the_day(ask: Ask, shop: Path) -> None:
    answer = ask("run", shop, "--format", "json")

    assert answer.json["saw_part_of_day"] is True
    assert "(a part of that day)" in ask("run", shop).out


def test_a_day_that_is_still_to_come_is_warned_of(ask: Ask, shop: Path) -> None:
    answer = ask("run", shop, "--as-of", "2998-01-01")

    assert answer.code == 0
    assert "warning[as-of-ahead]" in answer.err


def test_rules_with_errors_do_not_run(ask: Ask, shop: Path) -> None:
    (shop / "more.rules").write_text('tag "A" when montary > 1\n')

    answer = ask("run", shop)

    assert answer.code == 1
    assert "error[unknown-name]" in answer.err
    assert not (shop / ".ruleengine").exists()


def test_orphans_hold_the_run_until_somebody_publishes_it(ask: Ask, published: Path) -> None:
    with open(published / "data/orders.csv", "a") as orders:
        orders.write("9,2026-03-01 10:00,5,paid\n")

    held = ask("run", published, "--as-of", DAY, "--format", "json")

    assert held.code == 3
    assert held.json["outcome"] == "held"
    assert held.json["reasons"] == ["1 of 6 (16.7%) orders are of customers that are not there"]
    assert held.json["version"] == 1
    listed = ask("versions", published).out
    assert f"held: run {held.json['run']}" in listed
    refused = ask("publish", published, held.json["run"])
    assert (refused.code, "--reason" in refused.err) == (2, True)
    done = ask("publish", published, held.json["run"], "--reason", "they closed their accounts")
    assert done.code == 0, done.err
    assert "published version 2" in done.out
    assert ask("publish", published, held.json["run"], "--reason", "again").code == 2


def test_vanished_customers_hold_the_run(ask: Ask, published: Path) -> None:
    (published / "data/customers.csv").write_text("customer_id,country\n1,DE\n2,FR\n3,DE\n")

    held = ask("run", published, "--as-of", DAY)

    assert held.code == 3
    assert "1 of 4 (25.0%) customers of the last version are gone" in held.out
    assert "ruleengine publish" in held.out


@pytest.mark.parametrize(
    ("file", "text", "code"),
    [
        ("data/customers.csv", "customer_id,country\n1,DE\n1,FR\n", "key-repeated"),
        ("data/customers.csv", "customer_id,country\nx,DE\n", "value-unreadable"),
        ("data/customers.csv", "customer,country\n1,DE\n", "column-missing"),
        ("data/orders.csv", None, "source-file-missing"),
    ],
)
def test_bad_data_fails_the_run_and_the_last_version_stays(
    ask: Ask, published: Path, file: str, text: str | None, code: str
) -> None:
    if text is None:
        (published / file).unlink()
    else:
        (published / file).write_text(text)

    answer = ask("run", published, "--as-of", DAY)

    assert answer.code == 5
    assert f"error[{code}]" in answer.err
    assert ask("versions", published, "--format", "json").json["current"] == 1
    store = open_store(published / ".ruleengine")
    (failed, _) = store.runs()
    assert failed.state == "failed"
    assert failed.reasons[0]
    store.close()


def test_a_source_that_changes_during_the_run_is_an_error(
    ask: Ask, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ruleengine.engines.duckdb import DuckDB

    compute = DuckDB.run

    def run(self: DuckDB, *rest: object) -> object:
        with open(published / "data/orders.csv", "a") as orders:
            orders.write("1,2026-03-02 10:00,5,paid\n")
        return compute(self, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(DuckDB, "run", run)
    (published / "data/customers.csv").write_text("customer_id,country\n1,DE\n2,DE\n3,DE\n4,\n")

    answer = ask("run", published, "--as-of", DAY)

    assert answer.code == 5
    assert "error[data-changed]" in answer.err
    assert ask("versions", published, "--format", "json").json["current"] == 1


def test_the_commit_of_the_rules_is_recorded(ask: Ask, shop: Path) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *arguments],
            cwd=shop,
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "rules")
    ask("run", shop, "--as-of", DAY)
    (shop / "value.rules").write_text((shop / "value.rules").read_text().replace("1_000", "2_000"))
    ask("run", shop, "--as-of", DAY)

    second, first = ask("versions", shop, "--format", "json").json["versions"]

    assert first["git_author"] == "Ada <ada@example.org>"
    assert len(first["git_commit"]) == 40
    assert second["git_commit"] == first["git_commit"] + "+"


def test_another_run_at_work_is_told_at_once(ask: Ask, published: Path) -> None:
    store = open_store(published / ".ruleengine")
    with store.writer("nightly", Identity(ruleset="shop", entity="customer", key_type="integer")):
        answer = ask("run", published, "--as-of", "2026-04-01")

    assert answer.code == 4
    assert "nightly is writing to this store" in answer.err
    store.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_store_that_cannot_be_written_is_told(ask: Ask, shop: Path) -> None:
    shop.chmod(0o555)

    answer = ask("run", shop, "--as-of", DAY)

    assert answer.code == 5


def test_a_store_in_the_place_of_a_file_is_told(ask: Ask, shop: Path) -> None:
    (shop / ".ruleengine").write_text("x")

    answer = ask("run", shop, "--as-of", DAY)

    assert answer.code == 5
    assert "Traceback" not in answer.err


def test_a_store_of_another_ruleset_is_refused(ask: Ask, published: Path) -> None:
    manifest = published / "ruleset.toml"
    manifest.write_text(manifest.read_text().replace('"shop"', '"other"'))

    for verb in ("run", "versions"):
        answer = ask(verb, published)
        assert answer.code == 5
        assert "error[store-of-another]" in answer.err


# -- what is published ------------------------------------------------------------------------------------


def test_versions_are_listed_and_shown(ask: Ask, published: Path) -> None:
    listed = ask("versions", published)
    shown = ask("versions", published, 1)

    assert listed.out.split()[:5] == ["*1", DAY, "run", "4", "customers"]
    assert f"shop · version 1 (current) · as of {DAY} · 4 customers" in shown.out
    assert "by tests" in shown.out
    assert "vip_floor = 1000" in shown.out
    names = [line.split()[0] for line in shown.out.splitlines() if "%" in line]
    assert names == ["VIP", "睡眠", "Gold", "Silver", "Member", "Churned", "Active"]


def test_nothing_published_is_no_error_of_a_list(ask: Ask, shop: Path) -> None:
    assert ask("versions", shop).out == "shop: nothing is published yet\n"
    assert not (shop / ".ruleengine").exists()


def test_explain_tells_how_far_a_customer_is_from_a_tag(ask: Ask, published: Path) -> None:
    answer = ask("explain", published, 3, "VIP")

    assert answer.out == (
        f"customer 3 · version 1 · as of {DAY}\n"
        '✗ tag "VIP"  not given\n'
        "  ✗ and\n"
        "    ✓ monetary_90d > vip_floor  8,750.00 (vip_floor 1,000)\n"
        "    ✗ frequency >= 2            1 — 1 short\n"
        "  nearest: frequency >= 2 (1 short)\n"
    )


def test_explain_tells_why_a_tag_is_given(ask: Ask, published: Path) -> None:
    answer = ask("explain", published, 1, "VIP")

    assert f'✓ tag "VIP"  given since {DAY}\n    — 2,500.50 spent in 2 orders\n' in answer.out


def test_explain_tells_of_exceptions_levels_and_lines(ask: Ask, published: Path) -> None:
    answer = ask("explain", published, 2)

    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert '✗ tag "睡眠" not given' in lines
    assert lines[lines.index("unless") + 1] == "✓ frequency = 1 1"
    assert f'✓ tier loyalty "Silver" since {DAY}' in lines
    assert "✗ monetary_12m >= 2_000 600.00 — 1,400.00 short" in lines
    assert f'✓ class lifecycle "Churned" since {DAY}' in lines


def test_explain_marks_what_is_unknown(ask: Ask, published: Path) -> None:
    answer = ask("explain", published, 4, "lifecycle")

    assert "✗ class lifecycle  none" in answer.out
    assert "? recency > 60  missing" in answer.out


def test_explain_as_json(ask: Ask, published: Path) -> None:
    (rule,) = ask("explain", published, 3, "VIP", "--format", "json").json["rules"]

    assert rule["value"] is None
    assert rule["when"]["conditions"][1] == {
        "kind": "condition",
        "text": "frequency >= 2",
        "answer": False,
        "wanted": True,
        "reads": [{"name": "frequency", "value": 1}],
        "distance": {"amount": 1, "unit": "number", "direction": "more", "beyond": False, "side": "frequency"},
        "conditions": [],
    }
    assert [step["text"] for step in rule["nearest"]] == ["frequency >= 2"]


def test_explain_speaks_of_the_rules_of_its_version(ask: Ask, published: Path) -> None:
    rules = published / "value.rules"
    rules.write_text(rules.read_text().replace("1_000", "9_999"))

    assert "vip_floor 1,000" in ask("explain", published, 3, "VIP").out
    ask("run", published, "--as-of", DAY)
    assert "vip_floor 9,999" in ask("explain", published, 3, "VIP").out
    assert "vip_floor 1,000" in ask("explain", published, 3, "VIP", "--version", 1).out


def test_history_tells_every_change(ask: Ask, published: Path) -> None:
    ask("run", published, "--as-of", "2026-04-01", "--set", "vip_floor=9_000")

    answer = ask("history", published, 1)

    lines = [" ".join(line.split()) for line in answer.out.splitlines()]
    assert lines[0] == "customer 1"
    assert any(line.startswith(f'{DAY} version 1 + tag "VIP"') for line in lines)
    assert any(line.startswith('2026-04-01 version 2 - tag "VIP"') for line in lines)
    entries = ask("history", published, 1, "--format", "json").json["entries"]
    assert [e["change"]["new"] for e in entries if e["change"]["name"] == "VIP"] == ["given", None]


def test_diff_tells_who_changed(ask: Ask, published: Path) -> None:
    ask("run", published, "--as-of", DAY, "--set", "vip_floor=9_000")

    answer = ask("diff", published, 1, 2)

    assert "1 change of 1 customer" in answer.out
    assert '  1  - tag "VIP"' in answer.out
    summary = ask("diff", published, 1, 2, "--limit", 0)
    assert "and 1 more" in summary.out
    assert ask("diff", published, 1, 2, "--format", "json").json["rows"] == [
        {"customer": 1, "kind": "tag", "name": "VIP", "old": "given", "new": None}
    ]


def test_rollback_brings_answers_back_and_forward(ask: Ask, published: Path) -> None:
    ask("run", published, "--as-of", DAY, "--set", "vip_floor=9_000")

    answer = ask("rollback", published, 1, "--reason", "the floor was wrong", "--actor", "ada")

    assert answer.code == 0, answer.err
    third, *_ = ask("versions", published, "--format", "json").json["versions"]
    assert (third["kind"], third["base"], third["actor"], third["reason"]) == (
        "rollback",
        1,
        "ada",
        "the floor was wrong",
    )
    assert "rollback to 1" in ask("versions", published).out
    assert "given since" in ask("explain", published, 1, "VIP", "--version", 1).out


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_export_writes_the_answers(ask: Ask, published: Path, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"answers.{ending}"

    answer = ask("export", published, "-o", file, "--format", "json")

    assert answer.code == 0, answer.err
    assert answer.json["rows"] == 8
    if ending == "csv":
        rows = list(csv.DictReader(file.open(encoding="utf-8")))
        assert len(rows) == 8
        assert rows[0] == {
            "customer_id": "1",
            "kind": "class",
            "name": "lifecycle",
            "value": "Active",
            "since": DAY,
            "version": "1",
        }


def test_compile_prints_the_sql(ask: Ask, shop: Path) -> None:
    answer = ask("compile", shop, "--as-of", DAY)

    assert 'CREATE OR REPLACE TEMPORARY TABLE "result_assignments"' in answer.out
    compiled = ask("compile", shop, "--as-of", DAY, "--format", "json").json
    assert compiled["statements"][0]["name"] == "customers"


def test_compile_prints_the_sql_of_an_engine(ask: Ask, shop: Path) -> None:
    answer = ask("compile", shop, "--as-of", DAY, "--engine", "postgres")

    assert 'CREATE TEMPORARY TABLE "result_assignments"' in answer.out
    assert "MACRO" not in answer.out
    assert ask("compile", shop, "--as-of", DAY, "--engine", "postgres", "--format", "json").json["engine"] == "postgres"
    assert ask("compile", shop, "--engine", "spark").code == 2


def test_doctor_looks_at_everything(ask: Ask, published: Path) -> None:
    answer = ask("doctor", published)

    assert answer.code == 0
    assert "1 version, current is 1" in answer.out
    assert ask("doctor", published, "--format", "json").json["store"]["current"] == 1


def test_doctor_goes_on_without_a_ruleset(ask: Ask, tmp_path: Path) -> None:
    answer = ask("doctor", tmp_path)

    assert answer.code == 2
    assert "duckdb" in answer.out
    assert "error[manifest-missing]" in answer.err


# -- wrong use --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "SHOP", "--as-of", "31.3.2026"], "is not a date. Write it as 2026-03-31"),
        (["run", "SHOP", "--as-of", "20260331"], "is not written as 2026-03-31"),
        (["run", "SHOP", "--as-of", "2026-02-30"], "is not a date"),
        (["run", "SHOP", "--set", "vip_floor"], "is not of the form name=value"),
        (["run", "SHOP", "--set", "=3"], "is not of the form name=value"),
        (["run", "SHOP", "--set", "vip_floor=1", "--set", "vip_floor=2"], "is set more than once"),
        (["run", "SHOP", "--format", "xml"], "'xml' is not one of 'text', 'json'"),
        (["run", "SHOP", "--profile", "prod"], "error[profile-unknown]"),
        (["run", "SHOP", "--actor", "a\nb"], "error[actor-unreadable]"),
        (["check", "SHOP", "SHOP"], "unexpected extra argument"),
        (["explain", "SHOP"], "Missing argument 'CUSTOMER'"),
        (["explain", "SHOP", "1", "VIP", "x"], "unexpected extra argument (x)"),
        (["explain", "SHOP", "x"], "error[customer-not-a-number]"),
        (["explain", "SHOP", "99"], "error[customer-unknown]"),
        (["explain", "SHOP", "1", "VPI"], "“VIP” might be meant"),
        (["explain", "SHOP", "1", "Rising"], "error[rule-is-draft]"),
        (["explain", "SHOP", "1", "--version", "9"], "error[version-unknown]"),
        (["explain", "SHOP", "1", "--version", "0"], "0 is not in the range"),
        (["history", "SHOP", "99"], "error[customer-unknown]"),
        (["history", "SHOP", "9" * 30], "error[customer-not-a-number]"),
        (["versions", "SHOP", "one"], "'one' is not a whole number"),
        (["versions", "SHOP", "9"], "error[version-unknown]"),
        (["diff", "SHOP", "1"], "Missing argument 'B'"),
        (["diff", "SHOP", "1", "9"], "error[version-unknown]"),
        (["publish", "SHOP", "x", "--reason", "y"], "error[run-unknown]"),
        (["rollback", "SHOP", "1"], "Missing option '--reason'"),
        (["rollback", "SHOP", "9", "--reason", "y"], "error[version-unknown]"),
        (["export", "SHOP", "-o", "x.xlsx"], "error[export-unknown-kind]"),
        (["export", "SHOP", "-o", "x.csv", "--version", "1", "--run", "x"], "exclude each other"),
        (["chek", "SHOP"], "No such command 'chek'"),
    ],
)
def test_wrong_use_is_told(ask: Ask, published: Path, arguments: list[str], told: str) -> None:
    answer = ask(*(str(published) if argument == "SHOP" else argument for argument in arguments))

    assert answer.code == 2
    assert told in " ".join(answer.err.split())


def test_an_unknown_parameter_is_told(ask: Ask, shop: Path) -> None:
    answer = ask("run", shop, "--set", "vip_flor=3")

    assert answer.code == 1
    assert "vip_floor" in answer.err


def test_the_ruleset_may_be_left_out_in_its_folder(ask: Ask, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(published)

    assert ask("versions").code == 0
    assert ask("versions", 1).code == 0
    assert "2,500.50" in ask("explain", 1, "VIP").out
    assert ask("explain", ".", 1, "VIP").out == ask("explain", 1, "VIP").out


def test_an_actor_comes_from_the_option_the_environment_or_the_system(
    ask: Ask, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("run", shop, "--as-of", "2026-03-01", "--actor", "ada")
    ask("run", shop, "--as-of", "2026-03-02")
    monkeypatch.delenv("RULEENGINE_ACTOR")
    monkeypatch.setenv("LOGNAME", "grace")
    ask("run", shop, "--as-of", "2026-03-03")

    versions = ask("versions", shop, "--format", "json").json["versions"]
    assert [version["actor"] for version in versions] == ["os:grace", "tests", "ada"]


# -- the process itself -----------------------------------------------------------------------------------


def start(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("ruleengine"), *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        encoding="utf-8",
    )


def test_the_version_is_told() -> None:
    assert start("--version").stdout == "ruleengine 0.1.0\n"


@pytest.mark.parametrize(
    ("arguments", "absent"),
    [
        (["--version"], ["fastapi", "duckdb", "rich", "sqlglot", "lark", "pydantic"]),
        (["check", "SHOP"], ["fastapi", "duckdb", "rich", "sqlglot"]),
    ],
)
def test_only_what_is_needed_is_loaded(shop: Path, arguments: list[str], absent: list[str]) -> None:
    (shop / "data/orders.csv").unlink()  # Where there is data, texts are looked for in it.
    script = (
        "import sys\nfrom ruleengine.cli import main\nsys.argv = ['ruleengine', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        f"print([name for name in {absent} if name in sys.modules])"
    )
    arguments = [str(shop) if argument == "SHOP" else argument for argument in arguments]

    answer = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)

    assert answer.stdout.splitlines()[-1] == "[]", answer.stderr


def test_a_terminal_without_utf_8_gets_plain_signs(published: Path) -> None:
    answer = start("explain", published, 3, "VIP", PYTHONIOENCODING="ascii")
    shown = start("versions", published, 1, PYTHONIOENCODING="ascii")

    assert '- tag "VIP"  not given' in answer.stdout
    assert "+ monetary_90d > vip_floor" in answer.stdout
    assert "######" in shown.stdout
    assert "睡眠" in shown.stdout


def test_a_reader_who_leaves_is_no_error(published: Path) -> None:
    ruleengine = Path(sys.executable).with_name("ruleengine")
    process = subprocess.Popen([ruleengine, "compile", str(published)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.wait()

    assert process.stderr.read() == b""
    assert process.returncode == 141


def test_an_interrupted_command_says_so(ask: Ask, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ruleengine.verbs.check.check", interrupted)
    answer = ask("check", shop)

    assert (answer.code, answer.err) == (130, "Stopped.\n")


def test_ctrl_c_ends_a_statement_at_work() -> None:
    connection = duckdb.connect()
    began = time.monotonic()
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt), interruptible(connection):
        connection.execute(
            "CREATE TABLE t AS SELECT sum(hash(a.range) + b.range) FROM range(1000000) a, range(100000) b"
        )

    assert time.monotonic() - began < 30
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_windows_is_told_of_wsl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")

    with pytest.raises(SystemExit, match="run it in WSL"):
        main()


def test_a_mistake_of_ours_is_a_line_and_a_report(
    ask: Ask, shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("ruleengine.verbs.check.check", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answer = ask("check", shop)

    assert answer.code == 70
    assert answer.err.startswith("Internal error (ZeroDivisionError)")
    assert "Traceback" not in answer.err
    (report,) = tmp_path.glob("ruleengine-error-*.log")
    assert str(report) in answer.err
    assert "ZeroDivisionError: oh" in report.read_text()


def test_names_in_data_cannot_play_with_the_terminal(ask: Ask, shop: Path) -> None:
    manifest = shop / "ruleset.toml"
    manifest.write_text(manifest.read_text().replace('"shop"', '"\\u001b[31mshop"'))

    answer = ask("check", shop)

    assert "\x1b" not in answer.out
    assert "<U+001B>[31mshop" in answer.out


def test_every_command_tells_what_it_is_for(ask: Ask) -> None:
    for name, command in program.commands.items():
        assert command.help, name
        help = ask(name, "--help")
        assert help.code == 0
        assert name in help.out


def test_a_run_of_a_size_does_not_wait_for_a_terminal(shop: Path) -> None:
    began = time.monotonic()
    answer = start("run", shop, "--as-of", DAY, "--format", "json")

    assert json.loads(answer.stdout)["version"] == 1
    assert answer.stderr == ""
    assert time.monotonic() - began < 60
