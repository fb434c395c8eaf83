"""Whatever a process is doing when it dies, the store has the old version or the new one, whole."""

import json
import os
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from ruleengine.planning.memory import Memory
from ruleengine.store import open_store
from ruleengine.store.records import RunState
from ruleengine.store.store import Store
from tests import duck
from tests.lives import begin
from tests.store import verifier
from tests.store.child import CUSTOMERS, LAST, NEW, RULES, VIP, block, forked, generation, publish_generation
from tests.store.steps import MANUAL_STEPS, ROLLBACK_STEPS, STEPS
from tests.store.tables import hold

STORES = ("embedded",)

ROOT = Path(__file__).parents[2]
PUBLISHING = ("documents-batch", "before-commit", "committed")
COMMITTED = ("committed", "noted", "swept")


def child(path: Path | str, *story: str, crash_at: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.store.child", str(path), *story],
        cwd=ROOT,
        env={**os.environ, "RULEENGINE_CRASH_AT": crash_at},
        capture_output=True,
        text=True,
        timeout=60,
    )


def crash(path: Path | str, step: str, *story: str) -> None:
    assert begin(forked, str(path), *story, crash_at=step).ended() == -signal.SIGKILL


def do(path: Path, *story: str) -> None:
    assert begin(forked, str(path), *story).ended() == 0


def check_whole(store: Store, number: int, folder: Path) -> None:
    """The store is at a version, and everything that can be asked of it says so."""
    current = store.current()
    assert current is not None
    assert current.number == number
    expected = generation(number - 1)
    keys = range(CUSTOMERS + 3)
    answers = store.customers(keys)
    assert answers.version == number
    for key, content in answers.documents:
        if key not in expected:
            assert content is None
            continue
        document = json.loads(content or b"{}")
        assert {tag["name"] for tag in document["tags"]} == expected[key].tags
        assert document["tiers"]["loyalty"]["level"] == expected[key].ladders["loyalty"]
    for tag in ("VIP", "New"):
        assert list(store.members("tag", tag, limit=1000).customers) == [
            key for key, held in expected.items() if tag in held.tags
        ]
    asked = VIP if number % 2 else NEW
    with duck.database() as connection:
        store.recall(connection, Memory(tags=(asked,)), current.as_of + timedelta(days=1))
        remembered = connection.execute("SELECT * FROM remembered ORDER BY customer").fetchall()
    assert remembered == [(key, True, LAST) for key in expected]
    assert store.export(folder / "all.csv") == 3 * CUSTOMERS
    assert verifier.check(folder / "store") == []


def check_tidy(folder: Path, store: Store) -> None:
    """Nothing is left of what never became a version."""
    runs = {run.id for run in store.runs() if run.state in (RunState.PUBLISHED, RunState.HELD)}
    assert {path.name for path in (folder / "store" / "runs").iterdir()} == runs
    assert list((folder / "store").rglob("*.partial")) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_run_that_dies_leaves_one_whole_version(tmp_path: Path, step: str) -> None:
    path = tmp_path / "store"
    store = open_store(path)
    publish_generation(store, 0)

    crash(path, step, "publish", "1")

    committed = step in COMMITTED
    number = 2 if committed else 1
    check_whole(store, number, tmp_path)
    publish_generation(store, number)
    check_whole(store, number + 1, tmp_path)
    check_tidy(tmp_path, store)
    states = [run.state for run in store.runs()]
    assert states == [RunState.PUBLISHED, RunState.PUBLISHED if committed else RunState.FAILED, RunState.PUBLISHED]


@pytest.mark.parametrize("step", ["changes-renamed", "documents-batch"])
def test_a_first_run_that_dies_leaves_nothing(tmp_path: Path, step: str) -> None:
    """In a process of its own making, as all are that nobody tests."""
    path = tmp_path / "store"

    died = child(path, "publish", "0", crash_at=step)

    assert died.returncode == -signal.SIGKILL, died.stderr
    store = open_store(path)
    assert store.current() is None
    publish_generation(store, 0)
    check_whole(store, 1, tmp_path)
    check_tidy(tmp_path, store)


