"""The Chinese ruleset, against the same rules in plain Python over the same files, and its pages."""

import csv
import json
import re
import runpy
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ruleengine.cli.commands import program
from ruleengine.source import Source
from ruleengine.syntax.format import format_file
from ruleengine.syntax.parse import parse

ROOT = Path(__file__).parents[1]
RETAIL = ROOT / "rulesets" / "retail-zh"
PAGE = (RETAIL / "README.md").read_text("utf-8")
DAYS = (date(2026, 6, 30), date(2025, 12, 31), date(2024, 3, 1))
Row = Mapping[str, str]


def rows(name: str) -> list[Row]:
    with (RETAIL / "data" / f"{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", params=DAYS, ids=str)
def day(request: pytest.FixtureRequest) -> date:
    answer: date = request.param
    return answer


@pytest.fixture(scope="module")
def answers(day: date, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[int, dict[str, Any]], dict[str, Any]]:
    """What a run says of each customer, by the names of tiers, classes and `标签`; and its report."""
    folder = tmp_path_factory.mktemp("zh") / "retail-zh"
    shutil.copytree(RETAIL, folder, ignore=shutil.ignore_patterns(".ruleengine"))
    arguments = ["run", str(folder), "--as-of", str(day), "--format", "json"]
    ran = CliRunner().invoke(program, arguments)
    if ran.exit_code == 3:
        reason = ["--reason", "测试"]
        assert (
            CliRunner().invoke(program, ["publish", str(folder), json.loads(ran.stdout)["run"], *reason]).exit_code == 0
        )
    else:
        assert ran.exit_code == 0, ran.output
    exported = folder / "all.jsonl"
    assert CliRunner().invoke(program, ["export", str(folder), "-o", str(exported)]).exit_code == 0
    found: dict[int, dict[str, Any]] = {}
    for line in exported.read_text("utf-8").splitlines():
        row = json.loads(line)
        one = found.setdefault(row["customer_id"], {"标签": set()})
        if row["kind"] == "tag":
            one["标签"].add(row["name"])
        else:
            one[row["name"]] = row["value"]
    return found, json.loads(ran.stdout)


# -- the rules in plain Python --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    day: date
    paid: Decimal
    saved: Decimal
    done: bool
    refunded: bool
    channel: str
    effect: str
    number: int


@dataclass
class Customer:
    """One member on a day, and what is counted of him."""

    row: Row
    today: date
    orders: Sequence[Order]
    visits: Sequence[tuple[date, str]]
    services: Sequence[tuple[str, date, str, str]]

    def back(self, days: int = 0, years: int = 0) -> date:
        return self.today.replace(year=self.today.year - years) - timedelta(days=days)

    def within(self, first: date, last: date | None = None) -> list[Order]:
        """What was bought behind a day, up to another one."""
        return [it for it in self.orders if it.done and first < it.day <= (last or self.today)]

    @cached_property
    def bought(self) -> list[Order]:
        return self.within(date.min)

    @cached_property
    def year(self) -> list[Order]:
        return self.within(self.back(years=1))

    @cached_property
    def spent(self) -> Decimal:
        return paid(self.bought)

    @cached_property
    def spent_in_year(self) -> Decimal:
        return paid(self.year)

    @cached_property
    def days(self) -> list[date]:
        return sorted({order.day for order in self.bought})

    @property
    def away(self) -> int | None:
        return (self.today - self.days[-1]).days if self.days else None

    @cached_property
    def pauses(self) -> list[int]:
        return [(later - earlier).days for earlier, later in pairwise(self.days)]

    @property
    def usual(self) -> float | None:
        """Rounded as a person would round what the computer has: half away from zero, of the double."""
        if not self.pauses:
            return None
        return float(Decimal(sum(self.pauses) / len(self.pauses)).quantize(Decimal("0.1"), ROUND_HALF_UP))

    @property
    def consents(self) -> bool:
        return self.row["接受营销"] == "true"

    def services_of(self, kinds: Iterable[str], first: date) -> int:
        return sum(kind in kinds and first < day for _, day, kind, _ in self.services)


def paid(orders: Iterable[Order]) -> Decimal:
    return sum((order.paid for order in orders), Decimal(0))


def saved_percent(orders: Sequence[Order]) -> Decimal | None:
    saved = sum((order.saved for order in orders), Decimal(0))
    return rounded(Fraction(100 * saved) / Fraction(paid(orders) + saved), 1) if paid(orders) + saved else None


def rounded(value: Fraction, digits: int) -> Decimal:
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def most_frequent(texts: Iterable[str]) -> str | None:
    counts = Counter(text for text in texts if text)
    return min((text for text in counts if counts[text] == max(counts.values())), default=None)


