"""The rules that come with the product, against the same definitions in plain Python, and docs/packs.md."""

import csv
import json
import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ruleengine.checking.check import Checked, check
from ruleengine.checking.uses import shipped
from ruleengine.cli.commands import program
from ruleengine.source import Source
from ruleengine.syntax import nodes
from ruleengine.syntax.format import format_file
from ruleengine.syntax.parse import parse
from tests import postgres
from tests.plain_packs import DOCUMENT, DOCUMENTED, Answers, Customer, Limits, by_hand

ROOT = Path(__file__).parents[1]
GROCERY = ROOT / "rulesets" / "grocery" / "data"
PACKS = {name.removeprefix("std/").removesuffix(".rules"): source for name, source in shipped().items()}

MANIFEST = """\
[ruleset]
name = "packs"
timezone = "UTC"
[profiles.default]
engine = "duckdb"
[profiles.default.sources]
customers = "customers.csv"
orders = "orders.csv"
"""
MODEL = """\
entity customer from customers key customer_id integer (birthday date, signed_up date)
events orders from orders for customer_id at ordered_at (amount decimal)
metric recency = days since latest(orders where amount > 0)
metric frequency = count(orders where amount > 0)
metric monetary = sum(orders.amount)
metric tenure = days since first(orders where amount > 0)
metric usual_gap = average_gap_days(orders where amount > 0)
metric latest_gap = latest_gap_days(orders where amount > 0)
"""
POSTGRES = f"""
[profiles.postgres]
engine = "postgres"
store = "postgres"
dsn = "${{{postgres.VARIABLE}}}"
[profiles.postgres.sources]
customers = {{ table = "customers" }}
orders = {{ table = "orders" }}
"""
ALL = "".join(f'use "std/{name}"\n' for name in PACKS)


