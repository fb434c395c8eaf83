"""A process of its own that publishes, to be killed, starved or raced: `python -m tests.store.child STORE STORY`."""

import resource
import sys
from pathlib import Path

from ruleengine.diagnostics.problem import ProblemError
from ruleengine.store import open_store
from ruleengine.store.records import Key
from ruleengine.store.store import Store
from tests.store.tables import IDENTITY, Held, held, publish

CUSTOMERS = 40


def generation(number: int) -> dict[Key, Held]:
    """In an even generation everybody is VIP and Gold, in an odd one nobody is; some come and go."""
    if number % 2 == 0:
        return {key: held("VIP", loyalty="Gold", abc="A") for key in range(CUSTOMERS)}
    return {key: held("New", loyalty="Member", abc="B") for key in range(2, CUSTOMERS + 2)}


def publish_generation(store: Store, number: int) -> None:
    publish(store, f"2026-{1 + number // 28:02}-{1 + number % 28:02}", generation(number))


def main(path: str, story: str, *arguments: str) -> None:
    store = open_store(Path(path))
    match story:
        case "publish":
            publish_generation(store, int(arguments[0]))
        case "rollback":
            with store.writer("child", IDENTITY) as writer:
                writer.rollback(int(arguments[0]), "because")
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


if __name__ == "__main__":
    main(*sys.argv[1:])