def population(today: date) -> dict[int, Customer]:
    orders: dict[int, list[Order]] = {}
    for row in rows("orders"):
        when = date.fromisoformat(row["下单时间"][:10])
        one = Order(
            day=when,
            paid=Decimal(row["实付"]),
            saved=Decimal(row["优惠"]),
            done=row["状态"] == "已完成",
            refunded=row["状态"] == "已退款",
            channel=row["渠道"],
            effect=row["功效"],
            number=int(row["订单号"]),
        )
        if when <= today:
            orders.setdefault(int(row["客户号"]), []).append(one)
    visits: dict[int, list[tuple[date, str]]] = {}
    for row in rows("visits"):
        if (when := date.fromisoformat(row["访问时间"][:10])) <= today:
            visits.setdefault(int(row["客户号"]), []).append((when, row["功效"]))
    services: dict[int, list[tuple[str, date, str, str]]] = {}
    for row in rows("services"):
        if (when := date.fromisoformat(row["服务时间"][:10])) <= today:
            services.setdefault(int(row["客户号"]), []).append((row["服务时间"], when, row["类型"], row["满意度"]))
    return {
        key: Customer(row, today, orders.get(key, ()), visits.get(key, ()), sorted(services.get(key, ())))
        for row in rows("customers")
        if row["测试账号"] == "false" and date.fromisoformat(row["注册日期"]) <= today
        for key in [int(row["客户号"])]
    }


def level(one: Customer) -> str:
    floors = (("钻石", 10_000), ("金卡", 4_000), ("银卡", 1_500))
    return next((name for name, floor in floors if one.spent_in_year >= floor), "普通")


def fifth(everybody: Sequence[Customer], of: Callable[[Customer], Any]) -> Callable[[Customer], int]:
    values = [of(other) for other in everybody]
    return lambda one: 1 + 5 * sum(value < of(one) for value in values) // len(values)


def rfm(buyers: Sequence[Customer]) -> Callable[[Customer], str]:
    axes = [
        fifth(buyers, lambda it: -(it.away or 0)),
        fifth(buyers, lambda it: len(it.bought)),
        fifth(buyers, lambda it: it.spent),
    ]
    names = {
        (True, True, True): "重要价值客户",
        (True, False, True): "重要发展客户",
        (False, True, True): "重要保持客户",
        (False, False, True): "重要挽留客户",
        (True, True, False): "一般价值客户",
        (True, False, False): "一般发展客户",
        (False, True, False): "一般保持客户",
        (False, False, False): "一般挽留客户",
    }
    return lambda one: names[tuple(axis(one) >= 4 for axis in axes)] if one.bought else "未购"  # type: ignore[index]


def abc(one: Customer, everybody: Sequence[Customer]) -> str:
    total = sum(other.spent_in_year for other in everybody)
    better = sum(other.spent_in_year for other in everybody if other.spent_in_year > one.spent_in_year)
    if one.spent_in_year <= 0:
        return "C"
    share = Fraction(better) / Fraction(total)
    return "A" if share < Fraction(80, 100) else "B" if share < Fraction(95, 100) else "C"


def standing(value: Decimal, others: Sequence[Decimal]) -> Fraction:
    return Fraction(sum(other <= value for other in others), len(others))


def tail(one: Customer, everybody: Sequence[Customer]) -> str:
    if one.spent_in_year <= 0:
        return "一年没买"
    place = standing(one.spent_in_year, [it.spent_in_year for it in everybody if it.spent_in_year > 0])
    return "头部" if place > Fraction(8, 10) else "腰部" if place > Fraction(1, 2) else "尾部"


def stage(one: Customer) -> str:
    if one.away is None:
        return "潜客"
    for name, days in (("流失", 270), ("沉睡", 120)):
        if one.away > days:
            return name
    return "新客" if (one.today - one.days[0]).days <= 60 else "活跃"


def wish(one: Customer) -> str:
    effect = most_frequent(it.effect for it in one.year) if one.year else most_frequent(it for _, it in one.visits)
    names = {
        "补水": "补水保湿",
        "抗老": "抗老紧致",
        "美白": "美白提亮",
        "舒缓": "敏感舒缓",
        "防晒": "防晒",
        "洗护": "清洁洗护",
    }
    return names[effect] if effect else "还不清楚"


def price(one: Customer) -> str:
    if len(one.year) < 2:
        return "还不清楚"
    share = saved_percent(one.year)
    assert share is not None
    if share >= 25:
        return "优惠驱动"
    return "品质优先" if share < 8 and each(one) >= 400 else "看重性价比"


def each(one: Customer) -> Decimal:
    return rounded(Fraction(one.spent_in_year) / len(one.year), 2)


