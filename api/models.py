"""The shapes of bodies. Answers are written straight from what is stored; their shapes are for the document."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ruleengine.store.records import Counts, Kind, Movement, RunState, VersionKind
from ruleengine.verbs.explain import RuleExplanation
from ruleengine.verbs.what_if import Unanswered

MOST_IDS = 1000

PROVENANCE: dict[str, Any] = {
    "version": 7,
    "ruleset_hash": "5f2b0c…",
    "as_of": "2026-03-31",
    "evaluated_at": "2026-04-01T02:00:05Z",
    "stale": False,
}
HOLDINGS: dict[str, Any] = {
    "tags": [{"name": "VIP", "since": "2026-01-14"}],
    "tiers": {"loyalty": {"level": "Gold", "since": "2025-11-02"}},
    "classes": {"lifecycle": {"value": "Active", "since": "2025-02-20"}},
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Provenance(_Model):
    """Which version the answer comes from. An answer comes from one version, whole."""

    version: Annotated[int, Field(ge=1, description="The number of the version.")]
    ruleset_hash: Annotated[str, Field(description="Of the rules that the version was computed by.")]
    as_of: Annotated[date, Field(description="The day that the version is for.")]
    evaluated_at: Annotated[datetime, Field(description="When its computation began, in UTC.")]
    stale: Annotated[bool, Field(description="Whether `as_of` is further back than `stale_after` of ruleset.toml.")]


class Tag(_Model):
    name: str
    since: Annotated[date, Field(description="The day since which the customer has it without a break.")]


class Level(_Model):
    level: str
    since: date


class Value(_Model):
    value: str
    since: date


class Holdings(_Model):
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


class TagCount(_Model):
    name: str
    customers: Annotated[int, Field(ge=0, description="How many have it.")]


class Tags(Provenance):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{**PROVENANCE, "tags": [{"name": "VIP", "customers": 1204}]}]}
    )

    tags: Annotated[list[TagCount], Field(description="As the rules list them.")]


class Member(_Model):
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


class Entry(_Model):
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


class _Version(_Model):
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

    parameters: Annotated[dict[str, Any], Field(description="The values that were in force.")]
    engine: str
    git_commit: str | None
    counts: Counts
    movement: Movement
    hash: Annotated[str, Field(description="Of all that the version is, and of the version before it.")]


class Change(_Model):
    version: int
    as_of: date
    customer: str
    kind: Kind
    name: str
    old: Annotated[str | None, Field(description="`given` for a tag, the level or the value; null for none.")]
    new: str | None
    since: date | None


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
                    "next_cursor": "pJ1b…",
                    "more": False,
                }
            ]
        },
    )

    changes: list[Change]
    next_cursor: Annotated[str, Field(description="What comes next begins here, now or later.")]
    more: Annotated[bool, Field(description="Whether something already does.")]


Said = Annotated[
    str, Field(min_length=1, max_length=1000, pattern=r"\S", description="Why; it stays with the version.")
]
Who = Annotated[
    str | None,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
        description="Who, as the application knows its users; recorded with the key's name.",
    ),
]


class Why(_Model):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "Checked: a big promotion", "actor": "ana"}]}
    )

    reason: Said
    actor: Who = None


class SetTag(_Model):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"reason": "Asked on the phone", "actor": "ana", "expires_on": "2027-01-01"}]},
    )

    reason: Said
    actor: Who = None
    expires_on: Annotated[
        date | None, Field(description="The first day on which it does not count; without it, as the rules say.")
    ] = None


class SetLevel(SetTag):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"level": "Gold", "reason": "A promise kept", "actor": "ana"}]}
    )

    level: str


class Setting(_Model):
    kind: Literal["tag", "tier"]
    name: str
    value: Annotated[str, Field(description="`given` of a tag, or the level.")]
    expires_on: date | None
    actor: str
    reason: str | None


class Effect(_Model):
    kind: Kind
    name: str
    old: str | None
    new: str | None
    since: date | None


class SetByHand(Provenance):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "customer": "17",
                    **PROVENANCE,
                    "setting": {
                        "kind": "tag",
                        "name": "Do not contact",
                        "value": "given",
                        "expires_on": "2027-01-01",
                        "actor": "ana (crm)",
                        "reason": "Asked on the phone",
                    },
                    "changes": [
                        {"kind": "tag", "name": "Do not contact", "old": None, "new": "given", "since": "2026-03-31"}
                    ],
                }
            ]
        },
    )

    customer: str
    setting: Annotated[Setting | None, Field(description="What is set now; null where it was taken away.")]
    changes: Annotated[list[Effect], Field(description="All that changed for the customer.")]


class Publication(Provenance):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{**PROVENANCE, "kind": "rollback", "actor": "ana (ops)", "reason": "Prices were wrong"}]
        },
    )

    kind: VersionKind
    actor: str
    reason: str | None


class _Run(_Model):
    id: str
    kind: VersionKind
    state: RunState
    as_of: date
    ruleset_hash: str
    base: Annotated[int | None, Field(description="The version that it was compared with.")]
    version: Annotated[int | None, Field(description="That it made, or that it is the same as.")]
    reasons: Annotated[list[str], Field(description="Why it was held, or failed.")]
    actor: str
    started_at: datetime
    finished_at: datetime | None


_RUN: dict[str, Any] = {
    "id": "20260401T020005Z-5f2b0c",
    "kind": "run",
    "state": "held",
    "as_of": "2026-03-31",
    "ruleset_hash": "5f2b0c…",
    "base": 6,
    "version": None,
    "reasons": ["check tag VIP covers 0.5% to 10%: 12.1%"],
    "actor": "scheduler",
    "started_at": "2026-04-01T02:00:05.010+00:00",
    "finished_at": "2026-04-01T02:00:09.120+00:00",
}


class Runs(_Model):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"runs": [_RUN]}]})

    runs: list[_Run]


class RunInFull(_Run):
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{**_RUN, "counts": None, "movement": None}]}
    )

    counts: Counts | None
    movement: Annotated[Movement | None, Field(description="Against the version that it was compared with.")]


_FILES: dict[str, Any] = {"value.rules": 'tag "VIP" when monetary_90d > 10_000'}
Files = Annotated[
    dict[Annotated[str, Field(pattern=r"^[^/\\\x00]{1,100}\.rules$")], str],
    Field(min_length=1, max_length=100, description="Rule texts by the names of their files: all of the ruleset."),
]


class CurrentRules(Provenance):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {**PROVENANCE, "name": "retail", "timezone": "Asia/Shanghai", "parameters": {}, "files": _FILES}
            ]
        },
    )

    name: str
    timezone: str
    parameters: dict[str, Any]
    files: Annotated[dict[str, str], Field(description="Also those that were brought in by `use`.")]


class RulesToCheck(_Model):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"files": _FILES}]})

    files: Files
    proofs: Annotated[
        bool, Field(description="Also look for what can never hold, is hidden or is the same; takes longer.")
    ] = False


class CheckedRules(_Model):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"hash": "5f2b0c…", "errors": 0, "warnings": 0, "problems": []}]},
    )

    hash: Annotated[str | None, Field(description="Of the rules; null where there are errors.")]
    errors: int
    warnings: int
    problems: Annotated[list[dict[str, Any]], Field(description="As `check --format json` prints them.")]


class ToEvaluate(_Model):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"as_of": "2026-03-31", "attributes": {"country": "DE"}, "metrics": {"monetary_90d": "12000"}}]
        },
    )

    files: Annotated[Files | None, Field(description="Other rules than those in force.")] = None
    as_of: Annotated[date | None, Field(description="The day; without it, today.")] = None
    attributes: Annotated[dict[str, Any], Field(description="Columns of the customer.")] = {}
    events: Annotated[dict[str, list[dict[str, Any]]], Field(description="Rows by their source.")] = {}
    metrics: Annotated[dict[str, Any], Field(description="They replace what would be computed from events.")] = {}
    tags: Annotated[list[str], Field(description="Manual tags that are set.")] = []


class Evaluated(_Model):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "as_of": "2026-03-31",
                    "ruleset_hash": "5f2b0c…",
                    "tags": ["VIP"],
                    "tiers": {"loyalty": "Gold"},
                    "classes": {},
                    "metrics": {"monetary_90d": "12000.0000"},
                    "unanswered": [],
                    "rules": [],
                }
            ]
        },
    )

    as_of: date
    ruleset_hash: str
    tags: list[str]
    tiers: dict[str, str]
    classes: dict[str, str]
    metrics: dict[str, Any]
    unanswered: Annotated[
        list[Unanswered], Field(description="What ranks customers among all others, and so has to be given.")
    ]
    rules: list[RuleExplanation]


class Alive(_Model):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "alive"}]})

    status: Literal["alive"]


class Ready(Provenance):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "ready", **PROVENANCE}]})

    status: Literal["ready"]


class Wrong(_Model):
    pointer: Annotated[str, Field(description="A JSON pointer into the body.")]
    detail: str


class Problem(BaseModel):
    """Problem details (RFC 9457). Programs tell problems apart by `code`."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": True})

    type: Annotated[str, Field(json_schema_extra={"format": "uri"})]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    code: str
    instance: Annotated[str, Field(description="Of an internal error: what to look for in the server's log.")] = ""
    errors: Annotated[list[Wrong], Field(description="Of a body: what is wrong where.")] = []
