"""`test`: the examples beside the rules."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.conftest import Ask

GOOD = """\
example "money and orders" as of 2026-03-31
    given monetary_90d = 12_000, frequency = 5
    expect tag "VIP"
"""
BAD = """\
example "a refund" as of 2026-03-31
    given orders
        | ordered_at       | amount | status   |
        | 2026-03-01 10:00 | 20000  | refunded |
    expect tag "VIP", tier loyalty "Member"
"""


def test_examples_that_hold(ask: Ask, shop: Path) -> None:
    (shop / "examples.rules").write_text(GOOD)

    answer = ask("test", shop)

    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "✓ shop: 1 example · it holds\n"


def test_an_example_that_does_not_hold_is_explained(ask: Ask, shop: Path) -> None:
    (shop / "examples.rules").write_text(f"{GOOD}\n{BAD}")

    answer = ask("test", shop)

    assert (answer.code, answer.err) == (1, "")
    assert answer.out.startswith(f"✗ “a refund” · as of 2026-03-31 · {shop}/examples.rules:5\n")
    assert '  expected tag "VIP", got no tag "VIP"\n    ✗ tag "VIP"  not given\n' in answer.out
    assert "tier" not in answer.out
    assert answer.out.endswith("\n✗ shop: 2 examples · 1 failed\n")


def test_a_test_of_nothing_is_no_success(ask: Ask, shop: Path) -> None:
    answer = ask("test", shop)

    assert answer.code == 1
    assert answer.out == "✗ shop: there are no examples, so nothing was tested\n"
    assert ask("test", shop, "--format", "json").code == 1


def test_as_json(ask: Ask, shop: Path) -> None:
    (shop / "examples.rules").write_text(f"{GOOD}\n{BAD}")

    answer = ask("test", shop, "--format", "json")

    assert answer.code == 1
    assert [answer.json[name] for name in ("ruleset", "examples", "passed", "failed")] == ["shop", 2, 1, 1]
    good, bad = answer.json["results"]
    assert good["passed"] is True
    assert good["expectations"][0]["explanation"] is None
    assert (bad["name"], bad["file"], bad["line"]) == ("a refund", str(shop / "examples.rules"), 5)
    assert bad["as_of"] == "2026-03-31"
    tag, tier = bad["expectations"]
    assert (tag["wanted"], tag["got"], tag["met"]) == ("given", "no", False)
    assert tag["explanation"]["when"]["answer"] is False
    assert (tier["value"], tier["got_value"], tier["met"]) == ("Member", "Member", True)


def test_check_validates_examples_and_does_not_run_them(ask: Ask, shop: Path) -> None:
    (shop / "examples.rules").write_text(BAD)
    fine = ask("check", shop)
    (shop / "examples.rules").write_text(BAD.replace("status ", "state  "))
    wrong = ask("check", shop)

    assert fine.code == 0
    assert wrong.code == 1
    assert "examples.rules:3:39: error[unknown-name]" in wrong.out
    assert ask("test", shop).code == 1


def test_a_ruleset_with_problems_is_not_tested(ask: Ask, shop: Path) -> None:
    (shop / "examples.rules").write_text(GOOD.replace("VIP", "VPI"))

    answer = ask("test", shop)

    assert (answer.code, answer.out) == (1, "")
    assert "error[unknown-tag]" in answer.err


def test_hundreds_of_examples_take_no_time_and_no_engine(shop: Path) -> None:
    many = "\n".join(text.replace("“", "").replace('"money', f'"{n}: money') for n in range(300) for text in [GOOD])
    (shop / "examples.rules").write_text(many)
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from ruleengine.verbs import opening\n"
        "from ruleengine.verbs.test import answered\n"
        "opened = opening.opened(Path(sys.argv[1]))\n"
        "began = time.process_time()\n"
        "report = answered(opened.ruleset, Path())\n"
        "print(report.passed, time.process_time() - began)\n"
        "print([name for name in ('duckdb', 'sqlglot', 'fastapi') if name in sys.modules])\n"
    )

    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program, shop], capture_output=True, text=True, check=True)

    first, second = done.stdout.splitlines()
    passed, seconds = first.split()
    assert passed == "300"
    assert float(seconds) < 1
    assert second == "[]"
    assert time.monotonic() - began < 60


SEEN = """\
example "over the floor" given monetary_90d = 1_000.01, frequency = 2 expect tag "VIP"
example "at the floor" given monetary_90d = 1_000, frequency = 2 expect no tag "VIP"
example "one order" given monetary_90d = 1_001, frequency = 1 expect no tag "VIP"
"""


def test_coverage_is_told(ask: Ask, shop: Path) -> None:
    (shop / "examples.rules").write_text(SEEN)

    answer = ask("test", shop, "--coverage")

    assert answer.code == 0
    assert answer.out.startswith("✓ shop: 3 examples · all hold\n\n")
    assert f"{shop}/value.rules" in answer.out
    assert f"✗ {shop}/value.rules:8:10: `recency > 60` was never true, never false, never unknown\n" in answer.out
    assert "`monetary_90d > vip_floor`" not in answer.out
    assert re.search(r"\n✗ coverage [0-9.]+%: \d+ of \d+ answers seen\n$", answer.out)


def test_rule_files_are_listed_with_what_was_not_seen(ask: Ask, shop: Path) -> None:
    (shop / "examples.rules").write_text(SEEN)

    answer = ask("test", shop, "--annotate")

    assert "✓     4 |     when monetary_90d > vip_floor and frequency >= 2\n" in answer.out
    assert (
        "✗     8 |     when recency > 60\n        |          ^^^^^^^^^^^^ was never true, never false, never unknown\n"
    ) in answer.out
    assert "      1 | let vip_floor = 1_000\n" in answer.out


def test_too_little_coverage_fails(ask: Ask, shop: Path) -> None:
    (shop / "examples.rules").write_text(SEEN)
    percent = ask("test", shop, "--coverage", "--format", "json").json["coverage"]["percent"]

    assert ask("test", shop, "--fail-under", percent).code == 0
    assert ask("test", shop, "--fail-under", percent + 0.1).code == 1
    assert ask("test", shop, "--fail-under", 101).code == 2


def test_changes_that_nobody_notices_are_told_with_the_missing_example(ask: Ask, shop: Path) -> None:
    (shop / "examples.rules").write_text(SEEN)

    answer = ask("test", shop, "--mutate")

    assert answer.code == 0
    assert "vip_floor" not in answer.out
    assert f'✗ {shop}/value.rules:14:5: "Gold" before "Silver" → "Silver" before "Gold"\n' in answer.out
    assert '    example "loyalty: ' in answer.out
    assert re.search(r"\n✗ mutation [0-9.]+%: \d+ of \d+ changes noticed\n$", answer.out)
    assert ask("test", shop, "--mutate", "--fail-under", "99").code == 1


def test_suites_see_and_notice_too(ask: Ask, shop: Path) -> None:
    (shop / "examples.rules").write_text(SEEN)
    before = ask("test", shop, "--coverage", "--mutate", "--format", "json").json
    suite = shutil.copytree(shop / "data", shop / "tests" / "all")
    (suite / "suite.toml").write_text("as_of = 2026-03-31\n")
    (suite / "expected.csv").write_text(
        "customer_id,tier loyalty,class lifecycle\n1,Gold,Active\n2,Silver,Churned\n4,Member,-\n"
    )
    after = ask("test", shop, "--coverage", "--mutate", "--format", "json").json

    assert after["coverage"]["seen"] > before["coverage"]["seen"]
    assert after["mutation"]["noticed"] > before["mutation"]["noticed"]
    places = {place["text"]: place for place in after["coverage"]["places"]}
    assert places['"Gold" when monetary_12m >= 2_000']["true"] == 1
