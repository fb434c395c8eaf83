"""`plan` with several dates: how the rules would have behaved."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.cli.conftest import Ask

DAYS = ("2026-03-31", "2026-04-30", "2026-06-30")
ASKED = [word for day in DAYS for word in ("--as-of", day)]


def looked_back(ask: Ask, shop: Path, code: int) -> Any:
    answer = ask("plan", shop, *ASKED, "--format", "json")
    assert answer.code == code, answer
    return answer.json


def test_a_backtest_is_what_runs_on_those_days_would_have_been(ask: Ask, shop: Path) -> None:
    found = looked_back(ask, shop, 0)
    assert not (shop / ".ruleengine").exists()

    runs = [ask("run", shop, "--as-of", day, "--format", "json").json for day in DAYS]

    assert [step["as_of"] for step in found["steps"]] == list(DAYS)
    assert [step["movement"] for step in found["steps"]] == [run["movement"] for run in runs]
    for course in found["courses"]:
        kind = {"tag": "tags", "tier": "tiers", "class": "classes"}[course["kind"]]
        sizes = [run["counts"][kind][course["name"]] for run in runs]
        sizes = sizes if course["kind"] == "tag" else [size[course["value"]] for size in sizes]
        assert [point["customers"] for point in course["points"]] == sizes


def test_who_comes_and_goes_adds_up_and_stability_is_who_stays(ask: Ask, shop: Path) -> None:
    courses = {(course["name"], course["value"]): course for course in looked_back(ask, shop, 0)["courses"]}

    for course in courses.values():
        points = course["points"]
        for before, after in pairwise(points):
            assert after["customers"] == before["customers"] + after["gained"] - after["lost"]
    # Customer 1 is a VIP by his orders of March for 90 days; 2 has lapsed in March, 1 and 3 have by June.
    vip, churned = courses["VIP", "given"], courses["lifecycle", "Churned"]
    assert [tuple(point.values()) for point in vip["points"]] == [(1, 0, 0), (1, 0, 0), (0, 0, 1)]
    assert vip["stability"] == 0.5
    assert [tuple(point.values()) for point in churned["points"]] == [(1, 0, 0), (1, 0, 0), (3, 2, 0)]
    assert churned["stability"] == 1.0
    assert courses["loyalty", "Gold"]["stability"] == 1.0


def test_days_on_which_a_run_would_be_held_are_told_and_passed(ask: Ask, shop: Path) -> None:
    (shop / "guards.rules").write_text("check class lifecycle changes at most 10% else fail\n")

    found = looked_back(ask, shop, 3)
    answer = ask("plan", shop, *ASKED)

    assert [step["held"] for step in found["steps"]] == [False, False, True]
    assert "as of 2026-06-30 a run would be held: check class lifecycle changes at most 10%" in answer.out
    assert re.search(r'"VIP" +1 +1 +-1 0 +50.0%', answer.out)


def test_a_backtest_compares_with_nothing_else(ask: Ask, shop: Path) -> None:
    assert ask("plan", shop, *ASKED, "--against", shop).code == 2
    assert ask("plan", shop, *ASKED, "--metric", "monetary").code == 2
    assert ask("plan", shop, "--as-of", DAYS[0], "--as-of", DAYS[0], "--metric", "monetary").code == 0
