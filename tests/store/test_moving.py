"""A store that is moved: the target answers whatever the source does, and goes on as the source would."""

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, date, datetime
from hashlib import sha256
from itertools import count, pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from ruleengine.planning.memory import Memory
from ruleengine.store import unpacking
from ruleengine.store.embedded import EmbeddedStore
from ruleengine.store.files import Folder, whole
from ruleengine.store.postgres import session
from ruleengine.store.postgres.session import Session
from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.records import ApiKey, Key, Kind, Remembered, RunState
from ruleengine.store.refusals import RefusedError, StoreLockedError, StoreUnusableError, WrongStoreError
from ruleengine.store.store import Store
from tests import duck, postgres
from tests.store import test_postgres, verifier
from tests.store.by_hand import BLOCKED, DAY, LEVEL, LOYALTY, PAST, RULES, VIP, block, change, standing, write
from tests.store.conftest import again, profile
from tests.store.tables import IDENTITY, TEXT_IDENTITY, Held, Rules, header, held, hold, publish, rules_hash

KINDS = ("embedded", "postgres")
ASKED = Memory(tags=(VIP,), tiers=(LOYALTY,), manual=(BLOCKED, LEVEL), past=(PAST,))
DAYS = [date(2025, 12, 1), *(date(2026, month, 1) for month in range(1, 8))]
KEY = ApiKey(
    id="k1",
    digest="digest",
    name="shop",
    scopes=("tags:read",),
    actor="anna",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    expires_on=None,
    revoked_at=None,
)
_NUMBERS = count(1)


class Clock:
    """One moment for both stores, moved on by the tests."""

    def __init__(self) -> None:
        self.now = datetime(2026, 7, 1, tzinfo=UTC).timestamp()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def new_place(tmp_path: Path, clock: Clock) -> Iterator[Callable[[str], Store]]:
    """Makes stores of a kind, each in a place where nothing is yet."""
    opened: list[Store] = []
    schemas: list[str] = []

    def make(kind: str) -> Store:
        number = next(_NUMBERS)
        if kind == "postgres":
            schemas.append(f"moved {number}")
            opened.append(PostgresStore(profile(schemas[-1]), clock=clock))
        else:
            opened.append(EmbeddedStore(tmp_path / f"store-{number}", clock=clock))
        return opened[-1]

    with mock.patch.dict(os.environ, {postgres.STORE: postgres.owner()}):
        yield make
        for store in opened:
            store.close()
        for schema in schemas:
            postgres.admin().execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'.encode())


PAIRS = [pytest.param((a, b), id=f"{a}-{b}", marks=() if a != b else pytest.mark.slow) for a in KINDS for b in KINDS]


@pytest.fixture(params=PAIRS)
def pair(request: pytest.FixtureRequest, new_place: Callable[[str], Store]) -> tuple[Store, Store]:
    """A source and an empty target, of each kind."""
    source, target = request.param
    return new_place(source), new_place(target)


def move(source: Store, target: Store) -> None:
    with source.packed("mover") as content:
        target.unpack(content, "mover")


def chain(store: Store) -> list[str]:
    """What is wrong with the chain, by programs that know only its description."""
    return test_postgres.check(store) if isinstance(store, PostgresStore) else verifier.check(*store.directories)


