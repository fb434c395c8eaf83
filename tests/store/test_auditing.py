"""`audit`: what was published is recomputed, and the first version that differs is named."""

import pytest

from ruleengine.store.auditing import Audit
from ruleengine.store.store import Store
from tests.store.tables import IDENTITY, held, hold, publish


@pytest.fixture
def made(store: Store) -> Store:
    """Runs, a detached version, a rollback and a held run that was published after another version came."""
    publish(store, "2026-01-01", {key: held("VIP", loyalty="Gold", city="日本") for key in range(600)})
    publish(store, "2026-02-01", {key: held("New", abc="A", money="0.1000") for key in range(300, 900)})
    publish(store, "2026-01-15", {1: held("Sleeping")})
    delta = hold(store, "2026-03-01", {1: held("VIP"), 2000: held("New")})
    publish(store, "2026-01-20", {2000: held("Sleeping"), 2001: held()})
    with store.writer("tester", IDENTITY) as writer:
        writer.publish_held(delta.run.id, "checked")
        writer.rollback(2, "wrong")
    publish(store, "2026-04-01", {})
    return store


def said(audit: Audit) -> list[tuple[int | None, str]]:
    return [(finding.version, finding.problem.code.name) for finding in audit.findings]


def test_a_store_that_nobody_touched_is_good(made: Store) -> None:
    audit = made.audit()

    assert said(audit) == []
    assert audit.hashes == {version.number: version.hash for version in made.versions()}
    assert audit.changes == sum(version.movement.rows for version in made.versions())
