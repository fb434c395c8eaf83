"""Random histories: whatever is published is what the second implementation makes of the same history."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests import postgres
from tests.memory import made
from tests.memory.plain import Customer, Run, Version, later, published, rows
from tests.memory.rules import Manual, Rules, text
from tests.memory.shop import Shop, ShopInPostgres

LOOK = settings(
    deadline=None,
    max_examples=6,
    stateful_step_count=8,
    phases=[phase for phase in Phase if phase is not Phase.explain],
    suppress_health_check=list(HealthCheck),
)
LOOK_LONG = settings(LOOK, max_examples=150, stateful_step_count=14)


STEPS = (
    *(*("later",) * 6, "again", "earlier", "roll back"),
    *("change rules", "change rules", "publish", "publish", "by hand", "by hand"),
)
DAYS_ON = (1, 1, 1, 1, 2, 2, 3, 0, 7, 31)


@dataclass(frozen=True)
class Kept:
    """A version, and what led to it."""

    version: Version
    base: int | None
    detached: bool
    customers: Mapping[int, Customer]
    rows: list[list[str]]
    by_hand: bool = False


@dataclass(frozen=True)
class Waiting:
    """A held run."""

    run: str
    kept: Kept
    compared_with: int | None


class Histories(RuleBasedStateMachine):
    kind: type[Shop] = Shop

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.shop = self.kind(Path(self.folder.name))
        self.kept: dict[int, Kept] = {}
        self.current: int | None = None
        self.waiting: Waiting | None = None
        self.entries: list[tuple[int, date, date | None]] = []
        """What was set by hand: of whom, from which day on, and when it expires; None where it was taken away."""
        self.written = Rules(())
        self.customers: dict[int, Customer] = {}

    def teardown(self) -> None:
        try:
            for number, kept in self.kept.items():
                assert self.shop.exported(version=number) == kept.rows, f"version {number} is another one now"
        finally:
            self.folder.cleanup()

    # -- what happens

    @initialize(rules=made.rulesets(), customers=made.customers)
    def begin(self, rules: Rules, customers: dict[int, Customer]) -> None:
        self.change_rules_to(rules)
        self.customers = customers
        self.run(made.FIRST_DAY)

    @rule(what=st.sampled_from(STEPS), data=st.data())
    def step(self, what: str, data: st.DataObject) -> None:
        match what:
            case "later":
                self.change_customers(data)
                self.run(self.today() + timedelta(days=data.draw(st.sampled_from(DAYS_ON))))
            case "again":
                self.run(self.today())
            case "earlier":
                self.run(self.today() - timedelta(days=data.draw(st.integers(1, 6))))
            case "roll back":
                self.roll_back(data)
            case "change rules":
                self.change_rules_to(data.draw(made.changed(self.written)))
            case "by hand":
                self.set_by_hand(data)
            case _:
                self.publish()

    def roll_back(self, data: st.DataObject) -> None:
        """While nothing was set by hand: that stays, and is laid over what is brought back."""
        others = [number for number, kept in self.kept.items() if not kept.detached and number != self.current]
        if others and not self.entries:
            number = data.draw(st.sampled_from(others))
            note(f"roll back to {number}")
            target = self.kept[number]
            back = self.shop.rollback(number)
            self.keep(back.number, Kept(target.version, number, False, target.customers, target.rows))

    def set_by_hand(self, data: st.DataObject) -> None:
        """Set the manual tag of a customer, or take it away where it is set."""
        assert self.current is not None
        now = self.kept[self.current]
        if not now.version.people:
            return
        key, day = data.draw(st.sampled_from(sorted(now.version.people))), now.version.as_of
        tag = next(rule for rule in now.version.rules.rules if isinstance(rule, Manual))
        is_set = key in self.by_hand(day)
        note(f"{'untag' if is_set else 'tag'} {key}")
        number = self.shop.untag(key, tag.name) if is_set else self.shop.tag(key, tag.name)
        expires = later(day, tag.expires) if tag.expires else date.max
        self.entries.append((key, day, None if is_set else expires))
        line = self.line()
        history = published(line, day)
        spent = {each: person.tags for each, person in now.version.people.items()}
        again = Run(now.version.rules, now.customers, day, history, self.by_hand(day), spent).answers()
        version = replace(now.version, people={**now.version.people, key: again.people[key]})
        self.keep(number, Kept(version, self.current, False, now.customers, as_text(rows(version, line)), by_hand=True))

    def by_hand(self, day: date) -> Mapping[int, Set[str]]:
        """Whose manual tag is set on a day: the last entry up to it says so, and has not expired."""
        last = {key: expires for key, since, expires in self.entries if since <= day}
        return {key: {"M"} for key, expires in last.items() if expires is not None and day < expires}

    def publish(self) -> None:
        """Publish what is held, if that is still possible."""
        waiting, self.waiting = self.waiting, None
        if waiting and (waiting.compared_with == self.current or waiting.kept.detached):
            note(f"publish {waiting.run}")
            version = self.shop.publish(waiting.run)
            self.keep(version.number, waiting.kept)

    # -- and what must come of it

    def today(self) -> date:
        return made.FIRST_DAY if self.current is None else self.kept[self.current].version.as_of

    def line(self) -> Sequence[Version]:
        """What leads to the current version, oldest first."""
        found, number = [], self.current
        while number is not None:
            found.append(self.kept[number].version)
            number = self.kept[number].base
        return found[::-1]

    def in_force(self, day: date) -> int | None:
        number = self.current
        while number is not None and self.kept[number].version.as_of > day:
            number = self.kept[number].base
        return number

    def change_rules_to(self, rules: Rules) -> None:
        self.written = rules
        note(text(rules))
        self.shop.write_rules(rules)

    def change_customers(self, data: st.DataObject) -> None:
        changes = data.draw(st.dictionaries(st.sampled_from(made.KEYS), made.customer, max_size=len(made.KEYS)))
        gone = data.draw(st.sets(st.sampled_from(made.KEYS), max_size=2)) if data.draw(st.integers(0, 4)) == 4 else ()
        self.customers = {**self.customers, **changes}
        for key in gone:
            self.customers.pop(key, None)

    def run(self, day: date) -> None:
        note(f"on {day}: {dict(sorted(self.customers.items()))}")
        customers = dict(sorted(self.customers.items()))
        self.shop.write_customers(customers)
        line = self.line()
        version = Run(self.written, customers, day, published(line, day), self.by_hand(day)).answers()
        detached = self.current is not None and day < self.today()
        base = self.in_force(day) if detached else self.current
        before = self.kept[base].version.people.keys() if base is not None else set()
        kept = Kept(version, base, detached, customers, as_text(rows(version, line)))
        now = self.kept[self.current] if self.current is not None else None
        same = (
            self.shop.knows_its_data
            and now
            and not now.by_hand
            and (now.version.as_of, now.version.rules, now.customers) == (day, self.written, customers)
        )
        report = self.shop.run(day)
        held = bool(before - customers.keys())
        note(f"{report.outcome} {report.version} {report.reasons}")
        assert report.outcome == ("unchanged" if same else "held" if held else "detached" if detached else "published")
        if report.outcome == "held":
            assert report.run
            self.waiting = Waiting(report.run, kept, self.current)
            assert self.shop.exported(run=report.run) == kept.rows
        elif report.outcome != "unchanged":
            assert report.version
            self.keep(report.version, kept)

    def keep(self, number: int, kept: Kept) -> None:
        self.kept[number] = kept
        note(f"version {number}: {kept.rows}")
        assert self.shop.exported(version=number) == kept.rows
        if not kept.detached:
            self.current = number
            if not kept.by_hand:
                # Who is gone returns as new.
                gone = {key for key, _, _ in self.entries} - kept.version.people.keys()
                self.entries += [(key, kept.version.as_of, None) for key in sorted(gone)]
            for key in made.KEYS:
                wanted = [row for row in kept.rows if row[0] == str(key)]
                assert self.shop.document(key) == (sorted(wanted) if key in kept.version.people else None)


class HistoriesInPostgres(Histories):
    kind = ShopInPostgres


def as_text(found: list[tuple[Any, ...]]) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in found]


def test_histories() -> None:
    run_state_machine_as_test(Histories, settings=LOOK)


@pytest.mark.slow
def test_histories_at_length() -> None:
    run_state_machine_as_test(Histories, settings=LOOK_LONG)


@pytest.mark.slow
def test_histories_in_postgres() -> None:
    with postgres.shop(), mock.patch.dict("os.environ", {postgres.STORE: postgres.owner()}):
        run_state_machine_as_test(HistoriesInPostgres, settings=settings(LOOK_LONG, max_examples=12))
