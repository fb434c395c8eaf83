"""Bodies of reading: what customers have, why, and what changed."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ruleengine.store.records import Counts, Kind, Movement, VersionKind
from ruleengine.verbs.explain import RuleExplanation

from .common import PROVENANCE, Provenance, Shape

MOST_IDS = 1000

HOLDINGS: dict[str, Any] = {
    "tags": [{"name": "VIP", "since": "2026-01-14"}],
    "tiers": {"loyalty": {"level": "Gold", "since": "2025-11-02"}},
    "classes": {"lifecycle": {"value": "Active", "since": "2025-02-20"}},
}


class Tag(Shape):
    name: str
    since: Annotated[date, Field(description="The day since which the customer has it without a break.")]


class Level(Shape):
    level: str
    since: date


class Value(Shape):
    value: str
    since: date


class Holdings(Shape):
    customer: Annotated[str, Field(description="The customer's key, always as text.")]
    tags: Annotated[list[Tag], Field(description="By name. Empty where the customer is known and has none.")]
    tiers: Annotated[dict[str, Level], Field(description="By tier; a tier without a level is left out.")]
    classes: Annotated[dict[str, Value], Field(description="By class; a class without a value is left out.")]


class Customer(Holdings, Provenance):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"customer": "17", **PROVENANCE, **HOLDINGS}]}
    )


class Batch(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"ids": ["17", "18"]}]})

    ids: Annotated[
        list[str | int],
        Field(max_length=MOST_IDS, description="Customers' keys. One that is given twice is answered once."),
    ]


class Customers(Provenance):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{**PROVENANCE, "customers": [{"customer": "17", **HOLDINGS}], "unknown": ["18"]}]
        },
    )

    customers: Annotated[list[Holdings], Field(description="Those that the version knows, as they were asked for.")]
    unknown: Annotated[list[str], Field(description="Those that it does not know.")]


class TagCount(Shape):
    name: str
    customers: Annotated[int, Field(ge=0, description="How many have it.")]


class Tags(Provenance):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{**PROVENANCE, "tags": [{"name": "VIP", "customers": 1204}]}]}
    )

    tags: Annotated[list[TagCount], Field(description="As the rules list them.")]


class Member(Shape):
    customer: Annotated[str, Field(description="The customer's key, always as text.")]


class _Page(Provenance):
    customers: Annotated[list[Member], Field(description="In the order of their keys.")]
    next_cursor: Annotated[
        str | None, Field(description="Ask for the next page with it; null where this was the last.")
    ]


_PAGE: dict[str, Any] = {**PROVENANCE, "customers": [{"customer": "17"}, {"customer": "23"}], "next_cursor": "pJ1b…"}


class TagCustomers(_Page):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"tag": "VIP", **_PAGE}]})

    tag: str


class LevelCustomers(_Page):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"tier": "loyalty", "level": "Gold", **_PAGE}]}
    )

    tier: str
    level: str


class ValueCustomers(_Page):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"class": "lifecycle", "value": "Active", **_PAGE}]},
        validate_by_name=True,
    )

    class_: Annotated[str, Field(alias="class")]
    value: str


class Explained(Provenance):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"customer": "17", **PROVENANCE, "rules": []}]}
    )

    customer: str
    rules: Annotated[
        list[RuleExplanation], Field(description="The rule of that name; several where a tag and a tier share one.")
    ]


class Entry(Shape):
    version: int
    version_kind: VersionKind
    as_of: date
    in_line: Annotated[bool, Field(description="Whether the version leads to the current one.")]
    created_at: datetime
    actor: str
    kind: Kind
    name: str
    old: Annotated[str | None, Field(description="`given` for a tag, the level or the value; null for none.")]
    new: str | None
    since: date | None
    rule_hash: Annotated[str | None, Field(description="Of the rule that decided; null where none did.")]
    evidence: Annotated[
        dict[str, Any] | None, Field(description="What the rule read; exact numbers that are not whole are text.")
    ]


class Histories(Provenance):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"customer": "17", **PROVENANCE, "entries": []}]}
    )

    customer: str
    entries: Annotated[list[Entry], Field(description="Oldest first.")]


class _Version(Shape):
    number: int
    kind: VersionKind
    base: Annotated[int | None, Field(description="The version that it came from.")]
    in_line: Annotated[bool, Field(description="Whether it leads to the current one.")]
    as_of: date
    ruleset_hash: str
    customers: int
    changes: Annotated[int, Field(description="Against the version that was current before.")]
    actor: str
    reason: str | None
    created_at: datetime


_VERSION: dict[str, Any] = {
    "number": 7,
    "kind": "run",
    "base": 6,
    "in_line": True,
    "as_of": "2026-03-31",
    "ruleset_hash": "5f2b0c…",
    "customers": 20144,
    "changes": 312,
    "actor": "scheduler",
    "reason": None,
    "created_at": "2026-04-01T02:00:09.120+00:00",
}


class Versions(Provenance):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{**PROVENANCE, "versions": [_VERSION], "next_cursor": None}]},
    )

    versions: Annotated[list[_Version], Field(description="The latest first.")]
    next_cursor: str | None


class VersionInFull(_Version, Provenance):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    **PROVENANCE,
                    **_VERSION,
                    "begun_by": "scheduler",
                    "begun_at": "2026-04-01T02:00:00.004+00:00",
                    "held": [],
                    "parameters": {"vip_floor": "10000"},
                    "engine": "duckdb 2.0",
                    "git_commit": None,
                    "counts": {"customers": 20144, "tags": {"VIP": 1204}, "tiers": {}, "classes": {}},
                    "movement": {
                        "rows": 312,
                        "customers": 290,
                        "arrived": 12,
                        "vanished": 0,
                        "added": {"VIP": 3},
                        "removed": {},
                        "tiers": {},
                        "classes": {},
                    },
                    "hash": "9c41…",
                }
            ]
        },
    )

    begun_by: Annotated[str | None, Field(description="Who began its run; `actor` published it.")]
    begun_at: datetime | None
    held: Annotated[list[str], Field(description="Why it was held, where somebody published it all the same.")]
    parameters: Annotated[dict[str, Any], Field(description="The values that were in force.")]
    engine: str
    git_commit: str | None
    counts: Counts
    movement: Movement
    hash: Annotated[str, Field(description="Of all that the version is, and of the version before it.")]


class Change(Shape):
    version: int
    as_of: date
    customer: str
    kind: Kind
    name: str
    old: Annotated[str | None, Field(description="`given` for a tag, the level or the value; null for none.")]
    new: str | None
    since: date | None


class Forgotten(Shape):
    version: int
    as_of: date
    customers: Annotated[int, Field(description="How many. Ask `:batchGet` for those you hold, and drop the unknown.")]


class Changes(Provenance):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    **PROVENANCE,
                    "changes": [
                        {
                            "version": 7,
                            "as_of": "2026-03-31",
                            "customer": "17",
                            "kind": "tag",
                            "name": "VIP",
                            "old": None,
                            "new": "given",
                            "since": "2026-03-31",
                        }
                    ],
                    "forgotten": [{"version": 8, "as_of": "2026-03-31", "customers": 1}],
                    "next_cursor": "pJ1b…",
                    "more": False,
                }
            ]
        },
    )

    changes: list[Change]
    forgotten: Annotated[list[Forgotten], Field(description="Versions that forgot customers.")]
    next_cursor: Annotated[str, Field(description="What comes next begins here, now or later.")]
    more: Annotated[bool, Field(description="Whether something already does.")]