def ran(folder: Path, rules: str, customers: Mapping[int, Customer], day: date, profile: str = "default") -> Answers:
    """What a run of the packs says of customers."""
    (folder / "ruleset.toml").write_text(MANIFEST + POSTGRES)
    (folder / "model.rules").write_text(MODEL)
    (folder / "packs.rules").write_text(rules)
    with (folder / "customers.csv").open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["customer_id", "birthday", "signed_up"])
        rows.writerows((key, one.birthday, one.signed_up) for key, one in customers.items())
    with (folder / "orders.csv").open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["customer_id", "ordered_at", "amount"])
        rows.writerows((key, *order) for key, one in customers.items() for order in one.orders)
    for command in (["run", "--as-of", str(day)], ["export", "-o", str(folder / "all.jsonl")]):
        result = CliRunner().invoke(program, [command[0], str(folder), *command[1:], "--profile", profile])
        assert result.exit_code == 0, result.output
    answers: dict[int, dict[str, Any]] = {key: {"tags": set()} for key in customers}
    for line in (folder / "all.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["kind"] == "tag":
            answers[row["customer_id"]]["tags"].add(row["name"])
        else:
            answers[row["customer_id"]][row["name"]] = row["value"]
    return answers


# -- a dozen customers, worked out by hand --------------------------------------------------------------------

HAND_DAY = date(2026, 6, 30)
HAND = """\
customer | birthday   | signed up  | days ago: amount                          | rfm | and so              | abc | lifecycle | longtail    | churn        | tags
1        | 1990-07-04 | 2026-06-30 | 1:200 31:200 61:200 91:200 121:200        | 555 | Champions           | A   | Active    | Head        | Low risk     | Birthday soon
2        | 1988-07-08 | 2025-07-02 | 5:10                                      | 511 | New                 | C   | New       | Tail        | No habit yet | Membership anniversary soon
3        | 2000-02-29 | 2020-07-07 | 10:75 110:75 210:75 310:75                | 444 | Loyal               | A   | Active    | Middle      | Low risk     | Membership anniversary soon
4        |            | 2020-07-08 | 20:30 320:10                              | 422 | Potential loyalists | C   | Active    | Tail        | No habit yet | Birthday unknown, Welcome back
5        | 1980-06-30 |            | 40:100 50:50 60:50                        | 344 | Loyal               | B   | Active    | Middle      | High risk    | Birthday soon, Win back
6        | 1970-01-01 | 2024-01-01 | 80:30 100:20                              | 322 | About to sleep      | C   | Active    | Tail        | No habit yet | Rising from the tail
7        | 1970-01-01 | 2024-01-01 | 100:300 105:200 110:200 115:100 120:100   | 255 | Cannot lose         | A   | Slipping  | Head        | High risk    | Win back
8        | 1970-01-01 | 2024-01-01 | 150:60 350:60                             | 223 | At risk             | B   | Slipping  | Middle      | No habit yet |
9        | 1970-01-01 | 2024-01-01 | 200:20                                    | 111 | Hibernating         | C   | Dormant   | Tail        | No habit yet |
10       | 1970-01-01 | 2024-01-01 | 400:30 800:30                             | 123 | At risk             | C   | Lost      | No purchase | Gone         |
11       | 1970-01-01 | 2024-01-01 |                                           |     | No purchase         | C   | Prospect  | No purchase | No purchase  |
12       | 1970-01-01 | 2024-01-01 | 1100:500                                  |     | Lost                | C   | Lost      | No purchase | Gone         |
"""  # noqa: E501
FIFTHS = "".join(
    "".join([f"class seen_{name}", *(f' "{fifth}" when {name} = {fifth}' for fifth in range(1, 6)), "\n"])
    for name in ("rfm_r", "rfm_f", "rfm_m")
)


def test_what_was_worked_out_by_hand(tmp_path: Path) -> None:
    customers, wanted = {}, {}
    for line in HAND.splitlines()[1:]:
        key, birthday, signed, orders, digits, rfm, abc, lifecycle, longtail, churn, tags = map(
            str.strip, line.split("|")
        )
        bought = [order.split(":") for order in orders.split()]
        customers[int(key)] = Customer(
            date.fromisoformat(birthday) if birthday else None,
            date.fromisoformat(signed) if signed else None,
            tuple((HAND_DAY - timedelta(int(ago)), Decimal(amount)) for ago, amount in bought),
        )
        wanted[int(key)] = {
            **dict(zip(("seen_rfm_r", "seen_rfm_f", "seen_rfm_m"), digits, strict=False)),
            "rfm": rfm,
            "abc": abc,
            "lifecycle": lifecycle,
            "longtail": longtail,
            "churn": churn,
            "tags": set(filter(None, tags.split(", "))),
        }

    assert ran(tmp_path, ALL + FIFTHS, customers, HAND_DAY) == wanted


# -- the grocery's households ------------------------------------------------------------------------------------

DAYS = (date(2017, 12, 31), date(2017, 6, 30), date(2017, 1, 15))


def households() -> dict[int, Customer]:
    """Everybody with his receipts, and with days of birth and of joining that were made up."""
    orders: dict[int, list[tuple[date, Decimal]]] = {}
    with (GROCERY / "orders.csv").open() as file:
        for row in csv.DictReader(file):
            day = date.fromisoformat(row["ordered_at"][:10])
            orders.setdefault(int(row["customer_id"]), []).append((day, Decimal(row["amount"])))
    found = {}
    with (GROCERY / "customers.csv").open() as file:
        for number, row in enumerate(csv.DictReader(file)):
            key = int(row["customer_id"])
            born = date(1940, 1, 1) + timedelta(days=number * 97 % 22_000)
            joined = date(2015, 1, 1) + timedelta(days=number * 5 % 1_200)
            found[key] = Customer(None if number % 5 == 0 else born, joined, tuple(orders.get(key, ())))
    return found


def test_postgres_says_the_same(tmp_path: Path) -> None:
    customers = households()
    with postgres.shop() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE customers (customer_id bigint, birthday date, signed_up date)")
        with cursor.copy("COPY customers FROM STDIN") as copy:
            for key, one in customers.items():
                copy.write_row((key, one.birthday, one.signed_up))
        cursor.execute("CREATE TABLE orders (customer_id bigint, ordered_at timestamp, amount numeric(18, 4))")
        with cursor.copy("COPY orders FROM STDIN") as copy:
            for key, one in customers.items():
                for order in one.orders:
                    copy.write_row((key, *order))

        found = ran(tmp_path, ALL, customers, DAYS[0], "postgres")

    assert found == by_hand(customers, DAYS[0], Limits())


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_every_household_is_as_plain_python_says(day: date, tmp_path: Path) -> None:
    customers = households()

    assert ran(tmp_path, ALL, customers, day) == by_hand(customers, day, Limits())


def test_limits_of_the_rulesets_own(tmp_path: Path) -> None:
    changed = {
        "rfm_lost_days": "100",
        "abc_a_share": "50%",
        "abc_b_share": "70%",
        "lifecycle_new_days": "200",
        "lifecycle_slipping_days": "10",
        "lifecycle_dormant_days": "20",
        "lifecycle_lost_days": "40",
        "longtail_head_above": "95%",
        "longtail_tail_up_to": "70%",
        "longtail_rising_times": "1.05",
        "churn_medium_times": "1",
        "churn_high_times": "1.5",
        "churn_least_days": "2",
        "churn_least_purchases": "30",
        "churn_gone_days": "60",
        "churn_worth_above": "20%",
        "churn_too_late_days": "90",
        "churn_pause_days": "20",
        "churn_welcome_days": "10",
        "care_birthday_days": "30",
        "care_anniversary_days": "0",
    }
    assert changed.keys() == DOCUMENTED.keys()
    limits = Limits({n: Fraction(v.rstrip("%")) / (100 if "%" in v else 1) for n, v in changed.items()})
    own = "".join(f"let {name} = {value}\n" for name, value in changed.items())
    customers = households()

    assert ran(tmp_path, ALL + own, customers, DAYS[0]) == by_hand(customers, DAYS[0], limits)


# -- the files themselves -------------------------------------------------------------------------------------


def checked(*packs: str, without: str | None = None) -> Checked:
    """Packs beside as much of the model as they need."""
    model = "".join(line for line in MODEL.splitlines(keepends=True) if not line.startswith(f"metric {without} "))
    model = re.sub(rf"{without} date(, )?", "", model)
    use = "".join(f'use "std/{pack}"\n' for pack in packs)
    return check([Source("model.rules", model), Source("packs.rules", use)], "shop", "UTC")


def declared(pack: str) -> dict[str, set[str]]:
    """The names that a pack gives, by kind."""
    found: dict[str, set[str]] = {"class": set(), "tag": set(), "metric": set(), "parameter": set()}
    for statement in parse(PACKS[pack]).file.statements:
        match statement:
            case nodes.LadderStatement(name=name):
                found["class"].add(name.text)
            case nodes.TagStatement(name=tag):
                found["tag"].add(tag.value)
            case nodes.MetricStatement(name=name):
                found["metric"].add(name.text)
            case nodes.LetStatement(name=name):
                found["parameter"].add(name.text)
            case _:
                assert isinstance(statement, nodes.ExampleStatement)
    return found


NEEDED = ("recency", "frequency", "monetary", "tenure", "usual_gap", "latest_gap", "birthday", "signed_up")


def needs(pack: str) -> set[str]:
    """The names that a pack cannot do without."""
    return {
        name
        for name in NEEDED
        for problem in checked(pack, without=name).problems
        if problem.code.name == "use-needs" and problem.facts["name"] == name
    }


def introduction(pack: str) -> str:
    return " ".join(re.match(r"(?:#.*\n)+", PACKS[pack].text)[0].replace("#", "").split())  # type: ignore[index]


@pytest.mark.parametrize("pack", [*PACKS, "all"])
def test_a_pack_stands_alone_and_beside_the_others(pack: str) -> None:
    found = checked(*(PACKS if pack == "all" else [pack]))

    assert {problem.code.name for problem in found.problems} <= {"unused"}
    assert all(problem.span and problem.span.source.path == "model.rules" for problem in found.problems)
    assert found.ruleset is not None


def test_every_example_of_a_pack_holds(tmp_path: Path) -> None:
    (tmp_path / "ruleset.toml").write_text(MANIFEST)
    (tmp_path / "model.rules").write_text(MODEL + ALL + "let lifecycle_new_days = 5\nlet care_birthday_days = 300\n")

    result = CliRunner().invoke(program, ["test", str(tmp_path), "--format", "json"])

    report = json.loads(result.output)
    assert report["failed"] == 0
    assert {example["file"] for example in report["results"]} == {source.path for source in PACKS.values()}
    assert report["examples"] == sum(source.text.count("\nexample ") for source in PACKS.values())


@pytest.mark.parametrize("pack", PACKS)
def test_every_rule_has_an_example(pack: str) -> None:
    text = PACKS[pack].text
    expected = " ".join(re.findall(r"(?m)^    expect (.*)$", text))

    for name in declared(pack)["class"]:
        assert f"class {name}" in expected
    for name in declared(pack)["tag"]:
        assert re.search(rf'(?<!no )tag "{name}"', expected), name


@pytest.mark.parametrize("pack", PACKS)
def test_a_pack_is_laid_out_and_reads_in_chinese_as_well(pack: str) -> None:
    source = PACKS[pack]
    chinese = Source(source.path, format_file(parse(source), "zh"))

    assert format_file(parse(source)) == source.text
    assert format_file(parse(chinese), "en") == source.text


@pytest.mark.parametrize("pack", PACKS)
def test_a_pack_says_what_it_needs_and_gives(pack: str) -> None:
    text, given = introduction(pack), declared(pack)

    assert needs(pack)
    assert set(re.findall(r"metric (\w+) =|(\w+) date", text)) == {
        ("", name) if name in ("birthday", "signed_up") else (name, "") for name in needs(pack)
    }
    behind = text.partition("It gives")[2]
    for name in (*given["class"], *given["tag"], *given["metric"]):
        assert re.search(rf"\b{re.escape(name)}\b", behind), name


def test_the_document_lists_every_pack_with_what_it_needs_and_gives() -> None:
    rows = dict(re.findall(r"^\| \[`std/(\w+)`\]\(#[\w-]+\) \| (.*) \|$", DOCUMENT, re.MULTILINE))

    assert list(rows) == sorted(rows, key=["rfm", "abc", "lifecycle", "longtail", "churn", "care"].index)
    assert rows.keys() == PACKS.keys()
    for pack, row in rows.items():
        needed, gives = row.split(" | ")
        given = declared(pack)
        assert set(re.findall(r"`(\w+)`", needed)) == needs(pack)
        assert set(re.findall(r"`(\w+)`", gives)) == given["class"] | given["metric"]
        assert set(re.findall(r"“(.*?)”", gives)) == given["tag"]


@pytest.mark.parametrize("pack", PACKS)
def test_the_document_tells_every_value_and_parameter(pack: str) -> None:
    title = {"rfm": "RFM", "abc": "ABC", "longtail": "Long tail"}.get(pack, pack.capitalize())
    section = DOCUMENT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    prose = " ".join(section.split())
    statements = parse(PACKS[pack]).file.statements
    lets = {it.name.text: it.steps[0].values[0].span.text for it in statements if isinstance(it, nodes.LetStatement)}
    levels = [it for it in statements if isinstance(it, nodes.LadderStatement)]

    assert dict(re.findall(r"^\| `(\w+)` \| ([\d_.]+%?) \|", section, re.MULTILINE)) == lets
    for ladder in levels:
        assert ladder.otherwise is not None
        for value in [*(level.value.value for level in ladder.levels), ladder.otherwise.value]:
            assert re.search(rf"\b{value}\b", prose), value
    for name in (*declared(pack)["tag"], *declared(pack)["metric"]):
        assert name in prose


def test_the_rules_of_the_document_check() -> None:
    blocks = re.findall(r"^```rules\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    model = re.sub(r"(?m)^metric .*\n", "", MODEL).replace("amount decimal", "amount decimal, status text")

    found = check(
        [Source("model.rules", model), Source("packs.rules", ALL), Source("own.rules", "".join(blocks))], "shop", "UTC"
    )

    assert [problem for problem in found.problems if problem.is_error] == []
