"""Tags and levels that people set: rules, changes and how they are written."""

from dataclasses import replace
from datetime import date
from typing import Any

from ruleengine.planning.memory import ManualMemory, Memory, Past, TagMemory, TierMemory
from ruleengine.store.records import GIVEN, Change, Key, ManualWrite, Remembered, Version
from ruleengine.store.store import Store
from tests import duck
from tests.store.tables import IDENTITY, Held, Rules, Standing

BLOCKED = ManualMemory(kind="tag", name="Blocked", formerly=(), column="blocked")
LEVEL = ManualMemory(kind="tier", name="loyalty", formerly=(), column="by_hand")
LOYALTY = TierMemory(tier="loyalty", level="level", reached="reached", below="below")
VIP = TagMemory(tag="VIP", formerly=(), held="vip_held", matched="vip_matched")
RULES = Rules(
    tags=("VIP", "Blocked"), classes={}, memory=Memory(tags=(VIP,), tiers=(LOYALTY,), manual=(BLOCKED, LEVEL))
)

PAST = Past(text="", column="was_blocked", kind="tag", names=("Blocked",), values=(), first=None)

DAY = date(2026, 1, 1)


def change(customer: Key, name: str, old: str | None, new: str | None, since: date | None = DAY) -> Change:
    return Change(
        customer=customer,
        kind="tier" if name == "loyalty" else "tag",
        name=name,
        old=old,
        new=new,
        since=since if new else None,
        rule_hash=f"hash of {name}",
        evidence={"monetary_90d": "1.5000"},
    )


def write(
    store: Store,
    *changes: Change,
    value: str | None = GIVEN,
    expires_on: date | None = None,
    memory: tuple[Remembered, ...] = (),
    actor: str = "anna",
    reason: str = "asked for it",
) -> Version:
    """Set what the first of the changes is about."""
    first = changes[0]
    assert first.kind != "class"
    with store.writer(actor, IDENTITY) as writer:
        return writer.set_manual(
            ManualWrite(
                customer=first.customer,
                kind=first.kind,
                name=first.name,
                value=value,
                expires_on=expires_on,
                changes=tuple(each for each in changes if each.old != each.new),
                memory=memory,
                report={"order": {"tags": ["VIP", "Blocked"]}},
                reason=reason,
            )
        )


def block(store: Store, customer: Key, **more: Any) -> Version:
    return write(store, change(customer, "Blocked", None, GIVEN), **more)


def remembered(store: Store, day: date, customer: Key | None = None) -> dict[Key, dict[str, Any]]:
    with duck.database() as connection:
        store.recall(connection, RULES.memory, day, customer)
        answer = connection.execute("SELECT * FROM remembered")
        names = [column[0] for column in answer.description or ()]
        return {
            row[0]: {name: value for name, value in zip(names[1:], row[1:], strict=True) if value is not None}
            for row in answer.fetchall()
        }


def standing(what: Held, day: date = DAY) -> Held:
    """Whose level is what was computed for the day."""
    return replace(what, standing={"loyalty": Standing(what.ladders.get("loyalty"), day)})