def decade(one: Customer) -> str:
    if not one.row["生日"]:
        return "未填生日"
    born = int(one.row["生日"][:4])
    return next(
        (name for name, year in (("00后", 2000), ("90后", 1990), ("80后", 1980), ("70后", 1970)) if born >= year),
        "70前",
    )


def channel(one: Customer) -> str:
    if not one.bought:
        return "未购"
    if not one.year:
        return "一年没买"
    usual = most_frequent(it.channel for it in one.year)
    return usual if usual in ("门店", "直播间") else "线上商城"


def at_risk(one: Customer) -> bool:
    return (
        one.away is not None
        and one.usual is not None
        and one.away > 2.5 * one.usual
        and one.away > 30
        and len(one.bought) >= 4
        and stage(one) != "流失"
    )


def coming(text: str, today: date) -> int:
    day = date.fromisoformat(text)
    dates = [
        date(year, 2, 28) if (day.month, day.day) == (2, 29) and year % 4 else day.replace(year=year)
        for year in (today.year, today.year + 1)
    ]
    return min((it - today).days for it in dates if it >= today)


def tags(one: Customer, everybody: Sequence[Customer]) -> dict[str, bool]:
    """Whether each tag is given; those of campaigns, and those that look back at other runs, are left out."""
    today, row = one.today, one.row
    quarter, month = one.back(days=90), one.back(days=30)
    sales = [(date(2025, 10, 31), date(2025, 11, 11)), (date(2026, 5, 31), date(2026, 6, 18))]
    in_sales = paid(it for first, last in sales for it in one.within(first, min(last, today)))
    seen = [when for when, _ in one.visits]
    known = [score for _, when, _, score in one.services if score and when > quarter]
    worth = [it.spent for it in everybody if it.bought]
    saved = saved_percent(one.bought)
    return {
        "资料不全": not (row["性别"] and row["生日"] and row["城市"]),
        "男士": row["性别"] == "男",
        "可以联系": one.consents,
        "企业采购": bool(row["行业"]) and len(one.year) >= 2 and each(one) >= 1000,
        "高频": len(one.within(quarter)) >= 4,
        "全渠道": len({it.channel for it in one.year}) >= 3,
        "看了没买": sum(when > month for when in seen) >= 3 and not one.within(month),
        "退款偏多": sum(it.refunded and it.day > one.back(years=1) for it in one.orders) >= 2,
        "快到金卡": level(one) == "银卡" and one.spent_in_year >= 3500,
        "长尾潜力": tail(one, everybody) == "尾部"
        and sum(when > quarter for when in seen) >= 5
        and saved is not None
        and saved < 20,
        "流失风险": at_risk(one),
        "待召回": (at_risk(one) or stage(one) == "流失")
        and standing(one.spent, worth) > Fraction(1, 2)
        and (one.away or 0) <= 730,
        "召回成功": bool(one.pauses) and one.pauses[-1] >= 180 and (one.away or 0) <= 60,
        "大促囤货": len(one.year) >= 2 and in_sales * 2 >= one.spent_in_year,
        "爱做护理": one.services_of(["护理预约"], one.back(years=1)) >= 3,
        "售后敏感": one.services_of(["退换", "投诉"], one.back(years=1)) >= 2,
        "需要安抚": bool(known) and int(known[-1]) <= 2,
        "生日将至": bool(row["生日"]) and one.consents and coming(row["生日"], today) <= 7,
        "入会周年": one.consents
        and date.fromisoformat(row["注册日期"]) < today
        and coming(row["注册日期"], today) <= 7,
    }


def score(one: Customer) -> int:
    away = one.away if one.away is not None else -1
    complaints = one.services_of(["投诉"], one.back(days=90))
    return (
        (40 if one.spent_in_year >= 4000 else 0)
        + (20 if one.spent_in_year >= 1500 else 0)
        + (30 if 60 <= away <= 270 else 0)
        + (15 if sum(when > one.back(days=30) for when, _ in one.visits) >= 3 else 0)
        - (30 if complaints else 0)
    )


def campaigns(customers: Mapping[int, Customer]) -> tuple[set[int], set[int], set[int]]:
    """The control group, whom to call, and who gets a coupon."""

    def best(chosen: Iterable[int], most: int, worth: Callable[[Customer], Decimal]) -> set[int]:
        return set(sorted(chosen, key=lambda key: (-worth(customers[key]), key))[:most])

    control = {key for key in customers if int(sha256(f"{key}|2026年夏".encode()).hexdigest()[:8], 16) * 10 < 2**32}
    asked = {key: one for key, one in customers.items() if one.consents and key not in control}
    calls = [key for key, one in asked.items() if (one.away or 0) > 30 and score(one) >= 30]
    called = best(calls, 40, lambda one: one.spent_in_year)
    waiting = [
        key
        for key, one in asked.items()
        if (stage(one) == "沉睡" or at_risk(one)) and (saved_percent(one.bought) or 0) >= 20 and key not in called
    ]
    return control, called, best(waiting, 20, lambda one: one.spent)


