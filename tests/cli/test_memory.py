"""Tags and tiers that remember, from the command line: runs in sequence, what people set, and why somebody stays."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ask

MANIFEST = """\
[ruleset]
name = "club"
timezone = "UTC"
[profiles.default]
engine = "duckdb"
[profiles.default.sources]
members = "members.csv"
"""
RULES = """\
entity member from members key id integer (points integer)
manual tag "Do not contact" expires after 1 year
manual tier loyalty expires after 90 days
tier loyalty
    "Gold" when points >= 20 keep while points >= 17
    "Silver" when points >= 10
    otherwise "Member"
    hold for 6 months  grace 30 days  review monthly
tag "VIP" when points >= 15 until points < 5 keep for 10 days limit 2 by points
tag "Mail" when tier loyalty is at least "Silver" unless has tag "Do not contact"
tag "Small" when points < 5
at most one of "VIP", "Small"
check tier loyalty changes at most 20% else fail
"""


@pytest.fixture
def club(tmp_path: Path) -> Path:
    (tmp_path / "ruleset.toml").write_text(MANIFEST)
    (tmp_path / "club.rules").write_text(RULES)
    return tmp_path


def points(folder: Path, *each: int) -> None:
    rows = "".join(f"{number},{has}\n" for number, has in enumerate(each, 1))
    (folder / "members.csv").write_text(f"id,points\n{rows}")


def has(ask: Ask, folder: Path, customer: int) -> tuple[set[str], str | None]:
    """The tags and the level of a customer, as an export says."""
    file = folder / "out.jsonl"
    assert ask("export", folder, "-o", file).code == 0
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    mine = [row for row in rows if row["customer_id"] == customer]
    levels = [row["value"] for row in mine if row["kind"] == "tier"]
    return {row["name"] for row in mine if row["kind"] == "tag"}, levels[0] if levels else None


def explained(ask: Ask, folder: Path, customer: int, name: str) -> dict[str, Any]:
    (rule,) = json.loads(ask("explain", folder, customer, name, "--format", "json").out)["rules"]
    return dict(rule)


def test_who_stays_is_told_until_when_and_what_is_missing(ask: Ask, club: Path) -> None:
    points(club, 25, 30, 22, 1)
    assert ask("run", club, "--as-of", "2026-01-05").code == 0
    points(club, 16, 30, 22, 1)
    assert ask("run", club, "--as-of", "2026-02-03").code == 0

    assert has(ask, club, 1) == ({"Mail"}, "Gold")
    memory = explained(ask, club, 1, "loyalty")["memory"]
    assert (memory["earned"], memory["reached"], memory["below_since"]) == ("Silver", "2026-01-05", "2026-02-03")
    assert memory["held_until"] == "2026-07-31"
    assert "held until 2026-07-31; 1 short of points >= 17" in ask("explain", club, 1, "loyalty").out

    assert ask("run", club, "--as-of", "2026-07-31").code == 0
    assert has(ask, club, 1)[1] == "Gold"
    assert ask("run", club, "--as-of", "2026-08-01").code == 3  # 1 of 4 moves
    points(club, 16, 30, 22, 1, 1, 1)
    assert ask("run", club, "--as-of", "2026-08-02").code == 3
    run = json.loads(ask("versions", club, "--format", "json").out)["held"][0]["id"]
    assert ask("publish", club, run, "--reason", "expected").code == 0
    assert has(ask, club, 1)[1] == "Silver"


def test_a_budget_and_what_keeps_a_tag_are_told(ask: Ask, club: Path) -> None:
    points(club, 15, 30, 22, 1)
    assert ask("run", club, "--as-of", "2026-01-05").code == 0
    assert "beyond its limit" in ask("explain", club, 1, "VIP").out
    points(club, 1, 12, 22, 1)
    assert ask("run", club, "--as-of", "2026-01-14").code == 0

    assert has(ask, club, 2)[0] == {"VIP", "Mail"}
    assert "kept: its condition held on 2026-01-05, which keeps it to 2026-01-14" in ask("explain", club, 2, "VIP").out

    points(club, 1, 3, 22, 1)
    assert ask("run", club, "--as-of", "2026-01-15").code == 0
    assert has(ask, club, 2)[0] == {"Mail", "Small"}


def test_a_tag_set_by_hand_counts_at_once_for_that_customer(ask: Ask, club: Path) -> None:
    points(club, 25, 30, 22, 1)
    assert ask("run", club, "--as-of", "2026-01-05").code == 0

    answer = ask("tag", club, 1, "Do not contact", "--reason", "he asked", "--actor", "ann", "--format", "json")

    assert answer.code == 0
    report = json.loads(answer.out)
    assert (report["version"], report["as_of"], report["setting"]["expires_on"]) == (2, "2026-01-05", "2027-01-05")
    assert [(change["name"], change["new"]) for change in report["changes"]] == [
        ("Do not contact", "given"),
        ("Mail", None),
    ]
    assert has(ask, club, 1) == ({"VIP", "Do not contact"}, "Gold")
    assert "set by hand by ann, since 2026-01-05, to the day before 2027-01-05: he asked" in (
        ask("explain", club, 1, "Do not contact").out
    )
    assert ask("run", club, "--as-of", "2027-01-04").code == 0
    assert "Do not contact" in has(ask, club, 1)[0]
    assert ask("run", club, "--as-of", "2027-01-05").code == 0
    assert "Do not contact" not in has(ask, club, 1)[0]
    assert "Mail" in has(ask, club, 1)[0]


def test_what_was_set_can_be_taken_away(ask: Ask, club: Path) -> None:
    points(club, 25, 30, 22, 1)
    assert ask("run", club, "--as-of", "2026-01-05").code == 0
    before = has(ask, club, 1)
    assert ask("tag", club, 1, "Do not contact", "--reason", "he asked").code == 0
    assert has(ask, club, 1) != before

    assert ask("untag", club, 1, "Do not contact", "--reason", "he asked again").code == 0

    assert has(ask, club, 1) == before


def test_a_level_set_by_hand_stands_in_place_of_the_computed_one(ask: Ask, club: Path) -> None:
    points(club, 25, 30, 22, 1, 1, 1)
    assert ask("run", club, "--as-of", "2026-01-05").code == 0

    assert ask("tag", club, 4, "loyalty", "--level", "Silver", "--reason", "a friend").code == 0

    assert has(ask, club, 4) == ({"Mail", "Small"}, "Silver")
    rule = explained(ask, club, 4, "loyalty")
    assert (rule["value"], rule["memory"]["level"], rule["by_hand"]["reason"]) == ("Silver", "Member", "a friend")
    assert ask("run", club, "--as-of", "2026-04-04").code == 0
    assert has(ask, club, 4)[1] == "Silver"
    assert ask("run", club, "--as-of", "2026-04-05").code == 0
    assert has(ask, club, 4) == ({"Small"}, "Member")


def test_a_run_that_would_drop_a_held_level_is_held_and_a_renamed_one_has_not_moved(ask: Ask, club: Path) -> None:
    points(club, 25, 30, 22, 1)
    assert ask("run", club, "--as-of", "2026-01-05").code == 0
    rules = (club / "club.rules").read_text()

    (club / "club.rules").write_text(rules.replace('"Gold" when', '"Platinum" when'))
    answer = ask("run", club, "--as-of", "2026-01-06")
    assert answer.code == 3
    assert "3 hold “Gold” of tier loyalty, which the rules do not know any more" in answer.out

    (club / "club.rules").write_text(rules.replace('"Gold" when', '"Platinum" formerly "Gold" when'))
    assert ask("run", club, "--as-of", "2026-01-06").code == 0
    assert has(ask, club, 1)[1] == "Platinum"
    assert explained(ask, club, 1, "loyalty")["memory"]["reached"] == "2026-01-05"


def test_all_statements_of_the_language_pass_their_own_examples(ask: Ask, tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "corpus" / "meaning" / "statements.md").read_text()
    rules = page.split("```rules", 1)[1].split("\n", 1)[1].split("\n```", 1)[0]
    sources = "".join(f'{name} = "{name}.csv"\n' for name in ("customers", "orders", "visits"))
    manifest = MANIFEST.replace('members = "members.csv"\n', sources).replace('"UTC"', '"Asia/Shanghai"')
    (tmp_path / "ruleset.toml").write_text(manifest)
    (tmp_path / "all.rules").write_text(rules)

    answer = ask("test", tmp_path)

    assert (answer.code, answer.out) == (0, "✓ club: 2 examples · all hold\n")


def test_a_plan_tells_what_stands_beside_the_conditions(ask: Ask, club: Path) -> None:
    points(club, 15, 30, 22, 1)
    assert ask("run", club, "--as-of", "2026-01-05").code == 0
    points(club, 40, 30, 22, 1)

    planned = ask("plan", club, "--as-of", "2026-01-06").out

    assert '3         - tag "VIP"' in planned
    assert "beyond its limit" in planned
