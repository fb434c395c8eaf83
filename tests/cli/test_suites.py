"""`test` with fixture suites."""

from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.cli.conftest import FILES, Ask

TABLE = """\
# Who is quiet loses the tag, and keeps the level.
customer_id,as_of,note,tags,tier loyalty

1,2026-03-31,,VIP,Gold
1,2026-06-30,"after three months, at last",睡眠,
# Nobody knows anything of 4.
4,2026-03-31,,,Member
"""


@pytest.fixture
def suite(shop: Path) -> Path:
    folder = shop / "tests" / "quiet"
    folder.mkdir(parents=True)
    (folder / "suite.toml").write_text("as_of = [2026-03-31, 2026-06-30]\n")
    for name in ("customers", "orders"):
        (folder / f"{name}.csv").write_text(FILES[f"data/{name}.csv"])
    (folder / "expected.csv").write_text(TABLE, "utf-8")
    return folder


def test_a_suite_that_holds(ask: Ask, shop: Path, suite: Path) -> None:
    answer = ask("test", shop)

    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "✓ shop: 1 suite with 2 customers · it holds\n"
    assert not (shop / ".ruleengine").exists()


def test_what_does_not_hold_is_a_table_with_reasons(ask: Ask, shop: Path, suite: Path) -> None:
    (suite / "expected.csv").write_text(TABLE.replace("Gold", "Silver"), "utf-8")

    answer = ask("test", shop)

    assert answer.code == 1
    assert answer.out == (
        f"✗ suite “quiet” · {suite}\n"
        "  customer  as of       name          expected  got\n"
        "  1         2026-03-31  tier loyalty  Silver    Gold  line 4\n"
        '    ✓ tier loyalty  "Gold" since 2026-03-31\n'
        '      ✓ "Gold"\n'
        "        ✓ monetary_12m >= 2_000  2,500.50\n"
        '      · "Silver"\n'
        '      ✗ otherwise "Member"\n'
        "\n"
        "✗ shop: 1 suite with 2 customers · 1 failed\n"
    )


def test_an_update_changes_only_what_came_out_otherwise(ask: Ask, shop: Path, suite: Path) -> None:
    wrong = TABLE.replace("VIP,Gold", "睡眠,Silver").replace("Member", '"-"')
    (suite / "expected.csv").write_text(wrong, "utf-8")

    answer = ask("test", shop, "--update")

    assert answer.code == 0
    assert "expected.csv was written anew: read it over" in answer.out
    assert (suite / "expected.csv").read_text("utf-8") == TABLE.replace("Member", '"Member"')
    assert "anew" not in ask("test", shop, "--update").out


def test_an_update_keeps_other_words_for_the_same(ask: Ask, shop: Path, suite: Path) -> None:
    table = "customer_id,as_of,标签 VIP,tag 睡眠\n1,2026-03-31,是,no\n"
    (suite / "expected.csv").write_text(table, "utf-8")

    assert ask("test", shop, "--update").code == 0
    assert (suite / "expected.csv").read_text("utf-8") == table


def test_an_update_begins_a_table_and_completes_a_full_one(ask: Ask, shop: Path, suite: Path) -> None:
    (suite / "expected.csv").unlink()
    (suite / "suite.toml").write_text("as_of = 2026-03-31\nfull = true\n")

    assert ask("test", shop, "--update").code == 0
    whole = (
        "customer_id,tier loyalty,class lifecycle,tags\n"
        "1,Gold,Active,VIP\n"
        "2,Silver,Churned,-\n"
        "3,Gold,Active,-\n"
        "4,Member,-,-\n"
    )
    assert (suite / "expected.csv").read_text() == whole
    (suite / "expected.csv").write_text(whole.replace("2,Silver,Churned,-\n", ""))
    assert ask("test", shop).code == 1
    assert ask("test", shop, "--update").code == 0
    assert sorted((suite / "expected.csv").read_text().splitlines()) == sorted(whole.splitlines())


def test_an_update_does_not_hide_problems(ask: Ask, shop: Path, suite: Path) -> None:
    (suite / "expected.csv").write_text(TABLE + "9,2026-03-31,,VIP,Gold\n", "utf-8")

    answer = ask("test", shop, "--update")

    assert answer.code == 1
    assert "error[suite-customer-unknown]" in answer.out


def test_parameters_of_a_suite(ask: Ask, shop: Path, suite: Path) -> None:
    (suite / "suite.toml").write_text("as_of = [2026-03-31, 2026-06-30]\n\n[set]\nvip_floor = 2_500.51\n")

    answer = ask("test", shop)

    assert answer.code == 1
    assert [line.split() for line in answer.out.splitlines() if "line 4" in line] == [
        ["1", "2026-03-31", "tag", "VIP", "yes", "no", "line", "4"]
    ]


def test_a_folder_without_settings_is_told(ask: Ask, shop: Path, suite: Path) -> None:
    (suite / "suite.toml").unlink()

    answer = ask("test", shop)

    assert answer.code == 1
    assert "suite.toml" in answer.out


