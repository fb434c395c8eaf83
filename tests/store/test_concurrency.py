"""Readers beside a writer, and two writers."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from ruleengine.store.refusals import NotKeptError, StoreLockedError
from ruleengine.store.store import Store
from tests.store.child import CUSTOMERS, opened, publish_generation, where
from tests.store.tables import IDENTITY
from tests.store.test_crashes import ROOT

PUBLICATIONS = 8
ASKED = 6
"""So often at least by a reader, of which each fifth time of files, too."""


def read_all_the_time(path: str, folder: str, pipe: Connection) -> None:
    """Ask everything, again and again, until told to stop; say when it was done for the first time, then what was
    wrong, and how many versions were met."""
    store = opened(path)
    wrong: list[str] = []
    asked = 0
    versions = set()
    while asked < ASKED or not pipe.poll():
        try:
            answers = store.customers(range(2, CUSTOMERS))
            versions.add(answers.version)
            tags = {json.loads(content or b"{}")["tags"][0]["name"] for _, content in answers.documents}
            # Odd versions are of even generations: everybody is VIP, or everybody is new.
            if tags != {"VIP" if answers.version % 2 else "New"}:
                wrong.append(f"mixed documents in version {answers.version}: {tags}")
            page = store.members("tag", "VIP", limit=1000)
            if len(page.customers) != (CUSTOMERS if page.version % 2 else 0):
                wrong.append(f"{len(page.customers)} members in version {page.version}")
            single = store.customer(5)
            name = json.loads(single.document or b"{}")["tags"][0]["name"]
            if name != ("VIP" if single.version % 2 else "New"):
                wrong.append(f"customer 5 of version {single.version} is {name}")
            if asked % 5 == 0:
                number = store.versions()[0].number
                if store.export(Path(folder) / "x.csv", version=number) != 3 * CUSTOMERS:
                    wrong.append("an export is not whole")
                if len(store.history(5)) < 3:
                    wrong.append("a history is not whole")
                store.values(5, number)
        except NotKeptError:
            pass
        except Exception as error:
            wrong.append(f"{type(error).__name__}: {error}")
        if not asked:
            pipe.send("asked")
        asked += 1
        time.sleep(0.01)
    pipe.send((wrong, len(versions)))


@contextmanager
def read_meanwhile(store: Store, folder: Path) -> Iterator[None]:
    """Another process asks all the time, and finds nothing wrong."""
    here, there = multiprocessing.Pipe()
    reader = multiprocessing.get_context("spawn").Process(
        target=read_all_the_time, args=(where(store), str(folder), there)
    )
    reader.start()
    there.close()
    try:
        assert here.recv() == "asked"
        yield
        here.send("stop")
        wrong, versions = here.recv()
    finally:
        reader.join(20)
        if reader.is_alive():
            reader.kill()
    assert wrong == []
    assert versions > 1


def test_readers_in_other_processes_see_no_error_and_no_mixture(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Everything is swept as early as it can be.
    monkeypatch.setattr("ruleengine.store.sweeping.KEPT_FILES", 1)
    monkeypatch.setattr("ruleengine.store.postgres.sweeping.KEPT_FILES", 1)
    monkeypatch.setattr("ruleengine.store.documents.KEPT", -1.0)
    publish_generation(store, 0)
    with read_meanwhile(store, tmp_path):
        for number in range(1, PUBLICATIONS):
            publish_generation(store, number)
            time.sleep(0.05)


@pytest.fixture
def other(store: Store) -> subprocess.Popen[str]:
    """A process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.store.child", where(store), "wait"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    return process


def test_a_writer_of_another_process_is_named_at_once(store: Store, other: subprocess.Popen[str]) -> None:
    try:
        begun = time.monotonic()
        with pytest.raises(StoreLockedError) as error, store.writer("me", IDENTITY):
            pass
        assert time.monotonic() - begun < 1
    finally:
        other.communicate("")

    assert error.value.holder is not None
    assert (error.value.holder.actor, error.value.holder.pid) == ("child", other.pid)
    with store.writer("me", IDENTITY):
        pass


def test_a_lock_never_goes_stale(store: Store, other: subprocess.Popen[str]) -> None:
    os.kill(other.pid, signal.SIGKILL)
    other.communicate()

    publish_generation(store, 0)