def live(store: Store, clock: Clock) -> None:
    """All that can happen to a store."""
    customers: dict[Key, Held] = {
        key: standing(held("VIP", loyalty="Gold", money=f"{key}.5000", city='a,"\\\n{}')) for key in range(1, 6)
    }
    customers[6] = held(city="")
    publish(store, DAYS[1], customers, rules=RULES, fingerprint="data 1")
    store.add_key(KEY)
    block(store, 1)
    write(store, change(2, "loyalty", "Gold", "Silver"), value="Silver", memory=(remembering(),))
    publish(store, DAYS[2], {**customers, 7: held("Blocked"), 2: standing(held("VIP"))}, rules=RULES)
    publish(store, DAYS[0], {1: held("VIP"), 9: held()}, rules=RULES)  # before all others: detached, without a base
    publish(store, DAYS[2], {key: held("VIP", loyalty="Silver") for key in (1, 3, 7)}, rules=RULES)
    with store.writer("bob", IDENTITY) as writer:
        writer.rollback(1, "a mistake")
    publish(store, DAYS[3], customers, rules=more_rules())
    publish(store, DAYS[2], {3: held("VIP"), 8: held()}, rules=RULES)  # detached
    clock.now += 10_000
    with store.writer("carl", IDENTITY) as writer:
        writer.begin(header(DAYS[4]))  # and neither published nor held: it failed
    hold(store, DAYS[3], {20: held("VIP")}, rules=RULES)
    block(store, 5, expires_on=date(2026, 12, 1))
    hold(store, DAYS[4], {**customers, 30: held("VIP", loyalty="Member"), 2: held("Blocked")}, rules=RULES)


def more_rules() -> Rules:
    return Rules(
        tags=("VIP", "Blocked", *(f"标签 {number}" for number in range(70))),
        tiers={"loyalty": ("Platinum", "Gold", "Silver", "Member"), "other": ("x",)},
        memory=RULES.memory,
    )


def remembering() -> Remembered:
    return Remembered(kind="tier", name="loyalty", level="Gold", reached=DAY, below=None)


def told(store: Store, tmp_path: Path) -> dict[str, Any]:
    """Whatever can be asked of a store."""
    versions = store.versions()
    customers = [1, 2, 6, 7, 9]
    answers: dict[str, Any] = {
        "identity": store.identity(),
        "versions": versions,
        "current": store.current(),
        "line": store.line(),
        "runs": store.runs(),
        "texts": store.ruleset_texts(rules_hash("rules 1")),
        "keys": store.keys(),
        "documents": store.customers(customers),
        "history": [store.history(key) for key in customers],
        "remembered": {day: remembered(store, day) for day in DAYS},
        "members": [store.members(kind, name, value) for kind, name, value in HOLDABLE],
    }
    for version in versions:
        of: dict[str, Any] = {
            "customers": [store.customer(key, version.number) for key in (2,)],
            "changes": store.changes(version.number),
            "values": [store.values(key, version.number) for key in (6,)],
            "manual": [store.manual(key, version.number) for key in (1, 2, 5)],
            "export": exported(store, tmp_path, version=version.number),
            "diff": diff(store, versions[0].number, version.number),
        }
        answers |= {f"{what} of {version.number}": answer for what, answer in of.items()}
    for run in store.runs():
        if run.state is RunState.HELD:
            answers[f"held {run.id}"] = exported(store, tmp_path, run=run.id)
    return answers


HOLDABLE: tuple[tuple[Kind, str, str | None], ...] = (
    ("tag", "VIP", None),
    ("tag", "Blocked", None),
    ("tier", "loyalty", "Gold"),
    ("tier", "loyalty", "Silver"),
)


def exported(store: Store, tmp_path: Path, **what: Any) -> bytes:
    store.export(tmp_path / "all.csv", **what)
    return (tmp_path / "all.csv").read_bytes()


def diff(store: Store, a: int, b: int) -> Any:
    found = store.diff(a, b)
    return found.movement, found.shifts, list(found.rows)


def remembered(store: Store, day: date) -> Any:
    with duck.database() as connection:
        version = store.recall(connection, ASKED, day)
        rows = connection.execute("SELECT * FROM remembered ORDER BY customer").fetchall()
        return version and version.number, rows, connection.execute("SELECT * FROM remembered_names").fetchall()


@contextmanager
def certain() -> Iterator[None]:
    """Nothing is left to chance, so that two stores come to the same hashes."""
    with (
        mock.patch.object(secrets, "token_hex", lambda size: "ab" * size),
        mock.patch.object(os, "urandom", lambda size: b"\xab" * size),
    ):
        yield


