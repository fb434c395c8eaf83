"""The worked ruleset on groceries, against the same rules in plain Python over the same files."""

import csv
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ruleengine.checking.check import check
from ruleengine.cli.commands import program
from ruleengine.source import Source

GROCERY = Path(__file__).parents[1] / "rulesets" / "grocery"
DAYS = (date(2017, 12, 31), date(2017, 6, 30), date(2017, 1, 15))
"""The end of the data, its middle, and a day on which many have not bought yet or have no earlier gap."""

TAGS = {
    "High value",
    "Big basket",
    "Small basket",
    "Frequent",
    "Discount seeker",
    "Coupon lover",
    "Campaign responder",
    "One store",
    "Store hopper",
    "Declining",
    "Overdue",
    "Win back",
    "Family with children",
    "Senior",
    "High income",
    "Unknown household",
}


# -- the rules in plain Python ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Receipt:
    day: date
    store: int
    amount: Decimal
    discount: Decimal
    coupon: Decimal


@dataclass(frozen=True)
class Told:
    """What a household told of itself; None where it did not."""

    age: str | None
    income: str | None
    composition: str | None
    kids: str | None


@dataclass(frozen=True)
class Household:
    """A household as it was at the end of a day: nothing later is in it."""

    today: date
    told: Told
    receipts: tuple[Receipt, ...]
    campaigns: tuple[tuple[date, int], ...]

    @property
    def tags(self) -> set[str]:
        tags = {
            "High value": self.spent(self.year) >= 2500,
            "Big basket": self.baskets(self.year) >= 5 and self.average_basket >= 50,
            "Small basket": self.baskets(self.year) >= 5 and self.average_basket < 15,
            "Frequent": self.baskets(self.last(90)) >= 24,
            "Discount seeker": self.baskets(self.year) >= 10 and self.discount_percent >= 20,
            "Coupon lover": self.baskets(self.year) >= 10 and self.coupon_percent >= 10,
            "Campaign responder": len({campaign for day, campaign in self.campaigns if day > self.year[0]}) >= 2,
            "One store": self.baskets(self.year) >= 10 and self.stores(self.year) == 1,
            "Store hopper": self.stores(self.last(90)) >= 4,
            "Declining": self.is_declining,
            "Overdue": self.is_overdue,
            "Win back": self.lifecycle in ("Slipping", "Lapsed") and self.loyalty != "Member",
            "Family with children": self.told.kids in ("1", "2", "3+"),
            "Senior": self.told.age == "65+",
            "High income": (self.told.income or "").split("-")[0] in ("100", "125", "150", "175", "200", "250K+"),
            "Unknown household": self.told == Told(None, None, None, self.told.kids),
        }
        assert tags.keys() == TAGS
        return {tag for tag, given in tags.items() if given}

    @property
    def loyalty(self) -> str:
        floors = {"Gold": 4000, "Silver": 2000, "Bronze": 750}
        return next((level for level, floor in floors.items() if self.spent(self.year) >= floor), "Member")

    @property
    def lifecycle(self) -> str:
        if not self.days:
            return "Prospect"
        if self.away > 90:
            return "Lapsed"
        if self.away > 30:
            return "Slipping"
        return "New" if (self.today - self.days[0]).days <= 180 else "Active"

    @property
    def household(self) -> str:
        if self.told.composition is None:
            return "Unknown"
        known = {"1 Adult Kids": "Family", "2 Adults Kids": "Family", "2 Adults No Kids": "Couple"}
        return {**known, "1 Adult No Kids": "Single"}.get(self.told.composition, "Other")

    @property
    def is_growing(self) -> bool:
        now, before = self.spent(self.last(90)), self.spent(self.before)
        return now >= 300 and 2 * now > 3 * before

    @property
    def is_declining(self) -> bool:
        there = self.lifecycle not in ("Lapsed", "New")
        now, before = self.spent(self.last(90)), self.spent(self.before)
        return there and before >= 100 and 2 * now < before

    @property
    def is_overdue(self) -> bool:
        if len(self.days) < 2 or len(self.bought(self.ever)) < 10:
            return False
        gaps = [(after - before).days for before, after in pairwise(self.days)]
        usual = rounded(Fraction(sum(gaps), len(gaps)), 1)
        return self.away > 3 * usual and self.away > max(gaps) and self.away > 7

    # Two days: after the first, up to the second.

    @property
    def ever(self) -> tuple[date, date]:
        return date.min, self.today

    @property
    def year(self) -> tuple[date, date]:
        return self.today.replace(year=self.today.year - 1), self.today

    def last(self, days: int) -> tuple[date, date]:
        return self.today - timedelta(days), self.today

    @property
    def before(self) -> tuple[date, date]:
        return self.today - timedelta(180), self.today - timedelta(90)

    def within(self, days: tuple[date, date]) -> list[Receipt]:
        return [receipt for receipt in self.receipts if days[0] < receipt.day <= days[1]]

    def bought(self, days: tuple[date, date]) -> list[Receipt]:
        return [receipt for receipt in self.within(days) if receipt.amount > 0]

    def spent(self, days: tuple[date, date]) -> Decimal:
        return sum((receipt.amount for receipt in self.within(days)), Decimal(0))

    def baskets(self, days: tuple[date, date]) -> int:
        return len(self.bought(days))

    def stores(self, days: tuple[date, date]) -> int:
        return len({receipt.store for receipt in self.bought(days)})

    @property
    def average_basket(self) -> Decimal:
        return rounded(Fraction(self.spent(self.year)) / self.baskets(self.year), 2)

    @property
    def discount_percent(self) -> Decimal:
        taken_off = sum(receipt.discount for receipt in self.within(self.year))
        return rounded(100 * Fraction(taken_off) / Fraction(taken_off + self.spent(self.year)), 1)

    @property
    def coupon_percent(self) -> Decimal:
        with_coupon = sum(receipt.coupon > 0 for receipt in self.bought(self.year))
        return rounded(Fraction(100 * with_coupon, self.baskets(self.year)), 1)

    @property
    def days(self) -> list[date]:
        return sorted({receipt.day for receipt in self.bought(self.ever)})

    @property
    def away(self) -> int:
        return (self.today - self.days[-1]).days


