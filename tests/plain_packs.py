"""The definitions of the rules that come with the product a second time, in plain Python."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

DOCUMENT = (Path(__file__).parents[1] / "docs" / "packs.md").read_text("utf-8")


@dataclass(frozen=True)
class Customer:
    birthday: date | None
    signed_up: date | None
    orders: tuple[tuple[date, Decimal], ...]


Answers = Mapping[int, Mapping[str, Any]]
"""By customer: the value of each class by its name, and `tags`."""


@dataclass
class Limits:
    """What docs/packs.md says of each parameter, and what was changed."""

    changed: Mapping[str, Fraction] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Fraction:
        return self.changed.get(name, DOCUMENTED[name])


DOCUMENTED = {
    name: Fraction(value.rstrip("%").replace("_", "")) / (100 if value.endswith("%") else 1)
    for name, value in re.findall(r"^\| `(\w+)` \| ([\d_.]+%?) \|", DOCUMENT, re.MULTILINE)
}


@dataclass(frozen=True)
class Numbers:
    """What the packs ask of one customer."""

    frequency: int
    recency: int
    tenure: int
    gap: float | None
    latest_gap: int | None
    monetary: Decimal
    year: Decimal
    quarter: Decimal
    before: Decimal


def numbers(customer: Customer, today: date) -> Numbers:
    orders = [(day, amount) for day, amount in customer.orders if day <= today]
    days = sorted({day for day, amount in orders if amount > 0})
    pauses = [(later - earlier).days for earlier, later in pairwise(days)]
    a_year_ago = today.replace(year=today.year - 1)
    ago = [((today - day).days, day, amount) for day, amount in orders]
    return Numbers(
        frequency=sum(amount > 0 for _, amount in orders),
        recency=(today - days[-1]).days if days else -1,
        tenure=(today - days[0]).days if days else -1,
        gap=sum(pauses) / len(pauses) if pauses else None,
        latest_gap=pauses[-1] if pauses else None,
        monetary=sum((amount for *_, amount in ago), Decimal(0)),
        year=sum((amount for _, day, amount in ago if day > a_year_ago), Decimal(0)),
        quarter=sum((amount for n, _, amount in ago if n < 90), Decimal(0)),
        before=sum((amount for n, _, amount in ago if 90 <= n < 180), Decimal(0)),
    )


def fifth(value: Decimal | int, others: Iterable[Decimal | int]) -> int:
    everybody = list(others)
    return 1 + 5 * sum(other < value for other in everybody) // len(everybody)


def standing(value: Decimal, others: Iterable[Decimal]) -> Fraction:
    everybody = list(others)
    return Fraction(sum(other <= value for other in everybody), len(everybody))


def rfm(one: Numbers, everybody: Iterable[Numbers], limits: Limits) -> str:
    if one.frequency == 0:
        return "No purchase"
    if one.recency > limits["rfm_lost_days"]:
        return "Lost"
    buyers = [other for other in everybody if other.frequency > 0 and other.recency <= limits["rfm_lost_days"]]
    r = fifth(-one.recency, [-other.recency for other in buyers])
    f = fifth(one.frequency, [other.frequency for other in buyers])
    m = fifth(one.monetary, [other.monetary for other in buyers])
    return SEGMENTS[r][f + m]


SEGMENTS = {
    r: {worth: segment for first, last, segment in cells for worth in range(first, last + 1)}
    for recencies, cells in {
        (5,): [(2, 3, "New"), (4, 6, "Potential loyalists"), (7, 7, "Loyal"), (8, 10, "Champions")],
        (4,): [(2, 3, "Promising"), (4, 6, "Potential loyalists"), (7, 10, "Loyal")],
        (3,): [(2, 4, "About to sleep"), (5, 6, "Needs attention"), (7, 10, "Loyal")],
        (2, 1): [(2, 4, "Hibernating"), (5, 8, "At risk"), (9, 10, "Cannot lose")],
    }.items()
    for r in recencies
}


def abc(one: Numbers, everybody: Iterable[Numbers], limits: Limits) -> str:
    worth = [max(other.year, Decimal(0)) for other in everybody]
    total = sum(worth)
    share = Fraction(sum(other for other in worth if other > one.year)) / Fraction(total) if total else Fraction(1)
    if one.year <= 0:
        share = Fraction(1)
    return "A" if share < limits["abc_a_share"] else "B" if share < limits["abc_b_share"] else "C"


def lifecycle(one: Numbers, limits: Limits) -> str:
    if one.frequency == 0:
        return "Prospect"
    for stage in ("lost", "dormant", "slipping"):
        if one.recency > limits[f"lifecycle_{stage}_days"]:
            return stage.capitalize()
    return "New" if one.tenure <= limits["lifecycle_new_days"] else "Active"


def longtail(one: Numbers, everybody: Iterable[Numbers], limits: Limits) -> str:
    if one.year <= 0:
        return "No purchase"
    place = standing(one.year, [other.year for other in everybody if other.year > 0])
    if place > limits["longtail_head_above"]:
        return "Head"
    return "Middle" if place > limits["longtail_tail_up_to"] else "Tail"


def churn(one: Numbers, limits: Limits) -> str:
    if one.frequency == 0:
        return "No purchase"
    if one.recency > limits["churn_gone_days"]:
        return "Gone"
    if one.frequency < limits["churn_least_purchases"] or one.gap is None:
        return "No habit yet"
    if one.recency > limits["churn_least_days"]:
        if one.recency > float(limits["churn_high_times"]) * one.gap:
            return "High risk"
        if one.recency > float(limits["churn_medium_times"]) * one.gap:
            return "Medium risk"
    return "Low risk"


def days_until(anniversary_of: date, today: date) -> int:
    def in_year(year: int) -> date:
        leap = anniversary_of.month == 2 and anniversary_of.day == 29
        return date(year, 2, 28) if leap and year % 4 else anniversary_of.replace(year=year)

    coming = in_year(today.year)
    coming = coming if coming >= today else in_year(today.year + 1)
    return (coming - today).days


def tags(customer: Customer, one: Numbers, everybody: list[Numbers], limits: Limits, today: date) -> set[str]:
    found = set()
    rising = limits["longtail_rising_times"] * Fraction(one.before)
    if longtail(one, everybody, limits) == "Tail" and one.quarter > 0 and one.before > 0 and one.quarter >= rising:
        found.add("Rising from the tail")
    if churn(one, limits) in ("High risk", "Gone") and one.recency <= limits["churn_too_late_days"]:
        place = standing(one.monetary, [other.monetary for other in everybody if other.frequency > 0])
        if place > limits["churn_worth_above"]:
            found.add("Win back")
    came_back = one.latest_gap is not None and one.latest_gap >= limits["churn_pause_days"]
    if came_back and one.recency <= limits["churn_welcome_days"]:
        found.add("Welcome back")
    if customer.birthday is None:
        found.add("Birthday unknown")
    elif days_until(customer.birthday, today) <= limits["care_birthday_days"]:
        found.add("Birthday soon")
    joined = customer.signed_up
    if joined and joined < today and days_until(joined, today) <= limits["care_anniversary_days"]:
        found.add("Membership anniversary soon")
    return found


def by_hand(customers: Mapping[int, Customer], today: date, limits: Limits) -> Answers:
    all_numbers = {key: numbers(customer, today) for key, customer in customers.items()}
    everybody = list(all_numbers.values())
    return {
        key: {
            "rfm": rfm(one, everybody, limits),
            "abc": abc(one, everybody, limits),
            "lifecycle": lifecycle(one, limits),
            "longtail": longtail(one, everybody, limits),
            "churn": churn(one, limits),
            "tags": tags(customers[key], one, everybody, limits, today),
        }
        for key, one in all_numbers.items()
    }