def go_on(store: Store, clock: Clock) -> list[str]:
    """What comes next; answers the hashes of it."""
    held_run = store.runs(1)[0]
    made = []
    with certain(), store.writer("dora", IDENTITY) as writer:
        made.append(writer.publish_held(held_run.id, "it is right"))
    steps: list[Callable[[], Any]] = [
        lambda: publish(
            store, DAYS[5], {1: held("VIP"), 3: held("Blocked"), 40: held("VIP", loyalty="Gold")}, rules=RULES
        ),
        lambda: block(store, 40),
        lambda: publish(store, DAYS[3], {1: held(), 41: held("VIP")}, rules=RULES),
        lambda: roll_back(store, 4),
        lambda: roll_back(store, 2),
        lambda: publish(store, DAYS[6], {1: held(loyalty="Gold"), 3: held("VIP")}, rules=more_rules()),
    ]
    for step in steps:
        clock.now += 60
        with certain():
            made.append(step())
    return [version.hash for version in made]


def roll_back(store: Store, number: int) -> Any:
    with store.writer("dora", IDENTITY) as writer:
        return writer.rollback(number, "back")


def test_everything_is_told_as_before_and_goes_on_as_before(
    pair: tuple[Store, Store], clock: Clock, tmp_path: Path
) -> None:
    source, target = pair
    live(source, clock)
    before = told(source, tmp_path)
    left = files(source)

    move(source, target)

    assert files(source) == left
    assert told(target, tmp_path) == before
    assert chain(target) == []
    moment = clock.now
    hashes = go_on(target, clock)
    after = told(target, tmp_path)
    assert chain(target) == []
    clock.now = moment
    assert go_on(source, clock) == hashes
    assert told(source, tmp_path) == after


def files(store: Store) -> dict[str, str]:
    """By name the digests of a folder's files; SQLite makes some of its own for whoever reads."""
    (folder,) = store.directories  # of one in Postgres, for what is on its way
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix not in (".db-shm", ".db-wal")
    }


# -- refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_only_an_empty_store_is_filled(new_place: Callable[[str], Store], kind: str, tmp_path: Path) -> None:
    source, target = new_place("embedded"), new_place(kind)
    publish(source, DAY, {1: held("VIP")})
    publish(target, DAY, {2: held("New")})
    before = target.versions()

    with pytest.raises(RefusedError):
        move(source, target)

    assert target.versions() == before
    assert target.members("tag", "New").customers == (2,)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_moves_while_a_run_is_at_work(new_place: Callable[[str], Store], kind: str) -> None:
    source, target = new_place(kind), new_place("embedded" if kind == "postgres" else "postgres")
    publish(source, DAY, {1: held("VIP")})

    for at_work in (source, target):
        with again(at_work).writer("nightly", IDENTITY), pytest.raises(StoreLockedError) as error:
            move(source, target)
        assert error.value.holder is not None
        assert error.value.holder.actor == "nightly"
    with source.packed("mover"), pytest.raises(StoreLockedError), again(source).writer("nightly", IDENTITY):
        pass


def test_a_schema_that_was_made_for_another_kind_of_key_is_refused(new_place: Callable[[str], Store]) -> None:
    source, target = new_place("embedded"), new_place("postgres")
    publish(source, DAY, {1: held("VIP")})
    assert isinstance(target, PostgresStore)
    with closing((opened := session.opened(target.profile)).connection):
        session.upgrade(opened, TEXT_IDENTITY)

    with pytest.raises(WrongStoreError):
        move(source, target)


