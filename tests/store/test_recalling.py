"""What a run is told of the versions before it, and what it leaves for the next."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruleengine.planning.memory import ManualMemory, Memory, Past, TagMemory, TierMemory
from ruleengine.store.records import Key
from ruleengine.store.store import Store
from tests import duck
from tests.store.conftest import NewStore
from tests.store.lines import Line
from tests.store.tables import IDENTITY, Held, Rules, Standing, held, hold, publish

LOYALTY = TierMemory(tier="loyalty", level="loyalty level", reached="loyalty reached", below="loyalty below")


def remembering(tag: str, *formerly: str) -> TagMemory:
    return TagMemory(tag=tag, formerly=formerly, held=f"{tag} held", matched=f"{tag} matched")


def past(kind: Any, name: str, *values: str, first: str | None = None) -> Past:
    return Past(
        text="",
        column=f"{name} {'/'.join(values)} from {first}",
        kind=kind,
        names=(name,),
        values=values,
        first=date.fromisoformat(first) if first else None,
    )


def recalled(store: Store, asked: Memory, day: date | str) -> tuple[int | None, dict[Key, dict[str, Any]], list[bool]]:
    """The previous version, who is remembered for what, and whether the names of each past were declared."""
    as_of = date.fromisoformat(day) if isinstance(day, str) else day
    with duck.database() as connection:
        previous = store.recall(connection, asked, as_of)
        answer = connection.execute("SELECT * FROM remembered")
        columns = [column[0] for column in answer.description or ()]
        rows = answer.fetchall()
        row = connection.execute("SELECT * FROM remembered_names").fetchone()
        assert connection.execute("SELECT count(*) FROM duckdb_tables() WHERE temporary").fetchone() == (2,)
    assert columns == ["customer", *(name for name, _ in asked.columns)]
    told: dict[Key, dict[str, Any]] = {}
    for customer, *values in rows:
        assert customer not in told
        told[customer] = {name: value for name, value in zip(columns[1:], values, strict=True) if value is not None}
    assert row is not None
    return previous.number if previous else None, told, list(row)[: len(asked.past)]


# -- tables that are always there --------------------------------------------------------------------------


def test_nothing_is_remembered_before_anything_was_written(store: Store) -> None:
    asked = Memory(
        tags=(remembering("VIP"),),
        tiers=(LOYALTY,),
        manual=(ManualMemory(kind="tag", name="Blocked", formerly=(), column="by hand"),),
        past=(past("tag", "VIP"),),
    )

    assert recalled(store, asked, "2026-01-01") == (None, {}, [False])


@pytest.mark.parametrize(("key_type", "sql"), [("integer", "BIGINT"), ("text", "VARCHAR")])
def test_columns_are_typed_whatever_is_in_them(store: Store, key_type: str, sql: str) -> None:
    asked = Memory(
        tags=(remembering("VIP"),),
        tiers=(LOYALTY,),
        manual=(
            ManualMemory(kind="tag", name="Blocked", formerly=(), column="by hand"),
            ManualMemory(kind="tier", name="loyalty", formerly=(), column="level by hand"),
        ),
        past=(past("tag", "VIP"),),
    )
    publish(store, "2026-01-01", {}, rules=Rules(key_type=key_type))

    for day in (date(2026, 1, 1), date(2026, 1, 2)):
        connection = duckdb.connect()
        store.recall(connection, asked, day)
        types = {name: type_ for name, type_, *_ in connection.execute("DESCRIBE remembered").fetchall()}
        assert types == {
            "customer": sql,
            "VIP held": "BOOLEAN",
            "VIP matched": "DATE",
            "loyalty level": "VARCHAR",
            "loyalty reached": "DATE",
            "loyalty below": "DATE",
            "by hand": "BOOLEAN",
            "level by hand": "VARCHAR",
            "VIP  from None": "BOOLEAN",
        }


def test_who_asks_for_nothing_is_told_the_previous_version_alone(store: Store) -> None:
    publish(store, "2026-01-01", {1: held("VIP")})
    publish(store, "2026-01-02", {1: held("VIP")})

    assert recalled(store, Memory(), "2026-01-02") == (1, {}, [])


def test_a_connection_that_is_locked_down_will_do(store: Store) -> None:
    publish(store, "2026-01-01", {1: held("VIP")})
    connection = duckdb.connect()
    folders = ", ".join(f"'{folder}'" for folder in store.directories)
    connection.execute(f"SET allowed_directories = [{folders}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")

    store.recall(connection, Memory(tags=(remembering("VIP"),), past=(past("tag", "VIP"),)), date(2026, 1, 2))

    assert connection.execute('SELECT customer, "VIP held" FROM remembered').fetchall() == [(1, True)]


# -- what was -----------------------------------------------------------------------------------------------


def test_the_day_before_counts_and_not_an_earlier_run_of_the_day(store: Store) -> None:
    publish(store, "2026-01-01", {1: held("VIP")})
    publish(store, "2026-01-02", {2: held("VIP")})
    publish(store, "2026-01-02", {3: held("VIP")})
    publish(store, "2026-01-05", {4: held("VIP")})
    asked = Memory(tags=(remembering("VIP"),))

    def holders(day: str) -> tuple[int | None, list[Key]]:
        previous, told, _ = recalled(store, asked, day)
        return previous, list(told)

    assert holders("2026-01-01") == (None, [])
    assert holders("2026-01-02") == (1, [1])
    assert holders("2026-01-03") == (3, [3])
    assert holders("2026-01-05") == (3, [3])
    assert holders("2026-01-06") == (4, [4])


def test_a_tag_is_remembered_with_the_day_on_which_it_last_matched(store: Store) -> None:
    rules = Rules(memory=Memory(tags=(remembering("VIP"),)))
    first: dict[Key, Held] = {key: held("VIP") for key in (1, 2)}
    publish(store, "2026-01-01", first, rules=rules)
    publish(
        store,
        "2026-01-08",
        {1: replace(held("VIP"), matched={"VIP": date(2026, 1, 1)}), 2: held("VIP"), 3: held("New")},
        rules=rules,
    )

    _, told, _ = recalled(store, rules.memory, "2026-01-09")

    assert told == {
        1: {"VIP held": True, "VIP matched": date(2026, 1, 1)},
        2: {"VIP held": True, "VIP matched": date(2026, 1, 8)},
    }


def test_a_tag_is_remembered_by_its_former_names(store: Store) -> None:
    publish(store, "2026-01-01", {1: held("Sleeping"), 2: held("VIP"), 3: held("New")})

    _, told, _ = recalled(store, Memory(tags=(remembering("Best", "VIP", "Sleeping"),)), "2026-01-02")

    assert told == {key: {"Best held": True, "Best matched": date(2026, 1, 1)} for key in (1, 2)}


def test_a_tier_is_remembered_as_published_unless_the_run_left_something_else(store: Store) -> None:
    rules = Rules(memory=Memory(tiers=(LOYALTY,)))
    day = date(2026, 1, 1)
    customers: dict[Key, Held] = {
        1: replace(held(loyalty="Gold"), standing={"loyalty": Standing("Gold", day)}),
        2: replace(held(loyalty="Gold"), standing={"loyalty": Standing("Silver", day, date(2025, 12, 1))}),
        3: replace(held(loyalty="Gold"), standing={"loyalty": Standing("Gold", date(2025, 5, 5))}),
        4: replace(held(loyalty="Gold"), standing={"loyalty": Standing(None, None)}),
        5: held(),
    }
    publish(store, day, customers, rules=rules)

    _, told, _ = recalled(store, rules.memory, "2026-02-01")

    assert told == {
        1: {"loyalty level": "Gold", "loyalty reached": day},
        2: {"loyalty level": "Silver", "loyalty reached": day, "loyalty below": date(2025, 12, 1)},
        3: {"loyalty level": "Gold", "loyalty reached": date(2025, 5, 5)},
    }


def test_a_held_run_that_is_published_leaves_its_memory_too(store: Store) -> None:
    rules = Rules(memory=Memory(tags=(remembering("VIP"),)))
    publish(store, "2026-01-01", {1: held("VIP")}, rules=rules)
    delta = hold(store, "2026-01-02", {1: replace(held("VIP"), matched={"VIP": date(2026, 1, 1)})}, rules=rules)

    with store.writer("tester", IDENTITY) as writer:
        writer.publish_held(delta.run.id, "fine")

    _, told, _ = recalled(store, rules.memory, "2026-01-03")
    assert told == {1: {"VIP held": True, "VIP matched": date(2026, 1, 1)}}


# -- ever, and within days ----------------------------------------------------------------------------------


def test_a_tag_counts_from_its_version_to_the_day_before_the_next(store: Store) -> None:
    publish(store, "2026-01-01", {1: held("VIP"), 2: held()})
    publish(store, "2026-01-10", {1: held(), 2: held("VIP")})

    def had(day: str, first: str | None = None) -> set[Key]:
        return set(recalled(store, Memory(past=(past("tag", "VIP", first=first),)), day)[1])

    assert had("2026-01-20") == {1, 2}
    assert had("2026-01-20", "2026-01-10") == {2}
    assert had("2026-01-20", "2026-01-09") == {1, 2}
    assert had("2026-01-10") == {1}
    assert had("2026-01-11", "2026-01-10") == {2}
    assert had("2026-01-01") == set()


def test_levels_and_values_are_told_apart(store: Store) -> None:
    publish(store, "2026-01-01", {1: held(loyalty="Gold", abc="A"), 2: held(loyalty="Silver")})
    publish(store, "2026-01-02", {1: held(loyalty="Member", abc="B"), 2: held()})
    asked = (
        past("tier", "loyalty", "Gold", "Silver"),
        past("tier", "loyalty", "Silver"),
        past("class", "abc", "A"),
        past("class", "loyalty", "Gold"),
    )

    _, told, known = recalled(store, Memory(past=asked), "2026-01-03")

    assert told == {1: {asked[0].column: True, asked[2].column: True}, 2: {each.column: True for each in asked[:2]}}
    assert known == [True, True, True, False]


def test_nothing_is_known_of_a_name_that_no_version_in_force_declared(store: Store) -> None:
    publish(store, "2026-01-01", {1: held("VIP")})
    publish(store, "2026-01-05", {1: held("Fresh")}, rules=Rules(tags=("Fresh",)))
    # The second run of a day takes the place of the first.
    publish(store, "2026-01-09", {1: held()}, rules=Rules(tags=("Brief",)))
    publish(store, "2026-01-09", {1: held()})

    def known(day: str, name: str, first: str | None = None) -> bool:
        return recalled(store, Memory(past=(past("tag", name, first=first),)), day)[2][0]

    assert [known("2026-01-05", "VIP"), known("2026-01-09", "VIP", "2026-01-05")] == [True, False]
    assert [known("2026-01-05", "Fresh"), known("2026-01-06", "Fresh")] == [False, True]
    assert not known("2026-02-01", "Brief")
    assert known("2026-02-01", "Fresh", "2026-01-08")
    assert not known("2026-02-01", "Fresh", "2026-01-09")


def test_what_was_rolled_back_never_was(store: Store) -> None:
    publish(store, "2026-01-01", {1: held("VIP")})
    publish(store, "2026-01-02", {2: held("VIP")})
    with store.writer("tester", IDENTITY) as writer:
        writer.rollback(1, "wrong")

    previous, told, _ = recalled(store, Memory(past=(past("tag", "VIP"),)), "2026-01-03")

    assert (previous, list(told)) == (3, [1])


# -- since when ----------------------------------------------------------------------------------------------


def exported(store: Store, folder: Path, number: int) -> list[str]:
    """The rows of a version without the column that says which it is."""
    store.export(folder / "rows.csv", version=number)
    return [line.rsplit(",", 1)[0] for line in (folder / "rows.csv").read_text().splitlines()]


def test_a_day_that_is_run_again_comes_to_the_same(store: Store, tmp_path: Path) -> None:
    days: list[Mapping[Key, Held]] = [
        {1: held("VIP", loyalty="Gold", abc="A"), 2: held("New"), 3: held("VIP")},
        {1: held("VIP", loyalty="Silver", abc="A"), 3: held("VIP", "New")},
        {1: held(loyalty="Silver", abc="B"), 2: held("New"), 3: held("VIP")},
    ]
    for day, customers in enumerate(days, 1):
        publish(store, f"2026-01-0{day}", customers)

    again = publish(store, "2026-01-02", days[1])

    assert again.detached
    assert exported(store, tmp_path, again.number) == exported(store, tmp_path, 2)


def test_data_that_changed_and_changed_back_leave_no_trace(store: Store, tmp_path: Path) -> None:
    customers: dict[Key, Held] = {1: held("VIP", loyalty="Gold"), 2: held("New", abc="A"), 3: held()}
    publish(store, "2026-01-01", customers)
    publish(store, "2026-01-02", customers)
    publish(store, "2026-01-02", {1: held("New", loyalty="Silver"), 3: held("VIP")})

    back = publish(store, "2026-01-02", customers)

    assert exported(store, tmp_path, back.number) == exported(store, tmp_path, 2)
    assert store.customer(1, back.number).document == store.customer(1, 2).document
    given = [entry.change for entry in store.history(1) if entry.version == back.number and entry.change.new]
    assert {(change.name, change.since) for change in given} == {
        ("VIP", date(2026, 1, 1)),
        ("loyalty", date(2026, 1, 1)),
    }


def test_a_rename_keeps_since_when(store: Store) -> None:
    publish(store, "2026-01-01", {1: held("VIP", loyalty="Gold"), 2: held("New", loyalty="Silver")})
    rules = Rules(
        tags=("Best", "New"),
        tiers={"loyalty": ("Platinum", "Silver")},
        formerly={"Best": ("VIP",)},
        renamed={"Gold": "Platinum"},
    )

    version = publish(store, "2026-01-05", {1: held("Best", loyalty="Platinum"), 2: held("Best")}, rules=rules)

    changes = [entry.change for entry in store.history(1) if entry.version == version.number]
    assert [(change.name, change.old, change.new, change.since) for change in changes] == [
        ("Best", None, "given", date(2026, 1, 1)),
        ("VIP", "given", None, None),
        ("loyalty", "Gold", "Platinum", date(2026, 1, 1)),
    ]
    assert version.movement.added == {"Best": 2}
    late = [entry.change for entry in store.history(2) if entry.version == version.number and entry.change.new]
    assert [(change.name, change.since) for change in late] == [("Best", date(2026, 1, 5))]


def test_a_rename_that_is_told_only_in_a_second_run_is_still_one(store: Store, tmp_path: Path) -> None:
    publish(store, "2026-01-01", {1: held("VIP")})
    forgotten = Rules(tags=("Best", "New"))
    publish(store, "2026-01-05", {1: held("Best")}, rules=forgotten)

    version = publish(store, "2026-01-05", {1: held("Best")}, rules=replace(forgotten, formerly={"Best": ("VIP",)}))

    assert exported(store, tmp_path, version.number)[1:] == ["1,tag,Best,,2026-01-01"]
    assert store.customer(1).document == store.customer(1, version.number).document
    assert b'"since":"2026-01-01"' in (store.customer(1).document or b"")
    assert version.movement.rows == 0
    told = [entry.change for entry in store.history(1) if entry.version == version.number]
    assert [(change.old, change.new, change.since) for change in told] == [("given", "given", date(2026, 1, 1))]
    assert store.members("tag", "Best").customers == (1,)


# -- any line ------------------------------------------------------------------------------------------------

START = date(2026, 1, 1)
TAGS = ("a", "b", "c")
LEVELS = ("x", "y", "z")
TIER = TierMemory(tier="t", level="t level", reached="t reached", below="t below")


@st.composite
def rulesets(draw: st.DrawFn) -> Rules:
    tags = tuple(draw(st.permutations(TAGS))[: draw(st.integers(0, 3))])
    renamed: dict[str, str] = {"x": "y"} if draw(st.booleans()) else {}
    gone = tuple(tag for tag in TAGS if tag not in tags)
    ladders = [tuple(draw(st.permutations(LEVELS))[: draw(st.integers(0, 3))]) for _ in range(2)]
    tiers, classes = ({name: values} if values else {} for name, values in zip("tk", ladders, strict=True))
    return Rules(
        tags=tags,
        tiers=tiers,
        classes=classes,
        formerly=dict.fromkeys(tags[: draw(st.integers(0, 1))], gone),
        renamed=renamed,
        memory=Memory(
            tags=tuple(remembering(tag) for tag in tags),
            tiers=(TIER,) if tiers else (),
        ),
    )


days = st.integers(0, 7).map(lambda days: START + timedelta(days=days))


@st.composite
def runs(draw: st.DrawFn) -> tuple[date, Rules, dict[Key, Held], dict[Key, Standing]]:
    """A day, rules, what each customer holds, and where some stand otherwise."""
    day, rules = draw(days), draw(rulesets())
    customers: dict[Key, Held] = {}
    standing: dict[Key, Standing] = {}
    for key in draw(st.sets(st.integers(1, 4))):
        ladders = {
            name: draw(st.sampled_from(values))
            for name, values in (*rules.tiers.items(), *rules.classes.items())
            if draw(st.booleans())
        }
        tags: set[str] = draw(st.sets(st.sampled_from(rules.tags))) if rules.tags else set()
        matched = {tag: draw(days) for tag in sorted(tags) if draw(st.booleans())}
        customers[key] = Held(tags=frozenset(tags), ladders=ladders, matched=matched)
        other = draw(st.booleans())
        if rules.tiers and other:
            level = draw(st.sampled_from(LEVELS) | st.none())
            standing[key] = Standing(level, draw(days) if level else None, draw(days | st.none()) if level else None)
    return day, rules, customers, standing


@st.composite
def questions(draw: st.DrawFn) -> tuple[date, Memory]:
    pasts = []
    for place in range(draw(st.integers(0, 3))):
        kind, names = draw(st.sampled_from([("tag", TAGS), ("tier", ("t",)), ("class", ("k", "t"))]))
        values = draw(st.sets(st.sampled_from(LEVELS), min_size=1)) if kind != "tag" else ()
        named: set[str] = draw(st.sets(st.sampled_from(names), min_size=1))
        pasts.append(
            Past(
                text="",
                column=f"p{place}",
                kind=kind,  # type: ignore[arg-type]
                names=tuple(sorted(named)),
                values=tuple(sorted(values)),
                first=draw(days | st.none()),
            )
        )
    tags = tuple(remembering(tag, *draw(st.permutations(TAGS))[:1]) for tag in draw(st.sets(st.sampled_from(TAGS))))
    tiers = (TIER,) if draw(st.booleans()) else ()
    return draw(days) + timedelta(days=1), Memory(tags=tags, tiers=tiers, past=tuple(pasts))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    story=st.lists(runs() | st.integers(1, 6), min_size=1, max_size=6),
    asked=st.lists(questions(), min_size=1, max_size=4),
)
def test_a_run_is_told_what_was(
    new_store: NewStore, tmp_path: Path, story: list[Any], asked: list[tuple[date, Memory]]
) -> None:
    line = Line()
    with new_store() as store:
        for step in story:
            if isinstance(step, int):
                if step in line.made and not line.made[step].detached and step != line.current:
                    with store.writer("tester", IDENTITY) as writer:
                        writer.rollback(step, "because")
                    line.rollback(step)
                continue
            day, rules, customers, standing = step
            customers = _standing(line, rules, customers, standing, day)
            line.publish(rules, customers, day)
            publish(store, day, customers, rules=rules)
        for made in line.made.values():
            assert exported(store, tmp_path, made.number)[1:] == [
                f"{key},{kind},{name},{value or ''},{since}"
                for key, holding in sorted(made.state.items())
                for (kind, name), (value, since) in sorted(holding.items())
            ]
        for day, memory in asked:
            previous = line.previous(day)
            known = [line.known(past, day) for past in memory.past]
            assert recalled(store, memory, day) == (
                previous.number if previous else None,
                line.remembered(memory, day),
                known,
            )


def _standing(
    line: Line, rules: Rules, customers: Mapping[Key, Held], other: Mapping[Key, Standing], day: date
) -> dict[Key, Held]:
    """With where each customer stands on the tier: mostly as published."""
    if not rules.tiers:
        return dict(customers)
    state = line.state(rules, customers, day)
    return {
        key: replace(what, standing={"t": other.get(key) or Standing(*state[key].get(("tier", "t"), (None, None)))})
        for key, what in customers.items()
    }
