"""Checks as the command line tells of them: what is reported, what holds a run, what is kept."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DAY, Ask

REFERENCE = Path(__file__).parents[2] / "docs" / "cli.md"


def write(shop: Path, *lines: str) -> None:
    (shop / "guards.rules").write_text("".join(f"check {line}\n" for line in lines), "utf-8")


def test_a_warning_is_reported_and_published(ask: Ask, shop: Path) -> None:
    write(shop, "orders.amount >= 700 for at least 70% else warn")

    answer = ask("run", shop, "--as-of", DAY)

    assert answer.code == 0
    assert "version 1 published" in answer.out
    assert "! orders.amount >= 700 for at least 70% | 3 of 5 (60%)" in answer.out.replace("·", "|")
    assert "      customer_id 2, ordered_at 2026-01-02T10:00:00, amount 600.0000\n" in answer.out


def test_a_failure_holds_the_run(ask: Ask, published: Path) -> None:
    write(published, "orders.status is known", "country is known for at least 75%")

    answer = ask("run", published, "--as-of", DAY)

    assert answer.code == 3
    assert "check orders.status is known: 4 of 5 (80%)" in answer.out
    assert ask("versions", published, "--format", "json").json["current"] == 1


def test_a_held_run_is_published_with_a_reason(ask: Ask, published: Path) -> None:
    write(published, "orders.status is known", "country is known for at least 75%")
    run = ask("run", published, "--as-of", DAY, "--format", "json").json["run"]

    refused = ask("publish", published, run)
    answer = ask("publish", published, run, "--reason", "known gap")

    assert refused.code == 2
    assert answer.code == 0
    version = ask("versions", published, "2", "--format", "json").json["version"]
    assert version["reason"] == "known gap"
    assert [result["outcome"] for result in version["report"]["checks"]] == ["failed", "passed"]
    shown = ask("versions", published, "2").out
    assert re.search(r"[✗-] orders\.status is known . 4 of 5 \(80%\)", shown)
    assert re.search(r"[✓+] country is known for at least 75% . 3 of 4 \(75%\)", shown)


def test_what_is_published_is_checked(ask: Ask, published: Path) -> None:
    write(published, 'class lifecycle never moves "Active" to "Churned"', "class lifecycle changes at most 50%")

    answer = ask("run", published, "--as-of", "2026-06-30", "--format", "json")

    assert answer.code == 3
    never, changes = answer.json["checks"]
    assert (never["asked"], never["outcome"], never["count"], never["of"]) == ("after", "failed", 2, 4)
    assert (changes["outcome"], changes["count"], changes["of"]) == ("passed", 2, 4)
    assert answer.json["reasons"] == ['check class lifecycle never moves "Active" to "Churned": 2 of 4 (50%)']


def test_a_ladder_that_is_new_has_not_changed(ask: Ask, published: Path) -> None:
    write(published, "tier status changes at most 0%")
    (published / "more.rules").write_text('tier status "High" when monetary > 0 otherwise "Low"\n')

    (result,) = ask("run", published, "--as-of", DAY, "--format", "json").json["checks"]

    assert (result["outcome"], result["count"]) == ("passed", None)
    assert result["note"] == "version 1 has no tier status to compare with"


def test_a_check_sets_the_limit_of_orphans(ask: Ask, shop: Path) -> None:
    (shop / "data" / "orders.csv").open("a").write("9,2026-03-20 10:00,5,paid\n")
    assert ask("run", shop, "--as-of", DAY).code == 3

    write(shop, "orders.customer_id exists in customers for at least 80%")

    assert ask("run", shop, "--as-of", DAY).code == 0


def test_data_that_cannot_be_read_wins(ask: Ask, shop: Path) -> None:
    (shop / "data" / "orders.csv").open("a").write("3,2026-03-20 10:00,many,paid\n")
    write(shop, "orders.status is known")

    assert ask("run", shop, "--as-of", DAY).code == 5


@pytest.mark.parametrize(
    ("share", "line", "code"),
    [("60%", "orders.amount >= 700 for at least {}", 0), ("60.0001%", "orders.amount >= 700 for at least {}", 3)],
)
def test_shares_are_compared_exactly(ask: Ask, shop: Path, share: str, line: str, code: int) -> None:
    write(shop, line.format(share))

    assert ask("run", shop, "--as-of", DAY).code == code


def test_rows_of_the_data_are_not_kept(ask: Ask, published: Path) -> None:
    write(published, "orders.status is known")

    run = ask("run", published, "--as-of", DAY, "--format", "json").json
    held = ask("versions", published, "--format", "json").json["held"]

    assert [result["rows"] for result in run["checks"]] == [
        [{"customer_id": 3, "ordered_at": "2026-03-30T23:40:00", "status": None}]
    ]
    assert [set(result) for result in held[0]["report"]["checks"]] == [set(run["checks"][0]) - {"rows"}]


def test_the_reference_shows_a_check_as_it_is(ask: Ask, shop: Path) -> None:
    write(shop, "orders.amount >= 700 for at least 70%")
    (result,) = ask("run", shop, "--as-of", DAY, "--format", "json").json["checks"]

    (block,) = re.findall(r"^```json\n(.*?)^```$", REFERENCE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    shown: dict[str, Any] = json.loads(block)

    assert {name: type(value) for name, value in shown.items()} == {name: type(value) for name, value in result.items()}
