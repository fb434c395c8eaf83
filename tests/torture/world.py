"""What is written to a store while it is tortured, and what the store must then say: a model that knows no store.

All answers of a version follow from its day and from what was set by hand before it. Days that follow one another have
nothing in common, so that an answer which mixes two versions is seen.
"""

import csv
import json
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ruleengine.planning.memory import ManualMemory, Memory
from ruleengine.store.records import GIVEN, Change, Delta, Key, ManualWrite, RunState, Version, VersionKind
from ruleengine.store.refusals import RefusedError
from ruleengine.store.store import Store, Writer
from tests import duck
from tests.store.tables import IDENTITY, Held, Rules, fill, header, held

KEYS = range(40)
BY_HAND = range(4)
"""Customers who are always there, and whom somebody puts to sleep."""
TO_FORGET = range(20, 40)
"""Customers who are always there until they are forgotten, one after another."""
FIRST = date(2026, 1, 1)
LEVELS, VALUES = ("Gold", "Silver", "Member"), ("A", "B", "C")
ACTS = ("run", "by hand", "rollback", "held", "forget")
RULES = Rules(memory=Memory(manual=(ManualMemory(kind="tag", name="Sleeping", formerly=(), column="by_hand"),)))


class Ack(NamedTuple):
    """What a writer was told is done."""

    kind: VersionKind
    number: int
    hash: str


Answer = tuple[frozenset[str], str, str]
"""Tags, level, value."""
Answers = Mapping[Key, Answer]


# -- the model -----------------------------------------------------------------------------------------------


def computed(as_of: date) -> dict[Key, Held]:
    day = (as_of - FIRST).days
    everybody = held("New" if day % 2 else "VIP", loyalty=LEVELS[day % 3], abc=VALUES[day % 3])
    return {key: everybody for key in KEYS if key in BY_HAND or key in TO_FORGET or (key + day) % 5}


def forgotten(versions: Iterable[Version]) -> Collection[Key]:
    return TO_FORGET[: sum(version.kind is VersionKind.FORGET for version in versions)]


def expected(versions: Iterable[Version]) -> dict[int, Answers]:
    """Of every version that was ever current, when it was made."""
    asleep: set[Key] = set()
    left = list(TO_FORGET)
    found: dict[int, Answers] = {}
    for version in versions:
        if version.kind is VersionKind.FORGET:
            left.pop(0)
        if version.kind is VersionKind.MANUAL:
            assert isinstance(version.report, dict)
            change = asleep.add if version.report["manual"]["value"] else asleep.discard
            change(version.report["customer"])
        if not version.detached:
            found[version.number] = {
                key: (of.tags | ({"Sleeping"} if key in asleep else set()), of.ladders["loyalty"], of.ladders["abc"])
                for key, of in computed(version.as_of).items()
                if key not in TO_FORGET or key in left
            }
    return found


# -- writing -------------------------------------------------------------------------------------------------


def act(store: Store, random_: random.Random, what: str | None = None) -> Ack | None:
    """Do one of the things that people do, or a certain one; None where it made no version."""
    with store.writer("torture", IDENTITY) as writer:
        current = store.current()
        made: Version | None
        if current is None:
            made = run(store, writer, None, random_)
            return _ack(made)
        try:
            match what or random_.choices(ACTS, (8, 4, 3, 4, 1))[0]:
                case "by hand":
                    made = by_hand(store, writer, current, random_.choice(BY_HAND))
                case "rollback":
                    number = random_.choice([number for number in store.line()[:6] if number != current.number] or [1])
                    made = writer.rollback(number, "because")
                case "held":
                    made = hold_or_publish(store, writer, current)
                case "forget" if len(gone := forgotten(store.versions())) < len(TO_FORGET):
                    made = writer.forget([TO_FORGET[len(gone)]], "because")
                case _:
                    made = run(store, writer, current, random_)
        except RefusedError:
            return None
    return _ack(made)


def run(store: Store, writer: Writer, current: Version | None, random_: random.Random) -> Version:
    """For the next day, the same one again, or one before, which makes a detached version."""
    as_of = current.as_of + timedelta(days=random_.choice((1, 1, 1, 0, -1))) if current else FIRST
    return writer.publish(staged(store, writer, max(as_of, FIRST)))


def hold_or_publish(store: Store, writer: Writer, current: Version) -> Version | None:
    """Publish a run that is held; hold one where none can be published."""
    for each in store.runs(5):
        if each.state is RunState.HELD and each.base == current.number:
            return writer.publish_held(each.id, "because")
    writer.hold(staged(store, writer, current.as_of + timedelta(days=1)), ["because"])
    return None


