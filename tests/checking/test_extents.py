"""Windows that are said to lie within one another do, on every date."""

from datetime import date, timedelta
from typing import get_args

from ruleengine.checking.expressions import Between, Calendar, Last, Window
from ruleengine.checking.proofs.extents import extent
from ruleengine.planning.windows import days_of

LENGTHS = (1, 2, 3, 4, 7, 12, 28, 29, 30, 31, 59, 60, 62, 90, 92, 180, 365, 366, 400)
DATES = [date(2024, 1, 1) + timedelta(days) for days in range(0, 1500, 3)]
DATES += [date(year, month, 1) + timedelta(days) for year in (2000, 2100) for month in (2, 3, 8) for days in range(31)]
DATES += [date(2024, 12, 31), date(2024, 2, 29), date(2028, 2, 29), date(2101, 2, 28), date(2400, 2, 29)]

WINDOWS: list[Window | None] = [
    None,
    *(Last(n, unit, previous) for n in LENGTHS for unit in ("day", "week") for previous in (False, True)),
    *(Last(n, unit, previous) for n in (1, 2, 3, 6, 12) for unit in ("month", "year") for previous in (False, True)),
    *(Calendar(unit, previous) for unit in ("month", "quarter", "year") for previous in (False, True)),
    Between(date(2026, 1, 1), date(2026, 2, 1)),
    Between(date(2026, 1, 5), date(2026, 1, 9)),
]


def days(window: Window | None) -> list[tuple[date, date]]:
    whole = [(date.min, day) if window is None else days_of(window, day) for day in DATES]
    return [(first or date.min, last) for first, last in whole]


def test_windows_lie_within_one_another_exactly_where_it_is_said() -> None:
    spans = [days(window) for window in WINDOWS]

    for inner, inner_days in zip(WINDOWS, spans, strict=True):
        for outer, outer_days in zip(WINDOWS, spans, strict=True):
            nested = all(
                first > last or (start <= first and last <= end)
                for (first, last), (start, end) in zip(inner_days, outer_days, strict=True)
            )
            assert extent(inner).lies_within(extent(outer)) == nested, (inner, outer)


def test_offsets_hold_every_date() -> None:
    for window in WINDOWS:
        known = extent(window)
        for day, (first, last) in zip(DATES, days(window), strict=True):
            if known.fixed is None:
                assert known.end.least <= (day - last).days <= (known.end.most or 0)
                if known.start.most is not None:
                    assert known.start.least <= (day - first).days + 1 <= known.start.most


def test_every_kind_of_window_is_tried() -> None:
    assert {type(window) for window in WINDOWS if window is not None} == set(get_args(Window))
