"""A process of its own that publishes, to be killed, starved or raced: `python -m tests.store.child STORE STORY`.

STORE is a folder, or `schema:NAME`, in the database that STORE_URL names.
"""

import resource
import sys
from dataclasses import replace
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.planning.memory import ManualMemory, Memory, TagMemory
from ruleengine.store import open_store, store_of
from ruleengine.store.postgres.store import PostgresStore
from ruleengine.store.records import GIVEN, Change, Key, ManualWrite, Version
from ruleengine.store.store import Store
from tests.store.conftest import profile
from tests.store.tables import IDENTITY, Held, Rules, held, publish

CUSTOMERS = 40
VIP = TagMemory(tag="VIP", formerly=(), held="held", matched="matched")
NEW = TagMemory(tag="New", formerly=(), held="new_held", matched="new_matched")
SLEEPING = ManualMemory(kind="tag", name="Sleeping", formerly=(), column="by_hand")
RULES = Rules(memory=Memory(tags=(VIP, NEW), manual=(SLEEPING,)))
LAST = date(2025, 12, 31)
"""When a tag last matched, though it is given."""


def generation(number: int) -> dict[Key, Held]:
    """In an even generation everybody is VIP and Gold, in an odd one nobody is; some come and go."""
    if number % 2 == 0:
        vip = replace(held("VIP", loyalty="Gold", abc="A"), matched={"VIP": LAST})
        return dict.fromkeys(range(CUSTOMERS), vip)
    new = replace(held("New", loyalty="Member", abc="B"), matched={"New": LAST})
    return dict.fromkeys(range(2, CUSTOMERS + 2), new)


def publish_generation(store: Store, number: int) -> None:
    publish(store, f"2026-{1 + number // 28:02}-{1 + number % 28:02}", generation(number), rules=RULES)


def block(store: Store, customer: Key) -> None:
    """Set a tag by hand, which takes another one away."""
    current = store.current()
    assert current is not None
    with store.writer("child", IDENTITY) as writer:
        writer.set_manual(
            ManualWrite(
                customer=customer,
                kind="tag",
                name="Sleeping",
                value=GIVEN,
                expires_on=None,
                changes=(_change(customer, "Sleeping", None, current), _change(customer, "VIP", GIVEN, current)),
                memory=(),
                report={},
                reason="because",
            )
        )


def _change(customer: Key, tag: str, old: str | None, version: Version) -> Change:
    return Change(
        customer=customer,
        kind="tag",
        name=tag,
        old=old,
        new=None if old else GIVEN,
        since=None if old else version.as_of,
        rule_hash=None,
        evidence=None,
    )


def where(store: Store) -> str:
    """As STORE has it."""
    return f"schema:{store.profile.schema}" if isinstance(store, PostgresStore) else str(*store.directories)


def opened(place: str) -> Store:
    kind, _, schema = place.partition(":")
    return store_of(profile(schema)) if kind == "schema" else open_store(Path(place))


def main(place: str, story: str, *arguments: str) -> None:
    store = opened(place)
    match story:
        case "publish":
            publish_generation(store, int(arguments[0]))
        case "rollback":
            with store.writer("child", IDENTITY) as writer:
                writer.rollback(int(arguments[0]), "because")
        case "block":
            block(store, int(arguments[0]))
        case "forget":
            with store.writer("child", IDENTITY) as writer:
                writer.forget([int(arguments[0])], "because")
        case "publish-held":
            with store.writer("child", IDENTITY) as writer:
                writer.publish_held(arguments[0], "because")
        case "publish-on-a-small-disk":
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(arguments[1]), resource.RLIM_INFINITY))
            try:
                publish_generation(store, int(arguments[0]))
            except ProblemError as error:
                print(error.problems[0].code.name)
        case "wait":
            with store.writer("child", IDENTITY):
                print("holding", flush=True)
                sys.stdin.read()
        case _:
            raise ValueError(story)


def forked(_pipe: Connection, *words: str) -> None:
    """The same, in a process of `lives`."""
    main(*words)


if __name__ == "__main__":
    main(*sys.argv[1:])