def staged(store: Store, writer: Writer, as_of: date) -> Delta:
    gone = forgotten(store.versions())
    customers = {key: held for key, held in computed(as_of).items() if key not in gone}
    for key in BY_HAND:
        if is_asleep(store, key):
            customers[key] = replace(customers[key], tags=customers[key].tags | {"Sleeping"})
    with duck.database() as connection:
        fill(connection, RULES, customers)
        return writer.stage(writer.begin(header(as_of)), connection, RULES.layout)


def by_hand(store: Store, writer: Writer, current: Version, key: Key) -> Version:
    old, new = (GIVEN, None) if is_asleep(store, key) else (None, GIVEN)
    change = Change(
        customer=key,
        kind="tag",
        name="Sleeping",
        old=old,
        new=new,
        since=current.as_of if new else None,
        rule_hash=None,
        evidence=None,
    )
    return writer.set_manual(
        ManualWrite(
            customer=key,
            kind="tag",
            name="Sleeping",
            value=new,
            expires_on=None,
            changes=(change,),
            memory=(),
            report={"customer": key},
            reason="because",
        )
    )


def is_asleep(store: Store, key: Key) -> bool:
    return store.current() is not None and bool(store.manual(key))


# -- reading -------------------------------------------------------------------------------------------------


class Reader:
    """Asks for all that is current, and compares it with the model."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._expected: dict[int, Answers] = {}

    def wrong(self) -> Iterator[str]:
        for ask in self.questions:
            yield from ask()

    @property
    def questions(self) -> Sequence[Callable[[], Iterator[str]]]:
        return self._customers, self._members, self._customer

    def _customers(self) -> Iterator[str]:
        answers = self._store.customers(list(KEYS))
        found = {key: _answer(content) for key, content in answers.documents if content is not None}
        if found != self._of(answers.version):
            yield f"customers of version {answers.version} are {found}"

    def _members(self) -> Iterator[str]:
        for tag in ("VIP", "Sleeping"):
            page = self._store.members("tag", tag, limit=1000)
            holders = [key for key, (tags, _, _) in self._of(page.version).items() if tag in tags]
            if list(page.customers) != holders:
                yield f"{tag} of version {page.version} have {page.customers}"

    def _customer(self) -> Iterator[str]:
        one = self._store.customer(3)
        if one.document is None or _answer(one.document) != self._of(one.version)[3]:
            yield f"customer 3 of version {one.version} is {one.document!r}"

    def _of(self, number: int) -> Answers:
        if number not in self._expected:
            self._expected = expected(self._store.versions())
        return self._expected[number]


def _answer(document: bytes) -> Answer:
    found = json.loads(document)
    tags = frozenset(tag["name"] for tag in found["tags"])
    return tags, found["tiers"]["loyalty"]["level"], found["classes"]["abc"]["value"]


def lost(store: Store, acks: Sequence[Ack]) -> list[str]:
    """What was told as done and is not there."""
    versions = {version.number: version for version in store.versions()}
    return [str(ack) for ack in acks if ack != _ack(versions.get(ack.number))]


def _ack(version: Version | None) -> Ack | None:
    return Ack(version.kind, version.number, version.hash) if version else None


# -- history -------------------------------------------------------------------------------------------------


def history_wrong(store: Store, acks: Sequence[Ack]) -> Iterator[str]:
    """What is not so as a store would be that did one thing after the other, and all that it said it did."""
    versions = store.versions()
    if [version.number for version in versions] != list(range(1, len(versions) + 1)):
        yield f"versions are {[version.number for version in versions]}"
    current, previous = None, None
    for version in versions:
        if version.previous_hash != previous:
            yield f"version {version.number} does not follow from the one before it"
        if version.replaces != (None if version.detached else current):
            yield f"version {version.number} replaces {version.replaces}, and {current} was current"
        current, previous = (current if version.detached else version.number), version.hash
    yield from (f"lost: {ack}" for ack in lost(store, acks))
    if len({ack.number for ack in acks}) != len(acks):
        yield "two writers were told of one version"
    yield from (str(finding) for finding in store.audit().findings)
    yield from (str(problem) for problem in store.damage())
    yield from Reader(store).wrong()


def exports_wrong(store: Store, numbers: Iterable[int]) -> Iterator[str]:
    """Versions whose export is not what the model says. Who is forgotten meanwhile may be in it, or not."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "all.csv"
        for number in numbers:
            before = store.versions()
            store.export(path, version=number)
            with path.open() as file:
                found = {(row["customer_id"], row["name"], row["value"]) for row in csv.DictReader(file)}
            gone = {str(key) for key in forgotten(store.versions())}
            leaving = gone - {str(key) for key in forgotten(before)}
            wanted = {
                (str(key), *pair)
                for key, (tags, level, value) in expected(before)[number].items()
                for pair in [*((tag, "") for tag in tags), ("loyalty", level), ("abc", value)]
                if str(key) not in gone
            }
            if differ := {row for row in found ^ wanted if row[0] not in leaving}:
                yield f"the export of version {number} differs by {differ}"
