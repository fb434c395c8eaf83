"""Every aggregate over one customer's events, with the edges that engines disagree on."""

from datetime import date
from decimal import Decimal

import pytest

from ruleengine.interpreter import Overflow
from ruleengine.types import Value
from tests.interpreter.asking import TODAY, order, outcome, worth

ORDERS = [
    order("2026-03-01 10:00", order_id=1, amount=Decimal("10"), status="paid", channel="web", pieces=3),
    order("2026-03-01 12:00", order_id=2, amount=Decimal("5.5"), status="paid", channel="shop", pieces=None),
    order("2026-03-11 00:00", order_id=3, amount=None, status=None, channel="web", pieces=1),
    order("2026-03-31 23:59:59.999999", order_id=4, amount=Decimal("-2"), status="Paid", channel=None, pieces=2),
    order("2026-04-01 00:00", order_id=5, amount=Decimal("1000"), status="paid", channel="web", pieces=9),
    order(None, order_id=6, amount=Decimal("2000"), status="paid", channel="web", pieces=9),
]


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("count(orders)", 4),
        ('count(orders where status = "paid")', 2),
        ('count(orders where status != "paid")', 1),
        ("count(orders where status is missing)", 1),
        ("count(orders.amount)", 3),
        ("count(distinct orders.channel)", 2),
        ("sum(orders.amount)", Decimal("13.5000")),
        ("sum(orders.amount * orders.pieces)", Decimal("26.0000")),
        ("average(orders.amount)", 135000.0 / 30000.0),
        ("min(orders.amount)", Decimal("-2.0000")),
        ("max(orders.amount)", Decimal("10.0000")),
        ("max(orders.channel)", "web"),
        ("min(orders.ordered_at)", date(2026, 3, 1)),
        ("median(orders.amount)", 5.5),
        ("median(orders.pieces)", 2.0),
        ("median(orders.amount where pieces is known)", 4.0),
        ("median(orders.pieces / 3)", 2 / 3),
        ("first(orders)", date(2026, 3, 1)),
        ("latest(orders)", TODAY),
        ("first(orders.channel)", "web"),
        ("latest(orders.channel)", None),
        ('latest(orders.channel where status = "paid")', "shop"),
        ("most_frequent(orders.channel)", "web"),
        ("active_days(orders)", 3),
        ("average_gap_days(orders)", 15.0),
        ("latest_gap_days(orders)", 20),
        ("longest_gap_days(orders)", 20),
        ("count(orders) during last 1 day", 1),
        ("count(orders) during last 20 days", 1),
        ("count(orders) during last 21 days", 2),
        ("count(orders) during last 30 days", 2),
        ("count(orders) during last 31 days", 4),
        ("count(orders) during previous 1 month", 0),
        ("count(orders) during this month", 4),
        ("count(orders) during 2026-03-02 to 2026-03-11", 1),
        ("count(orders) during 2026-04-01 to 2026-04-11", 0),
    ],
)
def test_over_events(expression: str, answer: Value) -> None:
    got = worth(expression, ORDERS)

    assert got == answer
    assert type(got) is type(answer)


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("count(orders)", 0),
        ("count(orders.amount)", 0),
        ("count(distinct orders.amount)", 0),
        ("sum(orders.amount)", Decimal("0.0000")),
        ("active_days(orders)", 0),
        ("average(orders.amount)", None),
        ("min(orders.amount)", None),
        ("max(orders.amount)", None),
        ("median(orders.amount)", None),
        ("first(orders)", None),
        ("latest(orders)", None),
        ("latest(orders.channel)", None),
        ("most_frequent(orders.channel)", None),
        ("average_gap_days(orders)", None),
        ("latest_gap_days(orders)", None),
        ("longest_gap_days(orders)", None),
    ],
)
def test_over_nothing(expression: str, answer: Value) -> None:
    got = worth(expression)

    assert got == answer
    assert type(got) is type(answer)


def test_a_sum_of_missing_values_is_zero_and_their_average_is_missing() -> None:
    orders = [order("2026-03-01", amount=None)]

    assert worth("sum(orders.amount)", orders) == 0
    assert worth("average(orders.amount)", orders) is None


def test_a_gap_needs_two_days() -> None:
    orders = [order("2026-03-01 00:00"), order("2026-03-01 23:00")]

    for function in ("average_gap_days", "latest_gap_days", "longest_gap_days"):
        assert worth(f"{function}(orders)", orders) is None


def test_of_equally_frequent_values_the_smallest() -> None:
    orders = [order("2026-03-01", channel=channel) for channel in ("b", "a", "B", "b", "a", "B")]

    assert worth("most_frequent(orders.channel)", orders) == "B"


@pytest.mark.parametrize(
    ("second", "first", "latest"),
    [
        # The time decides, then the event key, then the value; missing is lowest.
        ({"order_id": 2, "channel": "a"}, "b", "a"),
        ({"order_id": 1, "channel": "a"}, "a", "b"),
        ({"order_id": 1, "channel": None}, None, "b"),
        ({"channel": "z"}, "z", "b"),
    ],
)
def test_events_at_one_time_have_an_order(second: dict[str, Value], first: Value, latest: Value) -> None:
    orders = [order("2026-03-01 10:00", order_id=1, channel="b"), order("2026-03-01 10:00", **second)]

    for written in (orders, orders[::-1]):
        assert worth("first(orders.channel)", written) == first
        assert worth("latest(orders.channel)", written) == latest


def test_a_window_goes_to_every_aggregate_beneath() -> None:
    rules = """
    metric spent = sum(orders.amount)
    metric times = count(orders)
    metric basket = if times > 1 then spent / times else 0
    metric recency = days since latest(orders)
    tag "A" when basket_30d > 0 and recency_10d > 0 and basket during previous 30 days > 0
    """
    orders = [order("2026-02-01", amount=100), order("2026-03-20", amount=10), order("2026-03-21", amount=20)]

    metrics = outcome(rules, orders).metrics

    assert metrics["basket"] == 130 / 3
    assert metrics["basket_30d"] == 15.0
    assert metrics["basket during previous 30 days"] == 0.0
    assert metrics["recency_10d"] is None


def test_a_filter_may_ask_for_the_customer() -> None:
    orders = [order("2026-03-01", channel="DE"), order("2026-03-01", channel="FR")]

    assert worth("count(orders where channel = country)", orders, country="DE") == 1
    assert worth("count(orders where channel = country)", orders) == 0


def test_too_large_a_sum_names_its_metric() -> None:
    with pytest.raises(Overflow) as caught:
        outcome("metric fine = 1 metric huge = points * points", points=10**18)

    assert (caught.value.kind, caught.value.name) == ("metric", "huge")