def test_every_customer_is_as_plain_python_says(day: date, answers: tuple[dict[int, dict[str, Any]], Any]) -> None:
    found, _ = answers
    customers = population(day)
    everybody = list(customers.values())
    segment = rfm([one for one in everybody if one.bought])
    control, called, coupons = campaigns(customers)

    assert found.keys() == customers.keys()
    for key, one in customers.items():
        wanted = {
            "会员": level(one),
            "RFM": segment(one),
            "ABC": abc(one, everybody),
            "长尾": tail(one, everybody),
            "生命周期": stage(one),
            "功能需求": wish(one),
            "价格需求": price(one),
            "年代": decade(one),
            "常用渠道": channel(one),
        }
        given = tags(one, everybody) | {
            "对照组": key in control,
            "本周回访": key in called,
            "发召回券": key in coupons,
            "刚掉级": False,
            "召回见效": False,
            "请勿打扰": False,
        }
        assert {name: found[key][name] for name in wanted} == wanted, key
        assert found[key]["标签"] == {name for name, has in given.items() if has}, key


# -- the pages, the files and the data ------------------------------------------------------------------------


def test_the_ruleset_has_no_problems_and_its_examples_hold(tmp_path: Path) -> None:
    checked = json.loads(CliRunner().invoke(program, ["check", str(RETAIL), "--format", "json"]).stdout)
    tested = json.loads(CliRunner().invoke(program, ["test", str(RETAIL), "--format", "json"]).stdout)
    laid_out = CliRunner().invoke(program, ["fmt", str(RETAIL), "--check", "--lang", "zh"])

    assert checked["problems"] == []
    assert (tested["failed"], tested["examples"] > 25) == (0, True)
    assert {suite["passed"] for suite in tested["suites"]} == {True}
    assert laid_out.exit_code == 0, laid_out.output


def test_the_rules_read_in_english_as_well() -> None:
    for path in RETAIL.glob("*.rules"):
        text = path.read_text("utf-8")
        english = Source(path.name, format_file(parse(Source(path.name, text)), "en"))

        assert format_file(parse(english), "zh") == text


def test_the_data_is_what_the_script_makes(tmp_path: Path) -> None:
    shutil.copy(RETAIL / "data" / "make.py", tmp_path)
    runpy.run_path(str(tmp_path / "make.py"), run_name="__main__")

    for name in ("customers", "orders", "visits", "services"):
        assert (tmp_path / f"{name}.csv").read_bytes() == (RETAIL / "data" / f"{name}.csv").read_bytes()
        assert f"| `{name}.csv` | {len(rows(name)):,} |" in (RETAIL / "data" / "README.md").read_text("utf-8")


def test_the_page_shows_rules_that_are_there() -> None:
    texts = [path.read_text("utf-8") for path in RETAIL.glob("*.rules")]
    blocks = re.findall(r"^```rules\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

    assert blocks
    for block in blocks:
        assert any(block in text for text in texts), block


def test_the_page_names_every_file() -> None:
    named = set(re.findall(r"^\| `([^`]+\.rules)` \|", PAGE, re.MULTILINE))

    assert named == {path.name for path in RETAIL.glob("*.rules")}


def test_the_page_shows_what_comes_out(
    day: date, answers: tuple[Any, dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    if day != DAYS[0]:
        pytest.skip("the page is about the last day")
    counts = answers[1]["counts"]
    listed = [(f"等级 {name}", values) for name, values in counts["tiers"].items()]
    listed += [(f"分类 {name}", values) for name, values in counts["classes"].items()]
    listed.append(("标签", counts["tags"]))
    listed.append(("草稿", {draft["name"]: draft["customers"] for draft in answers[1]["drafts"]}))
    table = "".join(
        f"| {title} | {'，'.join(f'{name} {customers}' for name, customers in values.items())} |\n"
        for title, values in listed
    )
    pattern = re.compile(r"(?<=\n\| \| \|\n\|---\|---\|\n).*?(?=\n这是)", re.DOTALL)
    if request.config.getoption("--update-corpus"):
        (RETAIL / "README.md").write_text(pattern.sub(lambda _: table, PAGE), "utf-8")

    found = pattern.search((RETAIL / "README.md").read_text("utf-8"))
    assert found is not None
    assert found[0] == table