@pytest.mark.parametrize("step", ["salts-renamed", "members-batch", "committed"])
def test_a_rollback_that_dies_leaves_one_whole_version(tmp_path: Path, step: str) -> None:
    path = tmp_path / "store"
    store = open_store(path)
    publish_generation(store, 0)
    publish_generation(store, 1)

    crash(path, step, "rollback", "1")

    if step == "committed":
        current = store.current()
        assert current is not None
        assert (current.number, current.base) == (3, 1)
        assert store.customer(0) != store.customer(0, 2)
    else:
        check_whole(store, 2, tmp_path)
    do(path, "publish", "2")
    check_tidy(tmp_path, store)
    assert verifier.check(path) == []


@pytest.mark.parametrize("step", PUBLISHING)
def test_a_held_run_survives_a_publication_that_dies(tmp_path: Path, step: str) -> None:
    path = tmp_path / "store"
    store = open_store(path)
    publish_generation(store, 0)
    run = hold(store, "2026-01-02", generation(1), rules=RULES).run.id

    crash(path, step, "publish-held", run)

    if step != "committed":
        check_whole(store, 1, tmp_path)
        assert store.run(run).state is RunState.HELD
        do(path, "publish-held", run)
    check_whole(store, 2, tmp_path)
    check_tidy(tmp_path, store)


def check_blocked(store: Store, folder: Path, *, blocked: bool) -> None:
    """Customer 5 is asleep by hand, and VIP no more; or nothing of it."""
    answer = store.customer(5)
    document = json.loads(answer.document or b"{}")
    assert [tag["name"] for tag in document["tags"]] == (["Sleeping"] if blocked else ["VIP"])
    assert store.members("tag", "Sleeping").customers == ((5,) if blocked else ())
    assert len(store.members("tag", "VIP", limit=1000).customers) == CUSTOMERS - blocked
    assert [setting.name for setting in store.manual(5)] == (["Sleeping"] if blocked else [])
    with duck.database() as connection:
        store.recall(connection, RULES.memory, date(2027, 1, 1), 5)
        rows = connection.execute("SELECT * FROM remembered").fetchall()
    assert rows == [(5, None, None, None, None, True) if blocked else (5, True, LAST, None, None, None)]
    assert store.export(folder / "all.csv") == 3 * CUSTOMERS
    assert verifier.check(folder / "store") == []


@pytest.mark.parametrize("step", MANUAL_STEPS)
def test_a_manual_change_that_dies_is_there_whole_or_not_at_all(tmp_path: Path, step: str) -> None:
    path = tmp_path / "store"
    store = open_store(path)
    publish_generation(store, 0)

    crash(path, step, "block", "5")

    check_blocked(store, tmp_path, blocked=step in COMMITTED)
    if step not in COMMITTED:
        do(path, "block", "5")
    check_blocked(store, tmp_path, blocked=True)
    publish_generation(store, 1)
    check_tidy(tmp_path, store)
    assert verifier.check(path) == []


@pytest.mark.parametrize("step", ROLLBACK_STEPS)
def test_a_rollback_over_what_is_set_by_hand_that_dies_leaves_one_whole_version(tmp_path: Path, step: str) -> None:
    path = tmp_path / "store"
    store = open_store(path)
    publish_generation(store, 0)
    publish_generation(store, 1)
    block(store, 5)
    publish_generation(store, 2)

    crash(path, step, "rollback", "1")

    current = store.current()
    assert current is not None
    assert current.number == (5 if step in COMMITTED else 4)
    if step not in COMMITTED:
        do(path, "rollback", "1")
    document = json.loads(store.customer(5).document or b"{}")
    assert [tag["name"] for tag in document["tags"]] == ["Sleeping", "VIP"]
    assert store.members("tag", "Sleeping").customers == (5,)
    publish_generation(store, 3)
    check_tidy(tmp_path, store)
    assert verifier.check(path) == []
