"""The commands that read what is published, and bring it back: what they print."""

import csv
from pathlib import Path

import pytest

from tests.cli.conftest import DAY, Ask


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
