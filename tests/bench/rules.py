"""The rules that are measured: thirty metrics, and as many rules over them as one likes, each also as SQL by hand."""

from collections.abc import Iterator
from dataclasses import dataclass

MODEL = """\
entity customer from customers key customer_id integer (country text, birthday date, signed_up date)

events orders from orders key order_id integer for customer_id at ordered_at
    (amount decimal, status text, channel text, category text)
"""

METRICS = """\
metric monetary    = sum(orders.amount where status = "paid")
metric frequency   = count(orders where status = "paid")
metric recency     = days since latest(orders where status = "paid")
metric tenure      = days since first(orders)
metric basket      = monetary / frequency
metric returns     = count(orders where status = "refunded")
metric returned    = returns / count(orders)
metric largest     = max(orders.amount where status = "paid")
metric online      = count(orders where status = "paid" and channel in ("web", "app"))
metric in_store    = count(orders where status = "paid" and channel = "store")
metric gadgets     = sum(orders.amount where status = "paid" and category in ("c03", "c07"))
metric categories  = count(distinct orders.category)
metric last_channel = latest(orders.channel)
metric before      = monetary during previous 90 days
"""

READ = (
    *("monetary", "monetary_30d", "monetary_90d", "monetary_180d", "monetary_12m", "monetary_ytd", "before"),
    *("frequency", "frequency_7d", "frequency_30d", "frequency_90d", "frequency_180d", "frequency_12m"),
    *("recency", "tenure", "basket", "basket_90d", "basket_12m", "returns", "returns_90d", "returns_12m"),
    *("returned_12m", "largest", "largest_12m", "online_90d", "online_12m", "in_store_12m", "gadgets_12m"),
    *("categories_12m", "last_channel"),
)
"""The metrics that a hundred rules read: thirty."""


KINDS = (
    "count(orders) during last 30 days",
    "sum(orders.amount) during last 12 months",
    "sum(orders.amount)",
    "average(orders.amount)",
    "max(orders.amount)",
    "latest(orders)",
    "latest(orders.channel)",
    "latest(orders.amount)",
    "count(distinct orders.category)",
    "count(distinct orders.amount)",
    "most_frequent(orders.category)",
    "median(orders.amount)",
    "active_days(orders)",
    "longest_gap_days(orders)",
    "quintile(sum(orders.amount) among count(orders) > 0)",
)
"""A metric of each kind that has a way of its own to be computed."""


@dataclass(frozen=True, slots=True)
class Tag:
    name: str
    when: str
    unless: str | None
    because: str | None
    sql: str

    @property
    def text(self) -> str:
        clauses = [f'tag "{self.name}" when {self.when}']
        if self.unless:
            clauses.append(f"    unless {self.unless}")
        if self.because:
            clauses.append(f'    because "{self.because}"')
        return "\n".join(clauses)


@dataclass(frozen=True, slots=True)
class Ladder:
    kind: str
    name: str
    lines: tuple[tuple[str, str], ...]
    otherwise: str
    sql: str

    @property
    def text(self) -> str:
        lines = [f'    "{value}" when {when}' for value, when in self.lines]
        return "\n".join([f"{self.kind} {self.name}", *lines, f'    otherwise "{self.otherwise}"'])


LADDERS = (
    Ladder(
        "tier",
        "loyalty",
        (("Gold", "monetary_12m >= 2_000"), ("Silver", "monetary_12m >= 600"), ("Bronze", "frequency_12m >= 3")),
        "Member",
        "CASE WHEN monetary_12m >= 2000 THEN 1 WHEN monetary_12m >= 600 THEN 2 "
        "WHEN frequency_12m >= 3 THEN 3 ELSE 4 END",
    ),
    Ladder(
        "tier",
        "activity",
        (("Daily", "frequency_30d >= 20"), ("Weekly", "frequency_30d >= 4"), ("Monthly", "frequency_90d >= 3")),
        "Rare",
        "CASE WHEN frequency_30d >= 20 THEN 1 WHEN frequency_30d >= 4 THEN 2 WHEN frequency_90d >= 3 THEN 3 ELSE 4 END",
    ),
    Ladder(
        "class",
        "lifecycle",
        (
            ("Prospect", "frequency = 0"),
            ("New", "tenure <= 60"),
            ("Gone", "recency > 365"),
            ("Sleeping", "recency > 120"),
        ),
        "Active",
        # A customer who paid for nothing is a prospect, so that recency is there for all others.
        "CASE WHEN frequency = 0 THEN 1 WHEN tenure <= 60 THEN 2 WHEN recency > 365 THEN 3 "
        "WHEN recency > 120 THEN 4 ELSE 5 END",
    ),
    Ladder(
        "class",
        "size",
        (("Nothing", "frequency = 0"), ("Small", "basket < 25"), ("Medium", "basket < 80")),
        "Large",
        "CASE WHEN frequency = 0 THEN 1 WHEN basket < 25 THEN 2 WHEN basket < 80 THEN 3 ELSE 4 END",
    ),
)


