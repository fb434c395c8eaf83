"""Whole cases: a ruleset as text, the data it runs on, a timezone and a date."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from hypothesis import strategies as st

from tests.differential import rules
from tests.differential.answers import checked
from tests.differential.data import CLOCK_CHANGES, MONTH_ENDS, TIMEZONES, Case, Draw, Model, keys, models, tables
from tests.differential.remembered import remembered

DATES = (date(2026, 6, 15), *MONTH_ENDS, *CLOCK_CHANGES)


@st.composite
def cases(draw: Draw, write: Callable[[Draw, Model, date], str] = rules.ruleset) -> Case:
    as_of = draw(st.one_of(st.sampled_from(DATES), st.dates(date(2015, 1, 1), date(2030, 12, 31))))
    model = models(draw)
    case = Case(
        rules=write(draw, model, as_of),
        timezone=draw(st.sampled_from(TIMEZONES)),
        as_of=as_of,
        model=model,
        tables=tables(draw, model, as_of),
    )
    return replace(case, remembered=remembered(draw, checked(case), as_of, keys(model.key)))


def arithmetic_cases() -> st.SearchStrategy[Case]:
    return cases(rules.arithmetic)
