"""Local days, and the order of events in time."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from ruleengine.checking.ruleset import Ruleset
from ruleengine.interpreter import Cell, Facts, evaluate, exists
from ruleengine.types import Value
from tests.interpreter.asking import TODAY, ruleset

RULES = """
metric days = active_days(orders)
metric day = latest(orders)
metric channel = latest(orders.channel)
metric joined = signed_up
"""


def rules(zone: str | None, timezone: str) -> Ruleset:
    declared = f'zone "{zone}"' if zone else ""
    model = f"""
    entity customer from customers key customer_id (signed_up timestamp)
    events orders from orders for customer_id at ordered_at {declared} (channel text, paid_at timestamp)
    """
    return ruleset(RULES, model, timezone)


def metrics(rows: Sequence[tuple[Cell, str]], zone: str | None, timezone: str, as_of: date = TODAY) -> dict[str, Value]:
    facts = Facts(
        attributes={"customer_id": "1"},
        events={"orders": [{"ordered_at": at, "channel": channel} for at, channel in rows]},
    )
    return dict(evaluate(rules(zone, timezone), facts, as_of).metrics)


@pytest.mark.parametrize(
    ("at", "zone", "timezone", "day"),
    [
        (datetime(2026, 3, 1, 23, 59), None, "Asia/Shanghai", date(2026, 3, 1)),
        (datetime(2026, 3, 1, 16, 0), "UTC", "Asia/Shanghai", date(2026, 3, 2)),
        (datetime(2026, 3, 1, 15, 59, 59, 999999), "UTC", "Asia/Shanghai", date(2026, 3, 1)),
        (datetime(2026, 3, 1, 16, 0, tzinfo=UTC), None, "Asia/Shanghai", date(2026, 3, 2)),
        # A time with its own zone does not take the declared one.
        (datetime(2026, 3, 1, 16, 0, tzinfo=UTC), "America/New_York", "Asia/Shanghai", date(2026, 3, 2)),
        (datetime(2026, 3, 1, 1, 0, tzinfo=timezone(timedelta(hours=9))), None, "UTC", date(2026, 2, 28)),
        # A date is a day everywhere.
        (date(2026, 3, 1), "UTC", "America/New_York", date(2026, 3, 1)),
        # 02:30 is skipped in Berlin and becomes 03:30, in UTC 01:30.
        (datetime(2026, 3, 29, 2, 30), "Europe/Berlin", "UTC", date(2026, 3, 29)),
        # The 30th is skipped in Apia, whole, but a local time is taken as it is written.
        (datetime(2011, 12, 30, 12, 0), "Pacific/Apia", "Etc/GMT-14", date(2011, 12, 31)),
        (datetime(2011, 12, 30, 12, 0), "Pacific/Apia", "Pacific/Apia", date(2011, 12, 30)),
        (datetime(2011, 12, 30, 12, 0), None, "Pacific/Apia", date(2011, 12, 30)),
        # 01:30 comes twice in New York: 05:30 and 06:30 in UTC, 23:30 or 00:30 half a day's zones away.
        (datetime(2025, 11, 2, 1, 30), "America/New_York", "Etc/GMT+6", date(2025, 11, 1)),
    ],
)
def test_the_local_day_of_an_event(at: Cell, zone: str | None, timezone: str, day: date) -> None:
    assert metrics([(at, "")], zone, timezone)["day"] == day


def test_a_repeated_wall_time_is_the_earlier() -> None:
    # New York's 01:30 is 05:30 in UTC the first time, 06:30 the second.
    repeated, between = datetime(2025, 11, 2, 1, 30), datetime(2025, 11, 2, 6, 0, tzinfo=UTC)

    assert metrics([(repeated, "a"), (between, "b")], "America/New_York", "UTC")["channel"] == "b"


def test_zoned_events_are_ordered_by_instant() -> None:
    early, late = datetime(2025, 11, 2, 5, 45, tzinfo=UTC), datetime(2025, 11, 2, 6, 15, tzinfo=UTC)

    assert metrics([(late, "late"), (early, "early")], None, "America/New_York")["channel"] == "late"


def test_local_events_are_ordered_by_the_clock_on_the_wall() -> None:
    # In Berlin 02:30 was skipped and would become 03:30; as written it is before 03:15.
    rows = [(datetime(2026, 3, 29, 3, 15), "a"), (datetime(2026, 3, 29, 2, 30), "b")]

    assert metrics(rows, None, "Europe/Berlin")["channel"] == "a"
    assert metrics(rows, "Europe/Berlin", "Europe/Berlin")["channel"] == "a"
    assert metrics(rows, "Europe/Berlin", "UTC")["channel"] == "b"


@pytest.mark.parametrize(
    ("at", "zone", "timezone", "day"),
    [
        (datetime(1, 1, 1), "UTC", "America/New_York", date(1, 1, 1)),
        (datetime(9999, 12, 31, 23), "UTC", "Asia/Shanghai", None),
        (datetime(9999, 12, 31, 23, tzinfo=UTC), None, "Asia/Shanghai", None),
    ],
)
def test_the_ends_of_the_calendar(at: Cell, zone: str | None, timezone: str, day: date | None) -> None:
    assert metrics([(at, "")], zone, timezone)["day"] == day


def test_events_after_the_day_do_not_exist() -> None:
    rows = [(datetime(2026, 3, 31, 23, 59, 59, 999999), "a"), (datetime(2026, 4, 1), "b")]

    assert metrics(rows, None, "Asia/Shanghai")["days"] == 1
    # Both are on the 31st in UTC.
    assert metrics(rows, "Asia/Shanghai", "UTC")["days"] == 1
    assert metrics(rows, "Asia/Shanghai", "UTC")["channel"] == "b"


def test_an_attribute_is_its_local_day() -> None:
    ruleset = rules("UTC", "Asia/Shanghai")

    for joined, day in (
        (datetime(2026, 3, 1, 20, 0), date(2026, 3, 1)),
        (datetime(2026, 3, 1, 20, 0, tzinfo=UTC), date(2026, 3, 2)),
    ):
        facts = Facts(attributes={"customer_id": "1", "signed_up": joined})
        assert evaluate(ruleset, facts, TODAY).metrics["joined"] == day


MODELS = {
    "since": "entity customer from customers key id (day date) since day",
    "where": 'entity customer from customers key id (country text) where country != "XX"',
    "distinct": "entity customer from distinct orders key id",
}


@pytest.mark.parametrize(
    ("model", "attributes", "orders", "answer"),
    [
        ("since", {"day": TODAY}, [], True),
        ("since", {"day": date(2026, 4, 1)}, [], False),
        ("since", {}, [], False),
        ("where", {"country": "DE"}, [], True),
        ("where", {"country": "XX"}, [], False),
        ("where", {}, [], False),
        ("distinct", {}, [], False),
        ("distinct", {}, [datetime(2026, 3, 31, 23, 59)], True),
        ("distinct", {}, [datetime(2026, 4, 1)], False),
        ("distinct", {}, [None], False),
    ],
)
def test_who_exists(model: str, attributes: dict[str, Cell], orders: Sequence[datetime | None], answer: bool) -> None:
    events = '\nevents orders from orders for id at ordered_at\ntag "A" when count(orders) > 0\n'
    facts = Facts(attributes={"id": "1", **attributes}, events={"orders": [{"ordered_at": at} for at in orders]})

    assert exists(ruleset(events, MODELS[model]), facts, TODAY) is answer
