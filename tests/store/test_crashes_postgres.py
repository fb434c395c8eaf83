"""A process that dies at a step of a publication in Postgres, while others read: as test_crashes has it of folders."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from ruleengine.store.records import RunState
from ruleengine.store.store import Store
from tests.store.child import CUSTOMERS, RULES, block, generation, publish_generation, where
from tests.store.steps import POSTGRES_EDIT_STEPS, POSTGRES_STEPS
from tests.store.tables import IDENTITY, hold
from tests.store.test_concurrency import read_meanwhile
from tests.store.test_crashes import crash
from tests.store.test_postgres import check, rows

STORES = ("postgres",)


def whole(store: Store, number: int) -> None:
    """The store is at this version, and whatever can be asked of it says so."""
    expected = generation(number - 1)
    answers = store.customers(range(CUSTOMERS + 3))
    assert answers.version == number
    assert {key for key, content in answers.documents if content is not None} == set(expected)
    for tag in ("VIP", "New"):
        holders = [key for key, held in expected.items() if tag in held.tags]
        assert list(store.members("tag", tag, limit=1000).customers) == holders
    assert check(store) == []


def tidy(store: Store) -> None:
    """Nothing is left of what never became a version."""
    kept = {run.id for run in store.runs(1000) if run.state in (RunState.PUBLISHED, RunState.HELD)}
    for table in ("changes", "arrivals", "facts", "memory"):
        assert {run for (run,) in rows(store, f"SELECT DISTINCT run FROM {{}}.{table}")} <= kept


def die_at(store: Store, steps: Sequence[str]) -> None:
    """A run that dies at each of them, and one after it that nobody helps."""
    for step in steps:
        before = store.versions()[-1].number
        crash(where(store), step, "publish", str(before))
        committed = step in ("committed", "swept")
        whole(store, before + committed)
        publish_generation(store, before + committed)
        whole(store, before + committed + 1)
        tidy(store)


def test_a_run_that_dies_leaves_one_whole_version(store: Store, tmp_path: Path) -> None:
    publish_generation(store, 0)

    with read_meanwhile(store, tmp_path):
        die_at(store, ("before-staged", "rows-begun", "committed"))


@pytest.mark.slow
def test_a_run_that_dies_at_any_step_leaves_one_whole_version(store: Store, tmp_path: Path) -> None:
    publish_generation(store, 0)

    with read_meanwhile(store, tmp_path):
        die_at(store, POSTGRES_STEPS)
    states = [run.state for run in store.runs(1000)]
    assert states.count(RunState.FAILED) == len(POSTGRES_STEPS) - 2


@pytest.mark.slow
@pytest.mark.parametrize("step", POSTGRES_EDIT_STEPS)
def test_what_is_set_by_hand_or_brought_back_is_there_whole_or_not_at_all(store: Store, step: str) -> None:
    publish_generation(store, 0)
    publish_generation(store, 1)
    committed = step == "committed"

    crash(where(store), step, "rollback", "1")
    assert (store.members("tag", "New").customers == ()) is committed
    if not committed:
        with store.writer("tester", IDENTITY) as writer:
            writer.rollback(1, "because")
    crash(where(store), step, "block", "5")

    assert store.members("tag", "Sleeping").customers == ((5,) if committed else ())
    assert len(store.members("tag", "VIP", limit=1000).customers) == CUSTOMERS - committed
    assert len(store.manual(5)) == committed
    if not committed:
        block(store, 5)
    assert store.members("tag", "Sleeping").customers == (5,)
    assert [version.number for version in store.versions()] == [1, 2, 3, 4]
    assert check(store) == []
    tidy(store)


@pytest.mark.parametrize("step", ["rows-ended", "before-commit", "committed"])
def test_a_held_run_survives_a_publication_that_dies(store: Store, step: str) -> None:
    publish_generation(store, 0)
    run = hold(store, "2026-01-02", generation(1), rules=RULES).run.id

    crash(where(store), step, "publish-held", run)

    if step != "committed":
        whole(store, 1)
        assert store.run(run).state is RunState.HELD
        with store.writer("tester", IDENTITY) as writer:
            writer.publish_held(run, "because")
    whole(store, 2)
    tidy(store)


def test_a_first_run_that_dies_leaves_nothing(store: Store) -> None:
    crash(where(store), "changes-written", "publish", "0")

    assert store.current() is None
    publish_generation(store, 0)
    whole(store, 1)
    tidy(store)