def test_text_keys_move_too(new_place: Callable[[str], Store], tmp_path: Path) -> None:
    rules = Rules(tags=("it's", "标签", "{}"), key_type="text")
    stores = [new_place(kind) for kind in (*KINDS, *KINDS[:1])]
    publish(stores[0], DAYS[1], {"ä:1": held("it's"), "": held("标签", city='\x1f"\\'), "Z": held()}, rules=rules)
    publish(stores[0], DAYS[2], {"ä:1": held("{}"), "a\n": held("标签")}, rules=rules)

    for source, target in pairwise(stores):
        move(source, target)

    assert [exported(store, tmp_path, version=1) for store in stores] == [exported(stores[0], tmp_path, version=1)] * 3
    assert [store.history("ä:1") for store in stores] == [stores[0].history("ä:1")] * 3
    assert [store.values("", 1) for store in stores] == [stores[0].values("", 1)] * 3
    assert [chain(store) for store in stores] == [[]] * 3


# -- stopped on the way ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_connection_that_breaks_leaves_nothing_behind(
    new_place: Callable[[str], Store], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever statement of the target it is."""
    source, target = new_place("embedded"), new_place("postgres")
    live(source, clock)
    statement, left = Session.run, 0

    def breaking(at: Session, sql: str, *values: object) -> int:
        nonlocal left
        left -= 1
        if left == 0:
            postgres.admin().execute("SELECT pg_terminate_backend(%s, 5000)", [at.connection.info.backend_pid])
        return statement(at, sql, *values)

    monkeypatch.setattr(Session, "run", breaking)
    broken = 0
    while left <= 0:
        broken += 1
        left = broken
        try:
            move(source, target)
        except StoreUnusableError:
            left = 0
            assert target.versions() == ()
    monkeypatch.undo()

    assert broken > 30
    assert target.versions() == source.versions()
    assert chain(target) == []


class Disk:
    """A disk that is full when the nth file is written; the process that finds it so may die of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, dies: bool) -> None:
        self.left = 0
        self._dead = False
        self._dies = dies
        self._clear = unpacking.clear
        monkeypatch.setattr(unpacking, "whole", self.write)
        monkeypatch.setattr(unpacking, "clear", self.clear)

    def write(self, path: Path) -> AbstractContextManager[Path]:
        self.left -= 1
        if self.left == 0:
            self._dead = self._dies
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return whole(path)

    def clear(self, folder: Folder) -> None:
        if not self._dead:
            self._clear(folder)
        self._dead = False


@pytest.mark.slow
def test_a_folder_is_a_store_when_all_of_it_is_there(
    new_place: Callable[[str], Store], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file it is that cannot be written."""
    source, target = new_place("postgres"), new_place("embedded")
    live(source, clock)
    disk = Disk(monkeypatch, dies=True)
    failed = 0
    while disk.left <= 0:
        failed += 1
        disk.left = failed
        try:
            move(source, target)
        except StoreUnusableError:
            assert target.identity() is None
            disk.left = 0

    assert failed > 20
    assert target.versions() == source.versions()
    assert chain(target) == []


@pytest.mark.parametrize("dies", [False, True])
def test_what_a_move_left_behind_is_in_nobodys_way(
    new_place: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    source, target = new_place("embedded"), new_place("embedded")
    publish(source, DAY, {1: held("VIP")})
    Disk(monkeypatch, dies=dies).left = 3

    with pytest.raises(StoreUnusableError):
        move(source, target)

    left = {Path(name).name for name in files(target)}
    assert left == {"writer.lock"} if not dies else "moving.db" in left
    publish(target, DAY, {2: held("VIP")})
    assert chain(target) == []
    assert "moving.db" not in {Path(name).name for name in files(target)}
    assert target.members("tag", "VIP").customers == (2,)


def test_who_was_forgotten_stays_so_in_another_store(pair: tuple[Store, Store]) -> None:
    store, other = pair
    publish(store, "2026-01-01", {key: held("VIP") for key in range(4)})
    with store.writer("tester", IDENTITY) as writer:
        writer.forget([2], "asked")
    publish(store, "2026-02-01", {key: held("New") for key in (0, 1, 3)})

    move(store, other)

    assert 2 in other.forgotten()
    assert other.history(2) == ()
    assert other.customer(2, 1).document is None
    assert other.members("tag", "New").customers == (0, 1, 3)
    assert other.audit().findings == ()
