"""Rules with examples beside them, and what tests make of them."""

from dataclasses import dataclass
from pathlib import Path

from ruleengine.checking.check import check
from ruleengine.checking.ruleset import Ruleset
from ruleengine.source import Source
from ruleengine.verbs.testing.cases import ExampleCase
from ruleengine.verbs.testing.coverage import Coverage, cover
from ruleengine.verbs.testing.mutation import Mutation, mutate

FILES = {"model.rules", "example.rules"}
MODEL = """\
entity customer from customers key customer_id integer (country text, birthday date)
events orders from orders key order_id for customer_id at ordered_at (amount decimal, status text)
metric spend = sum(orders.amount where status = "paid")
metric visits = count(orders)
metric recency = days since latest(orders)
metric basket = spend / visits
metric place = rank(spend)
"""


def checked(rules: str) -> Ruleset:
    found = check([Source("model.rules", MODEL), Source("example.rules", rules)], "page", "UTC")
    assert found.ruleset is not None, found.problems
    return found.ruleset


@dataclass(frozen=True)
class Asked:
    """Rules with their examples."""

    ruleset: Ruleset

    @property
    def cases(self) -> list[ExampleCase]:
        return [ExampleCase.of(self.ruleset, example) for example in self.ruleset.examples]

    @property
    def coverage(self) -> Coverage:
        return cover(self.ruleset, self.cases, Path(), FILES)

    @property
    def mutation(self) -> Mutation:
        return mutate(self.ruleset, self.cases, Path(), FILES)

    @property
    def unseen(self) -> dict[str, tuple[str, ...]]:
        """By text, of the example's own rules."""
        return {place.text: place.unseen for place in self.coverage.places if place.file == "example.rules"}

    @property
    def survivors(self) -> dict[tuple[str, str | None], str | None]:
        """Before and after → the example that would notice."""
        return {
            (each.before, each.after): each.example for each in self.mutation.survivors if each.file == "example.rules"
        }


def asked(rules: str) -> Asked:
    return Asked(checked(rules))