def test_as_json(ask: Ask, shop: Path, suite: Path) -> None:
    (suite / "expected.csv").write_text(TABLE.replace("Gold", "Silver"), "utf-8")
    wrong = shop / "tests" / "wrong"
    wrong.mkdir()
    (wrong / "suite.toml").write_text("as_of = 1\n")

    answer = ask("test", shop, "--format", "json")

    assert answer.code == 1
    quiet, bad = answer.json["suites"]
    assert [quiet[name] for name in ("name", "dates", "passed", "problems")] == [
        "quiet",
        ["2026-03-31", "2026-06-30"],
        False,
        [],
    ]
    row = quiet["rows"][0]
    assert [row[name] for name in ("customer", "as_of", "line", "passed")] == ["1", "2026-03-31", 4, False]
    (missed,) = [each for each in row["expectations"] if not each["met"]]
    assert (missed["kind"], missed["name"], missed["value"], missed["got_value"]) == (
        "tier",
        "loyalty",
        "Silver",
        "Gold",
    )
    assert missed["explanation"]["lines"][0]["decides"] is True
    assert "suite-dates" in [problem["code"] for problem in bad["problems"]]


def test_as_junit(ask: Ask, shop: Path, suite: Path, tmp_path: Path) -> None:
    (shop / "examples.rules").write_text(
        'example "a \\u0001 name" given monetary_90d = 1 expect no tag "VIP"\n'.replace("\\u0001", "<&>")
        + 'example "wrong" given monetary_90d = 1 expect tag "VIP"\n'
    )
    (suite / "expected.csv").write_text(TABLE.replace("Gold", "Silver"), "utf-8")
    wrong = shop / "tests" / "wrong"
    wrong.mkdir()
    (wrong / "suite.toml").write_text("as_of = 1\n")
    file = tmp_path / "junit.xml"

    answer = ask("test", shop, "--junit", file)

    assert answer.code == 1
    root = Xml.parse(file).getroot()
    assert root.attrib == {"name": "shop", "tests": "6", "failures": "2", "errors": "1"}
    assert [suite.get("name") for suite in root] == ["examples", "quiet", "wrong"]
    first, second = root[0].iter("testcase")
    assert (first.get("classname"), first.get("name"), first.get("line")) == ("examples", "a <&> name", "1")
    failure = second.find("failure")
    assert failure is not None
    assert failure.get("message") == 'expected tag "VIP", got no tag "VIP"'
    assert failure.text is not None
    assert "monetary_90d > vip_floor" in failure.text
    assert next(case.get("name") for case in root[1].iter("testcase")) == "1 as of 2026-03-31"


def test_what_xml_cannot_hold_is_replaced(ask: Ask, shop: Path, suite: Path, tmp_path: Path) -> None:
    name = "a\x0cb"
    (shop / "tests" / name).mkdir()
    file = tmp_path / "junit.xml"

    assert ask("test", shop, "--junit", file).code == 1

    assert "a\ufffdb" in [each.get("name") for each in Xml.parse(file).getroot()]


LASTING = """\
entity customer from customers key customer_id integer
events orders from orders for customer_id at ordered_at (amount decimal)
metric recency = days since latest(orders)
metric spend = sum(orders.amount)
tag "Away" when recency > 60 until recency < 10 keep for 20 days
tag "Was away" when had tag "Away" within 90 days
tier loyalty "Gold" when spend_3m >= 1_000 otherwise "Member" hold for 4 months
"""


def test_reasons_tell_what_lasts_from_the_dates_before(ask: Ask, tmp_path: Path) -> None:
    shop = tmp_path / "lasting"
    suite = shop / "tests" / "lasting"
    suite.mkdir(parents=True)
    (shop / "ruleset.toml").write_text('[ruleset]\nname = "lasting"\ntimezone = "UTC"\n')
    (shop / "shop.rules").write_text(LASTING)
    (suite / "suite.toml").write_text("as_of = [2026-01-31, 2026-03-31, 2026-04-19, 2026-05-21]\n")
    (suite / "customers.csv").write_text("customer_id\n1\n")
    (suite / "orders.csv").write_text("customer_id,ordered_at,amount\n1,2026-01-10,1200\n1,2026-04-05,5\n")
    (suite / "expected.csv").write_text(
        "customer_id,as_of,tier loyalty,tag Away,tag Was away\n1,2026-04-19,Member,no,no\n1,2026-05-21,Member,no,no\n"
    )
    reasons = ask("test", shop).out

    assert 'held until 2026-05-30; 995.00 short of spend_3m >= 1_000 for "Gold"' in reasons
    kept = [line.strip() for line in reasons.splitlines() if "kept: " in line]
    assert kept == [
        "— kept: its condition held on 2026-03-31, which keeps it to 2026-04-19",
        "— kept: its condition held on 2026-03-31",  # and it is not until
    ]
    assert "until\n        ✗ recency < 10  46" in reasons
    assert reasons.count('✓ had tag "Away" within 90 days') == 2