def tags(count: int) -> tuple[Tag, ...]:
    """Tags of twelve sorts in turn, of each sort one with other bounds every time."""
    return tuple(tag for tag, _ in zip(_tags(), range(count), strict=False))


def _tags() -> Iterator[Tag]:
    number = 0
    while True:
        for when, unless, because, sql in _round(number):
            yield Tag(f"tag {number:04}", when, unless, because, sql)
            number += 1


def _round(start: int) -> Iterator[tuple[str, str | None, str | None, str]]:
    k = start // 12
    spent, often = 60 + 17 * k, 1 + k % 9
    yield (
        f"monetary_90d > {spent} and frequency >= {often}",
        None,
        "{monetary_90d} spent in 90 days, {frequency} orders in all",
        f"monetary_90d > {spent} AND frequency >= {often}",
    )
    yield (
        f"recency > {20 + 3 * k} and monetary_12m > {spent}",
        None,
        None,
        f"recency > {20 + 3 * k} AND monetary_12m > {spent}",
    )
    yield (
        f"frequency_30d >= {1 + k % 4} and basket_90d > {15 + 2 * k}",
        None,
        None,
        f"frequency_30d >= {1 + k % 4} AND basket_90d > {15 + 2 * k}",
    )
    yield (
        f"frequency_90d = 0 and frequency_180d >= {often} and monetary > {spent}",
        None,
        "nothing for 90 days, {frequency_180d} orders before that",
        f"frequency_90d = 0 AND frequency_180d >= {often} AND monetary > {spent}",
    )
    yield (
        f"returned_12m > {1 + k % 60}% and returns >= {1 + k % 3} and returns_90d <= {k % 5}",
        None,
        None,
        f"returned_12m > {(1 + k % 60) / 100} AND returns >= {1 + k % 3} AND returns_90d <= {k % 5}",
    )
    yield (
        f"online_12m > {2 + k % 6} or online_90d > {1 + k % 4}",
        'last_channel is known and last_channel = "phone"',
        None,
        f"(online_12m > {2 + k % 6} OR online_90d > {1 + k % 4}) AND coalesce(last_channel <> 'phone', true)",
    )
    yield (
        f'country in ("DE", "FR") and monetary_180d between {spent} and {4 * spent}',
        None,
        None,
        f"country IN ('DE', 'FR') AND monetary_180d BETWEEN {spent} AND {4 * spent}",
    )
    yield (
        f"days since birthday > {7300 + 90 * k} and frequency_12m + frequency_7d >= {2 + k % 6}",
        f"in_store_12m > {10 + k}",
        None,
        f"age > {7300 + 90 * k} AND frequency_12m + frequency_7d >= {2 + k % 6} AND NOT in_store_12m > {10 + k}",
    )
    yield (
        f"categories_12m >= {2 + k % 14} and largest_12m > {30 + 5 * k}",
        None,
        "{categories_12m} categories, the largest order {largest_12m}",
        f"categories_12m >= {2 + k % 14} AND largest_12m > {30 + 5 * k}",
    )
    yield (
        f"monetary_90d > {1 + k % 30 / 10:.1f} * before and before > {spent}",
        None,
        None,
        f"monetary_90d > {1 + k % 30 / 10:.1f} * before AND before > {spent}",
    )
    yield (
        f"gadgets_12m > {spent} or (online_12m >= {8 + k} and basket_12m < {40 + k})",
        None,
        None,
        f"gadgets_12m > {spent} OR (online_12m >= {8 + k} AND basket_12m < {40 + k})",
    )
    yield (
        f"monetary_ytd > {spent} and monetary_30d > {10 + 3 * k} and largest > {50 + k}",
        "country is missing",
        None,
        f"monetary_ytd > {spent} AND monetary_30d > {10 + 3 * k} AND largest > {50 + k} AND NOT country IS NULL",
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """A ruleset of so many rules, the ladders among them."""

    tags: tuple[Tag, ...]
    ladders: tuple[Ladder, ...]

    @property
    def text(self) -> str:
        parts = [MODEL, METRICS, *(tag.text for tag in self.tags), *(ladder.text for ladder in self.ladders)]
        return "\n\n".join(parts) + "\n"


def rules(count: int) -> Rules:
    return Rules(tags(count - len(LADDERS)), LADDERS)
