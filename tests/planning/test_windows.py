"""Windows hold whole local days, counted from the run's date."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleengine.checking.expressions import Between, Calendar, Last, Window
from ruleengine.planning.windows import days_of

LEAP = date(2024, 3, 31)


@pytest.mark.parametrize(
    ("window", "as_of", "first", "last"),
    [
        (Last(1, "day"), LEAP, LEAP, LEAP),
        (Last(90, "day"), LEAP, date(2024, 1, 2), LEAP),
        (Last(2, "week"), LEAP, date(2024, 3, 18), LEAP),
        (Last(1, "month"), LEAP, date(2024, 3, 1), LEAP),  # from 29 February, which is not in it
        (Last(1, "month"), date(2023, 3, 31), date(2023, 3, 1), date(2023, 3, 31)),
        (Last(12, "month"), date(2024, 2, 29), date(2023, 3, 1), date(2024, 2, 29)),
        (Last(1, "year"), date(2024, 2, 29), date(2023, 3, 1), date(2024, 2, 29)),
        (Last(3, "month"), date(2024, 1, 15), date(2023, 10, 16), date(2024, 1, 15)),
        (Last(90, "day", previous=True), LEAP, date(2023, 10, 4), date(2024, 1, 1)),
        # Both ends are counted from D: (31 January, 29 February], not from 29 February on.
        (Last(1, "month", previous=True), LEAP, date(2024, 2, 1), date(2024, 2, 29)),
        (Last(1, "year", previous=True), date(2024, 2, 29), date(2022, 3, 1), date(2023, 2, 28)),
        (Calendar("month"), LEAP, date(2024, 3, 1), LEAP),
        (Calendar("quarter"), date(2024, 5, 1), date(2024, 4, 1), date(2024, 5, 1)),
        (Calendar("year"), date(2024, 1, 1), date(2024, 1, 1), date(2024, 1, 1)),
        (Calendar("month", previous=True), LEAP, date(2024, 2, 1), date(2024, 2, 29)),
        (Calendar("month", previous=True), date(2024, 1, 31), date(2023, 12, 1), date(2023, 12, 31)),
        (Calendar("quarter", previous=True), date(2024, 2, 29), date(2023, 10, 1), date(2023, 12, 31)),
        (Calendar("year", previous=True), date(2024, 2, 29), date(2023, 1, 1), date(2023, 12, 31)),
        (Between(date(2024, 3, 1), date(2024, 3, 11)), LEAP, date(2024, 3, 1), date(2024, 3, 11)),
        (Between(date(2024, 3, 1), date(2024, 4, 11)), LEAP, date(2024, 3, 1), LEAP),
    ],
)
def test_the_days_of_a_window(window: Window, as_of: date, first: date, last: date) -> None:
    assert days_of(window, as_of) == (first, last)


def test_a_window_may_begin_before_all_dates() -> None:
    assert days_of(Last(100, "year"), date(50, 1, 1)) == (None, date(50, 1, 1))
    assert days_of(Last(40_000, "day"), date(50, 1, 1)) == (None, date(50, 1, 1))
    assert days_of(Last(30, "year", previous=True), date(50, 1, 1)) == (None, date(20, 1, 1))


@pytest.mark.parametrize(
    ("window", "as_of"),
    [
        (Last(100, "year", previous=True), date(50, 1, 1)),
        (Calendar("year", previous=True), date(1, 6, 1)),
        (Between(date(2024, 4, 1), date(2024, 4, 11)), LEAP),
    ],
)
def test_a_window_may_hold_no_day(window: Window, as_of: date) -> None:
    first, last = days_of(window, as_of)

    assert first is not None
    assert first > last


days = st.dates(date(1900, 1, 1), date(2100, 1, 1))


@given(days, st.integers(1, 400), st.sampled_from(["day", "week", "month", "year"]))
def test_the_span_before_meets_the_last_one(as_of: date, count: int, unit: str) -> None:
    first, last = days_of(Last(count, unit), as_of)  # type: ignore[arg-type]
    _, before = days_of(Last(count, unit, previous=True), as_of)  # type: ignore[arg-type]

    assert first is not None
    assert last == as_of
    assert before + timedelta(days=1) == first


@given(days, st.sampled_from(["month", "quarter", "year"]))
def test_calendar_periods_meet(as_of: date, unit: str) -> None:
    first, last = days_of(Calendar(unit), as_of)  # type: ignore[arg-type]
    before = days_of(Calendar(unit, previous=True), as_of)  # type: ignore[arg-type]

    assert first is not None
    assert first.day == 1
    assert first <= last == as_of
    assert before == (days_of(Calendar(unit), first - timedelta(days=1))[0], first - timedelta(days=1))  # type: ignore[arg-type]
