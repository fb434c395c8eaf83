"""Runs for a day that was run before, and runs for days that are past."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from tests.memory.shop import Shop

RULES = """
entity customer from customers key id integer (n integer, m integer, ok boolean, joined date)
events orders from orders for customer_id at ordered_at (amount integer)

metric spent = sum(orders.amount)

tag "Buyer" when count(orders) during last 2 days > 0 until spent_3d = 0
tag "Kept" when count(orders) during last 1 day > 0 keep for 3 days
tag "Best" when has tag "Kept" limit 1 by spent
tag "Was best" when had tag "Best" within 3 days unless has tag "Best"
tag "Never best" when not had tag "Best"
tier loyalty
    "Gold" when spent_3d >= 50
    "Silver" when spent_3d >= 20
    hold for 2 days  grace 2 days  fall one level at a time
class grade
    "was gold" when tier loyalty was "Gold" within 2 days
    otherwise "other"
"""
ORDERS = """customer_id,ordered_at,amount
1,2026-03-01,60
1,2026-03-08,20
2,2026-03-02,30
2,2026-03-03,10
2,2026-03-06,60
3,2026-03-04,70
3,2026-03-07,10
"""
ByDay = Mapping[date, list[list[str]]]
DAYS = tuple(date(2026, 3, day) for day in range(1, 10))


class Orders(Shop):
    """A shop whose rules look at events alone, so that its data is that of any day."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "made.rules").write_text(RULES)
        with (folder / "ruleset.toml").open("a") as manifest:
            manifest.write('orders = "orders.csv"\n')
        self.write_orders(ORDERS)
        nothing = {"n": None, "m": None, "ok": None, "joined": None}
        self.write_customers(dict.fromkeys((1, 2, 3, 4), nothing))

    def write_orders(self, orders: str) -> None:
        (self.folder / "orders.csv").write_text(orders)

    def published(self, day: date) -> int:
        """The version of a run that must make one."""
        report = self.run(day)
        assert report.outcome in ("published", "detached")
        assert report.version is not None
        return report.version


@pytest.fixture(scope="module")
def every_day(tmp_path_factory: pytest.TempPathFactory) -> ByDay:
    """What is published where each day is run once, in order."""
    shop = Orders(tmp_path_factory.mktemp("shop"))
    return {day: shop.exported(version=shop.published(day)) for day in DAYS}


def test_a_history_has_something_to_remember(every_day: ByDay) -> None:
    held = {tuple(row[1:4]) for rows in every_day.values() for row in rows}
    assert held == {
        *(("tag", name, "") for name in ("Buyer", "Kept", "Best", "Was best", "Never best")),
        *(("tier", "loyalty", level) for level in ("Gold", "Silver")),
        *(("class", "grade", value) for value in ("was gold", "other")),
    }
    kept = {row[4] for rows in every_day.values() for row in rows if row[2] == "Kept"}
    assert kept < {str(day) for day in DAYS}


def test_a_second_run_for_a_day_says_the_same(tmp_path: Path, every_day: ByDay) -> None:
    """Also where the first had other data, which is forgotten."""
    shop = Orders(tmp_path)
    for day in DAYS:
        shop.write_orders("\n".join(ORDERS.splitlines()[:1]) + f"\n4,{day},99\n1,{DAYS[0]},60\n")
        shop.published(day)
        shop.write_orders(ORDERS)
        assert shop.exported(version=shop.published(day)) == every_day[day], day
    assert shop.run(DAYS[-1]).outcome == "unchanged"


def test_runs_for_past_days_say_what_was_said_then(tmp_path: Path, every_day: ByDay) -> None:
    shop = Orders(tmp_path)
    numbers = {day: shop.published(day) for day in DAYS[:-1]}
    documents = {key: shop.document(key) for key in (1, 2, 3, 4)}
    for day in reversed(DAYS[:-2]):
        report = shop.run(day)
        assert report.outcome == "detached"
        assert shop.exported(version=report.version) == every_day[day], day
        assert shop.exported(version=numbers[day]) == every_day[day], day
    assert {key: shop.document(key) for key in (1, 2, 3, 4)} == documents
    assert shop.exported(version=shop.published(DAYS[-1])) == every_day[DAYS[-1]]


def test_what_is_made_up_for_a_past_day_is_never_asked(tmp_path: Path, every_day: ByDay) -> None:
    """A detached version with other answers changes no `had`, no tag that is kept and no tier of a later run."""
    shop = Orders(tmp_path)
    numbers = {day: shop.published(day) for day in DAYS[:7]}
    shop.write_orders(f"{ORDERS}4,2026-03-05,999\n4,2026-03-07,999\n")
    for day in DAYS[4:6]:
        report = shop.run(day)
        assert report.outcome == "detached"
        assert ["4", "tag", "Best", "", str(day)] in shop.exported(version=report.version) or day == DAYS[5]
    shop.write_orders(ORDERS)
    for day in DAYS[7:]:
        assert shop.exported(version=shop.published(day)) == every_day[day], day
    for day, number in numbers.items():
        assert shop.exported(version=number) == every_day[day], day


def test_a_past_day_without_a_run_looks_back_to_the_last_one_before(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    shop, straight = Orders(first), Orders(second)
    for day in (DAYS[0], DAYS[3], DAYS[8]):
        shop.published(day)
    for day in (DAYS[0], DAYS[3]):
        straight.published(day)
    past = shop.run(DAYS[5])
    assert past.outcome == "detached"
    assert shop.exported(version=past.version) == straight.exported(version=straight.published(DAYS[5]))


def test_after_a_rollback_days_are_run_as_if_those_between_had_never_been(tmp_path: Path, every_day: ByDay) -> None:
    shop = Orders(tmp_path)
    numbers = {day: shop.published(day) for day in DAYS[:4]}
    shop.write_orders(f"{ORDERS}4,2026-03-05,999\n")
    for day in DAYS[4:7]:
        shop.published(day)
    shop.rollback(numbers[DAYS[3]])
    shop.write_orders(ORDERS)
    for day in DAYS[4:]:
        assert shop.exported(version=shop.published(day)) == every_day[day], day
