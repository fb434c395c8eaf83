"""Fixture suites: data of their own through the whole pipeline, date by date, into a store that is thrown away."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from ruleengine import scratch
from ruleengine.checking.ruleset import Expectation
from ruleengine.diagnostics import codes
from ruleengine.diagnostics.problem import Problem, ProblemError, Problems
from ruleengine.interpreter import NeedsPopulation, Overflow
from ruleengine.store import open_store
from ruleengine.store.records import GIVEN, Key, Version
from ruleengine.store.store import Store
from ruleengine.verbs import fmt, published
from ruleengine.verbs.explain import RuleExplanation, explained_in
from ruleengine.verbs.opening import Opened, located
from ruleengine.verbs.outcome import NotThereError
from ruleengine.verbs.run import run_into
from ruleengine.verbs.testing import expected, population
from ruleengine.verbs.testing.cases import SuiteCase, reached
from ruleengine.verbs.testing.examples import Expected
from ruleengine.verbs.testing.expected import Answers, Got, Row
from ruleengine.verbs.testing.population import Population
from ruleengine.verbs.testing.suite import EXPECTED, Suite, read


@dataclass(frozen=True, slots=True, kw_only=True)
class RowReport:
    """A customer on a date: what was expected of him, and what he has."""

    customer: str
    as_of: date
    file: str
    line: int
    passed: bool
    expectations: tuple[Expected, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteReport:
    name: str
    folder: str
    dates: tuple[date, ...]
    passed: bool
    updated: bool
    """Whether `expected.csv` was written anew."""
    problems: tuple[Problem, ...]
    """Why the suite could not be asked, or does not ask anything."""
    rows: tuple[RowReport, ...]


@dataclass(frozen=True, slots=True)
class Tested:
    report: SuiteReport
    case: SuiteCase | None
    """To ask the suite again; None where it could not be asked."""


def tested(folder: Path, opened: Opened, *, update: bool) -> Tested:
    """Run a suite and compare; with `update` its table is written anew first, so that only problems remain."""
    dates: tuple[date, ...] = ()
    case, updated = None, False
    try:
        with scratch.folder() as place:
            kept = place / "store"  # for a store is locked by its folder, as this place is
            suite = read(folder, opened, kept, renew=update)
            dates = suite.days
            with closing(open_store(suite.profile.store)) as store:
                versions = _run(suite, store)
                people = population.read(suite)
                if update and _update(suite, store, versions, people):
                    updated = True
                    suite = read(folder, opened, kept)
                problems = _amiss(suite, store, people)
                rows = () if problems else tuple(_compared(suite, store, versions))
                case = None if problems else _case(suite, store, people, opened)
    except ProblemError as error:
        problems, rows = located(error.problems, opened.manifest.directory), ()
    report = SuiteReport(
        name=folder.name,
        folder=str(folder),
        dates=dates,
        passed=not problems and all(row.passed for row in rows),
        updated=updated,
        problems=tuple(problems),
        rows=rows,
    )
    return Tested(report, case)


def _case(suite: Suite, store: Store, people: Population, opened: Opened) -> SuiteCase:
    expected_on: dict[date, dict[Key, tuple[Expectation, ...]]] = {}
    for row in suite.table.rows:
        if row.expectations:
            expected_on.setdefault(row.day, {})[published.key_of(store, row.customer)] = row.expectations
    named = {(each.kind, each.name) for row in suite.table.rows for each in row.expectations}
    parameters = suite.opened.ruleset.parameters
    return SuiteCase(
        customers=people.customers,
        days=suite.days,
        expected=expected_on,
        parameters={name: parameters[name].steps[0][1] for name in suite.parameters},
        reaches=reached(opened.ruleset, named) | {("entity", opened.ruleset.entity.name)},
    )


def _run(suite: Suite, store: Store) -> dict[date, Version]:
    """A version for each date; ProblemError where a run is held."""
    versions = {}
    for day in suite.days:
        report = run_into(store, suite.opened, suite.profile, day, suite.parameters)
        if report.outcome == "held":
            raise ProblemError(codes.suite_held(suite.span, as_of=str(day), reasons="; ".join(report.reasons)))
        assert report.version is not None
        versions[day] = store.version(report.version)
    return versions


def _amiss(suite: Suite, store: Store, people: Population) -> tuple[Problem, ...]:
    """What a table that can be read may still lack."""
    found, table = Problems(), suite.table
    for row in table.rows:
        if _key(store, row.customer) not in people.customers:
            found.add(codes.suite_customer_unknown(row.span, customer=row.customer))
    if not any(row.expectations for row in table.rows):
        found.add(codes.suite_checks_nothing(table.span, name=suite.name))
    elif suite.full:
        rules = expected.published(suite.opened.ruleset)
        missing = [f"{rule.kind} {rule.name}" for rule in rules if not table.expects(rule)]
        for day in suite.days:
            named = {_key(store, row.customer) for row in table.rows if row.day == day}
            missing += [f"{key} ({day})" for key in people.existing(day) if key not in named]
        if missing:
            found.add(codes.suite_not_full(table.span, missing=_few(missing)))
        for row in table.rows:
            for cell, column in zip(row.cells, table.columns, strict=True):
                if not cell.text and column.kind != "note":
                    found.add(codes.suite_not_full(cell.span, missing=f"{row.customer} ({row.day})"))
    return tuple(found)


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + ("…" if len(names) > 5 else "")


def _key(store: Store, text: str) -> Key | None:
    try:
        return published.key_of(store, text)
    except NotThereError:
        return None


# -- comparing -------------------------------------------------------------------------------------------------


def _compared(suite: Suite, store: Store, versions: dict[date, Version]) -> Iterator[RowReport]:
    for row in suite.table.rows:
        if not row.expectations:
            continue
        got = _got(suite, store, versions[row.day], row.customer)
        compared = tuple(_expected(suite, store, versions[row.day], row, got, each) for each in row.expectations)
        source = suite.table.source
        yield RowReport(
            customer=row.customer,
            as_of=row.day,
            file=source.path,
            line=source.position(row.span.start)[0],
            passed=all(each.met for each in compared),
            expectations=compared,
        )


def _got(suite: Suite, store: Store, version: Version, customer: str) -> Got:
    """Nothing at all for who is no customer on that date."""
    found = store.customer(published.key_of(store, customer), version.number).document
    document: dict[str, Any] = json.loads(found) if found else {"tags": [], "tiers": {}, "classes": {}}
    tags = {tag["name"] for tag in document["tags"]}
    got: dict[tuple[str, str], str | None] = {}
    for rule in expected.published(suite.opened.ruleset):
        if rule.kind == "tag":
            got["tag", rule.name] = GIVEN if rule.name in tags else None
        elif rule.kind == "tier":
            got["tier", rule.name] = document["tiers"].get(rule.name, {}).get("level")
        else:
            got["class", rule.name] = document["classes"].get(rule.name, {}).get("value")
    return got


def _expected(suite: Suite, store: Store, version: Version, row: Row, got: Got, wanted: Expectation) -> Expected:
    value = got[wanted.kind, wanted.name]
    met = value == (wanted.value or GIVEN) if wanted.wanted == "given" else value is None
    return Expected(
        kind=wanted.kind,
        name=wanted.name,
        wanted=wanted.wanted,
        value=wanted.value,
        got="no" if value is None else "given",
        got_value=None if wanted.kind == "tag" else value,
        met=met,
        explanation=None if met else _explained(suite, store, version, row, wanted),
    )


def _explained(suite: Suite, store: Store, version: Version, row: Row, wanted: Expectation) -> RuleExplanation | None:
    ruleset, key = suite.opened.ruleset, published.key_of(store, row.customer)
    if store.customer(key, version.number).document is None:
        return None
    rule = ruleset.tags[wanted.name] if wanted.kind == "tag" else ruleset.ladders[wanted.name]
    try:
        return explained_in(store, ruleset, version, key, [rule])[0]
    except (Overflow, NeedsPopulation):  # of a reason's number, which no answer turns on
        return None


# -- renewing --------------------------------------------------------------------------------------------------


def _update(suite: Suite, store: Store, versions: dict[date, Version], people: Population) -> bool:
    """Write the table anew where anything came out otherwise; whether it did."""
    ruleset, table = suite.opened.ruleset, suite.table

    def answers(of: list[tuple[str, date]]) -> Answers:
        return {(customer, day): _got(suite, store, versions[day], customer) for customer, day in of}

    everyone = [(str(key), day) for key in people.customers for day in suite.days if people.exists(key, day)]
    if not table.columns:
        text = expected.begun(ruleset, answers(everyone), suite.days)
    else:
        known = [row for row in table.rows if _key(store, row.customer) in people.customers]
        text = expected.renewed(table, answers([(row.customer, row.day) for row in known]))
        if suite.full:
            named = {(row.customer, row.day) for row in table.rows}
            rest = [each for each in everyone if each not in named]
            text = text.removesuffix("\n") + "\n" + expected.added(table, answers(rest))
    if text == table.source.text:
        return False
    file = suite.folder / EXPECTED
    file.touch()
    fmt.replace(file, text)
    return True