def rounded(number: Fraction, places: int) -> Decimal:
    exact = Decimal(number.numerator) / Decimal(number.denominator)
    return exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def rows(name: str) -> Iterator[dict[str, str]]:
    with open(GROCERY / "data" / name, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def day_of(moment: str) -> date:
    return datetime.fromisoformat(moment).date()


@cache
def households(today: date) -> Mapping[int, Household]:
    receipts: dict[str, list[Receipt]] = {}
    for row in rows("orders.csv"):
        receipt = Receipt(
            day=day_of(row["ordered_at"]),
            store=int(row["store_id"]),
            amount=Decimal(row["amount"]),
            discount=Decimal(row["discount"]),
            coupon=Decimal(row["coupon"]),
        )
        if receipt.day <= today:
            receipts.setdefault(row["customer_id"], []).append(receipt)
    campaigns: dict[str, list[tuple[date, int]]] = {}
    for row in rows("coupon_redemptions.csv"):
        if day_of(row["redemption_date"]) <= today:
            found = (day_of(row["redemption_date"]), int(row["campaign_id"]))
            campaigns.setdefault(row["customer_id"], []).append(found)
    return {
        int(row["customer_id"]): Household(
            today=today,
            told=Told(
                row["age"] or None, row["income"] or None, row["household_comp"] or None, row["kids_count"] or None
            ),
            receipts=tuple(receipts.get(row["customer_id"], ())),
            campaigns=tuple(campaigns.get(row["customer_id"], ())),
        )
        for row in rows("customers.csv")
    }


# -- what the product says --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    report: Any
    tags: Mapping[str, set[int]]
    ladders: Mapping[tuple[str, str], Mapping[int, str]]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Mapping[date, Published]:
    """The ruleset as it is shipped, run for each of the days into a store of its own."""
    return {day: run(tmp_path_factory.mktemp(str(day)) / "grocery", day) for day in DAYS}


def run(folder: Path, day: date) -> Published:
    shutil.copytree(GROCERY, folder, ignore=shutil.ignore_patterns(".ruleengine"))
    report = json.loads(answer("run", str(folder), "--as-of", str(day), "--actor", "tests", "--format", "json"))
    answer("export", str(folder), "-o", str(folder / "all.csv"))
    tags: dict[str, set[int]] = {}
    ladders: dict[tuple[str, str], dict[int, str]] = {}
    with open(folder / "all.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["kind"] == "tag":
                tags.setdefault(row["name"], set()).add(int(row["customer_id"]))
            else:
                ladders.setdefault((row["kind"], row["name"]), {})[int(row["customer_id"])] = row["value"]
    return Published(report, tags, ladders)


def answer(*arguments: str) -> str:
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


# -- the tests --------------------------------------------------------------------------------------------


def test_the_rules_have_no_problems() -> None:
    files = [Source(path.name, path.read_text("utf-8")) for path in sorted(GROCERY.glob("*.rules"))]

    # Without a day to compare `review by` with: that rules fall due is no mistake in them.
    assert check(files, "grocery", "America/New_York").problems == ()


def test_the_rules_are_laid_out() -> None:
    assert answer("fmt", "--check", str(GROCERY)) == ""


def test_the_data_is_what_its_readme_says() -> None:
    text = (GROCERY / "data" / "README.md").read_text("utf-8")

    for name in ("customers.csv", "orders.csv", "coupon_redemptions.csv"):
        assert f"| `{name}` | {sum(1 for _ in rows(name)):,} |" in text


def test_the_readme_quotes_the_rules() -> None:
    rules = "\n".join(path.read_text("utf-8") for path in GROCERY.glob("*.rules"))
    quoted = re.findall(r"```rules\n(.*?)```", (GROCERY / "README.md").read_text("utf-8"), re.DOTALL)

    assert [text for text in quoted if text not in rules] == []
    assert quoted


def test_the_readme_tells_the_sizes(published: Mapping[date, Published]) -> None:
    _, _, table = (GROCERY / "README.md").read_text("utf-8").partition("## What came out")
    told = {name: int(size) for name, size in re.findall(r"([A-Z][a-z ]+) (\d+)(?=[, ])", table)}
    counts = published[DAYS[0]].report["counts"]
    groups = [counts["tags"], *counts["tiers"].values(), *counts["classes"].values()]
    growing = {draft["name"]: draft["customers"] for draft in published[DAYS[0]].report["drafts"]}

    assert told == {name: size for group in [*groups, growing] for name, size in group.items()}


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_everybody_is_in_the_run(day: date, published: Mapping[date, Published]) -> None:
    report = published[day].report

    assert report["outcome"] == "published"
    assert report["counts"]["customers"] == len(households(day)) == 207
    assert report["warnings"] == []
    assert report["reasons"] == []
    assert set(report["counts"]["tags"]) == TAGS


@pytest.mark.parametrize("day", DAYS, ids=str)
@pytest.mark.parametrize("tag", sorted(TAGS))
def test_tag(tag: str, day: date, published: Mapping[date, Published]) -> None:
    expected = {key for key, household in households(day).items() if tag in household.tags}

    assert published[day].tags.get(tag, set()) == expected
    assert published[day].report["counts"]["tags"][tag] == len(expected)


@pytest.mark.parametrize("day", DAYS, ids=str)
@pytest.mark.parametrize(("kind", "name"), [("tier", "loyalty"), ("class", "lifecycle"), ("class", "household")])
def test_ladder(kind: str, name: str, day: date, published: Mapping[date, Published]) -> None:
    expected = {key: getattr(household, name) for key, household in households(day).items()}

    assert published[day].ladders[kind, name] == expected
    counts = published[day].report["counts"]["tiers" if kind == "tier" else "classes"][name]
    assert Counter(counts) == Counter(expected.values())


@pytest.mark.parametrize("day", DAYS, ids=str)
def test_the_draft_is_counted_and_not_published(day: date, published: Mapping[date, Published]) -> None:
    growing = sum(household.is_growing for household in households(day).values())

    assert [(draft["name"], draft["customers"]) for draft in published[day].report["drafts"]] == [("Growing", growing)]
    assert "Growing" not in published[day].tags


def test_every_tag_is_given_to_somebody_at_the_end_of_the_data(published: Mapping[date, Published]) -> None:
    assert published[DAYS[0]].tags.keys() == TAGS
