"""What checks mean: shares that are exact, values that follow from nothing written, sources named in two ways."""

from decimal import Decimal
from pathlib import Path

import pytest

from ruleengine.checking.check import check
from ruleengine.checking.guards import ChangesCheck, Check, CoversCheck, ExistsCheck, FreshCheck, RowsCheck, UniqueCheck
from ruleengine.checking.ruleset import Ruleset
from ruleengine.source import Source
from ruleengine.verbs.guards import limited

MODEL = Path(__file__).parents[1] / "corpus" / "rules" / "model.rules"
RULES = """\
tier loyalty "Gold" when spend > 10 otherwise "Member"
"""


def ruleset(*lines: str) -> Ruleset:
    text = RULES + "".join(f"{line}\n" for line in lines)
    found = check([Source("model.rules", MODEL.read_text("utf-8")), Source("guards.rules", text)], "guards", "UTC")
    assert found.ruleset is not None, found.problems
    return found.ruleset


def checked(line: str) -> Check:
    (made,) = ruleset(line).checks
    return made


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("check orders.amount >= 0", Decimal(1)),
        ("check orders.amount >= 0 for at least 99.9%", Decimal("0.999")),
        ("check orders.amount >= 0 for at least 100%", Decimal(1)),
        ("check orders.customer_id exists in customers for at least 0.0001%", Decimal("0.000001")),
    ],
)
def test_shares_are_exact(line: str, share: Decimal) -> None:
    made = checked(line)

    assert isinstance(made, RowsCheck | ExistsCheck)
    assert made.at_least == share


@pytest.mark.parametrize(
    ("line", "otherwise"),
    [
        ("check orders is fresh within 2 days", "fail"),
        ("check orders is fresh within 2 days else fail", "fail"),
        ("check orders is fresh within 2 days else warn", "warn"),
    ],
)
def test_a_check_fails_unless_it_says_otherwise(line: str, otherwise: str) -> None:
    assert checked(line).otherwise == otherwise


@pytest.mark.parametrize("name", ["country", "customer.country", "customers.country"])
def test_attributes_have_three_names(name: str) -> None:
    made = checked(f"check {name} is unique")

    assert isinstance(made, UniqueCheck)
    assert (made.source, made.column) == (None, "country")


@pytest.mark.parametrize("name", ["customer", "customers"])
def test_the_customers_have_two_names(name: str) -> None:
    made = checked(f"check orders.customer_id exists in {name}")

    assert isinstance(made, ExistsCheck)
    assert made.other is None


def test_weeks_and_months_stay_what_they_are() -> None:
    made = checked("check orders is fresh within 2 months")

    assert isinstance(made, FreshCheck)
    assert (made.count, made.unit) == (2, "month")


def test_a_check_is_told_as_it_was_written() -> None:
    made = checked('check tier   loyalty\n  "Gold" covers 0% to 10% else warn')

    assert made.text == 'tier loyalty "Gold" covers 0% to 10%'


def test_checks_stay_in_their_order() -> None:
    found = ruleset(
        "check tier loyalty changes at most 5%", 'check tag "Spender" covers 0% to 10%', "check country is unique"
    )

    assert [type(made) for made in found.checks] == [ChangesCheck, CoversCheck, UniqueCheck]


def test_checks_of_the_customers_of_events_set_their_own_limit() -> None:
    found = ruleset(
        "check orders.customer_id exists in customers for at least 50%", "check visits.customer_id is unique"
    )

    assert limited(found) == {"orders"}


def test_parameters_of_checks_are_used() -> None:
    text = "let least = 0\ncheck orders.amount >= least\n"
    found = check([Source("model.rules", MODEL.read_text("utf-8")), Source("guards.rules", text)], "guards", "UTC")

    assert [problem.code.name for problem in found.problems] == []
